# What the rules of look.smk are given: inputs, specs, words of the command line, targets.
def look_spec(wildcards):
    """Return the spec of the pages."""
    return job_specs.look_spec(STUDY).canonical_json()


def look_pages():
    """Return the page about all sources, and one for each."""
    return [f"<results>/{layout.look(name)}" for name in ("index", *STUDY.sources)]


def all_looks():
    """Return everything that a look makes."""
    return ["<results>/look/facts.json", *look_pages()]


# A look asks for nothing but the shards: it shows more where a study has been screened, or its backbone fetched, already.
def screened_so_far(wildcards):
    """Return the screened shards that exist."""
    splits = plan.screened_splits(STUDY)
    files = [layout.screened(name, split) for name in splits for split in splits[name]]
    return [f"<results>/{file}" for file in files if os.path.exists(f"results/{STUDY.study}/{file}")]


def backbone_so_far(wildcards):
    """Return the manifest of the backbone whose chat template is shown, if it is fetched."""
    manifest = manifest_of(next(iter(STUDY.backbones.values())))
    return manifest if os.path.exists(manifest.replace("<models>", STUDY.roots.models)) else []
