# What the rules of screening.smk are given: inputs, specs, words of the command line, targets.
LANGUAGES = [
    shipped(f"resources/languages/{path.name}") for path in sorted((REPOSITORY / "resources/languages").glob("*.yaml"))
]
"""What the program knows of languages: facts of two items are compared by it."""


def earlier_shards(wildcards):
    """Return the shards against which this one is screened: of the same split, of the sources before it."""
    earlier = plan.earlier_sources(STUDY, wildcards.source)
    return [
        f"<results>/shards/{name}/{wildcards.split}.parquet"
        for name in earlier
        if wildcards.split in STUDY.sources[name].splits
    ]


def screening_tests(wildcards):
    """Return the shards of the suites that must not be trained on."""
    suites = [] if STUDY.screening.mode == "off" else STUDY.screening.against
    return [f"<results>/shards/{name}/{split}.parquet" for name, split in plan.suite_shards(STUDY, suites)]


def compared_shards(wildcards):
    """Return the shards that are only compared with, such as the originals of translated tests."""
    return [f"<results>/shards/{name}/{split}.parquet" for name, split in plan.compared_shards(STUDY)]


def screening_compared(wildcards):
    """Return the shards that are only compared with, where the study screens its sources."""
    return [] if STUDY.screening.mode == "off" else compared_shards(wildcards)


ENCODER_RESOURCES = gpus(STUDY.devices.gpus_per_prediction_job if STUDY.screening.encoder is not None else 0)
"""What a job that compares items asks for: a GPU where a sentence encoder is part of the comparison."""


def sentence_encoder(wildcards):
    """Return the manifest of a sentence encoder from the hub."""
    return manifest_of_encoder(STUDY.screening.encoder)


def sentence_encoder_files(wildcards):
    """Return the files of a sentence encoder that lies in a folder."""
    return [] if STUDY.screening.encoder is None else STUDY.screening.encoder.files()


def encoder_words(wildcards, input):
    """Return the words of the command line that name an encoder from the hub."""
    return ["--encoder", input.encoder] if input.encoder else []


def screening_spec(wildcards):
    """Return the spec of one screened shard."""
    return job_specs.screening_spec(STUDY, wildcards.source, wildcards.split).canonical_json()


def ratings_of_items(wildcards):
    """Return the ratings of the items that are screened, where the study has a quality screen for them."""
    rated = wildcards.split == "train" and wildcards.source in plan.rated_sources(STUDY)
    return f"<results>/quality/{STUDY.screening.quality.judge}/{wildcards.source}.parquet" if rated else []


def rating_spec(wildcards):
    """Return the spec of one judge's ratings of a source."""
    return job_specs.rating_spec(STUDY, wildcards.judge, wildcards.source).canonical_json()


def rating_kinds():
    """Return the kind of backend that rates training items, where the study has a quality screen."""
    return [STUDY.judges[STUDY.screening.quality.judge].backend.kind] if plan.rated_sources(STUDY) else []


def by_source(paths):
    """Return SOURCE=PATH words for shards, whose folder is named after their source."""
    return named((Path(path).parent.name, path) for path in paths)


def leakage_spec(wildcards):
    """Return the spec of the audit of one mix against one suite."""
    return job_specs.leakage_spec(STUDY, wildcards.mix, wildcards.suite).canonical_json()


def tested_shards(wildcards):
    """Return the shards that a suite takes its items from."""
    return [f"<results>/shards/{name}/{split}.parquet" for name, split in plan.suite_shards(STUDY, [wildcards.suite])]


def all_leakage():
    """Return the audit of every mix against every suite."""
    drawn = [f"{mix}/seed-{seed}" for mix in STUDY.mixes for seed in plan.sampling_seeds(STUDY, mix)]
    return [f"<results>/leakage/{mix}/{suite}.parquet" for mix in drawn for suite in STUDY.suites]


def quotable_tests(wildcards):
    """Return the shards of tested items that a document must not quote."""
    return [f"<results>/shards/{name}/{split}.parquet" for name, split in plan.quotable_shards(STUDY)[0]]


def quotable_originals(wildcards):
    """Return the shards of only compared items that a document must not quote."""
    return [f"<results>/shards/{name}/{split}.parquet" for name, split in plan.quotable_shards(STUDY)[1]]


def documents_spec(wildcards):
    """Return the spec of the screened documents of a collection."""
    return job_specs.documents_spec(STUDY, wildcards.collection).canonical_json()


def screening_reports():
    """Return the report of every screened shard that the study uses."""
    splits = plan.screened_splits(STUDY)
    return [f"<results>/screened/{name}/{split}.json" for name in splits for split in splits[name]]


def screening_table_spec(wildcards):
    """Return the spec of the table of screening."""
    return table_specs.screening_table_spec(STUDY).canonical_json()


def topic_training_shards(wildcards):
    """Return the screened training shards of every source."""
    return [f"<results>/screened/{name}/train.parquet" for name in plan.trained_sources(STUDY)]


def topic_tested_shards(wildcards):
    """Return the shards of every suite of choice questions."""
    return [
        f"<results>/shards/{name}/{split}.parquet"
        for name, split in plan.suite_shards(STUDY, plan.choice_suites(STUDY))
    ]


def topics_spec(wildcards):
    """Return the spec of the table of topic mismatch."""
    return table_specs.topics_spec(STUDY).canonical_json()
