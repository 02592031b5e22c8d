"""What is asked of a translator: the texts of an item, together as JSON from a chat model, else one by one."""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from posologie.backends.interface import Failure, Reply, Request
from posologie.backends.prompts import Prompt
from posologie.backends.texts import MalformedError, Problem, json_schema, packed, read_reply
from posologie.generation.spec import Translator
from posologie.records.items import LABELS, Item
from posologie.running.errors import InputError


@dataclass(frozen=True, slots=True)
class Fields:
    """Texts of an item, or of a part of it; what is not part of it is empty."""

    question: str = ""
    context: str = ""
    options: tuple[str, ...] = ()
    answer: str = ""

    def texts(self) -> tuple[str, ...]:
        """Return all texts, in a fixed order: question, context, answer, options."""
        return (self.question, self.context, self.answer, *self.options)


def fields_of(item: Item) -> Fields:
    """Return the texts of an item."""
    return Fields(item.question, item.context, item.options, item.answer)


def joined(parts: list[Fields]) -> Fields:
    """Return the whole of which `parts` are the parts: each text stands in one of them, the context in several."""
    return Fields(
        "".join(part.question for part in parts),
        "".join(part.context for part in parts),
        tuple(option for part in parts for option in part.options),
        "".join(part.answer for part in parts),
    )


class _Option(BaseModel):
    model_config = ConfigDict(extra="forbid")
    label: str
    text: str


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid")
    question: str
    context: str
    options: list[_Option]
    answer: str


class ChatTranslation:
    """How items are put to a chat model."""

    def __init__(self, translator: Translator, prompt: Prompt) -> None:
        """Take the prompt.

        Raises:
            InputError: if it is in another language than the translations, or has no section for the repair.
        """
        if prompt.language != translator.target_language or "repair" not in prompt.sections:
            raise InputError(
                f"prompt {prompt.name}: language '{prompt.language}', sections {', '.join(prompt.sections)}; expected"
                f" language '{translator.target_language}' and a section '== repair'"
            )
        self.translator, self.prompt = translator, prompt
        self.schema = json_schema(_Form)

    def parts(self, fields: Fields) -> list[Fields]:
        """Return an item in parts: all of it, unless its context is too long."""
        contexts = list(packed(fields.context, len, self.translator.longest_piece)) or [""]
        whole = Fields(fields.question, contexts[0], fields.options, fields.answer)
        return [whole, *(Fields(context=context) for context in contexts[1:])]

    def requests(self, part: Fields) -> tuple[Request, ...]:
        """Return the request for a part."""
        options = [{"label": label, "text": text} for label, text in zip(LABELS, part.options, strict=False)]
        given = {"question": part.question, "context": part.context, "options": options, "answer": part.answer}
        turns = self.prompt.turns({"item": json.dumps(given, ensure_ascii=False, indent=1)})
        return (Request(turns, self.translator.decoding, schema=self.schema),)

    def retries(self, part: Fields, outcomes: Sequence[Reply | Failure], problem: Problem) -> tuple[Request, ...]:
        """Return the request that shows the model its translation and what is wrong with it."""
        (first,), (outcome,) = self.requests(part), outcomes
        said = outcome.text if isinstance(outcome, Reply) else ""
        turns = (
            *first.turns,
            ("assistant", said or "{}"),
            ("user", self.prompt.filled("repair", {"problems": f"- {problem}"})),
        )
        return (Request(turns, first.decoding, schema=first.schema, attempt=1),)

    def read(self, part: Fields, outcomes: Sequence[Reply]) -> Fields | Problem:
        """Return the translated texts, white space at the ends as in the source."""
        (outcome,) = outcomes
        try:
            form = read_reply(outcome.text, _Form)
        except MalformedError as error:
            return Problem(
                "reply cut at the token limit" if outcome.finish == "length" else "malformed reply", str(error)
            )
        labels = [option.label.strip() for option in form.options]
        if problem := label_problem(labels, LABELS[: len(part.options)]):
            return Problem("option labels", problem)
        return Fields(
            around(part.question, form.question),
            around(part.context, form.context),
            tuple(around(before, after.text) for before, after in zip(part.options, form.options, strict=True)),
            around(part.answer, form.answer),
        )


def label_problem(labels: Sequence[str], expected: Sequence[str]) -> str | None:
    """Return what is wrong with the labels of translated options, or None if they are those of the originals.

    Labels in another order are not put right: which of label and place the model meant is not known.
    """
    counts = Counter(labels)
    found = [f"{label} is missing" for label in expected if not counts[label]]
    found += [f"{label} stands {counts[label]} times" for label in expected if counts[label] > 1]
    found += [f"{label[:20]!r} is no label of the original" for label in counts if label not in expected]
    if not found and list(labels) != list(expected):
        found.append(f"in the order {', '.join(labels)}")
    return "; ".join(found) or None


def around(before: str, after: str) -> str:
    """Return a text between the white space that surrounds another."""
    start = before[: len(before) - len(before.lstrip())] if before.strip() else ""
    end = before[len(before.rstrip()) :] if before.strip() else ""
    return f"{start}{after.strip()}{end}"


class TextTranslation:
    """How items are put to a translation model."""

    def __init__(self, translator: Translator) -> None:
        """Take the translator."""
        self.translator = translator

    def parts(self, fields: Fields) -> list[Fields]:
        """Return an item in parts: question, context, options, answer, each checked and retried by itself."""
        parts = (
            Fields(question=fields.question),
            Fields(context=fields.context),
            Fields(options=fields.options),
            Fields(answer=fields.answer),
        )
        return [part for part in parts if any(part.texts())]

    def requests(self, part: Fields) -> tuple[Request, ...]:
        """Return one request for each text."""
        return self._requests(part, 0)

    def retries(self, part: Fields, outcomes: Sequence[Reply | Failure], problem: Problem) -> tuple[Request, ...]:
        """Return the requests again, to be searched with more beams."""
        return self._requests(part, 1)

    def read(self, part: Fields, outcomes: Sequence[Reply]) -> Fields | Problem:
        """Return the translated texts."""
        if any(outcome.finish == "length" for outcome in outcomes):
            return Problem("reply cut at the token limit")
        translated = iter(outcome.text for outcome in outcomes)
        question, context, answer, *options = (next(translated) if text else "" for text in part.texts())
        return Fields(question, context, tuple(options), answer)

    def _requests(self, part: Fields, attempt: int) -> tuple[Request, ...]:
        decoding = self.translator.decoding
        return tuple(Request((("user", text),), decoding, attempt=attempt) for text in part.texts() if text)
