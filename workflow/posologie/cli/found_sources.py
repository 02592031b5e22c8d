"""What a person's files hold: how their records are read, which column is what, and whether named columns exist."""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from posologie.cli.guesses import Guess, guessed, split_named, value_of
from posologie.records.components import RESERVED
from posologie.records.items import SPLITS, Split
from posologie.records.specs import first_problem
from posologie.running.errors import InputError
from posologie.sources import columns
from posologie.sources.cleaning import Elsewhere, Malformed, Rejected, value_at
from posologie.sources.column_options import Options
from posologie.sources.drafts import finished
from posologie.sources.records import read_rows
from posologie.sources.shards import Place
from posologie.sources.spec import FileForm, ShardSpec, Source
from posologie.sources.tables import filled_sheets
from posologie.sources.text_files import format_of

FORMATS = (".csv", ".tsv", ".xlsx", ".json", ".jsonl", ".ndjson", ".parquet")
RECORDS = 400
"""Records of a file that are looked at, spread evenly over the first ones."""
_READ = 20_000
_DEPTH = 5


def guess(path: Path) -> Guess | None:
    """Return what a file seems to hold; None where no question with an answer can be seen in it.

    Raises:
        InputError: if the file is broken, or of no known format.
    """
    name = path.as_posix()
    sheets = filled_sheets(name, path) if format_of(path)[0] == ".xlsx" else []
    if len(sheets) < 2:
        return _guess(name, path, FileForm())
    guesses: dict[str, Guess] = {}
    for sheet in sheets:
        with suppress(InputError):  # a sheet of remarks is no table
            guess_of_sheet = _guess(name, path, FileForm(sheet=sheet))
            if guess_of_sheet is not None:
                guesses[sheet] = guess_of_sheet
    if not guesses:
        return None
    best = max(guesses, key=lambda sheet: guesses[sheet].items)
    if others := [sheet for sheet in guesses if sheet != best]:
        doubt = f"questions are also in the sheets {', '.join(others)}: add a source for each that you need"
        guesses[best].doubts.append(doubt)
    return guesses[best]


def _guess(name: str, path: Path, file_form: FileForm) -> Guess | None:
    records = _looked_at(name, path, file_form)
    for form in _forms(path, records, file_form):
        best = guessed(_looked_at(name, path, form))
        if best is not None:
            best.options = {**form.model_dump(exclude_none=True), **best.options}
            _whole_splits(best, name, path, form)
            _try(best, name, path)
            return best
    return None


def _spread(records: Iterable[Any]) -> list[Any]:
    """Return at most `RECORDS` records, evenly spaced: a file may be in the order of its parts."""
    read = list(islice(records, _READ))
    return read[:: -(-len(read) // RECORDS)] if read else []


def _looked_at(name: str, path: Path, form: FileForm) -> list[Any]:
    records = (record for rows in read_rows({name: path}, form) for record in rows.values())
    return [record for record in _spread(records) if not isinstance(record, Malformed)]


def _forms(path: Path, records: list[Any], file_form: FileForm) -> Iterator[FileForm]:
    """Yield the ways in which a file may be read: without a header, records as they are, records inside others."""
    if format_of(path)[0] in (".csv", ".tsv", ".xlsx") and records and _headless(list(records[0]), records):
        yield file_form.model_copy(update={"header": False})
        return
    yield file_form
    yield from (FileForm(records=inside) for inside in _inner_paths(records))


def _headless(header: Sequence[str], records: Sequence[Mapping[str, Any]]) -> bool:
    """Say whether the first row is a record too: a cell is a long text, or what another row has in its place."""
    long = any(len(cell) > 60 or cell.rstrip().endswith(("?", "？", "؟")) for cell in header)
    short = [name for name in header if len(name) < 3]
    return long or any(Counter(str(record.get(name)) for record in records)[name] > 1 for name in short)


def _inner_paths(records: Sequence[Any]) -> list[str]:
    """Return the paths at which records may lie inside others, the shallow ones first."""
    paths: list[str] = []
    waiting: list[tuple[str, Any]] = [("", record) for record in records[:3]]
    while waiting:
        path, value = waiting.pop(0)
        if path.count(".") >= _DEPTH:
            continue
        steps: Iterable[tuple[str, Any]] = ()
        if isinstance(value, list):
            steps = [("*", record) for record in value[:3] if isinstance(record, dict)]
        elif isinstance(value, dict):
            inside = list(value.values())
            alike = len(inside) > 1 and all(isinstance(record, dict) for record in inside)
            steps = [("*", inside[0])] if alike else value.items()
        for step, below in steps:
            if isinstance(below, dict | list):
                whole = f"{path}.{step}" if path else step
                waiting.append((whole, below))
                if step == "*" and whole not in paths:
                    paths.append(whole)
    return paths


def _whole_splits(guess_of_file: Guess, name: str, path: Path, form: FileForm) -> None:
    """Name every value of the split column: one of few records may be missing among those that were looked at."""
    column = guess_of_file.options.get("split_column")
    if column is None:
        return
    every = dict.fromkeys(
        str(value_of(record, column)) for rows in read_rows({name: path}, form) for record in rows.values()
    )
    split_of = {value: split_named(value) for value in every}
    guess_of_file.options["splits"] = {value: split for value, split in split_of.items() if split is not None}
    unknown = [value for value, split in split_of.items() if split is None]
    if unknown:
        guess_of_file.doubts.append(
            f"'{column}' also has {', '.join(map(repr, unknown[:6]))}: say under `splits` what these are"
        )
    guess_of_file.splits = [split for split in SPLITS if split in guess_of_file.options["splits"].values()]


def _try(guess_of_file: Guess, name: str, path: Path) -> None:
    """Read the first records with the guessed options, by the reader itself, and count what becomes an item."""
    for split in guess_of_file.splits or ["train"]:
        spec = ShardSpec.model_validate(
            {"source": "guess", "provenance": "guess", "split": split, "patterns": (), "options": guess_of_file.options}
        )
        draft = columns.reader(spec, {name: path})
        records = (record for rows in columns.rows({name: path}, spec) for record in rows.values())
        for row, record in enumerate(_spread(records), start=1):
            if isinstance(record, Malformed):
                guess_of_file.rejected[re.sub(r"^cell [A-Z]+\d+ holds", "a cell holds", record.detail)] += 1
                continue
            try:
                item = finished(draft(record, Place(name, row)), spec, set())
            except Elsewhere:
                continue
            except Rejected as rejected:
                guess_of_file.rejected[rejected.reason] += 1
            except (KeyError, TypeError, AttributeError, IndexError, ValueError):
                guess_of_file.rejected["not a record of this form"] += 1
            else:
                guess_of_file.items += 1
                guess_of_file.example = guess_of_file.example or item.question
    guess_of_file.looked = guess_of_file.items + guess_of_file.rejected.total()


_PLACEHOLDER: dict[str, tuple[Any, str]] = {
    "id": ("id", "leave out if there is none: the id is then made from the content"),
    "question": ("question", ""),
    "options": (["a", "b", "c", "d"], "or the one column that holds a list: options: choices"),
    "answer": ("answer", ""),
    "answer_form": ("labels", "labels (B, or B,C), index0, index1, one_hot, or text"),
    "split_column": ("split", "leave out both lines if each split has a file of its own"),
    "splits": ({"train": "train", "validation": "validation", "test": "test"}, ""),
}
"""Options of a file that is not there yet, each with what to think of."""
_CARVED = {"validation": 0.1, "test": 0.2}


@dataclass(frozen=True)
class FoundSource:
    """A source of a new study.

    Attributes:
        files: names of the files of each split, below `path`.
        guess: what was guessed of them; None for a file that is not there, or in which nothing was recognised.
        options: options of the reader, each with a remark.
        notes: what was seen, and what has to be confirmed, in sentences.
    """

    component: str
    path: str
    files: dict[Split, list[str]]
    guess: Guess | None
    options: dict[str, tuple[Any, str]]
    notes: list[str]

    @property
    def splits(self) -> list[Split]:
        """The splits that it has, in their order."""
        return [split for split in SPLITS if split in self.files]

    @property
    def is_open(self) -> bool:
        """Whether its questions are open ones."""
        return "task" in self.options

    @property
    def lines(self) -> list[str]:
        """Its options as lines of YAML, with remarks."""
        lines = []
        for key, (value, remark) in self.options.items():
            line = f"{key}: {as_yaml(value)}"
            lines.append(f"{line}    # {remark}" if remark else line)
        return lines

    def describe(self) -> list[str]:
        """Return what the terminal shows of it."""
        shown = ", ".join(f"{key}: {as_yaml(value)}" for key, (value, _) in self.options.items())
        return [f"{self.component} ({self.path}): {shown}", *(f"  {note}" for note in self.notes)]


class _Plain(yaml.SafeDumper):
    """Writes a list that occurs twice twice, and not as an alias."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def as_yaml(value: Any) -> str:
    """Return a value as YAML on one line."""
    text: str = yaml.dump(
        value, Dumper=_Plain, default_flow_style=True, allow_unicode=True, width=10**6, sort_keys=False
    )
    return text.removesuffix("...\n").strip()


def sources_of_folder(folder: Path) -> list[FoundSource]:
    """Return a source for each component of a folder: files that differ only in the name of a split are one.

    Raises:
        InputError: if the folder is none, or no file in it holds questions with answers.
    """
    if not folder.is_dir():
        raise InputError(f"--folder {folder}: no such folder")
    grouped: dict[str, dict[Split | None, list[Path]]] = {}
    paths = [path for path in sorted(folder.iterdir()) if path.is_file() and not path.name.startswith(".")]
    for path in paths:
        if format_of(path)[0] in FORMATS:
            component, split = _named(path, folder)
            grouped.setdefault(component, {}).setdefault(split, []).append(path)
    guesses = [(component, of, guess(_example(of))) for component, of in grouped.items()]
    used = [(component, of) for component, of, guessed in guesses if guessed is not None]
    if not used:
        names = ", ".join(path.name for path in paths[:6]) or "nothing"
        raise InputError(f"--folder {folder}: no file in which a question with an answer can be seen; found {names}")
    unused = [path.name for _, of, guessed in guesses if guessed is None for several in of.values() for path in several]
    sources = [source_of_files(component, of, tested=False) for component, of in used]
    if not any("test" in source.splits for source in sources):  # without a test split, carve one out of the first
        sources[0] = source_of_files(*used[0], tested=True)
    if unused:
        sources[-1].notes.append(f"no question with an answer was seen in {', '.join(map(_printable, unused))}")
    return sources


def _named(path: Path, folder: Path) -> tuple[str, Split | None]:
    """Return the component that a file's name stands for, and the split that it names."""
    stem = path.name[: -len("".join(path.suffixes))] or path.stem
    parts = [part for part in re.split(r"[\s_.-]+", stem) if part]
    split = next((named_split for part in reversed(parts) if (named_split := split_named(part)) is not None), None)
    rest = "-".join(part for part in parts if split is None or split_named(part) != split)
    plain = unicodedata.normalize("NFKD", rest or folder.resolve().name).encode("ascii", "ignore").decode()
    name = re.sub(r"[^A-Za-z0-9]+", "-", plain).strip("-").lower() or "questions"
    return (f"{name}-items" if name in RESERVED else name), split


def _example(of: Mapping[Split | None, list[Path]]) -> Path:
    return next(of[split] for split in ("train", None, "validation", "test") if split in of)[0]


def source_of_files(component: str, of: Mapping[Split | None, list[Path]], *, tested: bool) -> FoundSource:
    """Return the source of a component's files, by split if their names show it.

    Args:
        tested: whether items for validation and tests have to be found in it.
    """
    path = _example(of)
    every = [file for several in of.values() for file in several]
    names = [file.name for file in every]
    file_guess = guess(path) if path.is_file() and format_of(path)[0] in FORMATS else None
    if file_guess is None:
        options = {key: option for key, option in _PLACEHOLDER.items() if tested or not key.startswith(("split", "id"))}
        where = path.as_posix()
        reason = f"no question with an answer was seen in {where}; name its columns here"
        note = reason if path.is_file() else f"put the file at {where} and name its columns here"
        splits: list[Split] = ["train", "validation", "test"] if tested else ["train"]
        return FoundSource(component, path.parent.as_posix(), dict.fromkeys(splits, names), None, options, [note])
    options = {key: (value, file_guess.remarks.get(key, "")) for key, value in file_guess.options.items()}
    if file_guess.splits:
        files = {split: names for split in SPLITS if split in file_guess.splits}
    elif "train" in of:
        files = {split: [file.name for file in of[split]] for split in SPLITS if split in of}
    elif tested:
        files = dict.fromkeys(SPLITS, names)
        options["carve"] = (_CARVED, "shares of the questions that become validation and test, drawn with a seed")
    else:
        files = {"train": names}
    rejected = "; ".join(f"{count} rejected: {reason}" for reason, count in file_guess.rejected.items())
    notes = [
        f"CONFIRM: {file_guess.items} of {file_guess.looked} records of {path.name} that were looked at become items"
        + (f" ({rejected})" if rejected else ""),
        f"columns of the file: {', '.join(file_guess.columns)}",
        f"the first question: {_printable(file_guess.example, 90)}",
        *(f"CONFIRM: {doubt}" for doubt in file_guess.doubts),
    ]
    return FoundSource(
        component, path.parent.as_posix(), files, file_guess, options, [_printable(note) for note in notes]
    )


def _printable(text: str, longest: int = 400) -> str:
    """Return text of a file as one line that can stand in a comment: no line ends or control characters of any kind."""
    line = "".join(" " if unicodedata.category(character)[0] in "CZ" else character for character in text)
    return line if len(line) <= longest else f"{line[:longest]}…"


_LOOKED_AT = 100
_NEEDED = ("question", "answer", "options", "split_column", "task_column", "id")
"""Options that name a column which every record has; a context or a group may be left out of JSON records."""


def missing_columns(name: str, source: Source, files: Mapping[str, Path]) -> Iterator[str]:
    """Yield one line for each option of the reader `columns` that names a column which a file has not.

    Raises:
        InputError: if a file is broken.
    """
    try:
        options = Options.model_validate(source.options)
    except ValidationError as error:
        yield f"sources.{name}.options.{first_problem(error)}"
        return
    for file, path in files.items():
        rows = next(iter(read_rows({file: path}, options.form())), None)
        records = [] if rows is None else list(islice(rows.values(), _LOOKED_AT))
        records = [record for record in records if isinstance(record, dict)]
        for option in _NEEDED if records else ():
            value = getattr(options, option)
            for column in (value,) if isinstance(value, str) else value or ():
                if not any(_has(record, column) for record in records):
                    present = ", ".join(records[0])
                    yield f"sources.{name}.options.{option} = '{column}': {file} has no such column; it has {present}"


def _has(record: Any, column: str) -> bool:
    """Return whether a record has a field of this name or path."""
    try:
        value_at(record, column)
    except (KeyError, Rejected):
        return False
    return True
