# Models answer suites: one rule for each bundle of suites, one job for each model and bundle.
def answering_backbone(wildcards):
    """Return the manifest of the model that answers, without its adapter."""
    model = MODELS[wildcards.model]
    if model.backbone is not None:
        return manifest_of(STUDY.backbones[model.backbone])
    return manifest_of(STUDY.published_models[model.published].model)


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
    return ["--adapter-weights", f"{folder}/adapter_model.safetensors", "--adapter-config", f"{folder}/adapter_config.json"]


def suite_items(suites):
    """Return the shards that suites take their items from."""
    return [f"<results>/shards/{name}/{split}.parquet" for name, split in plan.suite_shards(STUDY, suites)]


def prediction_spec(bundle):
    """Return a function that gives the spec of one model's answers to a bundle."""

    def spec(wildcards):
        return plan.prediction_spec(STUDY, wildcards.model, bundle).canonical_json()

    return spec


def all_predictions():
    """Return every predictions file of the study."""
    return [f"<results>/predictions/{model}/{suite}.parquet" for model in MODELS for suite in STUDY.suites]


def rule_of_bundle(bundle, suites):
    """Define the rule of one bundle (a function for the reason that `rule_of_table` gives)."""

    rule:
        name:
            f"predict_{bundle}"
        input:
            shards=suite_items(suites),
            backbone=answering_backbone,
            adapter=answering_adapter,
        output:
            **{f"predictions_{suite}": ensure(f"<results>/predictions/{{model}}/{suite}.parquet", non_empty=True) for suite in suites},
            **{f"run_{suite}": f"<results>/predictions/{{model}}/{suite}.run.json" for suite in suites},
        params:
            spec=prediction_spec(bundle),
            shards=lambda wildcards, input: by_source(input.shards),
            predictions=lambda wildcards, output, suites=suites: named((suite, output[f"predictions_{suite}"]) for suite in suites),
            run=lambda wildcards, output, suites=suites: named((suite, output[f"run_{suite}"]) for suite in suites),
            adapter=adapter_words,
            work=f"{WORK}/prediction/{{model}}/{bundle}",
        threads: STUDY.prediction.threads
        resources:
            **gpus(STUDY.devices.gpus_per_prediction_job),
            mem_mb=growing(32000),
            runtime=growing(480),
            chunk_tokens=STUDY.devices.prediction_chunk_tokens,
        conda:
            ENVIRONMENT
        log:
            f"<work>/logs/predictions/{{model}}/{bundle}.log",
        shell:
            command(
                "posologie.prediction",
                "--spec {params.spec:q} --items {params.shards:q} --backbone {input.backbone:q} {params.adapter:q}"
                " --predictions {params.predictions:q} --run {params.run:q}"
                " --work {params.work:q} --chunk-tokens {resources.chunk_tokens}",
            )


for bundle, suites in BUNDLES.items():
    rule_of_bundle(bundle, suites)
