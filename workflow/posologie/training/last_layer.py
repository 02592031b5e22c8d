"""What the last layer of a decoder need not compute when few rows predict a target, as with the loss on answers.

No row looks at another behind the attention of the last layer: there, queries, the attention's output and the
feed-forward block matter for predicting rows alone. The other rows get zeros, which nothing reads, and no gradient.
"""

from typing import Any

import torch

from posologie.training.dropout import MaskSource

_BY_ROW = ("self_attn.q_proj", "self_attn.o_proj", "mlp")


class PredictingRows:
    """Restricts modules that treat each row by itself to the rows that predict."""

    def __init__(self, masks: MaskSource) -> None:
        self._masks = masks
        self._rows = torch.empty(0, dtype=torch.int64)
        self._count = 0

    def begin(self, rows: torch.Tensor, count: int) -> None:
        """Set the rows of the next micro-batch that predict, ascending, and the number of all its rows."""
        self._rows, self._count = rows, count

    def restrict(self, module: torch.nn.Module) -> None:
        """Let a module with one argument, of shape (…, rows, features), compute these rows alone from now on."""
        module.register_forward_pre_hook(self._gather)
        module.register_forward_hook(self._scatter)

    def _gather(self, module: torch.nn.Module, inputs: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
        self._masks.rows = self._rows
        return (inputs[0].index_select(-2, self._rows),)

    def _scatter(self, module: torch.nn.Module, inputs: tuple[torch.Tensor], output: torch.Tensor) -> torch.Tensor:
        self._masks.rows = None
        whole = output.new_zeros(*output.shape[:-2], self._count, output.shape[-1])
        return whole.index_copy_(-2, self._rows, output)


def restrict_last_layer(decoder: Any, masks: MaskSource) -> PredictingRows | None:
    """Restrict what can be restricted of a decoder's last layer; None where its parts are not known by their names.

    A router of experts stays: it does more than its rows.
    """
    layer = decoder.layers[-1] if hasattr(decoder, "layers") else None
    found = [module for name, module in layer.named_modules() if name in _BY_ROW] if layer is not None else []
    rows = PredictingRows(masks)
    known = [module for module in found if not hasattr(module, "experts")]
    for module in known:
        rows.restrict(module)
    return rows if known else None
