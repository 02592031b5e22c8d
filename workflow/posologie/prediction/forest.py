"""Prompts packed into token trees: what they have in common at their beginning is there once, and nothing is padding.

A row of a forest is a tree of tokens in depth-first order. Each token attends to its ancestors and itself, at the
position of its depth, so that a path from the root to a leaf is computed as if its prompt stood alone (SpecInfer's tree
attention, Miao et al. 2024, section 4.2, used for prompts). The prefix that all prompts share is not in the rows; it is
computed once and lies before them.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

Tokens = tuple[int, ...]
"""A text as token ids."""


@dataclass(frozen=True)
class Row:
    """One packed tree.

    Attributes:
        tokens: token ids, shape (columns,).
        depths: depth of each token below the shared prefix, shape (columns,).
        sees: whether column i attends to column j, shape (columns, columns).
        paths: for each prompt, the columns from the root to its last token.
        prompts: which prompts these are, as indices into what was packed.
    """

    tokens: np.ndarray
    depths: np.ndarray
    sees: np.ndarray
    paths: tuple[np.ndarray, ...]
    prompts: tuple[int, ...]


def common_prefix(prompts: Sequence[Tokens]) -> int:
    """Return how many tokens all prompts have in common at their beginning, at least one token of each left over."""
    first, last = min(prompts), max(prompts)
    limit = min(len(prompt) for prompt in prompts) - 1
    return min(_common(first, last), limit)


def _common(left: Tokens, right: Tokens) -> int:
    length = 0
    for one, other in zip(left, right, strict=False):
        if one != other:
            break
        length += 1
    return length


def tree_size(prompts: Sequence[Tokens]) -> int:
    """Return the number of tokens in the tree of some prompts."""
    ordered = sorted(prompts)
    shared = sum(_common(one, other) for one, other in itertools.pairwise(ordered))
    return sum(map(len, ordered)) - shared


def grow(prompts: Sequence[Tokens], numbers: Sequence[int]) -> Row:
    """Pack the prompts with the given numbers into one tree; no prompt may be empty."""
    ordered = sorted(numbers, key=lambda number: (prompts[number], number))
    size = tree_size([prompts[number] for number in ordered])
    tokens, depths = np.empty(size, dtype=np.int64), np.empty(size, dtype=np.int64)
    sees = np.zeros((size, size), dtype=bool)
    paths: list[np.ndarray] = []
    used = 0
    before: Tokens = ()
    for number in ordered:
        prompt = prompts[number]
        shared = _common(before, prompt)
        fresh = len(prompt) - shared
        path = np.concatenate([paths[-1][:shared] if paths else [], np.arange(used, used + fresh)]).astype(np.int64)
        tokens[used : used + fresh] = prompt[shared:]
        depths[used : used + fresh] = np.arange(shared, len(prompt))
        sees[used : used + fresh, path[:shared]] = True
        sees[used : used + fresh, used : used + fresh] = np.tri(fresh, dtype=bool)
        paths.append(path)
        used, before = used + fresh, prompt
    return Row(tokens, depths, sees, tuple(paths), tuple(ordered))


def bins(sizes: Sequence[int], capacity: int) -> list[list[int]]:
    """Put things of given sizes into bins, the large ones first, each into the first bin that has room for it.

    Something larger than `capacity` has a bin of its own. The order of the bins is that of their first things.
    """
    filled: list[list[int]] = []
    room: list[int] = []
    for thing in sorted(range(len(sizes)), key=lambda index: (-sizes[index], index)):
        for number, left in enumerate(room):
            if sizes[thing] <= left:
                filled[number].append(thing)
                room[number] -= sizes[thing]
                break
        else:
            filled.append([thing])
            room.append(capacity - sizes[thing])
    return filled


def neighbours(prompts: Sequence[Tokens]) -> list[list[int]]:
    """Group prompts that share a beginning of at least a quarter of the shorter one: they belong into one tree."""
    ordered = sorted(range(len(prompts)), key=lambda number: (prompts[number], number))
    groups: list[list[int]] = []
    for number in ordered:
        if groups:
            last = prompts[groups[-1][-1]]
            shared = len(last) + len(prompts[number]) - tree_size([last, prompts[number]])
            if 4 * shared >= min(len(last), len(prompts[number])):
                groups[-1].append(number)
                continue
        groups.append([number])
    return groups
