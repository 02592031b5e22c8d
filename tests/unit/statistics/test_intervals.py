"""Intervals: parity with independent computations, and coverage."""

import numpy as np
import pytest
from clustered import clustered_scores
from scipy import stats

from posologie.statistics.draws import make_clusters
from posologie.statistics.estimates import Resampled
from posologie.statistics.intervals import CONSTANT, TOO_SMALL, interval_of, percentile, wilson
from posologie.statistics.scored import ScoredSuite
from posologie.statistics.spec import Statistics


class _SameDraws(np.random.Generator):
    """A generator whose integers are given, so that scipy resamples as we do."""

    def __init__(self, drawn: np.ndarray) -> None:
        super().__init__(np.random.PCG64(0))
        self.drawn = drawn

    def integers(self, low, high=None, size=None, **kwargs):
        assert (low, high, size) == (0, self.drawn.shape[1], self.drawn.shape)
        return self.drawn


def test_percentile_intervals_are_scipys_on_the_same_draws():
    numbers = np.random.default_rng(7)
    sample = numbers.exponential(size=60)
    drawn = numbers.integers(0, 60, size=(2000, 60))
    theirs = stats.bootstrap(
        (sample,), np.mean, n_resamples=2000, method="percentile", rng=_SameDraws(drawn), confidence_level=0.9
    ).confidence_interval
    replicates = sample[drawn].mean(axis=1)
    ours = percentile(replicates, 0.9)
    assert ours == pytest.approx(theirs, abs=1e-9)


def test_few_clusters_get_wilson_for_shares_and_nothing_otherwise():
    replicates = np.linspace(0.4, 0.6, 100)
    share = interval_of(0.5, replicates, 29.9, Statistics(), is_share=True)
    other = interval_of(0.5, replicates, 29.9, Statistics(), is_share=False)
    assert (share.method, share.note) == ("wilson", TOO_SMALL)
    assert (other.low, other.high, other.method, other.note) == (None, None, "none", TOO_SMALL)
    assert interval_of(0.5, replicates, 30, Statistics(), is_share=False).method == "percentile"


@pytest.mark.parametrize("share", [0.0, 1.0])
def test_a_share_of_nothing_or_everything_is_not_certain(share):
    interval = interval_of(share, np.full(100, share), 400, Statistics(), is_share=True)
    assert interval.method == "wilson"
    assert interval.low is not None
    assert interval.high is not None
    assert interval.high - interval.low == pytest.approx(0.0095, abs=0.001)


def test_draws_without_an_item_are_left_out_if_they_are_few():
    replicates = np.append(np.linspace(0.4, 0.6, 999), np.nan)
    assert interval_of(0.5, replicates, 50, Statistics(), is_share=False).method == "percentile"
    many = np.append(np.linspace(0.4, 0.6, 900), np.full(100, np.nan))
    assert interval_of(0.5, many, 50, Statistics(), is_share=False).method == "none"


def test_clusters_that_are_all_alike_make_no_interval_of_no_width():
    share = interval_of(0.5, np.full(100, 0.5), 400, Statistics(), is_share=True)
    assert (share.method, share.note) == ("wilson", CONSTANT)
    other = interval_of(0.5, np.full(100, 0.5), 400, Statistics(), is_share=False)
    assert (other.low, other.high, other.method, other.note) == (None, None, "none", CONSTANT)


def one_benchmark(sizes: np.ndarray) -> ScoredSuite:
    """Return a suite of one benchmark with clusters of these sizes, and no values."""
    group = np.repeat(np.arange(len(sizes)).astype(str), sizes)
    same = {
        name: np.full(len(group), value)
        for name, value in (("benchmark", "b"), ("provenance", "native"), ("task", "mcqu"))
    }
    items = np.array([f"{number:06d}" for number in range(len(group))])
    return ScoredSuite("s", (), item=items, group=group, variants=("original",), values={}, signatures={}, **same)


def test_shares_from_draws_cover_the_truth_in_95_of_100_studies():
    # A thousand studies with the same clusters are a thousand columns under the same draws.
    numbers = np.random.default_rng(11)
    sizes = numbers.integers(1, 5, size=150)
    resampled = Resampled(one_benchmark(sizes), Statistics(replicates=1000))
    scores = clustered_scores(numbers, sizes, 1000)
    estimate = next(iter(resampled.means(scores)))
    covered = 0
    for study in range(1000):
        interval = interval_of(
            estimate.point[study], estimate.replicates[study], estimate.extent.effective, resampled.settings,
            is_share=True,
        )  # fmt: skip
        assert interval.method == "wilson"
        covered += interval.low <= 0.4 <= interval.high
    assert 930 <= covered <= 970


def test_intervals_that_forget_the_clusters_would_not_cover():
    numbers = np.random.default_rng(11)
    sizes = np.full(100, 4)
    scores = clustered_scores(numbers, sizes, 1000)
    naive = one_benchmark(np.ones(400, dtype=int))
    estimate = next(iter(Resampled(naive, Statistics(replicates=1000)).means(scores)))
    low, high = np.quantile(estimate.replicates, [0.025, 0.975], axis=1)
    assert ((low <= 0.4) & (high >= 0.4)).mean() < 0.92


def test_wilson_with_clusters_as_n_covers_at_least_95_of_100_small_studies():
    numbers = np.random.default_rng(13)
    sizes = np.full(12, 3)
    scores = clustered_scores(numbers, sizes, 1000)
    assert make_clusters(np.full(36, "b"), np.repeat(np.arange(12), 3).astype(str)).count == 12
    covered = [low <= 0.4 <= high for low, high in (wilson(share, 12, 0.95) for share in scores.mean(axis=1))]
    assert np.mean(covered) >= 0.945
