# Trained models leave the study: merged, described, pushed. Only the targets `release` and `push` ask for it.
include: "functions/release.smk"


rule merge_adapter:
    input:
        backbone=backbone_manifest,
        weights="<results>/adapters/{backbone}/{mix}/seed-{seed}/adapter_model.safetensors",
        config="<results>/adapters/{backbone}/{mix}/seed-{seed}/adapter_config.json",
    output:
        "<results>/merged/{backbone}/{mix}/seed-{seed}/manifest.json",
    log:
        "<work>/logs/merged/{backbone}/{mix}/seed-{seed}.log",
    conda:
        ENVIRONMENT
    resources:
        nodes=1,
        mem_mb=growing(32000),
        runtime=growing(60),
    params:
        spec=merge_spec,
        sealing=sealing(),
    message:
        "Merge the adapter {wildcards.mix} (seed {wildcards.seed}) into {wildcards.backbone}"
    shell:
        command(
            "posologie.release.merge",
            "--spec {params.spec:q} --backbone {input.backbone:q} --adapter-weights {input.weights:q}"
            " --adapter-config {input.config:q} --manifest {output:q}",
        )


rule write_card:
    input:
        run="<results>/adapters/{backbone}/{mix}/seed-{seed}/run.json",
        composition=mix_composition,
        results=tables_of_results(),
    output:
        "<results>/cards/{backbone}/{mix}/seed-{seed}/{form}/README.md",
    log:
        "<work>/logs/cards/{backbone}/{mix}/seed-{seed}/{form}.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        spec=card_spec,
        sealing=sealing(),
    message:
        "Write the model card of {wildcards.mix} (seed {wildcards.seed}) on {wildcards.backbone}, {wildcards.form}"
    shell:
        command(
            "posologie.release.card",
            "--spec {params.spec:q} --run {input.run:q} --composition {input.composition:q} --results {input.results:q} --card {output:q}",
        )


rule push_model:
    input:
        card="<results>/cards/{backbone}/{mix}/seed-{seed}/{form}/README.md",
        files=released_files,
    output:
        "<results>/pushed/{backbone}/{mix}/seed-{seed}/{form}.json",
    log:
        "<work>/logs/pushed/{backbone}/{mix}/seed-{seed}/{form}.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        spec=push_spec,
        sealing=sealing(),
        files=released_words,
    message:
        "Upload {wildcards.mix} (seed {wildcards.seed}) on {wildcards.backbone}, {wildcards.form}, to the hub"
    shell:
        command(
            "posologie.release.push",
            "--spec {params.spec:q} --files {input.card:q} {params.files:q} --receipt {output:q}",
        )
