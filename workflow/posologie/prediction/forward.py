"""Forward passes over token forests, and over left-padded rows, with the key and value states kept between them.

Prompts are packed into token trees: what they share at their beginning is there once, and nothing is padding.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from transformers import DynamicCache

from posologie.running.errors import InputError

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
    for first, second in zip(left, right, strict=False):
        if first != second:
            break
        length += 1
    return length


def tree_size(prompts: Sequence[Tokens]) -> int:
    """Return the number of tokens in the tree of some prompts."""
    ordered = sorted(prompts)
    shared = sum(_common(first, second) for first, second in itertools.pairwise(ordered))
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
    for place in sorted(range(len(sizes)), key=lambda index: (-sizes[index], index)):
        for number, left in enumerate(room):
            if sizes[place] <= left:
                filled[number].append(place)
                room[number] -= sizes[place]
                break
        else:
            filled.append([place])
            room.append(capacity - sizes[place])
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


@dataclass(frozen=True)
class Prefix:
    """The beginning that all prompts share, computed once: its states, shape (1, heads, tokens, width) a layer."""

    tokens: tuple[int, ...]
    states: tuple[tuple[torch.Tensor, torch.Tensor], ...]


def prefix_of(model: Any, tokens: Sequence[int]) -> Prefix:
    """Compute the states of a shared beginning; it may be empty."""
    if not tokens:
        return Prefix((), ())
    cache = DynamicCache()
    ids = torch.tensor([list(tokens)], device=model.device)
    with torch.inference_mode():
        model(input_ids=ids, past_key_values=cache, use_cache=True, logits_to_keep=1)
    return Prefix(tuple(tokens), tuple((layer.keys, layer.values) for layer in cache.layers))


class Forest:
    """Texts that grow from packed prompts: a text is a path of columns in one row, and texts may share columns."""

    def __init__(self, model: Any, prefix: Prefix) -> None:
        """Prepare; `plant` computes the prompts."""
        self.model = model
        self.prefix = prefix
        self.device = model.device
        self.columns = 0

    def plant(self, rows: Sequence[Row]) -> torch.Tensor:
        """Compute all prompts of the rows, in one pass.

        Returns:
            The logits behind each prompt, in the order of rows and of prompts in a row. The texts of the forest are now
            these prompts.
        """
        before = len(self.prefix.tokens)
        width = max(len(row.tokens) for row in rows)
        self.columns = before + width
        tokens = np.zeros((len(rows), width), dtype=np.int64)
        positions = np.zeros((len(rows), width), dtype=np.int64)
        sees = np.zeros((len(rows), width, self.columns), dtype=bool)
        keep = np.zeros((len(rows), width), dtype=bool)
        self.row_of: list[int] = []
        self.paths: list[np.ndarray] = []
        ends: list[tuple[int, int]] = []
        for number, row in enumerate(rows):
            size = len(row.tokens)
            tokens[number, :size] = row.tokens
            positions[number, :size] = before + row.depths
            sees[number, :size, before : before + size] = row.sees
            # A column beyond the row's end sees itself, because a softmax over nothing is not a number.
            sees[number, range(size, width), range(before + size, before + width)] = True
            for path in row.paths:
                keep[number, path[-1]] = True
                ends.append((number, int(path[-1])))
                self.row_of.append(number)
                self.paths.append(np.concatenate([np.arange(before), before + path]))
        sees[:, :, :before] = True
        self.cache = DynamicCache()
        for index, (keys, values) in enumerate(self.prefix.states):
            count = (len(rows), -1, -1, -1)
            self.cache.update(keys.expand(count), values.expand(count), index)
        logits = self._forward(tokens, positions, sees, keep)
        # The mask picks columns in their own order; two equal prompts end in one column.
        place = {end: index for index, end in enumerate(zip(*np.nonzero(keep), strict=True))}
        return logits[[place[end] for end in ends]]

    def extend(self, parents: Sequence[int], tokens: Sequence[int]) -> torch.Tensor:
        """Grow new texts, each from an old text by one token; an old text may have several children or none.

        Returns:
            The logits behind each new text. The texts of the forest are now these.
        """
        rows = self._rows_of(parents)
        taken = [0] * (max(rows) + 1)
        slots = []
        for row in rows:
            slots.append(taken[row])
            taken[row] += 1
        count, width = int(self.cache.layers[0].keys.shape[0]), max(taken)
        ids = np.zeros((count, width), dtype=np.int64)
        positions = np.zeros((count, width), dtype=np.int64)
        sees = np.zeros((count, width, self.columns + width), dtype=bool)
        sees[:, range(width), range(self.columns, self.columns + width)] = True
        keep = np.zeros((count, width), dtype=bool)
        paths = []
        for parent, token, row, slot in zip(parents, tokens, rows, slots, strict=True):
            path = self.paths[parent]
            ids[row, slot], positions[row, slot], keep[row, slot] = token, len(path), True
            sees[row, slot, path] = True
            paths.append(np.append(path, self.columns + slot))
        logits = self._forward(ids, positions, sees, keep)
        place = {end: index for index, end in enumerate(zip(*np.nonzero(keep), strict=True))}
        self.row_of, self.paths = rows, paths
        self.columns += width
        return logits[[place[end] for end in zip(rows, slots, strict=True)]]

    def _rows_of(self, parents: Sequence[int]) -> list[int]:
        """Return the rows of some texts, and forget rows that none of them is in once a quarter is idle."""
        rows = [self.row_of[parent] for parent in parents]
        used = sorted(set(rows))
        count = int(self.cache.layers[0].keys.shape[0])
        if 4 * len(used) > 3 * count:
            return rows
        for layer in self.cache.layers:
            layer.batch_select_indices(torch.tensor(used, device=layer.keys.device))
        place = {row: index for index, row in enumerate(used)}
        self.row_of = [place.get(row, 0) for row in self.row_of]
        return [place[row] for row in rows]

    def _forward(self, tokens: np.ndarray, positions: np.ndarray, sees: np.ndarray, keep: np.ndarray) -> torch.Tensor:
        with torch.inference_mode():
            output = self.model(
                input_ids=torch.from_numpy(tokens).to(self.device),
                position_ids=torch.from_numpy(positions).to(self.device),
                attention_mask=torch.from_numpy(sees)[:, None].to(self.device),
                past_key_values=self.cache,
                use_cache=True,
                logits_to_keep=torch.from_numpy(keep).to(self.device),
            )
            return output.logits.reshape(-1, output.logits.shape[-1]).float()

    def padded(self) -> "Padded":
        """Return the texts as left-padded rows of their own, for long answers."""
        lengths = [len(path) for path in self.paths]
        width = max(lengths)
        columns = np.zeros((len(self.paths), width), dtype=np.int64)
        for index, path in enumerate(self.paths):
            columns[index, width - len(path) :] = path
        rows = torch.tensor(self.row_of, device=self.device)[:, None]
        picked = torch.from_numpy(columns).to(self.device)
        cache = DynamicCache()
        for index, layer in enumerate(self.cache.layers):
            # Picked as (texts, width, heads, channels). The pads hold some other token's states, which the mask hides.
            place = (rows.to(layer.keys.device), picked.to(layer.keys.device))  # layers may lie on several devices
            states = [tensor.transpose(1, 2)[place].transpose(1, 2) for tensor in (layer.keys, layer.values)]
            cache.update(states[0], states[1], index)
        return Padded(self.model, cache, lengths)


class Padded:
    """Texts in rows of their own, padded on the left, so that they all end in the last column."""

    def __init__(self, model: Any, cache: DynamicCache, lengths: Sequence[int]) -> None:
        """Take over states of shape (texts, heads, columns, width); a text's own are its last `lengths` columns."""
        self.model = model
        self.cache = cache
        self.lengths = list(lengths)

    @classmethod
    def plant(cls, model: Any, prompts: Sequence[Sequence[int]]) -> "tuple[Padded, torch.Tensor]":
        """Compute prompts in one left-padded pass, and return their rows and the logits behind them."""
        texts = cls(model, DynamicCache(), [0] * len(prompts))
        return texts, texts._append(prompts)

    def extend(self, parents: Sequence[int], tokens: Sequence[int]) -> torch.Tensor:
        """Grow new texts, each from an old text by one token; an old text may have several children or none."""
        if list(parents) != list(range(len(self.lengths))):
            self.select(parents)
        return self._append([[token] for token in tokens])

    def select(self, rows: Sequence[int]) -> None:
        """Keep only some texts, in the order given, and no more columns than the longest needs."""
        self.lengths = [self.lengths[index] for index in rows]
        width = max(self.lengths, default=0)
        for layer in self.cache.layers:
            indices = torch.tensor(list(rows), device=layer.keys.device)
            layer.keys = layer.keys[indices][:, :, layer.keys.shape[2] - width :]
            layer.values = layer.values[indices][:, :, layer.values.shape[2] - width :]

    def join(self, other: "Padded") -> None:
        """Take in the texts of other rows, behind one's own."""
        width = max(*self.lengths, *other.lengths)
        for mine, theirs in zip(self.cache.layers, other.cache.layers, strict=True):
            mine.keys = torch.cat([_widened(mine.keys, width), _widened(theirs.keys, width)])
            mine.values = torch.cat([_widened(mine.values, width), _widened(theirs.values, width)])
        self.lengths += other.lengths

    def _append(self, tokens: Sequence[Sequence[int]]) -> torch.Tensor:
        """Compute further tokens of every text, padded on the left where it has no earlier ones."""
        columns = self.cache.get_seq_length()
        width = max(map(len, tokens))
        ids = np.zeros((len(tokens), width), dtype=np.int64)
        positions = np.zeros((len(tokens), width), dtype=np.int64)
        mask = np.zeros((len(tokens), columns + width), dtype=np.int64)
        for index, text in enumerate(tokens):
            ids[index, width - len(text) :] = text
            positions[index, width - len(text) :] = np.arange(self.lengths[index], self.lengths[index] + len(text))
            mask[index, columns - self.lengths[index] : columns] = 1
            mask[index, columns + width - len(text) :] = 1
            self.lengths[index] += len(text)
        device = self.model.device
        with torch.inference_mode():
            output = self.model(
                input_ids=torch.from_numpy(ids).to(device),
                position_ids=torch.from_numpy(positions).to(device),
                attention_mask=torch.from_numpy(mask).to(device),
                past_key_values=self.cache,
                use_cache=True,
                logits_to_keep=1,
            )
            return output.logits[:, -1].float()


def _widened(states: torch.Tensor, width: int) -> torch.Tensor:
    missing = width - states.shape[2]
    if missing <= 0:
        return states[:, :, -missing:] if missing else states
    return torch.nn.functional.pad(states, (0, 0, missing, 0))


def refuse_recurrent(model: Any) -> None:
    """Refuse a model with layers that hold one state for a whole text: texts could not branch from a shared prompt.

    Raises:
        InputError: naming the first kind of layer that does not attend.
    """
    kinds = getattr(model.config.get_text_config(), "layer_types", None) or ()
    other = next((kind for kind in kinds if not kind.endswith("attention") or kind.startswith("linear")), None)
    if other is not None:
        raise InputError(
            f"model of type '{model.config.model_type}': layers of kind '{other}'; expected layers that attend to all "
            "tokens or to a window (serve it behind an endpoint instead)"
        )


def packs(model: Any) -> bool:
    """Whether a model computes packed prompts as it computes them one by one.

    A model whose layers look back over a window only, or that takes no mask of pairs, does not. This is tried on two
    short texts with a common beginning, because the configuration of an unknown architecture does not say.
    """
    settings = model.config.get_text_config()
    kinds = getattr(settings, "layer_types", None) or ()
    if any(kind != "full_attention" for kind in kinds):
        return False
    if not kinds and getattr(settings, "sliding_window", None) and getattr(settings, "use_sliding_window", True):
        return False
    size = model.get_input_embeddings().weight.shape[0]
    texts = [tuple((7 * number + 31 * (text if number > 4 else 1)) % size for number in range(12)) for text in (1, 2)]
    try:
        forest = Forest(model, Prefix((), ()))
        packed = forest.plant([grow(texts, [0, 1])])
        packed = torch.stack([packed, forest.extend([0, 1], [3, 3])])
        rows, alone = Padded.plant(model, texts)
        alone = torch.stack([alone, rows.extend([0, 1], [3, 3])])
    except (TypeError, ValueError, IndexError, RuntimeError):
        return False
    tolerance = 1e-3 if next(model.parameters()).dtype == torch.float32 else 0.1
    return bool((packed - alone).abs().max() <= tolerance * alone.abs().max())
