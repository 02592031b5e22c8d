# The rule of screening.smk that depends on the kind of backend of the judge that rates training items.
def rule_of_rating(kind):
    """Define the rule of one kind of judge (a function for the reason that `rule_of_table` gives)."""

    rule:
        name:
            f"rate_items_with_{kind}"
        input:
            shard="<results>/shards/{source}/train.parquet",
            prompt=shipped(STUDY.screening.quality.rating.prompt),
            backbone=lambda wildcards: manifest_of_backend(STUDY.judges[wildcards.judge].backend),
        output:
            ratings=ensure("<results>/quality/{judge}/{source}.parquet", non_empty=True),
            run="<results>/quality/{judge}/{source}.run.json",
        log:
            "<work>/logs/quality/{judge}/{source}.log",
        wildcard_constraints:
            judge=with_kind(STUDY.judges, kind),
        localrule: kind == "openai_endpoint"
        conda:
            ENVIRONMENT
        threads: STUDY.prediction.threads
        resources:
            **backend_resources(kind, lambda wildcards: STUDY.judges[wildcards.judge].backend),
            mem_mb=growing(64000),
            runtime=growing(1440),
        params:
            spec=rating_spec,
            sealing=sealing(),
            backbone=backbone_words,
            running=lambda wildcards, resources: running_of(STUDY.judges[wildcards.judge]),
            work=f"{WORK}/quality/{{judge}}",
        message:
            "Rate the items of {wildcards.source} with {wildcards.judge}"
        shell:
            command(
                "posologie.screening.rating",
                "--spec {params.spec:q} --prompt {input.prompt:q} --items {input.shard:q} {params.backbone:q}"
                " --ratings {output.ratings:q} --run {output.run:q} --work {params.work:q} --running {params.running:q}"
                " --devices {resources.devices}",
                backend=kind,
            )


for kind in rating_kinds():
    rule_of_rating(kind)
