"""What is known of an item: what it is sorted by, verdicts of judges and people, training items that are near it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from posologie.records import layout
from posologie.records.files import read_parquet
from posologie.records.items import read_item_table
from posologie.report.spec import BrowserSpec
from posologie.running.errors import InputError
from posologie.screening.population import KINDS

PEOPLE, JUDGE = "people", "judge "
Values = dict[str, float]

NEAR_SHOWN = 5
"""Training items that are shown beside a tested one; the others are counted."""
_MATCH = ("item", "source", "split", "kind", "matched", "similarity", "same_answer")
_TEXT = ("question", "context", "options", "gold", "answer")


def ranks(entry: Mapping[str, Any], chosen: Sequence[Sequence[set[int]]], spec: BrowserSpec) -> dict[str, float]:
    """Return what an item is sorted by, each from 0 to 100.

    Args:
        chosen: options that each model chose under each order.

    Returns:
        `disagreement`: mean absolute difference between the scores of two models (of choice questions, the share of
        pairs with one right and one wrong); `spread`: how far the models' probabilities of the options lie
        apart, as their Jensen–Shannon divergence (Lin 1991) in parts of the largest possible one; `difficulty`: 100
        less the mean score; `flips`: the share of models whose answer depends on the order of the options.
    """
    gold = set(entry["gold"])
    right = [float(options[0] == gold) for options in chosen]
    values = _open_values(entry, spec) if entry["task"] == "oeq" else right
    pairs = [abs(first - second) for first, second in combinations(values, 2)]
    flips = [any(other != options[0] for other in options) for options in chosen]
    return {
        "disagreement": 100 * sum(pairs) / len(pairs) if pairs else 0.0,
        "spread": 100 * _divergence(entry),
        "difficulty": 100 * (1 - sum(values) / len(values)) if values else 0.0,
        "flips": 100 * sum(flips) / len(flips) if entry["options"] else 0.0,
    }


def _open_values(entry: Mapping[str, Any], spec: BrowserSpec) -> list[float]:
    """Return the first judge's verdicts where every answer has one, else the text metric, of answers that have it."""
    for name in (*(JUDGE + judge for judge in spec.judges[:1]), spec.text_metric):
        values = [scores[name] for scores in entry["scores"] if scores and name in scores]
        if len(values) == len(entry["scores"]) or name == spec.text_metric:
            return values
    return []


def _divergence(entry: Mapping[str, Any]) -> float:
    """Return the Jensen–Shannon divergence of the models' probabilities in the item's own order, from 0 to 1."""
    probabilities = [np.array(answers[0][3], dtype=float) for answers in entry["said"] if answers[0][3]]
    if len(probabilities) < 2 or any(not shares.sum() for shares in probabilities):
        return 0.0
    shares = np.array([row / row.sum() for row in probabilities])
    logs = np.log2(shares, out=np.zeros_like(shares), where=shares > 0)
    middle = shares.mean(axis=0)
    of_middle = -(middle[middle > 0] * np.log2(middle[middle > 0])).sum()
    divergence = float(of_middle + (shares * logs).sum(axis=1).mean())
    return max(0.0, divergence) / float(np.log2(min(len(probabilities), shares.shape[1])))


def judged(spec: BrowserSpec, root: Path, model: str, suite: str) -> dict[tuple[str, str], Values]:
    """Return the verdict of each judge on each of a model's answers, by benchmark and item; no verdict is no value.

    Raises:
        InputError: if a judge of the spec has not judged the model.
    """
    verdicts: dict[tuple[str, str], Values] = {}
    for judge in spec.judges:
        file = root / layout.judgements(judge, model, suite)
        if not file.is_file():
            raise InputError(f"{file}: no such file; expected the verdicts of judge {judge} on {model}")
        for row in read_parquet(file, columns=["benchmark", "item", "label"]).to_pylist():
            if row["label"] is not None:
                verdicts.setdefault((row["benchmark"], row["item"]), {})[JUDGE + judge] = float(row["label"])
    return verdicts


def rated(spec: BrowserSpec, root: Path) -> dict[tuple[str, str], tuple[float, float]]:
    """Return the mean rating of each rated answer and the rating from which it counts as right, by model and item.

    Answers of generators that are no models of the study, or to questions of others, are there too and match nothing.
    """
    ratings: dict[tuple[str, str], list[float]] = {}
    threshold_of: dict[tuple[str, str], float] = {}
    for name, threshold in spec.ratings.items():
        for row in read_parquet(root / layout.human(name), columns=["item", "generator", "rating"]).to_pylist():
            key = (row["generator"], row["item"])
            ratings.setdefault(key, []).append(row["rating"])
            threshold_of.setdefault(key, threshold)
    return {key: (sum(values) / len(values), threshold_of[key]) for key, values in ratings.items()}


def with_people(values: Mapping[str, float] | None, rating: tuple[float, float] | None) -> tuple[Values | None, bool]:
    """Return an answer's values with the mean rating among them, and whether a judge decided otherwise than people."""
    if rating is None:
        return (None if values is None else dict(values)), False
    mean, threshold = rating
    verdicts = list(_verdicts(values or {}))
    differs = any((verdict >= 0.5) != (mean >= threshold) for verdict in verdicts)
    return {**(values or {}), PEOPLE: round(mean, 3)}, differs


def _verdicts(values: Mapping[str, float]) -> Iterator[float]:
    return (value for name, value in values.items() if name.startswith(JUDGE))


@dataclass
class _Near:
    """A training item that screening or an audit found near a tested one.

    Attributes:
        mixes: mix → seeds of the draws that hold it; none where screening left it out of every mix.
    """

    match: dict[str, Any]
    mixes: dict[str, list[int]] = field(default_factory=dict)

    @property
    def rank(self) -> tuple[int, int, float, str]:
        """What sorts those held by a mix first, then the closest."""
        similarity = self.match["similarity"]
        return (
            not self.mixes,
            KINDS.index(self.match["kind"]),
            -1.0 if similarity is None else -similarity,
            self.match["item"],
        )


def near_items(
    spec: BrowserSpec, root: Path, trained: Sequence[str], matches: Sequence[str]
) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """Return the training items near each tested item, by suite and tested item; the closest come first.

    The first `NEAR_SHOWN` of each come with their texts.

    Args:
        trained: shards of the sources that mixes are drawn from.
        matches: what screening found of these shards; it says what was left out of every mix.

    Raises:
        InputError: if an audit of the spec is missing, or an item that it names is in none of the shards.
    """
    near_by_item: dict[tuple[str, str], dict[str, _Near]] = {}
    for mix, seeds in spec.mixes.items():
        for seed in seeds:
            for suite in spec.suites:
                file = root / layout.leakage(mix, seed, suite)
                if not file.is_file():
                    raise InputError(f"{file}: no such file; expected the audit of mix {mix} against suite {suite}")
                for row in read_parquet(file, columns=[*_MATCH, "place"]).to_pylist():
                    if row["place"] == "test":
                        _near(near_by_item, suite, row).mixes.setdefault(mix, []).append(seed)
    for path in matches:
        table = read_parquet(path, columns=[*_MATCH, "place", "suite", "removed"])
        for row in table.filter(pc.and_(pc.equal(table["place"], "test"), table["removed"])).to_pylist():
            if row["suite"] in spec.suites:
                _near(near_by_item, row["suite"], row)
    return _with_texts(
        {key: sorted(of_item.values(), key=lambda near: near.rank) for key, of_item in near_by_item.items()}, trained
    )


def _near(near_by_item: dict[tuple[str, str], dict[str, _Near]], suite: str, row: Mapping[str, Any]) -> _Near:
    known = near_by_item.setdefault((suite, row["matched"]), {})
    return known.setdefault(row["item"], _Near({name: row[name] for name in _MATCH}))


def _with_texts(
    near_by_item: Mapping[tuple[str, str], list[_Near]], trained: Sequence[str]
) -> dict[tuple[str, str], list[dict[str, Any]]]:
    needed = pa.array(
        sorted({near_item.match["item"] for near in near_by_item.values() for near_item in near[:NEAR_SHOWN]}),
        pa.string(),
    )
    texts: dict[str, dict[str, Any]] = {}
    for path in dict.fromkeys(trained) if near_by_item else ():
        table = read_item_table(path).select(["id", *_TEXT])
        texts |= {row.pop("id"): row for row in table.filter(pc.is_in(table["id"], value_set=needed)).to_pylist()}
    shown = {}
    for key, near in near_by_item.items():
        shown[key] = [
            {
                **{name: value for name, value in near_item.match.items() if name not in ("item", "matched")},
                "id": near_item.match["item"],
                "mixes": near_item.mixes,
            }
            for near_item in near
        ]
        for line in shown[key][:NEAR_SHOWN]:
            try:
                line["text"] = texts[line["id"]]
            except KeyError:
                raise InputError(
                    f"item {line['id']} of source {line['source']} is near a tested item and in none of the shards of"
                    " --trained"
                ) from None
    return shown
