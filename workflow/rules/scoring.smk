# Predictions become scores: one row per item, variant and metric. Scoring never asks for a GPU.
def scored_items(wildcards):
    """Return the shards that a suite takes its items from."""
    return suite_items([wildcards.suite])


def scoring_spec(wildcards):
    """Return the spec of one scores file."""
    return plan.scoring_spec(STUDY, wildcards.suite).canonical_json()


def all_scores():
    """Return every scores file of the study."""
    return [f"<results>/scores/{model}/{suite}.parquet" for model in MODELS for suite in STUDY.suites]


rule score_predictions:
    input:
        predictions="<results>/predictions/{model}/{suite}.parquet",
        shards=scored_items,
    output:
        ensure("<results>/scores/{model}/{suite}.parquet", non_empty=True),
    params:
        spec=scoring_spec,
        shards=lambda wildcards, input: by_source(input.shards),
    threads: 1
    resources:
        mem_mb=growing(3000),
        runtime=growing(30),
    conda:
        ENVIRONMENT
    log:
        "<work>/logs/scores/{model}/{suite}.log",
    shell:
        command(
            "posologie.scoring",
            "--spec {params.spec:q} --predictions {input.predictions:q} --items {params.shards:q} --scores {output:q}",
        )
