"""Thoughts of a local model: written first, kept apart, and followed by the answer.

A thought goes on to the first token behind its closing mark that writes something. Everything before this token becomes
part of the prompt, so that labels are constrained, and their probabilities read, where the answer begins.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from posologie.prediction.forest import Tokens
from posologie.prediction.requests import Answer
from posologie.thoughts import has_mark, part

_TAIL = 24
"""Tokens that are decoded to see whether a thought has been closed."""

Text = Callable[[Sequence[int]], str]
"""Returns the text of tokens, special ones included."""


@dataclass(frozen=True)
class Thought:
    """What was thought before an answer.

    Attributes:
        prompt: what the answer follows: the prompt and the thought.
        text: of the thought.
        tokens: of the thought, its marks included.
        closed: whether the answer may follow; a thought that ran out of tokens has none.
    """

    prompt: Tokens
    text: str
    tokens: int
    closed: bool

    def before(self, answer: Answer) -> Answer:
        """Return the answer with this thought, whose tokens are no longer counted as the prompt's."""
        prompt_tokens = answer.prompt_tokens - (self.tokens if self.closed else 0)
        return replace(answer, thoughts=self.text, thought_tokens=self.tokens, prompt_tokens=prompt_tokens)

    def unanswered(self, place: int) -> Answer:
        """Return the answer that is none, because the thought never ended."""
        return self.before(Answer(place, "", len(self.prompt), 0, "length"))


def thought_stop(text: Text, opened: bool) -> Callable[[Sequence[int]], bool]:
    """Return what says of tokens that the answer has begun.

    Args:
        opened: whether the prompt opened the thought, so that a closing mark is due.
    """

    def stop(tokens: Sequence[int]) -> bool:
        tail = text(tokens[-_TAIL:])
        if part(tail, opened=True).answer.strip():
            return True
        # A model that begins with anything but a mark does not think.
        begins = text(tokens[:_TAIL])
        return not opened and len(tokens) == _TAIL and not has_mark(begins)

    return stop


def thought_in(prompt: Tokens, tokens: Sequence[int], text: Text, *, opened: bool, ended: bool) -> Thought:
    """Return the thought in what was written behind a prompt."""
    written = text(tokens)
    if not opened and not has_mark(written):
        if ended or len(tokens) >= _TAIL:  # an answer without a thought: asked for again, from the prompt
            return Thought(prompt, "", 0, closed=True)
        return Thought(prompt, written, len(tokens), closed=False)
    parted = part(written, opened=opened)
    if ended or not parted.answer:
        return Thought(prompt, parted.thoughts, len(tokens), closed=False)
    length = next(count for count in range(len(tokens), -1, -1) if not part(text(tokens[:count]), opened=opened).answer)
    return Thought((*prompt, *tokens[:length]), parted.thoughts, length, closed=True)
