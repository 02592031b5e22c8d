"""An update: the loss of next tokens, AdamW over the trained weights, the learning rate."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import cross_entropy, linear, logsigmoid

from posologie.training.spec import Recipe

CHUNK_BYTES = 1 << 28
"""Float32 logits held at once, in bytes."""


@dataclass(frozen=True)
class LogitForm:
    """What a model makes of the product of its output layer.

    Attributes:
        scale: what the product is multiplied with (Cohere), or one over what it is divided by (Granite).
        cap: the scaled product x becomes cap * tanh(x / cap) (Gemma 2); None for no cap.
    """

    scale: float = 1.0
    cap: float | None = None

    def logits(self, product: torch.Tensor) -> torch.Tensor:
        """Return the logits in float32; the product may be changed in place."""
        logits = product.float()
        if self.scale != 1.0:
            logits = logits.mul_(self.scale)
        return logits if self.cap is None else logits.div_(self.cap).tanh_().mul_(self.cap)

    def to_product(self, gradient: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        """Return the gradient for the product from that for the logits, which may be changed in place."""
        if self.cap is not None:
            gradient = gradient.mul_(1 - (logits / self.cap).square_())
        return gradient if self.scale == 1.0 else gradient.mul_(self.scale)


PLAIN = LogitForm()


def logit_form(model: Any) -> LogitForm:
    """Return what a model's configuration says of its logits.

    `packing.check_logits` compares the result with the model's own logits.
    """
    settings = model.config.get_text_config()
    scale = getattr(settings, "logit_scale", None) or 1.0
    return LogitForm(
        scale=float(scale) / float(getattr(settings, "logits_scaling", None) or 1.0),
        cap=getattr(settings, "final_logit_softcapping", None),
    )


def chunk_rows(vocabulary: int, rows: int) -> int:
    """Return how many rows of logits are computed at once."""
    return max(1, min(rows, CHUNK_BYTES // (4 * vocabulary)))


class _Gradients:
    """Gradients of a linear output layer's inputs, filled chunk by chunk; None where nobody needs one.

    Those of weight and bias are summed in float32, whatever the layer's own precision.
    """

    def __init__(
        self, needed: Sequence[bool], hidden: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None
    ) -> None:
        self.hidden = torch.empty_like(hidden) if needed[0] else None
        self.weight = torch.zeros_like(weight, dtype=torch.float32) if needed[1] else None
        self.bias = torch.zeros_like(bias, dtype=torch.float32) if needed[2] else None

    def add(self, start: int, product: torch.Tensor, rows: torch.Tensor, weight: torch.Tensor) -> None:
        """Add what the chunk of rows from `start` on gives; `product` is its gradient, shape (rows, vocabulary)."""
        narrow = product.to(weight.dtype)
        if self.hidden is not None:
            torch.mm(narrow, weight, out=self.hidden[start : start + len(rows)])
        if self.weight is not None:
            self.weight += narrow.T @ rows
        if self.bias is not None:
            self.bias += product.sum(0)


class _SummedLoss(torch.autograd.Function):  # type: ignore[misc]
    """The summed cross-entropy of a linear output layer; its gradients are taken on the way, chunk by chunk."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        targets: torch.Tensor,
        form: LogitForm,
    ) -> torch.Tensor:
        total = torch.zeros((), dtype=torch.float32, device=hidden.device)
        gradients = _Gradients(ctx.needs_input_grad, hidden, weight, bias)
        size = chunk_rows(weight.shape[0], len(targets))
        for start in range(0, len(targets), size):
            rows, chunk_targets = hidden[start : start + size], targets[start : start + size, None]
            logits = form.logits(linear(rows, weight, bias))
            right = logits.gather(1, chunk_targets)
            top = logits.amax(1, keepdim=True)
            shares = (logits.sub_(top) if form.cap is None else logits - top).exp_()
            sums = shares.sum(1, keepdim=True)
            total += (sums.log() + top - right).sum()
            shares.div_(sums).scatter_add_(1, chunk_targets, shares.new_full((), -1.0).expand_as(chunk_targets))
            shares = form.to_product(shares, logits)
            gradients.add(start, shares, rows, weight)
        ctx.precision = weight.dtype
        ctx.save_for_backward(gradients.hidden, gradients.weight, gradients.bias)
        return total

    @staticmethod
    def backward(ctx: Any, *outer: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        scaled = [None if saved is None else (saved * outer[0]).to(ctx.precision) for saved in ctx.saved_tensors]
        return (*scaled, None, None)


def summed_loss(
    hidden: torch.Tensor,
    head: torch.nn.Linear,
    targets: torch.Tensor,
    precision: torch.dtype | None = None,
    form: LogitForm = PLAIN,
) -> torch.Tensor:
    """Return the summed cross-entropy of the targets, in nats, float32.

    Args:
        hidden: hidden states that predict the targets, shape (targets, hidden size).
        head: the output layer, shape (vocabulary, hidden size).
        targets: shape (targets,).
        precision: of the products, where it is not that of the output layer (autocast does not reach them).
        form: what the model makes of the output layer's product.
    """
    loss: torch.Tensor = _SummedLoss.apply(*_in_precision(hidden, head, precision), targets, form)
    return loss


class _TargetLosses(torch.autograd.Function):  # type: ignore[misc]
    """The cross-entropy of each target; the backward pass computes the logits again, chunk by chunk."""

    @staticmethod
    def forward(
        ctx: Any,
        hidden: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        targets: torch.Tensor,
        form: LogitForm,
    ) -> torch.Tensor:
        ctx.form = form
        ctx.save_for_backward(hidden, weight, bias, targets)
        return _each(hidden, weight, bias, targets, form)

    @staticmethod
    def backward(ctx: Any, *outer: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        hidden, weight, bias, targets = ctx.saved_tensors
        gradients = _Gradients(ctx.needs_input_grad, hidden, weight, bias)
        size = chunk_rows(weight.shape[0], len(targets))
        for start in range(0, len(targets), size):
            rows, chunk_targets = hidden[start : start + size], targets[start : start + size, None]
            logits = ctx.form.logits(linear(rows, weight, bias))
            shares = logits.softmax(1)
            shares.scatter_add_(1, chunk_targets, shares.new_full((), -1.0).expand_as(chunk_targets))
            shares = ctx.form.to_product(shares.mul_(outer[0][start : start + size, None]), logits)
            gradients.add(start, shares, rows, weight)
        return gradients.hidden, gradients.weight, gradients.bias, None, None


def target_losses(
    hidden: torch.Tensor,
    head: torch.nn.Linear,
    targets: torch.Tensor,
    precision: torch.dtype | None = None,
    form: LogitForm = PLAIN,
) -> torch.Tensor:
    """Return the cross-entropy of each target, in nats, shape (targets,), float32; arguments as of `summed_loss`."""
    loss: torch.Tensor = _TargetLosses.apply(*_in_precision(hidden, head, precision), targets, form)
    return loss


@torch.no_grad()  # type: ignore[untyped-decorator]
def losses(hidden: torch.Tensor, head: torch.nn.Linear, targets: torch.Tensor, form: LogitForm = PLAIN) -> torch.Tensor:
    """Return the cross-entropy of each target, in nats, shape (targets,), float32."""
    return _each(hidden, head.weight, head.bias, targets, form)


def preference_losses(chosen: torch.Tensor, rejected: torch.Tensor, beta: float) -> torch.Tensor:
    """Return the loss of each pair by direct preference optimisation, in nats, shape (pairs,).

    -log sigmoid(beta * (chosen - rejected)), as Rafailov et al. 2023 (arXiv 2305.18290, equation 7) define it.

    Args:
        chosen: how much more likely the model finds the chosen answers than the backbone does: differences of summed
            log probabilities, in nats, shape (pairs,).
        rejected: the same of the rejected answers.
        beta: how strongly the model is held to its backbone.
    """
    loss: torch.Tensor = -logsigmoid(beta * (chosen - rejected))
    return loss


def _in_precision(
    hidden: torch.Tensor, head: torch.nn.Linear, precision: torch.dtype | None
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor | None]:
    weight, bias = head.weight, head.bias
    if precision is not None:
        hidden, weight = hidden.to(precision), weight.to(precision)
        bias = None if bias is None else bias.to(precision)
    return hidden, weight, bias


def _each(
    hidden: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None, targets: torch.Tensor, form: LogitForm
) -> torch.Tensor:
    rows = chunk_rows(weight.shape[0], len(targets))
    pieces = [
        cross_entropy(
            form.logits(linear(hidden[start : start + rows], weight, bias)),
            targets[start : start + rows],
            reduction="none",
        )
        for start in range(0, len(targets), rows)
    ]
    return torch.cat(pieces) if pieces else hidden.new_zeros(0, dtype=torch.float32)


_NOT_DECAYED = re.compile(r"bias|layernorm|rmsnorm|(?:^|\.)norm(?:$|\.)|_norm(?:$|\.)")


def make_optimizer(
    weights: dict[str, torch.nn.Parameter], recipe: Recipe, device: torch.device
) -> torch.optim.Optimizer:
    """Return AdamW as transformers' Trainer sets it up: biases and the weights of norms do not decay.

    Args:
        weights: the trained parameters by name.
    """
    undecayed = [parameter for name, parameter in weights.items() if _NOT_DECAYED.search(name.lower())]
    decayed = [parameter for name, parameter in weights.items() if not _NOT_DECAYED.search(name.lower())]
    groups = [
        {"params": parameters, "weight_decay": decay}
        for parameters, decay in ((decayed, recipe.weight_decay), (undecayed, 0.0))
        if parameters
    ]
    return torch.optim.AdamW(groups, lr=recipe.learning_rate, fused=device.type == "cuda")


def copy_of(weights: dict[str, torch.nn.Parameter]) -> dict[str, torch.Tensor]:
    """Return copies of the trained weights, by name, on the CPU."""
    return {name: parameter.detach().cpu().clone() for name, parameter in weights.items()}


def state_of(weights: dict[str, torch.nn.Parameter], optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """Return copies of the trained weights and of AdamW's moments, by name, on the CPU."""
    tensors = {f"weight/{name}": tensor for name, tensor in copy_of(weights).items()}
    for name, parameter in weights.items():
        for key, value in optimizer.state.get(parameter, {}).items():
            tensors[f"{key}/{name}"] = value.detach().cpu().clone()
    return tensors


@torch.no_grad()  # type: ignore[untyped-decorator]
def put_back(
    weights: dict[str, torch.nn.Parameter], optimizer: torch.optim.Optimizer, tensors: dict[str, torch.Tensor]
) -> None:
    """Put back what `state_of` returned."""
    fused = optimizer.param_groups[0]["fused"]
    for name, parameter in weights.items():
        parameter.copy_(tensors[f"weight/{name}"])
        for key in ("step", "exp_avg", "exp_avg_sq"):
            if f"{key}/{name}" in tensors:
                value = tensors[f"{key}/{name}"]
                optimizer.state[parameter][key] = value if key == "step" and not fused else value.to(parameter.device)


def learning_rate(step: int, total: int, recipe: Recipe) -> float:
    """Return the learning rate of an update.

    Args:
        step: updates done before this one, from 0. As in transformers, the first update of a warm-up has rate 0.
        total: updates of the whole training.
    """
    warmup = math.ceil(total * recipe.warmup_ratio)
    if step < warmup:
        return recipe.learning_rate * step / max(1, warmup)
    progress = (step - warmup) / max(1, total - warmup)
    if recipe.schedule == "cosine":
        return recipe.learning_rate * max(0.0, 0.5 * (1.0 + math.cos(math.pi * progress)))
    if recipe.schedule == "linear":
        return recipe.learning_rate * max(0.0, 1.0 - progress)
    return recipe.learning_rate
