import numpy as np
import pytest
from gaussian import COMPONENTS, Gaussian

from posologie.running.errors import InputError
from posologie.surface.prices import cheapest_gain, costs_of, frontier, points_per_money
from posologie.surface.rates import effects_at


def linear(shares, sizes=None):
    """Score rises by so much for each thousand items of a component."""
    return shares * (np.ones(len(shares)) if sizes is None else sizes / 1000)[:, None]


def of_counts(counts):
    counts = np.asarray(counts, float)
    return counts / counts.sum(axis=1, keepdims=True), counts.sum(axis=1)


def test_the_cheapest_plan_buys_what_teaches_most_for_its_price():
    surface = Gaussian(COMPONENTS, np.array([3.0, 1.0, 0.5]), 1e-4 * np.eye(3), terms=linear)
    grid = np.array([[n, t, s] for n in (0, 1, 2) for t in (0, 1, 2) for s in (0, 1, 2) if n + t + s], float) * 1000
    shares, sizes = of_counts(grid)
    prices = {"native": 10.0, "translated": 1.0}
    costs = costs_of(COMPONENTS, shares, sizes, prices, owned=np.array([1000.0, 0, 0]))
    present = (np.array([1.0, 0, 0]), 1000.0)
    plan = cheapest_gain(surface, shares, sizes, costs, present, gain=1.0)
    assert plan.cost == 0
    assert (plan.shares * plan.size).tolist() == [1000, 0, 2000]
    dear = cheapest_gain(surface, shares, sizes, costs, present, gain=3.5)
    assert (dear.shares * dear.size).tolist() == pytest.approx([2000, 0, 2000])
    assert dear.cost == 10_000
    assert cheapest_gain(surface, shares, sizes, costs, present, gain=30.0) is None
    likely = cheapest_gain(surface, shares, sizes, costs, present, gain=1.0, chance=0.9)
    assert likely.chance >= 0.9
    assert likely.cost == 1000
    steps = frontier(surface, shares, sizes, costs)
    assert [step.cost for step in steps] == sorted({step.cost for step in steps})
    assert np.all(np.diff([step.value for step in steps]) > 0)
    assert steps[-1].value == pytest.approx(9)
    with pytest.raises(InputError, match="unknown component 'nativ'"):
        costs_of(COMPONENTS, shares, sizes, {"nativ": 1.0})


def test_a_unit_of_money_brings_what_its_items_bring():
    surface = Gaussian(COMPONENTS, np.array([3.0, 1.0, 0.5]), 1e-4 * np.eye(3), terms=linear)
    effects = effects_at(surface, np.full(3, 1000.0))
    native, translated = points_per_money(effects, {"translated": 0.1, "native": 0.2, "synthetic": 0})
    assert (native.component, translated.component) == ("native", "translated")
    assert native.value == pytest.approx(3e-3 / 0.2)
    assert native.low < native.value < native.high
    with pytest.raises(InputError, match="unknown component 'nativ'"):
        points_per_money(effects, {"nativ": 1.0})
