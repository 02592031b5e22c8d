# Documents become generated items, and items become translated ones: scattered into parts, one job each, and gathered.
# Endpoints are asked by local rules, because compute nodes have no network; local models run on a GPU like prediction.
include: "functions/generation.smk"
include: "generation_by_backend.smk"


checkpoint count_parts:
    localrule: True
    input:
        whole_table,
    output:
        "<results>/{made}.parts.json",
    wildcard_constraints:
        made=r"generated/[^/]+/[^/]+|translated/[^/]+/[^/]+/[^/]+",
    params:
        size=part_size,
    conda:
        ENVIRONMENT
    log:
        "<work>/logs/{made}.parts.log",
    shell:
        command("posologie.generation.parts", "--table {input:q} --size {params.size} --parts {output:q}")


rule gather_parts:
    localrule: True
    input:
        made=parted("{made}", ".parquet"),
        rejects=parted("{made}", ".rejects.parquet"),
        reports=parted("{made}", ".json"),
    output:
        made=ensure("<results>/{made}.parquet", non_empty=True),
        rejects="<results>/{made}.rejects.parquet",
        report="<results>/{made}.json",
    wildcard_constraints:
        made=r"generated/[^/.]+/[^/.]+|translated/[^/.]+/[^/.]+/[^/.]+",
    conda:
        ENVIRONMENT
    log:
        "<work>/logs/{made}.gather.log",
    shell:
        command(
            "posologie.generation.gather",
            "--items {input.made:q} --rejects {input.rejects:q} --reports {input.reports:q}"
            " --out-items {output.made:q} --out-rejects {output.rejects:q} --out-report {output.report:q}",
        )


rule tabulate_translation_quality:
    input:
        sentences=translated_parallel_texts(),
        published=PUBLISHED,
    output:
        table_csv("translation_quality"),
    params:
        spec=QualityTableSpec(quality=STUDY.translation_quality).canonical_json().replace("{", "{{").replace("}", "}}"),
        sentences=lambda wildcards, input: named((Path(path).stem, path) for path in input.sentences),
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(20),
    conda:
        ENVIRONMENT
    log:
        "<work>/logs/tables/translation_quality.log",
    shell:
        command(
            "posologie.generation.translation_quality.table",
            "--spec {params.spec:q} --sentences {params.sentences:q} --published {input.published:q} --table {output:q}",
        )
