# Tables become figures and the report; predictions become the report's item browser.
from posologie.report.spec import Report
from posologie.report.template_files import templates_digest


def report_spec(wildcards):
    """Return the spec of the page and the figures."""
    return plan.report_spec(STUDY, TABLES).canonical_json()


def figures_spec(wildcards):
    """Return the spec of the figures, which show neither the title nor the layout of the page."""
    return plan.report_spec(STUDY, TABLES).model_copy(update={"title": "", "report": Report()}).canonical_json()


def all_runs():
    """Return every run record that the report rests on."""
    adapters = [str(Path(path).with_name("run.json")) for path in all_adapters()]
    return adapters + [path.replace(".parquet", ".run.json") for path in all_predictions()]


def all_histories():
    """Return the training history of every adapter."""
    return [str(Path(path).with_name("history.parquet")) for path in all_adapters()]


def all_figures():
    """Return the files of every figure of the study, each for the page (SVG) and for a paper (PDF)."""
    names = plan.report_spec(STUDY, TABLES).figures()
    return [f"<results>/figures/{name}.{suffix}" for name in names for suffix in ("svg", "pdf")]


def in_own_report(path):
    """Return an SVG file as one that stands in Snakemake's own report too."""
    return report(path, caption="../report/figure.rst", category="Figures", labels={"figure": Path(path).stem})


def drawn_figures():
    """Return the outputs of the drawing."""
    return [in_own_report(path) if path.endswith(".svg") else path for path in all_figures()]


def browser_spec(wildcards):
    """Return the spec of the item browser's data."""
    return plan.browser_spec(STUDY).canonical_json()


def all_ratings():
    """Return every set of human ratings."""
    return [f"<results>/human/{name}.parquet" for name in STUDY.judging.ratings]


def report_parts():
    """Return the page, and the item browser's index where the study wants one."""
    return ["<results>/report/index.html", *(["<results>/report/items/index.js"] if STUDY.report.item_browser else [])]


rule draw_figures:
    localrule: True
    input:
        tables=all_tables(),
        histories=all_histories(),
        calibrations=all_calibrations() + all_ratings(),
    output:
        drawn_figures(),
    params:
        spec=figures_spec,
        results=results_root,
        figures=lambda wildcards, output: Path(output[0]).parent.as_posix(),
    conda:
        ENVIRONMENT
    log:
        "<work>/logs/figures.log",
    shell:
        command(
            "posologie.report.figures",
            "--spec {params.spec:q} --results {params.results:q} --figures {params.figures:q}",
        )


rule write_report:
    localrule: True
    input:
        tables=all_tables(),
        figures=all_figures(),
        runs=all_runs(),
        histories=all_histories(),
        leakage=all_leakage(),
    output:
        "<results>/report/index.html",
    params:
        spec=report_spec,
        results=results_root,
        templates=templates_digest(),
    conda:
        ENVIRONMENT
    log:
        "<work>/logs/report.log",
    shell:
        command("posologie.report", "--spec {params.spec:q} --results {params.results:q} --report {output:q}")


# The items' texts and what every model answered; the page loads them by need.
rule browse_items:
    input:
        predictions=all_predictions(),
        scores=all_scores(),
        judgements=all_judgements(),
        human=all_ratings(),
        shards=suite_items(STUDY.suites),
    output:
        "<results>/report/items/index.js",
    params:
        spec=browser_spec,
        results=lambda wildcards, output: Path(output[0]).parents[2].as_posix(),
        shards=lambda wildcards, input: by_source(input.shards),
    threads: 1
    resources:
        mem_mb=growing(8000),
        runtime=growing(30),
    conda:
        ENVIRONMENT
    log:
        "<work>/logs/items.log",
    shell:
        command(
            "posologie.report.browser",
            "--spec {params.spec:q} --results {params.results:q} --items {params.shards:q} --index {output:q}",
        )
