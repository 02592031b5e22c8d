"""The table of attribution: what each component adds, exact over all coalitions or from a linear surface."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posologie.mixes.spec import MOST_EXACT, components_of, equal_blend, linear_design
from posologie.records.components import DEFAULT
from posologie.running.commands import run
from posologie.statistics.coalitions import Coalition, coalitions, interaction_index, name_of, scheffe_matrix
from posologie.statistics.crossed import Crossed, crossed
from posologie.statistics.entries import Entry, arm_entries
from posologie.statistics.estimates import Model, Resampled
from posologie.statistics.families import ADAPTERS
from posologie.statistics.intervals import score_interval
from posologie.statistics.latex import Latex
from posologie.statistics.linear_surface import coefficients, lack_of_fit, mean_game, shares_of
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
    """What one backbone's mixes tell of the components.

    Attributes:
        players: the components, in the order of the study.
        arms: base and the mixes; where all coalitions are there, in the order of `coalitions`.
        maps: (method, term) → [arm], the weights that turn the arms' values into the term's.
        note: what weakens it: mixes of different sizes, or values read from a linear surface.
        residuals: [mix, arm], which turns values into distances from that surface; none without one.
    """

    backbone: str
    players: tuple[str, ...]
    arms: tuple[Entry, ...]
    maps: dict[tuple[str, str], NDArray[np.float64]]
    note: str = ""
    residuals: NDArray[np.float64] | None = None


_LEVEL_OF_FIT = 0.95

LATEX = Latex(
    "What each component adds, in points: Shapley values, interactions, and coefficients of Scheffé's polynomials.",
    index=("suite", "metric", "decoding", "method", "term"),
    where={"scope_kind": ("all", "provenance"), "task": ("all",), "aggregate": ("item_weighted",)},
    across=("scope",),
    digits=2,
)


def main(argv: list[str]) -> None:
    """Write the table."""
    command = table_command("posologie.statistics.attribution", __doc__ or "", argv)
    spec = command.spec
    games = list(games_of(arm_entries(spec.models), spec.blends, spec.sizes, spec.components or tuple(DEFAULT)))
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
    arms: Sequence[Entry],
    blends: Mapping[str, Mapping[str, float]],
    sizes: Mapping[str, str],
    declared: Sequence[str] = (),
) -> Iterator[Game]:
    """Yield a game for each backbone that has base, and mixes that tell the components apart.

    With up to six components and an equal blend of every coalition of them, it is exact. Of several mixes with the same
    equal blend, those of a size that every coalition has are taken, or else the first, and the game says that its mixes
    differ in size. Otherwise the values of the coalitions are those of a linear surface (`linear_design`).

    Args:
        declared: the components in the order of the study.
    """
    players = components_of(blends, declared)
    for backbone in dict.fromkeys(arm.backbone for arm in arms):
        here = [arm for arm in arms if arm.backbone == backbone]
        base = next((arm for arm in here if arm.kind == "base"), None)
        mixes = [arm for arm in here if arm.kind == "mix" and blends.get(arm.mix)]
        if base is None or len(players) < 2:
            continue
        game = _exact(base, mixes, players, blends, sizes) or _linear(base, mixes, players, blends, sizes)
        if game is not None:
            yield game


def _exact(
    base: Entry,
    arms: Sequence[Entry],
    players: tuple[str, ...],
    blends: Mapping[str, Mapping[str, float]],
    sizes: Mapping[str, str],
) -> Game | None:
    if len(players) > MOST_EXACT:
        return None
    found: dict[Coalition, list[Entry]] = {}
    for arm in arms:
        if (coalition := equal_blend(blends[arm.mix])) is not None:
            found.setdefault(coalition, []).append(arm)
    everyone = coalitions(players)[1:]
    if any(coalition not in found for coalition in everyone):
        return None
    mixes, note = _of_one_size([found[coalition] for coalition in everyone], sizes)
    return Game(base.backbone, players, (base, *mixes), _maps(players, [blends[arm.mix] for arm in mixes]), note)


def _linear(
    base: Entry,
    arms: Sequence[Entry],
    players: tuple[str, ...],
    blends: Mapping[str, Mapping[str, float]],
    sizes: Mapping[str, str],
) -> Game | None:
    here = {arm.mix: arm for arm in arms}
    mixes = linear_design({mix: blends[mix] for mix in here}, sizes)
    if not mixes or set(components_of({mix: blends[mix] for mix in mixes})) != set(players):
        return None
    shares = shares_of([blends[mix] for mix in mixes], players)
    plane = coefficients(shares)
    added = mean_game(len(players))
    maps = {("shapley_linear", name): np.append(added[place, 0], added[place, 1:] @ plane)
            for place, name in enumerate(players)}  # fmt: skip
    maps |= {("scheffe_linear", name): np.append(0.0, plane[place]) for place, name in enumerate(players)}
    residuals = np.hstack([np.zeros((len(mixes), 1)), np.eye(len(mixes)) - shares @ plane])
    note = f"from a linear surface through {len(mixes)} mixes"
    return Game(base.backbone, players, (base, *(here[mix] for mix in mixes)), maps, note, residuals)


def _of_one_size(choices: Sequence[Sequence[Entry]], sizes: Mapping[str, str]) -> tuple[list[Entry], str]:
    """Return a mix for each coalition, and what is to be said of their sizes."""
    for first in choices[0]:
        size = sizes.get(first.mix, "")
        same = [next((arm for arm in arms if sizes.get(arm.mix, "") == size), None) for arms in choices]
        if all(arm is not None for arm in same):
            return [arm for arm in same if arm is not None], ""
    mixes = [arms[0] for arms in choices]
    told = ", ".join(dict.fromkeys(f"{arm.mix} {sizes.get(arm.mix, '?')}" for arm in mixes))
    return mixes, f"mixes of different sizes ({told}): what a component adds holds the effect of more data"


def _maps(players: Sequence[str], blends: Sequence[Mapping[str, float]]) -> dict[tuple[str, str], NDArray[np.float64]]:
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
            columns = [place[arm.model] for arm in game.arms]
            linear = np.zeros((len(game.maps), len(arms)))
            linear[:, columns] = list(game.maps.values())
            fits = _fits(model, game, columns)
            for (method, term), weights in zip(game.maps, linear, strict=True):
                estimated = model.of(weights)
                interval = score_interval(estimated, found.extent, settings, is_share=False)
                recipes = model.is_recipe(weights)
                notes = [interval.note, "" if recipes else ADAPTERS, game.note, fits]
                yield {
                    "suite": scored.suite,
                    **found.cell.columns(),
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


def _fits(model: Crossed, game: Game, columns: Sequence[int]) -> str:
    """Say how far the mixes lie off the linear surface; nothing where there is none."""
    if game.residuals is None:
        return ""
    residuals = np.zeros((len(game.residuals), len(model.entries)))
    residuals[:, columns] = game.residuals
    p = lack_of_fit(model, residuals)
    if p is None:
        return ""
    told = "p < .001" if p < 0.001 else f"p = {p:.3f}".replace("0.", ".")
    return f"the surface does not fit ({told})" if p < 1 - _LEVEL_OF_FIT else f"no lack of fit seen ({told})"


if __name__ == "__main__":
    run(main)
