"""Two evaluations made elsewhere, compared item by item: differences with verdicts, and the position of the gold.

The numbers are those of the tables `contrasts` and `position`, with a task in the place of a benchmark: the differences
on the tasks are one family, by Holm; all tasks together are tested apart.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from posologie.prediction.outside_scores import Evaluation, ScoredAnswer
from posologie.running.errors import InputError
from posologie.statistics.contrasts import pairs_of, tested_pairs
from posologie.statistics.entries import all_entries, arm_entries
from posologie.statistics.estimates import Resampled
from posologie.statistics.position import suite_rows
from posologie.statistics.scored import Measure, ScoredSuite
from posologie.statistics.spec import EvaluatedModel, Family, Measured, Statistics
from posologie.statistics.suites import ChoiceAnswers
from posologie.statistics.verdicts import judge_families

DIFFERENCES = (
    "task", "aggregate", "metric", "n", "clusters", "only_a", "only_b", "other_prompts", "a", "b", "value", "low",
    "high", "simultaneous_low", "simultaneous_high", "level", "p_value", "p_mcnemar", "p_adjusted", "family_size",
    "correction", "margin", "p_equivalent", "detectable", "settles_at_items", "verdict", "note",
)  # fmt: skip
POSITIONS = ("task", "statistic", "label", "model", "n", "value", "low", "high", "level", "interval", "note")
TOGETHER = "all"
PREFERRED = ("acc", "exact_match")
"""Metrics that are compared where a task has them and none is asked for; then the first that the file names."""

_SUITE, _PART = "audit", "outside"
_MEASURE = Measure("em", "greedy")
_MODELS = tuple(EvaluatedModel(name=f"published/{side}", kind="published") for side in "AB")


@dataclass(frozen=True)
class Audit:
    """What two evaluations say.

    Attributes:
        differences: rows of `DIFFERENCES`, B − A in points, all tasks together first.
        positions: rows of `POSITIONS`, for tasks whose gold and chosen options are known.
        left_out: tasks that are not compared, with the reason.
        unplaced: compared tasks whose gold or chosen options are not known.
    """

    differences: list[dict[str, Any]]
    positions: list[dict[str, Any]]
    left_out: dict[str, str]
    unplaced: list[str]


@dataclass(frozen=True)
class _Task:
    """The items that both evaluations hold of a task, and the metric that is compared."""

    name: str
    metric: str
    pairs: list[tuple[ScoredAnswer, ScoredAnswer]]
    only: tuple[int, int]


def audited(a: Evaluation, b: Evaluation, settings: Statistics, metrics: Sequence[str] = ()) -> Audit:
    """Compare two evaluations on the items that both hold.

    Args:
        settings: level, margin, draws.
        metrics: those that may be compared, the first that a task has; `PREFERRED` if left out.

    Raises:
        InputError: if they share no task with a metric between 0 and 1, or an id means two questions.
    """
    left_out: dict[str, str] = {}
    tasks = []
    for name in sorted(a.tasks.keys() | b.tasks.keys()):
        if name in a.tasks and name in b.tasks:
            compared = _task(name, a, b, metrics)
            if isinstance(compared, _Task):
                tasks.append(compared)
            else:
                left_out[name] = compared
        else:
            left_out[name] = f"only in {'A' if name in a.tasks else 'B'}"
    if not tasks:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in left_out.items())
        raise InputError(f"{a.name} and {b.name}: no task can be compared ({reasons})")
    placed = [task for task in tasks if all(answer.gold is not None for pair in task.pairs for answer in pair)]
    return Audit(
        _differences(tasks, settings),
        _positions(placed, settings) if placed else [],
        left_out,
        [task.name for task in tasks if task not in placed],
    )


def _task(name: str, a: Evaluation, b: Evaluation, metrics: Sequence[str]) -> _Task | str:
    """Return what is compared of a task, or why nothing is."""
    of_a, of_b = a.tasks[name], b.tasks[name]
    both = sorted(of_a.keys() & of_b.keys())
    if not both:
        return "no item is in both"
    pairs = [(of_a[item], of_b[item]) for item in both]
    for first, second in pairs:
        if first.question and second.question and first.question != second.question:
            raise InputError(
                f"{second.place}: item {second.item} is not the question of {first.place}; expected the same data"
            )
        if first.gold is not None and second.gold is not None and first.gold != second.gold:
            raise InputError(f"{second.place}: item {second.item} has another right option than in {first.place}")
    metric = _metric(name, pairs, metrics, a.falling | b.falling)
    if metric is None:
        known = ", ".join(sorted({key for pair in pairs for answer in pair for key in answer.scores})) or "none"
        return f"no metric between 0 and 1 where higher is better (it has: {known})"
    return _Task(name, metric, pairs, (len(of_a) - len(both), len(of_b) - len(both)))


def _metric(
    name: str,
    pairs: Sequence[tuple[ScoredAnswer, ScoredAnswer]],
    metrics: Sequence[str],
    falling: frozenset[tuple[str, str]],
) -> str | None:
    everywhere = [key for key in pairs[0][0].scores if all(key in answer.scores for pair in pairs for answer in pair)]
    usable = [
        key
        for key in everywhere
        if (name, key) not in falling and all(0 <= answer.scores[key] <= 1 for pair in pairs for answer in pair)
    ]
    preferred = metrics or [*PREFERRED, *usable]
    return next((key for key in preferred if key in usable), None)


def _settings_with_family(settings: Statistics, tasks: Sequence[_Task]) -> Statistics:
    family = Family(
        suites=(_SUITE,),
        measured=Measured(metric=_MEASURE.metric, decoding="greedy"),
        scopes=tuple(f"benchmark:{task.name}" for task in tasks),
        contrasts=(("B", "A"),),
    )
    return settings.model_copy(update={"families": {"tasks": family}, "contrasts": ()})


def _keys(tasks: Sequence[_Task]) -> dict[str, Any]:
    """Return [item] each: task, id, case and the constant columns of an audit."""
    rows = [(task.name, pair[0].item, pair[0].group) for task in tasks for pair in task.pairs]
    count = len(rows)
    return {
        "benchmark": np.array([row[0] for row in rows]),
        "item": np.array([row[1] for row in rows]),
        "group": np.array([f"{row[0]}/{row[2]}" for row in rows]),
        "provenance": np.full(count, _PART),
        "task": np.full(count, "mcqu"),
    }


def _differences(tasks: Sequence[_Task], settings: Statistics) -> list[dict[str, Any]]:
    values = np.array([[pair[side].scores[task.metric] for task in tasks for pair in task.pairs] for side in (0, 1)])
    scored = ScoredSuite(
        suite=_SUITE,
        models=_MODELS,
        variants=("original",),
        values={_MEASURE: values[:, :, None]},
        signatures={_MEASURE: ""},
        **_keys(tasks),
    )
    own = _settings_with_family(settings, tasks)
    pairs = pairs_of(arm_entries(_MODELS), [("B", "A")])
    tests = list(tested_pairs(Resampled(scored, own), _MEASURE, "original", pairs, None))
    shown = {("benchmark", "item_weighted")} | (
        {("all", "item_weighted"), ("all", "mean_of_benchmarks")} if len(tasks) > 1 else set()
    )
    chosen = [test for test in tests if (test.row["scope_kind"], test.row["aggregate"]) in shown]
    by_name = {task.name: task for task in tasks}
    return [_row(row, by_name) for row in judge_families(chosen, own, demonstration=False)]


def _row(row: dict[str, Any], tasks: dict[str, _Task]) -> dict[str, Any]:
    together = row["scope_kind"] == "all"
    mine = list(tasks.values()) if together else [tasks[row["scope"]]]
    own = {
        "task": TOGETHER if together else row["scope"],
        "aggregate": {"item_weighted": "items", "mean_of_benchmarks": "tasks"}[row["aggregate"]] if together else "",
        "metric": ", ".join(sorted({task.metric for task in mine})),
        "only_a": sum(task.only[0] for task in mine),
        "only_b": sum(task.only[1] for task in mine),
        "other_prompts": sum(bool(first.prompt and second.prompt and first.prompt != second.prompt)
                             for task in mine for first, second in task.pairs),
        "a": row["right_value"],
        "b": row["left_value"],
    }  # fmt: skip
    return {column: own[column] if column in own else row[column] for column in DIFFERENCES}


def _positions(tasks: Sequence[_Task], settings: Statistics) -> list[dict[str, Any]]:
    pairs = [pair for task in tasks for pair in task.pairs]
    gold = np.array([1 << int(pair[0].gold or 0) for pair in pairs], dtype=np.uint32)
    chosen = np.array([[[1 << int(pair[side].chosen or 0)] for pair in pairs] for side in (0, 1)], dtype=np.uint32)
    answers = ChoiceAnswers(
        _SUITE,
        variants=("original",),
        gold=gold[:, None],
        letters=gold,
        dependent=np.zeros(len(pairs), dtype=bool),
        displayed={"greedy": chosen},
        chosen={"greedy": chosen},
        **_keys(tasks),
    )
    rows = []
    for row in suite_rows(answers, all_entries(_MODELS), settings):
        is_shown = row["statistic"] in ("gold_share", "predicted_share", "recall", "recall_spread")
        if is_shown and (row["scope_kind"] == "benchmark" or (row["scope_kind"] == "all" and len(tasks) > 1)):
            task = TOGETHER if row["scope_kind"] == "all" else row["scope"]
            own = {"task": task, "model": row["model"].removeprefix("published/")}
            rows.append({column: own[column] if column in own else row[column] for column in POSITIONS})
    return rows
