"""One set of cluster draws."""

import numpy as np
import pytest

from posologie.statistics.draws import bootstrap_counts, cluster_sums, make_clusters

BENCHMARK = np.array(["a", "a", "a", "b", "b", "c", "c"])
GROUP = np.array(["g1", "g1", "g2", "g3", "g4", "g4", "g5"])


def test_items_of_one_group_are_one_cluster():
    clusters = make_clusters(BENCHMARK, GROUP)
    assert clusters.count == 5
    assert clusters.of_item[0] == clusters.of_item[1]
    assert len(set(clusters.of_item)) == 5


def test_benchmarks_that_share_a_cluster_are_one_stratum():
    clusters = make_clusters(BENCHMARK, GROUP)
    assert [(first, stratum.stop - stratum.start) for first, stratum in clusters.strata] == [("g1", 2), ("g3", 3)]


def test_every_draw_holds_as_many_clusters_of_a_stratum_as_there_are():
    clusters = make_clusters(BENCHMARK, GROUP)
    counts = bootstrap_counts(clusters, 1000, seed=1)
    for _, stratum in clusters.strata:
        assert (counts[:, stratum].sum(axis=1) == stratum.stop - stratum.start).all()


def test_draws_are_multinomial():
    clusters = make_clusters(np.repeat("a", 50), np.arange(50).astype(str))
    counts = bootstrap_counts(clusters, 20_000, seed=1).astype(float)
    assert counts.mean(axis=0) == pytest.approx(np.ones(50), abs=0.04)
    assert counts.var(axis=0) == pytest.approx(np.full(50, 1 - 1 / 50), abs=0.06)
    assert np.corrcoef(counts[:, 0], counts[:, 1])[0, 1] == pytest.approx(-1 / 49, abs=0.03)


def test_draws_depend_on_seed_and_clusters_and_not_on_the_order_of_items():
    shuffled = np.random.default_rng(0).permutation(len(GROUP))
    shuffled_clusters, here = make_clusters(BENCHMARK[shuffled], GROUP[shuffled]), make_clusters(BENCHMARK, GROUP)
    assert np.array_equal(shuffled_clusters.of_item, here.of_item[shuffled])
    assert np.array_equal(bootstrap_counts(shuffled_clusters, 50, seed=1), bootstrap_counts(here, 50, seed=1))
    assert not np.array_equal(bootstrap_counts(here, 50, seed=2), bootstrap_counts(here, 50, seed=1))


def test_another_benchmark_changes_no_draw_of_the_first():
    alone = make_clusters(BENCHMARK[:3], GROUP[:3])
    together = make_clusters(BENCHMARK, GROUP)
    first = together.strata[0][1]
    assert np.array_equal(bootstrap_counts(alone, 50, seed=1), bootstrap_counts(together, 50, seed=1)[:, first])


def test_weighted_sums_are_the_sums_over_drawn_items():
    numbers = np.random.default_rng(5)
    values = np.column_stack(
        [
            numbers.normal(size=(len(GROUP), 2)),
            numbers.integers(0, 2, len(GROUP)),
            numbers.integers(0, 13, len(GROUP)) / 12,
        ]
    )
    part = np.array([0, 1, 0, 2, 2, 3, 4])
    clusters = make_clusters(BENCHMARK, GROUP, part)
    counts = bootstrap_counts(clusters, 20, seed=1)
    weighted = cluster_sums(clusters, values).weighted(counts)
    for replicate in range(20):
        for place in range(5):
            inside = part == place
            times = counts[replicate, clusters.of_item[inside]]
            assert weighted[place, :, replicate] == pytest.approx(
                (values[inside] * times[:, None]).sum(axis=0), abs=1e-12
            )


@pytest.mark.parametrize("unit", [1, 3, 60, 180])
def test_sums_of_whole_numbers_are_exact_in_single_precision(unit):
    # 4,000 clusters of up to four items: shares of options, and their means over three permutations.
    numbers = np.random.default_rng(unit)
    values = numbers.integers(0, unit + 1, size=(4000, 2)) / unit
    group = np.repeat(np.arange(1000), 4).astype(str)
    clusters = make_clusters(np.full(4000, "a"), group)
    counts = bootstrap_counts(clusters, 200, seed=1)
    sums = cluster_sums(clusters, values)
    exact = np.rint(sums.blocks[0][1] * unit).astype(int).T @ counts.T.astype(int)
    assert np.array_equal(np.rint(sums.weighted(counts)[0] * unit).astype(int), exact)
    assert np.abs(sums.weighted(counts)[0] - exact / unit).max() < 1e-9


def test_values_that_are_no_whole_numbers_are_summed_in_double_precision():
    numbers = np.random.default_rng(1)
    values = np.column_stack([numbers.random(5000), numbers.integers(0, 2, 5000) * 1e6])
    clusters = make_clusters(np.full(5000, "a"), np.arange(5000).astype(str))
    counts = bootstrap_counts(clusters, 50, seed=1)
    expected = values.T @ counts[:, clusters.of_item].T.astype(float)
    assert cluster_sums(clusters, values).weighted(counts)[0] == pytest.approx(expected, rel=1e-13)


def test_benchmarks_joined_through_a_third_are_one_stratum():
    benchmark = np.array(["a", "b", "b", "c", "d", "e", "e"])
    group = np.array(["1", "1", "2", "2", "3", "4", "5"])
    strata = [(first, stratum.stop - stratum.start) for first, stratum in make_clusters(benchmark, group).strata]
    assert strata == [("1", 2), ("3", 1), ("4", 2)]


def test_no_name_of_a_benchmark_changes_a_draw():
    part = np.unique(BENCHMARK, return_inverse=True)[1]
    names = np.array([{"a": "z", "b": "y", "c": "x"}[name] for name in BENCHMARK])
    other = np.unique(names, return_inverse=True)[1]
    ours, theirs = make_clusters(BENCHMARK, GROUP, part), make_clusters(names, GROUP, other)
    assert np.array_equal(ours.of_item, theirs.of_item)
    assert np.array_equal(bootstrap_counts(ours, 50, seed=1), bootstrap_counts(theirs, 50, seed=1))
