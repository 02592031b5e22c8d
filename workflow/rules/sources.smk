# Published files become shards: one rule for each published form that the study uses.
include: "functions/sources.smk"
include: "sources_by_reader.smk"


if DATASETS:

    rule fetch_dataset:
        output:
            "<datasets>/{dataset}/manifest.json",
        log:
            "<work>/logs/datasets/{dataset}.log",
        wildcard_constraints:
            dataset=one_of(DATASETS),
        localrule: True
        conda:
            ENVIRONMENT
        params:
            spec=fetch_spec,
            sealing=sealing(),
        message:
            "Download the data set {wildcards.dataset}"
        shell:
            command("posologie.sources.fetch", "--spec {params.spec:q} --manifest {output:q}")
