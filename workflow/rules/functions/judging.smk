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


def judged_suites():
    """Return the models whose answers each judge that is asked reads, by judge and suite."""
    judged = {(judge, suite): list(MODELS) for judge in plan.queried_judges(STUDY) for suite in plan.open_suites(STUDY)}
    for kit in STUDY.judging.kits.values():
        if kit.judge is not None and STUDY.judges[kit.judge].backend.kind != "outside":
            judged.setdefault((kit.judge, kit.suite), list(kit.models))
    return judged


def made_first(shards):
    """Return whether any of some shards holds items that a generator or translator has to make first."""
    return any(STUDY.sources[source].made is not None for source, _ in shards)


def judged_later():
    """Return what judges read that cannot be counted yet, because its items are still to be made."""
    suites = [
        f"judgements/{judge}/{suite}"
        for judge, suite in judged_suites()
        if made_first(plan.suite_shards(STUDY, [suite]))
    ]
    rated = [
        f"quality/{STUDY.screening.quality.judge}/{source}"
        for source in plan.rated_sources(STUDY)
        if made_first([(source, "train")])
    ]
    return suites + rated


def not_counted_words(wildcards):
    """Return the words of the command line that name what cannot be counted yet."""
    return ["--not-counted", *judged_later()] if judged_later() else []


def counted_ratings():
    """Return the sets of human ratings whose answers are at hand: those of a kit wait for predictions."""
    return [name for name, ratings in STUDY.judging.ratings.items() if ratings.kit is None]


def tables_to_judge():
    """Return the shards and ratings that judges work on, without those that are still to be made."""
    shards = [plan.suite_shards(STUDY, [suite]) for _, suite in judged_suites()]
    shards += [[(source, "train")] for source in plan.rated_sources(STUDY)]
    at_hand = [shard for some in shards if not made_first(some) for shard in some]
    asked = any(judge.backend.kind != "outside" for judge in STUDY.judges.values())
    human = [f"<results>/human/{name}.parquet" for name in counted_ratings() if asked]
    return list(dict.fromkeys([f"<results>/shards/{name}/{split}.parquet" for name, split in at_hand] + human))


def judging_prompts_in_use():
    """Return the prompt files of all judges that are asked."""
    prompts = [judge.prompt for judge in STUDY.judges.values() if judge.backend.kind != "outside"]
    rating = [STUDY.screening.quality.rating.prompt] if plan.rated_sources(STUDY) else []
    return list(dict.fromkeys(shipped(path) for path in prompts + rating))


def all_plan_entries(wildcards):
    """Return what all models that write, translate and judge would be asked with, as JSON."""
    entries = [*plan_entries(), *suite_entries(), *calibration_entries(), *rating_entries()]
    return json.dumps(entries, sort_keys=True, ensure_ascii=False)


def suite_entries():
    """Return the entries of the judges' verdicts on the study's models."""
    results, entries = f"results/{STUDY.study}", []
    for (name, suite), models in judged_suites().items():
        shards, judge = plan.suite_shards(STUDY, [suite]), STUDY.judges[name]
        if made_first(shards):
            continue
        files = {}
        for source, split in shards:
            files.setdefault(source, []).append(f"{results}/shards/{source}/{split}.parquet")
        spec = job_specs.judging_spec(STUDY, name, models[0], suite)
        entry = judge_entry(f"judgements/{name}/{suite}", "judgements", spec, files, judge.prompt, judge)
        scored = json.loads(job_specs.scoring_spec(STUDY, suite).canonical_json())
        questions = {"suite": scored["suite"], "seed": STUDY.prediction.seed}
        predictions = [f"{results}/predictions/{model}/{suite}.parquet" for model in models]
        entries.append({**entry, **questions, "predictions": predictions})
    return entries


def calibration_entries():
    """Return the entries of the judges' verdicts on answers that people rated."""
    entries = []
    for name, judge in STUDY.judges.items():
        for ratings in counted_ratings() if judge.backend.kind != "outside" else ():
            made, human = f"judgements/{name}/calibration/{ratings}", f"results/{STUDY.study}/human/{ratings}.parquet"
            spec = job_specs.calibration_spec(STUDY, name, ratings)
            entries.append(judge_entry(made, "calibration", spec, human, judge.prompt, judge))
    return entries


def rating_entries():
    """Return the entries of the ratings of training items."""
    entries = []
    for source in plan.rated_sources(STUDY):
        if not made_first([(source, "train")]):
            name, prompt = STUDY.screening.quality.judge, STUDY.screening.quality.rating.prompt
            shard, spec = f"results/{STUDY.study}/shards/{source}/train.parquet", job_specs.rating_spec(
                STUDY, name, source
            )
            entries.append(judge_entry(f"quality/{name}/{source}", "quality", spec, shard, prompt, STUDY.judges[name]))
    return entries


def judge_entry(made, kind, spec, table, prompt, judge):
    """Return one entry of `all_plan_entries`; the cache of replies lies where the judge's jobs keep it."""
    stage, name, *_ = made.split("/")
    work = f"{WORK}/{'quality' if stage == 'quality' else 'judging'}/{name}"
    return plan_entry(made, kind, spec, table, {"judge": shipped(prompt)}, judge, work)
