"""What the recipe, the seeds, the mixes and the devices of a training ask of each other."""

from posologie.config import plan
from posologie.config.check_sections import unknown
from posologie.config.study import Study
from posologie.running.errors import InputError
from posologie.training.spec import check_sharding


def check_training(study: Study) -> None:
    """Check that every training that the study plans can run.

    Raises:
        InputError: naming the key, its value and what was expected.
    """
    _check_seeds(study)
    _check_objective(study)
    _check_sharing(study)


def _check_seeds(study: Study) -> None:
    if len(set(study.training.seeds)) != len(study.training.seeds):
        raise InputError(f"training.seeds = {list(study.training.seeds)}: expected each seed once")
    if study.training.budget is not None:
        count, further = plan.trainings(study), study.design.trainings or 0
        if count + further > study.training.budget:
            proposed = f" and {further} that design.trainings may propose" if further else ""
            raise InputError(
                f"training.budget = {study.training.budget}: the study asks for {count} trainings"
                f" ({plan.trainings_text(study)}){proposed}; take fewer mixes, seeds or backbones, or raise the budget"
            )
    for mix in study.training.further_seeds:
        if mix not in study.mixes:
            raise unknown(f"training.further_seeds.{mix}", mix, study.mixes)
        if len(set(plan.training_seeds(study, mix))) != len(plan.training_seeds(study, mix)):
            seeds = list(study.training.further_seeds[mix])
            raise InputError(
                f"training.further_seeds.{mix} = {seeds}: expected seeds that are not in training.seeds, each once"
            )


def _check_objective(study: Study) -> None:
    """Check that preferences are learnt from pairs alone: other items have no rejected answer."""
    if study.training.recipe.objective != "dpo" or not study.mixes:
        return
    drawn = {f"mixes.{name}.tasks": mix.tasks for name, mix in study.mixes.items()}
    for key, tasks in {**drawn, "validation.tasks": study.validation.tasks}.items():
        if tasks != ("preference",):
            raise InputError(
                f"{key} = {list(tasks)}: training.recipe.objective = 'dpo' learns from pairs of answers; expected "
                "[preference]"
            )


def _check_sharing(study: Study) -> None:
    """Check that a backbone that is divided among the GPUs of a job has several, and can be divided."""
    if not study.devices.shard_backbone:
        return
    gpus, nodes = study.devices.gpus_per_training_job, study.devices.nodes_per_training_job
    if gpus * nodes < 2:
        raise InputError(
            f"devices.shard_backbone = true: a training job has {gpus} GPU on {nodes} node; expected at least 2 GPUs "
            "together (gpus_per_training_job, nodes_per_training_job)"
        )
    check_sharding(study.training.recipe)
