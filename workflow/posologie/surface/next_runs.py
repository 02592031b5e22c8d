"""What to train next: the mixes whose training is expected to improve the choice of a mix most, or none.

The value of a training is what it is expected to add to the true score of the mix that is chosen after it: the
knowledge gradient with correlated beliefs (Frazier, Powell and Dayanik 2009). The expected regret of the present choice
is the value of perfect knowledge, and so the most that any number of trainings can be worth.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from posologie.running.errors import InputError
from posologie.surface.beliefs import Beliefs
from posologie.surface.candidates import distinct, lattice, rounded, uniform
from posologie.surface.forms import products_of
from posologie.surface.optimum import Region
from posologie.surface.runs import Array, Runs, Surface
from posologie.surface.simplex import Bounds

_MINIMUM = 1e-9
_MORE_SEEDS = (2, 4, 8)
INTERIOR = 0.02
"""Least share of each component in a mix that counts as interior."""


@dataclass(frozen=True)
class Prices:
    """What trainings cost, and what a point is worth, in one currency.

    Attributes:
        mixes: [offer], what is paid once for a mix: its items.
        adapter: what each adapter costs.
        training: the same as a number of points that a training has to bring for it to be worth its cost.
        budget: the most that all proposals may cost together; infinite where nothing limits it.
        point: what a point of the score is worth; None where `training` decides.
    """

    mixes: Array
    adapter: float = 1.0
    training: float = 0.1
    budget: float = np.inf
    point: float | None = None

    def of(self, offer: int, seeds: int) -> float:
        """Return the cost of a mix with a number of seeds."""
        return float(self.mixes[offer]) + seeds * self.adapter

    def in_points(self, offer: int, seeds: int) -> float:
        """Return the number of points that pay for a mix with a number of seeds."""
        return seeds * self.training if self.point is None else self.of(offer, seeds) / self.point


@dataclass(frozen=True)
class Proposal:
    """A mix to train on, in the order in which it was chosen.

    Attributes:
        shares: [component].
        seeds: number of adapters.
        cost: in the currency of the prices; the number of adapters where there are none.
        gain: points that it is expected to add to the score of the chosen mix, after the proposals before it.
        alone: the same without the others.
        changes: probability that after it alone another mix is expected to beat the present choice by what a training
            is to bring.
        regret: expected after it and the proposals before it.
        region: expected share of the simplex that cannot be distinguished from the best, after the same.
        reason: why it was chosen: `decision`, or `interior` where a saturated design needs it.
    """

    shares: Array
    seeds: int
    cost: float
    gain: float
    alone: float
    changes: float
    regret: float
    region: float
    reason: str


@dataclass(frozen=True)
class Prescription:
    """What to train next, or why to stop.

    Attributes:
        proposals: none where to stop.
        stop: no affordable training is expected to be worth its cost.
        reason: in words.
        regret: expected of the present choice, before anything is trained.
        region: share of the simplex that cannot be distinguished from the best now, on the points of `Proposal.region`.
        best_gain: the most points that the affordable trainings looked at are expected to bring together.
    """

    proposals: tuple[Proposal, ...]
    stop: bool
    reason: str
    regret: float
    region: float
    best_gain: float


def item_noise(runs: Runs) -> float:
    """Return what items add to the error of one mix alone, next to the part that all mixes share.

    All mixes answer the same items: the mean covariance of two mixes cancels in differences, and what each variance has
    beyond it does not.
    """
    count = len(runs)
    if count < 2:
        return 0.0
    own, all_pairs = float(np.trace(runs.items)), float(runs.items.sum())
    return max(0.0, own / count - (all_pairs - own) / (count * (count - 1)))


def offers_of(bounds: Bounds, tested: Array, most: int = 250, seed: int = 42) -> Array:
    """Return mixes that can be trained: in round shares, and none that was trained, [offer, component].

    The lattice within bounds, or, where that has single components and pairs alone, an even sample in whole percent.
    """
    grid, step = lattice(bounds, most)
    if len(grid) < most // 4 or step > 1 / len(bounds.low):
        grid = distinct(np.concatenate([grid, rounded(uniform(bounds, most, seed), bounds)]))
    if not len(tested):
        return grid
    away = np.abs(grid[:, None] - tested).max(axis=2).min(axis=1)
    untested: Array = grid[away > 0.005]
    return untested


def saturated(runs: Runs, degree: int) -> bool:
    """Say whether a model goes through all mixes, and at most one of them has all components.

    Then only mixes inside show whether the model fits.
    """
    mixes = distinct(runs.shares)
    inside = int((mixes.min(axis=1) >= INTERIOR).sum())
    return len(mixes) <= len(products_of(len(runs.components), degree)) and inside <= 1


def prescribe(
    surface: Surface,
    region: Region,
    offers: Array,
    *,
    tested: Array,
    prices: Prices | None = None,
    most: int = 4,
    seeds: Sequence[int] = (1,),
    own_noise: float = 0.0,
    allowed: NDArray[np.bool_] | None = None,
    interior_first: bool = False,
    seed: int = 42,
) -> Prescription:
    """Return the next mixes worth training, chosen one after the other by value for cost, or stop.

    Each step takes the mix and number of seeds that raise the value of the batch most for their cost, given those taken
    before (batches: Ginsbourger, Le Riche and Carraro 2010, here with the knowledge gradient). Of the batches of one,
    two … mixes, the one whose value exceeds its cost most is proposed. Where none does, the largest is tried with more
    seeds, because only several trainings together may have a value (Frazier and Powell 2010); then it is stop.

    Args:
        region: of the present surface, with the mixes to decide between.
        offers: [offer, component], mixes that may be trained, at the size of the region's candidates.
        tested: [run, component], what was trained.
        most: how many mixes to propose.
        seeds: numbers of adapters of a mix to choose from.
        own_noise: variance of one mix's score beside that of seeds (`item_noise`).
        allowed: [candidate], mixes that may be given (`best_above`); all where left out.
        interior_first: the first proposal is the interior mix that is farthest from all tested ones, and is made even
            where no gain is expected: the surface goes through all its mixes, and its intervals do not know its bias.

    Raises:
        InputError: where nothing is offered or allowed, or `most` or `seeds` are below 1.
    """
    if not len(offers):
        raise InputError("prescribe: no mix within the bounds is left to train")
    if most < 1 or min(seeds) < 1:
        raise InputError("prescribe: expected at least one mix and one seed")
    if allowed is not None and not allowed.any():
        raise InputError("prescribe: no mix within the bounds reaches the floors on the other suites")
    prices = prices or Prices(np.zeros(len(offers)))
    state = Beliefs.of(surface, region, offers, own_noise=own_noise, allowed=allowed, most=most, seed=seed)
    batches: list[list[tuple[int, int, str]]] = [[]]
    values = [0.0]
    for step in range(most):
        taken = batches[-1]
        interior = interior_first and step == 0
        choice = _next(state, taken, values[-1], prices, seeds, _inside(offers, tested) if interior else None)
        if choice is None:
            break
        batches.append([*taken, (*choice, "interior" if interior else "decision")])
        values.append(state.value([offer[:2] for offer in batches[-1]]))
    net = [
        value - sum(prices.in_points(offer, count) for offer, count, _ in batch)
        for value, batch in zip(values, batches, strict=True)
    ]
    least = 1 if interior_first and len(batches) > 1 else 0
    best = least + int(np.argmax(net[least:]))
    batch, reason = batches[best], _reason(region.regret, values, batches, best, prices)
    if not batch and len(batches) > 1 and (larger := _larger(state, batches[-1], prices)):
        batch = larger
        trainings = sum(count for _, count, _ in larger)
        reason = f"few trainings say too little, but {trainings} together are expected to be worth their cost"
    proposals = tuple(_described(state, prices, batch, offers, region.regret))
    return Prescription(proposals, not batch, reason, region.regret, state.region([]), values[-1])


def _larger(state: Beliefs, batch: Sequence[tuple[int, int, str]], prices: Prices) -> list[tuple[int, int, str]] | None:
    """Return the batch with more seeds of each mix, where these are together worth their cost and affordable."""
    best: tuple[float, list[tuple[int, int, str]]] | None = None
    for times in _MORE_SEEDS:
        more = [(offer, times * count, reason) for offer, count, reason in batch]
        if sum(prices.of(offer, count) for offer, count, _ in more) > prices.budget + _MINIMUM:
            break
        net = state.value([offer[:2] for offer in more]) - sum(
            prices.in_points(offer, count) for offer, count, _ in more
        )
        if net > (0.0 if best is None else best[0]):
            best = (net, more)
    return None if best is None else best[1]


def _reason(
    regret: float, values: Sequence[float], batches: Sequence[Sequence[tuple[int, int, str]]], best: int, prices: Prices
) -> str:
    if len(batches) == 1:
        return "no training that is offered fits the budget"
    if best and batches[best][0][2] == "interior":
        return "the surface goes through every mix, so nothing shows whether it fits: a mix inside comes first"
    if best:
        return f"{len(batches[best])} of the {len(batches) - 1} best trainings are expected to be worth their cost"
    cost = min(
        sum(prices.in_points(offer, count) for offer, count, _ in batch) / len(batch) for batch in batches[1:]
    )  # fmt: skip
    if regret < cost:
        return (
            f"even knowing every score exactly is expected to raise the chosen mix by {regret:.2g} points,"
            f" less than the {cost:.2g} that a training has to bring"
        )
    return (
        f"the best {len(batches) - 1} affordable trainings are together expected to raise the chosen mix by"
        f" {values[-1]:.2g} points, less than the {cost:.2g} that each has to bring"
    )


def _inside(offers: Array, tested: Array) -> NDArray[np.int64]:
    """Return the offers with all components, those farthest from every tested mix first."""
    inside = np.flatnonzero(offers.min(axis=1) >= INTERIOR)
    if not len(tested):
        return inside
    away = np.linalg.norm(offers[inside][:, None] - tested, axis=2).min(axis=1)
    farthest: NDArray[np.int64] = inside[away >= away.max(initial=0.0) - _MINIMUM]
    return farthest


def _next(
    state: Beliefs,
    taken: Sequence[tuple[int, int, str]],
    value: float,
    prices: Prices,
    seeds: Sequence[int],
    among: NDArray[np.int64] | None,
) -> tuple[int, int] | None:
    """Return the offer and the number of seeds with the most value for their cost; None where none is affordable."""
    used = {offer for offer, _, _ in taken}
    spent = sum(prices.of(offer, count) for offer, count, _ in taken)
    best: tuple[float, int, int] | None = None
    for count in seeds:
        affordable = [
            offer
            for offer in (range(len(prices.mixes)) if among is None else among)
            if offer not in used and spent + prices.of(int(offer), count) <= prices.budget + _MINIMUM
        ]
        if not affordable:
            continue
        gains = state.values([offer[:2] for offer in taken], np.array(affordable), count) - value
        worth = gains / np.array([max(prices.of(int(offer), count), _MINIMUM) for offer in affordable])
        place = int(np.argmax(worth))
        if best is None or worth[place] > best[0] * (1 + 1e-6):
            best = (float(worth[place]), int(affordable[place]), count)
    return None if best is None else best[1:]


def _described(
    state: Beliefs,
    prices: Prices,
    batch: Sequence[tuple[int, int, str]],
    offers: Array,
    regret: float,
) -> list[Proposal]:
    proposals = []
    values = [state.value([offer[:2] for offer in batch[:length]]) for length in range(len(batch) + 1)]
    for place, (offer, count, reason) in enumerate(batch):
        so_far = [offer[:2] for offer in batch[: place + 1]]
        alone = [(offer, count)]
        proposals.append(
            Proposal(
                shares=offers[offer],
                seeds=count,
                cost=prices.of(offer, count),
                gain=values[place + 1] - values[place],
                alone=state.value(alone),
                changes=state.changes(alone, prices.in_points(offer, count)),
                regret=max(0.0, regret - values[place + 1]),
                region=state.region(so_far),
                reason=reason,
            )
        )
    return proposals
