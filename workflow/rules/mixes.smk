# Screened shards become controlled mixes.
def mix_training_items(wildcards):
    """Return the screened training shards that a mix draws from."""
    return [f"<results>/screened/{name}/train.parquet" for name in plan.mix_sources(STUDY, wildcards.mix)]


def mix_validation_items(wildcards):
    """Return the screened shards of the validation set that all mixes share."""
    return [f"<results>/screened/{name}/validation.parquet" for name in plan.validation_sources(STUDY)]


def mix_spec(wildcards):
    """Return the spec of one mix."""
    return plan.mix_spec(STUDY, wildcards.mix, int(wildcards.seed)).canonical_json()


def all_mixes():
    """Return every mix of the study."""
    return [f"<results>/mixes/{mix}/seed-{seed}/composition.json" for mix in STUDY.mixes for seed in plan.sampling_seeds(STUDY)]


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
