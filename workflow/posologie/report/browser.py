"""The item browser's data: one index and files of a few hundred items each, which the page loads by need.

A page opened from a folder may not fetch files, but it may load scripts: every data file is a script that hands
one JSON value to the page.
"""

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from posologie.records import layout
from posologie.records.files import read_parquet, read_text, write_text
from posologie.records.items import read_item_table
from posologie.records.tables import TableRows
from posologie.report.evidence import NEAR_SHOWN, judged, near_items, ranks, rated, with_people
from posologie.report.names import label
from posologie.report.sent import Sent
from posologie.report.spec import BrowserSpec
from posologie.running.commands import named_path, parser, run
from posologie.running.errors import InputError
from posologie.scoring.metrics import METRICS
from posologie.scoring.spec import read_scores

DISAGREE, FLIPS, JUDGE_DIFFERS, NEAR = 1, 2, 4, 8
"""Marks of an item: some models are right and others wrong; an answer moves with the option order; judge ≠ human; a mix
holds an item that is near it."""

_BEGINNING = 160
_QUESTION_COLUMNS = ("item", "benchmark", "variant", "option_order", "gold")
_ANSWER_COLUMNS = ("greedy_text", "greedy_labels", "constrained_labels", "label_probabilities", "prompt_tokens")
_ITEM = ("id", "source", "provenance", "task", "question", "context", "options", "gold", "answer", "group")
_TEXT_METRICS = tuple(name for name, entry in METRICS.items() if entry.with_answers)


@dataclass
class _Index:
    """What the page holds of all items at once: one list per column.

    Attributes:
        words: what an item is found by (see `searched`).
        right: one digit per model.
        disagreement, spread, difficulty, flips: what items are sorted by (see `ranks`).
    """

    ids: list[str] = field(default_factory=list)
    beginnings: list[str] = field(default_factory=list)
    words: list[str] = field(default_factory=list)
    benchmark: list[int] = field(default_factory=list)
    task: list[int] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)
    right: list[str] = field(default_factory=list)
    disagreement: list[float] = field(default_factory=list)
    spread: list[float] = field(default_factory=list)
    difficulty: list[float] = field(default_factory=list)
    flips: list[float] = field(default_factory=list)


def main(argv: list[str]) -> None:
    """Write the browser's index and data files."""
    arguments = parser("posologie.report.browser", "Write the data of the report's item browser.")
    arguments.add_argument("--results", required=True, type=Path, help="the study's folder")
    arguments.add_argument("--items", required=True, nargs="+", type=named_path, metavar="SOURCE=SHARD")
    arguments.add_argument("--trained", nargs="*", default=[], metavar="SHARD", help="shards that mixes are drawn from")
    arguments.add_argument("--matches", nargs="*", default=[], metavar="FILE", help="what screening found of them")
    arguments.add_argument("--backbones", nargs="*", type=named_path, default=[], metavar="FOLDER=MANIFEST")
    arguments.add_argument("--index", required=True, type=Path, help="index.js; the data files are written beside it")
    options = arguments.parse_args(argv)
    spec = BrowserSpec.from_json(options.spec)
    write_browser(
        spec,
        options.results,
        [path for _, path in options.items],
        options.index,
        trained=options.trained,
        matches=options.matches,
        manifests={name: Path(path) for name, path in options.backbones},
    )


def write_browser(
    spec: BrowserSpec,
    root: Path,
    shards: Sequence[str],
    target: Path,
    *,
    trained: Sequence[str] = (),
    matches: Sequence[str] = (),
    manifests: Mapping[str, Path] = MappingProxyType({}),
) -> None:
    """Write `index.js`, `words.js`, `0.js`, `1.js` … and delete data files of an earlier run that are no longer named.

    Args:
        shards: of the tested items.
        trained: shards of the sources that mixes are drawn from.
        matches: what screening found of the items of these.
        manifests: of the models whose chat templates wrote prompts.

    Raises:
        InputError: if models did not answer the same items in the same order, or an item is in no shard.
    """
    shelf = _Shelf(shards)
    sent = Sent(spec, manifests)
    near = near_items(spec, root, trained, matches)
    index = _Index()
    benchmarks: list[str] = []
    tasks: list[str] = []
    digests: list[str] = []
    waiting: list[dict[str, Any]] = []
    for suite in spec.suites:
        for entry in _entries(spec, root, suite, shelf, sent):
            beside = near.get((suite, entry["id"]), [])
            entry |= {"near": beside[:NEAR_SHOWN], "nearMore": len(beside[NEAR_SHOWN:])}
            name = f"{suite}: {entry['benchmark']}" if len(spec.suites) > 1 else entry["benchmark"]
            _add(index, spec, entry, _place(benchmarks, name), _place(tasks, entry["task"]))
            waiting.append(entry)
            if len(waiting) == spec.items_per_file:
                digests.append(_write(data_file(target, len(digests)), "page", [len(digests), waiting]))
                waiting = []
    if waiting:
        digests.append(_write(data_file(target, len(digests)), "page", [len(digests), waiting]))
    names = [label(model, spec.models) for model in spec.models]
    facts = {"models": names, "benchmarks": benchmarks, "tasks": tasks, "perFile": spec.items_per_file}
    facts["files"] = digests  # what the page holds of the data changes with them
    facts |= {"languages": spec.languages} if spec.languages else {}
    facts |= {"study": spec.study, "identity": hashlib.sha256("".join(digests).encode()).hexdigest()[:16]}
    facts |= {
        "frames": sent.frames,
        "audited": bool(spec.mixes),
        "seeds": max(map(len, spec.mixes.values()), default=0),
    }
    places = {model.name: place for place, model in enumerate(spec.models)}
    facts["forms"] = [[places[model] for model in form.models if model in places] for form in spec.forms]
    columns = vars(index)
    _write(target.with_name("words.js"), "words", [columns.pop("words")])  # a page that shows an item needs no words
    _write(target, "index", [{**facts, **columns}])
    for old in target.parent.glob("*.js"):
        if re.fullmatch(r"\d+", old.stem) and int(old.stem) >= len(digests):
            old.unlink()


def data_file(index: Path, number: int) -> Path:
    """Return one of the data files beside the index."""
    return index.with_name(f"{number}.js")


def read_value(path: Path, function: str) -> list[Any]:
    """Return the values that a file of the browser hands to a function of the page.

    Raises:
        InputError: if it is no such file.
    """
    text, start, end = read_text(path), f"posologie.{function}(", ");\n"
    try:
        if not (text.startswith(start) and text.endswith(end)):
            raise ValueError
        values: list[Any] = json.loads(f"[{text.removeprefix(start).removesuffix(end)}]")
    except ValueError:
        raise InputError(f"{path}: not a file of the item browser; delete it and run again") from None
    return values


class _Shelf:
    """The items of all shards, found by id."""

    def __init__(self, shards: Sequence[str]) -> None:
        table = pa.concat_tables([read_item_table(path) for path in dict.fromkeys(shards)])
        self.rows = TableRows(table)
        self.row = {item: row for row, item in enumerate(table["id"].to_pylist())}

    def items(self, ids: Sequence[str]) -> list[dict[str, Any]]:
        """Return the records of some items, in the order asked for."""
        try:
            rows = np.array([self.row[item] for item in ids], dtype=np.int64)
        except KeyError as error:
            raise InputError(f"item {error.args[0]} was predicted and is in none of the shards of --items") from None
        records: list[dict[str, Any]] = self.rows.at(rows).to_pylist()
        return records


def _entries(spec: BrowserSpec, root: Path, suite: str, shelf: _Shelf, sent: Sent) -> Iterator[dict[str, Any]]:
    """Yield one entry per item of a suite: the item, and what every model said under every variant."""
    answer_tables: list[pa.Table] = []
    questions: pa.Table | None = None
    for model in spec.models:
        file = root / layout.predictions(model.name, suite)
        table = read_parquet(file, columns=[*_QUESTION_COLUMNS, *_ANSWER_COLUMNS, "task"])
        if questions is None:
            questions = table.select([*_QUESTION_COLUMNS, "task"])
        elif not table.select(_QUESTION_COLUMNS).equals(questions.select(_QUESTION_COLUMNS)):
            raise InputError(f"{file}: other items than those of {spec.models[0].name}; expected the same, in order")
        answer_tables.append(table.select(_ANSWER_COLUMNS))
    assert questions is not None  # noqa: S101 - a spec has at least one model
    has_open = pc.any(pc.equal(questions["task"], "oeq")).as_py()
    scores = [_open_scores(spec, root, model.name, suite) if has_open else {} for model in spec.models]
    people = rated(spec, root) if has_open else {}
    names = [model.name for model in spec.models]
    first = [names.index(model) for model in sent.first_models]
    for start, end in _runs(questions, spec.items_per_file):
        rows = questions.slice(start, end - start).to_pylist()
        answers = [table.slice(start, end - start).to_pylist() for table in answer_tables]
        for entry in _batch(rows, answers, scores, shelf=shelf, suite=suite, sent=sent, first_models=first):
            yield entry | _opinions(spec, entry, people)


def _batch(
    questions: list[dict[str, Any]],
    answers: list[list[dict[str, Any]]],
    scores: list[dict[tuple[str, str], dict[str, float]]],
    shelf: _Shelf,
    suite: str,
    sent: Sent,
    first_models: Sequence[int],
) -> Iterator[dict[str, Any]]:
    rows_of: dict[tuple[str, str], list[int]] = {}
    for number, row in enumerate(questions):
        rows_of.setdefault((row["benchmark"], row["item"]), []).append(number)
    items = shelf.items([item for _, item in rows_of])
    orders = [[questions[row]["option_order"] for row in rows] for rows in rows_of.values()]
    tokens = [
        [[answers[model][row]["prompt_tokens"] for row in rows] for rows in rows_of.values()] for model in first_models
    ]
    prompts = sent.prompts(items, orders, tokens)
    for (key, rows), item, prompt in zip(rows_of.items(), items, prompts, strict=True):
        yield {
            **{name: item[name] for name in _ITEM},
            "suite": suite,
            "benchmark": key[0],
            "orders": [[questions[row]["variant"], questions[row]["option_order"]] for row in rows],
            "said": [[_answer(of_model[row]) for row in rows] for of_model in answers],
            "scores": [by_item.get(key) for by_item in scores] if item["task"] == "oeq" else None,
            "prompts": prompt,
        }


def _opinions(
    spec: BrowserSpec, entry: Mapping[str, Any], people: Mapping[tuple[str, str], tuple[float, float]]
) -> dict[str, Any]:
    """Return an entry's scores with those of people, and whether a judge decides otherwise than people."""
    if entry["scores"] is None:
        return {"differs": False, "differing": None}
    compared = [
        with_people(values, people.get((model.name, entry["id"])))
        for model, values in zip(spec.models, entry["scores"], strict=True)
    ]
    differing = [differs for _, differs in compared]
    return {"scores": [values for values, _ in compared], "differs": any(differing), "differing": differing}


def _answer(row: Mapping[str, Any]) -> list[Any]:
    """Return what a model said: its text, and the displayed positions read from it and chosen under constraint."""
    probabilities = row["label_probabilities"]
    shares = [round(100 * value) for value in probabilities] if probabilities else None
    return [row["greedy_text"], row["greedy_labels"], row["constrained_labels"], shares]


def _runs(table: pa.Table, count: int) -> Iterator[tuple[int, int]]:
    """Yield row ranges that hold about `count` items each and cut none of them in two."""
    keys = list(zip(table["benchmark"].to_pylist(), table["item"].to_pylist(), strict=True))
    starts = [row for row in range(len(keys)) if row == 0 or keys[row] != keys[row - 1]]
    if len(starts) != len(set(keys)):
        raise InputError("predictions: the rows of an item are not together; expected order by benchmark and item")
    cuts = [*starts[::count], len(keys)]
    yield from pairwise(cuts)


def _open_scores(spec: BrowserSpec, root: Path, model: str, suite: str) -> dict[tuple[str, str], dict[str, float]]:
    """Return the text metrics and the judges' verdicts of a model's open answers."""
    scores = judged(spec, root, model, suite)
    for key, values in _text_scores(root / layout.scores(model, suite)).items():
        scores[key] = scores.get(key, {}) | values
    return scores


def _text_scores(file: Path) -> dict[tuple[str, str], dict[str, float]]:
    """Return, for each open question of the original variant, its scores by metric."""
    table = read_scores(file)
    keep = pc.and_(
        pc.and_(pc.equal(table["task"], "oeq"), pc.equal(table["variant"], "original")),
        pc.is_in(table["metric"].cast(pa.string()), value_set=pa.array(_TEXT_METRICS)),
    )
    scores: dict[tuple[str, str], dict[str, float]] = {}
    for row in table.filter(keep).select(["benchmark", "item", "metric", "value"]).to_pylist():
        if row["value"] is not None:
            scores.setdefault((row["benchmark"], row["item"]), {})[row["metric"]] = round(row["value"], 4)
    return scores


def _add(index: _Index, spec: BrowserSpec, entry: Mapping[str, Any], benchmark: int, task: int) -> None:
    """Add an item's line to the index, with what it is filtered by."""
    chosen = [
        [_options(order, labels) for (_, order), (_, _, labels, _) in zip(entry["orders"], answers, strict=True)]
        for answers in entry["said"]
    ]
    gold = set(entry["gold"])
    marks = JUDGE_DIFFERS if entry["differs"] else 0
    marks |= NEAR if any(match["mixes"] for match in entry["near"]) else 0
    # Of an open question nothing is chosen, and nothing is gold: it gets neither mark.
    marks |= DISAGREE if len({options[0] == gold for options in chosen}) > 1 else 0
    marks |= FLIPS if any(other != options[0] for options in chosen for other in options) else 0
    index.ids.append(entry["id"])
    beginning = " ".join(entry["question"].split())
    index.beginnings.append(beginning if len(beginning) <= _BEGINNING else beginning[:_BEGINNING] + "…")
    index.words.append(searched(entry["question"], *entry["options"], entry["answer"]))
    index.benchmark.append(benchmark)
    index.task.append(task)
    index.marks.append(marks)
    index.right.append("".join("1" if gold and options[0] == gold else "0" for options in chosen))
    for name, value in ranks(entry, chosen, spec).items():
        getattr(index, name).append(round(value, 1))


def searched(*texts: str) -> str:
    """Return the different words of some texts, in small letters and without accents: what a search looks at."""
    plain = unicodedata.normalize("NFKD", " ".join(texts).lower())
    bare = "".join(letter for letter in plain if not unicodedata.category(letter).startswith("M"))
    return " ".join(dict.fromkeys(bare.split()))


def _options(order: Sequence[int], labels: Sequence[int] | None) -> set[int]:
    """Return the item's options that displayed labels stand for."""
    return {order[position] for position in labels or ()}


def _place(names: list[str], name: str) -> int:
    if name not in names:
        names.append(name)
    return names.index(name)


def _write(path: Path, function: str, values: list[Any]) -> str:
    """Write a file of the browser and return a checksum of what it holds."""
    arguments = ",".join(json.dumps(value, ensure_ascii=False, separators=(",", ":")) for value in values)
    write_text(path, text := f"posologie.{function}({arguments});\n")
    return hashlib.sha256(text.encode()).hexdigest()[:16]


if __name__ == "__main__":
    run(main)
