"""Intervals in single cases, each against an independent computation: which method, which bounds, which note."""

import numpy as np
import pytest
from scipy import stats
from statsmodels.stats.proportion import proportion_confint

from posologie.statistics.crossed import NOTHING, Estimated
from posologie.statistics.estimates import Extent
from posologie.statistics.intervals import (
    CONSTANT,
    TOO_SMALL,
    UNDEFINED,
    Interval,
    are_constant,
    defined_draws,
    estimate_columns,
    interval_of,
    percentile,
    quantiles,
    score_interval,
    wilson,
)
from posologie.statistics.spec import Statistics

NINETY = Statistics(level=0.9, minimum_clusters=30)
DRAWS = np.random.default_rng(3).normal(0.4, 0.05, size=200)


def estimated(value, variance=0.0004, df=40.0):
    return Estimated(np.asarray(value), np.asarray(variance), np.asarray(df))


def rests_on(effective):
    """So many equal clusters of one item each."""
    return Extent(int(effective), int(effective), effective)


@pytest.mark.parametrize("count", [1, 2, 3, 10, 101, 200])
def test_quantiles_are_numpys(count):
    values = np.random.default_rng(count).normal(size=count)
    shares = (0.0, 0.025, 0.3, 0.5, 0.975, 1.0)
    assert quantiles(values, shares) == pytest.approx(list(np.quantile(values, shares)), abs=1e-12)


@pytest.mark.parametrize("level", [0.5, 0.9, 0.99])
def test_the_percentile_interval_leaves_as_much_on_each_side(level):
    expected = np.quantile(DRAWS, [0.5 - level / 2, 0.5 + level / 2])
    assert percentile(DRAWS, level) == pytest.approx(tuple(expected), abs=1e-12)


@pytest.mark.parametrize(
    ("right", "count", "level"),
    [(0, 7, 0.95), (1, 7, 0.9), (7, 7, 0.8), (40, 90, 0.99), (250, 1000, 0.95), (0, 1, 0.95), (2.5, 6.9, 0.95)],
)
def test_wilsons_interval_is_that_of_statsmodels(right, count, level):
    expected = proportion_confint(right, count, alpha=1 - level, method="wilson")
    assert wilson(right / count, count, level) == pytest.approx(expected, abs=1e-12)


def test_wilsons_interval_stays_between_0_and_1():
    low, high = zip(*(wilson(share, n, 0.95) for share in (0.0, 1.0) for n in range(1, 400)), strict=True)
    assert min(low) == 0.0
    assert max(high) == 1.0


def test_up_to_one_undefined_draw_in_a_hundred_is_left_out():
    defined = np.arange(99.0)
    assert list(defined_draws(np.append(defined, np.nan))) == list(defined)
    assert list(defined_draws(defined)) == list(defined)
    assert len(defined_draws(np.append(np.arange(98.0), [np.nan, np.nan]))) == 0
    assert len(defined_draws(np.full(3, np.nan))) == 0


@pytest.mark.parametrize(
    ("draws", "constant"),
    [
        ([0.3, 0.3], True),
        ([0.3, 0.3 + 1e-13], True),
        ([0.3, 0.3 + 1e-12], False),
        ([1e6, 1e6 + 1e-7], True),
        ([-1e6, -1e6 + 1e-7], True),
        ([-1e6, -1e6 + 1e-5], False),
        ([0.0, 9e-16], True),
        ([0.0, 2e-15], False),
        ([-1.0, 1.0], False),
    ],
)
def test_draws_that_differ_by_rounding_alone_are_constant(draws, constant):
    assert are_constant(np.array(draws)) is constant


def test_a_share_of_few_clusters_gets_wilsons_interval_with_a_note():
    expected = Interval(*wilson(0.4, 29.9, 0.9), "wilson", TOO_SMALL)
    assert interval_of(0.4, DRAWS, 29.9, NINETY, is_share=True) == expected
    assert interval_of(0.4, DRAWS, 29.9, NINETY, is_share=False) == Interval(None, None, "none", TOO_SMALL)
    assert interval_of(0.4, DRAWS, 30, NINETY, is_share=False) == Interval(*percentile(DRAWS, 0.9), "percentile", "")


@pytest.mark.parametrize("share", [0.0, 1.0, -1e-17])
def test_a_share_of_nothing_or_everything_gets_wilsons_interval(share):
    assert interval_of(share, DRAWS, 50, NINETY, is_share=True) == Interval(*wilson(share, 50, 0.9), "wilson", "")
    assert interval_of(share, DRAWS, 50, NINETY, is_share=False).method == "percentile"


def test_a_share_from_draws_gets_wilsons_interval_with_students_quantile_and_the_design_effect():
    interval = interval_of(0.4, DRAWS, 50, NINETY, is_share=True)
    count = 0.4 * 0.6 / DRAWS.var()
    t = stats.t(49).ppf(0.95)
    centre = (0.4 + t**2 / (2 * count)) / (1 + t**2 / count)
    half = t / (1 + t**2 / count) * np.sqrt(0.24 / count + t**2 / (4 * count**2))
    assert (interval.low, interval.high) == pytest.approx((centre - half, centre + half), abs=1e-12)
    assert (interval.method, interval.note) == ("wilson", "")


def test_undefined_and_constant_draws_make_no_interval_but_for_shares():
    undefined = np.append(DRAWS[:90], np.full(10, np.nan))
    assert interval_of(0.4, undefined, 50, NINETY, is_share=False) == Interval(None, None, "none", UNDEFINED)
    assert interval_of(0.4, undefined, 50, NINETY, is_share=True) == Interval(None, None, "none", UNDEFINED)
    constant = np.full(100, 0.4)
    assert interval_of(0.4, constant, 50, NINETY, is_share=False) == Interval(None, None, "none", CONSTANT)
    expected = Interval(*wilson(0.4, 50, 0.9), "wilson", CONSTANT)
    assert interval_of(0.4, constant, 50, NINETY, is_share=True) == expected
    some = np.append(DRAWS[:199], np.nan)
    assert interval_of(0.4, some, 50, NINETY, is_share=False).low == percentile(DRAWS[:199], 0.9)[0]


def test_an_interval_of_what_noise_inflates_is_shifted_by_the_bias_of_the_draws_and_cut_at_0():
    low, high = percentile(DRAWS, 0.9)
    bias = DRAWS.mean() - 0.3
    interval = interval_of(0.3, DRAWS, 50, NINETY, is_share=False, inflated=True)
    assert (interval.low, interval.high) == pytest.approx((low - bias, high - bias), abs=1e-12)
    assert (interval.method, interval.note) == ("shifted", "")
    none = interval_of(0.01, DRAWS, 50, NINETY, is_share=False, inflated=True)
    assert none.low == 0.0
    assert none.high == pytest.approx(high - (DRAWS.mean() - 0.01), abs=1e-12)
    negative = interval_of(-0.3, DRAWS, 50, NINETY, is_share=False, inflated=True)
    assert (negative.low, negative.high) == (0.0, 0.0)


def test_a_mean_gets_students_interval_and_a_share_wilsons():
    t = stats.t(40).ppf(0.95)
    mean = score_interval(estimated(0.4), rests_on(50), NINETY, is_share=False)
    assert (mean.low, mean.high) == pytest.approx((0.4 - t * 0.02, 0.4 + t * 0.02), abs=1e-12)
    assert (mean.method, mean.note) == ("t", "")
    share = score_interval(estimated(0.4), rests_on(50), NINETY, is_share=True)
    count = 0.24 / 0.0004
    centre = (0.4 + t**2 / (2 * count)) / (1 + t**2 / count)
    half = t / (1 + t**2 / count) * np.sqrt(0.24 / count + t**2 / (4 * count**2))
    assert (share.low, share.high) == pytest.approx((centre - half, centre + half), abs=1e-12)
    assert (share.method, share.note) == ("wilson", "")


@pytest.mark.parametrize("is_share", [True, False])
def test_a_mean_of_few_clusters_has_a_note(is_share):
    assert score_interval(estimated(0.4), rests_on(29.9), NINETY, is_share=is_share).note == TOO_SMALL
    assert score_interval(estimated(0.4), rests_on(30), NINETY, is_share=is_share).note == ""


def test_a_mean_that_does_not_vary_has_no_interval_and_a_share_that_of_equal_clusters():
    still = estimated(0.4, variance=NOTHING)
    assert score_interval(still, rests_on(50), NINETY, is_share=False) == Interval(None, None, "none", CONSTANT)
    both = f"{TOO_SMALL}; {CONSTANT}"
    assert score_interval(still, rests_on(20), NINETY, is_share=False) == Interval(None, None, "none", both)
    assert score_interval(still, rests_on(50), NINETY, is_share=True) == Interval(
        *wilson(0.4, 50, 0.9), "wilson", CONSTANT
    )
    assert score_interval(still, rests_on(20), NINETY, is_share=True) == Interval(*wilson(0.4, 20, 0.9), "wilson", both)
    for edge in (0.0, 1.0):
        interval = score_interval(estimated(edge, variance=0.0), rests_on(50), NINETY, is_share=True)
        assert interval == Interval(*wilson(edge, 50, 0.9), "wilson", "")
        assert score_interval(estimated(edge, variance=0.0), rests_on(50), NINETY, is_share=False).note == CONSTANT
    rounded = score_interval(estimated(1 + 4e-16, variance=0.0), rests_on(50), NINETY, is_share=True)
    assert rounded == Interval(*wilson(1.0, 50, 0.9), "wilson", "")
    below = score_interval(estimated(-1e-17, variance=0.0), rests_on(50), NINETY, is_share=True)
    assert below == Interval(*wilson(0.0, 50, 0.9), "wilson", "")


@pytest.mark.parametrize("edge", [0.0, 1.0])
def test_a_share_at_its_edge_that_varies_gets_students_interval(edge):
    interval = score_interval(estimated(edge), rests_on(50), NINETY, is_share=True)
    t = stats.t(40).ppf(0.95)
    assert (interval.low, interval.high, interval.method) == (
        pytest.approx(edge - t * 0.02),
        pytest.approx(edge + t * 0.02),
        "t",
    )


def test_a_share_of_few_clusters_is_no_surer_than_its_items_make_it_while_few_are_right():
    # 2 of 10 right: with fewer than five right answers, a variance below p (1 - p) / n says nothing of agreement.
    sparse = Extent(10, 10, 10.0)
    t = stats.t(40).ppf(0.95)
    for variance, counted in ((1e-6, 0.16 / 10), (0.05, 0.05)):
        interval = score_interval(estimated(0.2, variance=variance), sparse, NINETY, is_share=True)
        inverse = counted / 0.16
        centre = (0.2 + t**2 * inverse / 2) / (1 + t**2 * inverse)
        half = t / (1 + t**2 * inverse) * np.sqrt(0.16 * inverse + t**2 * inverse**2 / 4)
        assert (interval.low, interval.high) == pytest.approx((max(centre - half, 0), centre + half), abs=1e-12)
        assert (interval.method, interval.note) == ("wilson", TOO_SMALL)
    many = score_interval(estimated(0.2, variance=1e-6), Extent(30, 30, 30.0), NINETY, is_share=True)
    assert many.high - many.low < 0.01, "the items of many clusters set no bound"


def test_an_interval_has_the_same_columns_in_every_table():
    assert Interval(0.25, 0.75, "wilson", TOO_SMALL).columns(0.9) == {
        "low": 0.25, "high": 0.75, "level": 0.9, "interval": "wilson", "note": TOO_SMALL,
    }  # fmt: skip


def test_an_estimate_has_the_same_columns_in_every_table():
    interval = Interval(-0.25, 1.5, "t", "n too small")
    columns = estimate_columns(
        0.5, interval, Extent(40, 10, 9.0), "%", 0.95, notes=["", "for these adapters"], largest=1
    )
    assert columns == {
        "n": 40, "clusters": 10, "unit": "%", "value": 50, "low": -25, "high": 100, "level": 0.95, "interval": "t",
        "note": "n too small; for these adapters",
    }  # fmt: skip
    none = estimate_columns(None, Interval(None, None, "none"), Extent(40, 10, 9.0), "words", 0.9)
    assert (none["value"], none["low"], none["high"], none["note"]) == (None, None, None, "")
    assert estimate_columns(7.5, Interval(7.0, 8.0, "t"), Extent(40, 10, 9.0), "words", 0.9)["high"] == 8.0
