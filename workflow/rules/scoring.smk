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


def neural_spec(wildcards):
    """Return the spec of one file of neural scores."""
    return plan.neural_spec(STUDY, wildcards.suite).canonical_json()


def encoder_manifest(wildcards):
    """Return the manifest of an encoder from the hub; one from a package or a folder has none."""
    encoder = STUDY.scoring.encoder
    return [] if encoder.hub is None else manifest_of(plan.encoder_backbone(STUDY))


def all_neural_scores():
    """Return the neural scores of every model's open answers, where the study names an encoder."""
    suites = plan.open_suites(STUDY) if STUDY.scoring.encoder is not None else []
    return [f"<results>/scores_neural/{model}/{suite}.parquet" for model in MODELS for suite in suites]


# BERTScore has a rule and a file of its own, so that re-scoring everything else never asks for a GPU.
rule score_predictions_neurally:
    input:
        predictions="<results>/predictions/{model}/{suite}.parquet",
        shards=scored_items,
        encoder=encoder_manifest,
    output:
        ensure("<results>/scores_neural/{model}/{suite}.parquet", non_empty=True),
    params:
        spec=neural_spec,
        shards=lambda wildcards, input: by_source(input.shards),
        encoder=lambda wildcards, input: ["--encoder", input.encoder] if input.encoder else [],
    threads: STUDY.prediction.threads
    resources:
        **gpus(STUDY.devices.gpus_per_prediction_job),
        mem_mb=growing(16000),
        runtime=growing(60),
        chunk_tokens=STUDY.devices.prediction_chunk_tokens,
    conda:
        ENVIRONMENT
    log:
        "<work>/logs/scores_neural/{model}/{suite}.log",
    shell:
        command(
            "posologie.scoring.neural",
            "--spec {params.spec:q} --predictions {input.predictions:q} --items {params.shards:q} {params.encoder:q}"
            " --scores {output:q} --chunk-tokens {resources.chunk_tokens}",
        )
