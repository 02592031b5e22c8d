"""Files of a person become sources of a new study: what was guessed of them, as lines with what has to be confirmed."""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from posologie.cli.guess_files import FORMATS, guess
from posologie.cli.guesses import Guess, split_named
from posologie.components import RESERVED
from posologie.errors import InputError
from posologie.items import SPLITS, Split
from posologie.sources.opening import format_of

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
        found = []
        for key, (value, remark) in self.options.items():
            line = f"{key}: {as_yaml(value)}"
            found.append(f"{line}    # {remark}" if remark else line)
        return found

    def told(self) -> list[str]:
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
    found = [(component, of, guess(_example(of))) for component, of in grouped.items()]
    used = [(component, of) for component, of, guessed in found if guessed is not None]
    if not used:
        seen = ", ".join(path.name for path in paths[:6]) or "nothing"
        raise InputError(f"--folder {folder}: no file in which a question with an answer can be seen; found {seen}")
    unused = [path.name for _, of, guessed in found if guessed is None for several in of.values() for path in several]
    made = [source_of_files(component, of, tested=False) for component, of in used]
    if not any("test" in one.splits for one in made):  # nobody is tested yet: items of the first are carved out
        made[0] = source_of_files(*used[0], tested=True)
    if unused:
        made[-1].notes.append(f"no question with an answer was seen in {', '.join(map(_printable, unused))}")
    return made


def _named(path: Path, folder: Path) -> tuple[str, Split | None]:
    """Return the component that a file's name stands for, and the split that it names."""
    stem = path.name[: -len("".join(path.suffixes))] or path.stem
    parts = [part for part in re.split(r"[\s_.-]+", stem) if part]
    split = next((found for part in reversed(parts) if (found := split_named(part)) is not None), None)
    rest = "-".join(part for part in parts if split is None or split_named(part) != split)
    plain = unicodedata.normalize("NFKD", rest or folder.resolve().name).encode("ascii", "ignore").decode()
    name = re.sub(r"[^A-Za-z0-9]+", "-", plain).strip("-").lower() or "questions"
    return (f"{name}-items" if name in RESERVED else name), split


def _example(of: Mapping[Split | None, list[Path]]) -> Path:
    return next(of[split] for split in ("train", None, "validation", "test") if split in of)[0]


def source_of_files(component: str, of: Mapping[Split | None, list[Path]], *, tested: bool) -> FoundSource:
    """Return the source of a component's files, by split where their names tell it.

    Args:
        tested: whether items for validation and tests have to be found in it.
    """
    path = _example(of)
    every = [one for several in of.values() for one in several]
    names = [one.name for one in every]
    found = guess(path) if path.is_file() and format_of(path)[0] in FORMATS else None
    if found is None:
        options = {key: one for key, one in _PLACEHOLDER.items() if tested or not key.startswith(("split", "id"))}
        where = path.as_posix()
        there = f"no question with an answer was seen in {where}; name its columns here"
        note = there if path.is_file() else f"put the file at {where} and name its columns here"
        splits: list[Split] = ["train", "validation", "test"] if tested else ["train"]
        return FoundSource(component, path.parent.as_posix(), dict.fromkeys(splits, names), None, options, [note])
    options = {key: (value, found.remarks.get(key, "")) for key, value in found.options.items()}
    if found.splits:
        files = {split: names for split in SPLITS if split in found.splits}
    elif "train" in of:
        files = {split: [one.name for one in of[split]] for split in SPLITS if split in of}
    elif tested:
        files = dict.fromkeys(SPLITS, names)
        options["carve"] = (_CARVED, "shares of the questions that become validation and test, drawn with a seed")
    else:
        files = {"train": names}
    rejected = "; ".join(f"{count} rejected: {reason}" for reason, count in found.rejected.items())
    notes = [
        f"CONFIRM: {found.items} of {found.looked} records of {path.name} that were looked at become items"
        + (f" ({rejected})" if rejected else ""),
        f"columns of the file: {', '.join(found.columns)}",
        f"the first question: {_printable(found.example, 90)}",
        *(f"CONFIRM: {doubt}" for doubt in found.doubts),
    ]
    return FoundSource(component, path.parent.as_posix(), files, found, options, [_printable(note) for note in notes])


def _printable(text: str, longest: int = 400) -> str:
    """Return text of a file as one line that can stand in a comment: no line ends or control characters of any kind."""
    line = "".join(" " if unicodedata.category(one)[0] in "CZ" else one for one in text)
    return line if len(line) <= longest else f"{line[:longest]}…"
