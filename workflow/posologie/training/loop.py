"""The training loop, in the order in which things happen."""

import logging
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch

from posologie.errors import InputError
from posologie.training import loss as loss_of
from posologie.training.batches import Batch, assemble, hidden_states, target_counts
from posologie.training.checkpoints import Checkpoint
from posologie.training.dropout import MaskSource
from posologie.training.examples import Examples
from posologie.training.history import Update
from posologie.training.interruption import InterruptionError, StopRequest
from posologie.training.order import micro_batches, updates_of_epoch
from posologie.training.processes import Group
from posologie.training.schedule import learning_rate
from posologie.training.spec import Recipe

log = logging.getLogger(__name__)

DIVERGENCE_WINDOW = 20


@dataclass(frozen=True)
class Student:
    """What is trained.

    Attributes:
        model: the adapted backbone.
        decoder: its part from token ids to hidden states.
        head: its output layer.
        weights: the trained parameters by name.
        masks: the source of its dropout masks.
    """

    model: Any
    decoder: Any
    head: torch.nn.Linear
    weights: dict[str, torch.nn.Parameter]
    masks: MaskSource


@dataclass
class Hooks:
    """What the loop tells the world.

    Attributes:
        save: called with a checkpoint when one is due.
        seconds_between: the least time between two checkpoints within an epoch.
        updated: called after each update.
        stop: read between micro-batches.
    """

    save: Callable[[Checkpoint], None]
    seconds_between: float
    updated: Callable[[Update], None]
    stop: StopRequest = field(default_factory=StopRequest)


def total_updates(examples: Examples, recipe: Recipe) -> int:
    """Return the number of updates of the whole training."""
    return recipe.epochs * math.ceil(len(examples) / recipe.effective_batch)


def train(
    student: Student,
    examples: Examples,
    validation: Examples,
    recipe: Recipe,
    *,
    seed: int,
    micro_batch: int,
    group: Group,
    start: Checkpoint | None,
    hooks: Hooks,
) -> list[Update]:
    """Train the student's weights in place and return the history.

    Raises:
        InputError: if the loss stops being a number or diverges, with item ids; if memory runs out, with what to lower.
        InterruptionError: after a checkpoint, if a stop was asked for.
    """
    parameters = list(student.weights.values())
    optimizer = torch.optim.AdamW(
        parameters, lr=recipe.learning_rate, weight_decay=recipe.weight_decay, fused=group.device.type == "cuda"
    )
    history: list[Update] = []
    if start is not None:
        history = start.history
        restore(student.weights, optimizer, start.tensors)
    total = total_updates(examples, recipe)
    counts = target_counts(examples, recipe.loss_on)
    clock = saved = time.perf_counter()

    def checkpoint() -> None:
        nonlocal saved
        hooks.save(Checkpoint(history, state_of(student.weights, optimizer), {}, {}))
        saved = time.perf_counter()

    for epoch, chosen, last_of_epoch in _remaining(examples, recipe, seed, len(history)):
        step = len(history)
        rate = learning_rate(step, total, recipe)
        for settings in optimizer.param_groups:
            settings["lr"] = rate
        targets = int(counts[chosen].sum())
        own = micro_batches(chosen, examples.lengths, size=micro_batch, process=group.rank, processes=group.size)
        if group.any(hooks.stop.requested):
            checkpoint()
            raise InterruptionError
        student.model.train()
        summed = torch.zeros(max(1, len(own)), dtype=torch.float32, device=group.device)
        batches: list[Batch] = []
        for number, part in enumerate(own):
            if group.size == 1 and hooks.stop.requested:
                optimizer.zero_grad()
                checkpoint()
                raise InterruptionError
            batch = assemble(examples, part, loss_on=recipe.loss_on, device=group.device)
            batches.append(batch)
            student.masks.begin(seed=seed, update=step, ids=batch.ids, bounds=batch.bounds)
            hidden = hidden_states(student.decoder, batch)
            loss = loss_of.summed_loss(hidden[batch.rows], student.head, batch.targets)
            (loss / targets).backward()
            summed[number] = loss.detach()
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        loss_sum = summed.sum()
        group.sum_in_place([*gradients, loss_sum])
        norm = torch.nn.utils.clip_grad_norm_(parameters, recipe.max_grad_norm)
        mean, gradient_norm = (torch.stack([loss_sum / targets, norm])).tolist()
        if not (math.isfinite(mean) and math.isfinite(gradient_norm)):
            _not_a_number(step + 1, epoch, mean, gradient_norm, batches, summed, group)
        optimizer.step()
        torch.autograd.graph.increment_version(parameters)  # a fused optimizer does not, and DoRA's norms rely on it
        optimizer.zero_grad()

        now = time.perf_counter()
        update = Update(
            step=step + 1,
            epoch=epoch,
            loss=mean,
            learning_rate=rate,
            gradient_norm=gradient_norm,
            examples=len(chosen),
            tokens=int(examples.lengths[chosen].sum()),
            targets=targets,
            validation_loss=None,
            validation_answer_loss=None,
            seconds=now - clock,
        )
        if last_of_epoch and len(validation):
            overall, answers = validation_loss(student, validation, recipe, micro_batch=micro_batch, group=group)
            update = replace(update, validation_loss=overall, validation_answer_loss=answers)
        history.append(update)
        hooks.updated(update)
        if last_of_epoch or time.perf_counter() - saved >= hooks.seconds_between:
            checkpoint()
        clock = time.perf_counter()
    return history


@torch.no_grad()  # type: ignore[untyped-decorator]
def validation_loss(
    student: Student, examples: Examples, recipe: Recipe, *, micro_batch: int, group: Group
) -> tuple[float, float]:
    """Return the mean loss over the recipe's kind of targets, and over the answers' tokens alone, in nats."""
    student.model.eval()
    sums = torch.zeros(4, dtype=torch.float64, device=group.device)
    everything = np.arange(len(examples))
    for part in micro_batches(everything, examples.lengths, size=micro_batch, process=group.rank, processes=group.size):
        batch = assemble(examples, part, loss_on=recipe.loss_on, device=group.device)
        hidden = hidden_states(student.decoder, batch)
        losses = loss_of.losses(hidden[batch.rows], student.head, batch.targets).double()
        in_answer = batch.in_answer.double()
        sums += torch.stack([losses.sum(), torch.ones_like(losses).sum(), losses @ in_answer, in_answer.sum()])
    group.sum_in_place([sums])
    overall, count, answers, answer_count = sums.tolist()
    return overall / count, answers / answer_count


def state_of(weights: dict[str, torch.nn.Parameter], optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """Return copies of the trained weights and of AdamW's moments, by name, on the CPU."""
    tensors: dict[str, torch.Tensor] = {}
    for name, parameter in weights.items():
        tensors[f"weight/{name}"] = parameter.detach().cpu().clone()
        for key, value in optimizer.state.get(parameter, {}).items():
            tensors[f"{key}/{name}"] = value.detach().cpu().clone()
    return tensors


@torch.no_grad()  # type: ignore[untyped-decorator]
def restore(
    weights: dict[str, torch.nn.Parameter], optimizer: torch.optim.Optimizer, tensors: dict[str, torch.Tensor]
) -> None:
    """Put back what `state_of` returned."""
    for name, parameter in weights.items():
        parameter.copy_(tensors[f"weight/{name}"])
        for key in ("step", "exp_avg", "exp_avg_sq"):
            if f"{key}/{name}" in tensors:
                value = tensors[f"{key}/{name}"]
                on_cpu = key == "step" and not optimizer.param_groups[0]["fused"]
                optimizer.state[parameter][key] = value if on_cpu else value.to(parameter.device)


def _remaining(examples: Examples, recipe: Recipe, seed: int, done: int) -> Iterator[tuple[int, np.ndarray, bool]]:
    """Yield epoch (from 1), example indices and whether it ends the epoch, for each update after the first `done`."""
    per_epoch = math.ceil(len(examples) / recipe.effective_batch)
    for epoch in range(done // per_epoch, recipe.epochs):
        updates = updates_of_epoch(
            examples.ids,
            examples.lengths,
            effective_batch=recipe.effective_batch,
            seed=seed,
            epoch=epoch,
            group_by_length=recipe.group_by_length,
        )
        for number in range(done - epoch * per_epoch if epoch == done // per_epoch else 0, per_epoch):
            yield epoch + 1, updates[number], number == per_epoch - 1


def _not_a_number(
    step: int,
    epoch: int,
    mean: float,
    gradient_norm: float,
    batches: list[Batch],
    summed: torch.Tensor,
    group: Group,
) -> None:
    """Stop, naming the items of the micro-batches whose loss is not finite, or of the whole update."""
    finite = torch.isfinite(summed).tolist()
    bad = [name for batch, fine in zip(batches, finite, strict=False) if not fine for name in batch.ids]
    bad = [name for names in group.gathered(bad) for name in names]
    if not bad:
        bad = [name for names in group.gathered([name for batch in batches for name in batch.ids]) for name in names]
    raise InputError(
        f"update {step} (epoch {epoch}): loss {mean}, gradient norm {gradient_norm}; expected finite numbers; "
        f"items {', '.join(bad)}"
    )
