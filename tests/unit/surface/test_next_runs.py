import math

import numpy as np
import pytest
from gaussian import CENTROID, COMPONENTS, Gaussian, least_squares, runs_of, terms

from posologie.running.errors import InputError
from posologie.surface.next_runs import Prices, item_noise, offers_of, prescribe, saturated
from posologie.surface.optimum import candidates_of, region_of
from posologie.surface.simplex import bounds_of, whole_simplex

TRUTH = np.array([40.0, 38, 36, 12, 10, 14])


def fitted(noise=1.0, seed=1, design=CENTROID):
    numbers = np.random.default_rng(seed)
    score = terms(design) @ TRUTH + numbers.normal(0, noise, len(design))
    return least_squares(COMPONENTS, design, score, variance=noise**2)


def asked(surface, tested=CENTROID, lattice_points=66, draws=300, **others):
    candidates = candidates_of(surface, whole_simplex(3), tested, lattice_points=lattice_points, even_points=64)
    region = region_of(surface, candidates, draws=draws)
    offers = offers_of(whole_simplex(3), tested, 66)
    prices = Prices(np.zeros(len(offers)), **others.pop("prices", {}))
    return prescribe(surface, region, offers, tested=tested, prices=prices, **others), region, offers


def test_with_independent_beliefs_the_value_is_the_knowledge_gradients_closed_form():
    """Two mixes of which one may be trained: E max(m₁ + s Z, m₂) − max(m₁, m₂) = s f(−|m₁ − m₂| / s)."""

    def corners(shares, sizes=None):
        return shares

    surface = Gaussian(("a", "b"), np.array([1.0, 1.5]), np.diag([4.0, 0.0]), run_variance=1.0, terms=corners)
    bounds = whole_simplex(2)
    candidates = candidates_of(surface, bounds, lattice_points=2, even_points=4)
    region = region_of(surface, candidates, draws=200)
    # mixes between the corners lie between their scores, so that the best is always a corner
    advice = prescribe(
        surface, region, np.array([[1.0, 0.0]]), tested=np.eye(2)[1:], prices=Prices(np.zeros(1)), most=1
    )
    move = 4 / np.sqrt(4 + 1)
    ratio = -0.5 / move
    density, below = np.exp(-(ratio**2) / 2) / np.sqrt(2 * np.pi), 0.5 * (1 + math.erf(ratio / np.sqrt(2)))
    assert advice.proposals[0].alone == pytest.approx(move * (ratio * below + density), rel=0.01)
    # another is better by 0.1 where 1 + move × z > 1.6
    beyond = 0.5 * (1 - math.erf(0.6 / move / np.sqrt(2)))
    assert advice.proposals[0].changes == pytest.approx(beyond, abs=0.01)


def test_the_first_training_is_where_the_choice_is_open_and_knowledge_only_helps():
    advice, region, _ = asked(fitted(), prices={"training": 0.0})
    assert not advice.stop
    assert len(advice.proposals) == 4
    gains = [proposal.gain for proposal in advice.proposals]
    assert min(gains) > 0
    assert sum(gains) == pytest.approx(advice.best_gain)
    assert advice.best_gain < region.regret == advice.regret  # perfect knowledge is worth the expected regret
    regrets = [advice.regret, *(proposal.regret for proposal in advice.proposals)]
    assert np.all(np.diff(regrets) < 0)
    assert advice.proposals[-1].region < advice.region
    assert advice.region == pytest.approx(region.share, abs=0.05)
    clearly_worse = terms(advice.proposals[0].shares[None]) @ TRUTH < 38
    assert not clearly_worse.any()


def test_more_seeds_teach_more_and_cost_more():
    advice, _, _ = asked(fitted(3.0), most=1, seeds=(1,), prices={"training": 0.0})
    three, _, _ = asked(fitted(3.0), most=1, seeds=(3,), prices={"training": 0.0})
    assert three.proposals[0].gain > advice.proposals[0].gain
    assert (advice.proposals[0].cost, three.proposals[0].cost) == (1, 3)
    either, _, _ = asked(fitted(3.0), most=1, seeds=(1, 3), prices={"training": 0.0})
    assert either.proposals[0].seeds == 1  # the first seed teaches most for its cost


def test_it_stops_where_no_training_is_worth_its_cost_and_says_why():
    sure, region, _ = asked(fitted(0.01))
    assert sure.stop
    assert not sure.proposals
    assert region.regret < 0.1
    assert "even knowing every score exactly" in sure.reason
    dear, _, _ = asked(fitted(), prices={"training": 5.0})
    assert dear.stop
    assert dear.best_gain > 0
    worth, _, _ = asked(fitted(), prices={"adapter": 10.0, "point": 1000.0})
    unworthy, _, _ = asked(fitted(), prices={"adapter": 10.0, "point": 1.0})
    assert not worth.stop
    assert unworthy.stop


def test_where_one_seed_tells_too_little_several_together_are_looked_at():
    """A noisy mix that may be far better: one score moves the choice never, eight do (Frazier and Powell 2010)."""

    def corners(shares, sizes=None):
        return shares

    surface = Gaussian(("a", "b"), np.array([0.0, 4.0]), np.diag([9.0, 0.0]), run_variance=100.0, terms=corners)
    candidates = candidates_of(surface, whole_simplex(2), lattice_points=2, even_points=4)
    region = region_of(surface, candidates, draws=200)
    offers = np.array([[1.0, 0.0]])

    def advise(training, budget=np.inf):
        prices = Prices(np.zeros(1), training=training, budget=budget)
        return prescribe(surface, region, offers, tested=np.eye(2)[1:], prices=prices, most=1)

    several = advise(0.001)
    assert [proposal.seeds for proposal in several.proposals] == [8]
    assert "8 together are expected to be worth their cost" in several.reason
    assert advise(0.001, budget=2).stop
    assert advise(0.05).stop


def test_a_budget_limits_the_batch_and_no_budget_is_said():
    two, _, _ = asked(fitted(), prices={"training": 0.0, "budget": 2.0})
    assert len(two.proposals) == 2
    none, _, _ = asked(fitted(), prices={"budget": 0.5})
    assert none.stop
    assert none.reason == "no training that is offered fits the budget"


def test_a_cheap_mix_is_preferred_to_a_dear_one_that_teaches_as_much():
    surface = fitted()
    free, region, offers = asked(surface, most=1, prices={"training": 0.0})
    first = int(np.flatnonzero((offers == free.proposals[0].shares).all(axis=1))[0])
    cost = np.zeros(len(offers))
    cost[first] = 50.0
    advice = prescribe(surface, region, offers, tested=CENTROID, most=1, prices=Prices(cost, training=0.0))
    assert not np.array_equal(advice.proposals[0].shares, free.proposals[0].shares)


def test_a_saturated_design_asks_for_a_mix_inside_first():
    runs = runs_of(CENTROID, terms(CENTROID) @ TRUTH)
    assert saturated(runs, 3)
    assert not saturated(runs, 2)
    inside = np.concatenate([CENTROID, [[0.6, 0.2, 0.2], [0.2, 0.6, 0.2]]])
    assert not saturated(runs_of(inside, terms(inside) @ TRUTH), 3)
    advice, _, _ = asked(fitted(0.01), interior_first=True)
    assert not advice.stop
    assert [proposal.reason for proposal in advice.proposals] == ["interior"]
    shares = advice.proposals[0].shares
    assert shares.min() >= 0.1
    assert np.linalg.norm(CENTROID - shares, axis=1).min() > 0.2


def test_what_is_offered_is_new_round_and_within_bounds():
    bounds = bounds_of(COMPONENTS, {"synthetic": (0.0, 0.5)})
    offers = offers_of(bounds, CENTROID, 100)
    assert bounds.contain(offers).all()
    assert len(offers) > 40
    assert np.abs(offers[:, None] - CENTROID).max(axis=2).min() > 0.005
    assert np.allclose(offers * 100, np.rint(offers * 100))
    many = offers_of(whole_simplex(17), np.empty((0, 17)), 200)
    assert (many.min(axis=1) >= 0).all()
    assert (np.count_nonzero(many, axis=1) > 5).sum() > 100
    with pytest.raises(InputError, match="no mix within the bounds is left"):
        prescribe(fitted(), asked(fitted())[1], np.empty((0, 3)), tested=CENTROID)


def test_the_noise_of_items_is_what_mixes_do_not_share():
    shared = runs_of(CENTROID, np.zeros(7), items=5 + 0.5 * np.eye(7))
    assert item_noise(shared) == pytest.approx(0.5)
    assert item_noise(runs_of(CENTROID, np.zeros(7))) == 0


def test_the_same_question_has_the_same_answer():
    first, again = (asked(fitted())[0] for _ in range(2))
    assert first.reason == again.reason
    assert [proposal.gain for proposal in first.proposals] == [proposal.gain for proposal in again.proposals]


def test_the_gain_of_a_batch_is_what_truths_drawn_from_the_posterior_gain():
    """Draw truths, train the batch, choose again: the mean gain in true score is the value of the batch."""
    surface = fitted(1.5)
    advice, region, _ = asked(surface, most=3, own_noise=0.5, prices={"training": 0.0})
    batch = np.array([proposal.shares for proposal in advice.proposals])
    decisions = np.delete(region.candidates.shares, region.candidates.even, axis=0)
    rows, root = terms(np.concatenate([decisions, batch])), np.linalg.cholesky(surface.covariance)
    numbers = np.random.default_rng(11)
    truths = surface.coefficients + numbers.normal(size=(20_000, 6)) @ root.T
    noise = surface.run_variance + 0.5
    scores = truths @ rows[-len(batch) :].T + np.sqrt(noise) * numbers.normal(size=(20_000, len(batch)))
    prior, cross = surface.moments(batch), rows @ surface.covariance @ rows[-len(batch) :].T
    weights = np.linalg.solve(prior.covariance + noise * np.eye(len(batch)), cross.T)
    after = rows @ surface.coefficients + (scores - prior.mean) @ weights
    now = int(np.argmax(surface.moments(decisions).mean))
    true = truths @ rows[: len(decisions)].T
    gains = true[np.arange(20_000), after[:, : len(decisions)].argmax(axis=1)] - true[:, now]
    error = gains.std() / np.sqrt(20_000)
    assert gains.mean() == pytest.approx(sum(proposal.gain for proposal in advice.proposals), abs=4 * error + 0.005)
    assert sum(proposal.gain for proposal in advice.proposals) > 10 * error
