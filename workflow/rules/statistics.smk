# Scores become tables: one rule for each table, so that editing one re-makes only that one.
PUBLISHED = str(REPOSITORY / "resources/published/results.yaml")


def compositions():
    """Return what every mix holds."""
    return all_mixes()


def records_of_all_jobs():
    """Return the run record of every adapter and predictions file."""
    adapters = [str(Path(path).with_name("run.json")) for path in all_adapters()]
    return adapters + [path.replace(".parquet", ".run.json") for path in all_predictions()]


def tables_of_the_study():
    """Return each table that the study's suites allow, with the function that gives its inputs."""
    tables = {"composition": compositions}
    if plan.choice_suites(STUDY):
        tables |= {"mcqa": all_scores}
    if plan.open_suites(STUDY):
        tables |= {"oeq": all_scores}
    return tables | {"contrasts": all_scores, "compute": records_of_all_jobs}


TABLES = tables_of_the_study()


def table_spec(wildcards):
    """Return the spec of a table."""
    return plan.table_spec(STUDY).canonical_json()


def all_tables():
    """Return every table of the study."""
    return [f"<results>/tables/{table}.csv" for table in TABLES]


def results_root(wildcards, output):
    """Return the folder of the study, below which a table finds its inputs by name."""
    return Path(output[0]).parents[1].as_posix()


def rule_of_table(table, table_inputs):
    """Define the rule of one table. A function, because a shell command is evaluated when the job starts: in a loop,
    every rule would run the command of the last."""

    rule:
        name:
            f"tabulate_{table}"
        input:
            measured=table_inputs(),
            published=PUBLISHED,
        output:
            csv=ensure(f"<results>/tables/{table}.csv", non_empty=True),
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
            command(
                f"posologie.statistics.{table}",
                "--spec {params.spec:q} --results {params.results:q} --table {output.csv:q} --published {input.published:q}",
            )


for table, table_inputs in TABLES.items():
    rule_of_table(table, table_inputs)
