"""Simulated studies whose truth is known: intervals hold it 95 times in 100, tests reject 5 times in 100.

A thousand studies with the same clusters are a thousand columns under the same draws, so that they take seconds.
"""

import numpy as np
import pytest
from test_statistics_intervals import clustered_scores

from posologie.statistics.agreement_measures import pearson, spearman
from posologie.statistics.coalitions import coalitions, interaction_index
from posologie.statistics.draws import bootstrap_counts, make_clusters
from posologie.statistics.entries import Entry, over_members, seed_weights
from posologie.statistics.estimates import Resampled
from posologie.statistics.intervals import percentile
from posologie.statistics.paired import bootstrap_p, sign_flip_p
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


@pytest.mark.parametrize("aggregate", ["item_weighted", "mean_of_benchmarks"])
def test_intervals_of_differences_and_of_shapley_values_hold_the_truth(aggregate):
    # chance = (1 − |g|) · ease + max(g, 0), and ease is 0.4 on average.
    numbers = np.random.default_rng(21)
    players = ("native", "translated", "synthetic")
    gains = np.array([0.0, 0.2, 0.1, -0.1, 0.3, 0.1, 0.0, 0.2])
    truth = 0.4 * (1 - np.abs(gains)) + np.maximum(gains, 0)
    values = answers(numbers, gains)
    resampled = Resampled(suite(), Statistics(replicates=1000))
    chosen = [estimate for estimate in resampled.means(values.reshape(-1, values.shape[2]))
              if (estimate.cell.scope_kind, estimate.cell.aggregate) == ("all", aggregate)]  # fmt: skip
    (estimate,) = chosen
    draws = estimate.replicates.reshape(len(gains), STUDIES, -1)
    points = estimate.point.reshape(len(gains), STUDIES)
    contrast = np.array([-1.0, 0, 0, 0, 0, 0, 0, 1])
    shapley = {player: interaction_index(frozenset({player}), players) for player in players}
    assert len(coalitions(players)) == len(gains)
    for linear in (contrast, *shapley.values()):
        drawn = np.tensordot(linear, draws, axes=1)
        covered = [held(*_around(percentile(one, 0.95), linear @ truth)) for one in drawn]
        assert 0.93 <= np.mean(covered) <= 0.97
    total = sum(linear @ points for linear in shapley.values())
    assert total == pytest.approx(points[-1] - points[0], abs=1e-12), "Shapley values sum to ALL − base"


def _around(interval: tuple[float, float], truth: float) -> tuple[float, float, float]:
    return interval[0], truth, interval[1]


def test_sign_flips_over_two_benchmarks_keep_their_level():
    numbers = np.random.default_rng(22)
    first, second = answers(numbers, np.array([0.1, 0.1]))
    resampled = Resampled(suite(), Statistics(replicates=1000))
    for cell, added, flipped in resampled.flips(first - second):
        if cell.scope_kind == "all":
            p_values = [sign_flip_p(added[:, study].sum(), flipped[study]) for study in range(STUDIES)]
            assert 0.035 <= np.mean(np.array(p_values) < 0.05) <= 0.065


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
        one, other = statistic(human, first, draws), statistic(human, second, draws)
        covered.append(held(*_around(percentile(one, 0.95), truth)))
        rejected.append(bootstrap_p(one - other) < 0.05)
    assert 0.92 <= np.mean(covered) <= 0.975
    assert 0.025 <= np.mean(rejected) <= 0.08


@pytest.mark.parametrize("seeds", [3, 5])
def test_intervals_over_a_few_training_seeds_hold_the_truth(seeds):
    # The seeds differ by far more than items do: an unstretched interval over three would hold it 75 times in 100.
    numbers = np.random.default_rng(24)
    covered = []
    for study in range(STUDIES):
        entry = Entry(f"q/{study}", "mix", "q", "NAT", "all", tuple(range(seeds)))
        weights = seed_weights(entry, Statistics(replicates=500))
        assert np.abs(weights.sum(axis=0) - 1).max() < 1e-12
        of_seed = 0.5 + 0.1 * numbers.normal(size=seeds)
        of_draw = of_seed[:, None] + 0.001 * numbers.normal(size=500)
        point, drawn = over_members(entry, of_seed, of_draw, weights)
        assert abs(point - of_seed.mean()) < 1e-12
        covered.append(held(*_around(percentile(drawn, 0.95), 0.5)))
    assert 0.91 <= np.mean(covered) <= 0.975


def test_clustered_scores_of_one_study_are_alike_inside_clusters():
    numbers = np.random.default_rng(25)
    scores = clustered_scores(numbers, np.full(50, 2), 200).reshape(-1, 2)
    assert np.corrcoef(scores.T)[0, 1] == pytest.approx(1 / 3, abs=0.03)
