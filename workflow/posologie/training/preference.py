"""Direct preference optimisation: the loss of pairs, and what the backbone alone says of them.

The backbone's log probabilities are computed once, before the first update, by the model that is about to be trained: a
fresh adapter changes nothing. So no second model is held, and full fine-tuning needs no copy of its backbone. Dropout
is off for them, as it is for a reference model.
"""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from posologie.running.whole_files import whole_file
from posologie.training import update as loss_of
from posologie.training.batches import Batch, assemble, micro_batches_in_step
from posologie.training.examples import Examples
from posologie.training.processes import Group
from posologie.training.student import Student


@dataclass(frozen=True)
class Pairs:
    """What a model says of the preference pairs of a micro-batch.

    Attributes:
        losses: of each pair, in nats, shape (pairs,).
        preferred: number of pairs whose chosen answer has gained more log probability than the rejected one.
        chosen_loss: summed cross-entropy of the chosen answers' tokens, in nats.
        chosen_tokens: their number.
    """

    losses: torch.Tensor
    preferred: torch.Tensor
    chosen_loss: torch.Tensor
    chosen_tokens: int


def log_probabilities(student: Student, batch: Batch) -> torch.Tensor:
    """Return the summed log probability of each example's targets, in nats, shape (examples,), float32."""
    states = student.predicting_states(batch)
    each = loss_of.target_losses(states, student.head, batch.targets, student.autocast, student.form)
    return -torch.stack([part.sum() for part in each.split(batch.counts)])


def pair_losses(student: Student, batch: Batch, beta: float) -> Pairs:
    """Return the losses of the pairs of a micro-batch, whose examples 2i and 2i + 1 are the answers of one pair.

    Args:
        batch: with its reference.
        beta: how strongly the model is held to its backbone.
    """
    if batch.reference is None:
        raise ValueError("preference pairs need the log probabilities of the backbone")
    logs = log_probabilities(student, batch)
    chosen, rejected = (logs - batch.reference).view(-1, 2).unbind(1)
    return Pairs(
        losses=loss_of.preference_losses(chosen, rejected, beta),
        preferred=(chosen > rejected).sum(),
        chosen_loss=-logs.detach()[::2].sum(),
        chosen_tokens=sum(batch.counts[::2]),
    )


@torch.no_grad()  # type: ignore[untyped-decorator]
def with_reference(student: Student, examples: Examples, path: Path, micro_batch: int, group: Group) -> Examples:
    """Return the examples with the log probabilities of their answers under the backbone alone.

    Args:
        student: before its first update, and before a checkpoint is put back.
        path: file that keeps them for later attempts; read if it exists.
        micro_batch: examples in one forward pass.
    """
    if group.any(not path.is_file()):
        reference = torch.zeros(len(examples), dtype=torch.float32, device=group.device)
        everything = np.arange(len(examples))
        student.model.eval()
        own, fillers = micro_batches_in_step(
            everything, examples.lengths, size=micro_batch, process=group.rank, processes=group.size
        )
        for number, part in enumerate([*own, *fillers] if student.sharded else own):
            batch = assemble(examples, part, loss_on="answer", device=group.device)
            with student.whole_head:
                each = log_probabilities(student, batch)
            if number < len(own):
                reference[torch.from_numpy(part).to(group.device)] = each
        group.sum_in_place([reference])
        if group.leads:
            with whole_file(path) as partial, open(partial, "wb") as file:
                np.save(file, reference.cpu().numpy())
        return replace(examples, reference=reference.cpu().numpy())
    return replace(examples, reference=np.load(path, allow_pickle=False))
