# Shards become pages about the data, before anything is trained.
include: "functions/look.smk"


rule look_at_shards:
    input:
        shards=all_shards(),
        screened=screened_so_far,
        backbone=backbone_so_far,
    output:
        facts="<results>/look/facts.json",
        pages=look_pages(),
    log:
        "<work>/logs/look.log",
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=growing(4000),
        runtime=growing(20),
    params:
        spec=look_spec,
        sealing=sealing(),
        results=results_root,
        backbone=lambda wildcards, input: ["--backbone", input.backbone] if input.backbone else [],
    message:
        "Write the pages about the data"
    shell:
        command(
            "posologie.look",
            "--spec {params.spec:q} --results {params.results:q} --screened {input.screened:q} {params.backbone:q}"
            " --facts {output.facts:q}",
        )
