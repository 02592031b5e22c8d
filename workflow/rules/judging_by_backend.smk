# The rules of judging.smk that exist once for each kind of backend that the study uses.
def rule_of_judging(kind):
    """Define the rule of one kind of judge (a function for the reason that `rule_of_table` gives)."""

    rule:
        name:
            f"judge_with_{kind}"
        input:
            predictions="<results>/predictions/{model}/{suite}.parquet",
            shards=scored_items,
            prompt=judge_prompt,
            verdicts=judge_files,
            backbone=judge_backend,
        output:
            judgements=ensure("<results>/judgements/{judge}/{model}/{suite}.parquet", non_empty=True),
            run="<results>/judgements/{judge}/{model}/{suite}.run.json",
        log:
            "<work>/logs/judgements/{judge}/{model}/{suite}.log",
        wildcard_constraints:
            judge=with_kind(STUDY.judges, kind),
        localrule: kind in NO_MODEL_HERE
        conda:
            ENVIRONMENT
        threads: STUDY.prediction.threads
        resources:
            **backend_resources(kind, lambda wildcards: STUDY.judges[wildcards.judge].backend),
            mem_mb=growing(64000),
            runtime=growing(240),
        params:
            spec=judging_spec,
            sealing=sealing(),
            shards=lambda wildcards, input: by_source(input.shards),
            asked=asking_words(kind),
        message:
            "Judge the answers of {wildcards.model} to {wildcards.suite} with {wildcards.judge}"
        shell:
            command(
                "posologie.judging.outside" if kind == "outside" else "posologie.judging.command",
                "--spec {params.spec:q} --predictions {input.predictions:q} --items {params.shards:q} {params.asked:q}"
                " --judgements {output.judgements:q} --run {output.run:q} --devices {resources.devices}",
                backend=None if kind == "outside" else kind,
            )


def rule_of_calibration(kind):
    """Define the rule by which one kind of judge judges the answers that people rated."""

    rule:
        name:
            f"calibrate_{kind}"
        input:
            human="<results>/human/{ratings}.parquet",
            prompt=judge_prompt,
            verdicts=judge_files,
            trained_on=training_data,
            backbone=judge_backend,
        output:
            judgements=ensure("<results>/judgements/{judge}/calibration/{ratings}.parquet", non_empty=True),
            run="<results>/judgements/{judge}/calibration/{ratings}.run.json",
        log:
            "<work>/logs/judgements/{judge}/calibration/{ratings}.log",
        wildcard_constraints:
            judge=with_kind(STUDY.judges, kind),
            ratings=one_of(STUDY.judging.ratings),
        localrule: kind in NO_MODEL_HERE
        conda:
            ENVIRONMENT
        threads: STUDY.prediction.threads
        resources:
            **backend_resources(kind, lambda wildcards: STUDY.judges[wildcards.judge].backend),
            mem_mb=growing(64000),
            runtime=growing(60),
        params:
            spec=calibration_spec,
            sealing=sealing(),
            trained_on=training_words,
            asked=asking_words(kind),
        message:
            "Judge the rated answers of {wildcards.ratings} with {wildcards.judge}"
        shell:
            command(
                "posologie.judging.outside" if kind == "outside" else "posologie.judging.command",
                "--spec {params.spec:q} --human {input.human:q} {params.trained_on:q} {params.asked:q}"
                " --judgements {output.judgements:q} --run {output.run:q} --devices {resources.devices}",
                backend=None if kind == "outside" else kind,
            )


def rule_of_judging_engine(suites):
    """Define the rule of judges behind engines, with one job for all suites of a model, which starts the engine once."""

    rule:
        name:
            "judge_with_engine"
        input:
            predictions=[f"<results>/predictions/{{model}}/{suite}.parquet" for suite in suites],
            shards=suite_items(suites),
            prompt=judge_prompt,
            backbone=judge_backend,
        output:
            judgements=[
                ensure(f"<results>/judgements/{{judge}}/{{model}}/{suite}.parquet", non_empty=True) for suite in suites
            ],
            run=[f"<results>/judgements/{{judge}}/{{model}}/{suite}.run.json" for suite in suites],
        log:
            "<work>/logs/judgements/{judge}/{model}/engine.log",
        wildcard_constraints:
            judge=with_kind(STUDY.judges, "engine"),
        conda:
            ENVIRONMENT
        threads: STUDY.prediction.threads
        resources:
            **backend_resources("engine", lambda wildcards: STUDY.judges[wildcards.judge].backend),
            mem_mb=growing(64000),
            runtime=growing(480),
        params:
            spec=suites_judging_spec(suites),
            sealing=sealing(),
            shards=lambda wildcards, input: by_source(input.shards),
            answers=lambda wildcards, input: named(zip(suites, input.predictions)),
            judgements=lambda wildcards, output: named(zip(suites, output.judgements)),
            run=lambda wildcards, output: named(zip(suites, output.run)),
            asked=asking_words("engine"),
        message:
            "Judge the answers of {wildcards.model} to every suite with {wildcards.judge}, behind an engine"
        shell:
            command(
                "posologie.judging.command",
                "--spec {params.spec:q} --answers {params.answers:q} --items {params.shards:q} {params.asked:q}"
                " --judgements {params.judgements:q} --run {params.run:q} --devices {resources.devices}",
                backend="engine",
            )


for kind in kinds_of(STUDY.judges):
    rule_of_calibration(kind)
    if kind != "engine":
        rule_of_judging(kind)
    elif plan.open_suites(STUDY):
        rule_of_judging_engine(plan.open_suites(STUDY))


def rule_of_kit(name, kit):
    """Define the rule of one rating kit, with a sheet for each rater and the key that only the study keeps."""

    rule:
        name:
            f"make_kit_{re.sub(r'[^A-Za-z0-9_]', '_', name)}"
        input:
            predictions=[f"<results>/predictions/{model}/{kit.suite}.parquet" for model in kit.models],
            shards=suite_items([kit.suite]),
            judgements=[
                f"<results>/judgements/{kit.judge}/{model}/{kit.suite}.parquet" for model in kit.models if kit.judge
            ],
        output:
            key=ensure(f"<results>/human/kits/{name}/key.parquet", non_empty=True),
            sheets=[f"<results>/human/kits/{name}/{rater}.xlsx" for rater in kit.raters],
        log:
            f"<work>/logs/human/kits/{name}.log",
        localrule: True
        conda:
            ENVIRONMENT
        params:
            spec=lambda wildcards: KitSpec(name=name, kit=kit).canonical_json(),
            sealing=sealing(),
            predictions=lambda wildcards, input: named(zip(kit.models, input.predictions)),
            shards=lambda wildcards, input: by_source(input.shards),
            sheets=lambda wildcards, output: named(zip(kit.raters, output.sheets)),
            judgements=lambda wildcards, input: (
                ["--judgements", *named(zip(kit.models, input.judgements))] if kit.judge else []
            ),
        message:
            f"Make the rating kit {name}"
        shell:
            command(
                "posologie.judging.kit",
                "--spec {params.spec:q} --predictions {params.predictions:q} --items {params.shards:q}"
                " --sheets {params.sheets:q} --key {output.key:q} {params.judgements:q}",
            )


for kit_name, kit in STUDY.judging.kits.items():
    rule_of_kit(kit_name, kit)
