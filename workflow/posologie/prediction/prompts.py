"""The prompts of a local model: rendered, tokenised, proved against training, and fitted into its positions."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from posologie.errors import InputError
from posologie.models.chats import Chats, cuts_of
from posologie.prediction.forest import Tokens
from posologie.prediction.requests import Request
from posologie.prediction.spec import LongPrompts
from posologie.prompting import Prompting, assistant_turn, chat, user_turn

_PROVED = 64
"""Items on which a job proves that prompt and answer are tokenised as in an example of training."""
_SHOWN = 5


def positions_of(network: Any) -> int | None:
    """Return how many tokens a model can read and write; None where it has no such limit."""
    found = getattr(network.config.get_text_config(), "max_position_embeddings", None)
    return int(found) if isinstance(found, int) and found > 0 else None


class Prompts:
    """Tokenises requests; `cut` holds the ids of the items whose context had to be shortened."""

    def __init__(self, chats: Chats, prompting: Prompting, positions: int | None, long_prompts: LongPrompts) -> None:
        """Take the form of the chats; `positions` is None for a model without a limit."""
        self.chats, self.prompting = chats, prompting
        self.positions, self.long_prompts = positions, long_prompts
        self.cut: set[str] = set()
        # No tokenizer writes more tokens than bytes, so that most prompts are known to fit without being tokenised.
        empty = self.chats.shown(self.chats.prompt([{"role": "user", "content": ""}]))
        self._frame = len(empty.encode()) + len((prompting.system or "").encode()) + 64

    def check(self, requests: Iterator[Request]) -> None:
        """Prove the form of the chats on real items, and refuse items that do not fit.

        Raises:
            InputError: naming the items.
        """
        too_long: dict[str, int] = {}
        for number, request in enumerate(requests):
            item = request.item
            if number < _PROVED and (item.gold or item.answer):
                turns = chat(item, request.order, self.prompting)
                self.chats.prove(item.id, turns, assistant_turn(item, request.order, self.prompting))
            written = user_turn(item, request.order, self.prompting)
            if self.positions is None or len(written.encode()) + self._frame <= self._room(request):
                continue
            length = len(self.chats.ids(self.text(request)))
            if length > self._room(request) and (self.long_prompts == "refuse" or self._shortened(request) is None):
                too_long[item.id] = max(length, too_long.get(item.id, 0))
        if too_long:
            first = ", ".join(f"{name} ({length} tokens)" for name, length in list(too_long.items())[:_SHOWN])
            more = f" and {len(too_long) - _SHOWN} more" if len(too_long) > _SHOWN else ""
            remedy = "leave them out" + ("" if self.long_prompts == "cut" else ", or set long_prompts: cut")
            raise InputError(
                f"item{'s' if len(too_long) > 1 else ''} {first}{more}: prompt and answer need more than the"
                f" {self.positions} positions of the model; {remedy}"
            )

    def text(self, request: Request) -> str:
        """Return the rendered prompt of a request."""
        return self.chats.prompt(chat(request.item, request.order, self.prompting))

    def tokens(self, request: Request) -> Tokens:
        """Return the prompt of a request, its context cut where it would not fit."""
        found = tuple(self.chats.ids(self.text(request)))
        if self.positions is None or len(found) <= self._room(request):
            return found
        shortened = self._shortened(request) if self.long_prompts == "cut" else None
        if shortened is None:
            raise InputError(f"item '{request.item.id}': {len(found)} tokens; the model has {self.positions} positions")
        self.cut.add(request.item.id)
        return shortened

    def _room(self, request: Request) -> int:
        thought = self.chats.form.thought_tokens if self.chats.form.thinking else 0
        return (self.positions or 0) - request.new_tokens - thought

    def _shortened(self, request: Request) -> Tokens | None:
        """Return the prompt with as much of its context as fits, or None if it does not fit with none."""
        cuts = cuts_of(request.item.context, self.chats.tokenizer) if request.item.context else [""]
        best = None
        low, high = 0, len(cuts) - 1
        while low <= high:
            middle = (low + high) // 2
            shorter = replace(request, item=replace(request.item, context=cuts[middle]))
            found = tuple(self.chats.ids(self.text(shorter)))
            if len(found) <= self._room(request):
                best, low = found, middle + 1
            else:
                high = middle - 1
        return best
