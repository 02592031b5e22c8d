"""The scores of all models on one suite, as arrays over models, items and variants."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from posologie.records import layout
from posologie.running.errors import InputError
from posologie.scoring.choices import BY
from posologie.scoring.spec import read_scores
from posologie.statistics.spec import EvaluatedModel

_SHOWN = 5
KEYS = ("benchmark", "item", "provenance", "task", "group")


class Measure(NamedTuple):
    """A metric under one decoding."""

    metric: str
    decoding: str


def family_of(measure: Measure) -> Measure:
    """Return the measure without the name of a judge: `judge:medgemma` is of the family `judge`."""
    return Measure(measure.metric.partition(":")[0], measure.decoding)


def is_sum(metric: str) -> bool:
    """Say whether a metric is one of the sums behind a corpus score (`bleu:…`, `chrf:…`)."""
    return metric.startswith(("bleu:", "chrf:"))


@dataclass(frozen=True)
class ScoredSuite:
    """Scores of all models on the items of one suite.

    Attributes:
        benchmark, item, provenance, task, group: one text per item, in order of benchmark and item.
        variants: names of the variants that every item has, ascending (`original` first).
        values: for each measure an array [model, item, variant]; NaN where the measure is undefined for the item, or
            has no value for the model.
        components: the components of the study in their order; those that are not named follow, by the alphabet.
        procedures: for each model and decoding what labels or probabilities come from, if not from a local model.
    """

    suite: str
    models: tuple[EvaluatedModel, ...]
    benchmark: NDArray[np.str_]
    item: NDArray[np.str_]
    provenance: NDArray[np.str_]
    task: NDArray[np.str_]
    group: NDArray[np.str_]
    variants: tuple[str, ...]
    values: dict[Measure, NDArray[np.float64]]
    signatures: dict[Measure, str]
    components: tuple[str, ...] = ()
    procedures: tuple[Mapping[str, str], ...] = ()

    def signature_of(self, measure: Measure, members: Sequence[int]) -> str:
        """Return how a measure of some models was computed."""
        procedure = self.procedures_of(measure, members)
        return self.signatures[measure] + (BY + procedure if procedure else "")

    def procedures_of(self, measure: Measure, members: Sequence[int]) -> str:
        """Return the procedures behind a measure of some models; nothing where it is a local model's own."""
        if not self.procedures:
            return ""
        return ", ".join(sorted({self.procedures[member].get(measure.decoding, "") for member in members} - {""}))

    def over_variants(self, measure: Measure, variants: str) -> NDArray[np.float64]:
        """Return an array [model, item]: the mean over the variants that a set of variants names.

        Args:
            variants: `original`, `permuted` (all others) or `all`.
        """
        values = self.values[measure]
        chosen = [variants == "all" or (name == "original") == (variants == "original") for name in self.variants]
        picked: NDArray[np.float64] = values[:, :, np.flatnonzero(chosen)].mean(axis=2)
        return picked

    def drawn_sets(self) -> tuple[str, ...]:
        """Return the sets of variants whose means make up those of all sets."""
        return self.variant_sets()[:2]

    def set_weights(self) -> dict[str, tuple[float, ...]]:
        """Return, for each set of variants, the weights of `drawn_sets` in its mean."""
        if len(self.variants) == 1:
            return {"original": (1.0,)}
        count = len(self.variants)
        return {"original": (1.0, 0.0), "permuted": (0.0, 1.0), "all": (1 / count, (count - 1) / count)}

    def variant_sets(self) -> tuple[str, ...]:
        """Return the sets of variants of this suite."""
        return ("original",) if len(self.variants) == 1 else ("original", "permuted", "all")


def read_suite(
    root: str | os.PathLike[str],
    suite: str,
    models: Sequence[EvaluatedModel],
    tasks: tuple[str, ...],
    select: Callable[[Measure], bool] = lambda measure: True,
    path_of: Callable[[str, str], str] = layout.scores,
) -> ScoredSuite | None:
    """Read the scores of the models on one suite; None if it has no selected score of a question of these tasks.

    Args:
        tasks: the tasks whose questions are kept; they must have the same metrics and variants.
        select: which measures are kept.
        path_of: where the scores of a model on a suite lie below `root`.

    Raises:
        InputError: listing the items that one model has and another has not, or a metric that differs in kind.
    """
    first: ScoredSuite | None = None
    procedures: list[Mapping[str, str]] = []
    gathered: dict[Measure, list[NDArray[np.float64]]] = {}
    for model in models:
        file = Path(root) / path_of(model.name, suite)
        scored = _read_one(file, suite, model, tasks, select)
        if first is None:
            if scored is None:
                return None
            first = scored
        elif scored is None:
            raise InputError(f"{file}: no scores of tasks {', '.join(tasks)}; expected those of {models[0].name}")
        else:
            _check_same(first, scored, file)
        procedures += scored.procedures
        for measure, values in scored.values.items():
            gathered.setdefault(measure, []).append(values)
    if first is None:
        return None
    joined = {measure: np.concatenate(gathered.pop(measure)) for measure in list(gathered)}
    for measure, array in joined.items():
        undefined = np.isnan(array)
        if measure.decoding == "probabilities":  # an endpoint may give none, or not for every question: it has no value
            array[(undefined != undefined[:1]).any(axis=(1, 2))] = np.nan
        elif (undefined != undefined[:1]).any():
            model_index, row, _ = (int(index[0]) for index in np.nonzero(undefined != undefined[:1]))
            raise InputError(
                f"{suite}: {measure.metric} of item {first.item[row]} is defined for {models[0].name} and not for"
                f" {models[model_index].name}, or the reverse; expected one denominator"
            )
    pa.default_memory_pool().release_unused()  # the draws need the room
    everything = {name: getattr(first, name) for name in (*KEYS, "variants", "signatures")}
    return ScoredSuite(suite=suite, models=tuple(models), values=joined, procedures=tuple(procedures), **everything)


def _read_one(
    file: Path, suite: str, model: EvaluatedModel, tasks: tuple[str, ...], select: Callable[[Measure], bool]
) -> ScoredSuite | None:
    table = read_scores(file, lambda metric, decoding: select(Measure(metric, decoding)))
    task_codes, task_names = _codes(table, "task")
    keep = np.isin(task_names, tasks)[task_codes] if len(task_names) else np.zeros(0, dtype=bool)
    if not keep.any():
        return None
    if not keep.all():
        table = table.filter(pa.array(keep))
    coded = {name: _codes(table, name) for name in ("metric", "decoding", "signature", "variant", *KEYS)}
    block = coded["metric"][0].astype(np.int64) * (1 << 20) + coded["decoding"][0]
    starts = np.flatnonzero(np.diff(block, prepend=-1))
    ends = np.append(starts[1:], len(block))
    blocks: dict[Measure, slice] = {}
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True):
        measure = Measure(*(str(coded[name][1][coded[name][0][start]]) for name in ("metric", "decoding")))
        if not select(measure):
            continue
        if measure in blocks:
            raise InputError(f"{file}: the rows of {measure.metric} are not together; expected scores in their order")
        blocks[measure] = slice(start, end)
    if not blocks:
        return None
    rows = next(iter(blocks.values()))
    order, variants, item_rows = _grid({name: (codes[rows], names) for name, (codes, names) in coded.items()}, file)
    keys = {name: coded[name][1][coded[name][0][rows][item_rows]] for name in KEYS}
    values: dict[Measure, NDArray[np.float64]] = {}
    signatures: dict[Measure, str] = {}
    procedures: dict[str, str] = {}
    value = table["value"].to_numpy()
    for measure, block_rows in blocks.items():
        same = all(
            np.array_equal(coded[name][0][block_rows], coded[name][0][rows])
            for name in ("item", "benchmark", "variant")
        )
        if not same:
            raise InputError(f"{file}: {measure.metric} is not scored on the same items as the other metrics")
        signature = str(coded["signature"][1][coded["signature"][0][block_rows.start]])
        signatures[measure], _, procedure = signature.partition(BY)
        if procedure:
            procedures[measure.decoding] = procedure
        values[measure] = value[block_rows][order][None]
    return ScoredSuite(
        suite,
        (model,),
        variants=variants,
        values=values,
        signatures=signatures,
        components=(),
        procedures=(procedures,),
        **keys,
    )


def _grid(
    coded: dict[str, tuple[NDArray[np.int32], NDArray[np.str_]]], file: Path
) -> tuple[NDArray[np.int64], tuple[str, ...], NDArray[np.int64]]:
    """Return where each cell of the items × variants grid lies, the variants, and one row of each item.

    Raises:
        InputError: listing the items that lack a variant.
    """
    rank = {name: np.argsort(np.argsort(coded[name][1]))[coded[name][0]] for name in ("benchmark", "item", "variant")}
    variants = tuple(sorted({str(coded["variant"][1][code]) for code in np.unique(coded["variant"][0])}))
    order = np.lexsort((rank["variant"], rank["item"], rank["benchmark"]))
    pair = rank["benchmark"].astype(np.int64) * (len(coded["item"][1]) + 1) + rank["item"]
    items, first_rows, counts = np.unique(pair, return_index=True, return_counts=True)
    if (counts != len(variants)).any():
        ids = coded["item"][1][coded["item"][0][first_rows[counts != len(variants)]]]
        raise InputError(f"{file}: {listed(list(ids))} not scored in each of the variants {', '.join(variants)}")
    return order.reshape(len(items), len(variants)), variants, first_rows


def _codes(table: pa.Table, name: str) -> tuple[NDArray[np.int32], NDArray[np.str_]]:
    column = table[name].combine_chunks()
    if isinstance(column, pa.ChunkedArray):  # no row at all
        return np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.str_)
    return column.indices.to_numpy(), column.dictionary.to_numpy(zero_copy_only=False).astype(np.str_)


def _check_same(first: ScoredSuite, other: ScoredSuite, file: Path) -> None:
    if not all(np.array_equal(getattr(first, name), getattr(other, name)) for name in ("benchmark", "item")):
        ours, theirs = (set(zip(side.benchmark, side.item, strict=True)) for side in (first, other))
        for lacking, where in ((ours - theirs, file), (theirs - ours, first.models[0].name)):
            if lacking:
                ids = listed(sorted(str(item) for _, item in lacking))
                raise InputError(f"{where}: no scores of {ids}; expected one each")
    if first.variants != other.variants:
        variants, expected = ", ".join(other.variants), ", ".join(first.variants)
        raise InputError(f"{file}: variants {variants}; expected {expected}")
    for name in ("provenance", "task", "group"):
        differs = getattr(first, name) != getattr(other, name)
        if differs.any():
            row = int(np.flatnonzero(differs)[0])
            raise InputError(
                f"{file}: {name} of item {first.item[row]} is '{getattr(other, name)[row]}';"
                f" expected '{getattr(first, name)[row]}' as for {first.models[0].name}"
            )
    for measure in first.signatures.keys() ^ other.signatures.keys():
        raise InputError(f"{file}: {measure.metric} ({measure.decoding}) is not scored for every model")
    for measure, signature in first.signatures.items():
        if other.signatures[measure] != signature:
            computed = other.signatures[measure]
            raise InputError(f"{file}: {measure.metric} was computed as '{computed}'; expected '{signature}'")


def listed(ids: list[str]) -> str:
    """Return the first ids of a list and how many more there are, for an error."""
    more = f" and {len(ids) - _SHOWN} more" if len(ids) > _SHOWN else ""
    return f"item{'s' if len(ids) > 1 else ''} {', '.join(ids[:_SHOWN])}{more}"
