"""Items become training examples: chats in the backbone's own template, tokenised once.

Truncation never cuts an answer. An example that is too long loses the end of its context; what still does not fit is
rejected, and both are counted (PAPER, section 5: cutting the end of the text cuts the answer).
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from posologie.models.chats import Chats, cuts_of
from posologie.models.spec import ChatForm
from posologie.records.files import read_json, write_json
from posologie.records.items import Item
from posologie.records.prompting import Prompting, assistant_turn, chat, option_order
from posologie.running.errors import InputError
from posologie.running.whole_files import whole_file

log = logging.getLogger(__name__)

_AT_ONCE = 1024
_PROVED = 64
"""Items on which a job proves that prompt and answer are tokenised apart as together."""
_ARRAYS = ("tokens", "starts", "answers", "answer_ends")


@dataclass(frozen=True)
class _Encoded:
    tokens: np.ndarray
    answer: int
    answer_end: int


@dataclass(frozen=True)
class Examples:
    """Tokenised examples, one behind the other.

    Attributes:
        ids: item ids, ascending and distinct, so that nothing depends on the order of rows in a file.
        tokens: token ids of all examples, shape (total tokens,), int32.
        starts: example i is `tokens[starts[i]:starts[i + 1]]`, shape (examples + 1,), int64.
        answers: where the answer of example i begins, counted from its own start, shape (examples,), int64.
        answer_ends: behind its answer and the template's end of turn, white space excluded, shape (examples,), int64.
        context_cut: ids of the items whose context was shortened.
        rejected: ids of the items that do not fit without their context either.
        pairs: whether examples 2i and 2i + 1 are the chosen and the rejected answer of one item.
        reference: log probability of each example's answer under the backbone alone, in nats, shape (examples,), where
            the objective asks for it.
    """

    ids: tuple[str, ...]
    tokens: np.ndarray
    starts: np.ndarray
    answers: np.ndarray
    answer_ends: np.ndarray
    context_cut: tuple[str, ...]
    rejected: tuple[str, ...]
    pairs: bool = False
    reference: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def lengths(self) -> np.ndarray:
        """Tokens per example, shape (examples,)."""
        return np.diff(self.starts)

    @property
    def item_ids(self) -> tuple[str, ...]:
        """Ids of the items that updates are made up of."""
        return self.ids[::2] if self.pairs else self.ids

    @property
    def item_lengths(self) -> np.ndarray:
        """Tokens per item, shape (items,)."""
        return self.lengths.reshape(-1, 2).sum(1) if self.pairs else self.lengths

    def of_items(self, items: np.ndarray) -> np.ndarray:
        """Return the examples of some items, in their order."""
        return (2 * items[:, None] + np.arange(2)).reshape(-1) if self.pairs else items


def tokenise(
    items: Sequence[Item],
    tokenizer: Any,
    prompting: Prompting,
    max_length: int,
    form: ChatForm | None = None,
    *,
    pairs: bool = False,
) -> Examples:
    """Render and tokenise items.

    Args:
        pairs: make two examples of each item, its chosen and its rejected answer, behind the same prompt.

    Raises:
        InputError: if two items share an id, the chat template does not put the answer after the prompt, or a prompt
            by itself is other tokens than in its example; or, with `pairs`, if an item has no rejected answer.
    """
    chats = Chats(tokenizer, form)
    items = sorted(items, key=lambda item: item.id)
    for before, item in pairwise(items):
        if before.id == item.id:
            raise InputError(f"item '{item.id}' occurs twice in the mix; expected distinct ids")
    for item in items if pairs else ():
        if item.task != "preference":
            raise InputError(
                f"item '{item.id}': task {item.task}; training.recipe.objective = 'dpo' expects the task preference"
            )
    encoded: list[tuple[_Encoded, ...]] = []
    for start in range(0, len(items), _AT_ONCE):
        encoded.extend(_encode_all(items[start : start + _AT_ONCE], chats, prompting, pairs))
    for item in items[:_PROVED]:
        chats.prove(item.id, *_turns(item, prompting))

    used: list[tuple[str, tuple[_Encoded, ...]]] = []
    cut: list[str] = []
    rejected: list[str] = []
    for item, of_item in zip(items, encoded, strict=True):
        fitting = of_item
        if (longest := _longest(of_item)) > max_length:
            shortened = _shortened(item, chats, prompting, max_length, pairs)
            if shortened is None:
                log.warning("item %s: %d tokens, too long even without its context; left out", item.id, longest)
                rejected.append(item.id)
                continue
            log.info("item %s: %d tokens; context cut to fit %d", item.id, longest, max_length)
            cut.append(item.id)
            fitting = shortened
        used.append((item.id, fitting))
    made = [example for _, of_item in used for example in of_item]
    return Examples(
        ids=tuple(name + suffix for name, _ in used for suffix in (("", " (rejected)") if pairs else ("",))),
        tokens=np.concatenate([example.tokens for example in made]) if made else np.zeros(0, np.int32),
        starts=np.concatenate([[0], np.cumsum([len(example.tokens) for example in made])]).astype(np.int64),
        answers=np.array([example.answer for example in made], np.int64),
        answer_ends=np.array([example.answer_end for example in made], np.int64),
        context_cut=tuple(cut),
        rejected=tuple(rejected),
        pairs=pairs,
    )


def save(examples: Examples, folder: Path) -> None:
    """Write tokenised examples, so that every process and every attempt maps the same file."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in _ARRAYS:
        with whole_file(folder / f"{name}.npy") as partial, open(partial, "wb") as file:
            np.save(file, getattr(examples, name))
    texts: dict[str, Any] = {name: list(getattr(examples, name)) for name in ("ids", "context_cut", "rejected")}
    write_json(folder / "examples.json", texts | {"pairs": examples.pairs})


def load(folder: Path) -> Examples | None:
    """Return the examples that `save` wrote, their arrays mapped from disk, or None."""
    names = ["examples.json", *(f"{name}.npy" for name in _ARRAYS)]
    if not all((folder / name).is_file() for name in names):
        return None
    tokens, starts, answers, answer_ends = (
        np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in _ARRAYS
    )
    texts = read_json(folder / "examples.json")
    return Examples(
        ids=tuple(texts["ids"]),
        tokens=tokens,
        starts=starts,
        answers=answers,
        answer_ends=answer_ends,
        context_cut=tuple(texts["context_cut"]),
        rejected=tuple(texts["rejected"]),
        pairs=texts["pairs"],
    )


def _turns(item: Item, prompting: Prompting) -> tuple[list[dict[str, str]], str]:
    """Return the turns up to the answer, and the answer."""
    order = option_order(item.id, len(item.options), "original", 0)
    return chat(item, order, prompting), assistant_turn(item, order, prompting)


def _encode_all(items: Sequence[Item], chats: Chats, prompting: Prompting, pairs: bool) -> list[tuple[_Encoded, ...]]:
    """Return the example of each item, or with `pairs` those of its chosen and its rejected answer."""
    answers = [items]
    if pairs:
        answers.append([replace(item, options=item.options[::-1]) for item in items])
    return list(zip(*(_encode(some, chats, prompting) for some in answers), strict=True))


def _longest(examples: Sequence[_Encoded]) -> int:
    return max(len(example.tokens) for example in examples)


def _encode(items: Sequence[Item], chats: Chats, prompting: Prompting) -> list[_Encoded]:
    prompts, texts = [], []
    for item in items:
        try:
            prompt, text = chats.example(*_turns(item, prompting))
        except InputError as error:
            raise InputError(f"item '{item.id}': {error}") from error
        prompts.append(prompt)
        texts.append(text)
    return [
        _Encoded(np.array(tokens, np.int32), answer, answer_end)
        for tokens, answer, answer_end in chats.tokens(texts, prompts)
    ]


def _shortened(
    item: Item, chats: Chats, prompting: Prompting, max_length: int, pairs: bool
) -> tuple[_Encoded, ...] | None:
    """Return the examples with as many tokens of the context as fit, or None if they do not fit with none."""
    if not item.context:
        return None
    cuts = cuts_of(item.context, chats.tokenizer)
    best = None
    low, high = 0, len(cuts) - 1
    while low <= high:
        middle = (low + high) // 2
        [shortened] = _encode_all([replace(item, context=cuts[middle])], chats, prompting, pairs)
        if _longest(shortened) <= max_length:
            best, low = shortened, middle + 1
        else:
            high = middle - 1
    return best
