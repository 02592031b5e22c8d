# Models answer suites: one rule for each bundle of suites, one job for each model and bundle; served models have a rule of their own.
include: "functions/prediction.smk"


SERVED = plan.served_models(STUDY)
BY_ENGINE = [name for name in SERVED if plan.engine_of(STUDY, name) is not None]
OUTSIDE = plan.outside_models(STUDY)


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
            **{
                f"predictions_{suite}": ensure(f"<results>/predictions/{{model}}/{suite}.parquet", non_empty=True)
                for suite in suites
            },
            **{f"run_{suite}": f"<results>/predictions/{{model}}/{suite}.run.json" for suite in suites},
        log:
            f"<work>/logs/predictions/{{model}}/{bundle}.log",
        wildcard_constraints:
            model=one_of(name for name in MODELS if name not in SERVED and name not in OUTSIDE),
        conda:
            ENVIRONMENT
        threads: STUDY.prediction.threads
        resources:
            **gpus(STUDY.devices.gpus_per_prediction_job),
            mem_mb=growing(32000),
            runtime=growing(480),
            torch_threads=STUDY.prediction.threads,
            chunk_tokens=STUDY.devices.prediction_chunk_tokens,
        params:
            spec=prediction_spec(bundle),
            sealing=sealing(),
            shards=lambda wildcards, input: by_source(input.shards),
            predictions=lambda wildcards, output, suites=suites: named(
                (suite, output[f"predictions_{suite}"]) for suite in suites
            ),
            run=lambda wildcards, output, suites=suites: named((suite, output[f"run_{suite}"]) for suite in suites),
            adapter=adapter_words,
            work=f"{WORK}/prediction/{{model}}/{bundle}",
        message:
            f"Let {{wildcards.model}} answer {', '.join(suites)}"
        shell:
            command(
                "posologie.prediction",
                "--spec {params.spec:q} --items {params.shards:q} --backbone {input.backbone:q} {params.adapter:q}"
                " --predictions {params.predictions:q} --run {params.run:q}"
                " --work {params.work:q} --chunk-tokens {resources.chunk_tokens} --threads {resources.torch_threads}"
                " --devices {resources.devices}",
            )


def rule_of_asking(bundle, suites):
    """Define the local rule of one bundle for models behind endpoints, because compute nodes often have no network."""

    rule:
        name:
            f"ask_{bundle}"
        input:
            shards=suite_items(suites),
        output:
            **{
                f"predictions_{suite}": ensure(f"<results>/predictions/{{model}}/{suite}.parquet", non_empty=True)
                for suite in suites
            },
            **{f"run_{suite}": f"<results>/predictions/{{model}}/{suite}.run.json" for suite in suites},
        log:
            f"<work>/logs/predictions/{{model}}/{bundle}.log",
        wildcard_constraints:
            model=one_of(name for name in SERVED if name not in BY_ENGINE),
        localrule: True
        conda:
            ENVIRONMENT
        params:
            spec=endpoint_prediction_spec(suites),
            sealing=sealing(),
            shards=lambda wildcards, input: by_source(input.shards),
            predictions=lambda wildcards, output, suites=suites: named(
                (suite, output[f"predictions_{suite}"]) for suite in suites
            ),
            run=lambda wildcards, output, suites=suites: named((suite, output[f"run_{suite}"]) for suite in suites),
            running=endpoint_running,
            work=f"{WORK}/prediction/{{model}}/{bundle}",
        message:
            f"Ask {{wildcards.model}} for its answers to {', '.join(suites)}"
        shell:
            command(
                "posologie.prediction.served",
                "--spec {params.spec:q} --items {params.shards:q} --predictions {params.predictions:q} --run {params.run:q}"
                " --work {params.work:q} --running {params.running:q}",
                backend="openai_endpoint",
            )


def rule_of_engine(suites):
    """Define the rule of engines, whose one job for a model starts the engine once and answers all suites."""

    rule:
        name:
            "predict_with_engine"
        input:
            shards=suite_items(suites),
            backbone=served_by_engine,
        output:
            **{
                f"predictions_{suite}": ensure(f"<results>/predictions/{{model}}/{suite}.parquet", non_empty=True)
                for suite in suites
            },
            **{f"run_{suite}": f"<results>/predictions/{{model}}/{suite}.run.json" for suite in suites},
        log:
            "<work>/logs/predictions/{model}/engine.log",
        wildcard_constraints:
            model=one_of(BY_ENGINE),
        conda:
            ENVIRONMENT
        threads: STUDY.prediction.threads
        resources:
            **backend_resources("engine", engine_of),
            mem_mb=growing(64000),
            runtime=growing(480),
        params:
            spec=endpoint_prediction_spec(suites),
            sealing=sealing(),
            shards=lambda wildcards, input: by_source(input.shards),
            predictions=lambda wildcards, output: named((suite, output[f"predictions_{suite}"]) for suite in suites),
            run=lambda wildcards, output: named((suite, output[f"run_{suite}"]) for suite in suites),
            running=endpoint_running,
            work=f"{WORK}/prediction/{{model}}/engine",
        message:
            "Let {wildcards.model} answer every suite behind an engine"
        shell:
            command(
                "posologie.prediction.served",
                "--spec {params.spec:q} --items {params.shards:q} --backbone {input.backbone:q}"
                " --predictions {params.predictions:q} --run {params.run:q}"
                " --work {params.work:q} --running {params.running:q} --devices {resources.devices}",
                backend="engine",
            )


def rule_of_outside(bundle, suites):
    """Define the rule of one bundle for models whose answers come from files."""

    rule:
        name:
            f"import_answers_{bundle}"
        input:
            shards=suite_items(suites),
            answers=outside_files,
        output:
            **{
                f"predictions_{suite}": ensure(f"<results>/predictions/{{model}}/{suite}.parquet", non_empty=True)
                for suite in suites
            },
            **{f"run_{suite}": f"<results>/predictions/{{model}}/{suite}.run.json" for suite in suites},
        log:
            f"<work>/logs/predictions/{{model}}/{bundle}.log",
        wildcard_constraints:
            model=one_of(OUTSIDE),
        localrule: True
        conda:
            ENVIRONMENT
        params:
            spec=outside_prediction_spec(bundle),
            sealing=sealing(),
            shards=lambda wildcards, input: by_source(input.shards),
            predictions=lambda wildcards, output, suites=suites: named(
                (suite, output[f"predictions_{suite}"]) for suite in suites
            ),
            run=lambda wildcards, output, suites=suites: named((suite, output[f"run_{suite}"]) for suite in suites),
            work=f"{WORK}/prediction/{{model}}/{bundle}",
        message:
            f"Read the answers of {{wildcards.model}} to {', '.join(suites)}"
        shell:
            command(
                "posologie.prediction.outside",
                "--spec {params.spec:q} --items {params.shards:q} --answers {input.answers:q}"
                " --predictions {params.predictions:q} --run {params.run:q} --work {params.work:q}",
            )


def rule_of_merging(bundle, suites):
    """Define the rule of one bundle for merged models, which are merged from those of single components at load."""

    rule:
        name:
            f"predict_merged_{bundle}"
        input:
            shards=suite_items(suites),
            backbone=merged_backbone,
            adapters=merged_adapters,
        output:
            **{
                f"predictions_{suite}": ensure(f"<results>/predictions/{{model}}/{suite}.parquet", non_empty=True)
                for suite in suites
            },
            **{f"run_{suite}": f"<results>/predictions/{{model}}/{suite}.run.json" for suite in suites},
        log:
            f"<work>/logs/predictions/{{model}}/{bundle}.log",
        wildcard_constraints:
            model=one_of(PROXIES),
        conda:
            ENVIRONMENT
        threads: STUDY.prediction.threads
        resources:
            **gpus(STUDY.devices.gpus_per_prediction_job),
            mem_mb=growing(48000),
            runtime=growing(480),
            torch_threads=STUDY.prediction.threads,
            chunk_tokens=STUDY.devices.prediction_chunk_tokens,
        params:
            spec=merged_prediction_spec(bundle),
            sealing=sealing(),
            shards=lambda wildcards, input: by_source(input.shards),
            predictions=lambda wildcards, output, suites=suites: named(
                (suite, output[f"predictions_{suite}"]) for suite in suites
            ),
            run=lambda wildcards, output, suites=suites: named((suite, output[f"run_{suite}"]) for suite in suites),
            adapters=merged_words,
            work=f"{WORK}/prediction/{{model}}/{bundle}",
        message:
            f"Let the merged model {{wildcards.model}} answer {', '.join(suites)}"
        shell:
            command(
                "posologie.prediction.merged",
                "--spec {params.spec:q} --items {params.shards:q} --backbone {input.backbone:q} --adapters {params.adapters:q}"
                " --predictions {params.predictions:q} --run {params.run:q}"
                " --work {params.work:q} --chunk-tokens {resources.chunk_tokens} --threads {resources.torch_threads}"
                " --devices {resources.devices}",
            )


for bundle, suites in BUNDLES.items():
    rule_of_bundle(bundle, suites)
    if len(SERVED) > len(BY_ENGINE):
        rule_of_asking(bundle, suites)
    if OUTSIDE:
        rule_of_outside(bundle, suites)
if BY_ENGINE:
    rule_of_engine(tuple(STUDY.suites))
for bundle, suites in merging.bundles(STUDY).items() if PROXIES else ():
    rule_of_merging(bundle, suites)
