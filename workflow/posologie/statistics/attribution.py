"""The table of attribution: what each provenance adds, by Shapley values, interactions and the mixture design."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posologie.commands import run
from posologie.items import PROVENANCES
from posologie.statistics.coalitions import Coalition, coalitions, interaction_index, name_of, scheffe_matrix
from posologie.statistics.entries import Entry, arm_entries, over_members, seed_weights
from posologie.statistics.estimates import Estimate, Resampled
from posologie.statistics.intervals import interval_of
from posologie.statistics.latex import Latex
from posologie.statistics.means import unit_of
from posologie.statistics.measured import more_is_better
from posologie.statistics.scored import Measure
from posologie.statistics.suites import scored_parts
from posologie.statistics.table_command import table_command
from posologie.statistics.table_files import write_table

COLUMNS = (
    "suite", "scope_kind", "scope", "task", "aggregate", "metric", "decoding", "variants", "backbone",
    "method", "term", "n", "clusters", "unit", "value", "low", "high", "level", "interval", "note",
)  # fmt: skip


@dataclass(frozen=True)
class Game:
    """All coalitions of the provenances on one backbone.

    Attributes:
        players: the provenances, in the order of DESIGN.
        arms: base and the mixes, in the order of `coalitions`.
        maps: (method, term) → [coalition], the weights that turn the arms' values into the term's.
    """

    backbone: str
    players: tuple[str, ...]
    arms: tuple[Entry, ...]
    maps: dict[tuple[str, str], NDArray[np.float64]]


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
    games = list(games_of(arm_entries(spec.models), spec.blends))
    rows: list[dict[str, Any]] = []
    for suite in spec.suites if games else ():
        for _, scored in scored_parts(command.results, suite, spec, more_is_better):
            resampled = Resampled(scored, spec.statistics)
            measures = sorted(scored.values)
            values = [scored.over_variants(measure, "original") for measure in measures]
            for measure, estimates in zip(measures, resampled.many_means(values), strict=True):
                rows.extend(_rows(resampled, measure, estimates, games))
    write_table(command.table, COLUMNS, rows, LATEX)


def games_of(arms: Sequence[Entry], blends: Mapping[str, Mapping[Any, float]]) -> Iterator[Game]:
    """Yield a game for each backbone that has base and an equal blend of every coalition of the provenances.

    The provenances are those of all blends. Of several mixes with the same equal blend the first is taken.
    """
    used = {provenance for blend in blends.values() for provenance, share in blend.items() if share > 0}
    players = tuple(provenance for provenance in PROVENANCES if provenance in used)
    for backbone in dict.fromkeys(arm.backbone for arm in arms):
        found: dict[Coalition, Entry] = {}
        for arm in arms:
            if arm.backbone != backbone:
                continue
            if arm.kind == "base":
                found[frozenset()] = arm
            elif (coalition := _equal_blend(blends.get(arm.mix, {}))) is not None:
                found.setdefault(coalition, arm)
        everyone = coalitions(players)
        if len(players) > 1 and all(coalition in found for coalition in everyone):
            chosen = tuple(found[coalition] for coalition in everyone)
            yield Game(backbone, players, chosen, _maps(players, [blends[arm.mix] for arm in chosen[1:]]))


def _equal_blend(blend: Mapping[Any, float]) -> Coalition | None:
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
    resampled: Resampled, measure: Measure, estimates: Iterator[Estimate], games: Sequence[Game]
) -> Iterator[dict[str, Any]]:
    scored, settings = resampled.scored, resampled.settings
    arms = {arm.model: arm for game in games for arm in game.arms}
    weights = {name: seed_weights(arm, settings) for name, arm in arms.items()}
    scale = 100 if unit_of(measure.metric) == "%" else 1
    for estimate in estimates:
        values = {
            name: over_members(arm, estimate.point, estimate.replicates, weights[name]) for name, arm in arms.items()
        }
        for game in games:
            points = np.array([values[arm.model][0] for arm in game.arms])
            draws = np.stack([values[arm.model][1] for arm in game.arms])
            linear = np.stack(list(game.maps.values()))
            for (method, term), point, drawn in zip(game.maps, linear @ points, linear @ draws, strict=True):
                interval = interval_of(float(point), drawn, estimate.extent.effective, settings, is_share=False)
                yield {
                    "suite": scored.suite,
                    "scope_kind": estimate.cell.scope_kind,
                    "scope": estimate.cell.scope,
                    "task": estimate.cell.task,
                    "aggregate": estimate.cell.aggregate,
                    "metric": measure.metric,
                    "decoding": measure.decoding,
                    "variants": "original",
                    "backbone": game.backbone,
                    "method": method,
                    "term": term,
                    "n": estimate.extent.items,
                    "clusters": estimate.extent.clusters,
                    "unit": unit_of(measure.metric),
                    "value": float(point) * scale,
                    "low": None if interval.low is None else interval.low * scale,
                    "high": None if interval.high is None else interval.high * scale,
                    "level": settings.level,
                    "interval": interval.method,
                    "note": interval.note,
                }


if __name__ == "__main__":
    run(main)
