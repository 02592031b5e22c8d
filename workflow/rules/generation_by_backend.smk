# The rules of generation.smk that exist once for each kind of backend that the study uses.
def rule_of_collection_reader(reader):
    """Define the rule of one form of documents (a function for the reason that `rule_of_table` gives)."""

    rule:
        name:
            f"collect_{reader}"
        input:
            collection_inputs,
        output:
            documents=ensure("<results>/documents/{collection}.parquet", non_empty=True),
            rejects="<results>/documents/{collection}.rejects.parquet",
            report="<results>/documents/{collection}.json",
        log:
            "<work>/logs/documents/{collection}.log",
        wildcard_constraints:
            collection=one_of(name for name, one in STUDY.collections.items() if one.reader == reader),
        conda:
            ENVIRONMENT
        threads: 1
        resources:
            mem_mb=growing(4000),
            runtime=growing(30),
        params:
            spec=collection_spec,
            sealing=sealing(),
        message:
            "Read the documents {wildcards.collection}"
        shell:
            command(
                f"posologie.sources.{reader}",
                "--spec {params.spec:q} --inputs {input:q}"
                " --documents {output.documents:q} --rejects {output.rejects:q} --report {output.report:q}",
            )


for reader in sorted({collection.reader for collection in STUDY.collections.values()}):
    rule_of_collection_reader(reader)


def rule_of_synthesis(kind):
    """Define the rule of one kind of generator (a function for the reason that `rule_of_table` gives)."""

    rule:
        name:
            f"generate_with_{kind}"
        input:
            documents=documents_to_generate_from,
            prompts=synthesis_prompts,
            languages=lambda wildcards: language_data(STUDY.generators[wildcards.generator].language),
            backbone=lambda wildcards: manifest_of_backend(STUDY.generators[wildcards.generator].backend),
        output:
            made=temp("<results>/generated/{generator}/{collection}.parts/{part}-of-{parts}.parquet"),
            rejects=temp("<results>/generated/{generator}/{collection}.parts/{part}-of-{parts}.rejects.parquet"),
            report=temp("<results>/generated/{generator}/{collection}.parts/{part}-of-{parts}.json"),
        log:
            "<work>/logs/generated/{generator}/{collection}/{part}-of-{parts}.log",
        wildcard_constraints:
            generator=with_kind(STUDY.generators, kind),
            collection=one_of(STUDY.collections),
            part=r"\d+",
            parts=r"\d+",
        localrule: kind == "openai_endpoint"
        conda:
            ENVIRONMENT
        threads: STUDY.prediction.threads
        resources:
            **backend_resources(kind, lambda wildcards: STUDY.generators[wildcards.generator].backend),
            mem_mb=growing(2000 if kind == "openai_endpoint" else 32000),
            runtime=growing(480),
        params:
            spec=synthesis_spec,
            sealing=sealing(),
            prompts=lambda wildcards, input: named((Path(path).stem, path) for path in input.prompts),
            backbone=backbone_words,
            running=lambda wildcards, resources: running_of(STUDY.generators[wildcards.generator]),
            work=f"{WORK}/generation/{{generator}}",
        message:
            "Generate questions from {wildcards.collection} with {wildcards.generator}, part {wildcards.part} of {wildcards.parts}"
        shell:
            command(
                "posologie.generation.synthesis",
                "--spec {params.spec:q} --documents {input.documents:q} --prompts {params.prompts:q} {params.backbone:q}"
                " --part {wildcards.part}/{wildcards.parts} --items {output.made:q} --rejects {output.rejects:q}"
                " --report {output.report:q} --work {params.work:q} --running {params.running:q} --devices {resources.devices}",
                backend=kind,
            )


for kind in kinds_of(STUDY.generators):
    rule_of_synthesis(kind)


def rule_of_translation(kind):
    """Define the rule of one kind of translator (a function for the reason that `rule_of_table` gives)."""

    rule:
        name:
            f"translate_with_{kind}"
        input:
            source="<results>/shards/{source}/{split}.parquet",
            prompt=translation_prompt,
            languages=translation_languages,
            backbone=lambda wildcards: manifest_of_backend(STUDY.translators[wildcards.translator].backend),
        output:
            made=temp("<results>/translated/{translator}/{source}/{split}.parts/{part}-of-{parts}.parquet"),
            rejects=temp("<results>/translated/{translator}/{source}/{split}.parts/{part}-of-{parts}.rejects.parquet"),
            report=temp("<results>/translated/{translator}/{source}/{split}.parts/{part}-of-{parts}.json"),
        log:
            "<work>/logs/translated/{translator}/{source}/{split}/{part}-of-{parts}.log",
        wildcard_constraints:
            translator=with_kind(STUDY.translators, kind),
            part=r"\d+",
            parts=r"\d+",
        localrule: kind == "openai_endpoint"
        conda:
            ENVIRONMENT
        threads: STUDY.prediction.threads
        resources:
            **backend_resources(kind, lambda wildcards: STUDY.translators[wildcards.translator].backend),
            mem_mb=growing(2000 if kind == "openai_endpoint" else 32000),
            runtime=growing(480),
        params:
            spec=translation_spec,
            sealing=sealing(),
            prompt=prompt_words,
            backbone=backbone_words,
            running=lambda wildcards, resources: running_of(STUDY.translators[wildcards.translator]),
            work=f"{WORK}/translation/{{translator}}",
        message:
            "Translate {wildcards.source} ({wildcards.split}) with {wildcards.translator}, part {wildcards.part} of {wildcards.parts}"
        shell:
            command(
                "posologie.generation.translation",
                "--spec {params.spec:q} --source {input.source:q} {params.prompt:q} {params.backbone:q}"
                " --part {wildcards.part}/{wildcards.parts} --items {output.made:q} --rejects {output.rejects:q}"
                " --report {output.report:q} --work {params.work:q} --running {params.running:q} --devices {resources.devices}",
                backend=kind,
            )


for kind in kinds_of(STUDY.translators):
    rule_of_translation(kind)


def rule_of_quality(kind):
    """Define the rule that translates parallel text with one kind of translator."""

    rule:
        name:
            f"translate_parallel_text_with_{kind}"
        input:
            pairs=parallel_texts(),
            prompt=quality_prompt,
            backbone=lambda wildcards: manifest_of_backend(STUDY.translators[wildcards.translator].backend),
        output:
            sentences=ensure("<results>/translation_quality/{translator}.parquet", non_empty=True),
            run="<results>/translation_quality/{translator}.run.json",
        log:
            "<work>/logs/translation_quality/{translator}.log",
        wildcard_constraints:
            translator=with_kind(STUDY.translators, kind),
        localrule: kind == "openai_endpoint"
        conda:
            ENVIRONMENT
        threads: STUDY.prediction.threads
        resources:
            **backend_resources(kind, lambda wildcards: STUDY.translators[wildcards.translator].backend),
            mem_mb=growing(2000 if kind == "openai_endpoint" else 32000),
            runtime=growing(240),
        params:
            spec=quality_spec,
            sealing=sealing(),
            pairs=lambda wildcards, input: named((Path(path).stem, path) for path in input.pairs),
            prompt=prompt_words,
            backbone=backbone_words,
            running=lambda wildcards, resources: running_of(STUDY.translators[wildcards.translator]),
            work=f"{WORK}/translation/{{translator}}",
        message:
            "Translate parallel text with {wildcards.translator}"
        shell:
            command(
                "posologie.generation.translation_quality",
                "--spec {params.spec:q} --pairs {params.pairs:q} {params.prompt:q} {params.backbone:q}"
                " --sentences {output.sentences:q} --run {output.run:q} --work {params.work:q}"
                " --running {params.running:q} --devices {resources.devices}",
                backend=kind,
            )


if plan.parallel_collections(STUDY):
    for kind in kinds_of(STUDY.translators):
        rule_of_quality(kind)
