"""The table of choice questions: every metric by benchmark, component, task and aggregate."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from posologie.records.published import shown
from posologie.running.commands import run
from posologie.scoring.choices import BY
from posologie.statistics.entries import Entry, all_entries, over_members, seed_weights
from posologie.statistics.estimates import Cell, Estimate, Resampled
from posologie.statistics.intervals import interval_of
from posologie.statistics.means import COLUMNS, having_values, mean_rows, row_of
from posologie.statistics.scored import Measure, read_suite
from posologie.statistics.suites import CHOICE_TASKS
from posologie.statistics.tables import Latex, table_command, write_table

CONFIDENCE, RIGHT = (Measure(name, "probabilities") for name in ("confidence", "right_at_first_step"))
_MODELS = 4
"""Models whose bins are drawn together: bounds memory, changes no result."""
ERROR = Measure("calibration_error", "probabilities")
LATEX = Latex(
    "Exact match of constrained answers in the original option order, in percent, over all questions.",
    index=("suite", "model"),
    where={
        "metric": ("em",),
        "decoding": ("constrained",),
        "variants": ("original",),
        "scope_kind": ("all", "provenance"),
        "task": ("all",),
    },
    across=("scope", "aggregate"),
)


def main(argv: list[str]) -> None:
    """Write the table."""
    command = table_command("posologie.statistics.mcqa", __doc__ or "", argv)
    spec = command.spec
    entries = all_entries(spec.models)
    rows: list[dict[str, Any]] = []
    for suite in spec.suites:
        scored = read_suite(command.results, suite, spec.models, CHOICE_TASKS)
        if scored is None:
            continue
        resampled = Resampled(replace(scored, components=spec.components), spec.statistics)
        rows.extend(mean_rows(resampled, sorted(scored.values), entries, command.published))
        if not np.isnan(scored.values[CONFIDENCE]).all():
            # The draws, which means do without, take the place of all other scores.
            scored = replace(scored, values={measure: scored.values[measure] for measure in (CONFIDENCE, RIGHT)})
            resampled.scored = scored
            rows.extend(_calibration_rows(resampled, entries))
    caption = " ".join(filter(None, (LATEX.caption, _procedures(rows))))
    write_table(command.table, *shown(COLUMNS, rows, command.published), replace(LATEX, caption=caption))


def _procedures(rows: Sequence[Mapping[str, Any]]) -> str:
    """Say which models' constrained labels do not come from a local model's automaton; nothing where all do."""
    constrained = [
        (row["model"], row["signature"].partition(BY)[2]) for row in rows if row["decoding"] == "constrained"
    ]
    named = dict.fromkeys(f"{model} by {procedure}" for model, procedure in constrained if procedure)
    return f"Labels of {'; '.join(named)}." if named else ""


def _calibration_rows(resampled: Resampled, entries: Sequence[Entry]) -> Iterator[dict[str, Any]]:
    """Yield the expected calibration error (Guo et al. 2017) of the label probabilities, in bins of equal width.

    It is the sum over bins of |Σ right − Σ confidence|, over the number of items; only over items, because the bins of
    a small benchmark are empty.
    """
    scored, settings = resampled.scored, resampled.settings
    confidence, right = scored.values[CONFIDENCE], scored.values[RIGHT]
    undefined = np.isnan(confidence)
    bins = np.minimum(
        (np.nan_to_num(confidence) * settings.calibration_bins).astype(int), settings.calibration_bins - 1
    )
    gap = right - confidence
    with_confidence = [(entry, seed_weights(entry, settings)) for entry in having_values(scored, CONFIDENCE, entries)]
    bins_of = f"bins:{settings.calibration_bins} of equal width"
    having = np.flatnonzero(~undefined.all(axis=(1, 2)))
    for variants in scored.drawn_sets():
        chosen = [variants == "all" or (name == "original") == (variants == "original") for name in scored.variants]
        by_cell: dict[Cell, list[Estimate]] = {}
        for chunk in np.split(having, range(_MODELS, len(having), _MODELS)):
            by_bin = np.stack(
                [
                    np.where(undefined[chunk], np.nan, np.where(bins[chunk] == place, gap[chunk], 0.0))
                    for place in range(settings.calibration_bins)
                ]
            )[..., chosen].mean(axis=3)  # [bin, model, item]
            shape = by_bin.shape[:2]
            for estimate in resampled.means(by_bin.reshape(-1, by_bin.shape[2])):
                if estimate.cell.aggregate == "item_weighted":
                    values = np.abs(estimate.point.reshape(shape)).sum(axis=0)
                    draws = np.abs(estimate.replicates.reshape(*shape, -1)).sum(axis=0)
                    by_cell.setdefault(estimate.cell, []).append(replace(estimate, point=values, replicates=draws))
        for chunks in by_cell.values():
            estimate = chunks[0]
            point, replicates = np.zeros(len(gap)), np.zeros((len(gap), settings.replicates))
            point[having] = np.concatenate([chunk_estimate.point for chunk_estimate in chunks])
            replicates[having] = np.concatenate([chunk_estimate.replicates for chunk_estimate in chunks])
            for entry, weight in with_confidence:
                value, drawn = over_members(entry, point, replicates, weight)
                interval = interval_of(value, drawn, estimate.extent.effective, settings, is_share=False, inflated=True)
                signature = f"{bins_of}|{scored.signature_of(CONFIDENCE, entry.members)}"
                yield row_of(
                    suite=scored.suite,
                    measure=ERROR,
                    signature=signature,
                    variants=variants,
                    cell=estimate.cell,
                    extent=estimate.extent,
                    entry=entry,
                    point=value,
                    interval=interval,
                    settings=settings,
                    published=None,
                )


if __name__ == "__main__":
    run(main)
