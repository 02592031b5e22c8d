# What the rules of models.smk are given: inputs, specs, words of the command line, targets.
def manifest_of(origin):
    """Return the manifest of a backbone or published model."""
    return f"<models>/{origin.folder_name()}/manifest.json"


def manifest_of_encoder(encoder):
    """Return the manifest of an encoder from the hub; one from a package or a folder has none."""
    return [] if encoder is None or encoder.hub is None else manifest_of(encoder.backbone())


def installer(kind):
    """Return the module that installs models of one kind; how untrained ones are made fetches nothing again."""
    return "posologie.models.untrained" if kind == "untrained" else "posologie.models.origins"


def model_files(wildcards):
    """Return the local files that a model is made from: its folder's, or the corpus of an untrained one's tokenizer."""
    return plan.model_specs(STUDY)[wildcards.folder].backbone.files()


def model_spec(wildcards):
    """Return the spec of one model folder."""
    return plan.model_specs(STUDY)[wildcards.folder].canonical_json()
