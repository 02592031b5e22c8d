# Mixes become adapters.
def backbone_manifest(wildcards):
    """Return the manifest of the backbone that is trained."""
    return manifest_of(STUDY.backbones[wildcards.backbone])


def mix_part(part):
    """Return a function that gives a part of the mix that an adapter is trained on."""

    def path(wildcards):
        seed = plan.sampling_seed(STUDY, int(wildcards.seed))
        return f"<results>/mixes/{wildcards.mix}/seed-{seed}/{part}.parquet"

    return path


def training_spec(wildcards):
    """Return the spec of one adapter."""
    return plan.training_spec(STUDY, wildcards.backbone, wildcards.mix, int(wildcards.seed)).canonical_json()


def all_adapters():
    """Return every adapter that the study trains."""
    return [f"<results>/adapters/{model.id}/adapter_model.safetensors" for model in MODELS.values() if model.mix and not model.published]


rule train_adapter:
    input:
        train=mix_part("train"),
        validation=mix_part("validation"),
        backbone=backbone_manifest,
    output:
        weights=ensure("<results>/adapters/{backbone}/{mix}/seed-{seed}/adapter_model.safetensors", non_empty=True),
        config="<results>/adapters/{backbone}/{mix}/seed-{seed}/adapter_config.json",
        history=ensure("<results>/adapters/{backbone}/{mix}/seed-{seed}/history.parquet", non_empty=True),
        run="<results>/adapters/{backbone}/{mix}/seed-{seed}/run.json",
    params:
        spec=training_spec,
        work=f"{WORK}/training/{{backbone}}/{{mix}}/seed-{{seed}}",
    threads: STUDY.training.threads
    resources:
        **gpus(STUDY.devices.gpus_per_training_job),
        mem_mb=growing(64000),
        runtime=growing(1440),
        micro_batch=STUDY.devices.training_micro_batch,
        processes=max(1, STUDY.devices.gpus_per_training_job),
    conda:
        ENVIRONMENT
    log:
        "<work>/logs/adapters/{backbone}/{mix}/seed-{seed}.log",
    shell:
        command(
            "posologie.training",
            "--spec {params.spec:q} --train {input.train:q} --validation {input.validation:q} --backbone {input.backbone:q}"
            " --weights {output.weights:q} --config {output.config:q} --history {output.history:q} --run {output.run:q}"
            " --work {params.work:q} --micro-batch {resources.micro_batch} --processes {resources.processes}",
        )
