"""All scores of a suite: those of its choice questions, and text metrics, neural scores and judgements of open ones."""

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
from posologie.records.files import read_parquet
from posologie.running.errors import InputError
from posologie.statistics.panel import PANEL, majority
from posologie.statistics.scored import Measure, ScoredSuite, listed, read_suite
from posologie.statistics.silence import is_too_silent
from posologie.statistics.spec import EvaluatedModel, Measured, TableSpec

log = logging.getLogger(__name__)

CHOICE_TASKS = ("mcqu", "mcq")
OPEN_TASKS = ("oeq",)
BERTSCORE, WORDS = Measure("bertscore", "greedy"), Measure("words", "greedy")
"""Words are counted of every open answer, so that a suite's answers are known even if no text metric is wanted."""

_COLUMNS = ("benchmark", "item", "variant", "outcome", "label", "probability")


def scored_parts(
    root: str | os.PathLike[str], suite: str, spec: TableSpec, wanted: Callable[[Measure], bool]
) -> Iterator[tuple[Measured, ScoredSuite]]:
    """Yield the choice questions and the open questions of a suite, where it has any, with their primary metric."""
    choice = read_suite(root, suite, spec.models, CHOICE_TASKS, wanted)
    if choice is not None:
        yield spec.statistics.primary_choice, replace(choice, components=spec.components)
    opened = open_questions(root, suite, spec, wanted)
    if opened is not None:
        yield spec.statistics.primary_text, opened


def open_questions(
    root: str | os.PathLike[str],
    suite: str,
    spec: TableSpec,
    wanted: Callable[[Measure], bool] = lambda measure: True,
    *,
    bounded: bool = False,
) -> ScoredSuite | None:
    """Read all scores of a suite's open questions that are wanted; None if it has no open question.

    Judgements give `judge:{name}` (1 where the answer was found equivalent; a reply without a verdict counts as not
    equivalent), `judge_probability:{name}` where every answer has one, and `judge_unparsable:{name}`. A judge that
    gives no verdict on more than 2 % of a model's answers has no `judge:{name}`, so that nothing is tested on it.

    Args:
        bounded: keep the scores of such a judge all the same, for a table that shows bounds in their place, and add
            `judge_upper:{name}`: a reply without a verdict counts as equivalent.

    Raises:
        InputError: listing the answers that lack a score or a judgement.
    """
    scored = read_suite(root, suite, spec.models, OPEN_TASKS, lambda measure: wanted(measure) or measure == WORDS)
    if scored is None:
        return None
    values = {measure: found for measure, found in scored.values.items() if wanted(measure)}
    signatures = {measure: scored.signatures[measure] for measure in values}
    if spec.neural and wanted(BERTSCORE):
        neural = read_suite(root, suite, spec.models, OPEN_TASKS, wanted, layout.scores_neural)
        if neural is None or not np.array_equal(neural.item, scored.item) or neural.variants != scored.variants:
            raise InputError(f"scores_neural of {suite}: not on the items of its scores; expected one score an answer")
        values |= neural.values
        signatures |= neural.signatures
    verdicts = {judge: _verdicts(Path(root), judge, scored, spec.models) for judge in spec.judges}
    if spec.panel:
        verdicts[PANEL] = _of_panel([verdicts[judge] for judge in spec.panel])
    for judge, given in verdicts.items():
        for measure, found in _measures(judge, given, scored, spec.models, bounded).items():
            if wanted(measure):
                values[measure] = found
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
            raise InputError(f"{file}: no judgement of {listed(missing)}; expected one an answer")
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
        np.stack([part.ravel() for part in parts])
        for parts in ([one.equivalent for one in members], [one.silent for one in members])
    )
    found = majority(labels, silent == 1)
    return _Verdicts(*(part.reshape(shape).astype(float) for part in (found.label, found.share, found.silent)))


def _measures(
    judge: str, given: _Verdicts, scored: ScoredSuite, models: Sequence[EvaluatedModel], bounded: bool
) -> dict[Measure, NDArray[np.float64]]:
    """Return the measures that a judge's verdicts give."""
    items = given.silent.shape[1]
    found = {Measure(f"judge_unparsable:{judge}", "judged"): given.silent}
    missing = zip(models, given.silent.sum(axis=(1, 2)), strict=True)
    mute = [model.name for model, count in missing if is_too_silent(int(count), items)]
    if bounded or not mute:
        found[Measure(f"judge:{judge}", "judged")] = given.equivalent
    else:
        log.warning(
            "%s: judge %s gave no verdict on more than 2 %% of the answers of %s; no table tests its scores",
            *(scored.suite, judge, ", ".join(mute)),
        )
    if bounded:
        found[Measure(f"judge_upper:{judge}", "judged")] = np.where(given.silent == 1, 1.0, given.equivalent)
    if not np.isnan(given.probability).any():
        found[Measure(f"judge_probability:{judge}", "judged")] = given.probability
    return found


def items_of_scope(scored: ScoredSuite, kind: str, scope: str) -> NDArray[np.bool_]:
    """Return [item], which items a scope of the tables holds: all, those of a component, or those of a benchmark."""
    if kind == "all":
        return np.ones(len(scored.item), dtype=bool)
    inside: NDArray[np.bool_] = (scored.provenance if kind == "provenance" else scored.benchmark) == scope
    return inside
