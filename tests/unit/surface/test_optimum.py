import numpy as np
import pytest
from gaussian import CENTROID, COMPONENTS, Gaussian, least_squares, terms

from posologie.running.errors import InputError
from posologie.surface.candidates import lattice, rounded, uniform
from posologie.surface.optimum import candidates_of, draw_errors, region_of
from posologie.surface.simplex import bounds_of, whole_simplex

PEAKED = np.array([40.0, 38, 36, 20, 20, 20])
"""Coefficients of a surface whose best mix holds most native, and some of the others."""


def surface(spread=0.1, coefficients=PEAKED, df=np.inf):
    return Gaussian(COMPONENTS, coefficients, spread**2 * np.eye(6), df)


def test_a_lattice_has_each_mix_once_within_bounds():
    whole, step = lattice(whole_simplex(3), 231)
    assert len(whole) == 231
    assert step == 0.05
    assert np.allclose(whole.sum(axis=1), 1)
    bounds = bounds_of(COMPONENTS, {"native": (0.2, 0.5), "synthetic": (0.0, 0.3)})
    within, _ = lattice(bounds, 200)
    assert bounds.contain(within).all()
    assert len(within) > 100
    assert len(np.unique(within, axis=0)) == len(within)
    many, _ = lattice(whole_simplex(17), 400)
    assert len(many) == 153  # halves: 17 single components and 136 pairs
    with pytest.raises(InputError, match=r"the lower bounds sum to 1\.2, so no mix satisfies them"):
        bounds_of(COMPONENTS, {"native": (0.6, 1), "synthetic": (0.6, 1)})
    with pytest.raises(InputError, match=r"bounds.natve: no such component"):
        bounds_of(COMPONENTS, {"natve": (0, 1)})


@pytest.mark.parametrize(
    "bounds",
    [whole_simplex(3), bounds_of(COMPONENTS, {"native": (0.2, 0.5), "translated": (0, 0.5), "synthetic": (0, 0.6)})],
)
def test_an_even_sample_is_even(bounds):
    points = uniform(bounds, 2000)
    assert points.shape == (2000, 3)
    assert np.allclose(points.sum(axis=1), 1)
    assert bounds.contain(points).all()
    numbers = np.random.default_rng(1).dirichlet(np.ones(3), 200_000)
    assert points.mean(axis=0) == pytest.approx(numbers[bounds.contain(numbers)].mean(axis=0), abs=0.01)
    assert np.array_equal(points, uniform(bounds, 2000))


def test_an_even_sample_exists_where_bounds_leave_nearly_nothing():
    highest = dict(zip("abcdef", (0.11, 0.12, 0.3, 0.3, 0.12, 0.4), strict=True))
    tight = bounds_of(tuple(highest), {name: (0.1, most) for name, most in highest.items()})
    points = uniform(tight, 50)
    assert tight.contain(points).all()
    assert np.allclose(points.sum(axis=1), 1)
    assert points.std(axis=0).min() > 0.001
    assert rounded(points, tight, 100).shape[1] == 6


def test_the_region_surrounds_the_best_mix_and_shrinks_with_the_error():
    true = surface(0.001)
    candidates = candidates_of(true, whole_simplex(3), CENTROID, lattice_points=70, even_points=512)
    sharp = region_of(true, candidates, draws=500)
    best = candidates.shares[sharp.chosen]
    # equal slopes b_i + 20 (1 − x_i) give x = 1/3 + (b_i − 38) / 20
    assert best == pytest.approx([1 / 3 + 0.1, 1 / 3, 1 / 3 - 0.1], abs=0.005)
    highest = float(true.moments(best[None]).mean[0])
    assert sharp.share < 0.02
    assert sharp.regret < 0.01
    assert sharp.expected.value == pytest.approx(highest, abs=0.01)
    rough = region_of(surface(1.0), candidates, draws=500)
    assert sharp.share < rough.share < 0.6
    assert rough.regret > sharp.regret
    assert rough.inside[sharp.inside].all()
    assert rough.most_regret > rough.regret > 0
    ranges = rough.ranges()
    assert ranges["native"][0] < 0.43 < ranges["native"][1]
    assert ranges["synthetic"][0] < 0.2
    shown = rough.representatives(4)
    assert np.array_equal(shown[0], candidates.shares[rough.chosen])
    assert len(shown) == 4
    gaps = np.linalg.norm(shown[:, None] - shown, axis=2)
    assert gaps[np.triu_indices(4, 1)].min() >= candidates.step


def test_a_surface_that_knows_nothing_leaves_every_mix():
    flat = Gaussian(COMPONENTS, np.full(6, 1e-9), np.eye(6), 4)
    candidates = candidates_of(flat, whole_simplex(3), lattice_points=50, even_points=64)
    region = region_of(flat, candidates, draws=300)
    assert region.inside.all()
    assert region.share == 1
    assert region.share_error == 0


def test_the_same_surface_has_the_same_region():
    candidates = candidates_of(surface(), whole_simplex(3), lattice_points=50, even_points=64)
    first, again = (region_of(surface(), candidates, draws=300) for _ in range(2))
    assert np.array_equal(first.inside, again.inside)
    assert first.regret == again.regret


def test_joint_draws_have_the_surfaces_covariance_and_students_tails():
    points = np.array([[1.0, 0, 0], [0.5, 0.5, 0], [0, 0, 1.0]])
    moments = surface(1.0, df=5).moments(points)
    errors = draw_errors(moments, 5, 40_000, 1)
    assert np.cov(errors.T) == pytest.approx(5 / 3 * moments.covariance, rel=0.15, abs=0.05)


def test_the_region_holds_the_best_mix_and_bounds_its_shortfall():
    numbers = np.random.default_rng(5)
    grid = lattice(whole_simplex(3), 6000)[0]
    # a best mix inside, where a region is hardest
    truth = np.array([40.0, 39.5, 39, 6, 7, 5])
    values = terms(grid) @ truth
    best = grid[int(np.argmax(values))]
    design = np.concatenate([CENTROID, CENTROID[3:]])
    held = bounded = 0
    for _ in range(40):
        score = terms(design) @ truth + numbers.normal(0, 0.7, len(design))
        fitted = least_squares(COMPONENTS, design, score)
        candidates = candidates_of(fitted, whole_simplex(3), best[None], lattice_points=21, even_points=8)
        region = region_of(fitted, candidates, draws=200)
        place = int(np.flatnonzero((np.abs(candidates.shares - best) < 1e-9).all(axis=1))[0])
        held += region.inside[place]
        shortfall = values.max() - float((terms(candidates.shares[region.chosen][None]) @ truth)[0])
        bounded += shortfall <= region.most_regret + 1e-9
    # 38 of 40 expected; 34 or fewer has a probability of 0.003
    assert held >= 35
    assert bounded >= 35
