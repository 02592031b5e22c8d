# What the rules of sources.smk are given: inputs, specs, words of the command line, targets.
def dataset_folder(described):
    """Return the folder of a downloaded data set."""
    return f"{STUDY.roots.datasets}/{downloaded(described.hub, described.revision)}"


DATASETS = {
    downloaded(described.hub, described.revision): described
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
        made_in_one = described.made.startswith("generated/")
        return f"<results>/{described.made if made_in_one else f'{described.made}/{wildcards.split}'}.parquet"
    return local_files(described, wildcards.split)


def shard_spec(wildcards):
    """Return the spec of one shard."""
    return job_specs.shard_spec(STUDY, wildcards.source, wildcards.split).canonical_json()


def all_shards():
    """Return every shard of the study."""
    return [
        f"<results>/shards/{name}/{split}.parquet" for name, source in STUDY.sources.items() for split in source.splits
    ]
