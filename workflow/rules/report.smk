# Tables become figures and the report.
def report_spec(wildcards):
    """Return the spec of the page and the figures."""
    return plan.report_spec(STUDY, TABLES).canonical_json()


def all_runs():
    """Return every run record that the report rests on."""
    adapters = [str(Path(path).with_name("run.json")) for path in all_adapters()]
    return adapters + [path.replace(".parquet", ".run.json") for path in all_predictions()]


rule write_report:
    localrule: True
    input:
        tables=all_tables(),
        runs=all_runs(),
    output:
        "<results>/report/index.html",
    params:
        spec=report_spec,
        results=results_root,
    conda:
        ENVIRONMENT
    log:
        "<work>/logs/report.log",
    shell:
        command("posologie.report", "--spec {params.spec:q} --results {params.results:q} --report {output:q}")
