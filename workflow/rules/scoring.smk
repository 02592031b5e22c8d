# Predictions become scores: one row per item, variant and metric. Scoring never asks for a GPU.
include: "functions/scoring.smk"


rule score_predictions:
    input:
        predictions="<results>/predictions/{model}/{suite}.parquet",
        shards=scored_items,
        wordnet=wordnet_files,
    output:
        ensure("<results>/scores/{model}/{suite}.parquet", non_empty=True),
    log:
        "<work>/logs/scores/{model}/{suite}.log",
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=growing(3000),
        runtime=growing(30),
    params:
        spec=scoring_spec,
        sealing=sealing(),
        shards=lambda wildcards, input: by_source(input.shards),
    message:
        "Score the answers of {wildcards.model} to {wildcards.suite}"
    shell:
        command(
            "posologie.scoring",
            "--spec {params.spec:q} --predictions {input.predictions:q} --items {params.shards:q} --scores {output:q}",
        )


# BERTScore has a rule and a file of its own, so that re-scoring everything else never asks for a GPU.
rule score_predictions_neurally:
    input:
        predictions="<results>/predictions/{model}/{suite}.parquet",
        shards=scored_items,
        encoder=encoder_manifest,
        encoder_files=encoder_files,
    output:
        ensure("<results>/scores_neural/{model}/{suite}.parquet", non_empty=True),
    log:
        "<work>/logs/scores_neural/{model}/{suite}.log",
    conda:
        ENVIRONMENT
    threads: STUDY.prediction.threads
    resources:
        **gpus(STUDY.devices.gpus_per_prediction_job),
        mem_mb=growing(16000),
        runtime=growing(60),
        torch_threads=STUDY.prediction.threads,
        chunk_tokens=STUDY.devices.prediction_chunk_tokens,
    params:
        spec=neural_spec,
        sealing=sealing(),
        shards=lambda wildcards, input: by_source(input.shards),
        encoder=lambda wildcards, input: ["--encoder", input.encoder] if input.encoder else [],
    message:
        "Score the answers of {wildcards.model} to {wildcards.suite} with BERTScore"
    shell:
        command(
            "posologie.scoring.neural",
            "--spec {params.spec:q} --predictions {input.predictions:q} --items {params.shards:q} {params.encoder:q}"
            " --scores {output:q} --chunk-tokens {resources.chunk_tokens} --threads {resources.torch_threads}"
            " --devices {resources.devices}",
        )
