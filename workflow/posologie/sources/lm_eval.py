"""Reader of the data of a task of lm-evaluation-harness: its templates make questions, choices and targets of records.

Templates are jinja2, rendered in its sandbox. What a task prints around a question for its own prompt (`Question:`,
`Answer:`) is left out, because the study has a prompt of its own. Where the choices are bare letters, the options are
those that the text lists behind these letters.
"""

import ast
import re
from collections.abc import Mapping
from functools import lru_cache, partial
from pathlib import Path
from typing import Any, Literal, Self

import jinja2
import jinja2.sandbox
from pydantic import Field, field_validator, model_validator

from posologie.records.specs import Spec
from posologie.running.commands import run
from posologie.sources import shards
from posologie.sources.cleaning import Rejected
from posologie.sources.drafts import Draft
from posologie.sources.options import SEQUENCES, label_key, options_in_text
from posologie.sources.shards import Drafting, Place
from posologie.sources.spec import ShardSpec


class Options(Spec):
    """Templates of a task, as its file has them: jinja2, or the name of a column."""

    output_type: Literal["multiple_choice", "generate_until"] = Field(description="choice questions, or open ones")
    doc_to_text: str = Field(min_length=1, description="the question")
    doc_to_target: str | int | tuple[int, ...] = Field(
        description="the right answer: for choices an index, a label or a text"
    )
    doc_to_choice: str | tuple[str, ...] | dict[str, str] | None = Field(default=None, description="the choices")
    origin: str | None = Field(default=None, description="name of the data set")
    subject: str | None = Field(default=None, description="its configuration, such as a subject")

    @field_validator("doc_to_choice", mode="before")
    @classmethod
    def _texts(cls, value: Any) -> Any:
        return [str(choice) for choice in value] if isinstance(value, list) else value

    @model_validator(mode="after")
    def _choices(self) -> Self:
        if (self.doc_to_choice is None) == (self.output_type == "multiple_choice"):
            raise ValueError("doc_to_choice with multiple_choice, and only there")
        return self


_CUE = re.compile(r"^\W*(?:[^\W\d_]+\W+){0,2}[^\W\d_]+\s?[:：]\s*$")
"""Text that only announces what follows: up to three words and a colon."""
_TAG = re.compile(r"\{\{.*?\}\}|\{%.*?%\}|\{#.*?#\}", re.DOTALL)


def draft(record: Any, place: Place, options: Options) -> Draft:
    """Make a draft of one record."""
    text = _framed(options.doc_to_text, record)
    meta = {"origin": options.origin, "subject": options.subject}
    if options.output_type == "generate_until":
        target = _value(options.doc_to_target, record)
        if not isinstance(target, str | int | float):
            raise Rejected("several right answers", f"{target!a:.60}")
        return Draft(question=text, answer=str(target), task="oeq", meta=meta)
    choices = _choices(options, record)
    gold = _gold(options, record, choices)
    if _are_labels(choices):
        question, labels, texts = options_in_text(text, set())
        if [label_key(label) for label in labels] != [label_key(choice) for choice in choices]:
            raise Rejected("unreadable options", f"the text has {', '.join(labels)}; the choices are {choices!a:.60}")
        text, choices = question, texts
    return Draft(question=text, answer=gold, options=choices, answer_form="index0", task="mcqu", meta=meta)


def _value(template: Any, record: Mapping[str, Any]) -> Any:
    """Return what a template gives: the column of that name, the rendered text, or the value itself."""
    if not isinstance(template, str):
        return template
    return record[template] if template in record else _rendered(template, record)


def _rendered(template: str, record: Mapping[str, Any]) -> str:
    try:
        return _compiled(template).render(**record)
    except (jinja2.TemplateError, TypeError, ValueError, AttributeError, KeyError, IndexError) as error:
        raise Rejected("a template does not fit", f"{template!a:.60}: {error}") from error


@lru_cache(maxsize=64)
def _compiled(template: str) -> jinja2.Template:
    environment = jinja2.sandbox.ImmutableSandboxedEnvironment(undefined=jinja2.StrictUndefined)
    environment.filters["regex_replace"] = lambda text, pattern, by="", count=0: re.sub(pattern, by, text, count=count)
    return environment.from_string(template)


def _framed(template: str, record: Mapping[str, Any]) -> str:
    """Return the text of a record without the cues that stand around it in the template."""
    text = str(_value(template, record))
    if template in record:
        return text
    tags = list(_TAG.finditer(template))
    if not tags:
        return text
    before, behind = template[: tags[0].start()], template[tags[-1].end() :]
    first = before.rpartition("\n")[2]
    if _CUE.match(first) and text.startswith(before):
        text = before[: len(before) - len(first)] + text[len(before) :]
    last = behind.rstrip().rpartition("\n")[2]
    if "\n" in behind and _CUE.match(last) and text.rstrip().endswith(last):
        text = text.rstrip()[: -len(last)]
    return text.strip()


def _choices(options: Options, record: Mapping[str, Any]) -> list[str]:
    choices: Any = options.doc_to_choice
    if isinstance(choices, dict):
        choices = tuple(choices.values())
    if isinstance(choices, str):
        choices = _value(choices, record)
        if isinstance(choices, str):
            choices = _literal(choices)
    if isinstance(choices, dict):
        choices = list(choices.values())
    if not isinstance(choices, list | tuple) or any(isinstance(choice, list | dict) for choice in choices):
        raise Rejected("unreadable options", f"{choices!a:.60}; expected a list of texts")
    return [str(choice).strip() for choice in choices]


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text


def _gold(options: Options, record: Mapping[str, Any], choices: list[str]) -> int:
    """Return the index of the right choice: numbers count from 0, other values are one of the choices."""
    value = _value(options.doc_to_target, record)
    of_column = isinstance(options.doc_to_target, str) and options.doc_to_target in record
    if isinstance(value, str) and not of_column:
        value = value.strip()
        value = _literal(value) if value[:1] == "[" else int(value) if value.isdecimal() else value
    if isinstance(value, list | tuple):
        if len(value) != 1:
            raise Rejected("several right answers", f"{value!a:.60}")
        value = value[0]
    if isinstance(value, str):
        if choices.count(value.strip()) != 1:
            raise Rejected("the answer is no choice", f"{value!a:.60} among {choices!a:.60}")
        return choices.index(value.strip())
    if not isinstance(value, int | float) or value != int(value) or not 0 <= value < len(choices):
        raise Rejected("the answer is no choice", f"{value!a:.60} of {len(choices)} choices")
    return int(value)


def _are_labels(choices: list[str]) -> bool:
    """Return whether choices are letters in their order, behind which the text has to have options."""
    keys = [label_key(choice) for choice in choices]
    letters = [sequence for sequence in SEQUENCES if not sequence[0].isdecimal()]
    return len(keys) > 1 and any(keys == [label_key(label) for label in sequence[: len(keys)]] for sequence in letters)


def reader(spec: ShardSpec, files: Mapping[str, Path]) -> Drafting:
    """Return the reader with the task's templates."""
    return partial(draft, options=shards.options_of(spec, Options))


def main(argv: list[str]) -> None:
    """Write a shard from the data of a task of lm-evaluation-harness."""
    shards.main(argv, "posologie.sources.lm_eval", reader)


if __name__ == "__main__":
    run(main)
