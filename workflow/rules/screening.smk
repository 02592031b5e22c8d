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
