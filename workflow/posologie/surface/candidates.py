"""Mixes to choose from: points of the simplex within bounds of the shares."""

from collections.abc import Iterator
from math import comb

import numpy as np
from scipy.stats import qmc

from posologie.statistics.draws import generator
from posologie.surface.runs import Array
from posologie.surface.simplex import Bounds
from posologie.surface.simplex import lattice as simplex_lattice

_STEPS = (100, 50, 40, 25, 20, 10, 5, 4, 2, 1)
_ROUNDING = 1e-9
_FEWEST_ACCEPTED = 0.01
_MOST_COMPONENTS, _MOST_POINTS, _MOST_SHOWN = 5, 2000, 300


def lattice(bounds: Bounds, most: int = 400) -> tuple[Array, float]:
    """Return the simplex lattice within bounds (Scheffé 1958) [point, component], and its step.

    The step is the finest of 1/100, 1/50, 1/40, 1/25, 1/20 … that gives at most `most` points.
    """
    width = len(bounds.low)
    tried = most if bounds.is_simplex else 50 * most  # with highest shares, fewer points than `_room` are left
    for steps in _STEPS:
        if _room(bounds, steps) > tried:
            continue
        points = np.array(list(_compositions(bounds, steps)), float).reshape(-1, width) / steps
        if len(points) <= most:
            return points, 1 / steps
    return np.empty((0, width)), 1.0


def shown(bounds: Bounds, steps: int) -> Array:
    """Return the mixes within bounds at which a table shows predictions, [point, component].

    They are the simplex lattice with this number of steps, or a coarser one if that has too many points.
    """
    width = len(bounds.low)
    grid = simplex_lattice(width, steps) if width < _MOST_COMPONENTS else lattice(bounds, _MOST_SHOWN)[0]
    grid = grid[bounds.contain(grid)]
    return grid if 0 < len(grid) <= _MOST_POINTS else lattice(bounds, _MOST_SHOWN)[0]


def _room(bounds: Bounds, steps: int) -> float:
    """Return the number of lattice points with the lowest shares alone: at least as many as within both bounds."""
    free = steps - int(np.ceil(bounds.low * steps - _ROUNDING).sum())
    return comb(free + len(bounds.low) - 1, free) if free >= 0 else 0


def _compositions(bounds: Bounds, steps: int) -> Iterator[list[int]]:
    low = np.ceil(bounds.low * steps - _ROUNDING).astype(int)
    high = np.floor(bounds.high * steps + _ROUNDING).astype(int)

    def fill(place: int, remaining: int) -> Iterator[list[int]]:
        if place == len(low) - 1:
            if low[place] <= remaining <= high[place]:
                yield [remaining]
            return
        least, most = remaining - int(high[place + 1 :].sum()), remaining - int(low[place + 1 :].sum())
        for number in range(max(int(low[place]), least), min(int(high[place]), most) + 1):
            yield from ([number, *rest] for rest in fill(place + 1, remaining - number))

    yield from fill(0, steps)


def uniform(bounds: Bounds, count: int, seed: int = 42) -> Array:
    """Return mixes that are spread evenly over the bounded simplex, [point, component].

    Spacings of sorted scrambled Sobol points are uniform over the simplex (Devroye 1986, section V.2.2); those outside
    the bounds are rejected. Where nearly all are, the points are those of a hit-and-run walk (Smith 1984).
    """
    width, free = len(bounds.low), 1 - bounds.low.sum()
    if free < _ROUNDING or width == 1:
        return np.repeat(bounds.low[None] if free < _ROUNDING else np.ones((1, 1)), count, axis=0)
    sobol = qmc.Sobol(width - 1, seed=generator(seed, "simplex"))
    accepted, tried = np.empty((0, width)), 0
    while len(accepted) < count and (tried == 0 or len(accepted) >= _FEWEST_ACCEPTED * tried):
        cuts = np.sort(sobol.random(1 << int(np.ceil(np.log2(max(count, 2))))), axis=1)
        edges = np.column_stack([np.zeros(len(cuts)), cuts, np.ones(len(cuts))])
        drawn = bounds.low + free * np.diff(edges, axis=1)
        tried += len(drawn)
        accepted = np.concatenate([accepted, drawn[bounds.contain(drawn)]])
    return accepted[:count] if len(accepted) >= count else _walk(bounds, count, seed)


def _walk(bounds: Bounds, count: int, seed: int) -> Array:
    numbers = generator(seed, "hit and run")
    width = len(bounds.low)
    room = bounds.high - bounds.low
    at = bounds.low + room * (1 - bounds.low.sum()) / max(room.sum(), _ROUNDING)
    mixes = np.empty((count, width))
    for place in range(count):
        for _ in range(2 * width):
            direction = numbers.standard_normal(width)
            direction[room < _ROUNDING] = 0.0
            direction -= np.where(room < _ROUNDING, 0.0, direction.sum() / max((room >= _ROUNDING).sum(), 1))
            with np.errstate(divide="ignore", invalid="ignore"):
                ahead, behind = (bounds.low - at) / direction, (bounds.high - at) / direction
            usable = np.abs(direction) > _ROUNDING
            if not usable.any():
                continue
            least = np.minimum(ahead, behind)[usable].max()
            most = np.maximum(ahead, behind)[usable].min()
            at = np.clip(at + numbers.uniform(min(least, most), most) * direction, bounds.low, bounds.high)
        mixes[place] = at / at.sum()
    return mixes


def rounded(shares: Array, bounds: Bounds, steps: int = 100) -> Array:
    """Return mixes in whole steps by largest remainders, without those that rounding puts outside the bounds."""
    whole = np.floor(shares * steps + _ROUNDING)
    rest = shares * steps - whole
    missing = np.rint(steps - whole.sum(axis=1)).astype(int)
    rank = np.argsort(np.argsort(-rest, axis=1, kind="stable"), axis=1)
    mixes: Array = (whole + (rank < missing[:, None])) / steps
    return mixes[bounds.contain(mixes)]


def around(point: Array, step: float, bounds: Bounds) -> Array:
    """Return the mixes one step away from a mix, in which one component gives and another takes, within bounds."""
    width = len(point)
    moves = [
        point + step * (np.eye(width)[taker] - np.eye(width)[giver])
        for taker in range(width)
        for giver in range(width)
        if taker != giver
    ]
    neighbours = np.array(moves).reshape(-1, width)
    moved: Array = np.maximum(neighbours[bounds.contain(neighbours)], 0.0)
    return moved


def distinct(shares: Array) -> Array:
    """Return the mixes without repeats, in their order."""
    _, first = np.unique(np.round(shares, 6), axis=0, return_index=True)
    mixes: Array = shares[np.sort(first)]
    return mixes
