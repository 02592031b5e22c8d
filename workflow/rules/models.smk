# Backbones and published models, in one form on disk: one rule for each kind of origin that the study uses.
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


def rule_of_origin(kind):
    """Define the rule of one kind of origin (a function for the reason that `rule_of_table` gives)."""

    rule:
        name:
            f"fetch_model_{kind}"
        localrule: True
        input:
            model_files,
        output:
            "<models>/{folder}/manifest.json",
        wildcard_constraints:
            folder=one_of(name for name, spec in plan.model_specs(STUDY).items() if spec.backbone.kind() == kind),
        params:
            spec=model_spec,
        conda:
            ENVIRONMENT
        log:
            "<work>/logs/models/{folder}.log",
        shell:
            command(f"posologie.models.{kind}", "--spec {params.spec:q} --manifest {output:q}")


for kind in sorted({spec.backbone.kind() for spec in plan.model_specs(STUDY).values()}):
    rule_of_origin(kind)
