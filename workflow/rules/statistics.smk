# Scores become tables, each with a rule of its own, so that editing one re-makes only that one.
include: "functions/statistics.smk"


def rule_of_table(table, entry):
    """Define the rule of one table. A function, because a shell command is evaluated when the job starts, and in a loop
    every rule would run the command of the last."""

    rule:
        name:
            f"tabulate_{table}"
        input:
            measured=STATISTICS_INPUTS[entry.inputs](),
            published=PUBLISHED if entry.published else [],
            registration=registration() if table == "contrasts" else [],
        output:
            csv=table_csv(table),
            tex=f"<results>/tables/{table}.tex",
        log:
            f"<work>/logs/tables/{table}.log",
        conda:
            ENVIRONMENT
        threads: 1
        resources:
            mem_mb=growing(4000),
            runtime=growing(20),
        params:
            spec=table_spec(table),
            sealing=sealing(),
            results=results_root,
            published=published_words,
        message:
            f"Tabulate {entry.title}"
        shell:
            command(
                f"posologie.{entry.module}",
                "--spec {params.spec:q} --results {params.results:q} --table {output.csv:q} {params.published:q}",
            )


for table in STATISTICS:
    rule_of_table(table, REGISTERED_TABLES[table])
