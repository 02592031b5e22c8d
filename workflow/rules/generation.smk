# Documents become generated items, and items become translated ones: scattered into parts, one job each, and gathered.
# Endpoints are asked by local rules, because compute nodes have no network; local models run on a GPU like prediction.
def collection_inputs(wildcards):
    """Return the published files of a collection of documents or parallel text."""
    described = STUDY.collections[wildcards.collection]
    if described.hub is not None:
        return f"{dataset_folder(described)}/manifest.json"
    return collection_files(described)


def collection_spec(wildcards):
    """Return the spec of one collection."""
    described = STUDY.collections[wildcards.collection]
    patterns = collection_patterns(described) if described.hub is not None else ()
    return CollectionSpec(collection=wildcards.collection, patterns=patterns, options=described.options).canonical_json()


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
        wildcard_constraints:
            collection=one_of(name for name, one in STUDY.collections.items() if one.reader == reader),
        params:
            spec=collection_spec,
        threads: 1
        resources:
            mem_mb=growing(4000),
            runtime=growing(30),
        conda:
            ENVIRONMENT
        log:
            "<work>/logs/documents/{collection}.log",
        shell:
            command(
                f"posologie.sources.{reader}",
                "--spec {params.spec:q} --inputs {input:q}"
                " --documents {output.documents:q} --rejects {output.rejects:q} --report {output.report:q}",
            )


for reader in sorted({collection.reader for collection in STUDY.collections.values()}):
    rule_of_collection_reader(reader)


def kinds_of(makers):
    """Return the kinds of backend that generators, translators or judges use."""
    return sorted({maker.backend.kind for maker in makers.values()})


def with_kind(makers, kind):
    """Return the pattern of the names of those whose backend is of a kind."""
    return one_of(name for name, maker in makers.items() if maker.backend.kind == kind)


def manifest_of_backend(backend):
    """Return the manifest of a local model; an endpoint has none."""
    return [] if backend.kind == "openai_endpoint" else manifest_of(plan.local_model(STUDY, backend.backbone))


def backbone_words(wildcards, input):
    """Return the words of the command line that name the local model."""
    return ["--backbone", input.backbone] if input.backbone else []


def backend_resources(kind):
    """Return what a job asks for besides memory and time: a GPU for a local model, nothing for an endpoint."""
    return {} if kind == "openai_endpoint" else gpus(STUDY.devices.gpus_per_prediction_job)


def parts_of(path):
    """Return the gathered form of the outputs of all parts, once their number is known."""

    def gathered(wildcards):
        counted = checkpoints.count_parts.get(made=path.format(**wildcards)).output[0]
        with open(counted, encoding="utf-8") as file:
            parts = json.load(file)["parts"]
        folder = f"<results>/{path.format(**wildcards)}.parts"
        return [f"{folder}/{number}-of-{parts}" for number in range(1, parts + 1)]

    return gathered


def parted(path, suffix):
    """Return a function that gives one output of every part."""
    parts = parts_of(path)

    def outputs(wildcards):
        return [part + suffix for part in parts(wildcards)]

    return outputs


def whole_table(wildcards):
    """Return the table that is worked on in parts: a collection, or a shard."""
    kind, _, *rest = wildcards.made.split("/")
    if kind == "generated":
        return f"<results>/documents/{rest[0]}.parquet"
    return f"<results>/shards/{rest[0]}/{rest[1]}.parquet"


def part_size(wildcards):
    """Return how many documents or items one job works on."""
    kind, name, *_ = wildcards.made.split("/")
    return (STUDY.generators if kind == "generated" else STUDY.translators)[name].part_size


checkpoint count_parts:
    localrule: True
    input:
        whole_table,
    output:
        "<results>/{made}.parts.json",
    wildcard_constraints:
        made=r"generated/[^/]+/[^/]+|translated/[^/]+/[^/]+/[^/]+",
    params:
        size=part_size,
    conda:
        ENVIRONMENT
    log:
        "<work>/logs/{made}.parts.log",
    shell:
        command("posologie.generation.parts", "--table {input:q} --size {params.size} --parts {output:q}")


def synthesis_spec(wildcards):
    """Return the spec of the items that a generator makes from a collection."""
    return plan.synthesis_spec(STUDY, wildcards.generator, wildcards.collection).canonical_json()


def synthesis_prompts(wildcards):
    """Return the prompt file of each task of a generator."""
    generator = STUDY.generators[wildcards.generator]
    return [f"{generator.prompts}/{task}.md" for task in sorted(generator.tasks)]


def rule_of_synthesis(kind):
    """Define the rule of one kind of generator (a function for the reason that `rule_of_table` gives)."""

    rule:
        name:
            f"generate_with_{kind}"
        localrule: kind == "openai_endpoint"
        input:
            documents="<results>/documents/{collection}.parquet",
            prompts=synthesis_prompts,
            backbone=lambda wildcards: manifest_of_backend(STUDY.generators[wildcards.generator].backend),
        output:
            made=temp("<results>/generated/{generator}/{collection}.parts/{part}-of-{parts}.parquet"),
            rejects=temp("<results>/generated/{generator}/{collection}.parts/{part}-of-{parts}.rejects.parquet"),
            report=temp("<results>/generated/{generator}/{collection}.parts/{part}-of-{parts}.json"),
        wildcard_constraints:
            generator=with_kind(STUDY.generators, kind),
            collection=one_of(STUDY.collections),
            part=r"\d+",
            parts=r"\d+",
        params:
            spec=synthesis_spec,
            prompts=lambda wildcards, input: named((Path(path).stem, path) for path in input.prompts),
            backbone=backbone_words,
            running=lambda wildcards, resources: STUDY.generators[wildcards.generator].running.canonical_json(),
            work=f"{WORK}/generation/{{generator}}",
        threads: STUDY.prediction.threads
        resources:
            **backend_resources(kind),
            mem_mb=growing(32000),
            runtime=growing(480),
        conda:
            ENVIRONMENT
        log:
            "<work>/logs/generated/{generator}/{collection}/{part}-of-{parts}.log",
        shell:
            command(
                f"posologie.generation.synthesis.{kind}",
                "--spec {params.spec:q} --documents {input.documents:q} --prompts {params.prompts:q} {params.backbone:q}"
                " --part {wildcards.part}/{wildcards.parts} --items {output.made:q} --rejects {output.rejects:q}"
                " --report {output.report:q} --work {params.work:q} --running {params.running:q}",
            )


for kind in kinds_of(STUDY.generators):
    rule_of_synthesis(kind)


def translation_spec(wildcards):
    """Return the spec of the translation of a split."""
    return plan.translation_spec(STUDY, wildcards.translator, wildcards.source, wildcards.split).canonical_json()


def translation_prompt(wildcards):
    """Return the prompt of a translator; a sequence-to-sequence model has none."""
    translator = STUDY.translators[wildcards.translator]
    return [] if translator.backend.kind == "seq2seq" else translator.prompt


def prompt_words(wildcards, input):
    """Return the words of the command line that name the prompt."""
    return ["--prompt", input.prompt] if input.prompt else []


def rule_of_translation(kind):
    """Define the rule of one kind of translator (a function for the reason that `rule_of_table` gives)."""

    rule:
        name:
            f"translate_with_{kind}"
        localrule: kind == "openai_endpoint"
        input:
            source="<results>/shards/{source}/{split}.parquet",
            prompt=translation_prompt,
            backbone=lambda wildcards: manifest_of_backend(STUDY.translators[wildcards.translator].backend),
        output:
            made=temp("<results>/translated/{translator}/{source}/{split}.parts/{part}-of-{parts}.parquet"),
            rejects=temp("<results>/translated/{translator}/{source}/{split}.parts/{part}-of-{parts}.rejects.parquet"),
            report=temp("<results>/translated/{translator}/{source}/{split}.parts/{part}-of-{parts}.json"),
        wildcard_constraints:
            translator=with_kind(STUDY.translators, kind),
            part=r"\d+",
            parts=r"\d+",
        params:
            spec=translation_spec,
            prompt=prompt_words,
            backbone=backbone_words,
            running=lambda wildcards, resources: STUDY.translators[wildcards.translator].running.canonical_json(),
            work=f"{WORK}/translation/{{translator}}",
        threads: STUDY.prediction.threads
        resources:
            **backend_resources(kind),
            mem_mb=growing(32000),
            runtime=growing(480),
        conda:
            ENVIRONMENT
        log:
            "<work>/logs/translated/{translator}/{source}/{split}/{part}-of-{parts}.log",
        shell:
            command(
                f"posologie.generation.translation.{kind}",
                "--spec {params.spec:q} --source {input.source:q} {params.prompt:q} {params.backbone:q}"
                " --part {wildcards.part}/{wildcards.parts} --items {output.made:q} --rejects {output.rejects:q}"
                " --report {output.report:q} --work {params.work:q} --running {params.running:q}",
            )


for kind in kinds_of(STUDY.translators):
    rule_of_translation(kind)


rule gather_parts:
    localrule: True
    input:
        made=parted("{made}", ".parquet"),
        rejects=parted("{made}", ".rejects.parquet"),
        reports=parted("{made}", ".json"),
    output:
        made=ensure("<results>/{made}.parquet", non_empty=True),
        rejects="<results>/{made}.rejects.parquet",
        report="<results>/{made}.json",
    wildcard_constraints:
        made=r"generated/[^/.]+/[^/.]+|translated/[^/.]+/[^/.]+/[^/.]+",
    conda:
        ENVIRONMENT
    log:
        "<work>/logs/{made}.gather.log",
    shell:
        command(
            "posologie.generation.gather",
            "--items {input.made:q} --rejects {input.rejects:q} --reports {input.reports:q}"
            " --out-items {output.made:q} --out-rejects {output.rejects:q} --out-report {output.report:q}",
        )


def quality_spec(wildcards):
    """Return the spec of a translator's version of the parallel text."""
    translator = STUDY.translators[wildcards.translator]
    return QualitySpec(name=wildcards.translator, translator=translator).canonical_json()


def quality_prompt(wildcards):
    """Return the prompt for plain text of a translator; a sequence-to-sequence model has none."""
    translator = STUDY.translators[wildcards.translator]
    return [] if translator.backend.kind == "seq2seq" else translator.text_prompt


def parallel_texts():
    """Return the collections of parallel text."""
    return [f"<results>/documents/{name}.parquet" for name in plan.parallel_collections(STUDY)]


def rule_of_quality(kind):
    """Define the rule that translates parallel text with one kind of translator."""

    rule:
        name:
            f"translate_parallel_text_with_{kind}"
        localrule: kind == "openai_endpoint"
        input:
            pairs=parallel_texts(),
            prompt=quality_prompt,
            backbone=lambda wildcards: manifest_of_backend(STUDY.translators[wildcards.translator].backend),
        output:
            sentences=ensure("<results>/translation_quality/{translator}.parquet", non_empty=True),
            run="<results>/translation_quality/{translator}.run.json",
        wildcard_constraints:
            translator=with_kind(STUDY.translators, kind),
        params:
            spec=quality_spec,
            pairs=lambda wildcards, input: named((Path(path).stem, path) for path in input.pairs),
            prompt=prompt_words,
            backbone=backbone_words,
            running=lambda wildcards, resources: STUDY.translators[wildcards.translator].running.canonical_json(),
            work=f"{WORK}/translation/{{translator}}",
        threads: STUDY.prediction.threads
        resources:
            **backend_resources(kind),
            mem_mb=growing(32000),
            runtime=growing(240),
        conda:
            ENVIRONMENT
        log:
            "<work>/logs/translation_quality/{translator}.log",
        shell:
            command(
                f"posologie.generation.translation_quality.{kind}",
                "--spec {params.spec:q} --pairs {params.pairs:q} {params.prompt:q} {params.backbone:q}"
                " --sentences {output.sentences:q} --run {output.run:q} --work {params.work:q}"
                " --running {params.running:q}",
            )


if plan.parallel_collections(STUDY):
    for kind in kinds_of(STUDY.translators):
        rule_of_quality(kind)


def translated_parallel_texts():
    """Return every translator's version of the parallel text."""
    return [f"<results>/translation_quality/{name}.parquet" for name in STUDY.translators]


rule tabulate_translation_quality:
    input:
        sentences=translated_parallel_texts(),
        published=PUBLISHED,
    output:
        ensure("<results>/tables/translation_quality.csv", non_empty=True),
    params:
        spec=QualityTableSpec(quality=STUDY.translation_quality).canonical_json().replace("{", "{{").replace("}", "}}"),
        sentences=lambda wildcards, input: named((Path(path).stem, path) for path in input.sentences),
    threads: 1
    resources:
        mem_mb=growing(2000),
        runtime=growing(20),
    conda:
        ENVIRONMENT
    log:
        "<work>/logs/tables/translation_quality.log",
    shell:
        command(
            "posologie.generation.translation_quality.table",
            "--spec {params.spec:q} --sentences {params.sentences:q} --published {input.published:q} --table {output:q}",
        )
