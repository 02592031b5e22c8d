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
    """

    ids: tuple[str, ...]
    tokens: np.ndarray
    starts: np.ndarray
    answers: np.ndarray
    answer_ends: np.ndarray
    context_cut: tuple[str, ...]
    rejected: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def lengths(self) -> np.ndarray:
        """Tokens per example, shape (examples,)."""
        return np.diff(self.starts)


def tokenise(
    items: Sequence[Item], tokenizer: Any, prompting: Prompting, max_length: int, form: ChatForm | None = None
) -> Examples:
    """Render and tokenise items.

    Raises:
        InputError: if two items share an id, the chat template does not put the answer behind the prompt, or a prompt
            by itself is other tokens than in its example.
    """
    chats = Chats(tokenizer, form)
    items = sorted(items, key=lambda item: item.id)
    for before, item in pairwise(items):
        if before.id == item.id:
            raise InputError(f"item '{item.id}' occurs twice in the mix; expected distinct ids")
    encoded: list[_Encoded] = []
    for start in range(0, len(items), _AT_ONCE):
        encoded.extend(_encode(items[start : start + _AT_ONCE], chats, prompting))
    for item in items[:_PROVED]:
        chats.prove(item.id, *_turns(item, prompting))

    kept: list[tuple[str, _Encoded]] = []
    cut: list[str] = []
    rejected: list[str] = []
    for item, example in zip(items, encoded, strict=True):
        fitting = example
        if len(example.tokens) > max_length:
            shortened = _shortened(item, chats, prompting, max_length)
            if shortened is None:
                log.warning(
                    "item %s: %d tokens, and too long without its context; left out", item.id, len(example.tokens)
                )
                rejected.append(item.id)
                continue
            log.info("item %s: %d tokens; context cut to fit %d", item.id, len(example.tokens), max_length)
            cut.append(item.id)
            fitting = shortened
        kept.append((item.id, fitting))
    lengths = [len(example.tokens) for _, example in kept]
    return Examples(
        ids=tuple(name for name, _ in kept),
        tokens=np.concatenate([example.tokens for _, example in kept]) if kept else np.zeros(0, np.int32),
        starts=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        answers=np.array([example.answer for _, example in kept], np.int64),
        answer_ends=np.array([example.answer_end for _, example in kept], np.int64),
        context_cut=tuple(cut),
        rejected=tuple(rejected),
    )


def save(examples: Examples, folder: Path) -> None:
    """Write tokenised examples, so that every process and every attempt maps the same file."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in _ARRAYS:
        with whole_file(folder / f"{name}.npy") as partial, open(partial, "wb") as file:
            np.save(file, getattr(examples, name))
    texts = {name: list(getattr(examples, name)) for name in ("ids", "context_cut", "rejected")}
    write_json(folder / "examples.json", texts)


def load(folder: Path) -> Examples | None:
    """Return the examples that `save` wrote, their arrays mapped from disk, or None."""
    names = ["examples.json", *(f"{name}.npy" for name in _ARRAYS)]
    if not all((folder / name).is_file() for name in names):
        return None
    tokens, starts, answers, answer_ends = (
        np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in _ARRAYS
    )
    texts = {name: tuple(names) for name, names in read_json(folder / "examples.json").items()}
    return Examples(
        ids=texts["ids"],
        tokens=tokens,
        starts=starts,
        answers=answers,
        answer_ends=answer_ends,
        context_cut=texts["context_cut"],
        rejected=texts["rejected"],
    )


def _turns(item: Item, prompting: Prompting) -> tuple[list[dict[str, str]], str]:
    """Return the turns up to the answer, and the answer."""
    order = option_order(item.id, len(item.options), "original", 0)
    return chat(item, order, prompting), assistant_turn(item, order, prompting)


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


def _shortened(item: Item, chats: Chats, prompting: Prompting, max_length: int) -> _Encoded | None:
    """Return the example with as many tokens of its context as fit, or None if it does not fit with none."""
    if not item.context:
        return None
    cuts = cuts_of(item.context, chats.tokenizer)
    best = None
    low, high = 0, len(cuts) - 1
    while low <= high:
        middle = (low + high) // 2
        [example] = _encode([replace(item, context=cuts[middle])], chats, prompting)
        if len(example.tokens) <= max_length:
            best, low = example, middle + 1
        else:
            high = middle - 1
    return best
