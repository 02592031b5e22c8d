"""What a table has a row for: each model, and each mix over its training seeds."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

from posologie.statistics.draws import generator
from posologie.statistics.spec import EvaluatedModel, Statistics

FEWEST_SEEDS = 3
"""From this many training seeds of a mix on, its own seeds determine their variance."""
_ALMOST_NOTHING = 1e-6
"""Smallest term of seeds: as good as none."""


@dataclass(frozen=True)
class Entry:
    """One model, or the adapters of one mix over their seeds.

    Attributes:
        model: the model's name; `{backbone}/{mix}` for several seeds together.
        members: indices of the models whose mean this is.
        draws_seeds: whether replicates of what has no crossed model draw seeds too.
    """

    model: str
    kind: str
    backbone: str
    mix: str
    seed: str
    members: tuple[int, ...]

    @property
    def draws_seeds(self) -> bool:
        """Whether replicates draw seeds together with clusters."""
        return len(self.members) >= FEWEST_SEEDS

    @property
    def published_place(self) -> tuple[str, str]:
        """The backbone (the model's own name where it has none), and the mix or `base`: where a published value is."""
        return self.backbone or self.model.removeprefix("published/"), self.label

    @property
    def label(self) -> str:
        """The mix's name, or `base`, or the published model's name: how contrasts name it."""
        return self.mix or ("base" if self.kind == "base" else self.model.removeprefix("published/"))


def single_entries(models: Sequence[EvaluatedModel]) -> list[Entry]:
    """Return an entry for each model."""
    return [
        Entry(
            model.name,
            model.kind,
            model.backbone or "",
            model.mix or "",
            "" if model.seed is None else str(model.seed),
            (index,),
        )
        for index, model in enumerate(models)
    ]


def arm_entries(models: Sequence[EvaluatedModel]) -> list[Entry]:
    """Return an entry for each base model, published model, and mix on a backbone, its seeds taken together."""
    arms: dict[tuple[str, ...], list[Entry]] = {}
    for entry in single_entries(models):
        key = (entry.kind, entry.backbone, entry.mix) if entry.kind == "mix" else (entry.kind, entry.model)
        arms.setdefault(key, []).append(entry)
    return [
        members[0]
        if len(members) == 1
        else Entry(
            f"{members[0].backbone}/{members[0].mix}",
            "mix",
            members[0].backbone,
            members[0].mix,
            "all",
            tuple(member for entry in members for member in entry.members),
        )
        for members in arms.values()
    ]


def all_entries(models: Sequence[EvaluatedModel]) -> list[Entry]:
    """Return every model's entry, then those that join several seeds."""
    return single_entries(models) + [entry for entry in arm_entries(models) if len(entry.members) > 1]


class SeedDraws(NamedTuple):
    """Draws of the seeds of one entry.

    Attributes:
        normal: [replicate], standard normal; none where seeds are not drawn.
        level: of the interval that is read from the replicates.
    """

    normal: NDArray[np.float64]
    level: float


def seed_weights(entry: Entry, settings: Statistics) -> SeedDraws:
    """Return the draws that move an entry's value as other seeds would.

    They are independent between mixes, and depend on the place of a mix among the models, not on its name.
    """
    if not entry.draws_seeds:
        return SeedDraws(np.zeros(0), settings.level)
    numbers = generator(settings.seed, "seeds", str(entry.members[0]))
    return SeedDraws(numbers.standard_normal(settings.replicates), settings.level)


def over_members(
    entry: Entry, point: NDArray[np.float64], replicates: NDArray[np.float64], weights: SeedDraws
) -> tuple[float, NDArray[np.float64]]:
    """Return the entry's value and its replicates from those of the models, for values that have no crossed model.

    Of several seeds, the replicates are those of the mean under the draws of items, moved by a draw of seeds. The
    variance of seeds is S² − R, net of what items contribute to the variance between members: S² is that of their
    values, R that of their replicates, so that the total is that of the crossed model. All is stretched by the ratio of
    Student's quantile to the normal one, with the degrees of freedom of `total_variance`, because few seeds say little
    of their own variance.

    Args:
        point: [model].
        replicates: [model, replicate].
        weights: from `seed_weights`.
    """
    members = list(entry.members)
    if len(members) == 1:
        return float(point[members[0]]), replicates[members[0]]
    value, drawn = float(point[members].mean()), replicates[members]
    mean = drawn.mean(axis=0)
    if not entry.draws_seeds or np.isnan(value):
        return value, mean
    between = float(np.var(point[members], ddof=1))
    noise = float(np.nanvar(drawn - mean, axis=1).sum() / (len(members) - 1))
    items = float(np.nanvar(mean))
    seeds = max(0.0, between - noise) / len(members)
    if not items + seeds > 0:
        return value, mean
    df = len(members) - 1
    term = float(seed_term(between / len(members) / (items + seeds), df))
    tail = (1 + weights.level) / 2
    stretch = float(stdtrit(df / max(term, _ALMOST_NOTHING), tail) / ndtri(tail))
    return value, value + stretch * (mean - value + np.sqrt(seeds) * weights.normal)


def seed_term(fraction: NDArray[np.float64] | float, df: int) -> NDArray[np.float64]:
    """Return what the variance of seeds adds to 1 / df, times its own degrees of freedom: f² (1 + 2.4 (1 − f³) / df).

    f² alone is Satterthwaite's (1946). With few degrees of freedom a small S² is often small by chance: his tests then
    reject up to 7.8 times in 100 with two of them, and these up to 5.5 times, 5.1 with four, whatever the true variance
    of seeds (by quadrature; `tests/unit/statistics/test_crossed.py`).

    Args:
        fraction: f, what S² makes up of the whole variance, 0 to 1.
        df: degrees of freedom of S².
    """
    fraction = np.minimum(fraction, 1.0)
    term: NDArray[np.float64] = fraction**2 * (1 + 2.4 * (1 - fraction**3) / df)
    return term
