"""Designs: known optimal ones, brute force on small ones, bounds, and an order that may be cut short."""

from itertools import combinations, permutations

import numpy as np
import pytest

from posologie.running.errors import InputError
from posologie.surface.design_points import DesignProblem, exact, i_optimal, space_filling
from posologie.surface.designs import Proposal, _loss, _rows, propose
from posologie.surface.forms import scheffe_terms
from posologie.surface.simplex import SCHEFFE, average_products, bounds_of, centroids, lattice

THREE = bounds_of(("a", "b", "c"), {})
CONTINUOUS = {3: 3.240611, 4: 4.308084}
"""n times the mean prediction variance of the best continuous design for the quadratic model, on vertices, middles of
edges and faces: for three components with the weights 0.1002, 0.2016 and 0.0949 (Goos, Jones and Syafitri 2016)."""


def criterion(shares, model="quadratic"):
    region = bounds_of(tuple("abcd"[: shares.shape[1]]), {})
    columns = scheffe_terms(shares, SCHEFFE[model])
    return np.trace(np.linalg.solve(columns.T @ columns, average_products(region, model)))


def test_lattices_and_centroids_are_the_textbook_ones():
    assert len(lattice(3, 2)) == 6
    assert len(lattice(17, 1)) == 17
    assert sorted(lattice(3, 4).tolist()) == sorted(
        [[i / 4, j / 4, 1 - (i + j) / 4] for i in range(5) for j in range(5 - i)]
    )
    assert centroids(3).sum(axis=1) == pytest.approx(np.ones(7))
    assert len(centroids(4)) == 15


def test_the_mean_variance_of_saturated_lattices_is_that_of_dirichlet_integrals():
    assert criterion(lattice(3, 2)) == pytest.approx(19 / 30)
    assert criterion(lattice(4, 2)) == pytest.approx(18 / 35)
    assert criterion(np.eye(3), "linear") == pytest.approx(1 / 2)  # 3 E x², and E x² = 1/6


def test_mean_products_are_means_over_the_region():
    columns = scheffe_terms(THREE.draws(100_000, 1), 3)
    means = columns.T @ columns / len(columns)
    assert average_products(THREE, "special_cubic") == pytest.approx(means, abs=3e-3)


@pytest.mark.parametrize(("components", "count"), [(3, 7), (3, 10), (3, 20), (4, 15)])
def test_i_optimal_designs_reach_the_best_continuous_design(components, count):
    region = bounds_of(tuple("abcd"[:components]), {})
    shares, _ = i_optimal(DesignProblem(region), count, starts=1)
    criterion_value = count * criterion(shares)
    assert CONTINUOUS[components] - 1e-6 < criterion_value
    assert criterion_value < CONTINUOUS[components] * (1 + 0.8 / count)


def test_no_choice_among_lattice_points_beats_the_exchange():
    pool = lattice(3, 3)
    best = min(
        criterion(pool[list(chosen)])
        for chosen in combinations(range(len(pool)), 6)
        if np.linalg.matrix_rank(scheffe_terms(pool[list(chosen)], 2)) == 6
    )
    shares, _ = i_optimal(DesignProblem(THREE), 6, starts=4)
    assert criterion(shares) <= best * (1 + 1e-6)


def test_bounds_hold_and_equal_those_of_the_region_that_they_leave():
    region = bounds_of(("a", "b", "c"), {"a": (0.2, 0.6), "b": (0.1, 0.9), "c": (0.0, 0.5)})
    assert region.high.tolist() == pytest.approx([0.6, 0.8, 0.5])
    corners = {tuple(corner) for corner in region.vertices.round(9).tolist()}
    assert corners == {(0.6, 0.4, 0), (0.6, 0.1, 0.3), (0.4, 0.1, 0.5), (0.2, 0.3, 0.5), (0.2, 0.8, 0)}
    draws = region.draws(4000, 1)
    assert region.contain(draws, 1e-9).all()
    polygon = region.vertices[np.argsort(np.arctan2(*(region.vertices[:, :2] - region.vertices[:, :2].mean(axis=0)).T))]
    x, y = polygon[:, 0], polygon[:, 1]
    cross = x * np.roll(y, -1) - np.roll(x, -1) * y
    centroid = ((x + np.roll(x, -1)) * cross).sum() / (3 * cross.sum())
    assert draws[:, 0].mean() == pytest.approx(centroid, abs=0.005)
    proposed = propose(DesignProblem(region), 8, repeats=0, starts=2)
    assert region.contain(proposed.shares, 1e-9).all()
    assert all(sum(weights) <= 1000 for weights in proposed.weights)


@pytest.mark.parametrize(
    ("bounds", "words"),
    [
        ({"d": (0, 1)}, "bounds.d: no such component; choose one of a, b, c"),
        ({"a": (0.6, 0.2)}, r"bounds.a = \[0.6, 0.2\]"),
        ({"a": (0.6, 1), "b": (0.6, 1)}, "lower bounds sum to 1.2"),
        (dict.fromkeys("abc", (0, 0.3)), "upper bounds sum to 0.9"),
    ],
)
def test_bounds_that_no_mix_keeps_are_refused(bounds, words):
    with pytest.raises(InputError, match=words):
        bounds_of(("a", "b", "c"), bounds)


def test_mixes_that_are_there_are_built_upon():
    problem = DesignProblem(
        THREE, present=np.eye(3), present_sizes=np.zeros(3), present_runs=np.ones(3, dtype=np.int64)
    )
    proposed = propose(problem, 3, repeats=0, starts=2)
    assert set(proposed.weights) == {(1, 1, 0), (1, 0, 1), (0, 1, 1)}
    assert problem.unknown_terms == 3


def test_the_order_loses_no_more_than_the_best_of_all_orders():
    problem = DesignProblem(THREE)
    proposed = propose(problem, 6, repeats=0, starts=2)
    rows, prior = _rows(problem, proposed.shares, proposed.sizes.astype(float)), problem.prior(10.0)
    best = min(_loss(problem, rows, prior, order) for order in permutations(proposed.order))
    assert _loss(problem, rows, prior, proposed.order) <= best + 0.01
    assert np.isinf(proposed.variance[:6]).all()
    assert proposed.variance[6] == pytest.approx(problem.variance(proposed.information(problem)))


def test_repeats_give_degrees_of_freedom_of_the_seeds():
    proposed = propose(DesignProblem(THREE), 10, starts=2)
    assert len(proposed.order) == 10
    assert 10 - len(set(proposed.order)) >= 2
    later = [place for number, place in enumerate(proposed.order) if place in proposed.order[:number]]
    assert len(later) == 10 - len(proposed.shares)
    repeated = propose(DesignProblem(THREE, runs=3), 20, starts=2)
    assert len(repeated.order) == 18
    assert {repeated.order.count(place) % 3 for place in set(repeated.order)} == {0}


def test_fewer_trainings_than_terms_still_spread_over_the_region():
    proposed = propose(DesignProblem(THREE), 4, repeats=0, starts=4)
    assert len(proposed.shares) == 4
    assert np.isinf(proposed.variance).all()
    least = min(np.linalg.norm(first - other) for first, other in combinations(proposed.shares, 2))
    assert least > 0.4


def test_space_filling_designs_are_the_known_maximin_ones():
    two = space_filling(bounds_of(("a", "b"), {}), 3, np.zeros((0, 2)))
    assert sorted(two[:, 0].tolist()) == pytest.approx([0, 0.5, 1])
    three = space_filling(THREE, 3, np.zeros((0, 3)))
    assert {tuple(row) for row in three.tolist()} == {(1, 0, 0), (0, 1, 0), (0, 0, 1)}
    beside = space_filling(THREE, 1, np.eye(3))
    assert beside[0] == pytest.approx([1 / 3] * 3, abs=0.02)


def test_sizes_are_chosen_with_the_shares():
    problem = DesignProblem(THREE, "linear", sizes=(1000, 8000))
    proposed = propose(problem, 6, repeats=0, starts=2)
    assert set(proposed.sizes.tolist()) == {1000, 8000}
    assert proposed.variance[-1] < np.inf
    assert len(problem.products) == 6


def test_a_lattice_takes_what_is_there_into_account():
    problem = DesignProblem(
        THREE, present=np.eye(3), present_sizes=np.zeros(3), present_runs=np.ones(3, dtype=np.int64)
    )
    proposed = propose(problem, 3, "lattice", repeats=0)
    assert set(proposed.weights) == {(1, 1, 0), (1, 0, 1), (0, 1, 1)}
    centroid = propose(DesignProblem(THREE), 7, "centroid", repeats=0)
    assert {(1, 0, 0), (0, 1, 1), (1, 1, 1)} < set(centroid.weights)
    assert len(centroid.weights) == 7
    with pytest.raises(InputError, match="has 7 new mixes, but 5 may be trained"):
        propose(DesignProblem(THREE), 5, "centroid", repeats=0)


def test_shares_are_plain_whole_numbers_within_the_bounds():
    region = bounds_of(("a", "b", "c"), {"a": (0.125, 0.3333)})
    assert exact(np.array([1 / 3, 1 / 3, 1 / 3]), THREE, (12,)) == (1, 1, 1)
    assert exact(np.array([0.128, 0.434, 0.438]), region, (100,)) == (13, 43, 44)
    for row in region.draws(50, 3):
        weights = exact(row, region, (100, 1000))
        assert region.contain(np.array(weights) / sum(weights), 1e-9)


def test_designs_are_the_same_every_time():
    first, other = (propose(DesignProblem(THREE), 7, starts=2) for _ in range(2))
    assert isinstance(first, Proposal)
    assert first.shares.tolist() == other.shares.tolist()
    assert first.order == other.order
