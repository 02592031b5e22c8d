# What the rules of generation.smk are given: inputs, specs, words of the command line, targets.
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
    return gpus(0) if kind == "openai_endpoint" else gpus(STUDY.devices.gpus_per_prediction_job)


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


def synthesis_spec(wildcards):
    """Return the spec of the items that a generator makes from a collection."""
    return plan.synthesis_spec(STUDY, wildcards.generator, wildcards.collection).canonical_json()


def synthesis_prompts(wildcards):
    """Return the prompt file of each task of a generator."""
    generator = STUDY.generators[wildcards.generator]
    return [shipped(f"{generator.prompts}/{task}.md") for task in sorted(generator.tasks)]


def translation_spec(wildcards):
    """Return the spec of the translation of a split."""
    return plan.translation_spec(STUDY, wildcards.translator, wildcards.source, wildcards.split).canonical_json()


def translation_prompt(wildcards):
    """Return the prompt of a translator; a sequence-to-sequence model has none."""
    translator = STUDY.translators[wildcards.translator]
    return [] if translator.backend.kind == "seq2seq" else shipped(translator.prompt)


def prompt_words(wildcards, input):
    """Return the words of the command line that name the prompt."""
    return ["--prompt", input.prompt] if input.prompt else []


def quality_spec(wildcards):
    """Return the spec of a translator's version of the parallel text."""
    translator = STUDY.translators[wildcards.translator]
    return QualitySpec(name=wildcards.translator, translator=translator).canonical_json()


def quality_prompt(wildcards):
    """Return the prompt for plain text of a translator; a sequence-to-sequence model has none."""
    translator = STUDY.translators[wildcards.translator]
    return [] if translator.backend.kind == "seq2seq" else shipped(translator.text_prompt)


def parallel_texts():
    """Return the collections of parallel text."""
    return [f"<results>/documents/{name}.parquet" for name in plan.parallel_collections(STUDY)]


def translated_parallel_texts():
    """Return every translator's version of the parallel text."""
    return [f"<results>/translation_quality/{name}.parquet" for name in STUDY.translators]
