import numpy as np
import pytest
from gaussian import CENTROID, COMPONENTS, Gaussian, runs_of

from posologie.running.errors import InputError
from posologie.surface.optimum import candidates_of
from posologie.surface.simplex import whole_simplex
from posologie.surface.suites import Floor, best_above, pareto, undominated, weighted

PEAKED = np.array([40.0, 38, 36, 20, 20, 20])
"""Coefficients of a surface whose best mix holds most native, and some of the others."""


def surface(spread=0.1, coefficients=PEAKED, df=np.inf):
    return Gaussian(COMPONENTS, coefficients, spread**2 * np.eye(6), df)


def test_a_floor_on_another_suite_moves_the_choice():
    other = Gaussian(COMPONENTS, np.array([-4.0, 4, 0, 0, 0, 0]), 0.01 * np.eye(6))
    candidates = candidates_of(surface(), whole_simplex(3), CENTROID, lattice_points=231, even_points=64)
    free = best_above(surface(), candidates, [])
    held = best_above(surface(), candidates, [Floor(other, 0.0, 0.95)])
    assert candidates.shares[free.chosen][0] > candidates.shares[free.chosen][1]
    assert candidates.shares[held.chosen][0] < candidates.shares[held.chosen][1]
    assert held.chances[0, held.chosen] >= 0.95
    chance = Floor(other, 0.0).chances(candidates)
    half = int(np.flatnonzero((candidates.shares == [0.5, 0.5, 0]).all(axis=1))[0])
    assert chance[half] == pytest.approx(0.5)
    assert best_above(surface(), candidates, [Floor(other, 9.0)]).chosen is None


def test_the_front_has_the_mixes_to_which_no_other_is_preferable():
    first = Gaussian(COMPONENTS, np.array([10.0, 0, 0, 0, 0, 0]), 1e-6 * np.eye(6))
    second = Gaussian(COMPONENTS, np.array([0.0, 10, 0, 0, 0, 0]), 1e-6 * np.eye(6))
    candidates = candidates_of(first, whole_simplex(3), lattice_points=66, even_points=16)
    front = pareto(first, second, candidates, draws=50)
    assert candidates.shares[front.places][:, 2].max() < 0.05
    assert candidates.shares[front.places][-1] == pytest.approx([0, 1, 0])
    assert candidates.shares[front.places][0] == pytest.approx([1, 0, 0])
    assert front.probability[front.places].min() > 0.5
    assert front.probability[candidates.shares[:, 2] > 0.3].max() == 0
    with pytest.raises(InputError, match="correlation 2"):
        pareto(first, second, candidates, correlation=2)


def test_equal_points_are_on_the_front_together():
    first, second = np.array([[1.0, 1, 2, 0, 2]]), np.array([[1.0, 2, 0, 2, 0]])
    assert undominated(first, second).tolist() == [[False, True, True, False, True]]


def test_a_weighted_objective_has_the_variance_that_its_suites_have():
    runs = runs_of(CENTROID, np.arange(7.0), items=np.eye(7), seed_variance=4.0, seed_df=7)
    other = runs_of(CENTROID, np.ones(7), items=2 * np.eye(7), seed_variance=1.0, seed_df=5)
    combined = weighted({"A": runs, "B": other}, {"A": 0.5, "B": 0.5})
    assert combined.score.tolist() == (0.5 * np.arange(7) + 0.5).tolist()
    assert combined.items == pytest.approx(0.75 * np.eye(7))
    assert combined.seed_variance == pytest.approx(2.25)
    assert combined.seed_df == 5
    with pytest.raises(InputError, match="unknown suite 'C'"):
        weighted({"A": runs}, {"C": 1})
    with pytest.raises(InputError, match="same mixes"):
        weighted({"A": runs, "B": other.only([1, 0, 2, 3, 4, 5, 6])}, {"A": 1, "B": 1})
