# What the rules of statistics.smk are given: inputs, specs, words of the command line, targets.
def records_of_all_jobs():
    """Return the run record of every adapter, every predictions file and every judge that was asked."""
    adapters = [str(Path(path).with_name("run.json")) for path in all_adapters()]
    judges = tuple(f"<results>/judgements/{judge}/" for judge in plan.asked_judges(STUDY))
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


def inputs_of_scores(table):
    """Return the function that gives the inputs of a table of scores."""
    narrow = {
        "mcqa": all_scores,
        "position": scores_and_answers,
        "length": scores_and_judgements,
        "leakage": scores_and_leakage,
    }
    narrow["proxies"] = proxy_scores
    return narrow.get(table, open_scores)


def ratings_and_judgements():
    """Return the human ratings, the predictions that they are of, and the verdicts on every answer."""
    open_predictions = [
        f"<results>/predictions/{model}/{suite}.parquet" for model in MODELS for suite in plan.open_suites(STUDY)
    ]
    return [f"<results>/human/{name}.parquet" for name in STUDY.judging.ratings] + open_predictions + all_judgements()


STATISTICS = {
    **{table: inputs_of_scores(table) for table in plan.score_tables(STUDY) if STUDY.suites},
    **dict.fromkeys(plan.rating_tables(STUDY), ratings_and_verdicts),
    **({"corrected": ratings_and_judgements} if "corrected" in plan.rating_tables(STUDY) else {}),
    **({"compute": records_of_all_jobs} if STUDY.suites else {}),
}


TABLES = plan.tables(STUDY)


# Tables that show published numbers beside ours, where the study names a published study.
BESIDE_PUBLISHED = {"agreement", "contrasts", "mcqa", "oeq", "published"}


def table_spec(table):
    """Return a function that gives the spec of a table."""
    narrow = {"compute": job_specs.compute_spec, **dict.fromkeys(plan.rating_tables(STUDY), job_specs.agreement_spec)}
    narrow |= {
        "corrected": job_specs.corrected_spec,
        "leakage": job_specs.leakage_table_spec,
        "proxies": merging.table_spec,
        "surface": job_specs.surface_spec,
    }

    def spec(wildcards):
        return narrow.get(table, job_specs.table_spec)(STUDY).canonical_json()

    return spec


def module_of_table(table):
    """Return the module that makes a table."""
    return "posologie.surface.table" if table == "surface" else f"posologie.statistics.{table}"


def all_tables():
    """Return every table of the study."""
    return [f"<results>/tables/{table}.csv" for table in TABLES]
