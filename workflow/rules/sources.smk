# Published files become shards: one rule for each published form that the study uses.
include: "functions/sources.smk"
include: "sources_by_reader.smk"


if DATASETS:

    rule fetch_dataset:
        localrule: True
        output:
            "<datasets>/{dataset}/manifest.json",
        wildcard_constraints:
            dataset=one_of(DATASETS),
        params:
            spec=fetch_spec,
            sealing=sealing(),
        conda:
            ENVIRONMENT
        log:
            "<work>/logs/datasets/{dataset}.log",
        shell:
            command("posologie.sources.fetch", "--spec {params.spec:q} --manifest {output:q}")
