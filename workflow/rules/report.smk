# Tables become figures and the report; predictions become the report's item browser.
include: "functions/report.smk"


rule draw_figures:
    input:
        tables=all_tables(),
        histories=all_histories(),
        calibrations=all_calibrations() + all_ratings(),
    output:
        drawn_figures(),
    log:
        "<work>/logs/figures.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        spec=figures_spec,
        sealing=sealing(),
        results=results_root,
        figures=lambda wildcards, output: Path(output[0]).parent.as_posix(),
    message:
        "Draw the figures"
    shell:
        command(
            "posologie.report.figures",
            "--spec {params.spec:q} --results {params.results:q} --figures {params.figures:q}",
        )


rule write_report:
    input:
        tables=all_tables(),
        figures=all_figures(),
        runs=all_runs(),
        histories=all_histories(),
        leakage=all_leakage(),
        verdicts=all_calibrations() + all_judgements(),
        browser=browser_index(),
        accepted=accepted_changes(),
        registration=registration(),
    output:
        "<results>/report/index.html",
    log:
        "<work>/logs/report.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        spec=report_spec,
        sealing=sealing(templates=templates_digest()),
        results=results_root,
    message:
        "Write the report"
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
        leakage=all_leakage(),
        trained=trained_shards(),
        matches=training_matches(),
        backbones=browsed_backbones(),
    output:
        "<results>/report/items/index.js",
    log:
        "<work>/logs/items.log",
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=growing(8000),
        runtime=growing(30),
    params:
        spec=browser_spec,
        sealing=sealing(beside="*.js"),
        results=lambda wildcards, output: Path(output[0]).parents[2].as_posix(),
        shards=lambda wildcards, input: by_source(input.shards),
        backbones=lambda wildcards, input: by_source(input.backbones),
    message:
        "Write the item browser"
    shell:
        command(
            "posologie.report.browser",
            "--spec {params.spec:q} --results {params.results:q} --items {params.shards:q} --trained {input.trained:q}"
            " --matches {input.matches:q} --backbones {params.backbones:q} --index {output:q}",
        )
