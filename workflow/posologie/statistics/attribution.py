"""The table of attribution: what each component adds, exact over all coalitions or from a linear surface.

The game: a coalition is a set of components, its value is the score of the model that was trained on their equal
blend, and the empty coalition is base. At a fixed budget a component that joins *replaces* data of the others, and the
values sum to ALL − base, so that the effect of any fine-tuning at all is shared out with them. The mixture design
beside it looks at the trained models alone. All are linear maps of the coalitions' values.

Where not all coalitions were trained, their values are read from the plane η(x) = Σ βᵢ xᵢ (Scheffé 1958), fitted by
least squares: all is linear in the mixes' values, so that intervals come from the crossed model. They hold for the best
plane through these mixes; how far the mixes lie off it is tested.
"""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import fdtrc

from posologie.mixes.spec import MOST_EXACT, components_of, equal_blend, linear_design
from posologie.records.components import DEFAULT
from posologie.running.commands import run
from posologie.statistics.crossed import NOTHING, Array, Crossed, crossed
from posologie.statistics.entries import Entry, arm_entries
from posologie.statistics.estimates import Model, Resampled
from posologie.statistics.intervals import estimate_columns, score_interval
from posologie.statistics.means import more_is_better, sparse_items, unit_of
from posologie.statistics.scored import Measure
from posologie.statistics.suites import scored_suites
from posologie.statistics.tables import Latex, table_command, write_table
from posologie.statistics.verdicts import ADAPTERS

COLUMNS = (
    "suite", "scope_kind", "scope", "task", "aggregate", "metric", "decoding", "variants", "backbone",
    "method", "term", "n", "clusters", "unit", "value", "low", "high", "level", "interval", "about", "note",
)  # fmt: skip


@dataclass(frozen=True)
class Game:
    """What one backbone's mixes say about the components.

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
    games = list(games_of(arm_entries(spec.models), spec.designed, spec.sizes, spec.components or tuple(DEFAULT)))
    rows: list[dict[str, Any]] = []
    for suite in spec.suites if games else ():
        for _, scored in scored_suites(command.results, suite, spec, more_is_better):
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
    """Yield a game for each backbone that has base, and mixes that distinguish the components.

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
    by_coalition: dict[Coalition, list[Entry]] = {}
    for arm in arms:
        if (coalition := equal_blend(blends[arm.mix])) is not None:
            by_coalition.setdefault(coalition, []).append(arm)
    everyone = coalitions(players)[1:]
    if any(coalition not in by_coalition for coalition in everyone):
        return None
    mixes, note = _of_one_size([by_coalition[coalition] for coalition in everyone], sizes)
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
    game = mean_game(len(players))
    maps = {("shapley_linear", name): np.append(game[place, 0], game[place, 1:] @ plane)
            for place, name in enumerate(players)}  # fmt: skip
    maps |= {("scheffe_linear", name): np.append(0.0, plane[place]) for place, name in enumerate(players)}
    residuals = np.hstack([np.zeros((len(mixes), 1)), np.eye(len(mixes)) - shares @ plane])
    note = f"from a linear surface through {len(mixes)} mixes"
    return Game(base.backbone, players, (base, *(here[mix] for mix in mixes)), maps, note, residuals)


def _of_one_size(choices: Sequence[Sequence[Entry]], sizes: Mapping[str, str]) -> tuple[list[Entry], str]:
    """Return a mix for each coalition, and a note on their sizes."""
    for first in choices[0]:
        size = sizes.get(first.mix, "")
        same = [next((arm for arm in arms if sizes.get(arm.mix, "") == size), None) for arms in choices]
        if all(arm is not None for arm in same):
            return [arm for arm in same if arm is not None], ""
    mixes = [arms[0] for arms in choices]
    listed = ", ".join(dict.fromkeys(f"{arm.mix} {sizes.get(arm.mix, '?')}" for arm in mixes))
    return mixes, f"mixes of different sizes ({listed}): what a component adds holds the effect of more data"


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
    for cell_model in models:
        model = crossed(cell_model.moments, arms, arms, sparse_items=sparse_items(measure, cell_model.extent))
        for game in games:
            columns = [place[arm.model] for arm in game.arms]
            linear = np.zeros((len(game.maps), len(arms)))
            linear[:, columns] = list(game.maps.values())
            fits = _fits(model, game, columns)
            for (method, term), weights in zip(game.maps, linear, strict=True):
                estimated = model.of(weights)
                interval = score_interval(estimated, cell_model.extent, settings, is_share=False)
                recipes = model.is_recipe(weights)
                notes = ["" if recipes else ADAPTERS, game.note, fits]
                unit = unit_of(measure.metric)
                yield {
                    "suite": scored.suite,
                    **cell_model.cell.columns(),
                    "metric": measure.metric,
                    "decoding": measure.decoding,
                    "variants": "original",
                    "backbone": game.backbone,
                    "method": method,
                    "term": term,
                    **estimate_columns(
                        float(estimated.value), interval, cell_model.extent, unit, settings.level, notes=notes
                    ),
                    "about": "recipes" if recipes else "adapters",
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
    p_text = "p < .001" if p < 0.001 else f"p = {p:.3f}".replace("0.", ".")
    return f"the surface does not fit ({p_text})" if p < 1 - _LEVEL_OF_FIT else f"no lack of fit seen ({p_text})"


Coalition = frozenset[str]


def coalitions(players: Sequence[str]) -> list[Coalition]:
    """Return all subsets of the players, the empty one first, by size and then in the order of the players."""
    sizes = range(len(players) + 1)
    return [frozenset(chosen) for size in sizes for chosen in itertools.combinations(players, size)]


def name_of(coalition: Coalition, players: Sequence[str]) -> str:
    """Return the players of a coalition in their order, joined by `+`."""
    return "+".join(player for player in players if player in coalition)


def interaction_index(term: Coalition, players: Sequence[str]) -> NDArray[np.float64]:
    """Return [coalition], the weights with which coalition values make up the Shapley interaction index of a set.

    I(T) = Σ_{S ⊆ N∖T} (n − |S| − |T|)! |S|! / (n − |T| + 1)! · Σ_{L ⊆ T} (−1)^{|T| − |L|} v(S ∪ L)
    (Grabisch and Roubens 1999, equation 5); for a single player it is the Shapley value (Shapley 1953).
    """
    everyone = coalitions(players)
    place = {coalition: index for index, coalition in enumerate(everyone)}
    count, size = len(players), len(term)
    weights = np.zeros(len(everyone))
    for outside in coalitions([player for player in players if player not in term]):
        orders = math.factorial(count - len(outside) - size) * math.factorial(len(outside))
        share = orders / math.factorial(count - size + 1)
        for inside in coalitions(sorted(term)):
            weights[place[outside | inside]] += share * (-1) ** (size - len(inside))
    return weights


def scheffe_matrix(blends: Sequence[Mapping[str, float]], players: Sequence[str]) -> NDArray[np.float64]:
    """Return [term, blend], which turns the values of the blends into the coefficients of Scheffé's polynomial.

    η(x) = Σ_S β_S Π_{i ∈ S} x_i over all non-empty sets S of components: for three components the special cubic, on the
    seven points of the simplex-centroid design (Scheffé 1963). Terms come in the order of `coalitions`.

    Raises:
        numpy.linalg.LinAlgError: if the blends do not determine the coefficients.
    """
    terms = coalitions(players)[1:]
    design = [[math.prod(blend.get(player, 0.0) for player in term) for term in terms] for blend in blends]
    return np.linalg.inv(np.array(design))


def shares_of(blends: Sequence[Mapping[str, float]], components: Sequence[str]) -> Array:
    """Return [mix, component], shares that sum to 1."""
    shares = np.array([[blend.get(name, 0.0) for name in components] for blend in blends], dtype=float)
    normalised: Array = shares / shares.sum(axis=1, keepdims=True)
    return normalised


def coefficients(shares: Array) -> Array:
    """Return [component, mix], which turns the values of the mixes into the coefficients of the plane."""
    return np.asarray(np.linalg.pinv(shares), dtype=np.float64)


def mean_game(count: int) -> Array:
    """Return [component, 1 + component], the Shapley values of the game of a plane, from base and its coefficients.

    The value of a coalition is that of the plane at its equal blend, the mean of its coefficients; the empty coalition
    is base. A component that joins s others adds (βᵢ − their mean) / (s + 1), so that, over all orders,
    φᵢ = (βᵢ − base) / n + (βᵢ − mean of the other β) (1/2 + … + 1/n) / n. They sum to the mean of β less base.
    """
    later = sum(1 / place for place in range(2, count + 1))
    others = (np.ones((count, count)) - np.eye(count)) / max(count - 1, 1)
    of_coefficients = (np.eye(count) * (1 + later) - others * later) / count
    return np.hstack([np.full((count, 1), -1 / count), of_coefficients])


def covariance(model: Crossed, linear: Array) -> Array:
    """Return [combination, combination], the covariance of linear combinations of values, seeds included."""
    matrix: Array = linear @ model.items @ linear.T
    for backbone, seeds in model.seeds.items():
        here = np.array([entry.backbone == backbone for entry in model.entries])
        matrix = matrix + float(seeds.variance) * (linear * (model.share * here)) @ linear.T
    return matrix


def lack_of_fit(model: Crossed, residuals: Array) -> float | None:
    """Return the p-value of the hypothesis that the values lie on the plane; None where they have no variance.

    Wald's statistic of the residuals, divided by their number of degrees of freedom, is compared with F; its second
    degrees of freedom are the fewest of any residual.

    Args:
        residuals: [mix, entry], which turns values into distances from the plane.
    """
    spread = covariance(model, residuals)
    values, vectors = np.linalg.eigh(spread)
    nonzero = values > max(NOTHING, 1e-9 * float(values.max()))
    if not nonzero.any():
        return None
    distances = vectors[:, nonzero].T @ (residuals @ model.point)
    statistic = float((distances**2 / values[nonzero]).sum()) / int(nonzero.sum())
    df = float(model.of(residuals).df.min())
    return float(fdtrc(int(nonzero.sum()), df, statistic))


if __name__ == "__main__":
    run(main)
