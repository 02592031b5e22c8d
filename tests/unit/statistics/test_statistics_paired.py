"""Paired tests: parity with independent computations, and their level under the null."""

import numpy as np
import pytest
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from posologie.statistics.paired import holm, mcnemar_p


def test_mcnemars_exact_p_is_that_of_statsmodels():
    numbers = np.random.default_rng(1)
    first, second = numbers.integers(0, 2, size=(2, 60)).astype(float)
    table = [[np.sum((first == a) & (second == b)) for b in (1, 0)] for a in (1, 0)]
    assert mcnemar_p(first, second) == pytest.approx(mcnemar(table, exact=True).pvalue, abs=1e-9)


def test_models_that_agree_everywhere_do_not_differ():
    assert mcnemar_p(np.ones(5), np.ones(5)) == 1


def test_holms_correction_is_that_of_statsmodels():
    numbers = np.random.default_rng(4)
    p_values = np.append(numbers.random(9) ** 3, [0.02, 0.02])
    assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1], abs=1e-9)


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
