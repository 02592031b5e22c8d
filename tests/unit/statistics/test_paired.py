"""Paired tests: parity with independent computations, and their level under the null."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from posologie.statistics.intervals import holm, mcnemar_p


def test_mcnemars_exact_p_is_that_of_statsmodels():
    numbers = np.random.default_rng(1)
    first, second = numbers.integers(0, 2, size=(2, 60)).astype(float)
    table = [[np.sum((first == a) & (second == b)) for b in (1, 0)] for a in (1, 0)]
    assert mcnemar_p(first, second) == pytest.approx(mcnemar(table, exact=True).pvalue, abs=1e-9)


@pytest.mark.parametrize("only_first", range(5))
@pytest.mark.parametrize("only_second", range(5))
def test_mcnemars_exact_p_is_that_of_a_fair_coin_whoever_comes_first(only_first, only_second):
    first = np.array([1.0] * only_first + [0.0] * only_second + [1.0, 0.0, 0.0])
    second = np.array([0.0] * only_first + [1.0] * only_second + [1.0, 0.0, 0.0])
    tossed = only_first + only_second
    expected = stats.binomtest(only_first, tossed).pvalue if tossed else 1.0
    assert mcnemar_p(first, second) == pytest.approx(expected, abs=1e-12)
    assert isinstance(mcnemar_p(first, second), float)


def test_models_that_agree_everywhere_do_not_differ():
    assert mcnemar_p(np.ones(5), np.ones(5)) == 1


@pytest.mark.parametrize(
    "p_values",
    [
        [],
        [0.3],
        [0.0, 1.0, 0.0],
        [*(np.random.default_rng(4).random(9) ** 3), 0.02, 0.02],
        [np.nan, 0.01, 0.02],
        [np.nan, np.nan],
    ],
)
def test_holms_correction_is_that_of_statsmodels(p_values):
    expected = multipletests(np.array(p_values), method="holm")[1]
    assert list(holm(np.array(p_values))) == pytest.approx(list(expected), abs=1e-12, nan_ok=True)


@pytest.mark.parametrize(
    ("p_values", "adjusted"),
    [
        ([], []),
        ([0.03], [0.03]),
        ([0.04, 0.01], [0.04, 0.02]),
        ([0.9, 0.6, 0.7], [1.0, 1.0, 1.0]),
        ([0.02, 0.9, 0.02, 0.001], [0.06, 0.9, 0.06, 0.004]),
        ([0.01, 0.011, 0.012], [0.03, 0.03, 0.03]),
    ],
)
def test_holms_correction_steps_down_keeps_the_order_and_ends_at_1(p_values, adjusted):
    assert list(holm(np.array(p_values))) == pytest.approx(adjusted)


@pytest.fixture(scope="module")
def null_studies() -> np.ndarray:
    """Return [study, cluster, item]: differences of two equally good models in −1, 0, 1, alike in clusters of four."""
    numbers = np.random.default_rng(5)
    lean = numbers.choice([0.05, 0.95], size=(1000, 100, 1))
    differ = numbers.random((1000, 100, 4)) < 0.6
    return np.where(numbers.random((1000, 100, 4)) < lean, 1, -1) * differ


def test_mcnemars_test_does_not_which_is_why_it_is_printed_for_single_items_only(null_studies):
    flat = null_studies.reshape(1000, -1)
    rejected = [mcnemar_p((study > 0).astype(float), (study < 0).astype(float)) < 0.05 for study in flat]
    assert np.mean(rejected) > 0.12
