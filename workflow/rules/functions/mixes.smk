# What the rules of mixes.smk are given: inputs, specs, words of the command line, targets.
def mix_training_items(wildcards):
    """Return the screened training shards that a mix draws from."""
    return [f"<results>/screened/{name}/train.parquet" for name in plan.mix_sources(STUDY, wildcards.mix)]


def mix_validation_items(wildcards):
    """Return the screened shards of the validation set that all mixes share."""
    return [f"<results>/screened/{name}/validation.parquet" for name in plan.validation_sources(STUDY)]


def mix_spec(wildcards):
    """Return the spec of one mix."""
    return job_specs.mix_spec(STUDY, wildcards.mix, int(wildcards.seed)).canonical_json()


def all_mixes():
    """Return every mix of the study."""
    return [
        f"<results>/mixes/{mix}/seed-{seed}/composition.json"
        for mix in STUDY.mixes
        for seed in plan.sampling_seeds(STUDY, mix)
    ]


def shard_reports():
    """Return the report of every shard of the study."""
    return [path.replace(".parquet", ".json") for path in all_shards()]


def composition_spec(wildcards):
    """Return the spec of the table of what every mix and source holds."""
    return table_specs.composition_spec(STUDY).canonical_json()


def counting_backbone(wildcards):
    """Return the manifest of the backbone in whose tokens lengths are counted; none where no model is adapted."""
    return [manifest_of(backbone) for backbone in STUDY.backbones.values()][:1]
