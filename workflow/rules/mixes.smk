# Screened shards become controlled mixes.
include: "functions/mixes.smk"


rule draw_mix:
    input:
        train=mix_training_items,
        validation=mix_validation_items,
        languages=LANGUAGES,
        encoder=sentence_encoder,
        encoder_files=sentence_encoder_files,
    output:
        train=ensure("<results>/mixes/{mix}/seed-{seed}/train.parquet", non_empty=True),
        validation=ensure("<results>/mixes/{mix}/seed-{seed}/validation.parquet", non_empty=True),
        composition="<results>/mixes/{mix}/seed-{seed}/composition.json",
    log:
        "<work>/logs/mixes/{mix}/seed-{seed}.log",
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        **ENCODER_RESOURCES,
        mem_mb=growing(3000),
        runtime=growing(15),
    params:
        spec=mix_spec,
        sealing=sealing(),
        train=lambda wildcards, input: by_source(input.train),
        validation=lambda wildcards, input: by_source(input.validation),
        encoder=encoder_words,
    message:
        "Draw mix {wildcards.mix} (seed {wildcards.seed})"
    shell:
        command(
            "posologie.mixes",
            "--spec {params.spec:q} --train {params.train:q} --validation {params.validation:q}"
            " --out-train {output.train:q} --out-validation {output.validation:q} --composition {output.composition:q}"
            " {params.encoder:q} --devices {resources.devices}",
        )


rule tabulate_composition:
    input:
        mixes=all_mixes(),
        shards=shard_reports(),
        published=PUBLISHED,
        backbone=counting_backbone,
    output:
        csv=table_csv("composition"),
        tex="<results>/tables/composition.tex",
    log:
        "<work>/logs/tables/composition.log",
    conda:
        ENVIRONMENT
    threads: 2
    resources:
        mem_mb=growing(6000),
        runtime=growing(30),
    params:
        spec=composition_spec,
        sealing=sealing(),
        results=results_root,
        published=published_words,
        backbone=lambda wildcards, input: ["--backbone", *input.backbone] if input.backbone else [],
    message:
        "Tabulate what every mix holds"
    shell:
        command(
            "posologie.statistics.composition",
            "--spec {params.spec:q} --results {params.results:q} --table {output.csv:q}"
            " {params.published:q} {params.backbone:q}",
        )
