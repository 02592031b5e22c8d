"""The table of position: whether the position of an option changes the answer, and the ranking of the models."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from posologie.records.items import LABELS
from posologie.running.commands import run
from posologie.statistics.correlations import kendall_tau
from posologie.statistics.draws import Clusters, bootstrap_counts, cluster_sums, make_clusters
from posologie.statistics.entries import Entry, all_entries, over_members, seed_weights
from posologie.statistics.estimates import Extent, Parts, make_parts, sum_over_parts
from posologie.statistics.intervals import Interval, estimate_columns, interval_of
from posologie.statistics.spec import Statistics
from posologie.statistics.suites import ChoiceAnswers, read_answers
from posologie.statistics.tables import Latex, table_command, write_table

COLUMNS = (
    "suite", "scope_kind", "scope", "decoding", "statistic", "label", "variants",
    "model", "kind", "backbone", "mix", "seed",
    "n", "clusters", "unit", "value", "low", "high", "level", "interval", "note",
)  # fmt: skip


_SHARES = {"recall", "predicted_share", "gold_share", "em_mapped", "em_unmapped", "consistency"}
_WITHOUT_MODEL = {"gold_share", "ranking_tau"}
_KINDS = ("recall", "predicted_share", "gold_share", "em")
_ORDER = ("recall", "predicted_share", "gold_share", "em_mapped", "em_unmapped", "consistency", "recall_spread")
"""Order of the rows of one scope and label."""


@dataclass(frozen=True)
class Ratio:
    """A ratio of sums over items: `above` [model, item] over `below` [model or 1, item]."""

    statistic: str
    label: str
    above: NDArray[np.float64]
    below: NDArray[np.float64]


@dataclass(frozen=True)
class Scope:
    """The items of some benchmarks (`parts`)."""

    kind: str
    name: str
    parts: tuple[int, ...]


class Key(NamedTuple):
    """What a number is: a statistic of a set of variants, of one label or of all, in a scope."""

    variants: str
    statistic: str
    label: str
    scope: Scope


@dataclass(frozen=True)
class Drawn:
    """A ratio in one scope: the models' values, their replicates [model, replicate], and how much they rest on."""

    point: NDArray[np.float64]
    replicates: NDArray[np.float64]
    items: int
    clusters: int
    effective: float


LATEX = Latex(
    "Does the position of an option change the answer: constrained answers, all questions.",
    index=("suite", "model"),
    where={
        "scope_kind": ("all",),
        "decoding": ("constrained",),
        "statistic": ("em_mapped", "em_unmapped", "recall_spread", "consistency"),
    },
    across=("statistic", "variants"),
)


def main(argv: list[str]) -> None:
    """Write the table."""
    command = table_command("posologie.statistics.position", __doc__ or "", argv)
    spec = command.spec
    rows: list[dict[str, Any]] = []
    for suite in spec.suites:
        answers = read_answers(command.results, suite, spec.models)
        if answers is not None:
            rows.extend(suite_rows(answers, all_entries(spec.models), spec.statistics, spec.components))
    write_table(command.table, COLUMNS, rows, LATEX)


def ratios_of(answers: ChoiceAnswers, decoding: str, variants: Sequence[int], kind: str) -> Iterator[Ratio]:
    """Yield the ratios of one kind over these variants (columns of the answers' arrays).

    Args:
        kind: `recall` by gold label, on questions with one right answer; `predicted_share` and `gold_share` of each
            label among all labels given and all gold labels; `em` for `em_mapped` and `em_unmapped`; `consistency`,
            over several variants.
    """
    gold, displayed = answers.gold[:, variants], answers.displayed[decoding][:, :, variants]
    labels = [(LABELS[place], np.uint32(1 << place)) for place in range(int(answers.gold.max()).bit_length())]
    ones = np.ones((1, len(answers.item)))
    if kind == "recall":
        right, single = displayed == gold, (answers.task == "mcqu")[:, None]
        for label, bit in labels:
            here = single & (gold == bit)
            yield Ratio(kind, label, (right & here).sum(axis=2), here.sum(axis=1)[None])
    elif kind == "predicted_share":
        labels_given = np.bitwise_count(displayed).astype(float).sum(axis=2)
        for label, bit in labels:
            yield Ratio(kind, label, ((displayed & bit) > 0).sum(axis=2), labels_given)
    elif kind == "gold_share":
        expected = np.bitwise_count(gold).astype(float).sum(axis=1)[None]
        for label, bit in labels:
            yield Ratio(kind, label, ((gold & bit) > 0).sum(axis=1)[None], expected)
    elif kind == "em":
        every = len(variants) * ones
        yield Ratio("em_mapped", "", (displayed == gold).sum(axis=2), every)
        yield Ratio("em_unmapped", "", (displayed == answers.letters[:, None]).sum(axis=2), every)
    elif len(variants) > 1:
        chosen = answers.chosen[decoding][:, :, variants]
        same = (chosen == chosen[:, :, :1]).all(axis=2) & (chosen > 0).all(axis=2)
        yield Ratio(kind, "", same, ones)


def draw(
    variants: str, ratios: Sequence[Ratio], scopes: Sequence[Scope], clusters: Clusters, counts: NDArray[np.uint8]
) -> Iterator[dict[Key, Drawn]]:
    """Yield, for each scope, the ratios of a set of variants that are defined in it."""
    columns: dict[bytes, tuple[slice, NDArray[np.float64]]] = {}  # denominators serve several ratios
    width = 0

    def place_of(array: NDArray[np.float64]) -> slice:
        nonlocal width
        array = array.astype(float)
        key = hashlib.blake2b(array.tobytes()).digest()
        if key not in columns:
            columns[key] = slice(width, width + len(array)), array
            width += len(array)
        return columns[key][0]

    places = [(place_of(ratio.above), place_of(ratio.below)) for ratio in ratios]
    sums = cluster_sums(clusters, np.concatenate([array for _, array in columns.values()]).T)
    total, weighted = sums.total(), sums.weighted(counts)
    for scope in scopes:
        drawn = {}
        parts = scope.parts
        points, draws = sum_over_parts(total, parts), sum_over_parts(weighted, parts)
        for ratio, (above, below) in zip(ratios, places, strict=True):
            if not (points[below] > 0).all():
                continue
            held = np.zeros(clusters.count)
            for part in parts:
                held[sums.blocks[part][0]] += sums.blocks[part][1][:, below].mean(axis=1)
            inside = np.isin(clusters.part, parts) & (ratio.below > 0).any(axis=0)
            with np.errstate(invalid="ignore", divide="ignore"):
                drawn[Key(variants, ratio.statistic, ratio.label, scope)] = Drawn(
                    points[above] / points[below],
                    draws[above] / draws[below],
                    int(inside.sum()),
                    int((held > 0).sum()),
                    float(held.sum() ** 2 / (held @ held)),
                )
        yield drawn


def spreads(drawn: Mapping[Key, Drawn], minimum: float) -> dict[Key, Drawn]:
    """Return `recall_spread`: largest minus smallest recall over the labels with at least `minimum` equal clusters."""
    drawn_spreads: dict[Key, Drawn] = {}
    for variants, scope in dict.fromkeys((key.variants, key.scope) for key in drawn):
        recalls = [
            recall
            for key, recall in drawn.items()
            if (key.variants, key.statistic, key.scope) == (variants, "recall", scope) and recall.effective >= minimum
        ]
        if len(recalls) > 1:
            points, draws = (
                np.stack([getattr(recall, name) for recall in recalls]) for name in ("point", "replicates")
            )
            smallest = min(recalls, key=lambda recall: recall.effective)
            drawn_spreads[Key(variants, "recall_spread", "", scope)] = replace(
                smallest,
                point=points.max(axis=0) - points.min(axis=0),
                replicates=draws.max(axis=0) - draws.min(axis=0),
                items=sum(recall.items for recall in recalls),
            )
    return drawn_spreads


def changes(drawn: Mapping[Key, Drawn]) -> dict[Key, Drawn]:
    """Return what permutation changes.

    `em_drop`, `em_drop_unmapped`: original minus permuted. `ranking_tau`: Kendall's τ-b between the models in the
    original order and under permutation, from three models on.
    """
    drawn_changes: dict[Key, Drawn] = {}
    for scope in dict.fromkeys(key.scope for key in drawn):
        for suffix in ("mapped", "unmapped"):
            pair = [drawn.get(Key(variants, f"em_{suffix}", "", scope)) for variants in ("original", "permuted")]
            before, after = pair
            if before is None or after is None:
                continue
            statistic = "em_drop" if suffix == "mapped" else "em_drop_unmapped"
            fallen = replace(before, point=before.point - after.point, replicates=before.replicates - after.replicates)
            drawn_changes[Key("permuted", statistic, "", scope)] = fallen
            if suffix == "mapped" and len(before.point) >= 3:
                tau = kendall_tau(before.point, after.point)[None]
                taus = kendall_tau(before.replicates.T, after.replicates.T)[None]
                drawn_changes[Key("permuted", "ranking_tau", "", scope)] = replace(before, point=tau, replicates=taus)
    return drawn_changes


def suite_rows(
    answers: ChoiceAnswers, entries: Sequence[Entry], settings: Statistics, components: Sequence[str] = ()
) -> Iterator[dict[str, Any]]:
    """Yield the rows of a suite, for each decoding that has answers."""
    by_task = make_parts(answers.benchmark, answers.task, answers.provenance)
    clusters = make_clusters(answers.benchmark, answers.group, by_task.of_item)
    counts = bootstrap_counts(clusters, settings.replicates, settings.seed)
    # The draws are those of every other table; no scope here is a task, so that whole benchmarks are summed.
    parts = make_parts(answers.benchmark, np.full_like(answers.task, "all"), answers.provenance, components)
    clusters = replace(clusters, part=parts.of_item)
    scopes = _scopes(parts)
    weights = [seed_weights(entry, settings) for entry in entries]
    count = len(answers.variants)
    sets = {"original": [0]} | ({"permuted": list(range(1, count)), "all": list(range(count))} if count > 1 else {})

    def rows(decoding: str, drawn: Mapping[Key, Drawn]) -> Iterator[tuple[Key, dict[str, Any]]]:
        for key, ratio in drawn.items():
            common = {"suite": answers.suite, "decoding": decoding}
            if len(ratio.point) == 1 and key.statistic in _WITHOUT_MODEL:
                yield key, common | _row(key, ratio, None, float(ratio.point[0]), ratio.replicates[0], settings)
                continue
            for entry, weight in zip(entries, weights, strict=True):
                value, replicates = over_members(entry, ratio.point, ratio.replicates, weight)
                row = common | _row(key, ratio, entry, value, replicates, settings)
                if decoding == "constrained" and (named := sorted({*_procedures(answers, entry)} - {""})):
                    row["note"] = "; ".join(filter(None, (row["note"], f"labels by {', '.join(named)}")))
                yield key, row

    for scope in scopes:
        yield _dependent_row(answers, scope, parts, clusters, settings)
    for decoding in answers.displayed:
        compared: dict[Key, Drawn] = {}  # all other draws are done with when their rows are
        for variants, chosen in sets.items():
            ordered: list[tuple[Any, dict[str, Any]]] = []
            for kind in ("consistency",) if variants == "all" else _KINDS:  # one kind at a time bounds the memory
                ratios = list(ratios_of(answers, decoding, chosen, kind))
                for place, drawn in enumerate(draw(variants, ratios, scopes, clusters, counts)):
                    for key, row in rows(decoding, drawn | spreads(drawn, settings.minimum_clusters)):
                        ordered.append(((place, not key.label, key.label, _ORDER.index(key.statistic)), row))
                    compared |= {key: ratio for key, ratio in drawn.items() if kind == "em"}
            yield from (row for _, row in sorted(ordered, key=lambda pair: pair[0]))
        yield from (row for _, row in rows(decoding, changes(compared)))


def _procedures(answers: ChoiceAnswers, entry: Entry) -> list[str]:
    return [answers.procedures[member] for member in entry.members] if answers.procedures else []


def _dependent_row(
    answers: ChoiceAnswers, scope: Scope, parts: Parts, clusters: Clusters, settings: Statistics
) -> dict[str, Any]:
    """Return how many items have options that depend on their place: a count of items, so that it has no interval."""
    inside = np.isin(parts.of_item, list(scope.parts))
    row = dict.fromkeys(("label", "model", "kind", "backbone", "mix", "seed", "unit", "decoding"), "")
    return row | {
        "suite": answers.suite,
        "scope_kind": scope.kind,
        "scope": scope.name,
        "statistic": "position_dependent",
        "variants": "all",
        "n": int(inside.sum()),
        "clusters": int(np.isin(clusters.part, list(scope.parts)).sum()),
        "value": int((answers.dependent & inside).sum()),
        "low": None,
        "high": None,
        "level": settings.level,
        "interval": "none",
        "note": "items whose options depend on their position and are not permuted",
    }


def _scopes(parts: Parts) -> list[Scope]:
    def scope(kind: str, name: str, names: tuple[str, ...]) -> Scope:
        return Scope(kind, name, tuple(place for place, other in enumerate(names) if other == name))

    everything = Scope("all", "all", tuple(range(len(parts))))
    provenances = [scope("provenance", name, parts.provenance) for name in parts.components]
    return [
        everything,
        *provenances,
        *(scope("benchmark", name, parts.benchmark) for name in sorted(set(parts.benchmark))),
    ]


def _row(
    key: Key, drawn: Drawn, entry: Entry | None, point: float, replicates: NDArray[np.float64], settings: Statistics
) -> dict[str, Any]:
    if np.isnan(point):
        interval, value = Interval(None, None, "none", "undefined: a ranking is constant"), None
    else:
        interval = interval_of(
            point,
            replicates,
            drawn.effective,
            settings,
            is_share=key.statistic in _SHARES,
            inflated=key.statistic == "recall_spread",
        )
        value = point
    extent = Extent(drawn.items, drawn.clusters, drawn.effective)
    return {
        "scope_kind": key.scope.kind,
        "scope": key.scope.name,
        "statistic": key.statistic,
        "label": key.label,
        "variants": key.variants,
        "model": entry.model if entry else "",
        "kind": entry.kind if entry else "",
        "backbone": entry.backbone if entry else "",
        "mix": entry.mix if entry else "",
        "seed": entry.seed if entry else "",
        **estimate_columns(value, interval, extent, "" if key.statistic == "ranking_tau" else "%", settings.level),
    }


if __name__ == "__main__":
    run(main)
