"""What every stage's spec has in common: frozen, closed to unknown keys, and one canonical JSON text."""

import json
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from posologie.running.errors import InputError

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_LONGEST_NAME = 128
"""Characters of a name: file systems take 255 bytes, and suffixes and temporary files need up to 110 of them."""
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
    forbidden = _NOT_IN_PATHS.search(value)
    if value.startswith("~"):
        raise ValueError("a path written in full: '~' would mean a different folder for every user")
    if not value or value.startswith("-"):
        raise ValueError("a path that is not empty and does not begin with '-'")
    if forbidden is not None:
        raise ValueError(f"a path without {forbidden[0]!r}, which Snakemake takes for something else; rename it")
    if any(len(part.encode("utf-8", "surrogateescape")) > _LONGEST_COMPONENT for part in value.split("/")):
        raise ValueError(f"a path whose parts have at most {_LONGEST_COMPONENT} bytes, as file systems have it")
    return value


PathText = Annotated[str, AfterValidator(checked_path)]
"""The path of a file or folder, or a text that becomes part of one."""


class Spec(BaseModel):
    """A small frozen model of exactly what an artifact depends on (DESIGN, section 4).

    Equal specs have equal canonical JSON, whatever the order of their keys.
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


_OF_TYPE = {
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "decimal": "a number",
    "string": "a text (in quotes where it looks like a number)",
    "list": "a list",
    "tuple": "a list",
    "set": "a list",
    "dict": "a map of keys and values",
    "mapping": "a map of keys and values",
    "model": "a map of keys and values",
    "dataclass": "a map of keys and values",
}
"""What is expected, by the first word of pydantic's types of problems (`int_parsing`, `model_type`)."""
_IN_WORDS = {
    "greater_than": "a number above {gt}",
    "greater_than_equal": "a number of at least {ge}",
    "less_than": "a number below {lt}",
    "less_than_equal": "a number of at most {le}",
    "finite_number": "a finite number",
    "int_from_float": "a whole number",
    "too_short": "at least {min_length} of them",
    "too_long": "at most {max_length} of them",
    "literal_error": "{expected}",
    "union_tag_invalid": "a {discriminator} of {expected_tags}",
    "union_tag_not_found": "a map with the key {discriminator}",
    "string_pattern_mismatch": "a text of the form {pattern}",
    "string_too_short": "a text of at least {min_length} characters",
    "string_too_long": "a text of at most {max_length} characters",
}
_BRANCH = re.compile(
    r"(constrained-\w+|literal|function-\w+|tuple|list|dict|lax-or-strict|nullable|json-or-python)\b.*"
)
_SCALARS = {"int", "float", "str", "bool"}


def key_of(problem: "ErrorDetails") -> str:
    """Return the dotted key of a problem, without what pydantic calls the alternatives of a value."""
    parts = [str(part) for part in problem["loc"]]
    while len(parts) > 1 and (_BRANCH.fullmatch(parts[-1]) or parts[-1] in _SCALARS or _is_class(parts[-1])):
        parts.pop()
    return ".".join(parts)


def _is_class(part: str) -> bool:
    """Say whether a part of a location is the name of one of the models between which a value could choose."""
    return any(model.__name__ == part for model in _all_models(Spec))


def _all_models(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    for below in model.__subclasses__():
        yield below
        yield from _all_models(below)


def _expected(problem: "ErrorDetails") -> str:
    kind = problem["type"]
    if kind in _IN_WORDS:
        return _IN_WORDS[kind].format(**problem.get("ctx", {}))
    if kind.endswith(("_type", "_parsing", "_parsing_size")) and kind.split("_")[0] in _OF_TYPE:
        return _OF_TYPE[kind.split("_")[0]]
    message = problem["msg"].removeprefix("Value error, ")
    return message[0].lower() + message[1:] if message else "something else"


def first_problem(error: ValidationError) -> str:
    """Say the first validation problem in one line: the key, the value and what was expected."""
    problems = error.errors()
    problem = problems[0]
    own = key_of(problem)
    key = own or "the document"
    if problem["type"] == "extra_forbidden":
        return f"{key}: unknown key"
    if problem["type"] == "missing":
        return f"{key}: missing, and required"
    value = repr(problem["input"])
    value = value if len(value) <= 80 else value[:77] + "…"
    same = [other for other in problems if key_of(other) == own and other["input"] == problem["input"]]
    return f"{key} = {value}: expected {' or '.join(dict.fromkeys(map(_expected, same)))}"
