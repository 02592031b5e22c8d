"""Items through a model that follows instructions: all texts of an item in one JSON object, so that terms agree."""

import json
from collections.abc import Sequence

from pydantic import BaseModel, ConfigDict

from posologie.errors import InputError
from posologie.generation.backends.interface import Failure, Reply, Request
from posologie.generation.prompts import Prompt
from posologie.generation.rejection import Problem
from posologie.generation.sentences import packed
from posologie.generation.structured import MalformedError, json_schema, read_reply
from posologie.generation.translation.fields import Fields
from posologie.generation.translation.spec import Translator


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid")
    question: str
    context: str
    options: list[str]
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
        given = {"question": part.question, "context": part.context, "options": part.options, "answer": part.answer}
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
        options = form.options
        if len(options) == len(part.options):
            options = [around(before, after) for before, after in zip(part.options, options, strict=True)]
        return Fields(
            around(part.question, form.question),
            around(part.context, form.context),
            tuple(options),
            around(part.answer, form.answer),
        )


def around(before: str, after: str) -> str:
    """Return a text between the white space that surrounds another."""
    start = before[: len(before) - len(before.lstrip())] if before.strip() else ""
    end = before[len(before.rstrip()) :] if before.strip() else ""
    return f"{start}{after.strip()}{end}"
