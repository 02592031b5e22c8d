"""Rows of a table of means: every cell, measure, set of variants and model, with its interval."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posologie.statistics.cells import Cell, Extent
from posologie.statistics.entries import Entry, over_members, seed_weights
from posologie.statistics.estimates import Resampled
from posologie.statistics.intervals import Interval, interval_of
from posologie.statistics.published import Published, published_value
from posologie.statistics.scored import Measure, ScoredSuite
from posologie.statistics.spec import Statistics

COLUMNS = (
    "suite", "scope_kind", "scope", "task", "aggregate", "metric", "decoding", "variants",
    "model", "kind", "backbone", "mix", "seed",
    "n", "clusters", "unit", "value", "low", "high", "level", "interval", "note",
    "published", "published_aggregate", "difference", "signature",
)  # fmt: skip

COUNTS = {"words", "reference_words"}
"""Metrics in units of their own; every other one is shown in percent."""

UNBOUNDED = {"brier", *COUNTS}
"""Metrics that do not lie between 0 and 1."""


def unit_of(metric: str) -> str:
    """Return the unit in which a metric is shown: `%`, `words` or nothing."""
    if metric in COUNTS:
        return "words"
    return "" if metric == "brier" else "%"


def mean_rows(
    resampled: Resampled,
    measures: Sequence[Measure],
    entries: Sequence[Entry],
    published: Published | None,
) -> Iterator[dict[str, Any]]:
    """Yield the rows of these measures' means."""
    scored, settings = resampled.scored, resampled.settings
    weights = [seed_weights(entry, settings) for entry in entries]
    drawn_sets = scored.drawn_sets()
    arrays = {
        measure: np.concatenate([scored.over_variants(measure, variants) for variants in drawn_sets])
        for measure in measures
        if not np.isnan(scored.values[measure]).all()
    }
    for measure, estimates in zip(arrays, resampled.many_means(list(arrays.values())), strict=True):
        told = with_values(scored, measure, entries, weights)
        for estimate in estimates:
            for variants, mixing in scored.set_weights().items():
                drawn_point, drawn = _joined(estimate.point, mixing), _joined(estimate.replicates, mixing)
                for entry, weight in told:
                    point, replicates = over_members(entry, drawn_point, drawn, weight)
                    influence = None
                    if estimate.influence is not None and not entry.draws_seeds:
                        influence = _joined(estimate.influence.T, mixing)[list(entry.members)].mean(axis=0)
                    interval = interval_of(
                        point,
                        replicates,
                        estimate.extent.effective,
                        settings,
                        is_share=measure.metric not in UNBOUNDED,
                        influence=influence,
                    )
                    yield row_of(
                        scored.suite,
                        measure,
                        scored.signatures[measure],
                        variants,
                        estimate.cell,
                        estimate.extent,
                        entry,
                        point,
                        interval,
                        settings,
                        published,
                    )


def with_values(
    scored: ScoredSuite, measure: Measure, entries: Sequence[Entry], weights: Sequence[NDArray[np.float64]]
) -> list[tuple[Entry, NDArray[np.float64]]]:
    """Return the entries, with their weights, whose models all have values of a measure: an endpoint may tell none."""
    without = set(np.flatnonzero(np.isnan(scored.values[measure]).all(axis=(1, 2))).tolist())
    pairs = zip(entries, weights, strict=True)
    return [(entry, weight) for entry, weight in pairs if not without.intersection(entry.members)]


def _joined(columns: NDArray[np.float64], mixing: Sequence[float]) -> NDArray[np.float64]:
    """Return [model, …] from [set of variants × model, …]: the sets joined with these weights."""
    by_set = columns.reshape(len(mixing), -1, *columns.shape[1:])
    joined: NDArray[np.float64] = by_set[int(np.argmax(mixing))]
    if max(mixing) < 1:
        joined = np.tensordot(np.asarray(mixing), by_set, axes=1)
    return joined


def row_of(
    suite: str,
    measure: Measure,
    signature: str,
    variants: str,
    cell: Cell,
    extent: Extent,
    entry: Entry,
    point: float,
    interval: Interval,
    settings: Statistics,
    published: Published | None,
) -> dict[str, Any]:
    """Return one row of a table with `COLUMNS`."""
    scale = 100 if unit_of(measure.metric) == "%" else 1
    known = published_value(
        published, entry.label, measure.metric, measure.decoding, variants, cell.scope_kind, cell.task, cell.aggregate
    )
    return {
        "suite": suite,
        "scope_kind": cell.scope_kind,
        "scope": cell.scope,
        "task": cell.task,
        "aggregate": cell.aggregate,
        "metric": measure.metric,
        "decoding": measure.decoding,
        "variants": variants,
        "model": entry.model,
        "kind": entry.kind,
        "backbone": entry.backbone,
        "mix": entry.mix,
        "seed": entry.seed,
        "n": extent.items,
        "clusters": extent.clusters,
        "unit": unit_of(measure.metric),
        "value": point * scale,
        "low": None if interval.low is None else interval.low * scale,
        "high": None if interval.high is None else interval.high * scale,
        "level": settings.level,
        "interval": interval.method,
        "note": interval.note,
        "published": None if known is None else known.value,
        "published_aggregate": None if known is None else known.aggregate,
        "difference": None if known is None else point * scale - known.value,
        "signature": signature,
    }
