"""What recipe, mixes and devices of a training ask of each other."""

import pytest
from study_files import refusal, study_file  # noqa: F401 - a fixture

from posologie.config.load import load_study

PAIRS = {"tasks": ["preference"]}
MIXES = {"NAT": {"shares": {"native": 1}, "size": 10, **PAIRS}}
DPO = {"recipe": {"objective": "dpo"}}


def test_preferences_are_learnt_from_pairs_alone(write):
    study = load_study(write(training=DPO, mixes=MIXES, validation=PAIRS))
    assert study.training.recipe.objective == "dpo"
    message = refusal(write(training=DPO, validation=PAIRS))
    assert "mixes.NAT.tasks" in message
    assert "expected [preference]" in message
    assert "validation.tasks" in refusal(write(training=DPO, mixes=MIXES))


def test_pairs_are_not_tested(write):
    benchmarks = {"native": {"source": "native", **PAIRS}}
    assert "preference pairs" in refusal(write(suites={"mcqa": {"benchmarks": benchmarks}}))


@pytest.mark.parametrize(
    ("recipe", "expected"),
    [
        ({"method": "pissa", "quantization": "4bit"}, "quantization none"),
        ({"method": "full", "quantization": "8bit"}, "quantization none"),
        ({"dpo_beta": 0.3}, "objective dpo"),
        ({"method": "ia3"}, "pissa"),
    ],
)
def test_recipes_that_do_not_fit_together_are_refused(write, recipe, expected):
    assert expected in refusal(write(training={"recipe": recipe}))


def test_a_backbone_is_shared_by_several_gpus(write):
    assert load_study(write(devices={"shard_backbone": True, "gpus_per_training_job": 2})).devices.shard_backbone
    several_nodes = {"shard_backbone": True, "nodes_per_training_job": 2}
    assert load_study(write(devices=several_nodes)).devices.shard_backbone
    for gpus in (0, 1):
        message = refusal(write(devices={"shard_backbone": True, "gpus_per_training_job": gpus}))
        assert f"devices.shard_backbone = true: a training job has {gpus} GPU on 1 node; expected at least 2" in message


@pytest.mark.parametrize(
    "recipe", [{"quantization": "4bit"}, {"quantization": "8bit"}, {"method": "pissa"}, {"method": "full"}]
)
def test_a_backbone_that_is_packed_or_changed_is_not_shared(write, recipe):
    devices = {"shard_backbone": True, "gpus_per_training_job": 2}
    [(key, value)] = recipe.items()
    assert f"devices.shard_backbone: training.recipe.{key} = '{value}'" in refusal(
        write(devices=devices, training={"recipe": recipe})
    )
