"""The table of open questions: text metrics per answer and per corpus, BERTScore and judges where they are wanted."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posologie.records.published import shown
from posologie.running.commands import run
from posologie.statistics.entries import Entry, all_entries, over_members, seed_weights
from posologie.statistics.estimates import Resampled
from posologie.statistics.intervals import Interval, interval_of
from posologie.statistics.judged import bounds_of, is_too_silent
from posologie.statistics.means import COLUMNS, mean_rows, row_of
from posologie.statistics.scored import Measure, ScoredSuite, is_sum
from posologie.statistics.suites import items_of_scope, open_questions
from posologie.statistics.tables import Latex, table_command, write_table

BLEU_COUNTS = ("answer", "reference", *(f"{part}_{order}" for order in range(1, 5) for part in ("match", "total")))
CHRF_COUNTS = tuple(f"{part}_{order}" for order in range(1, 7) for part in ("answer", "reference", "match"))


def corpus_bleu(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return corpus BLEU between 0 and 1 (Papineni et al. 2002) with sacreBLEU's exponential smoothing.

    Args:
        sums: [..., 10], sums of `BLEU_COUNTS` in that order.
    """
    answer, reference = sums[..., 0], sums[..., 1]
    matches, totals = sums[..., 2::2], sums[..., 3::2]
    zero = (matches == 0) & (totals > 0)
    smoothing = 2.0 ** np.cumsum(zero, axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        precision = np.where(zero, 1 / (smoothing * totals), matches / totals)
        logs = np.log(precision).mean(axis=-1)
        brevity = np.where(answer < reference, np.exp(1 - reference / answer), 1.0)
    whole = (totals > 0).all(axis=-1) & (matches > 0).any(axis=-1)
    return np.where(whole, np.nan_to_num(brevity) * np.exp(np.where(whole, logs, 0.0)), 0.0)


def corpus_chrf(sums: NDArray[np.float64], beta: float = 2.0) -> NDArray[np.float64]:
    """Return corpus chrF between 0 and 1 (Popović 2015) with sacreBLEU's effective order.

    Args:
        sums: [..., 18], sums of `CHRF_COUNTS` in that order.
    """
    answer, reference, match = sums[..., 0::3], sums[..., 1::3], sums[..., 2::3]
    used = (answer > 0) & (reference > 0)
    orders = np.maximum(used.sum(axis=-1), 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        precision = np.where(used, match / answer, 0.0).sum(axis=-1) / orders
        recall = np.where(used, match / reference, 0.0).sum(axis=-1) / orders
        score = (1 + beta**2) * precision * recall / (beta**2 * precision + recall)
    whole: NDArray[np.float64] = np.nan_to_num(score)
    return whole


_CORPUS: tuple[tuple[str, str, tuple[str, ...], Callable[[NDArray[np.float64]], NDArray[np.float64]]], ...] = (
    ("bleu_corpus", "bleu", BLEU_COUNTS, corpus_bleu),
    ("chrf_corpus", "chrf", CHRF_COUNTS, corpus_chrf),
)
LATEX = Latex(
    "Scores of open answers over all questions.",
    index=("suite", "model"),
    where={"scope_kind": ("all",), "aggregate": ("item_weighted",), "variants": ("original",)},
    across=("metric",),
)


def main(argv: list[str]) -> None:
    """Write the table."""
    command = table_command("posologie.statistics.oeq", __doc__ or "", argv)
    spec = command.spec
    entries = all_entries(spec.models)
    rows: list[dict[str, Any]] = []
    for suite in spec.suites:
        scored = open_questions(command.results, suite, spec, bounded=True)
        if scored is None:
            continue
        resampled = Resampled(scored, spec.statistics)
        per_answer = sorted(measure for measure in scored.values if not is_sum(measure.metric))
        means = list(mean_rows(resampled, per_answer, entries, command.published))
        rows.extend(_with_silence(scored, means, entries))
        rows.extend({**row, "silent": None} for row in _corpus_rows(resampled, entries))
    write_table(command.table, *shown((*COLUMNS, "silent"), rows, command.published), LATEX)


def _with_silence(
    scored: ScoredSuite, rows: Sequence[dict[str, Any]], entries: Sequence[Entry]
) -> Iterator[dict[str, Any]]:
    """Yield the rows with the number of replies without a verdict that the judged ones rest on.

    Where there are more than 2 % of them, a judge's score gives way to its bounds (`posologie.statistics.judged`).
    """
    members = {entry.model: list(entry.members) for entry in entries}
    same = ("scope_kind", "scope", "task", "aggregate", "variants", "model")
    upper = {
        (row["metric"].removeprefix("judge_upper:"), *(row[name] for name in same)): row
        for row in rows
        if row["metric"].startswith("judge_upper:")
    }
    for row in rows:
        kind, _, judge = row["metric"].partition(":")
        if kind == "judge_upper":
            continue
        if not kind.startswith("judge"):
            yield {**row, "silent": None}
            continue
        here = items_of_scope(scored, row["scope_kind"], row["scope"])
        replies = scored.values[Measure(f"judge_unparsable:{judge}", "judged")][members[row["model"]]][:, here]
        silent = int(replies.sum())
        if kind == "judge" and is_too_silent(silent, replies.size):
            above = upper[judge, *(row[name] for name in same)]
            ends = [
                (bound["value"], Interval(bound["low"], bound["high"], "", bound["note"])) for bound in (row, above)
            ]
            bounds = bounds_of(ends[0], ends[1], silent, replies.size)
            row = row | {"value": None, "low": bounds.low, "high": bounds.high}
            row |= {"interval": bounds.method, "note": bounds.note, "difference": None}
        yield {**row, "silent": silent}


def _corpus_rows(resampled: Resampled, entries: Sequence[Entry]) -> Iterator[dict[str, Any]]:
    """Yield corpus BLEU and chrF, which are functions of sums over all answers, not means over items."""
    scored, settings = resampled.scored, resampled.settings
    weights = [seed_weights(entry, settings) for entry in entries]
    for name, family, counts, score in _CORPUS:
        measures = [Measure(f"{family}:{count}", "greedy") for count in counts]
        if measures[0] not in scored.values:
            continue
        values = np.stack([scored.over_variants(measure, "original") for measure in measures])  # [count, model, item]
        shape = values.shape[:2]
        for estimate in resampled.means(values.reshape(-1, values.shape[2])):
            if estimate.cell.aggregate != "item_weighted":
                continue
            scale = estimate.extent.items  # the scores are ratios of counts: means become sums again for the smoothing
            point = score(np.moveaxis(estimate.point.reshape(shape) * scale, 0, -1))
            replicates = score(np.moveaxis(estimate.replicates.reshape(*shape, -1) * scale, 0, -1))
            for entry, weight in zip(entries, weights, strict=True):
                value, drawn = over_members(entry, point, replicates, weight)
                interval = interval_of(value, drawn, estimate.extent.effective, settings, is_share=False)
                yield row_of(
                    suite=scored.suite,
                    measure=Measure(name, "greedy"),
                    signature=scored.signatures[measures[0]].replace("sums|", "corpus|"),
                    variants="original",
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
