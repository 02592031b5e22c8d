# Published files become shards: one rule for each published form that the study uses.
def dataset_folder(described):
    """Return the folder of a downloaded data set: the same for the same data set in every study."""
    name = f"{described.hub.replace('/', '--')}@{described.revision.replace('/', '--')}"
    return f"{STUDY.roots.datasets}/{name}"


DATASETS = {
    Path(dataset_folder(described)).name: described
    for described in [*STUDY.sources.values(), *STUDY.collections.values()]
    if described.hub is not None
}


def fetch_spec(wildcards):
    """Return the spec of one downloaded data set."""
    described = DATASETS[wildcards.dataset]
    return json.dumps({"hub": described.hub, "revision": described.revision}, sort_keys=True)


def source_files(wildcards):
    """Return the files of one split: the manifest of a downloaded data set, or the local files by name."""
    described = STUDY.sources[wildcards.source]
    if described.hub is not None:
        return f"{dataset_folder(described)}/manifest.json"
    if described.made is not None:
        kind = described.made.split("/")[0]
        return f"<results>/{described.made}" + (".parquet" if kind == "generated" else f"/{wildcards.split}.parquet")
    return local_files(described, wildcards.split)


def shard_spec(wildcards):
    """Return the spec of one shard."""
    return plan.shard_spec(STUDY, wildcards.source, wildcards.split).canonical_json()


def all_shards():
    """Return every shard of the study."""
    return [f"<results>/shards/{name}/{split}.parquet" for name, source in STUDY.sources.items() for split in source.splits]


if DATASETS:

    rule fetch_dataset:
        localrule: True
        output:
            "<datasets>/{dataset}/manifest.json",
        wildcard_constraints:
            dataset=one_of(DATASETS),
        params:
            spec=fetch_spec,
        conda:
            ENVIRONMENT
        log:
            "<work>/logs/datasets/{dataset}.log",
        shell:
            command("posologie.sources.fetch", "--spec {params.spec:q} --manifest {output:q}")


def rule_of_reader(reader):
    """Define the rule of one published form (a function for the reason that `rule_of_table` gives)."""

    rule:
        name:
            f"read_{reader}"
        input:
            source_files,
        output:
            shard=ensure("<results>/shards/{source}/{split}.parquet", non_empty=True),
            rejects="<results>/shards/{source}/{split}.rejects.parquet",
            report="<results>/shards/{source}/{split}.json",
        wildcard_constraints:
            source=one_of(name for name, source in STUDY.sources.items() if plan.reader_of(source) == reader),
        params:
            spec=shard_spec,
        threads: 2
        resources:
            mem_mb=growing(4000),
            runtime=growing(30),
        conda:
            ENVIRONMENT
        log:
            "<work>/logs/shards/{source}/{split}.log",
        shell:
            command(
                f"posologie.sources.{reader}",
                "--spec {params.spec:q} --inputs {input:q}"
                " --items {output.shard:q} --rejects {output.rejects:q} --report {output.report:q}",
            )


for reader in sorted({plan.reader_of(source) for source in STUDY.sources.values()}):
    rule_of_reader(reader)
