# What the rules of training.smk are given: inputs, specs, words of the command line, targets.
# Where losses are shown changes no adapter, so it travels beside the command: in it, it would train everything again.
if STUDY.training.report_to is not None:
    os.environ.update(POSOLOGIE_REPORT_TO=STUDY.training.report_to)


def backbone_manifest(wildcards):
    """Return the manifest of the backbone that is trained."""
    return manifest_of(STUDY.backbones[wildcards.backbone])


def mix_part(part):
    """Return a function that gives a part of the mix that an adapter is trained on."""

    def path(wildcards):
        seed = plan.sampling_seed(STUDY, int(wildcards.seed))
        return f"<results>/{layout.mix(wildcards.mix, seed, part)}"

    return path


def training_spec(wildcards):
    """Return the spec of one adapter."""
    return job_specs.training_spec(STUDY, wildcards.backbone, wildcards.mix, int(wildcards.seed)).canonical_json()


def all_adapters():
    """Return every adapter that the study trains."""
    return [f"<results>/adapters/{model.id}/adapter_model.safetensors" for model in MODELS.values() if model.trained]
