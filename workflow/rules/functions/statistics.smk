# What the rules of statistics.smk are given: inputs, specs, words of the command line, targets.
def records_of_all_jobs():
    """Return the run record of every adapter, every predictions file and every judge that was asked."""
    adapters = [str(Path(path).with_name("run.json")) for path in all_adapters()]
    judges = tuple(f"<results>/judgements/{judge}/" for judge in plan.queried_judges(STUDY))
    answers = [*all_predictions(), *(path for path in all_judgements() if path.startswith(judges))]
    return adapters + [path.replace(".parquet", ".run.json") for path in answers]


def scores_and_answers():
    """Return all scores, and the predictions whose options they rest on."""
    return all_scores() + all_predictions()


def open_scores():
    """Return all scores of open answers: of the CPU, of the encoder and of the chosen judge."""
    return all_scores() + all_neural_scores() + all_judgements()


def scores_and_judgements():
    """Return all scores, and the chosen judge's verdicts."""
    return all_scores() + all_judgements()


def ratings_and_verdicts():
    """Return the human ratings, the scores of the rated answers, and every judge's verdicts on them."""
    names = STUDY.judging.ratings
    return [
        f"<results>/{folder}/{name}.parquet" for folder in ("human", "human_scores") for name in names
    ] + all_calibrations()


def scores_and_leakage():
    """Return all scores, and the audit of every mix against every suite."""
    return open_scores() + all_leakage()


def registration():
    """Return the file of what was fixed before the first training, where there is one."""
    path = f"results/{STUDY.study}/registration.json"
    return [path] if os.path.exists(path) else []


def ratings_and_judgements():
    """Return the human ratings, the predictions that they are of, and the verdicts on every answer."""
    open_predictions = [
        f"<results>/predictions/{model}/{suite}.parquet" for model in MODELS for suite in plan.open_suites(STUDY)
    ]
    return [f"<results>/human/{name}.parquet" for name in STUDY.judging.ratings] + open_predictions + all_judgements()


STATISTICS_INPUTS = {
    function.__name__: function
    for function in (
        all_scores,
        open_scores,
        proxy_scores,
        ratings_and_judgements,
        ratings_and_verdicts,
        records_of_all_jobs,
        scores_and_answers,
        scores_and_judgements,
        scores_and_leakage,
    )
}


TABLES = tables(STUDY)


# The study's tables that have no rule of their own.
STATISTICS = [table for table in TABLES if REGISTERED_TABLES[table].inputs]


def table_spec(table):
    """Return a function that gives the spec of a table."""

    def spec(wildcards):
        return REGISTERED_TABLES[table].spec(STUDY).canonical_json()

    return spec


def all_tables():
    """Return every table of the study."""
    return [f"<results>/tables/{table}.csv" for table in TABLES]
