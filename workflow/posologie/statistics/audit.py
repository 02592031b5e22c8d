"""Two evaluations that somebody else made, compared item by item: differences with verdicts, and the place of the gold.

The numbers are those of the tables `contrasts` and `position`, with a task in the place of a benchmark: the differences
on the tasks are one family, by Holm; all tasks together are tested apart.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from posologie.prediction.outside_scores import Evaluation, ScoredAnswer
from posologie.running.errors import InputError
from posologie.statistics.answers import ChoiceAnswers
from posologie.statistics.contrasts import pairs_of, tested_pairs
from posologie.statistics.entries import all_entries, arm_entries
from posologie.statistics.estimates import Resampled
from posologie.statistics.families import judge_families
from posologie.statistics.position import suite_rows
from posologie.statistics.scored import Measure, ScoredSuite
from posologie.statistics.spec import EvaluatedModel, Family, Measured, Statistics

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
            found = _task(name, a, b, metrics)
            if isinstance(found, _Task):
                tasks.append(found)
            else:
                left_out[name] = found
        else:
            left_out[name] = f"only in {'A' if name in a.tasks else 'B'}"
    if not tasks:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in left_out.items())
        raise InputError(f"{a.name} and {b.name}: no task can be compared ({reasons})")
    placed = [task for task in tasks if all(one.gold is not None for pair in task.pairs for one in pair)]
    return Audit(
        _differences(tasks, settings),
        _positions(placed, settings) if placed else [],
        left_out,
        [task.name for task in tasks if task not in placed],
    )


def _task(name: str, a: Evaluation, b: Evaluation, metrics: Sequence[str]) -> _Task | str:
    """Return what is compared of a task, or why nothing is."""
    here, there = a.tasks[name], b.tasks[name]
    both = sorted(here.keys() & there.keys())
    if not both:
        return "no item is in both"
    pairs = [(here[item], there[item]) for item in both]
    for one, other in pairs:
        if one.question and other.question and one.question != other.question:
            raise InputError(
                f"{other.place}: item {other.item} is not the question of {one.place}; expected the same data"
            )
        if one.gold is not None and other.gold is not None and one.gold != other.gold:
            raise InputError(f"{other.place}: item {other.item} has another right option than in {one.place}")
    metric = _metric(name, pairs, metrics, a.falling | b.falling)
    if metric is None:
        known = ", ".join(sorted({key for pair in pairs for one in pair for key in one.scores})) or "none"
        return f"no metric between 0 and 1 where higher is better (it has: {known})"
    return _Task(name, metric, pairs, (len(here) - len(both), len(there) - len(both)))


def _metric(
    name: str,
    pairs: Sequence[tuple[ScoredAnswer, ScoredAnswer]],
    metrics: Sequence[str],
    falling: frozenset[tuple[str, str]],
) -> str | None:
    everywhere = [key for key in pairs[0][0].scores if all(key in one.scores for pair in pairs for one in pair)]
    usable = [
        key
        for key in everywhere
        if (name, key) not in falling and all(0 <= one.scores[key] <= 1 for pair in pairs for one in pair)
    ]
    wanted = metrics or [*PREFERRED, *usable]
    return next((key for key in wanted if key in usable), None)


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
    found = list(tested_pairs(Resampled(scored, own), _MEASURE, "original", pairs, None))
    wanted = {("benchmark", "item_weighted")} | (
        {("all", "item_weighted"), ("all", "mean_of_benchmarks")} if len(tasks) > 1 else set()
    )
    chosen = [one for one in found if (one.row["scope_kind"], one.row["aggregate"]) in wanted]
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
        "other_prompts": sum(bool(one.prompt and other.prompt and one.prompt != other.prompt)
                             for task in mine for one, other in task.pairs),
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
        kept = row["statistic"] in ("gold_share", "predicted_share", "recall", "recall_spread")
        if kept and (row["scope_kind"] == "benchmark" or (row["scope_kind"] == "all" and len(tasks) > 1)):
            task = TOGETHER if row["scope_kind"] == "all" else row["scope"]
            own = {"task": task, "model": row["model"].removeprefix("published/")}
            rows.append({column: own[column] if column in own else row[column] for column in POSITIONS})
    return rows
