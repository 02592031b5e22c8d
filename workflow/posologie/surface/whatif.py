"""What a mix would answer, from the label probabilities of models of single components, beside how wrong that is."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice, permutations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from posologie.running.errors import InputError
from posologie.surface.runs import Array

_LEVEL = 0.95
_MOST = 5040  # orders of the mixes: all of them for up to seven
_SEED = 2502
_FEWEST = 4  # blends: of three, no order is rarer than one in six


@dataclass(frozen=True)
class Check:
    """How Σ wₖ pₖ predicts the mixes that were trained, beside predictions that must be worse.

    Errors are root mean squared differences of label probabilities over the items of blends: mixes of two components
    or more, because a component alone predicts itself.

    Attributes:
        blends: mixes that the check rests on.
        items, groups: of the suite; groups are what was sampled.
        error: of the right weights.
        score_errors: [blend], predicted minus measured share of right answers.
        wrong: name → error of weights that are wrong on purpose: each component alone, and equal shares.
        nearest: the wrong weights with the smallest error.
        advantage: how much larger their mean squared error is, with the lower end of its one-sided 95 % interval,
            corrected for the number of wrong weights.
        p_value: how rarely predictions that are dealt out to the blends at random are as near; None below four blends.
        refused: whether predictions of new mixes must not be made.
        note: in words.
    """

    blends: tuple[str, ...]
    items: int
    groups: int
    error: float
    score_errors: Array
    wrong: dict[str, float]
    nearest: str
    advantage: float
    advantage_low: float
    p_value: float | None
    refused: bool
    note: str


def blended(components: Array, shares: Array) -> Array:
    """Return [item, label], Σ wₖ pₖ of [component, item, label] label probabilities (MixMin: Thudi et al. 2025).

    Raises:
        InputError: for shares that are no shares of the components.
    """
    if shares.shape != components.shape[:1] or shares.min() < 0 or abs(shares.sum() - 1) > 1e-6:
        raise InputError(f"whatif: shares {shares.tolist()}; expected {len(components)}, none below 0, with a sum of 1")
    mixture: Array = np.tensordot(shares, components, axes=1)
    return mixture


def right_share(probabilities: Array, gold: Array) -> float:
    """Return the share of items whose most probable label is the gold one, ties shared out equally.

    Args:
        probabilities: [item, label]; labels that an item lacks have probability 0.
        gold: [item], the place of the right label.
    """
    best = probabilities >= probabilities.max(axis=1, keepdims=True) - 1e-12
    right = best[np.arange(len(gold)), gold.astype(np.int64)] / best.sum(axis=1)
    return float(right.mean())


def check(
    names: Sequence[str],
    components: Array,
    mixes: Array,
    shares: Array,
    gold: Array,
    groups: Sequence[str] | None = None,
    component_names: Sequence[str] | None = None,
) -> Check:
    """Compare Σ wₖ pₖ with what trained mixes answered, and with predictions that must be worse.

    A prediction must distinguish mixes to be of use. It is refused where a wrong component, or equal shares, predict
    the blends about as well, or where predictions dealt out to the blends at random do.

    Args:
        names: [mix].
        components: [component, item, label], probabilities of the models of single components.
        mixes: [mix, item, label], of trained mixes on the same items.
        shares: [mix, component].
        gold: [item].
        groups: [item]; each item is its own where not given.
        component_names: [component].

    Raises:
        InputError: where shapes do not fit or no blend was trained.
    """
    if mixes.shape[1:] != components.shape[1:] or shares.shape != (len(mixes), len(components)):
        raise InputError(
            f"whatif: probabilities {components.shape} of components and {mixes.shape} of mixes, shares {shares.shape}"
            "; expected the same items and labels, and a share of each component"
        )
    blends = np.flatnonzero((shares > 1e-9).sum(axis=1) > 1)
    if not len(blends):
        raise InputError("whatif: no trained mix has two components; expected one to check predictions against")
    titles = component_names or [f"component {place + 1}" for place in range(len(components))]
    measured = mixes[blends]
    right = np.stack([blended(components, row / row.sum()) for row in shares[blends]])
    squares = ((right - measured) ** 2).sum(axis=2)
    wrong = {name: components[[place] * len(blends)] for place, name in enumerate(titles)}
    wrong["equal shares"] = np.stack([components.mean(axis=0)] * len(blends))
    _, of_item = np.unique(np.arange(components.shape[1]) if groups is None else np.array(groups), return_inverse=True)
    place_of = of_item.astype(np.int64)
    compared: dict[str, tuple[float, float, float]] = {}
    for name, other in wrong.items():
        differs = np.abs(other - right).max(axis=(1, 2)) > 1e-9  # equal shares are right for the equal blend
        if differs.any():
            errors = ((other - measured) ** 2).sum(axis=2)
            gain, low = _advantage((errors - squares)[differs].mean(axis=0), place_of, len(wrong))
            compared[name] = (float(np.sqrt(errors[differs].mean())), gain, low)
    if not compared:
        raise InputError("whatif: the models of single components give the same answers; nothing distinguishes mixes")
    nearest = min(compared, key=lambda name: compared[name][1])
    _, advantage, low = compared[nearest]
    p_value = _order_test(right, measured)
    error = float(np.sqrt(squares.mean()))
    reasons = []
    if low <= 0:
        reasons.append(f"{nearest} predicts them as well (error {compared[nearest][0]:.4f} against {error:.4f})")
    if p_value is None:
        reasons.append(f"{len(blends)} trained blends are too few; expected {_FEWEST}")
    elif p_value > 1 - _LEVEL:
        reasons.append(f"predictions assigned to the wrong mixes are as close (p = {p_value:.3f})")
    size = f"{len(blends)} trained blends, {components.shape[1]} items"
    note = (
        f"no prediction of new mixes, by {size}: {'; '.join(reasons)}"
        if reasons
        else f"error of label probabilities {error:.4f} on {size}; the nearest wrong weights, {nearest}, "
        f"{compared[nearest][0]:.4f}"
    )
    score_errors = np.array(
        [
            right_share(predicted, gold) - right_share(answered, gold)
            for predicted, answered in zip(right, measured, strict=True)
        ]
    )  # fmt: skip
    return Check(
        blends=tuple(names[int(place)] for place in blends),
        items=components.shape[1],
        groups=int(place_of.max()) + 1,
        error=error,
        score_errors=score_errors,
        wrong={name: wrong_error for name, (wrong_error, _, _) in compared.items()},
        nearest=nearest,
        advantage=advantage,
        advantage_low=low,
        p_value=p_value,
        refused=bool(reasons),
        note=note,
    )


def predicted_score(checked: Check, components: Array, shares: Array, gold: Array) -> tuple[float, float, float]:
    """Return the predicted share of right answers of a mix with the interval of its error on trained blends.

    The interval is Student's for one more blend: mean error ± t × standard deviation × √(1 + 1/n).

    Raises:
        InputError: where the check refuses predictions, with its reason.
    """
    if checked.refused:
        raise InputError(f"whatif: {checked.note}")
    value = right_share(blended(components, shares), gold)
    count = len(checked.score_errors)
    centre = value - float(checked.score_errors.mean())
    spread = float(checked.score_errors.std(ddof=1)) * np.sqrt(1 + 1 / count)
    half = float(student.ppf((1 + _LEVEL) / 2, count - 1)) * spread
    return value, centre - half, centre + half


def _advantage(differences: Array, groups: NDArray[np.int64], tests: int) -> tuple[float, float]:
    """Return the mean over items and the lower end of its interval, items of a group being one unit."""
    count = int(groups.max()) + 1
    mean = float(differences.mean())
    if count < 2:
        return mean, -np.inf
    sums = np.bincount(groups, weights=differences - mean, minlength=count)
    error = np.sqrt(count / (count - 1) * float(sums @ sums)) / len(differences)
    return mean, mean - float(student.ppf(1 - (1 - _LEVEL) / tests, count - 1)) * error


def _order_test(right: Array, measured: Array) -> float | None:
    """Return the share of orders of the predictions whose squared error is no larger; None below four blends."""
    count = len(right)
    if count < _FEWEST:
        return None
    distance = np.array([[float(((predicted - answered) ** 2).sum()) for answered in measured] for predicted in right])
    own = float(np.trace(distance))
    if count <= 7:
        orders = np.array(list(islice(permutations(range(count)), _MOST)))
    else:
        rng = np.random.default_rng(_SEED)
        orders = np.array([np.arange(count), *(rng.permutation(count) for _ in range(_MOST - 1))])
    errors = distance[orders, np.arange(count)].sum(axis=1)
    return float(np.mean(errors <= own * (1 + 1e-12)))
