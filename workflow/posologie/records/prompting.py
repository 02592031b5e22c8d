"""An item and an option order become a chat: the user's turn and the assistant's (PAPER, section 3)."""

import hashlib
import operator
from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from posologie.records.items import LABELS, Item
from posologie.records.specs import Name, Spec


class Lines(Spec):
    """The lines of a question's layout that are words of a language."""

    choices_line: str = Field(description="line above the options")
    context_line: str = Field(pattern=r"\{context\}", description="the line around an item's context, if it has one")


class Prompting(Spec):
    """How an item becomes a prompt. The defaults are the published prompt."""

    choices_line: str = Field(default="Choix de réponses :", description="line above the options")
    option_line: str = Field(default="({label}) {option}", description="one option")
    context_line: str = Field(
        default="\n\nContexte : {context}", description="the line around an item's context, if it has one"
    )
    context_position: Literal["after_question", "after_options"] = Field(
        default="after_question", description="whether the context comes before or after the question"
    )
    label_separator: str = Field(default=",", description="text between the labels of an answer with several")
    system: str | None = Field(default=None, description="text of a system turn; none if left out")
    sources: dict[Name, Lines] = Field(
        default_factory=dict,
        exclude_if=operator.not_,
        description="lines for the items of single sources; a source in another language than the study's "
        "has that language's",
    )

    def lines_of(self, source: str) -> "Lines | Prompting":
        """Return what has the lines for the items of a source."""
        return self.sources.get(source, self)


def user_turn(item: Item, order: Sequence[int], prompting: Prompting) -> str:
    """Return the user's turn.

    Args:
        order: for each displayed position, the index into `item.options`; empty for an open question. The answers of a
            preference pair are never shown.
    """
    own = prompting.lines_of(item.source)
    context = own.context_line.replace("{context}", item.context) if item.context else ""
    lines = [
        prompting.option_line.replace("{label}", LABELS[position]).replace("{option}", item.options[index])
        for position, index in enumerate(order if item.task != "preference" else ())
    ]
    options = "\n" + "\n".join([own.choices_line, *lines]) if lines else ""
    if prompting.context_position == "after_question":
        return f"{item.question}{context}{options}"
    return f"{item.question}{options}{context}"


def assistant_turn(item: Item, order: Sequence[int], prompting: Prompting) -> str:
    """Return the right answer as the assistant would give it: the displayed labels, or the reference or chosen text."""
    if item.task == "oeq":
        return item.answer
    if item.task == "preference":
        return item.options[0]
    return prompting.label_separator.join(LABELS[position] for position in displayed_gold(item.gold, order))


def displayed_gold(gold: Sequence[int], order: Sequence[int]) -> tuple[int, ...]:
    """Return the displayed positions of the gold options, ascending: the gold follows the options."""
    right = set(gold)
    return tuple(position for position, index in enumerate(order) if index in right)


def chat(item: Item, order: Sequence[int], prompting: Prompting) -> list[dict[str, str]]:
    """Return the turns up to the assistant's, in the form that chat templates take."""
    turns = [{"role": "user", "content": user_turn(item, order, prompting)}]
    if prompting.system is not None:
        turns.insert(0, {"role": "system", "content": prompting.system})
    return turns


def option_order(item_id: str, count: int, variant: str, seed: int) -> tuple[int, ...]:
    """Return the order in which a variant displays `count` options.

    `original` keeps the order of the item. Any other variant ranks the options by a hash of seed, variant and item, so
    that an order depends on nothing else: not on the other items, not on the machine.
    """
    if variant == "original":
        return tuple(range(count))

    def rank(index: int) -> bytes:
        return hashlib.blake2b(f"{seed}\x1f{variant}\x1f{item_id}\x1f{index}".encode(), digest_size=16).digest()

    return tuple(sorted(range(count), key=rank))


def displayed_order(item: Item, variant: str, seed: int) -> tuple[int, ...]:
    """Return the order in which a variant displays the options of an item.

    Options that depend on the place of the others ("all of the above", "A and B"; `position_dependent` in the item's
    meta) would say something else elsewhere, so that such an item keeps its own order in every variant.
    """
    own = "original" if item.meta.get("position_dependent") else variant
    return option_order(item.id, len(item.options), own, seed)


def variants(permutations: int) -> tuple[str, ...]:
    """Return the names of a suite's variants: `original`, `permuted-1` and so on."""
    return ("original", *(f"permuted-{number}" for number in range(1, permutations + 1)))
