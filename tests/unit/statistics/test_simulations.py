"""Simulated studies whose truth is known: intervals hold it 95 times in 100, tests reject 5 times in 100.

A thousand studies with the same clusters are a thousand columns under the same draws, so that they take seconds.
"""

import numpy as np
import pytest
from clustered import clustered_scores

from posologie.statistics.attribution import coalitions, interaction_index
from posologie.statistics.correlations import pearson, spearman
from posologie.statistics.crossed import crossed, t_interval
from posologie.statistics.draws import bootstrap_counts, make_clusters
from posologie.statistics.entries import Entry, over_members, seed_weights
from posologie.statistics.estimates import Resampled
from posologie.statistics.intervals import bootstrap_p, percentile
from posologie.statistics.scored import ScoredSuite
from posologie.statistics.spec import Statistics

STUDIES = 1000
SIZES = np.tile([1, 1, 4, 2], 50)
"""Clusters of up to four items, in two benchmarks."""


def suite() -> ScoredSuite:
    """Return two benchmarks of 100 clusters each, without values."""
    group = np.repeat(np.arange(len(SIZES)), SIZES)
    count = len(group)
    benchmark = np.where(group < len(SIZES) // 2, "easy", "hard")
    item = np.array([f"{number:05d}" for number in range(count)])
    keys = {"benchmark": benchmark, "item": item, "group": group.astype(str)}
    same = {"provenance": np.full(count, "native"), "task": np.full(count, "mcqu")}
    return ScoredSuite("s", (), **keys, **same, variants=("original",), values={}, signatures={})


def answers(numbers: np.random.Generator, gains: np.ndarray) -> np.ndarray:
    """Return [arm, study, item]: right answers, alike inside clusters and between arms; `gains` are added to 0.4."""
    ease = numbers.beta(0.8, 1.2, size=(STUDIES, len(SIZES)))
    ease = np.repeat(ease, SIZES, axis=1)
    keeps = numbers.random(ease.shape)
    chance = np.stack([(1 - abs(gain)) * ease + max(gain, 0) for gain in gains])
    luck = np.stack([np.where(numbers.random(ease.shape) < 0.5, keeps, numbers.random(ease.shape)) for _ in gains])
    return (luck < chance).astype(float)


def held(low: float, truth: float, high: float) -> bool:
    return low <= truth <= high


def test_intervals_over_two_benchmarks_hold_the_truth_for_differences_and_shapley_values():
    # chance = (1 − |g|) · ease + max(g, 0), and ease is 0.4 on average.
    numbers = np.random.default_rng(21)
    players = ("native", "translated", "synthetic")
    gains = np.array([0.0, 0.2, 0.1, -0.1, 0.3, 0.1, 0.0, 0.2])
    truth = 0.4 * (1 - np.abs(gains)) + np.maximum(gains, 0)
    values = answers(numbers, gains)[:, :400]
    resampled = Resampled(suite(), Statistics())
    contrast = np.array([-1.0, 0, 0, 0, 0, 0, 0, 1])
    shapley = [interaction_index(frozenset({player}), players) for player in players]
    assert len(coalitions(players)) == len(gains)
    assert sum(shapley) == pytest.approx(contrast, abs=1e-12), "Shapley values sum to ALL − base"
    entries = [Entry(f"q/{arm}", "mix", "q", str(arm), "1", (arm,)) for arm in range(len(gains))]
    covered = {aggregate: [] for aggregate in ("item_weighted", "mean_of_benchmarks")}
    for moments in resampled.many_moments(values[:, study] for study in range(values.shape[1])):
        for moment in moments:
            if moment.cell.scope_kind == "all":
                model = crossed(moment.moments, entries, entries)
                for linear in (contrast, *shapley):
                    low, high = t_interval(model.of(linear), 0.95)
                    covered[moment.cell.aggregate].append(held(low, linear @ truth, high))
    for aggregate, times in covered.items():
        assert 0.93 <= np.mean(times) <= 0.97, aggregate


def _around(interval: tuple[float, float], truth: float) -> tuple[float, float, float]:
    return interval[0], truth, interval[1]


def rated_answers(numbers: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return people's ratings, and two equally good judges', of two answers to each of 100 questions."""
    question = np.repeat(numbers.normal(size=100), 2)
    human = question + numbers.normal(size=200)
    shared = np.repeat(numbers.normal(size=100), 2)
    judges = [human + shared + numbers.normal(size=200) for _ in range(2)]
    return human, judges[0], judges[1]


@pytest.mark.parametrize("statistic", [pearson, spearman])
def test_correlations_with_people_hold_the_truth_and_equal_judges_are_told_apart_once_in_twenty(statistic):
    numbers = np.random.default_rng(23)
    clusters = make_clusters(np.full(200, "set"), np.repeat(np.arange(100), 2).astype(str))
    draws = bootstrap_counts(clusters, 500, seed=1)[:, clusters.of_item].astype(float)
    # Var(human) = 2, Var(judge) = 4, covariance 2: r = 1 / √2; Spearman's of normal ratings is 6/π · asin(r / 2).
    truth = np.sqrt(0.5) if statistic is pearson else 6 / np.pi * np.arcsin(np.sqrt(0.5) / 2)
    covered, rejected = [], []
    for _ in range(STUDIES if statistic is pearson else STUDIES // 4):
        human, first, second = rated_answers(numbers)
        left, other = statistic(human, first, draws), statistic(human, second, draws)
        covered.append(held(*_around(percentile(left, 0.95), truth)))
        rejected.append(bootstrap_p(left - other) < 0.05)
    assert 0.92 <= np.mean(covered) <= 0.975
    assert 0.025 <= np.mean(rejected) <= 0.08


@pytest.mark.parametrize("seeds", [3, 5])
@pytest.mark.parametrize("noise", [0.001, 0.1])
def test_intervals_over_a_few_training_seeds_hold_the_truth_of_what_has_no_model(seeds, noise):
    # Seeds differ by far more than items do, or as much: an unstretched interval over three holds it 75 times in 100.
    numbers = np.random.default_rng(24)
    entry = Entry("q/NAT", "mix", "q", "NAT", "all", tuple(range(seeds)))
    covered = []
    for study in range(STUDIES):
        draws = seed_weights(entry, Statistics(replicates=500, seed=study))
        of_seed = 0.5 + noise * numbers.normal() + 0.1 * numbers.normal(size=seeds)
        of_draw = of_seed[:, None] + noise * numbers.normal(size=500)
        point, drawn = over_members(entry, of_seed, of_draw, draws)
        assert abs(point - of_seed.mean()) < 1e-12
        covered.append(held(*_around(percentile(drawn, 0.95), 0.5)))
    assert 0.93 <= np.mean(covered) <= 0.985


def test_seeds_that_do_not_matter_hardly_widen_an_interval():
    # Members share the noise of items, 0.05, and have some of their own, 0.02, which is all that tells them apart.
    numbers = np.random.default_rng(26)
    entry = Entry("q/NAT", "mix", "q", "NAT", "all", (0, 1, 2))
    widths = []
    for study in range(200):
        of_seed = 0.5 + 0.02 * numbers.normal(size=3)
        of_draw = of_seed[:, None] + 0.05 * numbers.normal(size=500) + 0.02 * numbers.normal(size=(3, 500))
        _, drawn = over_members(entry, of_seed, of_draw, seed_weights(entry, Statistics(replicates=500, seed=study)))
        widths.append(drawn.std())
    # Drawn with their noise twice, and stretched whole by 4.30 / 1.96, the draws were 0.113 wide.
    assert np.median(widths) < 1.1 * np.hypot(0.05, 0.02 / np.sqrt(3))


def test_clustered_scores_of_one_study_are_alike_inside_clusters():
    numbers = np.random.default_rng(25)
    scores = clustered_scores(numbers, np.full(50, 2), 200).reshape(-1, 2)
    assert np.corrcoef(scores.T)[0, 1] == pytest.approx(1 / 3, abs=0.03)
