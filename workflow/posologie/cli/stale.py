"""Which finished artifacts the study file or the code has left behind: their seals say what they were made of.

Compared are the specs of shards, screened shards, mixes, adapters, predictions and scores, and the code of every sealed
artifact. What was made of a stale artifact is stale too. Files that a person replaced, and everything else that an
artifact depends on, are found by `snakemake -n`, which reads them.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import cast

from posologie.cli.artifacts import Artifact
from posologie.cli.places import results_of
from posologie.config import job_specs, plan
from posologie.config.study import Study
from posologie.records.items import Split
from posologie.records.specs import Spec
from posologie.running.code_digest import digest
from posologie.running.planning import acceptances, accepted_pairs, same_code
from posologie.running.seals import Identity, Seal, seal_of, spec_differences


def stale(study: Study, artifacts: Iterable[Artifact]) -> dict[str, str]:
    """Return why each finished artifact would be made again, by `stage/name`; artifacts in the order they are made."""
    accepted = accepted_pairs(acceptances(results_of(study)))
    reasons: dict[str, str] = {}
    files: dict[str, str] = {}
    for artifact in artifacts:
        seal = seal_of(artifact.file) if artifact.done else None
        if seal is None:
            continue
        reason = _own(study, artifact, seal, accepted)
        if reason is None:
            reason = next((f"made of {files[path]}" for path in seal.inputs if path in files), None)
        if reason is not None:
            name = f"{artifact.stage}/{artifact.name}"
            reasons[name] = reason
            files |= dict.fromkeys((path.as_posix() for path in seal.files()), name)
    return reasons


def _own(study: Study, artifact: Artifact, seal: Seal, accepted: Mapping[str, list[list[str]]]) -> str | None:
    """Return how the spec or the code of an artifact differs from what the seal says."""
    sealed = seal.identity
    spec = _spec(study, artifact)
    if spec is not None:
        planned = Identity(sealed.module, sealed.code, spec.model_dump(mode="json"), sealed.settings)
        if differences := spec_differences(sealed, planned):
            return differences[0]
    try:
        code = digest(sealed.module)
    except ModuleNotFoundError:
        return f"code: {sealed.module} no longer exists"
    return None if same_code(sealed.module, sealed.code, code, accepted) else f"code of {sealed.module}"


def _spec(study: Study, artifact: Artifact) -> Spec | None:
    """Return what an artifact of one of the first stages depends on now; None for any other."""
    first, _, last = artifact.name.rpartition("/")
    specs: dict[str, Callable[[], Spec | None]] = {
        "shards": lambda: job_specs.shard_spec(study, first, cast(Split, last)),
        "screened": lambda: job_specs.screening_spec(study, first, cast(Split, last)),
        "mixes": lambda: job_specs.mix_spec(study, first, int(last.removeprefix("seed-"))),
        "adapters": lambda: _training(study, artifact.name),
        "predictions": lambda: _prediction(study, first, last),
        "scores": lambda: job_specs.scoring_spec(study, last),
    }
    return specs[artifact.stage]() if artifact.stage in specs else None


def _training(study: Study, name: str) -> Spec | None:
    model = plan.models(study)[name]
    if model.backbone is None or model.mix is None or model.seed is None:
        return None
    return job_specs.training_spec(study, model.backbone, model.mix, model.seed)


def _prediction(study: Study, model: str, suite: str) -> Spec | None:
    """Return the spec of a model's answers; None for a merged model, whose mixes are named by its inputs."""
    if model not in plan.models(study):
        return None
    bundle = next(name for name, suites in plan.bundles(study).items() if suite in suites)
    if model in plan.served_models(study):
        return job_specs.endpoint_prediction_spec(study, model, bundle)
    if model in plan.outside_models(study):
        return job_specs.outside_prediction_spec(study, model, bundle)
    return job_specs.prediction_spec(study, model, bundle)
