"""Which rated questions occur in a judge's training files: its verdicts on them are no evidence."""

import csv
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet

from posologie.errors import InputError
from posologie.screening.text import normalised

_WORDS = 8
_AT_ONCE = 1000


def questions_in(questions: Iterable[str], files: Sequence[Path]) -> set[str]:
    """Return the questions that occur in files (JSON, JSONL, CSV, TSV, Parquet), in any of their texts.

    Texts are compared without case, accents, punctuation and spacing. A question of eight words or more counts wherever
    it stands inside a text, such as a whole prompt; a shorter one only where it is the whole text, because "What is the
    diagnosis?" stands in many.

    Raises:
        InputError: if a file is in none of these forms.
    """
    wanted = sorted(set(questions))
    clean = dict(zip(wanted, normalised(wanted), strict=True))
    whole, anchors = defaultdict(set), defaultdict(set)
    for question, text in clean.items():
        whole[text].add(question)
        words = text.split()
        if len(words) >= _WORDS:
            anchors[tuple(words[:_WORDS])].add(question)
    found: set[str] = set()
    for path in files:
        batch: list[str] = []
        for text in _texts(path):
            batch.append(text)
            if len(batch) == _AT_ONCE:
                found |= _among(normalised(batch), clean, whole, anchors)
                batch = []
        found |= _among(normalised(batch), clean, whole, anchors)
    return found


def _among(
    texts: Iterable[str],
    clean: dict[str, str],
    whole: dict[str, set[str]],
    anchors: dict[tuple[str, ...], set[str]],
) -> set[str]:
    found: set[str] = set()
    for text in texts:
        found |= whole.get(text, set())
        words = text.split()
        for window in zip(*(words[start:] for start in range(_WORDS)), strict=False):
            for question in anchors.get(window, ()):
                if f" {clean[question]} " in f" {text} ":
                    found.add(question)
    return found


def _texts(path: Path) -> Iterator[str]:
    """Yield every text of every record of a file."""
    suffix = path.suffix.lower()
    try:
        if suffix == ".jsonl":
            with path.open(encoding="utf-8") as lines:
                for number, line in enumerate(lines, 1):
                    if line.strip():
                        yield from _strings(_parsed(line, f"{path}, line {number}"))
        elif suffix == ".json":
            yield from _strings(_parsed(path.read_text(encoding="utf-8"), str(path)))
        elif suffix in (".csv", ".tsv"):
            with path.open(encoding="utf-8-sig", newline="") as lines:
                for row in csv.reader(lines, delimiter="\t" if suffix == ".tsv" else ","):
                    yield from row
        elif suffix == ".parquet":
            for batch in pyarrow.parquet.ParquetFile(path).iter_batches(batch_size=_AT_ONCE):
                yield from _strings(batch.to_pylist())
        else:
            raise InputError(f"{path}: expected .json, .jsonl, .csv, .tsv or .parquet")
    except FileNotFoundError:
        raise InputError(f"{path}: no such training file") from None


def _parsed(text: str, place: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"{place}: not JSON ({error.msg})") from error


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _strings(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _strings(inner)
