"""The training loop, in the order in which things happen."""

import logging
import math
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
import torch

from posologie.running.errors import InputError
from posologie.training import loss as loss_of
from posologie.training.batches import Batch, assemble, target_counts
from posologie.training.checkpoints import Checkpoint
from posologie.training.examples import Examples
from posologie.training.history import Update
from posologie.training.interruption import InterruptionError, StopRequest
from posologie.training.memory import MOMENTS, memory_explained, of_batch
from posologie.training.optimizer import copy_of, make_optimizer, put_back, state_of
from posologie.training.order import micro_batches, updates_of_epoch
from posologie.training.processes import Group
from posologie.training.schedule import learning_rate
from posologie.training.spec import Recipe
from posologie.training.student import Student

log = logging.getLogger(__name__)

DIVERGENCE_WINDOW = 20


@dataclass
class Hooks:
    """What the loop tells the world, and hears from it.

    Attributes:
        save: called with a checkpoint when one is due.
        seconds_between: the least time between two checkpoints within an epoch.
        updated: called after each update.
        energy: joules since the start of this attempt, or None where they cannot be read.
        stop: read between micro-batches.
    """

    save: Callable[[Checkpoint], None]
    seconds_between: float
    updated: Callable[[Update], None]
    energy: Callable[[], float | None] = lambda: None
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
) -> Checkpoint:
    """Train the student's weights in place and return the final state.

    An update is the same whatever the micro-batch and the number of processes: its loss is the mean over all targets of
    its examples.

    Raises:
        InputError: if the loss stops being a number or diverges, with item ids; if memory runs out, with what to lower.
        InterruptionError: after a checkpoint, if a stop was asked for.
    """
    parameters = list(student.weights.values())
    optimizer = make_optimizer(student.weights, recipe, group.device)
    history: list[Update] = []
    best: dict[str, torch.Tensor] = {}
    earlier_energy: float | None = 0.0
    if start is not None:
        history, best = list(start.history), start.best
        earlier_energy = start.facts.get("gpu_energy_joules")
        put_back(student.weights, optimizer, start.tensors)
    total = total_updates(examples, recipe)
    counts = target_counts(examples, recipe.loss_on)

    def state(*, tensors: bool) -> Checkpoint:
        energy = hooks.energy()
        spent = None if energy is None or earlier_energy is None else earlier_energy + energy
        facts = {"gpu_energy_joules": spent}
        return Checkpoint(list(history), state_of(student.weights, optimizer) if tensors else {}, best, facts)

    def stop() -> None:
        optimizer.zero_grad()
        hooks.save(state(tensors=True))
        raise InterruptionError

    def end_epoch() -> None:
        """Validate, put the losses into the last update's entry, and keep the weights if they are the best so far."""
        nonlocal best
        found = validation_loss(
            student, validation, recipe, micro_batch=micro_batch, group=group, stop=hooks.stop, epoch=history[-1].epoch
        )
        if found is None:
            stop()
        else:
            overall, answers = found
            earlier = [entry.validation_loss for entry in history if entry.validation_loss is not None]
            if recipe.keep == "best" and all(overall < other for other in earlier):
                best = copy_of(student.weights)
            history[-1] = replace(history[-1], validation_loss=overall, validation_answer_loss=answers)

    per_epoch = max(1, total // recipe.epochs)
    if history and len(history) % per_epoch == 0 and len(validation) and history[-1].validation_loss is None:
        end_epoch()  # the attempt before was stopped while it validated
    clock = saved = time.perf_counter()

    for epoch, chosen, last_of_epoch in _remaining(examples, recipe, seed, len(history)):
        if group.any(hooks.stop.requested):
            stop()
        step = len(history)
        rate = learning_rate(step, total, recipe)
        for settings in optimizer.param_groups:
            settings["lr"] = rate
        targets = int(counts[chosen].sum())
        own = micro_batches(chosen, examples.lengths, size=micro_batch, process=group.rank, processes=group.size)

        student.model.train()
        batches = [assemble(examples, part, loss_on=recipe.loss_on, device=group.device) for part in own]
        sums = torch.zeros(max(1, len(own)), dtype=torch.float32, device=group.device)
        for number, batch in enumerate(batches):
            if group.size == 1 and hooks.stop.requested:  # several processes agree before an update, above
                stop()
            student.masks.begin(seed=seed, update=step, ids=batch.ids, bounds=batch.bounds)
            with memory_explained(f"update {step + 1}", _advice(batch, micro_batch)):
                sums[number] = _backward(student, batch, targets)
        for parameter in parameters:
            if parameter.grad is None:  # a process without examples in a short update
                parameter.grad = torch.zeros_like(parameter)
        loss_sum = sums.sum()
        group.sum_in_place([*(parameter.grad for parameter in parameters), loss_sum])
        norm = torch.nn.utils.clip_grad_norm_(parameters, recipe.max_grad_norm)
        loss, gradient_norm = torch.stack([loss_sum / targets, norm]).tolist()  # the one wait for the device
        if not (math.isfinite(loss) and math.isfinite(gradient_norm)):
            _refuse_numbers(step + 1, epoch, loss, gradient_norm, batches, sums, group)
        with memory_explained(f"update {step + 1}", MOMENTS):
            optimizer.step()
        torch.autograd.graph.increment_version(parameters)  # a fused optimizer does not, and DoRA's norms rely on it
        optimizer.zero_grad()

        update = Update(
            step=step + 1,
            epoch=epoch,
            loss=loss,
            learning_rate=rate,
            gradient_norm=gradient_norm,
            examples=len(chosen),
            tokens=int(examples.lengths[chosen].sum()),
            targets=targets,
            validation_loss=None,
            validation_answer_loss=None,
            seconds=time.perf_counter() - clock,
        )
        history.append(update)
        if last_of_epoch and len(validation):
            end_epoch()
        hooks.updated(history[-1])
        _refuse_divergence(history, recipe, chosen, examples, group)
        if last_of_epoch or time.perf_counter() - saved >= hooks.seconds_between:
            hooks.save(state(tensors=True))
            saved = time.perf_counter()
        clock = time.perf_counter()
    if best:
        with torch.no_grad():
            for name, parameter in student.weights.items():
                parameter.copy_(best[name])
    return state(tensors=False)


def _backward(student: Student, batch: Batch, targets: int) -> torch.Tensor:
    """Add a micro-batch's part of the gradient and return its summed loss."""
    states = student.predicting_states(batch)
    loss = loss_of.summed_loss(states, student.head, batch.targets, student.autocast)
    (loss / targets).backward()
    return loss.detach()


@torch.no_grad()  # type: ignore[untyped-decorator]
def validation_loss(
    student: Student,
    examples: Examples,
    recipe: Recipe,
    *,
    micro_batch: int,
    group: Group,
    stop: StopRequest,
    epoch: int,
) -> tuple[float, float] | None:
    """Return the mean loss over the recipe's kind of targets, and over the answers' tokens alone, in nats.

    None if a stop was asked for meanwhile.
    """
    student.model.eval()
    sums = torch.zeros(4, dtype=torch.float64, device=group.device)
    everything = np.arange(len(examples))
    own = micro_batches(everything, examples.lengths, size=micro_batch, process=group.rank, processes=group.size)
    for number in range(math.ceil(len(examples) / group.size / micro_batch)):  # as many rounds in every process
        if group.any(stop.requested):
            return None
        if number >= len(own):
            continue
        batch = assemble(examples, own[number], loss_on=recipe.loss_on, device=group.device)
        with memory_explained(f"validation of epoch {epoch}", _advice(batch, micro_batch)), student.arithmetic():
            losses = loss_of.losses(student.predicting_states(batch), student.head, batch.targets).double()
        in_answer = batch.in_answer.double()
        sums += torch.stack([losses.sum(), torch.ones_like(losses).sum(), losses @ in_answer, in_answer.sum()])
    group.sum_in_place([sums])
    overall, count, answers, answer_count = sums.tolist()
    return overall / count, answers / answer_count


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
        for number in range(max(0, done - epoch * per_epoch), per_epoch):
            yield epoch + 1, updates[number], number == per_epoch - 1


def _refuse_numbers(
    step: int,
    epoch: int,
    loss: float,
    gradient_norm: float,
    batches: list[Batch],
    sums: torch.Tensor,
    group: Group,
) -> None:
    """Stop, naming the items of the micro-batches whose loss is not finite, or of the whole update."""
    finite = torch.isfinite(sums).tolist()
    bad = [name for batch, fine in zip(batches, finite, strict=False) if not fine for name in batch.ids]
    bad = [name for names in group.gathered(bad) for name in names]
    everything = [name for names in group.gathered([name for batch in batches for name in batch.ids]) for name in names]
    if not group.leads:
        sys.exit(2)  # the leading process speaks for all
    raise InputError(
        f"update {step} (epoch {epoch}): loss {loss}, gradient norm {gradient_norm}, expected finite numbers; "
        f"items {', '.join(bad or everything)}"
    )


def _refuse_divergence(
    history: list[Update], recipe: Recipe, chosen: np.ndarray, examples: Examples, group: Group
) -> None:
    """Stop where the loss has risen far above where it began; windows of 20 updates do not overlap."""
    if recipe.divergence_factor is None or len(history) < 2 * DIVERGENCE_WINDOW:
        return
    first = statistics.fmean(update.loss for update in history[:DIVERGENCE_WINDOW])
    last = statistics.fmean(update.loss for update in history[-DIVERGENCE_WINDOW:])
    if last > recipe.divergence_factor * first:
        if not group.leads:
            sys.exit(2)
        names = ", ".join(examples.ids[index] for index in chosen)
        raise InputError(
            f"update {len(history)} (epoch {history[-1].epoch}): the loss diverges, mean {last:.3f} over the last "
            f"{DIVERGENCE_WINDOW} updates after {first:.3f} over the first; lower training.recipe.learning_rate; "
            f"items of this update {names}"
        )


def _advice(batch: Batch, micro_batch: int) -> str:
    return of_batch(examples=len(batch.ids), tokens=batch.bounds[-1], longest=batch.longest, micro_batch=micro_batch)
