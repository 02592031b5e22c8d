"""Prediction-powered shares: formulas, coverage, and what a judge is worth."""

import numpy as np
import pytest
import statsmodels.api as sm

from posologie.statistics.prediction_powered import (
    Answers,
    corrected,
    further_ratings,
    mean_of,
    rogan_gladen,
)


def made(numbers, answers=400, rated=80, share=0.4, accuracy=0.9, per=1):
    """Return people's opinion of every answer and what is known of it."""
    right = (numbers.random(answers) < share).astype(float)
    judge = np.where(numbers.random(answers) < accuracy, right, 1 - right)
    known = np.zeros(answers, dtype=bool)
    known[numbers.choice(answers, rated, replace=False)] = True
    cluster = np.arange(answers) // per
    return right, Answers(cluster, judge, np.where(known, right, np.nan), np.ones(answers))


@pytest.mark.parametrize("tuning", [0.0, 0.3, 0.8, 1.0])
def test_the_estimate_is_that_of_ppi(tuning):
    """PPI++ has its λ before the answers that are not rated: ours times (N − n) / N (Angelopoulos et al., eq. 3)."""
    right, answers = made(np.random.default_rng(3))
    known, judge = answers.rated, answers.judge
    theirs = tuning * (~known).sum() / len(known)
    expected = theirs * judge[~known].mean() + np.mean(right[known] - theirs * judge[known])
    assert corrected(answers, 400, tuning).value == pytest.approx(expected, abs=1e-12)


def test_a_published_ppi_estimate_is_found_again():
    """ppi-python 0.2.3's ppi_mean_pointestimate at λ = 0.24 and 0.8 on these numbers."""
    human = np.array([1, 0, 1, 1, 0, 0, 1, 0.0])
    judge = np.array(
        [0.9, 0.2, 0.7, 0.4, 0.3, 0.1, 0.8, 0.6, 0.5, 0.2, 0.9, 0.7, 0.1, 0.3, 0.6, 0.8, 0.4, 0.9, 0.2, 0.7]
    )
    known = np.append(human, np.full(12, np.nan))
    answers = Answers(np.arange(20), judge, known, np.ones(20))
    for theirs, expected in ((0.24, 0.506), (0.8, 0.52)):
        estimate = corrected(answers, 20, theirs * 20 / 12)
        assert estimate.value == pytest.approx(expected, abs=1e-9)


def test_people_alone_have_the_cluster_robust_variance_of_a_mean():
    numbers = np.random.default_rng(4)
    right, answers = made(numbers, answers=120, rated=120, per=3)
    estimate = corrected(answers, 40, 0.0)
    fit = sm.OLS(right, np.ones(120)).fit(
        cov_type="cluster", cov_kwds={"groups": answers.cluster, "use_correction": False}
    )
    assert estimate.value == pytest.approx(fit.params[0], abs=1e-12)
    assert estimate.errors @ estimate.errors == pytest.approx(fit.bse[0] ** 2, abs=1e-12)


def test_weighted_people_alone_are_weighted_least_squares():
    numbers = np.random.default_rng(5)
    right, plain = made(numbers)
    weight = numbers.uniform(1, 5, 400)
    estimate = corrected(Answers(plain.cluster, plain.judge, plain.human, weight), 400, 0.0)
    fit = sm.WLS(right[plain.rated], np.ones(80), weights=weight[plain.rated]).fit(cov_type="HC0")
    assert estimate.value == pytest.approx(fit.params[0], abs=1e-12)
    assert estimate.errors @ estimate.errors == pytest.approx(fit.bse[0] ** 2, abs=1e-12)


def test_a_tuned_estimate_is_never_less_certain_than_people_alone():
    numbers = np.random.default_rng(6)
    for accuracy in (0.1, 0.5, 0.7, 0.95):
        _, answers = made(numbers, accuracy=accuracy)
        tuned, alone = corrected(answers, 400), corrected(answers, 400, 0.0)
        assert tuned.errors @ tuned.errors <= alone.errors @ alone.errors + 1e-15
        if accuracy > 0.9:
            assert tuned.variance < alone.variance / 2
        if accuracy < 0.2:
            assert tuned.tuning == 0, "a judge that is wrong nine times of ten is not turned around"


def test_a_judge_that_is_always_right_leaves_an_interval_all_the_same():
    _, answers = made(np.random.default_rng(7), answers=4000, rated=40, accuracy=1)
    low, high = corrected(answers, 4000).share_interval(0.95)
    assert high - low > 0.08, "an error in forty ratings is not excluded by forty without any"


def test_a_draw_that_takes_hard_answers_is_undone_by_the_weights():
    numbers = np.random.default_rng(8)
    values = []
    for _ in range(300):
        hard = numbers.random(600) < 0.3
        right = (numbers.random(600) < np.where(hard, 0.2, 0.8)).astype(float)
        judge = np.where(numbers.random(600) < np.where(hard, 0.6, 0.95), right, 1 - right)
        chance = np.where(hard, 0.3, 0.05)
        known = numbers.random(600) < chance
        answers = Answers(np.arange(600), judge, np.where(known, right, np.nan), 1 / chance)
        values.append(corrected(answers, 600).value)
    assert np.mean(values) == pytest.approx(0.3 * 0.2 + 0.7 * 0.8, abs=0.012), "unweighted it would be .41"


@pytest.mark.parametrize(("share", "accuracy", "rated"), [(0.02, 0.95, 200), (0.4, 0.7, 40), (0.95, 0.9, 200)])
def test_intervals_of_shares_and_differences_hold_their_level(share, accuracy, rated):
    """250 studies; the benchmark statistics_judged.py has more of more."""
    numbers = np.random.default_rng(9)
    covered = differences = 0
    for _ in range(250):
        _, first = made(numbers, answers=1000, rated=rated, share=share, accuracy=accuracy)
        _, second = made(numbers, answers=1000, rated=rated, share=share, accuracy=accuracy)
        estimate, other = corrected(first, 1000), corrected(second, 1000)
        low, high = estimate.share_interval(0.95)
        covered += low <= share <= high
        low, high = estimate.minus(other).interval(0.95)
        differences += low <= 0 <= high
    assert covered >= 229, "91.6 %: two standard errors below 95 %"
    assert differences >= 229


def test_the_judge_alone_is_biased_and_the_check_agrees():
    numbers = np.random.default_rng(10)
    right, answers = made(numbers, answers=4000, rated=1000, share=0.1, accuracy=0.8)
    assert answers.judge.mean() > 0.2, "twenty per cent of the ninety that are wrong are found right"
    value, low, high = rogan_gladen(answers, 4000, 0.95)
    assert low < right.mean() < high
    assert value == pytest.approx(corrected(answers, 4000).value, abs=0.02)
    sensitivity = answers.judge[answers.rated & (right == 1)].mean()
    false_alarm = answers.judge[answers.rated & (right == 0)].mean()
    assert value == pytest.approx((answers.judge.mean() - false_alarm) / (sensitivity - false_alarm), abs=1e-12)


def test_a_judge_that_tells_nothing_apart_has_no_rogan_gladen():
    _, answers = made(np.random.default_rng(11))
    blind = Answers(answers.cluster, np.ones(400), answers.human, answers.weight)
    assert rogan_gladen(blind, 400, 0.95) is None


def test_further_ratings_bring_the_interval_to_where_they_were_said_to():
    numbers = np.random.default_rng(12)
    right, answers = made(numbers, answers=2000, rated=400, accuracy=0.8)
    estimate = corrected(answers, 2000)
    more = further_ratings(estimate, 400, 2000)
    order = numbers.permutation(2000)
    human = np.full(2000, np.nan)
    human[order[: 400 + more]] = right[order[: 400 + more]]
    then = corrected(Answers(answers.cluster, answers.judge, human, answers.weight), 2000)
    everything = corrected(Answers(answers.cluster, answers.judge, right, answers.weight), 2000)
    assert np.sqrt(then.variance / everything.variance) == pytest.approx(1.1, abs=0.05)
    assert further_ratings(everything, 2000, 2000) == 0


def test_the_mean_of_seeds_is_paired_over_the_questions():
    _, answers = made(np.random.default_rng(13))
    estimate = corrected(answers, 400)
    same = mean_of([estimate, estimate, estimate])
    assert same.value == pytest.approx(estimate.value)
    assert same.errors @ same.errors == pytest.approx(estimate.errors @ estimate.errors), "three copies are one model"
