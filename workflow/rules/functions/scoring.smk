# What the rules of scoring.smk are given: inputs, specs, words of the command line, targets.
def scored_items(wildcards):
    """Return the shards that a suite takes its items from."""
    return suite_items([wildcards.suite])


def scoring_spec(wildcards):
    """Return the spec of one scores file."""
    return job_specs.scoring_spec(STUDY, wildcards.suite).canonical_json()


def all_scores():
    """Return every scores file of the study."""
    return [f"<results>/scores/{model}/{suite}.parquet" for model in MODELS for suite in STUDY.suites]


def proxy_scores():
    """Return every scores file of a merged model, and those of the trained ones."""
    suites = {suite for some in merging.bundles(STUDY).values() for suite in some}
    return all_scores() + [
        f"<results>/scores/{proxy}/{suite}.parquet" for proxy in PROXIES for suite in STUDY.suites if suite in suites
    ]


def neural_spec(wildcards):
    """Return the spec of one file of neural scores."""
    return job_specs.neural_spec(STUDY, wildcards.suite).canonical_json()


def encoder_manifest(wildcards):
    """Return the manifest of an encoder from the hub; one from a package or a folder has none."""
    return manifest_of_encoder(STUDY.scoring.encoder)


def encoder_files(wildcards):
    """Return the files of an encoder that lies in a folder."""
    return [] if STUDY.scoring.encoder is None else STUDY.scoring.encoder.files()


def wordnet_files(wildcards):
    """Return the files of the WordNet that METEOR's synonyms come from."""
    return plan.wordnet_files(STUDY)


def all_neural_scores():
    """Return the neural scores of every model's open answers, where the study names an encoder."""
    suites = plan.open_suites(STUDY) if STUDY.scoring.encoder is not None else []
    return [f"<results>/scores_neural/{model}/{suite}.parquet" for model in MODELS for suite in suites]
