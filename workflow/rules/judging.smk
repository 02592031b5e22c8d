# Judges rate open answers: the chosen one every answer, all of them the answers that people rated.
include: "functions/judging.smk"
include: "judging_by_backend.smk"


rule import_ratings:
    input:
        files=ratings_files,
        key=kit_key,
    output:
        human=ensure("<results>/human/{ratings}.parquet", non_empty=True),
        report="<results>/human/{ratings}.json",
    log:
        "<work>/logs/human/{ratings}.log",
    wildcard_constraints:
        ratings=one_of(STUDY.judging.ratings),
    localrule: True
    conda:
        ENVIRONMENT
    params:
        spec=ratings_spec,
        sealing=sealing(),
        files=lambda wildcards: named(STUDY.judging.ratings[wildcards.ratings].files.items()),
        key=lambda wildcards, input: ["--key", input.key] if input.key else [],
    message:
        "Read the human ratings {wildcards.ratings}"
    shell:
        command(
            "posologie.judging.human",
            "--spec {params.spec:q} --ratings {params.files:q} {params.key:q} --human {output.human:q}"
            " --report {output.report:q}",
        )


rule score_ratings:
    input:
        human="<results>/human/{ratings}.parquet",
        encoder=lambda wildcards: encoder_manifest(wildcards) if STUDY.scoring.encoder is not None else [],
        encoder_files=encoder_files,
        wordnet=wordnet_files,
    output:
        ensure("<results>/human_scores/{ratings}.parquet", non_empty=True),
    log:
        "<work>/logs/human_scores/{ratings}.log",
    wildcard_constraints:
        ratings=one_of(STUDY.judging.ratings),
    conda:
        ENVIRONMENT
    threads: STUDY.prediction.threads if STUDY.scoring.encoder is not None else 1
    resources:
        torch_threads=STUDY.prediction.threads,
        mem_mb=growing(8000),
        runtime=growing(30),
    params:
        spec=rated_spec,
        sealing=sealing(),
        encoder=lambda wildcards, input: ["--encoder", input.encoder] if input.encoder else [],
    message:
        "Score the rated answers of {wildcards.ratings}"
    shell:
        command(
            "posologie.scoring.rated",
            "--spec {params.spec:q} --human {input.human:q} {params.encoder:q} --scores {output:q}"
            " --threads {resources.torch_threads}",
        )


# A target by hand: it makes the documents, shards and ratings that would be worked on, prints what the requests of all
# stages would cost, and asks nothing.
rule generation_plan:
    input:
        tables_to_work_on(),
        tables_to_judge(),
        prompts_in_use(),
        judging_prompts_in_use(),
    log:
        "<work>/logs/generation_plan.log",
    localrule: True
    conda:
        ENVIRONMENT
    params:
        entries=all_plan_entries,
        later=not_counted_words,
    message:
        "Say how many requests generators, translators and judges would get"
    shell:
        command("posologie.judging.plan_study", "--entries {params.entries:q} {params.later:q}", sealed=False)
