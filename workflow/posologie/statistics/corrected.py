"""The table of corrected scores: each model's share of right answers as people would judge them, and its differences.

A judge's verdicts on all answers of a suite are joined with people's ratings of some of them
(`posologie.statistics.prediction_powered`). A set of ratings counts where it holds answers of the study's own models:
those of a kit, or others with the items' ids and the models' names. What people say of an answer is their mean rating
on a binary scale, and 0 or 1 by the set's threshold on an ordinal one.

A component or a benchmark is estimated as a domain (Särndal, Swensson and Wretman 1992, chapter 10): its rated answers
keep the weights that they have in the whole suite, because a draw that knew nothing of the domain gave each of its
answers the same chance as any other answer of the stratum.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posologie.records import layout
from posologie.records.files import read_parquet
from posologie.running.commands import run
from posologie.running.errors import InputError
from posologie.statistics.intervals import holm
from posologie.statistics.judged import PANEL, is_too_silent, majority, silence_note
from posologie.statistics.prediction_powered import (
    FEWEST,
    Answers,
    Corrected,
    corrected,
    further_ratings,
    mean_of,
    rogan_gladen,
)
from posologie.statistics.spec import CorrectedSpec, EvaluatedModel
from posologie.statistics.tables import Latex, table_arguments, write_table

COLUMNS = (
    "set", "suite", "scope_kind", "scope", "judge", "kind", "model", "against",
    "n", "clusters", "rated", "stale", "silent", "unit",
    "naive", "naive_low", "naive_high", "value", "low", "high", "level", "interval", "tuning",
    "rogan_gladen", "rogan_gladen_low", "rogan_gladen_high", "worth", "more_ratings", "p_value", "p_holm", "note",
)  # fmt: skip
LATEX = Latex(
    "Judged scores, uncorrected and corrected by people's ratings, in percent and points.",
    index=("set", "suite", "judge", "model", "against"),
    where={"scope_kind": ("all",)},
    show=("naive", "value", "rated", "p_holm"),
)
ADAPTERS = "for these trained adapters"
Key = tuple[str, str]
"""Benchmark and item."""


@dataclass(frozen=True)
class Ratings:
    """People's ratings by model and item: what they say (0 to 1), the weight, and the text that they saw."""

    human: Mapping[Key, float]
    weight: Mapping[Key, float]
    candidate: Mapping[Key, str]


@dataclass(frozen=True)
class Verdicts:
    """A judge's verdicts on a model's answers, in the order of benchmark and item: [answer] each."""

    keys: tuple[Key, ...]
    provenance: NDArray[np.str_]
    group: NDArray[np.str_]
    label: NDArray[np.float64]
    score: NDArray[np.float64]
    silent: NDArray[np.bool_]

    def scopes(self) -> list[tuple[str, str]]:
        """Return kind and name of each scope: all answers, then each component, then each benchmark."""
        provenances = [("provenance", str(name)) for name in np.unique(self.provenance)]
        return [("all", "all"), *provenances, *(("benchmark", name) for name in sorted({key[0] for key in self.keys}))]

    def within(self, kind: str, scope: str) -> "Verdicts":
        """Return the verdicts on the answers of a scope."""
        if kind == "all":
            return self
        inside = self.provenance == scope if kind == "provenance" else np.array([key[0] == scope for key in self.keys])
        keys = tuple(key for key, held in zip(self.keys, inside, strict=True) if held)
        columns = (column[inside] for column in (self.provenance, self.group, self.label, self.score, self.silent))
        return Verdicts(keys, *columns)


@dataclass(frozen=True)
class Judged:
    """One model, or one mix over its seeds, with what a judge and people say of its answers."""

    name: str
    label: str
    estimate: Corrected | None
    naive: Corrected | None
    row: dict[str, Any]


def main(argv: list[str]) -> None:
    """Write the table; Holm's correction is over the differences of one set, suite, judge and scope."""
    options = table_arguments("posologie.statistics.corrected", __doc__ or "").parse_args(argv)
    spec, root = CorrectedSpec.from_json(options.spec), Path(options.results)
    rows: list[dict[str, Any]] = []
    for name in spec.sets:
        ratings = read_ratings(root / layout.human(name), spec.thresholds.get(name))
        rated_models = {model for model, _ in ratings.human} if ratings is not None else set()
        if ratings is None or not any(model.name in rated_models for model in spec.models):
            continue
        for suite in spec.suites:
            texts = {model.name: _texts(root / layout.predictions(model.name, suite)) for model in spec.models}
            for judge in (*spec.judges, *((PANEL,) if spec.panel else ())):
                verdicts = {model.name: _verdicts(root, judge, model.name, suite, spec) for model in spec.models}
                for kind, scope in next(iter(verdicts.values())).scopes():
                    about = {"set": name, "suite": suite, "judge": judge, "scope_kind": kind, "scope": scope}
                    inside = {model: of_model.within(kind, scope) for model, of_model in verdicts.items()}
                    rows.extend({**row, **about} for row in _rows(ratings, inside, texts, spec))
    write_table(options.table, COLUMNS, rows, LATEX)


def read_ratings(file: Path, threshold: float | None) -> Ratings | None:
    """Read a set of ratings; None where nothing is right or wrong, as on an ordinal scale without a threshold.

    Raises:
        InputError: if a column is missing.
    """
    table = read_parquet(file)
    columns = ("item", "generator", "candidate", "weight", "rating")
    if missing := [name for name in columns if name not in table.column_names]:
        raise InputError(f"{file}: column '{missing[0]}' is missing; expected a table of ratings")
    by_answer: dict[Key, list[float]] = {}
    weight, candidate = {}, {}
    for row in table.select(list(columns)).to_pylist():
        key = row["generator"], row["item"]
        by_answer.setdefault(key, []).append(row["rating"])
        weight[key], candidate[key] = row["weight"], row["candidate"]
    binary = all(rating in (0.0, 1.0) for ratings in by_answer.values() for rating in ratings)
    means = {key: sum(ratings) / len(ratings) for key, ratings in by_answer.items()}
    if binary and threshold in (None, 0.5):
        return Ratings(means, weight, candidate)
    if threshold is None:
        return None
    return Ratings({key: float(mean >= threshold) for key, mean in means.items()}, weight, candidate)


def _texts(file: Path) -> dict[Key, str]:
    columns = ["benchmark", "item", "variant", "task", "greedy_text"]
    rows = read_parquet(file, columns=columns).to_pylist()
    return {(row["benchmark"], row["item"]): row["greedy_text"] for row in rows if row["task"] == "oeq"}


def _verdicts(root: Path, judge: str, model: str, suite: str, spec: CorrectedSpec) -> Verdicts:
    """Read a judge's verdicts; its score is the probability of "1" where every answer has one, else the verdict."""
    if judge == PANEL:
        members = [_verdicts(root, member, model, suite, spec) for member in spec.panel]
        joint = majority(
            np.stack([member.label for member in members]), np.stack([member.silent for member in members])
        )
        first = members[0]
        return Verdicts(first.keys, first.provenance, first.group, joint.label, joint.share, joint.silent)
    table = read_parquet(root / layout.judgements(judge, model, suite))
    rows = [row for row in table.to_pylist() if row["variant"] == "original"]
    rows.sort(key=lambda row: (row["benchmark"], row["item"]))
    label = np.array([float(row["label"] == 1) for row in rows])
    has_probabilities = all(row["probability"] is not None for row in rows)
    return Verdicts(
        tuple((row["benchmark"], row["item"]) for row in rows),
        np.array([row["provenance"] for row in rows]),
        np.array([row["group"] for row in rows]),
        label,
        np.array([row["probability"] for row in rows], dtype=float) if has_probabilities else label,
        np.array([row["outcome"] != "label" for row in rows]),
    )


def _rows(
    ratings: Ratings, verdicts: Mapping[str, Verdicts], texts: Mapping[str, Mapping[Key, str]], spec: CorrectedSpec
) -> Iterator[dict[str, Any]]:
    """Yield a row for each model, each mix over several seeds, and each difference."""
    names = sorted({name for of_model in verdicts.values() for name in of_model.group})
    groups = {name: place for place, name in enumerate(names)}
    single = [_model(model, verdicts[model.name], ratings, texts[model.name], groups, spec) for model in spec.models]
    arms: dict[tuple[str, ...], list[int]] = {}
    for place, model in enumerate(spec.models):
        key = (model.kind, model.backbone or "", model.mix or "") if model.kind == "mix" else (model.kind, model.name)
        arms.setdefault(key, []).append(place)
    joined = [
        single[places[0]]
        if len(places) == 1
        else _mix(spec.models[places[0]], [single[index] for index in places], spec)
        for places in arms.values()
    ]
    yield from (judged.row for judged in single)
    yield from (judged.row for judged, places in zip(joined, arms.values(), strict=True) if len(places) > 1)
    of_arm = {
        (spec.models[places[0]].backbone or "", judged.label): judged
        for judged, places in zip(joined, arms.values(), strict=True)
    }
    pairs = [
        ((backbone, label), (backbone, other))
        for backbone, label in of_arm
        for other in dict.fromkeys(["base", *(second for first, second in spec.statistics.contrasts if first == label)])
        if label != other and (backbone, other) in of_arm
    ]
    differences = [_difference(of_arm[left], of_arm[right], spec) for left, right in pairs]
    tested = [row for row in differences if row["p_value"] is not None]
    for row, adjusted in zip(tested, holm(np.array([row["p_value"] for row in tested])), strict=True):
        row["p_holm"] = float(adjusted)
    yield from differences


def _model(
    model: EvaluatedModel,
    verdicts: Verdicts,
    ratings: Ratings,
    texts: Mapping[Key, str],
    groups: Mapping[str, int],
    spec: CorrectedSpec,
) -> Judged:
    level = spec.statistics.level
    human, weight, stale = np.full(len(verdicts.keys), np.nan), np.ones(len(verdicts.keys)), 0
    for place, key in enumerate(verdicts.keys):
        answer = model.name, key[1]
        if answer not in ratings.human:
            continue
        if " ".join(ratings.candidate[answer].split()) != " ".join(texts.get(key, "").split()):
            stale += 1  # people rated another answer to this question
            continue
        human[place], weight[place] = ratings.human[answer], ratings.weight[answer]
    cluster = np.array([groups[group] for group in verdicts.group])
    answers = Answers(cluster, verdicts.score, human, weight)
    rated = int(answers.rated.sum())
    everything = Answers(cluster, verdicts.label, verdicts.label, np.ones(len(human)))
    naive = corrected(everything, len(groups), 0.0) if len(np.unique(cluster)) > 1 else None
    clusters = len(np.unique(cluster[answers.rated]))
    silent = int(verdicts.silent.sum())
    notes = [f"{stale} ratings of other answers to these questions left out"] if stale else []
    row = dict.fromkeys(COLUMNS) | {
        "kind": "model",
        "model": model.name,
        "against": "",
        "n": len(human),
        "clusters": clusters,
        "rated": rated,
        "stale": stale,
        "silent": silent,
        "unit": "%",
        "level": level,
        "interval": "none",
    }
    if is_too_silent(silent, len(human)):
        notes.append(silence_note(silent, len(human)))
    elif naive is not None:
        row |= _naive(naive.value, naive.share_interval(level))
    estimate = None
    if clusters < FEWEST:
        notes.append(f"fewer than {FEWEST} rated questions" if rated else "no rated answer")
    else:
        estimate = corrected(answers, len(groups))
        alone = corrected(answers, len(groups), 0.0)
        verdict = Answers(cluster, verdicts.label, human, weight)
        check = rogan_gladen(verdict, len(groups), level)
        row |= _value(min(max(estimate.value, 0.0), 1.0), estimate.share_interval(level), "prediction-powered")
        row |= {"tuning": estimate.tuning, "worth": round(rated * alone.variance / estimate.variance)}
        row |= {"more_ratings": further_ratings(estimate, rated, len(human))}
        if check is not None:
            names = ("rogan_gladen", "rogan_gladen_low", "rogan_gladen_high")
            row |= {name: 100 * value for name, value in zip(names, check, strict=True)}
    label = model.mix or ("base" if model.kind == "base" else model.name.removeprefix("published/"))
    return Judged(model.name, label, estimate, naive, row | {"note": "; ".join(notes)})


def _mix(model: EvaluatedModel, members: Sequence[Judged], spec: CorrectedSpec) -> Judged:
    """Return the mean of a mix over its seeds; the adapters are taken as they are."""
    level, name = spec.statistics.level, f"{model.backbone}/{model.mix}"
    estimates = [member.estimate for member in members if member.estimate is not None]
    estimate = mean_of(estimates) if len(estimates) == len(members) else None
    naives = [member.naive for member in members if member.naive is not None]
    naive = mean_of(naives) if len(naives) == len(members) else None
    row = dict.fromkeys(COLUMNS) | {
        **{column: members[0].row[column] for column in ("kind", "against", "n", "unit", "level", "interval")},
        **{column: sum(member.row[column] for member in members) for column in ("rated", "stale", "silent")},
        "model": name,
        "clusters": min(member.row["clusters"] for member in members),
        "note": ADAPTERS,
    }
    if naive is not None and all(member.row["naive"] is not None for member in members):
        row |= _naive(naive.value, naive.share_interval(level))
    if estimate is not None:
        row |= _value(min(max(estimate.value, 0.0), 1.0), estimate.share_interval(level), "prediction-powered")
        row["tuning"] = estimate.tuning
    else:
        row["interval"] = "none"
    return Judged(name, members[0].label, estimate, naive, row)


def _difference(left: Judged, right: Judged, spec: CorrectedSpec) -> dict[str, Any]:
    level = spec.statistics.level
    row = dict.fromkeys(COLUMNS) | {
        "kind": "difference",
        "model": left.name,
        "against": right.name,
        "n": left.row["n"],
        "clusters": min(left.row["clusters"], right.row["clusters"]),
        "rated": left.row["rated"] + right.row["rated"],
        "stale": left.row["stale"] + right.row["stale"],
        "silent": left.row["silent"] + right.row["silent"],
        "unit": "%",
        "level": level,
        "interval": "none",
        "note": "; ".join(
            dict.fromkeys(note for side in (left, right) for note in side.row["note"].split("; ") if note)
        ),
    }
    if left.naive is not None and right.naive is not None and None not in (left.row["naive"], right.row["naive"]):
        naive = left.naive.minus(right.naive)
        row |= _naive(naive.value, _possible(naive.interval(level)))
    if left.estimate is not None and right.estimate is not None:
        difference = left.estimate.minus(right.estimate)
        row |= _value(difference.value, _possible(difference.interval(level)), "prediction-powered")
        row["p_value"] = difference.p_value()
        rated, answers = (left.row[column] + right.row[column] for column in ("rated", "n"))
        row["more_ratings"] = further_ratings(difference, rated, answers)
    return row


def _possible(interval: tuple[float, float]) -> tuple[float, float]:
    """Return an interval of a difference of two shares, cut where no difference can be."""
    return max(-1.0, interval[0]), min(1.0, interval[1])


def _naive(value: float, interval: tuple[float, float]) -> dict[str, Any]:
    return {"naive": 100 * value, "naive_low": 100 * interval[0], "naive_high": 100 * interval[1]}


def _value(value: float, interval: tuple[float, float], method: str) -> dict[str, Any]:
    return {"value": 100 * value, "low": 100 * interval[0], "high": 100 * interval[1], "interval": method}


if __name__ == "__main__":
    run(main)
