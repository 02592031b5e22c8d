# Documents become generated items, and items become translated ones: scattered into parts, one job each, and gathered.
# Endpoints are asked by local rules, because compute nodes have no network; local models run on a GPU like prediction.
include: "functions/generation.smk"
include: "generation_by_backend.smk"


checkpoint count_parts:
    input:
        whole_table,
    output:
        "<results>/{made}.parts.json",
    log:
        "<work>/logs/{made}.parts.log",
    wildcard_constraints:
        made=r"generated/[^/]+/[^/]+|translated/[^/]+/[^/]+/[^/]+",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        size=part_size,
        sealing=sealing(size=part_size),
    message:
        "Count the parts of {wildcards.made}"
    shell:
        command("posologie.generation.parts", "--table {input:q} --size {params.size} --parts {output:q}")


rule gather_parts:
    input:
        made=parted("{made}", ".parquet"),
        rejects=parted("{made}", ".rejects.parquet"),
        reports=parted("{made}", ".json"),
    output:
        made=ensure("<results>/{made}.parquet", non_empty=True),
        rejects="<results>/{made}.rejects.parquet",
        report="<results>/{made}.json",
    log:
        "<work>/logs/{made}.gather.log",
    wildcard_constraints:
        made=r"generated/[^/.]+/[^/.]+|translated/[^/.]+/[^/.]+/[^/.]+",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        sealing=sealing(),
    message:
        "Put the parts of {wildcards.made} together"
    shell:
        command(
            "posologie.generation.gather",
            "--items {input.made:q} --rejects {input.rejects:q} --reports {input.reports:q}"
            " --out-items {output.made:q} --out-rejects {output.rejects:q} --out-report {output.report:q}",
        )


if "comet" in STUDY.translation_quality.metrics:

    # COMET's package pins its own torch. Where it or the checkpoint is absent, the file says so and the table too.
    rule score_translations_with_comet:
        input:
            sentences="<results>/translation_quality/{translator}.parquet",
            model=comet_checkpoint(),
        output:
            comet="<results>/translation_quality/{translator}.comet.parquet",
            facts="<results>/translation_quality/{translator}.comet.json",
        log:
            "<work>/logs/translation_quality/{translator}.comet.log",
        wildcard_constraints:
            translator=one_of(STUDY.translators),
        localrule: not comet_checkpoint()
        conda:
            str(REPOSITORY / "envs/comet.yaml")
        threads: STUDY.prediction.threads
        resources:
            **gpus(STUDY.devices.gpus_per_prediction_job if comet_checkpoint() else 0),
            mem_mb=growing(16000 if comet_checkpoint() else 1000),
            runtime=growing(60),
        params:
            sealing=sealing(),
            model=comet_words,
        message:
            "Score the translations of {wildcards.translator} with COMET"
        shell:
            command(
                "posologie.generation.comet",
                "--spec '{{}}' --sentences {input.sentences:q} {params.model:q} --comet {output.comet:q}"
                " --facts {output.facts:q} --devices {resources.devices}",
            )


rule tabulate_translation_quality:
    input:
        sentences=translated_parallel_texts(),
        comet=comet_scores(),
        published=PUBLISHED,
    output:
        table_csv("translation_quality"),
    log:
        "<work>/logs/tables/translation_quality.log",
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(20),
    params:
        spec=quality_table_spec,
        sealing=sealing(),
        sentences=lambda wildcards, input: named((Path(path).stem, path) for path in input.sentences),
        comet=comet_table_words,
        published=published_words,
    message:
        "Tabulate the quality of translations"
    shell:
        command(
            "posologie.generation.translation_quality_table",
            "--spec {params.spec:q} --sentences {params.sentences:q} {params.comet:q} {params.published:q}"
            " --table {output:q}",
        )
