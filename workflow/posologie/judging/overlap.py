"""What of the rated answers occurs in a judge's training files: its verdicts on them are no evidence.

Texts are compared without case, accents, punctuation and spacing. A question of eight words or more counts wherever it
stands inside a text, such as a whole prompt; a shorter one only where it is the whole text, because "What is the
diagnosis?" stands in many. A *triple* is a question with its reference and the rated answer, all in one record: a judge
that was trained on it has seen the very answer with, most likely, its label.
"""

import csv
import gzip
import itertools
import json
import zlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import pyarrow.parquet

from posologie.records.tables import read_rows
from posologie.running.errors import InputError
from posologie.screening.text import normalised

_WORDS = 8
_AT_ONCE = 1000


@dataclass
class Overlap:
    """What was found in some files.

    Attributes:
        questions: those that occur in them.
        triples: ids of the rated answers whose question, reference and answer occur in one record.
        by_file: for each file, its records, and how many questions and triples occur in it.
    """

    questions: set[str] = field(default_factory=set)
    triples: set[str] = field(default_factory=set)
    by_file: dict[str, dict[str, int]] = field(default_factory=dict)


def training_files(named: Sequence[Path]) -> list[Path]:
    """Return the files that a judge's training data are: a folder stands for every file below it that can be read.

    Raises:
        InputError: if a file is missing or of another form, or a folder holds none that can be read.
    """
    files: list[Path] = []
    for path in named:
        if path.is_dir():
            below = sorted(file for file in path.rglob("*") if file.is_file() and _form(file) in _READERS)
            if not below:
                raise InputError(f"{path}: a folder without a training file; expected {_expected()}")
            files += below
        elif not path.is_file():
            raise InputError(f"{path}: no such training file")
        elif _form(path) not in _READERS:
            raise InputError(f"{path}: expected {_expected()}")
        else:
            files.append(path)
    return list(dict.fromkeys(files))


def overlap(answers: Sequence[Mapping[str, str]], files: Sequence[Path]) -> Overlap:
    """Return what of some rated answers occurs in files, each of which is read to its end.

    Args:
        answers: `answer` (an id), `question`, `reference` and `candidate` of each.

    Raises:
        InputError: if a file is missing or cannot be read.
    """
    searched = _Wanted.of(answers)
    total = Overlap()
    for path in training_files(files):
        records = 0
        questions: set[str] = set()
        triples: set[str] = set()
        batch: list[list[str]] = []
        for record in _READERS[_form(path)](path):
            batch.append(record)
            records += 1
            if len(batch) == _AT_ONCE:
                _look(batch, searched, questions, triples)
                batch = []
        _look(batch, searched, questions, triples)
        total.questions |= questions
        total.triples |= triples
        total.by_file[str(path)] = {"records": records, "questions": len(questions), "triples": len(triples)}
    return total


@dataclass(frozen=True)
class _Wanted:
    """The texts that are looked for, normalised.

    Attributes:
        clean: question → its normalised text.
        whole: normalised text → the questions that it is.
        anchors: first words → the questions that begin with them.
        of_question: question → id, normalised reference and answer of each of its rated answers.
    """

    clean: dict[str, str]
    whole: dict[str, set[str]]
    anchors: dict[tuple[str, ...], set[str]]
    of_question: dict[str, list[tuple[str, str, str]]]

    @classmethod
    def of(cls, answers: Sequence[Mapping[str, str]]) -> "_Wanted":
        questions = sorted({row["question"] for row in answers})
        clean = dict(zip(questions, normalised(questions), strict=True))
        whole, anchors = defaultdict(set), defaultdict(set)
        for question, text in clean.items():
            whole[text].add(question)
            words = text.split()
            if len(words) >= _WORDS:
                anchors[tuple(words[:_WORDS])].add(question)
        of_question = defaultdict(list)
        references, candidates = (normalised([row[name] for row in answers]) for name in ("reference", "candidate"))
        for row, reference, candidate in zip(answers, references, candidates, strict=True):
            of_question[row["question"]].append((row["answer"], reference, candidate))
        return cls(clean, whole, anchors, of_question)


def _look(batch: Sequence[Sequence[str]], searched: _Wanted, questions: set[str], triples: set[str]) -> None:
    """Add what occurs in some records, each a list of texts."""
    texts = normalised([text for record in batch for text in record])
    start = 0
    for record in batch:
        own = texts[start : start + len(record)]
        start += len(record)
        matched = _among(own, searched)
        questions |= matched
        if matched:
            whole = f" {' | '.join(own)} "
            for question in matched:
                triples.update(
                    answer
                    for answer, reference, candidate in searched.of_question[question]
                    if reference and candidate and f" {reference} " in whole and f" {candidate} " in whole
                )


def _among(texts: Iterable[str], searched: _Wanted) -> set[str]:
    questions: set[str] = set()
    for text in texts:
        questions |= searched.whole.get(text, set())
        words = text.split()
        for window in zip(*(words[start:] for start in range(_WORDS)), strict=False):
            for question in searched.anchors.get(window, ()):
                if f" {searched.clean[question]} " in f" {text} ":
                    questions.add(question)
    return questions


def _form(path: Path) -> str:
    """Return the suffix that says how a file is read; one more says that it is compressed."""
    return Path(path.name.lower().removesuffix(".gz")).suffix


@contextmanager
def _opened(path: Path) -> Iterator[IO[str]]:
    """Open a text, compressed or not; only as much of it is held as is read."""
    try:
        opener = gzip.open if path.suffix.lower() == ".gz" else open
        with opener(path, "rt", encoding="utf-8-sig", newline="") as file:
            yield file
    except (OSError, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise InputError(f"{path}: not UTF-8 text ({error})") from error


def _json_lines(path: Path) -> Iterator[list[str]]:
    with _opened(path) as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                yield list(_strings(_parsed(line, f"{path}, line {number}")))


def _json(path: Path) -> Iterator[list[str]]:
    with _opened(path) as file:
        document = _parsed(file.read(), str(path))
    # {"data": [...]}, {"train": [...]}: the records are what the lists hold.
    lists = [value for value in document.values() if isinstance(value, list)] if isinstance(document, dict) else []
    records = document if isinstance(document, list) else [record for part in lists for record in part] or [document]
    rest = {key: value for key, value in document.items() if not isinstance(value, list)} if lists else {}
    for record in [*records, *([rest] if rest else [])]:
        yield list(_strings(record))


def _csv(path: Path) -> Iterator[list[str]]:
    with _opened(path) as lines:
        head = lines.readline()
        delimiter = max(",;\t", key=head.count)  # spreadsheets of many countries write semicolons
        csv.field_size_limit(1 << 30)
        yield from csv.reader(itertools.chain([head], lines), delimiter=delimiter)


def _xlsx(path: Path) -> Iterator[list[str]]:
    for row in read_rows(path):
        yield list(row.cells.values())


def _plain(path: Path) -> Iterator[list[str]]:
    """Yield the paragraphs of a text, which are its records."""
    with _opened(path) as file:
        for paragraph in file.read().replace("\r\n", "\n").split("\n\n"):
            if paragraph.strip():
                yield [paragraph, *paragraph.split("\n")]


def _parquet(path: Path) -> Iterator[list[str]]:
    try:
        for batch in pyarrow.parquet.ParquetFile(path).iter_batches(batch_size=_AT_ONCE):
            for record in batch.to_pylist():
                yield list(_strings(record))
    except pyarrow.ArrowInvalid as error:
        raise InputError(f"{path}: not a whole Parquet file ({str(error).splitlines()[0]})") from error


_READERS = {
    ".json": _json, ".jsonl": _json_lines, ".ndjson": _json_lines, ".csv": _csv, ".tsv": _csv, ".xlsx": _xlsx,
    ".txt": _plain, ".md": _plain, ".parquet": _parquet,
}  # fmt: skip
"""Each yields the texts of every record of a file."""


def _expected() -> str:
    return f"{', '.join(_READERS)}, text also compressed (.gz)"


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
