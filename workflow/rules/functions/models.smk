# What the rules of models.smk are given: inputs, specs, words of the command line, targets.
def manifest_of(origin):
    """Return the manifest of a backbone or published model."""
    return f"<models>/{origin.folder_name()}/manifest.json"


def model_files(wildcards):
    """Return the files of a local model folder; every other origin has no input."""
    folder = plan.model_specs(STUDY)[wildcards.folder].backbone.folder
    return [] if folder is None else sorted(str(path) for path in Path(folder).glob("*") if path.is_file()) or f"{folder}/config.json"


def model_spec(wildcards):
    """Return the spec of one model folder."""
    return plan.model_specs(STUDY)[wildcards.folder].canonical_json()
