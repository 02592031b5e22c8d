"""The table of the best set: the mixes that cannot be distinguished from the best, and what the chosen one is worth."""

from collections.abc import Iterator
from itertools import combinations
from typing import Any

import numpy as np

from posologie.running.commands import run
from posologie.statistics.crossed import Array, Crossed, crossed
from posologie.statistics.entries import arm_entries
from posologie.statistics.estimates import Resampled
from posologie.statistics.intervals import TOO_SMALL
from posologie.statistics.means import UNBOUNDED, direction, measures_named, sparse_items, tested, unit_of
from posologie.statistics.scored import Measure
from posologie.statistics.simultaneous import Best, Corrected, compare_with_best, corrected_best, differences, family
from posologie.statistics.spec import Statistics
from posologie.statistics.suites import scored_suites
from posologie.statistics.tables import Latex, table_command, write_table
from posologie.statistics.verdicts import ADAPTERS, DEMONSTRATION

COLUMNS = (
    "suite", "scope_kind", "scope", "task", "aggregate", "metric", "decoding", "variants", "backbone", "mix", "model",
    "about", "n", "clusters", "unit", "value", "chosen", "in_set", "set_size", "low", "high", "level",
    "corrected", "corrected_low", "corrected_high", "gain", "gain_corrected", "gain_low", "gain_high", "note",
)  # fmt: skip
LATEX = Latex(
    "Mixes that cannot be distinguished from the best, and by how much each may be worse or better than the best "
    "other mix.",
    index=("suite", "scope", "mix"),
    where={"scope_kind": ("all", "provenance"), "task": ("all",), "aggregate": ("item_weighted",)},
    show=("in_set", "low", "high", "gain_corrected"),
)


def main(argv: list[str]) -> None:
    """Write the table."""
    command = table_command("posologie.statistics.best", __doc__ or "", argv)
    spec = command.spec
    named = measures_named(spec.statistics)
    rows: list[dict[str, Any]] = []
    for suite in spec.suites:
        for primary, scored in scored_suites(command.results, suite, spec, named.__contains__):
            resampled = Resampled(scored, spec.statistics)
            for measure, sets in tested(primary, suite, spec.statistics, set(scored.values)):
                for variants in (name for name in sets if name in scored.variant_sets() and direction(measure)):
                    rows.extend(_rows(resampled, measure, variants, demonstration=spec.demonstration))
    write_table(command.table, COLUMNS, rows, LATEX)


def best_of(
    model: Crossed, mixes: list[int], base: int | None, towards: int, settings: Statistics
) -> tuple[Best, Corrected, Corrected | None]:
    """Return the comparison with the best, and the corrected value of the chosen mix and of its gain over base.

    Args:
        mixes: places of at least two entries of one backbone.
        base: place of the base model.
        towards: 1 where more is better, −1 where less is. Everything returned is turned so that more is better.
    """
    pairs = list(combinations(range(len(mixes)), 2))
    linear = towards * differences([(mixes[first], mixes[second]) for first, second in pairs], len(model.entries))
    members = family(model, linear, settings.replicates, settings.seed)
    best = compare_with_best(towards * model.point[mixes], pairs, members, settings.level)
    value = corrected_for_choice(model, towards * np.eye(len(model.entries))[mixes], settings)
    if base is None:
        return best, value, None
    gains = towards * differences([(mix, base) for mix in mixes], len(model.entries))
    return best, value, corrected_for_choice(model, gains, settings)


def corrected_for_choice(model: Crossed, linear: Array, settings: Statistics) -> Corrected:
    """Return what the highest of several combinations [mix, entry] is worth, with an interval."""
    covariance = linear @ model.items @ linear.T
    for backbone, seeds in model.seeds.items():
        here = np.array([entry.backbone == backbone for entry in model.entries])
        covariance += float(seeds.variance) * (linear * (model.share * here)) @ linear.T
    members = family(model, linear, settings.replicates, settings.seed)
    return corrected_best(members, covariance, settings.level)


def _rows(resampled: Resampled, measure: Measure, variants: str, *, demonstration: bool) -> Iterator[dict[str, Any]]:
    scored, settings = resampled.scored, resampled.settings
    arms = arm_entries(scored.models)
    scale = 100 if unit_of(measure.metric) == "%" else 1
    towards = direction(measure)
    for cell_model in next(resampled.many_moments([scored.over_variants(measure, variants)])):
        model = crossed(cell_model.moments, arms, arms, sparse_items=sparse_items(measure, cell_model.extent))
        for backbone in dict.fromkeys(arm.backbone for arm in arms):
            mixes = [place for place, arm in enumerate(arms) if arm.kind == "mix" and arm.backbone == backbone]
            base = next((place for place, arm in enumerate(arms) if arm.model == f"{backbone}/base"), None)
            if len(mixes) < 2:
                continue
            best, value, gain = best_of(model, mixes, base, towards, settings)
            recipes = backbone in model.seeds
            few = cell_model.extent.effective < settings.minimum_clusters
            notes = [DEMONSTRATION] if demonstration else [TOO_SMALL] if few else []
            notes += [] if recipes else [ADAPTERS]
            for place, mix in enumerate(mixes):
                is_chosen = place == best.chosen
                yield {
                    "suite": scored.suite,
                    **cell_model.cell.columns(),
                    "metric": measure.metric,
                    "decoding": measure.decoding,
                    "variants": variants,
                    "backbone": backbone,
                    "mix": arms[mix].label,
                    "model": arms[mix].model,
                    "about": "recipes" if recipes else "adapters",
                    "n": cell_model.extent.items,
                    "clusters": cell_model.extent.clusters,
                    "unit": unit_of(measure.metric),
                    "value": float(model.point[mix]) * scale,
                    "chosen": int(is_chosen),
                    "in_set": int(best.in_set[place]),
                    "set_size": int(best.in_set.sum()),
                    "low": float(best.low[place]) * scale,
                    "high": float(best.high[place]) * scale,
                    "level": settings.level,
                    **_corrected("corrected", "corrected", value if is_chosen else None, towards, scale,
                                 None if measure.metric in UNBOUNDED else (0.0, 1.0)),
                    "gain": None if base is None else float(model.point[mix] - model.point[base]) * scale,
                    **_corrected("gain_corrected", "gain", gain if is_chosen else None, towards, scale,
                                 None if measure.metric in UNBOUNDED else (-1.0, 1.0)),
                    "note": "; ".join(notes),
                }  # fmt: skip


def _corrected(
    name: str, bounds: str, estimate: Corrected | None, towards: int, scale: float, limits: tuple[float, float] | None
) -> dict[str, float | None]:
    """Return the columns of a corrected value, turned back to the metric's own direction."""
    if estimate is None:
        return {name: None, f"{bounds}_low": None, f"{bounds}_high": None}
    if estimate.low is None or estimate.high is None:
        return {name: estimate.value * towards * scale, f"{bounds}_low": None, f"{bounds}_high": None}
    value, low, high = (number * towards for number in (estimate.value, estimate.low, estimate.high))
    low, high = sorted((low, high))
    if limits is not None:
        low, high, value = max(low, limits[0]), min(high, limits[1]), min(max(value, limits[0]), limits[1])
    return {name: value * scale, f"{bounds}_low": low * scale, f"{bounds}_high": high * scale}


if __name__ == "__main__":
    run(main)
