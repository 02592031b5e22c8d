"""The table of transfer: what a mix gains on items of one component, less what it gains on items of another.

A mix may gain on the items of the component that it was trained on and on no others: the interaction of what was
trained with what was tested. Both gains are of the same adapters, so that seeds count once. Items of two components are
drawn independently, unless they share a case: then they are drawn together.
"""

from collections.abc import Iterator
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posologie.running.commands import run
from posologie.statistics.crossed import Crossed, Moments, covariance_of, crossed
from posologie.statistics.draws import cluster_sums
from posologie.statistics.entries import Entry, arm_entries
from posologie.statistics.estimates import Cell, Extent, Resampled, aggregate, influence_of
from posologie.statistics.intervals import SPARSE, estimate_columns, score_interval
from posologie.statistics.means import UNBOUNDED, measures_named, sparse_items, tested, unit_of
from posologie.statistics.scored import Measure
from posologie.statistics.simultaneous import differences
from posologie.statistics.suites import scored_suites
from posologie.statistics.tables import Latex, table_command, write_table
from posologie.statistics.verdicts import Tested, judge_families

COLUMNS = (
    "suite", "task", "aggregate", "metric", "decoding", "variants", "backbone", "mix", "model", "left", "right",
    "n", "left_n", "right_n", "clusters", "unit", "left_value", "right_value", "value", "low", "high", "level",
    "interval", "simultaneous_low", "simultaneous_high", "p_value", "df", "test", "family", "family_size", "correction",
    "p_adjusted", "margin", "p_equivalent", "detectable", "about", "undone_by_seed_sd", "settles_at_seeds",
    "settles_at_items", "verdict", "note",
)  # fmt: skip

VERDICTS = {"better": "more on left", "worse": "more on right"}
"""What the verdicts on a difference of gains are called; `equivalent` and `not settled` stay."""

_LARGEST = 2.0
"""Two gains of shares differ by no more than this."""

Side = tuple[Extent, NDArray[np.float64]]
"""What the values on one component rest on, and [arm], these values."""

LATEX = Latex(
    "Each mix's gain on items of one component, less its gain on items of another, in points.",
    index=("suite", "mix", "left", "right"),
    where={"task": ("all",), "aggregate": ("item_weighted",)},
    show=("left_value", "right_value", "value", "p_adjusted", "verdict"),
    digits=2,
)


def main(argv: list[str]) -> None:
    """Write the table."""
    command = table_command("posologie.statistics.transfer", __doc__ or "", argv)
    spec = command.spec
    settings = spec.statistics.model_copy(update={"families": {}})  # they name scopes, and these rows join two
    named = measures_named(spec.statistics)
    tests: list[Tested] = []
    for suite in spec.suites:
        for primary, scored in scored_suites(command.results, suite, spec, named.__contains__):
            resampled = Resampled(scored, settings)
            for measure, sets in tested(primary, suite, spec.statistics, set(scored.values)):
                for variants in (name for name in sets if name in scored.variant_sets()):
                    tests.extend(_tested(resampled, measure, variants))
    rows = judge_families(tests, settings, demonstration=spec.demonstration)
    write_table(command.table, COLUMNS, [_shown(row) for row in rows], LATEX)


def _shown(row: dict[str, Any]) -> dict[str, Any]:
    """Return a row under the names of this table: what was compared are two gains, and not two models."""
    verdict = VERDICTS.get(row["verdict"], row["verdict"])
    named = row | {"left": row["left_scope"], "right": row["right_scope"], "verdict": verdict}
    return {column: named[column] for column in COLUMNS}


def _tested(resampled: Resampled, measure: Measure, variants: str) -> Iterator[Tested]:
    scored = resampled.scored
    arms = arm_entries(scored.models)
    place = {arm.model: number for number, arm in enumerate(arms)}
    bases = {arm.backbone: arm for arm in arms if arm.kind == "base"}
    mixes = [arm for arm in arms if arm.kind == "mix" and arm.backbone in bases]
    if not mixes:
        return
    linear = differences([(place[mix.model], place[bases[mix.backbone].model]) for mix in mixes], len(arms))
    values = scored.over_variants(measure, variants)  # [model, item]
    for left, right, joined, sides in between_components(resampled, measure, values, arms):
        for mix, weights in zip(mixes, linear, strict=True):
            row = _row(
                resampled=resampled,
                measure=measure,
                variants=variants,
                left=left,
                right=right,
                mix=mix,
                joined=joined,
                linear=weights,
                sides=sides,
            )
            yield Tested(row, measure, joined, weights, joined.of(weights), planned=True, largest=_LARGEST)


def between_components(
    resampled: Resampled, measure: Measure, values: NDArray[np.float64], arms: list[Entry]
) -> Iterator[tuple[Cell, Cell, Crossed, tuple[Side, Side]]]:
    """Yield, for each two components with items of a task and aggregate, the model of the difference of their values.

    Args:
        values: [model, item].

    Yields:
        The two cells, the crossed model of the first's values less the second's, and what each cell rests on.
    """
    below = resampled.denominators(np.any(~np.isnan(values), axis=0))
    sums = cluster_sums(resampled.clusters, np.nan_to_num(values).T)
    total = sums.total()
    strata = [stratum for _, stratum in resampled.clusters.strata]
    cells = [
        (cell, extent)
        for cell, extent in zip(below.cells, below.extents, strict=True)
        if cell.scope_kind == "provenance"
    ]
    influences = {id(cell): influence_of(cell, sums, total, below.sizes, below.total) for cell, _ in cells}
    for (left, left_extent), (right, right_extent) in combinations(cells, 2):
        if (left.task, left.aggregate) != (right.task, right.aggregate):
            continue
        (left_influence, left_weights), (right_influence, right_weights) = influences[id(left)], influences[id(right)]
        covariance, df = covariance_of(left_influence - right_influence, left_weights + right_weights, strata)
        points = [aggregate(cell, total, below.total) for cell in (left, right)]
        joined = crossed(Moments(points[0] - points[1], covariance, df), arms, arms)
        floors = [
            crossed(Moments(point, covariance, df), arms, arms, sparse_items=sparse_items(measure, extent)).floor
            for point, extent in zip(points, (left_extent, right_extent), strict=True)
        ]
        average = [np.array([point[list(arm.members)].mean() for arm in arms]) for point in points]
        sides = (left_extent, average[0]), (right_extent, average[1])
        yield left, right, replace(joined, floor=floors[0] + floors[1]), sides


def _row(
    *,
    resampled: Resampled,
    measure: Measure,
    variants: str,
    left: Cell,
    right: Cell,
    mix: Entry,
    joined: Crossed,
    linear: NDArray[np.float64],
    sides: tuple[Side, Side],
) -> dict[str, Any]:
    scale = 100 if unit_of(measure.metric) == "%" else 1
    (left_extent, left_values), (right_extent, right_values) = sides
    estimated = joined.of(linear)
    fewer = min(left_extent, right_extent, key=lambda extent: extent.effective)
    interval = score_interval(estimated, fewer, resampled.settings, is_share=False)
    largest = np.inf if measure.metric in UNBOUNDED else _LARGEST
    both = replace(
        fewer, items=left_extent.items + right_extent.items, clusters=left_extent.clusters + right_extent.clusters
    )
    return {
        "suite": resampled.scored.suite,
        "scope_kind": "between",
        "scope": f"{left.scope} and {right.scope}",
        "task": left.task,
        "aggregate": left.aggregate,
        "metric": measure.metric,
        "decoding": measure.decoding,
        "variants": variants,
        "backbone": mix.backbone,
        "mix": mix.mix,
        "model": mix.model,
        "left": mix.label,
        "right": "base",
        "left_scope": left.scope,
        "right_scope": right.scope,
        **estimate_columns(
            float(estimated.value), interval, both, unit_of(measure.metric), resampled.settings.level,
            notes=[SPARSE] if (joined.floor @ linear**2) > 0 else [], largest=largest,
        ),
        "left_n": left_extent.items,
        "right_n": right_extent.items,
        "left_value": float(linear @ left_values) * scale,
        "right_value": float(linear @ right_values) * scale,
        "df": float(estimated.df) if interval.low is not None else None,
        "about": "recipes" if joined.is_recipe(linear) else "adapters",
    }  # fmt: skip


if __name__ == "__main__":
    run(main)
