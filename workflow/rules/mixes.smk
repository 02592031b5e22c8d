# Screened shards become controlled mixes.
include: "functions/mixes.smk"


rule draw_mix:
    input:
        train=mix_training_items,
        validation=mix_validation_items,
    output:
        train=ensure("<results>/mixes/{mix}/seed-{seed}/train.parquet", non_empty=True),
        validation=ensure("<results>/mixes/{mix}/seed-{seed}/validation.parquet", non_empty=True),
        composition="<results>/mixes/{mix}/seed-{seed}/composition.json",
    params:
        spec=mix_spec,
        train=lambda wildcards, input: by_source(input.train),
        validation=lambda wildcards, input: by_source(input.validation),
    threads: 1
    resources:
        mem_mb=growing(3000),
        runtime=growing(15),
    conda:
        ENVIRONMENT
    log:
        "<work>/logs/mixes/{mix}/seed-{seed}.log",
    shell:
        command(
            "posologie.mixes",
            "--spec {params.spec:q} --train {params.train:q} --validation {params.validation:q}"
            " --out-train {output.train:q} --out-validation {output.validation:q} --composition {output.composition:q}",
        )
