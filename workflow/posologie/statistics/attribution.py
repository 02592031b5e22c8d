"""The table of attribution: what each provenance adds, by Shapley values, interactions and the mixture design."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posologie.commands import run
from posologie.items import PROVENANCES
from posologie.statistics.coalitions import Coalition, coalitions, interaction_index, name_of, scheffe_matrix
from posologie.statistics.crossed import crossed
from posologie.statistics.entries import Entry, arm_entries
from posologie.statistics.estimates import Model, Resampled
from posologie.statistics.families import ADAPTERS
from posologie.statistics.intervals import score_interval
from posologie.statistics.latex import Latex
from posologie.statistics.means import sparse_items, unit_of
from posologie.statistics.measured import more_is_better
from posologie.statistics.scored import Measure
from posologie.statistics.suites import scored_parts
from posologie.statistics.table_command import table_command
from posologie.statistics.table_files import write_table

COLUMNS = (
    "suite", "scope_kind", "scope", "task", "aggregate", "metric", "decoding", "variants", "backbone",
    "method", "term", "n", "clusters", "unit", "value", "low", "high", "level", "interval", "about", "note",
)  # fmt: skip


@dataclass(frozen=True)
class Game:
    """All coalitions of the provenances on one backbone.

    Attributes:
        players: the provenances, in the order of DESIGN.
        arms: base and the mixes, in the order of `coalitions`.
        maps: (method, term) → [coalition], the weights that turn the arms' values into the term's.
        note: what weakens it: mixes of different sizes.
    """

    backbone: str
    players: tuple[str, ...]
    arms: tuple[Entry, ...]
    maps: dict[tuple[str, str], NDArray[np.float64]]
    note: str = ""


LATEX = Latex(
    "What each provenance adds, in points: Shapley values, interactions, and Scheffé's special cubic.",
    index=("suite", "metric", "decoding", "method", "term"),
    where={"scope_kind": ("all", "provenance"), "task": ("all",), "aggregate": ("item_weighted",)},
    across=("scope",),
    digits=2,
)


def main(argv: list[str]) -> None:
    """Write the table."""
    command = table_command("posologie.statistics.attribution", __doc__ or "", argv)
    spec = command.spec
    games = list(games_of(arm_entries(spec.models), spec.blends, spec.sizes))
    rows: list[dict[str, Any]] = []
    for suite in spec.suites if games else ():
        for _, scored in scored_parts(command.results, suite, spec, more_is_better):
            resampled = Resampled(scored, spec.statistics)
            measures = sorted(scored.values)
            values = (scored.over_variants(measure, "original") for measure in measures)
            for measure, models in zip(measures, resampled.many_moments(values), strict=True):
                rows.extend(_rows(resampled, measure, models, games))
    write_table(command.table, COLUMNS, rows, LATEX)


def games_of(
    arms: Sequence[Entry], blends: Mapping[str, Mapping[Any, float]], sizes: Mapping[str, str]
) -> Iterator[Game]:
    """Yield a game for each backbone that has base and an equal blend of every coalition of the provenances.

    The provenances are those of all blends, however many. Of several mixes with the same equal blend, those of a size
    that every coalition has are taken, or else the first, and the game says that its mixes differ in size.
    """
    used = {str(provenance) for blend in blends.values() for provenance, share in blend.items() if share > 0}
    players = tuple(sorted(sorted(used), key=lambda one: (*PROVENANCES, one).index(one)))
    everyone = coalitions(players)
    for backbone in dict.fromkeys(arm.backbone for arm in arms):
        here = [arm for arm in arms if arm.backbone == backbone]
        base = next((arm for arm in here if arm.kind == "base"), None)
        found: dict[Coalition, list[Entry]] = {}
        for arm in here:
            if arm.kind == "mix" and (coalition := equal_blend(blends.get(arm.mix, {}))) is not None:
                found.setdefault(coalition, []).append(arm)
        if base is None or len(players) < 2 or any(coalition not in found for coalition in everyone[1:]):
            continue
        mixes, note = _of_one_size([found[coalition] for coalition in everyone[1:]], sizes)
        yield Game(backbone, players, (base, *mixes), _maps(players, [blends[arm.mix] for arm in mixes]), note)


def _of_one_size(choices: Sequence[Sequence[Entry]], sizes: Mapping[str, str]) -> tuple[list[Entry], str]:
    """Return a mix for each coalition, and what is to be said of their sizes."""
    for first in choices[0]:
        size = sizes.get(first.mix, "")
        same = [next((arm for arm in arms if sizes.get(arm.mix, "") == size), None) for arms in choices]
        if all(arm is not None for arm in same):
            return [arm for arm in same if arm is not None], ""
    mixes = [arms[0] for arms in choices]
    told = ", ".join(dict.fromkeys(f"{arm.mix} {sizes.get(arm.mix, '?')}" for arm in mixes))
    return mixes, f"mixes of different sizes ({told}): what a provenance adds holds the effect of more data"


def equal_blend(blend: Mapping[Any, float]) -> Coalition | None:
    """Return the provenances of a blend in equal shares; None if they are not."""
    shares = [share for share in blend.values() if share > 0]
    if not shares or max(shares) > 1.01 * min(shares):
        return None
    return frozenset(provenance for provenance, share in blend.items() if share > 0)


def _maps(players: Sequence[str], blends: Sequence[Mapping[Any, float]]) -> dict[tuple[str, str], NDArray[np.float64]]:
    terms = coalitions(players)[1:]
    maps = {}
    for term in terms:
        method = "shapley" if len(term) == 1 else "interaction"
        maps[method, name_of(term, players)] = interaction_index(term, players)
    shares = [{player: blend.get(player, 0.0) / sum(blend.values()) for player in players} for blend in blends]
    for term, weights in zip(terms, scheffe_matrix(shares, players), strict=True):
        maps["scheffe", name_of(term, players)] = np.concatenate([[0.0], weights])
    return maps


def _rows(
    resampled: Resampled, measure: Measure, models: Iterator[Model], games: Sequence[Game]
) -> Iterator[dict[str, Any]]:
    scored, settings = resampled.scored, resampled.settings
    arms = arm_entries(scored.models)
    place = {arm.model: number for number, arm in enumerate(arms)}
    scale = 100 if unit_of(measure.metric) == "%" else 1
    for found in models:
        model = crossed(found.moments, arms, arms, sparse_items=sparse_items(measure, found.extent))
        for game in games:
            linear = np.zeros((len(game.maps), len(arms)))
            linear[:, [place[arm.model] for arm in game.arms]] = list(game.maps.values())
            for (method, term), weights in zip(game.maps, linear, strict=True):
                estimated = model.of(weights)
                interval = score_interval(estimated, found.extent, settings, is_share=False)
                recipes = model.is_recipe(weights)
                notes = [interval.note, "" if recipes else ADAPTERS, game.note]
                yield {
                    "suite": scored.suite,
                    "scope_kind": found.cell.scope_kind,
                    "scope": found.cell.scope,
                    "task": found.cell.task,
                    "aggregate": found.cell.aggregate,
                    "metric": measure.metric,
                    "decoding": measure.decoding,
                    "variants": "original",
                    "backbone": game.backbone,
                    "method": method,
                    "term": term,
                    "n": found.extent.items,
                    "clusters": found.extent.clusters,
                    "unit": unit_of(measure.metric),
                    "value": float(estimated.value) * scale,
                    "low": None if interval.low is None else interval.low * scale,
                    "high": None if interval.high is None else interval.high * scale,
                    "level": settings.level,
                    "interval": interval.method,
                    "about": "recipes" if recipes else "adapters",
                    "note": "; ".join(note for note in notes if note),
                }


if __name__ == "__main__":
    run(main)
