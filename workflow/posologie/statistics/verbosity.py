"""The table of verbosity: whether judges and people favour long answers, and what judges say at matched length."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posologie.commands import run
from posologie.statistics.agreement import interval_of_agreement
from posologie.statistics.agreement_measures import partial_spearman, spearman
from posologie.statistics.agreement_scopes import POOLED, Estimated, effective_clusters, estimate, scopes_of
from posologie.statistics.latex import Latex
from posologie.statistics.ratings import RatedSet, read_rated
from posologie.statistics.spec import AgreementSpec
from posologie.statistics.table_command import agreement_command
from posologie.statistics.table_files import write_table

COLUMNS = (
    "set", "judge", "statistic", "generator", "n", "clusters", "excluded", "value", "low", "high", "level",
    "interval", "support", "note",
)  # fmt: skip
BINS = 5
LATEX = Latex(
    "Answer length and scores, over the rated answers.",
    index=("set", "judge", "generator"),
    across=("statistic",),
    digits=2,
)


def main(argv: list[str]) -> None:
    """Write the table."""
    command = agreement_command("posologie.statistics.verbosity", __doc__ or "", argv)
    rows = [row for name in command.spec.sets for row in _rows(Path(command.results), name, command.spec)]
    write_table(command.table, COLUMNS, rows, LATEX)


def length_bins(words: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return [answer], the fifth of the length distribution over all answers that each answer lies in."""
    edges = np.quantile(words, np.linspace(0, 1, BINS + 1)[1:-1])
    bins: NDArray[np.int64] = np.searchsorted(edges, words, side="left")
    return bins


def matched_means(
    score: NDArray[np.float64], owner: NDArray[np.int64], bins: NDArray[np.int64], weights: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return [draw, generator], mean scores at one and the same length distribution, and [draw], what it rests on.

    Means within bins of length, weighted by the share of each bin among all answers (direct standardisation), over the
    bins in which every generator has an answer; NaN where there is no such bin. The second value is the share of all
    answers that lies in these bins.

    Args:
        owner: [answer], the number of its generator.
        weights: [draw, answer].
    """
    generators, places = int(owner.max()) + 1, int(bins.max()) + 1
    counts, sums = (np.zeros((len(weights), generators, places)) for _ in range(2))
    for generator in range(generators):
        for place in range(places):
            mine = (owner == generator) & (bins == place)
            counts[:, generator, place] = weights[:, mine].sum(axis=1)
            sums[:, generator, place] = weights[:, mine] @ score[mine]
    return standardised(counts, sums)


def standardised(
    counts: NDArray[np.float64], sums: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return what `matched_means` does, from numbers of answers and sums of scores [draw, generator, bin]."""
    shared = (counts > 0).all(axis=1)
    shares = counts.sum(axis=1) * shared
    means = np.divide(sums, counts, out=np.zeros_like(sums), where=counts > 0)
    total = shares.sum(axis=1)
    above = (means * shares[:, None]).sum(axis=2)
    matched = np.divide(above, total[:, None], out=np.full_like(above, np.nan), where=total[:, None] > 0)
    return matched, total / counts.sum(axis=(1, 2))


def _rows(root: Path, name: str, spec: AgreementSpec) -> Iterator[dict[str, Any]]:
    rated = read_rated(root, name, spec)
    draws = rated.draws(spec.statistics.replicates, spec.statistics.seed)
    everyone = np.ones(len(rated.answer), dtype=bool)
    bins = length_bins(rated.words)
    for scope, found in estimate(spearman, rated.words, rated.human, everyone, rated.generator, draws).items():
        yield _row(rated, "", "length_human", scope, everyone, found, spec)
    yield from _matched_rows(rated, "", rated.human, everyone, bins, draws, spec)
    for judge in rated.raters:
        if judge.kind == "metric":
            continue
        kept = ~judge.excluded
        for scope, found in estimate(spearman, rated.words, judge.score, kept, rated.generator, draws).items():
            yield _row(rated, judge.name, "length_judge", scope, kept, found, spec)
        for scope, inside in scopes_of(rated.generator, kept).items():
            three = rated.words[inside], judge.score[inside], rated.human[inside]
            point = float(partial_spearman(*three, np.ones((1, int(inside.sum()))))[0])
            found = Estimated(point, partial_spearman(*three, draws[:, inside]))
            yield _row(rated, judge.name, "length_judge_given_human", scope, kept, found, spec)
        yield from _matched_rows(rated, judge.name, judge.score, kept, bins, draws, spec)


def _matched_rows(
    rated: RatedSet,
    judge: str,
    score: NDArray[np.float64],
    kept: NDArray[np.bool_],
    bins: NDArray[np.int64],
    draws: NDArray[np.float64],
    spec: AgreementSpec,
) -> Iterator[dict[str, Any]]:
    """Yield each generator's mean score, and its mean at matched length, where there are several generators."""
    scopes = [(scope, own) for scope, own in scopes_of(rated.generator, kept).items() if scope != POOLED]
    if not scopes:
        return
    which = "judge" if judge else "human"
    known = np.any([own for _, own in scopes], axis=0)
    owner = np.argmax([own[known] for _, own in scopes], axis=0)
    arrays = score[known], owner, bins[known]
    points, support = matched_means(*arrays, np.ones((1, int(known.sum()))))
    matched, _ = matched_means(*arrays, draws[:, known])
    for place, (scope, own) in enumerate(scopes):
        count = draws[:, own].sum(axis=1)
        means = np.divide(draws[:, own] @ score[own], count, out=np.full(len(draws), np.nan), where=count > 0)
        plain = Estimated(float(score[own].mean()), means)
        yield _row(rated, judge, f"{which}_mean", scope, kept, plain, spec)
        at_length = Estimated(float(points[0, place]), matched[:, place])
        row = _row(rated, judge, f"{which}_at_matched_length", scope, kept, at_length, spec)
        yield row | {"support": 100 * float(support[0])}


def _row(
    rated: RatedSet,
    judge: str,
    statistic: str,
    scope: str,
    kept: NDArray[np.bool_],
    found: Estimated,
    spec: AgreementSpec,
) -> dict[str, Any]:
    inside = scopes_of(rated.generator, kept).get(scope, kept)
    interval = interval_of_agreement(found, effective_clusters(rated.group[inside]), spec.statistics)
    return {
        "set": rated.name,
        "judge": judge,
        "statistic": statistic,
        "generator": scope,
        "n": int(inside.sum()),
        "clusters": len(np.unique(rated.group[inside])),
        "excluded": int((~kept).sum()),
        "value": None if np.isnan(found.point) else found.point,
        "low": interval.low,
        "high": interval.high,
        "level": spec.statistics.level,
        "interval": interval.method,
        "support": None,
        "note": interval.note,
    }


if __name__ == "__main__":
    run(main)
