"""Paired tests: parity with independent computations, and their level under the null."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.multitest import multipletests

from posologie.statistics.draws import make_clusters, random_signs
from posologie.statistics.paired import exact_sign_flip_p, holm, mcnemar_p, sign_flip_p


def test_mcnemars_exact_p_is_that_of_statsmodels():
    numbers = np.random.default_rng(1)
    first, second = numbers.integers(0, 2, size=(2, 60)).astype(float)
    table = [[np.sum((first == a) & (second == b)) for b in (1, 0)] for a in (1, 0)]
    assert mcnemar_p(first, second) == pytest.approx(mcnemar(table, exact=True).pvalue, abs=1e-9)


def test_models_that_agree_everywhere_do_not_differ():
    assert mcnemar_p(np.ones(5), np.ones(5)) == 1
    assert exact_sign_flip_p(np.zeros(30)) == 1
    assert sign_flip_p(0.0, np.zeros(100)) == 1


def test_the_exact_sign_flip_p_is_that_of_scipys_permutation_test():
    numbers = np.random.default_rng(2)
    differences = numbers.normal(0.4, 1, size=10)
    theirs = stats.permutation_test(
        (differences,), np.sum, permutation_type="samples", n_resamples=np.inf, alternative="two-sided"
    ).pvalue
    assert exact_sign_flip_p(differences) == pytest.approx(theirs, abs=1e-9)


def test_clusters_without_a_difference_do_not_count():
    differences = np.array([0.0, 1, 0, 1, 1, 0, 1, 1])
    assert exact_sign_flip_p(differences) == pytest.approx(2 / 2**5)


def test_random_flips_approach_the_exact_p():
    numbers = np.random.default_rng(3)
    differences = numbers.normal(0.5, 1, size=12)
    clusters = make_clusters(np.full(12, "b"), np.arange(12).astype(str))
    flipped = random_signs(clusters, 20_000, seed=1) @ differences
    assert sign_flip_p(differences.sum(), flipped) == pytest.approx(exact_sign_flip_p(differences), abs=0.01)


def test_ties_with_the_observed_difference_count_as_reached():
    # Sums of thirds are not exact in binary: a flip that ties with the observed difference must still count.
    flipped = np.array([0.1 + 0.2, -(0.3), 0.0, 0.1])
    assert sign_flip_p(0.3, flipped) == pytest.approx((1 + 2) / (1 + 4))


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


def test_sign_flips_of_clusters_keep_their_level_with_clusters_of_four(null_studies):
    clusters = make_clusters(np.full(100, "b"), np.arange(100).astype(str))
    sums = null_studies.sum(axis=2).astype(float)
    flipped = random_signs(clusters, 2000, seed=1) @ sums.T
    rejected = [sign_flip_p(sums[study].sum(), flipped[:, study]) < 0.05 for study in range(1000)]
    assert 0.035 <= np.mean(rejected) <= 0.065


def test_mcnemars_test_does_not_which_is_why_it_is_printed_for_single_items_only(null_studies):
    flat = null_studies.reshape(1000, -1)
    rejected = [mcnemar_p((study > 0).astype(float), (study < 0).astype(float)) < 0.05 for study in flat]
    assert np.mean(rejected) > 0.12
