"""Reader of instruction pairs: S-Editions, medical-cases-fr and medical-mcqa-fr (a question and its answer, as text).

The names of the fields are options, with those that occur tried in turn. A question whose text ends with lettered
options, and whose answer is letters, is a choice; every other pair is an open question.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from pydantic import Field

from posologie.records.specs import Spec
from posologie.running.commands import run
from posologie.sources import shards
from posologie.sources.answers import labels_in
from posologie.sources.cleaning import Rejected, as_text
from posologie.sources.drafts import Draft, first_field, native_key
from posologie.sources.options import options_in_text
from posologie.sources.shards import Drafting, Place
from posologie.sources.spec import ShardSpec


class Options(Spec):
    """Options of the reader: names of fields; the first that a record has is read."""

    question: tuple[str, ...] = Field(
        default=("instruction", "question", "Question", "prompt"), description="fields of the question"
    )
    context: tuple[str, ...] = Field(
        default=("input", "context", "clinical_case", "Contexte"), description="fields of the context"
    )
    answer: tuple[str, ...] = Field(
        default=("output", "answer", "response", "Réponse", "Reponse"), description="fields of the answer"
    )
    subject: tuple[str, ...] = Field(
        default=("subject", "specialty", "Spécialité", "Specialite"), description="fields of the subject"
    )
    id: str | None = Field(default=None, description="field of the record's own identifier")
    group: tuple[str, ...] = Field(default=(), description="fields that together name what belongs to one case")
    origin: str | None = Field(default=None, description="name of the origin; the name of the source if left out")


def draft(record: Any, place: Place, options: Options, source: str) -> Draft:
    """Make a draft of one instruction pair."""
    question, answer = first_field(record, *options.question), first_field(record, *options.answer)
    choice = isinstance(question, str) and isinstance(answer, str) and _is_choice(question, answer)
    return Draft(
        question=question,
        context=first_field(record, *options.context, required=False),
        answer=answer,
        task=None if choice else "oeq",
        options=None if choice else (),
        native_key=native_key(record.get(options.id)) if options.id else None,
        group="\x1f".join(str(record[name]) for name in options.group) if options.group else None,
        meta={
            "origin": options.origin or source,
            "subject": first_field(record, *options.subject, required=False),
        },
    )


def _is_choice(question: str, answer: str) -> bool:
    try:
        if labels_in(as_text(answer, "answer", set())) is None:
            return False
        options_in_text(as_text(question, "question", set()), set())
    except Rejected:
        return False
    return True


def reader(spec: ShardSpec, files: Mapping[str, Path]) -> Drafting:
    """Return the reader with its options."""
    return partial(draft, options=shards.options_of(spec, Options), source=spec.source)


def main(argv: list[str]) -> None:
    """Write a shard from instruction pairs."""
    shards.main(argv, "posologie.sources.instruction_pairs", reader)


if __name__ == "__main__":
    run(main)
