# Backbones and published models, in one form on disk: one rule for each kind of origin that the study uses.
include: "functions/models.smk"


def rule_of_origin(kind):
    """Define the rule of one kind of origin (a function for the reason that `rule_of_table` gives)."""

    rule:
        name:
            f"fetch_model_{kind}"
        input:
            model_files,
        output:
            "<models>/{folder}/manifest.json",
        log:
            "<work>/logs/models/{folder}.log",
        wildcard_constraints:
            folder=one_of(name for name, spec in plan.model_specs(STUDY).items() if spec.backbone.kind() == kind),
        localrule: True
        conda:
            ENVIRONMENT
        params:
            spec=model_spec,
            sealing=sealing(),
        message:
            "Provide the model {wildcards.folder}"
        shell:
            command(installer(kind), "--spec {params.spec:q} --manifest {output:q}")


for kind in sorted({spec.backbone.kind() for spec in plan.model_specs(STUDY).values()}):
    rule_of_origin(kind)
