# Trained models leave the study: merged, described, pushed. Only the targets `release` and `push` ask for it.
include: "functions/release.smk"


rule merge_adapter:
    input:
        backbone=backbone_manifest,
        weights="<results>/adapters/{backbone}/{mix}/seed-{seed}/adapter_model.safetensors",
        config="<results>/adapters/{backbone}/{mix}/seed-{seed}/adapter_config.json",
    output:
        "<results>/merged/{backbone}/{mix}/seed-{seed}/manifest.json",
    params:
        spec=merge_spec,
        sealing=sealing(),
    resources:
        nodes=1,
        mem_mb=growing(32000),
        runtime=growing(60),
    conda:
        ENVIRONMENT
    log:
        "<work>/logs/merged/{backbone}/{mix}/seed-{seed}.log",
    shell:
        command(
            "posologie.training.merge",
            "--spec {params.spec:q} --backbone {input.backbone:q} --adapter-weights {input.weights:q}"
            " --adapter-config {input.config:q} --manifest {output:q}",
        )


rule write_card:
    localrule: True
    input:
        run="<results>/adapters/{backbone}/{mix}/seed-{seed}/run.json",
        composition=mix_composition,
        results=tables_of_results(),
    output:
        "<results>/cards/{backbone}/{mix}/seed-{seed}/{form}/README.md",
    params:
        spec=card_spec,
        sealing=sealing(),
    conda:
        ENVIRONMENT
    log:
        "<work>/logs/cards/{backbone}/{mix}/seed-{seed}/{form}.log",
    shell:
        command(
            "posologie.training.card",
            "--spec {params.spec:q} --run {input.run:q} --composition {input.composition:q} --results {input.results:q} --card {output:q}",
        )


rule push_model:
    localrule: True
    input:
        card="<results>/cards/{backbone}/{mix}/seed-{seed}/{form}/README.md",
        files=released_files,
    output:
        "<results>/pushed/{backbone}/{mix}/seed-{seed}/{form}.json",
    params:
        spec=push_spec,
        sealing=sealing(),
        files=released_words,
    conda:
        ENVIRONMENT
    log:
        "<work>/logs/pushed/{backbone}/{mix}/seed-{seed}/{form}.log",
    shell:
        command(
            "posologie.training.push",
            "--spec {params.spec:q} --files {input.card:q} {params.files:q} --receipt {output:q}",
        )
