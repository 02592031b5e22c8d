# What the rules of release.smk are given: inputs, specs, words of the command line, targets.
def released_model(wildcards):
    """Return the model that a job releases."""
    return MODELS[f"{wildcards.backbone}/{wildcards.mix}/seed-{wildcards.seed}"]


def mix_composition(wildcards):
    """Return what the mix of a model holds."""
    return mix_part("composition")(wildcards)


def tables_of_results():
    """Return the tables whose rows about a model its card shows."""
    return [f"<results>/tables/{table}.csv" for table in ("mcqa", "oeq") if table in STATISTICS]


def merge_spec(wildcards):
    """Return the spec of one merged model."""
    return merging.merge_spec(released_model(wildcards).id).canonical_json()


def card_spec(wildcards):
    """Return the spec of one model card."""
    return merging.card_spec(STUDY, released_model(wildcards), wildcards.form).canonical_json()


def push_spec(wildcards):
    """Return the spec of one push."""
    return merging.push_spec(STUDY, released_model(wildcards), wildcards.form).canonical_json()


def released_files(wildcards):
    """Return what is pushed beside the card: an adapter's files, or a merged model by its manifest."""
    model = released_model(wildcards).id
    if wildcards.form == "merged":
        return [f"<results>/merged/{model}/manifest.json"]
    return [f"<results>/adapters/{model}/{file}" for file in ("adapter_model.safetensors", "adapter_config.json")]


def released_words(wildcards, input):
    """Return the words of the command line that name what is pushed beside the card."""
    return ["--manifest", *input.files] if wildcards.form == "merged" else input.files


def all_releases():
    """Return every card, and every merged model, that the study releases."""
    released = merging.released(STUDY)
    merged = [f"<results>/merged/{model.id}/manifest.json" for model, form in released if form == "merged"]
    return merged + [f"<results>/cards/{model.id}/{form}/README.md" for model, form in released]


def all_pushes(wildcards):
    """Return the receipt of every push, which only a study that names a repository can make."""
    if STUDY.release.repository is None:
        refuse(
            InputError(
                "release.repository: missing; expected `owner/name` on the hub, with {mix} or the like in it, to push"
            )
        )
    return [f"<results>/pushed/{model.id}/{form}.json" for model, form in merging.released(STUDY)]
