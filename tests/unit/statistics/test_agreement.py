"""Agreement with people: parity with independent computations, undefined cases, and the correction for a choice."""

import math

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from posologie.statistics.agreement import threshold_labels
from posologie.statistics.correlations import (
    accuracy,
    auc,
    f1,
    kappa,
    kendall,
    mid_ranks,
    partial_spearman,
    pearson,
    spearman,
    steiger_p,
    zou_interval,
)
from posologie.statistics.judge_choice import choice_of
from posologie.statistics.ratings import estimate


@pytest.fixture(scope="module")
def rated() -> dict[str, np.ndarray]:
    """Return ratings of 60 answers with many ties, and 25 bootstrap draws."""
    numbers = np.random.default_rng(21)
    quality = numbers.normal(size=60)
    return {
        "human": np.round(quality + numbers.normal(size=60)),
        "score": np.round(quality + numbers.normal(size=60), 1),
        "right": (quality + numbers.normal(size=60) > 0).astype(float),
        "label": (quality + numbers.normal(size=60) > 0).astype(float),
        "words": np.round(np.exp(quality + numbers.normal(size=60))),
        "draws": numbers.multinomial(60, np.full(60, 1 / 60), size=25).astype(float),
    }


THEIRS = {
    "pearson": (pearson, "human", "score", lambda a, b: stats.pearsonr(a, b).statistic),
    "spearman": (spearman, "human", "score", lambda a, b: stats.spearmanr(a, b).statistic),
    "kendall": (kendall, "human", "score", lambda a, b: stats.kendalltau(a, b).statistic),
    "accuracy": (accuracy, "right", "label", metrics.accuracy_score),
    "f1": (f1, "right", "label", metrics.f1_score),
    "kappa": (kappa, "right", "label", metrics.cohen_kappa_score),
    "auc": (auc, "right", "score", metrics.roc_auc_score),
}


@pytest.mark.parametrize("name", THEIRS)
def test_a_statistic_is_the_known_one_on_the_answers_and_in_every_draw(rated, name):
    ours, first, second, theirs = THEIRS[name]
    pair = rated[first], rated[second]
    assert ours(*pair, np.ones((1, 60)))[0] == pytest.approx(theirs(*pair), abs=1e-9)
    drawn = ours(*pair, rated["draws"])
    for draw, value in zip(rated["draws"].astype(int), drawn, strict=True):
        again = [np.repeat(values, draw) for values in pair]
        assert value == pytest.approx(theirs(*again), abs=1e-9)


def test_partial_rank_correlation_is_that_of_residual_ranks(rated):
    ranks = [stats.rankdata(rated[name]) for name in ("words", "score", "human")]
    residuals = [rank - np.polyval(np.polyfit(ranks[2], rank, 1), ranks[2]) for rank in ranks[:2]]
    ours = partial_spearman(rated["words"], rated["score"], rated["human"], np.ones((1, 60)))[0]
    assert ours == pytest.approx(stats.pearsonr(*residuals).statistic, abs=1e-9)


def test_mid_ranks_are_those_of_the_repeated_answers():
    values, weights = np.array([3.0, 1.0, 3.0, 2.0]), np.array([[2.0, 1.0, 1.0, 0.0]])
    assert mid_ranks(values, weights)[0, [0, 1, 2]].tolist() == [3, 1, 3]


@pytest.mark.parametrize("statistic", [pearson, spearman, kendall])
@pytest.mark.parametrize("constant", [0.0, 0.1, 1.0, 1e6])
def test_a_constant_rating_has_no_correlation(statistic, constant):
    numbers = np.random.default_rng(1)
    value = statistic(np.full(30, constant), numbers.random(30), np.ones((1, 30)))
    assert np.isnan(value[0]), "undefined, not 0"


def test_one_label_throughout_has_neither_kappa_nor_auc():
    ones, half = np.ones(10), np.arange(10) % 2.0
    assert np.isnan(kappa(ones, ones, np.ones((1, 10)))[0])
    assert np.isnan(auc(ones, half, np.ones((1, 10)))[0])
    assert np.isnan(f1(0 * ones, 0 * ones, np.ones((1, 10)))[0])
    assert kappa(ones, half, np.ones((1, 10)))[0] == pytest.approx(0)


def test_agreement_within_generators_forgets_what_tells_them_apart():
    # The rater only knows which model wrote the answer: all of its correlation is between generators.
    numbers = np.random.default_rng(2)
    generator = np.repeat(["weak", "strong"], 200)
    human = (numbers.random(400) < np.where(generator == "strong", 0.8, 0.2)).astype(float)
    rater = (generator == "strong") + 0.01 * numbers.normal(size=400)
    estimated = estimate(
        pearson,
        human,
        rater,
        included=np.ones(400, dtype=bool),
        generator=generator,
        draws=np.ones((1, 400)),
        weight=np.ones(400),
    )
    assert estimated["pooled"].point > 0.5
    assert abs(estimated["within"].point) < 0.1
    assert estimated["within"].point == pytest.approx((estimated["weak"].point + estimated["strong"].point) / 2)


def test_zous_interval_is_that_of_his_example():
    # Zou 2007, section on overlapping correlations, after Olkin and Finn 1995: n = 66, .396, .179, .088.
    low, high = zou_interval(0.396, 0.179, 0.088, 66, 0.95)
    assert (low, high) == (pytest.approx(-0.093, abs=5e-4), pytest.approx(0.517, abs=1e-3))


def test_zous_interval_with_equal_correlations_is_symmetric_and_shrinks_with_what_the_raters_share():
    low, high = zou_interval(0.5, 0.5, 0.3, 100, 0.95)
    assert low == pytest.approx(-high, abs=1e-12)
    assert zou_interval(0.5, 0.5, 0.9, 100, 0.95)[1] < high


def test_steigers_test_by_an_independent_computation():
    # The covariance of the correlations in Pearson and Filon's general form, as Steiger gives it, at the pooled r.
    first, second, between, count = 0.61, 0.49, 0.55, 100
    pooled = (first + second) / 2

    def psi(r_jk: float, r_hm: float, r_jh: float, r_jm: float, r_kh: float, r_km: float) -> float:
        return 0.5 * (
            (r_jh - r_jk * r_kh) * (r_km - r_kh * r_hm)
            + (r_jm - r_jh * r_hm) * (r_kh - r_jk * r_jh)
            + (r_jh - r_jm * r_hm) * (r_km - r_jk * r_jm)
            + (r_jm - r_jk * r_km) * (r_kh - r_km * r_hm)
        )

    covariance = psi(pooled, pooled, 1.0, pooled, pooled, between) / (1 - pooled**2) ** 2
    z = (math.atanh(first) - math.atanh(second)) / math.sqrt((2 - 2 * covariance) / (count - 3))
    assert steiger_p(first, second, between, count) == pytest.approx(2 * stats.norm.sf(abs(z)), abs=1e-9)


def test_steigers_test_keeps_its_level_for_normal_ratings():
    numbers = np.random.default_rng(3)
    covariance = np.array([[1, 0.5, 0.5], [0.5, 1, 0.4], [0.5, 0.4, 1]])
    rejected = 0
    for _ in range(1000):
        r = np.corrcoef(numbers.multivariate_normal(np.zeros(3), covariance, size=100).T)
        rejected += steiger_p(r[0, 1], r[0, 2], r[1, 2], 100) < 0.05
    assert 30 <= rejected <= 70


def test_thresholds_are_found_on_other_groups():
    numbers = np.random.default_rng(4)
    group = np.repeat(np.arange(50), 2).astype(str)
    right = (numbers.random(100) < 0.5).astype(float)
    noise = numbers.random(100)
    own = [np.mean((noise >= cut) == right) for cut in np.append(np.unique(noise), np.inf)]
    labels = threshold_labels(noise, right, group)
    assert np.mean(labels == right) < max(own), "a threshold found on the same answers would flatter the noise"
    assert np.mean(threshold_labels(right + 0.1 * noise, right, group) == right) == 1


def test_the_best_of_seven_equal_judges_is_corrected_for_its_luck():
    # True correlation .50 for all seven, n = 100, judges that share half of their error: the best shows about .57.
    numbers = np.random.default_rng(5)
    shown, corrected, shares = [], [], []
    for _ in range(150):
        human = numbers.normal(size=100)
        errors = math.sqrt(0.5) * numbers.normal(size=100) + math.sqrt(0.5) * numbers.normal(size=(7, 100))
        scores = 0.5 * human + math.sqrt(0.75) * errors
        draws = numbers.multinomial(100, np.full(100, 0.01), size=60).astype(float)
        choice = choice_of(human, scores, draws, np.ones(100), 100, 0.95)
        shown.append(choice.points.max())
        corrected.append(choice.corrected)
        shares.append(choice.shares)
    assert np.mean(shown) == pytest.approx(0.57, abs=0.02)
    assert np.mean(corrected) == pytest.approx(0.50, abs=0.02)
    assert np.mean(shares, axis=0) == pytest.approx(np.full(7, 1 / 7), abs=0.06)
    assert np.sum(shares, axis=1) == pytest.approx(np.ones(150))
