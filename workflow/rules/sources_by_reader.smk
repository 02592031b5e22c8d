# The rules of sources.smk that exist once for each kind of reader that the study uses.
def rule_of_reader(reader):
    """Define the rule of one published form (a function for the reason that `rule_of_table` gives)."""

    rule:
        name:
            f"read_{reader}"
        input:
            source_files,
        output:
            shard=ensure("<results>/shards/{source}/{split}.parquet", non_empty=True),
            rejects="<results>/shards/{source}/{split}.rejects.parquet",
            report="<results>/shards/{source}/{split}.json",
        log:
            "<work>/logs/shards/{source}/{split}.log",
        wildcard_constraints:
            source=one_of(name for name, source in STUDY.sources.items() if plan.reader_of(source) == reader),
        conda:
            ENVIRONMENT
        threads: 2
        resources:
            mem_mb=growing(4000),
            runtime=growing(30),
        params:
            spec=shard_spec,
            sealing=sealing(),
        message:
            "Read {wildcards.source} ({wildcards.split})"
        shell:
            command(
                f"posologie.sources.{reader}",
                "--spec {params.spec:q} --inputs {input:q}"
                " --items {output.shard:q} --rejects {output.rejects:q} --report {output.report:q}",
            )


for reader in sorted({plan.reader_of(source) for source in STUDY.sources.values()}):
    rule_of_reader(reader)
