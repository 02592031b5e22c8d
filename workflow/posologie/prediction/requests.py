"""What a model is asked, and what it answers."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from posologie.items import Item
from posologie.prediction.spec import Questions, Suite
from posologie.prompting import displayed_order, variants


@dataclass(frozen=True, slots=True)
class Request:
    """One variant of one item.

    Attributes:
        place: number of the request in its window of items; answers may come in any order.
        order: for each displayed position, the index into the item's options; empty for an open question.
        new_tokens: how many tokens the greedy answer may have.
    """

    place: int
    suite: str
    benchmark: str
    variant: str
    item: Item
    order: tuple[int, ...]
    new_tokens: int
    protocol: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model answered to the request at `place`.

    Attributes:
        finish: `stop` if the model ended the greedy text itself, `length` if its tokens ran out.
        constrained_labels: displayed positions, ascending; None for an open question.
        label_probabilities: at the first step, over the labels, summing to 1; None for an open question, or where the
            model does not tell.
        label_mass: probability of all labels together under the full vocabulary.
        constrained_by: how the constrained labels came about (`prediction_schema`).
        thoughts: what the model thought before it answered; the greedy text is what follows.
        thought_tokens: tokens of the thoughts, beside the generated ones of the greedy text.
    """

    place: int
    greedy_text: str
    prompt_tokens: int
    generated_tokens: int
    finish: str
    constrained_labels: tuple[int, ...] | None = None
    label_probabilities: tuple[float, ...] | None = None
    label_mass: float | None = None
    constrained_by: str | None = None
    thoughts: str = ""
    thought_tokens: int = 0


class Answerer(Protocol):
    """A model that answers: a local one, or one served elsewhere."""

    def check(self, requests: Iterator[Request]) -> None:
        """Refuse requests that the model cannot be asked, before the first is.

        Raises:
            InputError: naming the items.
        """
        ...

    def answers(self, requests: Sequence[Request], done: frozenset[int]) -> Iterator[list[Answer]]:
        """Answer a window of requests, in pieces that are worth saving.

        Args:
            requests: all requests of the window: the pieces of a resumed window are those of an uninterrupted one.
            done: places that an earlier run answered.
        """
        ...

    def facts(self) -> Mapping[str, Any]:
        """Return what the run record should say about the model and the way it was run."""
        ...


def requests_for(
    items: Sequence[Item], suite_name: str, benchmark: str, suite: Suite, spec: Questions, first_place: int
) -> list[Request]:
    """Return the requests for some items of a benchmark: every item with all its variants, as the table orders them."""
    requests: list[Request] = []
    for item in items:
        # An open question has nothing to permute.
        names = ("original",) if item.task == "oeq" else variants(suite.permutations)
        for variant in names:
            requests.append(
                Request(
                    place=first_place + len(requests),
                    suite=suite_name,
                    benchmark=benchmark,
                    variant=variant,
                    item=item,
                    order=displayed_order(item, variant, spec.seed),
                    new_tokens=_new_tokens(item, suite),
                    protocol=suite.protocol,
                )
            )
    return requests


def _new_tokens(item: Item, suite: Suite) -> int:
    if item.task == "oeq":
        return suite.max_new_tokens
    if item.task == "mcqu":
        return 1 if suite.protocol == "published" else suite.mcqu_new_tokens
    return 2 * len(item.options)
