# Shards become screened shards: duplicates, and overlap with the suites that the study lists.
include: "functions/screening.smk"
include: "screening_by_backend.smk"


rule screen_shard:
    input:
        shard="<results>/shards/{source}/{split}.parquet",
        earlier=earlier_shards,
        tests=screening_tests,
        compared=screening_compared,
        languages=LANGUAGES,
        encoder=sentence_encoder,
        encoder_files=sentence_encoder_files,
        quality=ratings_of_items,
    output:
        screened=ensure("<results>/screened/{source}/{split}.parquet", non_empty=True),
        report="<results>/screened/{source}/{split}.json",
        matches="<results>/screened/{source}/{split}.matches.parquet",
    log:
        "<work>/logs/screened/{source}/{split}.log",
    wildcard_constraints:
        split=one_of(plan.SCREENED_SPLITS),
    conda:
        ENVIRONMENT
    threads: 2
    resources:
        **ENCODER_RESOURCES,
        mem_mb=growing(8000),
        runtime=growing(60),
    params:
        spec=screening_spec,
        sealing=sealing(),
        earlier=lambda wildcards, input: by_source(input.earlier),
        tests=lambda wildcards, input: by_source(input.tests),
        compared=lambda wildcards, input: by_source(input.compared),
        encoder=encoder_words,
        quality=lambda wildcards, input: ["--quality", input.quality] if input.quality else [],
    message:
        "Screen {wildcards.source} ({wildcards.split})"
    shell:
        command(
            "posologie.screening",
            "--spec {params.spec:q} --items {input.shard:q} --earlier {params.earlier:q} --tests {params.tests:q}"
            " --compared {params.compared:q} {params.encoder:q} {params.quality:q} --screened {output.screened:q}"
            " --report {output.report:q} --matches {output.matches:q} --processes {threads} --devices {resources.devices}",
        )


# Documents are screened before anything is generated from them.
rule screen_documents:
    input:
        documents="<results>/documents/{collection}.parquet",
        tests=quotable_tests,
        compared=quotable_originals,
    output:
        screened=ensure("<results>/screened_documents/{collection}.parquet", non_empty=True),
        report="<results>/screened_documents/{collection}.json",
        matches="<results>/screened_documents/{collection}.matches.parquet",
    log:
        "<work>/logs/screened_documents/{collection}.log",
    wildcard_constraints:
        collection=one_of(STUDY.collections),
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=growing(6000),
        runtime=growing(30),
    params:
        spec=documents_spec,
        sealing=sealing(),
        tests=lambda wildcards, input: by_source(input.tests),
        compared=lambda wildcards, input: by_source(input.compared),
    message:
        "Screen the documents {wildcards.collection}"
    shell:
        command(
            "posologie.screening.documents",
            "--spec {params.spec:q} --documents {input.documents:q} --tests {params.tests:q}"
            " --compared {params.compared:q} --screened {output.screened:q} --report {output.report:q}"
            " --matches {output.matches:q}",
        )


# Every mix is audited against every suite, whatever the study screens: what was not left out has to be known beside the
# scores. The audit removes nothing.
rule audit_leakage:
    input:
        mix="<results>/mixes/{mix}/seed-{seed}/train.parquet",
        tests=tested_shards,
        compared=compared_shards,
        languages=LANGUAGES,
        encoder=sentence_encoder,
        encoder_files=sentence_encoder_files,
    output:
        ensure("<results>/leakage/{mix}/seed-{seed}/{suite}.parquet", non_empty=True),
    log:
        "<work>/logs/leakage/{mix}/seed-{seed}/{suite}.log",
    conda:
        ENVIRONMENT
    threads: 2
    resources:
        **ENCODER_RESOURCES,
        mem_mb=growing(6000),
        runtime=growing(30),
    params:
        spec=leakage_spec,
        sealing=sealing(),
        tests=lambda wildcards, input: by_source(input.tests),
        compared=lambda wildcards, input: by_source(input.compared),
        encoder=encoder_words,
    message:
        "Look for items of {wildcards.suite} in mix {wildcards.mix} (seed {wildcards.seed})"
    shell:
        command(
            "posologie.screening.leakage",
            "--spec {params.spec:q} --mix {input.mix:q} --tests {params.tests:q}"
            " --compared {params.compared:q} {params.encoder:q} --leakage {output:q} --devices {resources.devices}",
        )


rule tabulate_screening:
    input:
        screening_reports(),
    output:
        table_csv("screening"),
    log:
        "<work>/logs/tables/screening.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        spec=screening_table_spec,
        sealing=sealing(),
        results=results_root,
    message:
        "Tabulate what screening found"
    shell:
        command(
            "posologie.screening.matrix",
            "--spec {params.spec:q} --results {params.results:q} --table {output:q}",
        )


rule tabulate_topics:
    input:
        train=topic_training_shards,
        tests=topic_tested_shards,
    output:
        table_csv("topics"),
    log:
        "<work>/logs/tables/topics.log",
    conda:
        ENVIRONMENT
    threads: 1
    resources:
        mem_mb=growing(6000),
        runtime=growing(20),
    params:
        spec=topics_spec,
        sealing=sealing(),
        train=lambda wildcards, input: by_source(input.train),
        tests=lambda wildcards, input: by_source(input.tests),
    message:
        "Tabulate how far the sources are from the suites"
    shell:
        command(
            "posologie.screening.topics",
            "--spec {params.spec:q} --train {params.train:q} --tests {params.tests:q} --table {output:q}",
        )
