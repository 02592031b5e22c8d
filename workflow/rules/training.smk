# Mixes become adapters.
include: "functions/training.smk"


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
    log:
        "<work>/logs/adapters/{backbone}/{mix}/seed-{seed}.log",
    conda:
        ENVIRONMENT
    threads: STUDY.training.threads
    resources:
        **gpus(STUDY.devices.gpus_per_training_job, STUDY.devices.nodes_per_training_job),
        mem_mb=growing(64000),
        # not growing: a retry goes on from the last checkpoint, and many sites end every job after 20 hours
        runtime=1200,
        torch_threads=STUDY.training.threads,
        micro_batch=STUDY.devices.training_micro_batch,
        processes=max(1, STUDY.devices.gpus_per_training_job),
        shard_backbone=int(STUDY.devices.shard_backbone),
        group_minutes=STUDY.devices.training_group_minutes,
    params:
        spec=training_spec,
        sealing=sealing(),
        work=f"{WORK}/training/{{backbone}}/{{mix}}/seed-{{seed}}",
    message:
        "Train {wildcards.mix} (seed {wildcards.seed}) on {wildcards.backbone}"
    shell:
        command(
            "posologie.training",
            "--spec {params.spec:q} --train {input.train:q} --validation {input.validation:q} --backbone {input.backbone:q}"
            " --weights {output.weights:q} --config {output.config:q} --history {output.history:q} --run {output.run:q}"
            " --work {params.work:q} --micro-batch {resources.micro_batch} --threads {resources.torch_threads}"
            " --processes {resources.processes} --nodes {resources.nodes}"
            " --shard-backbone {resources.shard_backbone} --group-minutes {resources.group_minutes}"
            " --devices {resources.devices}",
        )
