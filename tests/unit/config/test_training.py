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
