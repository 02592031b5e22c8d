"""What a table has a row for: each model, and each mix over its training seeds."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

from posologie.statistics.draws import generator
from posologie.statistics.spec import EvaluatedModel, Statistics

FEWEST_SEEDS = 3
"""From so many training seeds on, seeds are drawn with the clusters."""


@dataclass(frozen=True)
class Entry:
    """One model, or the adapters of one mix over their seeds.

    Attributes:
        model: the model's name; `{backbone}/{mix}` for several seeds together.
        members: indices of the models whose mean this is.
        draws_seeds: whether replicates draw seeds too.
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
        found[0]
        if len(found) == 1
        else Entry(
            f"{found[0].backbone}/{found[0].mix}",
            "mix",
            found[0].backbone,
            found[0].mix,
            "all",
            tuple(member for entry in found for member in entry.members),
        )
        for found in arms.values()
    ]


def all_entries(models: Sequence[EvaluatedModel]) -> list[Entry]:
    """Return every model's entry, then those that join several seeds."""
    return single_entries(models) + [entry for entry in arm_entries(models) if len(entry.members) > 1]


def seed_weights(entry: Entry, settings: Statistics) -> NDArray[np.float64]:
    """Return [member, replicate], the weight of each of the entry's models in each replicate; they sum to 1.

    With fewer than three seeds every weight is 1 / members: the adapters are taken as they are. With more, members − 1
    of them are drawn with replacement, which makes the variance over seeds unbiased (Rao and Wu 1988, with m = n − 1);
    the draws of two mixes are independent. So few seeds say little of their own variance, and a percentile interval
    over three of them would hold the truth in 75 of 100 studies: what a draw of seeds moves is therefore stretched by
    the ratio of Student's quantile, with members − 1 degrees of freedom, to the normal one.
    """
    count = len(entry.members)
    if not entry.draws_seeds:
        return np.full((count, settings.replicates), 1 / count)
    numbers = generator(settings.seed, "seeds", entry.model)
    drawn = numbers.multinomial(count - 1, np.full(count, 1 / count), size=settings.replicates).T / (count - 1)
    tail = (1 + settings.level) / 2
    weights: NDArray[np.float64] = 1 / count + float(stdtrit(count - 1, tail) / ndtri(tail)) * (drawn - 1 / count)
    return weights


def over_members(
    entry: Entry, point: NDArray[np.float64], replicates: NDArray[np.float64], weights: NDArray[np.float64]
) -> tuple[float, NDArray[np.float64]]:
    """Return the entry's value and its replicates from those of the models.

    Args:
        point: [model].
        replicates: [model, replicate].
        weights: [member, replicate], from `seed_weights`.
    """
    members = list(entry.members)
    if len(members) == 1:
        return float(point[members[0]]), replicates[members[0]]
    return float(point[members].mean()), (replicates[members] * weights).sum(axis=0)
