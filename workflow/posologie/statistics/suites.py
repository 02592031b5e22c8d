"""All scores of a suite: those of its choice questions, and text metrics, neural scores and judgements of open ones.

Beside them, the choice answers of all models, as sets of labels over models, items and variants.
"""

import logging
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from posologie.records import layout
from posologie.records.files import parquet_schema, read_parquet
from posologie.running.errors import InputError
from posologie.scoring.tables import label_sets, original_sets
from posologie.statistics.judged import PANEL, is_too_silent, majority
from posologie.statistics.scored import KEYS, Measure, ScoredSuite, listed, read_suite
from posologie.statistics.spec import EvaluatedModel, Measured, TableSpec

log = logging.getLogger(__name__)

CHOICE_TASKS = ("mcqu", "mcq")
OPEN_TASKS = ("oeq",)
BERTSCORE, WORDS = Measure("bertscore", "greedy"), Measure("words", "greedy")
"""Words are counted of every open answer, so that a suite's answers are known even if no text metric is wanted."""

_COLUMNS = ("benchmark", "item", "variant", "outcome", "label", "probability")


def scored_suites(
    root: str | os.PathLike[str], suite: str, spec: TableSpec, select: Callable[[Measure], bool]
) -> Iterator[tuple[Measured, ScoredSuite]]:
    """Yield the choice questions and the open questions of a suite, where it has any, with their primary metric."""
    choice = read_suite(root, suite, spec.models, CHOICE_TASKS, select)
    if choice is not None:
        yield spec.statistics.primary_choice, replace(choice, components=spec.components)
    opened = open_questions(root, suite, spec, select)
    if opened is not None:
        yield spec.statistics.primary_text, opened


def open_questions(
    root: str | os.PathLike[str],
    suite: str,
    spec: TableSpec,
    select: Callable[[Measure], bool] = lambda measure: True,
    *,
    bounded: bool = False,
) -> ScoredSuite | None:
    """Read the selected scores of a suite's open questions; None if it has no open question.

    Judgements give `judge:{name}` (1 where the answer was found equivalent; a reply without a verdict counts as not
    equivalent), `judge_probability:{name}` where every answer has one, and `judge_unparsable:{name}`. A judge that
    gives no verdict on more than 2 % of a model's answers has no `judge:{name}`, so that nothing is tested on it.

    Args:
        bounded: keep the scores of such a judge too, for a table that shows bounds in their place, and add
            `judge_upper:{name}`: a reply without a verdict counts as equivalent.

    Raises:
        InputError: listing the answers that lack a score or a judgement.
    """
    scored = read_suite(root, suite, spec.models, OPEN_TASKS, lambda measure: select(measure) or measure == WORDS)
    if scored is None:
        return None
    values = {measure: array for measure, array in scored.values.items() if select(measure)}
    signatures = {measure: scored.signatures[measure] for measure in values}
    if spec.neural and select(BERTSCORE):
        neural = read_suite(root, suite, spec.models, OPEN_TASKS, select, layout.scores_neural)
        if neural is None or not np.array_equal(neural.item, scored.item) or neural.variants != scored.variants:
            raise InputError(f"scores_neural of {suite}: not on the items of its scores; expected one score per answer")
        values |= neural.values
        signatures |= neural.signatures
    verdicts = {judge: _verdicts(Path(root), judge, scored, spec.models) for judge in spec.judges}
    if spec.panel:
        verdicts[PANEL] = _of_panel([verdicts[judge] for judge in spec.panel])
    for judge, of_judge in verdicts.items():
        for measure, array in _measures(judge, of_judge, scored, spec.models, bounded).items():
            if select(measure):
                values[measure] = array
                members = f"|majority of {', '.join(spec.panel)}" if judge == PANEL else ""
                signatures[measure] = f"judge:{judge}{members}|no verdict counts as not equivalent"
    return replace(scored, values=values, signatures=signatures, components=spec.components)


@dataclass(frozen=True)
class _Verdicts:
    """A judge's verdicts, [model, item, 1]: 1 where equivalent, the probability of that (NaN without), 1 where none."""

    equivalent: NDArray[np.float64]
    probability: NDArray[np.float64]
    silent: NDArray[np.float64]


def _verdicts(root: Path, judge: str, scored: ScoredSuite, models: Sequence[EvaluatedModel]) -> _Verdicts:
    place = {key: row for row, key in enumerate(zip(scored.benchmark, scored.item, strict=True))}
    shape = (len(models), len(place), 1)
    equivalent, probability, silent = (np.full(shape, np.nan) for _ in range(3))
    for number, model in enumerate(models):
        file = root / layout.judgements(judge, model.name, scored.suite)
        table = read_parquet(file)
        if missing := [name for name in _COLUMNS if name not in table.column_names]:
            raise InputError(f"{file}: column '{missing[0]}' is missing; expected a table of judgements")
        table = table.filter(pc.equal(table["variant"], "original"))
        keys = list(zip(table["benchmark"].to_pylist(), table["item"].to_pylist(), strict=True))
        if unknown := sorted(item for benchmark, item in set(keys) - place.keys()):
            raise InputError(f"{file}: {listed(unknown)} not among the open questions of {scored.suite}")
        if missing := sorted(item for benchmark, item in place.keys() - set(keys)):
            raise InputError(f"{file}: no judgement of {listed(missing)}; expected one per answer")
        if len(keys) != len(place):
            raise InputError(f"{file}: {len(keys)} judgements of {len(place)} answers; expected one each")
        rows = [place[key] for key in keys]
        equivalent[number, rows, 0] = pc.fill_null(pc.equal(table["label"], pa.scalar(1, pa.int8())), False).to_numpy()
        probability[number, rows, 0] = table["probability"].to_numpy()
        silent[number, rows, 0] = pc.not_equal(table["outcome"], "label").to_numpy()
    return _Verdicts(equivalent, probability, silent)


def _of_panel(members: Sequence[_Verdicts]) -> _Verdicts:
    shape = members[0].equivalent.shape
    labels, silent = (
        np.stack([array.ravel() for array in arrays])
        for arrays in ([member.equivalent for member in members], [member.silent for member in members])
    )
    joint = majority(labels, silent == 1)
    return _Verdicts(*(array.reshape(shape).astype(float) for array in (joint.label, joint.share, joint.silent)))


def _measures(
    judge: str, verdicts: _Verdicts, scored: ScoredSuite, models: Sequence[EvaluatedModel], bounded: bool
) -> dict[Measure, NDArray[np.float64]]:
    """Return the measures that a judge's verdicts give."""
    items = verdicts.silent.shape[1]
    measures = {Measure(f"judge_unparsable:{judge}", "judged"): verdicts.silent}
    missing = zip(models, verdicts.silent.sum(axis=(1, 2)), strict=True)
    mute = [model.name for model, count in missing if is_too_silent(int(count), items)]
    if bounded or not mute:
        measures[Measure(f"judge:{judge}", "judged")] = verdicts.equivalent
    else:
        log.warning(
            "%s: judge %s gave no verdict on more than 2 %% of the answers of %s; no table tests its scores",
            *(scored.suite, judge, ", ".join(mute)),
        )
    if bounded:
        measures[Measure(f"judge_upper:{judge}", "judged")] = np.where(verdicts.silent == 1, 1.0, verdicts.equivalent)
    if not np.isnan(verdicts.probability).any():
        measures[Measure(f"judge_probability:{judge}", "judged")] = verdicts.probability
    return measures


def items_of_scope(scored: ScoredSuite, kind: str, scope: str) -> NDArray[np.bool_]:
    """Return [item], which items a scope of the tables holds: all, those of a component, or those of a benchmark."""
    if kind == "all":
        return np.ones(len(scored.item), dtype=bool)
    inside: NDArray[np.bool_] = (scored.provenance if kind == "provenance" else scored.benchmark) == scope
    return inside


DECODINGS = ("greedy", "constrained")
_ANSWER_COLUMNS = (*KEYS, "variant", "option_order", "gold", "greedy_labels", "constrained_labels")
_DEPENDENT, _PROCEDURE = "position_dependent", "constrained_by"
"""Columns that predictions of earlier versions lack."""


@dataclass(frozen=True)
class ChoiceAnswers:
    """Answers as bits: bit p of a displayed set is the label at position p, bit i of a chosen set the item's option i.

    Attributes:
        benchmark, item, provenance, task, group: one text per item, in order of benchmark and item.
        variants: names of the variants, `original` first.
        gold: [item, variant], displayed gold labels.
        letters: [item], labels of the gold options before permutation.
        dependent: [item], whether its options depend on their place, so that they are never permuted.
        displayed: decoding → [model, item, variant], displayed labels of the answer; 0 where none were read.
        chosen: decoding → [model, item, variant], the chosen options, whatever their place.
        procedures: for each model what its constrained answers come from, if not from the automaton of local models.
    """

    suite: str
    benchmark: NDArray[np.str_]
    item: NDArray[np.str_]
    provenance: NDArray[np.str_]
    task: NDArray[np.str_]
    group: NDArray[np.str_]
    variants: tuple[str, ...]
    gold: NDArray[np.uint32]
    letters: NDArray[np.uint32]
    dependent: NDArray[np.bool_]
    displayed: dict[str, NDArray[np.uint32]]
    chosen: dict[str, NDArray[np.uint32]]
    procedures: tuple[str, ...] = ()


def read_answers(root: str | os.PathLike[str], suite: str, models: Sequence[EvaluatedModel]) -> ChoiceAnswers | None:
    """Read the models' answers to the choice questions of a suite; None if it has none.

    Raises:
        InputError: if a model did not answer the same items, in the same option orders, as the first.
    """
    first: ChoiceAnswers | None = None
    displayed: dict[str, list[NDArray[np.uint32]]] = {name: [] for name in DECODINGS}
    chosen: dict[str, list[NDArray[np.uint32]]] = {name: [] for name in DECODINGS}
    procedures: list[str] = []
    for model in models:
        file = Path(root) / layout.predictions(model.name, suite)
        answers = _read_one(file, suite)
        if answers is None:
            return None
        first = first or answers
        same = answers.variants == first.variants and all(
            np.array_equal(getattr(answers, name), getattr(first, name))
            for name in (*KEYS, "gold", "letters", "dependent")
        )
        if not same:
            raise InputError(f"{file}: items, variants or option orders differ from those of {models[0].name}")
        procedures += answers.procedures
        for name in DECODINGS:
            displayed[name].append(answers.displayed[name])
            chosen[name].append(answers.chosen[name])
    if first is None:
        return None
    pa.default_memory_pool().release_unused()  # the draws need the room
    keys = {name: getattr(first, name) for name in (*KEYS, "variants", "gold", "letters", "dependent")}
    joined = ({name: np.concatenate(arrays) for name, arrays in sets.items()} for sets in (displayed, chosen))
    return ChoiceAnswers(suite, **keys, displayed=next(joined), chosen=next(joined), procedures=tuple(procedures))


def _read_one(file: Path, suite: str) -> ChoiceAnswers | None:
    names = parquet_schema(file).names
    known = _DEPENDENT in names
    optional = [name for name in (_DEPENDENT, _PROCEDURE) if name in names]
    table = read_parquet(file, columns=[*_ANSWER_COLUMNS, *optional])
    table = table.filter(pc.not_equal(table["task"], "oeq"))
    if not len(table):
        return None
    table = table.sort_by([(name, "ascending") for name in ("benchmark", "item", "variant")])
    variants = tuple(sorted(pc.unique(table["variant"]).to_pylist()))
    whole = len(table) % len(variants) == 0 and all(
        pc.all(pc.equal(table["variant"].take(pa.array(range(place, len(table), len(variants)))), name)).as_py()
        for place, name in enumerate(variants)
    )
    if not whole:
        raise InputError(f"{file}: not every item is answered in each of the variants {', '.join(variants)}")

    def grid(values: NDArray[np.uint32]) -> NDArray[np.uint32]:
        return values.reshape(-1, len(variants))

    dependent = table[_DEPENDENT].fill_null(False) if known else pa.array([False] * len(table))
    procedures = set(pc.unique(table[_PROCEDURE]).to_pylist()) if _PROCEDURE in names else set()
    others = ", ".join(sorted(procedures - {None}))
    keys = {name: table[name].to_numpy()[:: len(variants)].astype(np.str_) for name in KEYS}
    return ChoiceAnswers(
        suite,
        **keys,
        variants=variants,
        gold=grid(label_sets(table["gold"])),
        letters=grid(original_sets(table["gold"], table["option_order"]))[:, 0],
        dependent=np.asarray(dependent)[:: len(variants)].astype(bool),
        procedures=("" if others == "automaton" else others,),
        displayed={name: grid(label_sets(table[f"{name}_labels"]))[None] for name in DECODINGS},
        chosen={name: grid(original_sets(table[f"{name}_labels"], table["option_order"]))[None] for name in DECODINGS},
    )
