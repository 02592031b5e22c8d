"""What every stage's spec has in common: frozen, closed to unknown keys, and one canonical JSON text."""

import json
import re
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from posologie.errors import InputError

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_LONGEST_NAME = 128
"""Characters of a name: file systems take 255 bytes, of which suffixes and temporary files need up to 110."""
_LONGEST_COMPONENT = 255
_NOT_IN_PATHS = re.compile(r"[{}\x00-\x1f\x7f]|<[a-z][a-z0-9_]*>")


def _checked_name(value: str) -> str:
    if len(value) > _LONGEST_NAME:
        raise ValueError(f"a name of at most {_LONGEST_NAME} characters, because it becomes a file name")
    if not _NAME.fullmatch(value) or ".." in value:
        raise ValueError("a name of letters, digits, '.', '_' and '-', beginning with a letter or digit, without '..'")
    return value


Name = Annotated[str, AfterValidator(_checked_name)]
"""A name that becomes one component of a path, and therefore cannot leave its folder."""


def checked_path(value: str) -> str:
    """Return a path that Snakemake and the file system take as it is written.

    Blanks, quotes and `$( )` are no trouble; braces would be wildcards, and `<work>` a path variable of the workflow.

    Raises:
        ValueError: saying what is expected instead.
    """
    found = _NOT_IN_PATHS.search(value)
    if not value or value.startswith("-"):
        raise ValueError("a path that is not empty and does not begin with '-'")
    if found is not None:
        raise ValueError(f"a path without {found[0]!r}, which Snakemake takes for something else; rename it")
    if any(len(part.encode("utf-8", "surrogateescape")) > _LONGEST_COMPONENT for part in value.split("/")):
        raise ValueError(f"a path whose parts have at most {_LONGEST_COMPONENT} bytes, as file systems have it")
    return value


PathText = Annotated[str, AfterValidator(checked_path)]
"""The path of a file or folder, or a text that becomes part of one."""


class Spec(BaseModel):
    """A small frozen model of exactly what an artifact depends on (DESIGN, section 4).

    Equal specs have equal canonical JSON, whatever the order in which their keys were given.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    def canonical_json(self) -> str:
        """Return the spec as one line of JSON with sorted keys: the text that Snakemake compares between runs."""
        return json.dumps(self.model_dump(mode="json", by_alias=True), sort_keys=True, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read a spec from the text of `--spec`, or from a file when the text begins with `@`.

        Raises:
            InputError: naming the first key that does not fit, its value and what was expected.
        """
        if text.startswith("@"):
            with open(text[1:], encoding="utf-8") as file:
                text = file.read()
        try:
            return cls.model_validate_json(text)
        except ValidationError as error:
            raise InputError(f"spec: {first_problem(error)}") from error


def first_problem(error: ValidationError, shown: Any = None) -> str:
    """Say the first validation problem in one line: the key, the value and what was expected."""
    problem = error.errors()[0]
    key = ".".join(str(part) for part in problem["loc"]) or "the document"
    expected = problem["msg"].removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        return f"{key}: unknown key"
    if problem["type"] == "missing":
        return f"{key}: missing, and required"
    value = repr(problem["input"])
    value = value if len(value) <= 80 else value[:77] + "…"
    return f"{key} = {value}: expected {expected[0].lower() + expected[1:] if expected else 'something else'}"
