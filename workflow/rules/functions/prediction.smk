# What the rules of prediction.smk are given: inputs, specs, words of the command line, targets.
def answering_backbone(wildcards):
    """Return the manifest of the model that answers, without its adapter."""
    model = MODELS[wildcards.model]
    if model.published is not None and STUDY.published_models[model.published].adapter_on is None:
        return manifest_of(STUDY.published_models[model.published].model)
    return manifest_of(STUDY.backbones[model.backbone])


def answering_adapter(wildcards):
    """Return the declared files of the answering model's adapter: none for a base or merged model."""
    model = MODELS[wildcards.model]
    if model.published:
        published = STUDY.published_models[model.published]
        return [] if published.adapter_on is None else [manifest_of(published.model)]
    if model.mix is None:
        return []
    folder = f"<results>/adapters/{model.id}"
    return [f"{folder}/adapter_model.safetensors", f"{folder}/adapter_config.json"]


def adapter_words(wildcards, input):
    """Return the words of the command line that name the adapter's files."""
    if not input.adapter:
        return []
    folder = Path(input.adapter[0]).parent.as_posix()
    return [
        "--adapter-weights",
        f"{folder}/adapter_model.safetensors",
        "--adapter-config",
        f"{folder}/adapter_config.json",
    ]


def merged_backbone(wildcards):
    """Return the manifest of the backbone into which single-component models are merged."""
    return manifest_of(STUDY.backbones[PROXIES[wildcards.model].backbone])


def merged_folders(wildcards):
    """Return mix → folder of the model that stands for it in a merged model."""
    proxy = PROXIES[wildcards.model]
    return {mix: f"adapters/{proxy.backbone}/{mix}/seed-{proxy.seed}" for mix in proxy.of}


def merged_adapters(wildcards):
    """Return the files of the models that are merged."""
    names = ("adapter_model.safetensors", "adapter_config.json")
    return [f"<results>/{folder}/{name}" for folder in merged_folders(wildcards).values() for name in names]


def merged_words(wildcards, input):
    """Return the words of the command line that name the merged models' folders."""
    weights = [path for path in input.adapters if path.endswith(".safetensors")]
    return named(zip(merged_folders(wildcards), (Path(path).parent.as_posix() for path in weights)))


def merged_prediction_spec(bundle):
    """Return a function that gives the spec of one merged model's answers to a bundle."""

    def spec(wildcards):
        return merging.prediction_spec(STUDY, wildcards.model, bundle).canonical_json()

    return spec


def suite_items(suites):
    """Return the shards that suites take their items from."""
    return [f"<results>/shards/{name}/{split}.parquet" for name, split in plan.suite_shards(STUDY, suites)]


def prediction_spec(bundle):
    """Return a function that gives the spec of one model's answers to a bundle."""

    def spec(wildcards):
        return job_specs.prediction_spec(STUDY, wildcards.model, bundle).canonical_json()

    return spec


def endpoint_prediction_spec(suites):
    """Return a function that gives the spec of one served model's answers to some suites."""

    def spec(wildcards):
        return job_specs.endpoint_prediction_spec(STUDY, wildcards.model, suites).canonical_json()

    return spec


def engine_of(wildcards):
    """Return the engine behind which a model answers."""
    return plan.engine_of(STUDY, wildcards.model)


def served_by_engine(wildcards):
    """Return the manifest of the model that an engine serves."""
    return manifest_of(plan.local_model(STUDY, engine_of(wildcards).model))


def outside_prediction_spec(bundle):
    """Return a function that gives the spec of one model's answers from files to a bundle."""

    def spec(wildcards):
        return job_specs.outside_prediction_spec(STUDY, wildcards.model, bundle).canonical_json()

    return spec


def outside_files(wildcards):
    """Return the files that hold the answers of a model from outside."""
    return list(STUDY.published_models[MODELS[wildcards.model].published].answers.files)


def endpoint_running(wildcards, resources):
    """Return how a served model is asked; it takes `resources`, which never trigger, because it changes no reply."""
    return running_of(STUDY.published_models[MODELS[wildcards.model].published].served)


def all_predictions():
    """Return every predictions file of the study."""
    return [f"<results>/predictions/{model}/{suite}.parquet" for model in MODELS for suite in STUDY.suites]
