"""Items through a translation model without instructions: text by text, split at sentence borders by the backend."""

from collections.abc import Sequence

from posologie.generation.backends.interface import Failure, Reply, Request
from posologie.generation.rejection import Problem
from posologie.generation.translation.fields import Fields
from posologie.generation.translation.spec import Translator


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
