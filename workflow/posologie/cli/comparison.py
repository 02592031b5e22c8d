"""What differs between two studies, as values: study files, settings, tables row by row, and answers item by item."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from posologie.cli.numbers import MEASURED
from posologie.records.artifacts import run_records
from posologie.records.files import read_json, read_parquet, read_rows
from posologie.running.errors import InputError

_COMPARED = ("spec", "code", "libraries", "backbone_revision", "chat_template_sha256")
"""What of a run record is compared between studies: what a result depends on."""

_MEASURED_APART = frozenset({"compute"})
"""Tables that hold measured time: they differ between any two runs."""

Key = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Change:
    """One cell that differs between two tables."""

    row: dict[str, str]
    column: str
    a: str
    b: str

    @property
    def change(self) -> float | None:
        """B − A, where both are numbers."""
        try:
            return float(self.b) - float(self.a)
        except ValueError:
            return None


@dataclass(frozen=True)
class PairedTable:
    """A table of two studies, row by row.

    Attributes:
        keys: columns that say what a row is about, those that both files have.
        a, b: the rows of each study by these columns.
        problem: why the rows cannot be paired; empty where they can.
    """

    name: str
    keys: tuple[str, ...]
    a: dict[Key, dict[str, str]]
    b: dict[Key, dict[str, str]]
    problem: str = ""

    @property
    def both(self) -> list[Key]:
        """The rows of both studies, in the order of A."""
        return [key for key in self.a if key in self.b]

    @cached_property
    def changes(self) -> list[Change]:
        """The measured cells that differ: values first, then the largest changes."""
        changes = [
            Change(dict(key), column, self.a[key][column], self.b[key][column])
            for key in self.both
            for column in sorted(self.a[key].keys() & self.b[key].keys() & MEASURED)
            if self.a[key][column] != self.b[key][column]
        ]
        return sorted(
            changes, key=lambda change: (change.column != "value", -abs(change.change or 0.0), str(change.row))
        )

    @cached_property
    def summary(self) -> dict[str, Any]:
        """Counts of rows and the changes, as `posologie compare --json` prints them."""
        changed = len({tuple(change.row.items()) for change in self.changes})
        return {
            "table": self.name,
            "counts": self.name not in _MEASURED_APART,
            "same": len(self.both) - changed,
            "changed": changed,
            "only_a": len(self.a.keys() - self.b.keys()),
            "only_b": len(self.b.keys() - self.a.keys()),
            "changes": [{**vars(change), "change": change.change} for change in self.changes],
            **({"problem": self.problem} if self.problem else {}),
        }


def records(root: Path) -> dict[str, dict[str, Any]]:
    """Return the run records of a study by their paths below its folder.

    Raises:
        InputError: if there is none.
    """
    files = run_records(root)
    if not files:
        raise InputError(f"{root}: holds no run record; expected the folder of a study's results")
    return {path.relative_to(root).as_posix(): read_json(path) for path in files}


def settings(
    a: Mapping[str, dict[str, Any]], b: Mapping[str, dict[str, Any]], whole: bool = False
) -> list[dict[str, Any]]:
    """Return each setting that differs, with the run records that it differs in."""
    names_of: dict[tuple[str, str, str], list[str]] = {}
    for name in sorted(a.keys() | b.keys()):
        if name not in a or name not in b:
            present = ("run record", "there" if name in a else "absent", "there" if name in b else "absent")
            names_of.setdefault(present, []).append(name)
            continue
        ours, theirs = (
            dict(flat(record if whole else {key: record.get(key) for key in _COMPARED}))
            for record in (a[name], b[name])
        )
        for key in sorted(ours.keys() | theirs.keys()):
            if ours.get(key) != theirs.get(key):
                names_of.setdefault((key, str(ours.get(key, "–")), str(theirs.get(key, "–"))), []).append(name)
    return [{"setting": key, "a": left, "b": right, "in": names} for (key, left, right), names in names_of.items()]


def flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield dotted names and values of nested maps."""
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from flat(inner, f"{name}.{key}" if name else str(key))
    else:
        yield name, value


def study_document(root: Path) -> tuple[dict[str, Any], str] | None:
    """Return the resolved study file of the run that made a study's tables last, and its path in its project.

    The path is relative, because the page that shows it may be sent around. Returns None where the work folder of that
    run is gone: runs are kept for a month, and a copy of results has none.
    """
    seals = [read_json(path) for path in (root / "tables").glob("*.seal.json")]
    runs = {str(seal.get("made", {}).get("run")): str(seal.get("made", {}).get("started")) for seal in seals}
    for run in sorted(runs, key=lambda name: runs[name], reverse=True):
        for work in (root.absolute().parent.parent / "work", Path("work")):
            files = sorted(work.glob(f"*/runs/{run}/study.json"))
            if files:
                document: dict[str, Any] = read_json(files[0])["document"]
                return document, files[0].relative_to(work.parent).as_posix()
    return None


def differing_entries(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return the dotted names under which two documents differ, with both values as JSON; `–` where there is none."""
    first, second = dict(flat(dict(a))), dict(flat(dict(b)))
    nothing = object()
    names = [key for key in dict.fromkeys([*first, *second]) if first.get(key, nothing) != second.get(key, nothing)]
    return [(name, _as_json(first.get(name, "–")), _as_json(second.get(name, "–"))) for name in names]


def _as_json(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def paired_tables(a: Path, b: Path) -> list[PairedTable]:
    """Return every table of either study, paired."""
    names = sorted({path.stem for root in (a, b) for path in (root / "tables").glob("*.csv")})
    return [_paired(name, a / "tables" / f"{name}.csv", b / "tables" / f"{name}.csv") for name in names]


def _paired(name: str, a: Path, b: Path) -> PairedTable:
    rows_a, rows_b = (read_rows(path) if path.is_file() else [] for path in (a, b))
    columns = [list(rows[0]) for rows in (rows_a, rows_b) if rows]
    keys = tuple(
        key for key in (columns[0] if columns else []) if key not in MEASURED and all(key in c for c in columns)
    )
    sides: list[dict[Key, dict[str, str]]] = []
    problem = ""
    for rows, path in ((rows_a, a), (rows_b, b)):
        by_key: dict[Key, dict[str, str]] = {}
        counts: Counter[Key] = Counter()
        for row in rows:
            key = tuple((column, row[column]) for column in keys)
            counts[key] += 1
            by_key.setdefault(key if counts[key] == 1 else (*key, ("row", str(counts[key]))), row)
        own = [column for column in (rows[0] if rows else {}) if column not in MEASURED and column not in keys]
        if own and max(counts.values(), default=0) > 1:
            problem = (
                f"{path}: several rows for one of the other study, distinguished by {', '.join(own)}; paired in order"
            )
        sides.append(by_key)
    return PairedTable(name, keys, sides[0], sides[1], problem)


@dataclass
class ChangedItem:
    """An item that some model answers otherwise.

    Attributes:
        models: model → answer in A and B, each with a sign where the answer is right or wrong.
        gained, lost: how many models are right in B alone, and in A alone.
        gold: right answers in A and B, where they differ.
    """

    suite: str
    benchmark: str
    item: str
    models: dict[str, tuple[str, str]] = field(default_factory=dict)
    gained: int = 0
    lost: int = 0
    gold: tuple[str, str] | None = None


@dataclass
class ComparedModel:
    """What became of a model's answers to the items that both studies ask."""

    model: str
    suite: str
    shared: int = 0
    same: int = 0
    gained: int = 0
    lost: int = 0
    other: int = 0
    only_a: int = 0
    only_b: int = 0


def compared_answers(a: Path, b: Path) -> tuple[list[ComparedModel], list[ChangedItem]]:
    """Return what became of the answers of every model that both studies have, and the items with another answer.

    Answers to choice questions are those under constraint in the item's own order, as options of the item; those to
    open questions are the texts. Items on which most models changed come first.
    """
    models: list[ComparedModel] = []
    items: dict[tuple[str, str, str], ChangedItem] = {}
    for path in sorted((a / "predictions").rglob("*.parquet")):
        name = path.relative_to(a / "predictions")
        twin = b / "predictions" / name
        if not twin.is_file():
            continue
        model, suite = name.parent.as_posix(), name.stem
        answers_a, answers_b = _answers(path), _answers(twin)
        compared = ComparedModel(
            model,
            suite,
            only_a=len(answers_a.keys() - answers_b.keys()),
            only_b=len(answers_b.keys() - answers_a.keys()),
        )
        for key in answers_a.keys() & answers_b.keys():
            compared.shared += 1
            (left, left_right, left_gold), (right, right_right, right_gold) = answers_a[key], answers_b[key]
            if left == right and left_gold == right_gold:
                compared.same += 1
                continue
            changed = items.setdefault((suite, *key), ChangedItem(suite, *key))
            if left_gold != right_gold:
                changed.gold = (left_gold, right_gold)
            changed.models[model] = (_signed(left, left_right), _signed(right, right_right))
            gained, lost = (left_right, right_right) == (False, True), (left_right, right_right) == (True, False)
            compared.gained, compared.lost = compared.gained + gained, compared.lost + lost
            compared.other += not (gained or lost)
            changed.gained, changed.lost = changed.gained + gained, changed.lost + lost
        models.append(compared)
    ordered = sorted(
        items.values(), key=lambda item: (-len(item.models), -item.lost, item.suite, item.benchmark, item.item)
    )
    return models, ordered


def _answers(path: Path) -> dict[tuple[str, str], tuple[str, bool | None, str]]:
    """Return, by benchmark and item, the answer, whether it is right (None: open question), and the gold options."""
    columns = ["benchmark", "item", "variant", "task", "option_order", "gold", "constrained_labels", "greedy_text"]
    answers: dict[tuple[str, str], tuple[str, bool | None, str]] = {}
    for row in read_parquet(path, columns=columns).to_pylist():
        if row["variant"] != "original":
            continue
        key = (row["benchmark"], row["item"])
        if row["task"] == "oeq":
            answers[key] = (row["greedy_text"], None, "")
            continue
        gold = _letters(row["option_order"], row["gold"])
        answer = _letters(row["option_order"], row["constrained_labels"])
        answers[key] = (answer, answer == gold, gold)
    return answers


def _letters(order: Sequence[int], labels: Sequence[int] | None) -> str:
    if labels is None:
        return "–"
    return (
        ",".join("ABCDEFGHIJKLMNOPQRSTUVWXYZ"[option] for option in sorted(order[label] for label in labels)) or "none"
    )


def _signed(answer: str, right: bool | None) -> str:
    return answer if right is None else f"{answer} {'✓' if right else '✗'}"


def models_of(root: Path) -> set[str]:
    """Return the models of a study that have answered."""
    below = root / "predictions"
    return {path.parent.relative_to(below).as_posix() for path in below.rglob("*.parquet")}
