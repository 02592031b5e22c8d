import numpy as np
import pytest
from gaussian import COMPONENTS, Gaussian, least_squares, runs_of

from posologie.running.errors import InputError
from posologie.surface.rates import curves_of, effects_at, fieller, horizontal_rate, trade


def linear(shares, sizes=None):
    """Score rises by so much for each thousand items of a component."""
    return shares * (np.ones(len(shares)) if sizes is None else sizes / 1000)[:, None]


def of_counts(counts):
    counts = np.asarray(counts, float)
    return counts / counts.sum(axis=1, keepdims=True), counts.sum(axis=1)


def test_a_ratio_has_fiellers_bounds():
    # Finney 1978, section 4.6: the roots of (b² − t²v_b) r² − 2ab r + (a² − t²v_a) = 0
    rate = fieller(4.0, 2.0, np.diag([0.25, 0.04]), np.inf)
    roots = np.roots([4 - 1.959964**2 * 0.04, -16, 16 - 1.959964**2 * 0.25])
    assert rate.case == "bounded"
    assert rate.value == 2
    assert [rate.low, rate.high] == pytest.approx(sorted(roots))
    assert rate.text() == "1.44 to 2.72"


def test_a_ratio_whose_lower_part_may_be_none_is_unbounded_and_says_so():
    outside = fieller(4.0, 0.3, np.diag([0.25, 0.04]), np.inf)
    assert outside.case == "outside"
    assert outside.covers(1e9)
    assert outside.covers(-1e9)
    assert not outside.covers(0)
    assert outside.text().startswith("unbounded: at least")
    everywhere = fieller(0.1, 0.1, np.diag([0.25, 0.25]), np.inf)
    assert everywhere.case == "everywhere"
    assert everywhere.text() == "unbounded: any number"
    assert np.isnan(fieller(1.0, 0.0, np.eye(2), 5).value)


@pytest.mark.parametrize("bottom", [2.0, 0.3, 0.0], ids=["clear", "weak", "none"])
def test_fiellers_set_covers_the_ratio_as_often_as_it_says(bottom):
    numbers = np.random.default_rng(1)
    covariance = np.array([[0.25, 0.1], [0.1, 0.16]])
    estimates = numbers.multivariate_normal([1.0, bottom], covariance, 4000)
    true = 1.0 / bottom if bottom else 1e12
    variance = numbers.chisquare(6, 4000) / 6
    covered = [
        fieller(*estimate, covariance * part, 6).covers(true)
        for estimate, part in zip(estimates, variance, strict=True)
    ]  # fmt: skip
    assert 0.94 < np.mean(covered) < 0.96


def test_one_item_of_a_component_that_teaches_three_times_as_much_is_worth_three():
    surface = Gaussian(COMPONENTS, np.array([3.0, 1.0, 0.0]), 1e-4 * np.eye(3), terms=linear)
    effects = effects_at(surface, np.array([1000.0, 1000.0, 0.0]))
    assert effects.value * 1000 == pytest.approx([3, 1, 0])
    rate = effects.rate("native", "translated")
    assert rate.value == pytest.approx(3)
    assert rate.case == "bounded"
    assert rate.covers(3)
    assert effects.rate("native", "synthetic").case == "outside"
    value, low, high = effects.interval("native")
    assert 1000 * np.array([value, low, high]) == pytest.approx([3, 3 - 1.96 * 0.01, 3 + 1.96 * 0.01], abs=1e-4)


def test_at_a_fixed_size_an_item_takes_the_place_of_the_others():
    surface = Gaussian(COMPONENTS, np.array([3.0, 1.0, 0.0]), 1e-4 * np.eye(3), terms=linear)
    counts = np.array([400.0, 300.0, 300.0])
    # 3 − 0, against 1 − 0, for an item of synthetic
    assert trade(surface, counts, "native", "translated", "synthetic", sized=False).value == pytest.approx(3)
    mean = 0.4 * 3 + 0.3
    effects = effects_at(surface, counts, fixed_size=True, sized=False)
    assert 1000 * effects.value == pytest.approx(np.array([3, 1, 0]) - mean, rel=0.01)
    with pytest.raises(InputError, match="one size"):
        effects_at(surface, counts, sized=False)
    with pytest.raises(InputError, match="0 items of synthetic, fewer than 20"):
        trade(surface, np.array([500.0, 500.0, 0.0]), "native", "translated", "synthetic", sized=False)


def test_rates_of_a_fitted_surface_cover_the_truth():
    numbers = np.random.default_rng(2)
    shares, sizes = of_counts([[n, t, s] for n in (0, 2000) for t in (0, 2000) for s in (500, 2000)])
    true = np.array([2.0, 0.7, 0.4])
    covered = []
    for _ in range(600):
        score = linear(shares, sizes) @ true + numbers.normal(0, 0.8, len(shares))
        surface = least_squares(COMPONENTS, shares, score, sizes, terms=linear)
        covered.append(effects_at(surface, np.full(3, 1000.0)).rate("native", "translated").covers(2.0 / 0.7))
    assert np.mean(covered) == pytest.approx(0.95, abs=0.027)


def sweep_runs(score, **others):
    counts = [[1000, 0, 0], [1000, 1000, 0], [1000, 2000, 0], [1000, 0, 1000], [1000, 0, 4000]]
    shares, sizes = of_counts(counts)
    return runs_of(shares, np.asarray(score, float), sizes=sizes, **others)


def test_additive_sweeps_on_one_base_are_found_as_curves():
    by_component = {curve.component: curve for curve in curves_of(sweep_runs([1, 2, 3, 2, 3]))}
    assert sorted(by_component) == ["synthetic", "translated"]
    assert by_component["translated"].doses.tolist() == [0, 1000, 2000]
    assert by_component["translated"].places.tolist() == [0, 1, 2]
    assert by_component["synthetic"].rest == (1000, 0, 0)
    with pytest.raises(InputError, match="numbers of items"):
        curves_of(runs_of(np.eye(3), np.zeros(3)))


def test_the_distance_between_two_curves_is_the_rate():
    runs = sweep_runs([1, 3, 5, 2, 5], seed_variance=0.01, seed_df=np.inf)
    translated, synthetic = (
        next(curve for curve in curves_of(runs) if curve.component == name) for name in COMPONENTS[1:]
    )
    rate = horizontal_rate(runs, translated, synthetic, 1000)
    assert rate.value == pytest.approx(2)
    assert rate.covers(2)
    assert rate.case == "bounded"
    assert 1.5 < rate.low < 2 < rate.high < 2.5
    rough = horizontal_rate(sweep_runs([1, 3, 5, 2, 5], seed_variance=4.0, seed_df=np.inf), translated, synthetic, 1000)
    assert np.isinf(rough.high)
    assert rough.text().startswith("unbounded: at least")
    never = horizontal_rate(sweep_runs([1, 9, 9, 2, 5], seed_variance=0.01, seed_df=3), translated, synthetic, 1000)
    assert never.case == "none"
    assert np.isnan(never.value)
    assert never.text() == "no dose that was tested"
    with pytest.raises(InputError, match="expected one from 0 to 2000"):
        horizontal_rate(runs, translated, synthetic, 3000)


def test_the_distance_between_curves_covers_the_truth():
    numbers = np.random.default_rng(3)
    true = np.array([1, 3, 5, 2, 5.0])
    curves = curves_of(sweep_runs(true))
    translated, synthetic = (next(curve for curve in curves if curve.component == name) for name in COMPONENTS[1:])
    items = 0.3 * np.eye(5) + 2
    noise = numbers.multivariate_normal(np.zeros(5), items + 0.2 * np.eye(5), 150)
    covered = []
    for error in noise:
        runs = sweep_runs(true + error, items=items, seed_variance=0.2 * numbers.chisquare(20) / 20, seed_df=20)
        covered.append(horizontal_rate(runs, translated, synthetic, 1000).covers(2.0))
    assert np.mean(covered) == pytest.approx(0.95, abs=0.045)
