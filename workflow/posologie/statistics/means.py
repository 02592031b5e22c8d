"""Rows of tables of means: every cell, measure, set of variants and model, with its interval; which are compared.

Compared are the primary metric and those of families, or every metric where higher is better.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from posologie.records.published import Comparison
from posologie.scoring.metrics import METRICS, metric
from posologie.statistics.crossed import Estimated, Moments, crossed
from posologie.statistics.entries import Entry, arm_entries
from posologie.statistics.estimates import Cell, Extent, Resampled
from posologie.statistics.intervals import Interval, estimate_columns, score_interval
from posologie.statistics.scored import Measure, ScoredSuite, is_sum
from posologie.statistics.spec import Measured, Statistics

COLUMNS = (
    "suite", "scope_kind", "scope", "task", "aggregate", "metric", "decoding", "variants",
    "model", "kind", "backbone", "mix", "seed",
    "n", "clusters", "unit", "value", "low", "high", "level", "interval", "note",
    "published", "published_aggregate", "difference", "signature",
)  # fmt: skip

UNBOUNDED = frozenset(name for name, entry in METRICS.items() if entry.unit != "%")
"""Metrics that do not lie between 0 and 1."""


def unit_of(name: str) -> str:
    """Return the unit in which a metric is shown: `%`, `words` or nothing."""
    return metric(name).unit


def mean_rows(
    resampled: Resampled,
    measures: Sequence[Measure],
    entries: Sequence[Entry],
    published: Comparison | None,
) -> Iterator[dict[str, Any]]:
    """Yield the rows of these measures' means."""
    scored, settings = resampled.scored, resampled.settings
    drawn_sets = scored.drawn_sets()
    defined = [measure for measure in measures if not np.isnan(scored.values[measure]).all()]
    arrays = (
        np.concatenate([scored.over_variants(measure, variants) for variants in drawn_sets]) for measure in defined
    )
    for measure, models in zip(defined, resampled.many_moments(arrays), strict=True):
        shown, arms = (
            having_values(scored, measure, candidates) for candidates in (entries, arm_entries(scored.models))
        )
        for model in models:
            for variants, mixing in scored.set_weights().items():
                values = crossed(joined_sets(model.moments, mixing), shown, arms, single_adapters=True)
                estimated = values.of(np.eye(len(shown)))
                for place, entry in enumerate(shown):
                    own = Estimated(*(array[place] for array in estimated))
                    interval = score_interval(own, model.extent, settings, is_share=measure.metric not in UNBOUNDED)
                    yield row_of(
                        suite=scored.suite,
                        measure=measure,
                        signature=scored.signature_of(measure, entry.members),
                        variants=variants,
                        cell=model.cell,
                        extent=model.extent,
                        entry=entry,
                        point=float(own.value),
                        interval=interval,
                        settings=settings,
                        published=published,
                    )


def sparse_items(measure: Measure, extent: Extent) -> int:
    """Return the number of items for the floor of differences (`crossed`); 0 for metrics that are no shares."""
    return 0 if measure.metric in UNBOUNDED else extent.items


def joined_sets(moments: Moments, mixing: Sequence[float]) -> Moments:
    """Return the moments of each model from those of [set of variants × model]: the sets joined with these weights."""
    models = moments.point.shape[-1] // len(mixing)
    join = np.kron(np.asarray(mixing), np.eye(models))
    return Moments(join @ moments.point, join @ moments.covariance @ join.T, moments.df)


def having_values(scored: ScoredSuite, measure: Measure, entries: Sequence[Entry]) -> list[Entry]:
    """Return the entries whose models all have values of a measure: an endpoint may give no probabilities."""
    without = set(np.flatnonzero(np.isnan(scored.values[measure]).all(axis=(1, 2))).tolist())
    return [entry for entry in entries if not without.intersection(entry.members)]


def row_of(
    *,
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
    published: Comparison | None,
) -> dict[str, Any]:
    """Return one row of a table with `COLUMNS`."""
    scale = 100 if unit_of(measure.metric) == "%" else 1
    known = None
    if published is not None:
        where = (cell.scope_kind, cell.task, cell.aggregate)
        known = published.value(entry.published_place, suite, (measure.metric, measure.decoding), variants, where)
    return {
        "suite": suite,
        **cell.columns(),
        "metric": measure.metric,
        "decoding": measure.decoding,
        "variants": variants,
        "model": entry.model,
        "kind": entry.kind,
        "backbone": entry.backbone,
        "mix": entry.mix,
        "seed": entry.seed,
        **estimate_columns(point, interval, extent, unit_of(measure.metric), settings.level),
        "published": None if known is None else known.value,
        "published_aggregate": None if known is None else known.aggregate,
        "difference": None if known is None else point * scale - known.value,
        "signature": signature,
    }


def measures_named(settings: Statistics) -> set[Measure]:
    """Return the measures that are tested on some suite: the primary ones and those of families."""
    families = (family.measured for family in settings.families.values())
    return {
        Measure(measured.metric, measured.decoding)
        for measured in (settings.primary_choice, settings.primary_text, *families)
    }


def tested(
    primary: Measured, suite: str, settings: Statistics, available: set[Measure]
) -> list[tuple[Measure, list[str]]]:
    """Return what is tested on a suite: the available measures, each with its sets of variants."""
    measured = [primary, *(family.measured for family in settings.families.values() if suite in family.suites)]
    sets: dict[Measure, list[str]] = {}
    for choice in measured:
        measure = Measure(choice.metric, choice.decoding)
        if measure in available and choice.variants not in sets.setdefault(measure, []):
            sets[measure].append(choice.variants)
    return list(sets.items())


def direction(measure: Measure) -> int:
    """Return 1 where a larger value is better, −1 where a smaller one is, 0 where neither is."""
    return 0 if is_sum(measure.metric) else metric(measure.metric).direction


def more_is_better(measure: Measure) -> bool:
    """Say whether a larger value of a measure is a better one."""
    return direction(measure) == 1
