"""What the last layer of a decoder need not compute when few rows predict a target, as with the loss on answers.

No row looks at another behind the attention of the last layer: there, queries, the attention's output and the
feed-forward block matter for predicting rows alone. For the others, zeros stand in: what comes of them is not read, and
no gradient comes back.
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
        module.register_forward_hook(self._scatter, always_call=True)

    def _gather(self, module: torch.nn.Module, inputs: tuple[torch.Tensor]) -> tuple[torch.Tensor]:
        self._masks.rows = self._rows
        return (inputs[0].index_select(-2, self._rows),)

    def _scatter(
        self, module: torch.nn.Module, inputs: tuple[torch.Tensor], output: torch.Tensor | None
    ) -> torch.Tensor | None:
        self._masks.rows = None
        if output is None:  # an error, or a recomputation that has all it needs
            return None
        whole = output.new_zeros(*output.shape[:-2], self._count, output.shape[-1])
        return whole.index_copy_(-2, self._rows, output)


def restrict_last_layer(decoder: Any, masks: MaskSource) -> PredictingRows | None:
    """Restrict a decoder's last layer; None, and no change, where its parts are not known to treat rows one by one.

    They are known by their names. Experts are not restricted (their router may keep statistics of all rows), nor is a
    layer with a convolution.
    """
    layer = decoder.layers[-1] if hasattr(decoder, "layers") else torch.nn.Module()
    parts = [module for name, module in layer.named_modules() if name in _BY_ROW]
    by_row = len(parts) == len(_BY_ROW) and not any(hasattr(part, "experts") for part in parts)
    if not by_row or any(isinstance(module, torch.nn.Conv1d) for module in layer.modules()):
        return None
    rows = PredictingRows(masks)
    for part in parts:
        rows.restrict(part)
    return rows
