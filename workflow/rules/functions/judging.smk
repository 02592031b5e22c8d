# What the rules of judging.smk are given: inputs, specs, words of the command line, targets.
def judge_backend(wildcards):
    """Return the manifest of a judge's local model; an endpoint has none."""
    return manifest_of_backend(STUDY.judges[wildcards.judge].backend)


def judge_prompt(wildcards):
    """Return the prompt of a judge that is asked; verdicts from files have none."""
    judge = STUDY.judges[wildcards.judge]
    return [] if judge.backend.kind == "outside" else shipped(judge.prompt)


def judge_files(wildcards):
    """Return the files of a judge's verdicts; a judge that is asked has none."""
    backend = STUDY.judges[wildcards.judge].backend
    return list(backend.files) if backend.kind == "outside" else []


def asking_words(kind):
    """Return the function that gives the words for how a kind of judge is asked, or where its verdicts are.

    It takes `resources`, which never trigger, because how a judge is run changes no verdict.
    """
    if kind == "outside":
        return lambda wildcards, input: ["--verdicts", *input.verdicts]

    def words(wildcards, input, resources):
        judge = STUDY.judges[wildcards.judge]
        model = ["--backbone", input.backbone] if input.backbone else []
        work = f"{WORK}/judging/{wildcards.judge}"
        return ["--prompt", input.prompt, *model, "--work", work, "--running", running_of(judge)]

    return words


def judging_spec(wildcards):
    """Return the spec of one judge's verdicts on a model's answers."""
    return job_specs.judging_spec(STUDY, wildcards.judge, wildcards.model, wildcards.suite).canonical_json()


def suites_judging_spec(suites):
    """Return a function that gives the spec of one judge's verdicts on a model's answers to some suites."""

    def spec(wildcards):
        judge = plan.with_form(STUDY, STUDY.judges[wildcards.judge])
        names = {"name": wildcards.judge, "model": wildcards.model, "suites": suites}
        return SuitesJudgingSpec(**names, judge=judge).canonical_json()

    return spec


def calibration_spec(wildcards):
    """Return the spec of one judge's verdicts on a set of human ratings."""
    return job_specs.calibration_spec(STUDY, wildcards.judge, wildcards.ratings).canonical_json()


def training_data(wildcards):
    """Return the files that a judge was trained on; a folder stands for those below it."""
    named_files = [Path(name) for name in STUDY.judges[wildcards.judge].trained_on]
    below = {
        path: sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]
        for path in named_files
    }
    return [str(one) for files in below.values() for one in files]


def training_words(wildcards):
    """Return the words of the command line that name a judge's training data."""
    named_files = STUDY.judges[wildcards.judge].trained_on
    return ["--trained-on", *named_files] if named_files else []


def all_judgements():
    """Return the verdicts on every model's answers: of the chosen judge and of the panel's."""
    return [
        f"<results>/judgements/{judge}/{model}/{suite}.parquet"
        for judge in plan.suite_judges(STUDY)
        for model in MODELS
        for suite in plan.open_suites(STUDY)
    ]


def all_calibrations():
    """Return every judge's verdicts on every set of human ratings."""
    return [
        f"<results>/judgements/{judge}/calibration/{name}.parquet"
        for judge in STUDY.judges
        for name in STUDY.judging.ratings
    ]


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


def rated_spec(wildcards):
    """Return the spec of the scores of answers that people rated."""
    return job_specs.rated_spec(STUDY).canonical_json()


def all_kits():
    """Return the key of every rating kit."""
    return [f"<results>/human/kits/{name}/key.parquet" for name in STUDY.judging.kits]
