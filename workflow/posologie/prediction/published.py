"""The published study's masks and reading of answers, as far as they are known, for comparison (PAPER, section 5).

They are kept because a reader may want to know how much of a difference they make. What is wrong with them is wanted
here: separators and the end of text are allowed as the single token of an answer, labels may repeat, `D'après` cut
after one token is D, `A et C` is nothing, and `BAC` is three labels.
"""

from collections.abc import Sequence
from typing import Any

from posologie.items import LABELS
from posologie.prediction.automaton import END, Move, State
from posologie.prediction.readings import NONE, Reading

SEPARATOR = -3
"""The symbol of a separator, which may stand anywhere."""


class PublishedAutomaton:
    """Any sequence of the last pieces of labels, separators and the end of text, up to so many tokens.

    The phase of a state counts its tokens.
    """

    start = State(0, 0)

    def __init__(self, tokenizer: Any, separator: str, options: int, most_tokens: int) -> None:
        """Take the last piece of each label as the tokenizer writes it by itself."""
        pieces = [tokenizer.encode(text, add_special_tokens=False)[-1] for text in (*LABELS[:options], separator)]
        self.tokens = (*pieces, int(tokenizer.eos_token_id))
        self.options = options
        self.most_tokens = most_tokens

    def complete(self, state: State) -> bool:
        """Whether the tokens have run out."""
        return state.phase >= self.most_tokens

    def moves(self, state: State) -> tuple[Move, ...]:
        """Return every token of the mask; it is the same in every state."""
        behind = state.phase + 1
        labels = [Move(slot, slot, State(state.taken | 1 << slot, behind)) for slot in range(self.options)]
        separator = Move(self.options, SEPARATOR, State(state.taken, behind))
        return (*labels, separator, Move(self.options + 1, END, state))


def read_published(text: str, options: Sequence[str]) -> Reading:
    """Read a text that holds nothing but letters of labels, commas and blanks."""
    letters = [character for character in text if not character.isspace() and character != ","]
    if not letters or any(letter not in LABELS[: len(options)] for letter in letters):
        return NONE
    return Reading("labels", tuple(sorted({LABELS.index(letter) for letter in letters})))
