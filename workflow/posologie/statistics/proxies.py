"""The table of proxies: merged models beside the trained ones that they stand for, and how well they rank mixes.

A proxy is one model, so its interval and that of its difference are over items alone. Whether proxies are of any use is
said by the mixes that were trained as well: the correlation of both scores over these mixes, with its interval.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri
from scipy.stats import pearsonr, spearmanr

from posologie.running.commands import run
from posologie.statistics.crossed import Crossed, crossed
from posologie.statistics.entries import Entry, single_entries
from posologie.statistics.estimates import Model, Resampled
from posologie.statistics.intervals import TOO_SMALL, score_interval
from posologie.statistics.means import UNBOUNDED, unit_of
from posologie.statistics.scored import Measure, read_suite
from posologie.statistics.spec import EvaluatedModel, ProxySpec
from posologie.statistics.suites import CHOICE_TASKS
from posologie.statistics.tables import Latex, table_arguments, write_table

COLUMNS = (
    "suite", "scope_kind", "scope", "task", "aggregate", "metric", "decoding", "variants", "backbone", "statistic",
    "model", "kind", "seed", "shares", "n", "clusters", "unit", "value", "low", "high", "trained", "trained_value",
    "difference", "difference_low", "difference_high", "level", "interval", "note",
)  # fmt: skip
FEWEST_MIXES = 5
"""Below so many mixes a correlation has no interval."""

LATEX = Latex(
    "Merged models beside the trained ones that they stand for, and the correlation of both over mixes.",
    index=("suite", "statistic", "model"),
    where={"scope_kind": ("all",), "task": ("all",), "aggregate": ("item_weighted",)},
    show=("value", "trained_value", "difference"),
)


def main(argv: list[str]) -> None:
    """Write the table."""
    options = table_arguments("posologie.statistics.proxies", __doc__ or "").parse_args(argv)
    spec = ProxySpec.from_json(options.spec)
    measured = spec.statistics.primary_choice
    measure = Measure(measured.metric, measured.decoding)
    models = [*spec.models, *(EvaluatedModel(name=name, **_parts(spec, name)) for name in spec.proxies)]
    rows: list[dict[str, Any]] = []
    for suite in spec.suites:
        scored = read_suite(options.results, suite, models, CHOICE_TASKS, measure.__eq__)
        if scored is None:
            continue
        resampled = Resampled(scored, spec.statistics)
        for variants in (name for name in (measured.variants,) if name in scored.variant_sets()):
            for cell_model in next(resampled.many_moments([scored.over_variants(measure, variants)])):
                rows.extend(_rows(resampled, spec, measure, variants, cell_model))
    write_table(options.table, COLUMNS, [dict.fromkeys(COLUMNS) | row for row in rows], LATEX)


def _parts(spec: ProxySpec, name: str) -> dict[str, Any]:
    proxy = spec.proxies[name]
    return {"kind": "proxy", "backbone": proxy.backbone, "mix": proxy.name, "seed": proxy.seed}


def _rows(
    resampled: Resampled, spec: ProxySpec, measure: Measure, variants: str, cell_model: Model
) -> Iterator[dict[str, Any]]:
    scored, settings = resampled.scored, resampled.settings
    entries = single_entries(scored.models)
    place = {entry.model: number for number, entry in enumerate(entries)}
    model = crossed(cell_model.moments, entries, [])
    scale = 100 if unit_of(measure.metric) == "%" else 1
    shared = {
        "suite": scored.suite,
        **cell_model.cell.columns(),
        "metric": measure.metric,
        "decoding": measure.decoding,
        "variants": variants,
        "n": cell_model.extent.items,
        "clusters": cell_model.extent.clusters,
        "level": settings.level,
    }
    pairs: dict[str, dict[str, list[tuple[float, float]]]] = {}
    for name, proxy in spec.proxies.items():
        entry = entries[place[name]]
        own = _interval(model, [(name, 1.0)], place, cell_model, resampled, is_share=measure.metric not in UNBOUNDED)
        row = {
            **shared,
            "backbone": proxy.backbone,
            "statistic": "score",
            **_of_entry(entry),
            "shares": " + ".join(f"{share:.4g} {component}" for component, share in proxy.shares.items()),
            "unit": unit_of(measure.metric),
            "value": scale * own[0],
            "low": None if own[1] is None else scale * own[1],
            "high": None if own[2] is None else scale * own[2],
            "interval": own[3],
            "note": own[4],
        }
        if proxy.stands_for is not None:
            trained = f"{proxy.backbone}/{proxy.stands_for}/seed-{proxy.seed}"
            apart = _interval(model, [(name, 1.0), (trained, -1.0)], place, cell_model, resampled, is_share=False)
            value = float(model.point[place[trained]])
            pairs.setdefault(proxy.backbone, {}).setdefault(proxy.name, []).append((own[0], value))
            row |= {
                "trained": trained,
                "trained_value": scale * value,
                "difference": scale * apart[0],
                "difference_low": None if apart[1] is None else scale * apart[1],
                "difference_high": None if apart[2] is None else scale * apart[2],
            }
        yield row
    for backbone, mixes in pairs.items():
        means = np.array([np.mean(values, axis=0) for values in mixes.values()])
        yield from (shared | {"backbone": backbone} | row for row in agreement_rows(means, settings.level))


def _of_entry(entry: Entry) -> dict[str, str]:
    return {"model": entry.model, "kind": entry.kind, "seed": entry.seed}


def _interval(
    model: Crossed,
    weights: Sequence[tuple[str, float]],
    place: dict[str, int],
    cell_model: Model,
    resampled: Resampled,
    *,
    is_share: bool,
) -> tuple[float, float | None, float | None, str, str]:
    """Return value, bounds, kind of interval and note of a linear combination of models."""
    linear = np.zeros(len(place))
    for name, weight in weights:
        linear[place[name]] = weight
    estimated = model.of(linear)
    interval = score_interval(estimated, cell_model.extent, resampled.settings, is_share=is_share)
    return float(estimated.value), interval.low, interval.high, interval.method, interval.note


def agreement_rows(means: NDArray[np.float64], level: float) -> Iterator[dict[str, Any]]:
    """Yield the correlations of proxies' and trained scores over mixes, each the mean over its seeds.

    Intervals are those of Fisher's z, for Spearman's ρ with the variance of Bonett and Wright (2000). They take the
    mixes for a sample of those that could have been trained.

    Args:
        means: [mix, 2], scores of the proxies and of the trained models.
    """
    count = len(means)
    varies = count > 2 and bool((np.ptp(means, axis=0) > 0).all())
    for statistic, correlate in (("spearman", spearmanr), ("pearson", pearsonr)):
        value = float(correlate(means[:, 0], means[:, 1])[0]) if varies else None
        low = high = None
        if value is not None and count >= FEWEST_MIXES and abs(value) < 1:
            extra = value**2 / 2 if statistic == "spearman" else 0.0
            half = float(ndtri((1 + level) / 2)) * np.sqrt((1 + extra) / (count - 3))
            low, high = (float(np.tanh(np.arctanh(value) + side * half)) for side in (-1, 1))
        yield {
            "statistic": statistic,
            "kind": "proxy",
            "n": count,
            "clusters": "",
            "value": value,
            "low": low,
            "high": high,
            "interval": "none" if low is None else "fisher",
            "note": TOO_SMALL if count < FEWEST_MIXES else "",
        }


if __name__ == "__main__":
    run(main)
