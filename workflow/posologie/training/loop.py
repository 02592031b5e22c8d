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
from posologie.training import update as loss_of
from posologie.training.batches import Batch, assemble, micro_batches_in_step, target_counts, updates_of_epoch
from posologie.training.checkpoints import Checkpoint, Update
from posologie.training.examples import Examples
from posologie.training.preference import pair_losses
from posologie.training.processes import Group
from posologie.training.reporting import (
    MOMENTS,
    InterruptionError,
    OutOfMemoryError,
    StopRequest,
    memory_explained,
    of_batch,
)
from posologie.training.spec import Recipe
from posologie.training.student import Student
from posologie.training.update import copy_of, learning_rate, make_optimizer, put_back, state_of

log = logging.getLogger(__name__)

DIVERGENCE_WINDOW = 20


@dataclass
class Hooks:
    """How the loop reports to the outside, and is stopped from there.

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
    return recipe.epochs * math.ceil(len(examples.item_ids) / recipe.effective_batch)


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
    its examples, or over all its preference pairs.

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
    counts = target_counts(examples, recipe.targets_on())
    micro_batch = in_items(micro_batch, examples)

    def state(*, tensors: bool) -> Checkpoint:
        energy = hooks.energy()
        spent = None if energy is None or earlier_energy is None else earlier_energy + energy
        facts = {"gpu_energy_joules": spent, "micro_batch": float(micro_batch)}
        return Checkpoint(list(history), state_of(student.weights, optimizer) if tensors else {}, best, facts)

    def stop() -> None:
        optimizer.zero_grad()
        hooks.save(state(tensors=True))
        raise InterruptionError

    def end_epoch() -> None:
        """Validate, put the losses into the last update's entry, and keep the weights if they are the best so far."""
        nonlocal best
        losses = validation_loss(
            student, validation, recipe, micro_batch=micro_batch, group=group, stop=hooks.stop, epoch=history[-1].epoch
        )
        if losses is None:
            stop()
        else:
            overall, answers, preferred = losses
            earlier = [entry.validation_loss for entry in history if entry.validation_loss is not None]
            if recipe.keep == "best" and all(overall < other for other in earlier):
                best = copy_of(student.weights)
            history[-1] = replace(
                history[-1],
                validation_loss=overall,
                validation_answer_loss=answers,
                validation_preferred=preferred,
            )

    def accumulate(chosen: np.ndarray, step: int, weight: int) -> tuple[list[Batch], torch.Tensor]:
        """Add up this process's part of the gradient; return its micro-batches and their summed losses."""
        own, fillers = micro_batches_in_step(
            chosen, examples.item_lengths, size=micro_batch, process=group.rank, processes=group.size
        )
        student.model.train()
        batches = [
            assemble(examples, examples.of_items(part), loss_on=recipe.targets_on(), device=group.device)
            for part in ([*own, *fillers] if student.sharded else own)
        ]
        sums = torch.zeros(max(1, len(own)), dtype=torch.float32, device=group.device)
        for number, batch in enumerate(batches):
            if group.size == 1 and hooks.stop.requested:  # several processes agree before an update, below
                stop()
            student.masks.begin(seed=seed, update=step, ids=batch.ids, bounds=batch.bounds)
            with memory_explained(f"update {step + 1}", _advice(batch, micro_batch)):
                if number < len(own):
                    sums[number] = backward(student, batch, weight, recipe)
                else:
                    backward(student, batch, math.inf, recipe)  # adds zeros to the gradient
        return batches[: len(own)], sums

    per_epoch = max(1, total // recipe.epochs)
    if history and len(history) % per_epoch == 0 and len(validation) and history[-1].validation_loss is None:
        end_epoch()  # the attempt before was stopped while it validated
    first_step = len(history)
    clock = saved = time.perf_counter()

    for epoch, chosen, last_of_epoch in _remaining(examples, recipe, seed, len(history)):
        if group.any(hooks.stop.requested):
            stop()
        step = len(history)
        rate = learning_rate(step, total, recipe)
        for settings in optimizer.param_groups:
            settings["lr"] = rate
        members = examples.of_items(chosen)
        targets = int(counts[members].sum())
        weight = len(chosen) if examples.pairs else targets
        while True:
            try:
                batches, sums = accumulate(chosen, step, weight)
                break
            except OutOfMemoryError as error:
                optimizer.zero_grad()
                micro_batch = _smaller(micro_batch, error, student)
        if step == first_step:
            _refuse_untrained(student, group)
        for parameter in parameters:
            if parameter.grad is None:  # a process without examples in a short update
                parameter.grad = torch.zeros_like(parameter)
        loss_sum = sums.sum()
        group.sum_in_place([*(parameter.grad for parameter in parameters), loss_sum])
        norm = torch.nn.utils.clip_grad_norm_(parameters, recipe.max_grad_norm)
        loss, gradient_norm = torch.stack([loss_sum / weight, norm]).tolist()  # the one wait for the device
        if not (math.isfinite(loss) and math.isfinite(gradient_norm)):
            _refuse_numbers(step + 1, epoch, loss, gradient_norm=gradient_norm, batches=batches, sums=sums, group=group)
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
            tokens=int(examples.lengths[members].sum()),
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


def _refuse_untrained(student: Student, group: Group) -> None:
    """Stop where a trained tensor had no part in the first update: it would be written as it began.

    Experts are passed over, since an update may route no token to one of them.
    """
    silent = [name for name, parameter in student.weights.items() if parameter.grad is None and "expert" not in name]
    by_process = group.gathered(silent)
    everywhere = [name for name in by_process[0] if all(name in names for names in by_process)]
    if everywhere:
        if not group.leads:
            sys.exit(2)
        raise InputError(
            f"{student.name}: {len(everywhere)} of {len(student.weights)} trained tensors get no gradient, such as "
            f"'{everywhere[0]}'; leave their layers out of training.recipe.target_modules"
        )


def in_items(micro_batch: int, examples: Examples) -> int:
    """Return how many items make up a micro-batch of so many examples."""
    return max(1, micro_batch // 2) if examples.pairs else micro_batch


def _smaller(micro_batch: int, error: OutOfMemoryError, student: Student) -> int:
    """Return half a micro-batch, or raise the error where there is no half.

    The update is computed again from its start: a backward pass that failed has left parts of gradients behind. Where
    processes share the backbone's weights, the others wait for this one in the midst of theirs, so nothing goes on.
    """
    if micro_batch == 1 or student.sharded:
        raise error
    log.warning("%s; continuing with a micro-batch of %d, which changes no result", error, micro_batch // 2)
    return micro_batch // 2


def backward(student: Student, batch: Batch, weight: float, recipe: Recipe) -> torch.Tensor:
    """Add a micro-batch's part of the gradient and return its summed loss.

    Args:
        weight: what the update's summed loss is divided by: its targets, or its pairs.
    """
    if recipe.objective == "dpo":
        with student.whole_head:  # whose weight the backward pass reads as well
            loss = pair_losses(student, batch, recipe.dpo_beta).losses.sum()
            (loss / weight).backward()
        return loss.detach()
    states = student.predicting_states(batch)
    with student.whole_head:
        loss = loss_of.summed_loss(states, student.head, batch.targets, student.autocast, student.form)
    (loss / weight).backward()
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
) -> tuple[float, float, float | None] | None:
    """Return the mean loss over the recipe's kind of targets, and over the answers' tokens alone, in nats.

    With preference pairs, it is the mean loss of a pair, the cross-entropy of the chosen answers' tokens, and the share
    of pairs that are ranked correctly (else None). None if a stop was requested in the meantime.

    Args:
        micro_batch: items in one forward pass.
    """
    student.model.eval()
    micro_batch = min(group.gathered(micro_batch))  # a process that ran out of memory has a smaller one
    sums = torch.zeros(5, dtype=torch.float64, device=group.device)
    everything = np.arange(len(examples.item_ids))
    own, fillers = micro_batches_in_step(
        everything, examples.item_lengths, size=micro_batch, process=group.rank, processes=group.size
    )
    for number, items in enumerate([*own, *fillers]):  # as many rounds in every process
        if group.any(stop.requested):
            return None
        if number >= len(own) and not student.sharded:
            continue
        waiting = [items]
        while waiting:
            part = waiting.pop(0)
            batch = assemble(examples, examples.of_items(part), loss_on=recipe.targets_on(), device=group.device)
            try:
                with memory_explained(f"validation of epoch {epoch}", _advice(batch, len(part))), student.arithmetic():
                    part_sums = _validation_sums(student, batch, recipe)
                if number < len(own):
                    sums += part_sums
            except OutOfMemoryError as error:
                half = _smaller(len(part), error, student)
                waiting = [part[:half], part[half:], *waiting]
    group.sum_in_place([sums])
    overall, count, answers, answer_count, preferred = sums.tolist()
    return overall / count, answers / answer_count, preferred / count if examples.pairs else None


def _validation_sums(student: Student, batch: Batch, recipe: Recipe) -> torch.Tensor:
    """Return summed losses and their number, the same of answers' tokens, and the pairs that are ranked correctly."""
    if recipe.objective == "dpo":
        with student.whole_head:
            pairs = pair_losses(student, batch, recipe.dpo_beta)
        numbers = (pairs.losses.sum(), len(pairs.losses), pairs.chosen_loss, pairs.chosen_tokens)
        return torch.stack(
            [torch.as_tensor(number).double().to(pairs.losses.device) for number in (*numbers, pairs.preferred)]
        )
    states = student.predicting_states(batch)
    with student.whole_head:
        losses = loss_of.losses(states, student.head, batch.targets, student.form).double()
    in_answer = batch.in_answer.double()
    none = torch.zeros_like(losses.sum())
    return torch.stack([losses.sum(), torch.ones_like(losses).sum(), losses @ in_answer, in_answer.sum(), none])


def _remaining(examples: Examples, recipe: Recipe, seed: int, done: int) -> Iterator[tuple[int, np.ndarray, bool]]:
    """Yield epoch (from 1), example indices and whether it ends the epoch, for each update after the first `done`."""
    per_epoch = math.ceil(len(examples.item_ids) / recipe.effective_batch)
    for epoch in range(done // per_epoch, recipe.epochs):
        updates = updates_of_epoch(
            examples.item_ids,
            examples.item_lengths,
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
        names = ", ".join(examples.item_ids[index] for index in chosen)
        raise InputError(
            f"update {len(history)} (epoch {history[-1].epoch}): the loss diverges, mean {last:.3f} over the last "
            f"{DIVERGENCE_WINDOW} updates after {first:.3f} over the first; lower training.recipe.learning_rate; "
            f"items of this update {names}"
        )


def _advice(batch: Batch, micro_batch: int) -> str:
    return of_batch(examples=len(batch.ids), tokens=batch.bounds[-1], longest=batch.longest, micro_batch=micro_batch)
