"""What gradient checkpointing keeps of a layer beside its input, so that it is not computed again.

Checkpointing recomputes each decoder layer in the backward pass. Of its products, those that take an input much wider
than the residual stream (the down projection) cost most for each entry of their output: such outputs are kept. Beside
the input of each decoder layer, memory then holds one more tensor of its size; two with DoRA's dropout on the input.
"""

from collections import defaultdict, deque
from contextvars import ContextVar, Token
from dataclasses import dataclass, field

import torch

WIDE = 2
"""How many times as wide as the residual stream an input is at least whose layer's output is kept."""


@dataclass
class Slot:
    """Holds what one call of a linear layer computed, from the forward pass to the recomputation.

    Attributes:
        value: its output, and the activation that its backward pass needs beside it; None before the first pass.
    """

    value: tuple[torch.Tensor, torch.Tensor | None] | None = None


@dataclass
class _Pass:
    """The forward pass of a checkpointed layer, or its recomputation."""

    slots: defaultdict[int, deque[Slot]]
    again: bool
    tokens: list[Token["_Pass | None"]] = field(default_factory=list)

    def __enter__(self) -> None:
        self.tokens.append(_PASS.set(self))

    def __exit__(self, *_: object) -> None:
        _PASS.reset(self.tokens.pop())


_PASS: ContextVar[_Pass | None] = ContextVar("pass of a checkpointed layer", default=None)


def both_passes() -> tuple[_Pass, _Pass]:
    """Return the contexts of a layer's forward pass and of its recomputation (`context_fn` of torch's `checkpoint`)."""
    slots: defaultdict[int, deque[Slot]] = defaultdict(deque)
    return _Pass(slots, again=False), _Pass(slots, again=True)


def slot_of(layer: torch.nn.Module) -> Slot | None:
    """Return the slot of this call of a layer; None outside of checkpointing."""
    now = _PASS.get()
    if now is None:
        return None
    slots = now.slots[id(layer)]
    if now.again:
        return slots.popleft()
    slots.append(Slot())
    return slots[-1]
