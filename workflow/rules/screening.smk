# Shards become screened shards: duplicates, and overlap with the suites that the study lists.
def earlier_shards(wildcards):
    """Return the shards against which this one is screened: of the same split, of the sources before it."""
    earlier = plan.earlier_sources(STUDY, wildcards.source)
    return [f"<results>/shards/{name}/{wildcards.split}.parquet" for name in earlier if wildcards.split in STUDY.sources[name].splits]


def screening_tests(wildcards):
    """Return the shards of the suites that must not be trained on."""
    suites = [] if STUDY.screening.mode == "off" else STUDY.screening.against
    return [f"<results>/shards/{name}/{split}.parquet" for name, split in plan.suite_shards(STUDY, suites)]


def screening_spec(wildcards):
    """Return the spec of one screened shard."""
    return plan.screening_spec(STUDY, wildcards.source, wildcards.split).canonical_json()


def by_source(paths):
    """Return SOURCE=PATH words for shards, whose folder is named after their source."""
    return named((Path(path).parent.name, path) for path in paths)


rule screen_shard:
    input:
        shard="<results>/shards/{source}/{split}.parquet",
        earlier=earlier_shards,
        tests=screening_tests,
    output:
        screened=ensure("<results>/screened/{source}/{split}.parquet", non_empty=True),
        report="<results>/screened/{source}/{split}.json",
        matches="<results>/screened/{source}/{split}.matches.parquet",
    wildcard_constraints:
        split=one_of(plan.SCREENED_SPLITS),
    params:
        spec=screening_spec,
        earlier=lambda wildcards, input: by_source(input.earlier),
        tests=lambda wildcards, input: by_source(input.tests),
    threads: 2
    resources:
        mem_mb=growing(8000),
        runtime=growing(60),
    conda:
        ENVIRONMENT
    log:
        "<work>/logs/screened/{source}/{split}.log",
    shell:
        command(
            "posologie.screening",
            "--spec {params.spec:q} --items {input.shard:q} --earlier {params.earlier:q} --tests {params.tests:q}"
            " --screened {output.screened:q} --report {output.report:q} --matches {output.matches:q}",
        )


def leakage_spec(wildcards):
    """Return the spec of the audit of one mix against one suite."""
    return plan.leakage_spec(STUDY, wildcards.mix, wildcards.suite).canonical_json()


def tested_shards(wildcards):
    """Return the shards that a suite takes its items from."""
    return [f"<results>/shards/{name}/{split}.parquet" for name, split in plan.suite_shards(STUDY, [wildcards.suite])]


def all_leakage():
    """Return the audit of every mix against every suite."""
    seeds = plan.sampling_seeds(STUDY)
    return [f"<results>/leakage/{mix}/seed-{seed}/{suite}.parquet" for mix in STUDY.mixes for seed in seeds for suite in STUDY.suites]


# A suite that the study does not screen against is audited beside its scores; the audit removes nothing.
rule audit_leakage:
    input:
        mix="<results>/mixes/{mix}/seed-{seed}/train.parquet",
        tests=tested_shards,
    output:
        ensure("<results>/leakage/{mix}/seed-{seed}/{suite}.parquet", non_empty=True),
    params:
        spec=leakage_spec,
        tests=lambda wildcards, input: by_source(input.tests),
    threads: 2
    resources:
        mem_mb=growing(6000),
        runtime=growing(30),
    conda:
        ENVIRONMENT
    log:
        "<work>/logs/leakage/{mix}/seed-{seed}/{suite}.log",
    shell:
        command(
            "posologie.screening.leakage",
            "--spec {params.spec:q} --mix {input.mix:q} --tests {params.tests:q} --leakage {output:q}",
        )


def screening_reports():
    """Return the report of every screened shard that the study uses."""
    splits = plan.screened_splits(STUDY)
    return [f"<results>/screened/{name}/{split}.json" for name in splits for split in splits[name]]


def screening_table_spec(wildcards):
    """Return the spec of the table of screening."""
    return plan.screening_table_spec(STUDY).canonical_json()


rule tabulate_screening:
    localrule: True
    input:
        screening_reports(),
    output:
        ensure("<results>/tables/screening.csv", non_empty=True),
    params:
        spec=screening_table_spec,
        results=results_root,
    conda:
        ENVIRONMENT
    log:
        "<work>/logs/tables/screening.log",
    shell:
        command(
            "posologie.screening.matrix",
            "--spec {params.spec:q} --results {params.results:q} --table {output:q}",
        )


def topic_training_shards(wildcards):
    """Return the screened training shards of every source."""
    return [f"<results>/screened/{name}/train.parquet" for name in plan.trained_sources(STUDY)]


def topic_tested_shards(wildcards):
    """Return the shards of every suite of choice questions."""
    return [f"<results>/shards/{name}/{split}.parquet" for name, split in plan.suite_shards(STUDY, plan.choice_suites(STUDY))]


def topics_spec(wildcards):
    """Return the spec of the table of topic mismatch."""
    return plan.topics_spec(STUDY).canonical_json()


rule tabulate_topics:
    input:
        train=topic_training_shards,
        tests=topic_tested_shards,
    output:
        ensure("<results>/tables/topics.csv", non_empty=True),
    params:
        spec=topics_spec,
        train=lambda wildcards, input: by_source(input.train),
        tests=lambda wildcards, input: by_source(input.tests),
    threads: 1
    resources:
        mem_mb=growing(6000),
        runtime=growing(20),
    conda:
        ENVIRONMENT
    log:
        "<work>/logs/tables/topics.log",
    shell:
        command(
            "posologie.screening.topics",
            "--spec {params.spec:q} --train {params.train:q} --tests {params.tests:q} --table {output:q}",
        )
