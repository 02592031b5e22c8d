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
    return CollectionSpec(
        collection=wildcards.collection,
        patterns=patterns,
        options=described.options,
        reject_limit=described.reject_limit,
    ).canonical_json()


def documents_to_generate_from(wildcards):
    """Return the documents that a generator is shown."""
    return f"<results>/{plan.documents(STUDY, wildcards.collection)}"


def kinds_of(makers):
    """Return the kinds of backend that generators, translators or judges use."""
    return sorted({maker.backend.kind for maker in makers.values()})


def with_kind(makers, kind):
    """Return the pattern of the names of those whose backend is of a kind."""
    return one_of(name for name, maker in makers.items() if maker.backend.kind == kind)


NO_MODEL_HERE = ("openai_endpoint", "outside")


def manifest_of_backend(backend):
    """Return the manifest of a local model; an endpoint has none, nor have verdicts from files."""
    return [] if backend.kind in NO_MODEL_HERE else manifest_of(plan.local_model(STUDY, backend.backbone))


def backbone_words(wildcards, input):
    """Return the words of the command line that name the local model."""
    return ["--backbone", input.backbone] if input.backbone else []


def backend_resources(kind, backend_of):
    """Return what a job asks for besides memory and time: GPUs for a local model, nothing for an endpoint.

    `backend_of` gives the backend of a job from its wildcards: an engine takes as many GPUs as its model is spread over.
    """
    usual = 0 if kind in NO_MODEL_HERE else STUDY.devices.gpus_per_prediction_job
    if kind != "engine" or not usual:
        return gpus(usual)

    def count(wildcards):
        return max(usual, backend_of(wildcards).tensor_parallel)

    return {"gpu": count, "nodes": 1, "devices": count}


def running_of(asker):
    """Return how a generator, translator, judge or served model is run, as JSON: it changes no reply, and so triggers nothing."""
    running, url = asker.running, getattr(asker.backend, "url", None)
    return running.model_copy(update={"url": url}).canonical_json()


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
    return table_of(wildcards.made)


def part_size(wildcards):
    """Return how many documents or items one job works on."""
    kind, name, *_ = wildcards.made.split("/")
    return (STUDY.generators if kind == "generated" else STUDY.translators)[name].part_size


def synthesis_spec(wildcards):
    """Return the spec of the items that a generator makes from a collection."""
    return job_specs.synthesis_spec(STUDY, wildcards.generator, wildcards.collection).canonical_json()


def synthesis_prompts(wildcards):
    """Return the prompt file of each task of a generator."""
    generator = STUDY.generators[wildcards.generator]
    return [shipped(f"{generator.prompts}/{task}.md") for task in sorted(generator.tasks)]


def translation_spec(wildcards):
    """Return the spec of the translation of a split."""
    return job_specs.translation_spec(STUDY, wildcards.translator, wildcards.source, wildcards.split).canonical_json()


def translation_prompt(wildcards):
    """Return the prompt of a translator; a sequence-to-sequence model has none."""
    translator = STUDY.translators[wildcards.translator]
    return [] if translator.backend.kind == "seq2seq" else shipped(translator.prompt)


def language_data(*codes):
    """Return the files of what is known of languages (two-letter codes); what holds for one without a file is in one."""
    files = (shipped(f"resources/languages/{code}.yaml") for code in sorted(set(codes)))
    there = [file for file in files if Path(file).is_file()]
    return there if len(there) == len(set(codes)) else [*there, shipped("resources/languages/general.yaml")]


def translation_languages(wildcards):
    """Return the data of a translator's two languages."""
    translator = STUDY.translators[wildcards.translator]
    return language_data(translator.source_language, translator.target_language)


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


def quality_table_spec(wildcards):
    """Return the spec of the table of translation quality."""
    return QualityTableSpec(quality=STUDY.translation_quality, published=plan.published_names(STUDY)).canonical_json()


def comet_checkpoint():
    """Return the file of the COMET model; nothing where there is none, which the table then says."""
    model = STUDY.translation_quality.comet_checkpoint
    return [model] if model is not None and Path(model).is_file() else []


def comet_words(wildcards, input):
    """Return the words of the command line that name the COMET model."""
    model = STUDY.translation_quality.comet_checkpoint
    return [] if model is None else ["--checkpoint", model]


def comet_scores():
    """Return the COMET scores of every translator, where the study wants them."""
    uses_comet = "comet" in STUDY.translation_quality.metrics
    return [f"<results>/translation_quality/{name}.comet.parquet" for name in STUDY.translators if uses_comet]


def comet_table_words(wildcards, input):
    """Return the words of the command line that name the COMET scores."""
    words = named((Path(path).name.removesuffix(".comet.parquet"), path) for path in input.comet)
    return ["--comet", *words] if words else []


def tables_to_work_on():
    """Return the documents, shards and parallel texts that the study's generators and translators work on."""
    tables = [table_of(made) for made in plan.generated_artifacts(STUDY)]
    return list(dict.fromkeys([*tables, *parallel_texts()]))


def table_of(made):
    """Return the table from which an artifact is made."""
    kind, _, *rest = made.split("/")
    return (
        f"<results>/{plan.documents(STUDY, rest[0])}"
        if kind == "generated"
        else f"<results>/shards/{rest[0]}/{rest[1]}.parquet"
    )


def prompts_in_use():
    """Return the prompt files of all generators and translators."""
    generators = [f"{one.prompts}/{task}.md" for one in STUDY.generators.values() for task in sorted(one.tasks)]
    chats = [one for one in STUDY.translators.values() if one.backend.kind != "seq2seq"]
    return list(dict.fromkeys([*generators, *(path for one in chats for path in (one.prompt, one.text_prompt))]))


def plan_entries():
    """Return what everything that the study makes would be asked with (see posologie.judging.plan_study)."""
    results = f"results/{STUDY.study}"
    entries = []
    for made in plan.generated_artifacts(STUDY):
        kind, name, *rest = made.split("/")
        table = table_of(made).replace("<results>", results)
        if kind == "generated":
            maker, spec = STUDY.generators[name], job_specs.synthesis_spec(STUDY, name, rest[0])
            prompts = {task: f"{maker.prompts}/{task}.md" for task in maker.tasks}
        else:
            maker, spec = STUDY.translators[name], job_specs.translation_spec(STUDY, name, rest[0], rest[1])
            prompts = {} if maker.backend.kind == "seq2seq" else {"item": maker.prompt}
        work = f"{WORK}/{'generation' if kind == 'generated' else 'translation'}/{name}"
        entries.append(plan_entry(made, kind, spec, table, prompts, maker, work))
    pairs = {name: f"{results}/documents/{name}.parquet" for name in plan.parallel_collections(STUDY)}
    for name, maker in STUDY.translators.items() if pairs else ():
        prompts = {} if maker.backend.kind == "seq2seq" else {"text": maker.text_prompt}
        spec, work = QualitySpec(name=name, translator=maker), f"{WORK}/translation/{name}"
        entries.append(
            plan_entry(f"translation_quality/{name}", "translation_quality", spec, pairs, prompts, maker, work)
        )
    return entries


def plan_entry(made, kind, spec, table, prompts, maker, work):
    """Return one entry of `plan_entries`."""
    described = {"made": made, "kind": kind, "table": table, "prompts": prompts, "work": work}
    return {
        **described,
        "spec": json.loads(spec.canonical_json()),
        "running": json.loads(running_of(maker)),
    }
