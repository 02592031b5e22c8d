# Scores become tables: one rule for each table, so that editing one re-makes only that one.
SCORE_TABLES = ["contrasts"]
if plan.choice_suites(STUDY):
    SCORE_TABLES.insert(0, "mcqa")
if plan.open_suites(STUDY):
    SCORE_TABLES.insert(1, "oeq")
TABLES = ["composition", *SCORE_TABLES]


def table_spec(wildcards):
    """Return the spec of a table over all scores."""
    return plan.table_spec(STUDY).canonical_json()


def all_tables():
    """Return every table of the study."""
    return [f"<results>/tables/{table}.csv" for table in TABLES]


def results_root(wildcards, output):
    """Return the folder of the study, below which a table finds its inputs by name."""
    return Path(output[0]).parents[1].as_posix()


for table in SCORE_TABLES:

    rule:
        name:
            f"tabulate_{table}"
        input:
            all_scores(),
        output:
            f"<results>/tables/{table}.csv",
        params:
            spec=table_spec,
            results=results_root,
        threads: 2
        resources:
            mem_mb=growing(4000),
            runtime=growing(20),
        conda:
            ENVIRONMENT
        log:
            f"<work>/logs/tables/{table}.log",
        shell:
            command(f"posologie.statistics.{table}", "--spec {params.spec:q} --results {params.results:q} --table {output:q}")
