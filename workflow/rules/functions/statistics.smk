# What the rules of statistics.smk are given: inputs, specs, words of the command line, targets.
def records_of_all_jobs():
    """Return the run record of every adapter and predictions file."""
    adapters = [str(Path(path).with_name("run.json")) for path in all_adapters()]
    return adapters + [path.replace(".parquet", ".run.json") for path in all_predictions()]


def scores_and_answers():
    """Return all scores, and the predictions whose options they rest on."""
    return all_scores() + all_predictions()


def open_scores():
    """Return all scores of open answers: of the CPU, of the encoder and of the chosen judge."""
    return all_scores() + all_neural_scores() + all_judgements()


def scores_and_judgements():
    """Return all scores, and the chosen judge's verdicts."""
    return all_scores() + all_judgements()


def tables_of_scores():
    """Return each table of scores that the study's suites and mixes allow, with the function that gives its inputs."""
    tables = {}
    if plan.choice_suites(STUDY):
        tables |= {"mcqa": all_scores, "position": scores_and_answers}
    if plan.open_suites(STUDY):
        tables |= {"oeq": open_scores}
        if STUDY.judging.chosen is not None:
            tables |= {"length": scores_and_judgements}
    tables |= {"contrasts": open_scores, "paper": open_scores}
    if plan.has_all_coalitions(STUDY):
        tables |= {"attribution": open_scores}
    if STUDY.statistics.sweeps:
        tables |= {"dose_response": open_scores}
    return tables


def ratings_and_verdicts():
    """Return the human ratings, the scores of the rated answers, and every judge's verdicts on them."""
    names = STUDY.judging.ratings
    return [f"<results>/{folder}/{name}.parquet" for folder in ("human", "human_scores") for name in names] + all_calibrations()


def tables_of_ratings():
    """Return the tables over human ratings, where there are any."""
    of_judges = ["judge_choice", "generator"] if STUDY.judges else []
    names = ["agreement", "agreement_contrasts", "verbosity", *of_judges]
    return dict.fromkeys(names if STUDY.judging.ratings else [], ratings_and_verdicts)


STATISTICS = {**tables_of_scores(), **tables_of_ratings(), "compute": records_of_all_jobs}


TABLES = ["screening", "topics", "composition", *STATISTICS, *(["translation_quality"] if plan.parallel_collections(STUDY) else [])]


WITHOUT_PUBLISHED = {"compute", "length", *tables_of_ratings()} - {"agreement"}


def table_spec(table):
    """Return a function that gives the spec of a table."""
    narrow = {"compute": job_specs.compute_spec, **dict.fromkeys(tables_of_ratings(), job_specs.agreement_spec)}

    def spec(wildcards):
        return narrow.get(table, job_specs.table_spec)(STUDY).canonical_json()

    return spec


def published_words(table):
    """Return the words that name the published numbers, for the tables that show them beside ours."""
    return "" if table in WITHOUT_PUBLISHED else " --published {input.published:q}"


def all_tables():
    """Return every table of the study."""
    return [f"<results>/tables/{table}.csv" for table in TABLES]
