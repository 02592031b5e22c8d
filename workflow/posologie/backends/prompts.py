"""Prompt files, and what every table of asked texts keeps of a prompt and its reply.

A prompt file has a head that names and numbers the prompt, then the turns, with places for what changes.
"""

import hashlib
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from posologie.backends.interface import Failure, Reply, Turn
from posologie.records.files import read_text
from posologie.running.errors import InputError

if TYPE_CHECKING:
    import pyarrow

_PLACE = re.compile(r"\{([a-z_]+)\}")
_FILE = re.compile(r"---\n(?P<head>.*?)\n---\n(?P<body>.*)", re.DOTALL)
_SECTION = re.compile(r"^== (system|user|repair)$", re.MULTILINE)


@dataclass(frozen=True)
class Prompt:
    """One prompt file.

    Attributes:
        name: what it is for, and which of several wordings.
        version: raised with every change of the wording.
        sha256: of the file, kept with everything that the prompt made.
        sections: text of `system` (may be absent), `user`, and `repair` (the turn that asks for a correction).
    """

    name: str
    version: int
    language: str
    sha256: str
    sections: Mapping[str, str]

    def turns(self, values: Mapping[str, str]) -> tuple[Turn, ...]:
        """Return the system and user turns with every place `{name}` filled; what is filled in closes no tag."""
        roles = [role for role in ("system", "user") if role in self.sections]
        return tuple((role, self.filled(role, values)) for role in roles)

    def filled(self, section: str, values: Mapping[str, str]) -> str:
        """Return a section with its places filled.

        A tag of the section (`</candidate>`) inside a value is written with other brackets: it is text there.

        Raises:
            InputError: if a place has no value.
        """

        def value(place: re.Match[str]) -> str:
            if place.group(1) not in values:
                known = ", ".join(f"{{{name}}}" for name in values)
                raise InputError(f"prompt {self.name}, {section}: no value for {place.group(0)}; expected {known}")
            return untagged(values[place.group(1)], tags)

        tags = tags_of(self.sections[section])
        return _PLACE.sub(value, self.sections[section])


def tags_of(section: str) -> tuple[str, ...]:
    """Return the names of the tags that a section of a prompt closes."""
    return tuple(dict.fromkeys(re.findall(r"</([\w-]+)>", section)))


def tag_in(value: str, tags: tuple[str, ...]) -> re.Match[str] | None:
    """Return the first tag of these names that a value opens or closes."""
    return re.search(_tag(tags), value, re.IGNORECASE) if tags else None


def untagged(value: str, tags: tuple[str, ...]) -> str:
    """Return a value in which no tag of these names opens or closes."""
    if not tags or "<" not in value:
        return value
    return re.sub(_tag(tags), r"‹\1›", value, flags=re.IGNORECASE)


def _tag(tags: tuple[str, ...]) -> str:
    return rf"<(\s*/?\s*(?:{'|'.join(map(re.escape, tags))})\b[^<>]*)>"


def read_prompt(path: str | os.PathLike[str]) -> Prompt:
    """Read a prompt file.

    Raises:
        InputError: if its head or its user's turn is missing.
    """
    if not Path(path).exists():
        raise InputError(f"{path}: no such prompt file")
    text = read_text(path)
    parts = _FILE.fullmatch(text)
    if parts is None:
        raise InputError(f"{path}, line 1: expected a head between two lines '---'")
    head = yaml.safe_load(parts["head"])
    if (
        not isinstance(head, dict)
        or set(head) != {"name", "version", "language"}
        or not isinstance(head["version"], int)
    ):
        raise InputError(f"{path}: head is {head!r}; expected name, version (a whole number) and language")
    pieces = _SECTION.split(parts["body"])
    sections = {name: body.strip() for name, body in zip(pieces[1::2], pieces[2::2], strict=True)}
    if "user" not in sections or pieces[0].strip():
        raise InputError(f"{path}: expected sections '== user' and, if wanted, '== system' and '== repair'")
    digest = hashlib.sha256(text.encode()).hexdigest()
    return Prompt(str(head["name"]), head["version"], str(head["language"]), digest, sections)


def reply_fields() -> list["pyarrow.Field"]:
    """Return the fields that `reply_columns` fills."""
    import pyarrow as pa

    return [
        pa.field("text", pa.string(), nullable=False),  # the reply as it came
        pa.field("finish", pa.string()),  # stop | length | filtered; null when there was no reply
        pa.field("error", pa.string()),  # why there was no reply
        pa.field("prompt_sha256", pa.string(), nullable=False),
        pa.field("prompt_tokens", pa.int32(), nullable=False),
        pa.field("generated_tokens", pa.int32(), nullable=False),
    ]


def reply_columns(outcome: Reply | Failure, prompt_sha256: str) -> dict[str, Any]:
    """Return the columns of what became of one request; one without a reply has an empty text and its error."""
    if isinstance(outcome, Failure):
        columns = {"text": "", "finish": None, "error": outcome.error, "prompt_tokens": 0, "generated_tokens": 0}
    else:
        columns = {"text": outcome.text, "finish": outcome.finish, "error": None}
        columns |= {"prompt_tokens": outcome.prompt_tokens, "generated_tokens": outcome.generated_tokens}
    return {**columns, "prompt_sha256": prompt_sha256}
