# Judges rate open answers: the chosen one every answer, all of them the answers that people rated.
def judge_backend(wildcards):
    """Return the manifest of a judge's local model; an endpoint has none."""
    return manifest_of_backend(STUDY.judges[wildcards.judge].backend)


def judging_spec(wildcards):
    """Return the spec of one judge's verdicts on a model's answers."""
    return plan.judging_spec(STUDY, wildcards.judge, wildcards.model, wildcards.suite).canonical_json()


def calibration_spec(wildcards):
    """Return the spec of one judge's verdicts on a set of human ratings."""
    return plan.calibration_spec(STUDY, wildcards.judge, wildcards.ratings).canonical_json()


def all_judgements():
    """Return the chosen judge's verdicts on every model's answers."""
    chosen, suites = STUDY.judging.chosen, plan.open_suites(STUDY)
    if chosen is None:
        return []
    return [f"<results>/judgements/{chosen}/{model}/{suite}.parquet" for model in MODELS for suite in suites]


def all_calibrations():
    """Return every judge's verdicts on every set of human ratings."""
    return [f"<results>/judgements/{judge}/calibration/{name}.parquet" for judge in STUDY.judges for name in STUDY.judging.ratings]


def rule_of_judging(kind):
    """Define the rules of one kind of judge (a function for the reason that `rule_of_table` gives)."""

    rule:
        name:
            f"judge_with_{kind}"
        localrule: kind == "openai_endpoint"
        input:
            predictions="<results>/predictions/{model}/{suite}.parquet",
            shards=scored_items,
            prompt=lambda wildcards: STUDY.judges[wildcards.judge].prompt,
            backbone=judge_backend,
        output:
            judgements=ensure("<results>/judgements/{judge}/{model}/{suite}.parquet", non_empty=True),
            run="<results>/judgements/{judge}/{model}/{suite}.run.json",
        wildcard_constraints:
            judge=with_kind(STUDY.judges, kind),
        params:
            spec=judging_spec,
            shards=lambda wildcards, input: by_source(input.shards),
            backbone=backbone_words,
            running=lambda wildcards, resources: STUDY.judges[wildcards.judge].running.canonical_json(),
            work=f"{WORK}/judging/{{judge}}",
        threads: STUDY.prediction.threads
        resources:
            **backend_resources(kind),
            mem_mb=growing(64000),
            runtime=growing(240),
        conda:
            ENVIRONMENT
        log:
            "<work>/logs/judgements/{judge}/{model}/{suite}.log",
        shell:
            command(
                f"posologie.judging.{kind}",
                "--spec {params.spec:q} --prompt {input.prompt:q} --predictions {input.predictions:q}"
                " --items {params.shards:q} {params.backbone:q} --judgements {output.judgements:q} --run {output.run:q}"
                " --work {params.work:q} --running {params.running:q}",
            )

    rule:
        name:
            f"calibrate_{kind}"
        localrule: kind == "openai_endpoint"
        input:
            human="<results>/human/{ratings}.parquet",
            prompt=lambda wildcards: STUDY.judges[wildcards.judge].prompt,
            trained_on=lambda wildcards: list(STUDY.judges[wildcards.judge].trained_on),
            backbone=judge_backend,
        output:
            judgements=ensure("<results>/judgements/{judge}/calibration/{ratings}.parquet", non_empty=True),
            run="<results>/judgements/{judge}/calibration/{ratings}.run.json",
        wildcard_constraints:
            judge=with_kind(STUDY.judges, kind),
            ratings=one_of(STUDY.judging.ratings),
        params:
            spec=calibration_spec,
            trained_on=lambda wildcards, input: ["--trained-on", *input.trained_on] if input.trained_on else [],
            backbone=backbone_words,
            running=lambda wildcards, resources: STUDY.judges[wildcards.judge].running.canonical_json(),
            work=f"{WORK}/judging/{{judge}}",
        threads: STUDY.prediction.threads
        resources:
            **backend_resources(kind),
            mem_mb=growing(64000),
            runtime=growing(60),
        conda:
            ENVIRONMENT
        log:
            "<work>/logs/judgements/{judge}/calibration/{ratings}.log",
        shell:
            command(
                f"posologie.judging.{kind}",
                "--spec {params.spec:q} --prompt {input.prompt:q} --human {input.human:q} {params.trained_on:q}"
                " {params.backbone:q} --judgements {output.judgements:q} --run {output.run:q}"
                " --work {params.work:q} --running {params.running:q}",
            )


for kind in kinds_of(STUDY.judges):
    rule_of_judging(kind)


def ratings_spec(wildcards):
    """Return the spec of one set of human ratings."""
    return RatingsSpec(set=wildcards.ratings, ratings=STUDY.judging.ratings[wildcards.ratings]).canonical_json()


def ratings_files(wildcards):
    """Return the files of a set of human ratings."""
    return list(STUDY.judging.ratings[wildcards.ratings].files.values())


def kit_key(wildcards):
    """Return the key of the rating kit whose sheets the ratings are; other ratings have none."""
    kit = STUDY.judging.ratings[wildcards.ratings].kit
    return [] if kit is None else f"<results>/human/kits/{kit}/key.parquet"


rule import_ratings:
    localrule: True
    input:
        files=ratings_files,
        key=kit_key,
    output:
        human=ensure("<results>/human/{ratings}.parquet", non_empty=True),
        report="<results>/human/{ratings}.json",
    wildcard_constraints:
        ratings=one_of(STUDY.judging.ratings),
    params:
        spec=ratings_spec,
        files=lambda wildcards: named(STUDY.judging.ratings[wildcards.ratings].files.items()),
        key=lambda wildcards, input: ["--key", input.key] if input.key else [],
    conda:
        ENVIRONMENT
    log:
        "<work>/logs/human/{ratings}.log",
    shell:
        command(
            "posologie.judging.human",
            "--spec {params.spec:q} --ratings {params.files:q} {params.key:q} --human {output.human:q}"
            " --report {output.report:q}",
        )


def rated_spec(wildcards):
    """Return the spec of the scores of answers that people rated."""
    return plan.rated_spec(STUDY).canonical_json()


rule score_ratings:
    input:
        human="<results>/human/{ratings}.parquet",
        encoder=lambda wildcards: encoder_manifest(wildcards) if STUDY.scoring.encoder is not None else [],
    output:
        ensure("<results>/human_scores/{ratings}.parquet", non_empty=True),
    wildcard_constraints:
        ratings=one_of(STUDY.judging.ratings),
    params:
        spec=rated_spec,
        encoder=lambda wildcards, input: ["--encoder", input.encoder] if input.encoder else [],
    threads: 1
    resources:
        mem_mb=growing(8000),
        runtime=growing(30),
    conda:
        ENVIRONMENT
    log:
        "<work>/logs/human_scores/{ratings}.log",
    shell:
        command(
            "posologie.scoring.rated",
            "--spec {params.spec:q} --human {input.human:q} {params.encoder:q} --scores {output:q}",
        )


def rule_of_kit(name, kit):
    """Define the rule of one rating kit: one sheet for each rater, and the key that only the study keeps."""

    rule:
        name:
            f"make_kit_{re.sub(r'[^A-Za-z0-9_]', '_', name)}"
        localrule: True
        input:
            predictions=[f"<results>/predictions/{model}/{kit.suite}.parquet" for model in kit.models],
            shards=suite_items([kit.suite]),
        output:
            key=ensure(f"<results>/human/kits/{name}/key.parquet", non_empty=True),
            sheets=[f"<results>/human/kits/{name}/{rater}.xlsx" for rater in kit.raters],
        params:
            spec=lambda wildcards: KitSpec(name=name, kit=kit).canonical_json(),
            predictions=lambda wildcards, input: named(zip(kit.models, input.predictions)),
            shards=lambda wildcards, input: by_source(input.shards),
            sheets=lambda wildcards, output: named(zip(kit.raters, output.sheets)),
        conda:
            ENVIRONMENT
        log:
            f"<work>/logs/human/kits/{name}.log",
        shell:
            command(
                "posologie.judging.kit",
                "--spec {params.spec:q} --predictions {params.predictions:q} --items {params.shards:q}"
                " --sheets {params.sheets:q} --key {output.key:q}",
            )


for kit_name, kit in STUDY.judging.kits.items():
    rule_of_kit(kit_name, kit)


def all_kits():
    """Return the key of every rating kit."""
    return [f"<results>/human/kits/{name}/key.parquet" for name in STUDY.judging.kits]
