"""How much memory a training takes on its device, without the device and without the weights.

Two updates of the real training code run on torch's meta device, where tensors have shapes and no contents. Each tensor
is counted for as long as it lives, as `torch.distributed._tools.mem_tracker` counts them. What libraries take beside
tensors (the CUDA context, workspaces of kernels, fragmentation) is not in it.
"""

import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from posologie.models.load import unloaded_model
from posologie.training.batches import assemble
from posologie.training.examples import Examples
from posologie.training.loop import backward, in_items
from posologie.training.spec import TrainingSpec
from posologie.training.student import PACKED, Student, student_of
from posologie.training.update import make_optimizer

_BITS = {"4bit": 4.127, "8bit": 8.0}
"""Bits of a quantised weight with its scales: NF4 with double quantisation (arXiv 2305.14314, section 3); int8."""


GATHERED = 3
"""Layers of a shared backbone that are whole at once: one that computes, the next one, and the buffer it arrives in."""


@dataclass(frozen=True)
class Footprint:
    """Bytes of a training on one device.

    Attributes:
        parameters: of the model, trained or not: a count, not bytes.
        trained: of them and of its adapter, those that are trained: a count.
        weights: of the model and its adapter; of a model that processes share, this device's part.
        state: gradients and moments of what is trained.
        activations: what the longest micro-batch takes above both, at its peak, and gathered layers of a shared model.
    """

    parameters: int
    trained: int
    weights: int
    state: int
    activations: int

    @property
    def peak(self) -> int:
        """Bytes at the peak of an update."""
        return self.weights + self.state + self.activations


class _Living(TorchDispatchMode):  # type: ignore[misc]
    """Counts the bytes of all tensors that are made inside, for as long as they live."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._sizes: dict[int, int] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(output):
            if isinstance(tensor, torch.Tensor) and tensor.is_meta:
                self._count(tensor.untyped_storage())
        return output

    def _count(self, storage: torch.UntypedStorage) -> None:
        if storage._cdata not in self._sizes:
            self._sizes[storage._cdata] = storage.nbytes()
            self.now += storage.nbytes()
            self.peak = max(self.peak, self.now)
            weakref.finalize(storage, self._gone, storage._cdata)

    def _gone(self, storage: int) -> None:
        self.now -= self._sizes.pop(storage, 0)


def footprint(
    folder: Path, spec: TrainingSpec, micro_batch: int, longest: int | None = None, processes: int = 1
) -> Footprint:
    """Return the memory of a training at its longest micro-batch.

    Args:
        folder: of the backbone; only its configuration is read.
        spec: of the adapter.
        micro_batch: examples on the device at once.
        longest: tokens of each of them; the recipe's `max_length` if left out, which no example exceeds.
        processes: that share the frozen backbone (`posologie.training.sharding`).

    Raises:
        InputError: if the recipe does not fit the backbone.
    """
    quantization, recipe = spec.recipe.quantization, spec.recipe
    plain: dict[str, Any] = {"quantization": "none", "kernels": "torch"}
    if recipe.method == "pissa":
        plain["method"] = "lora"  # of the same size, and with no weights to take apart
    spec = spec.model_copy(update={"recipe": recipe.model_copy(update=plain)})
    precision = torch.float32 if recipe.method == "full" else getattr(torch, recipe.precision)
    device = torch.device("meta")
    with _Living() as living:
        with device:
            model = unloaded_model(folder, attn_implementation=PACKED, dtype=precision)
        parameters = sum(parameter.numel() for parameter in model.parameters())
        student = student_of(model, spec, device)
        weights = living.now
        optimizer = make_optimizer(student.weights, spec.recipe, device)
        one_update(student, optimizer, spec, micro_batch, longest or recipe.max_length, device)
        held = living.peak = living.now  # the second update comes on top of gradients and moments
        one_update(student, optimizer, spec, micro_batch, longest or recipe.max_length, device)
        peak = living.peak
    trained = sum(parameter.numel() for parameter in student.weights.values())
    saved = beside = 0
    if quantization != "none":
        layers = [layer.weight for layer in student.decoder.modules() if type(layer) is torch.nn.Linear]
        frozen = [weight for weight in layers if not weight.requires_grad]
        saved = int(sum(weight.numel() * (weight.element_size() - _BITS[quantization] / 8) for weight in frozen))
        beside = max(weight.numel() * weight.element_size() for weight in frozen)  # one layer is unpacked at a time
    if processes > 1:
        backbone = sum(_bytes(parameter) for parameter in student.model.parameters() if not parameter.requires_grad)
        units = [*student.decoder.layers, model.get_input_embeddings(), student.head]
        saved = backbone - backbone // processes
        beside = GATHERED * max(sum(map(_bytes, unit.parameters())) for unit in units)
    return Footprint(parameters, trained, weights - saved, held - weights, peak - held + beside)


def _bytes(tensor: torch.Tensor) -> int:
    return int(tensor.numel() * tensor.element_size())


def one_update(
    student: Student,
    optimizer: torch.optim.Optimizer,
    spec: TrainingSpec,
    micro_batch: int,
    longest: int,
    device: torch.device,
) -> None:
    """Run one update with a single micro-batch, all of whose examples are of one length."""
    pairs = spec.recipe.objective == "dpo"
    count = 2 * max(1, micro_batch // 2) if pairs else micro_batch
    examples = Examples(
        ids=tuple(map(str, range(count))),
        tokens=np.zeros(count * longest, np.int32),
        starts=np.arange(count + 1) * longest,
        answers=np.ones(count, np.int64),
        answer_ends=np.full(count, longest),
        context_cut=(),
        rejected=(),
        pairs=pairs,
        reference=np.zeros(count, np.float32),
    )
    batch = assemble(examples, range(count), loss_on="all", device=device)
    student.model.train()
    student.masks.begin(seed=spec.seed, update=0, ids=batch.ids, bounds=batch.bounds)
    backward(student, batch, in_items(micro_batch, examples), spec.recipe)
    torch.nn.utils.clip_grad_norm_(list(student.weights.values()), spec.recipe.max_grad_norm)
    optimizer.step()
    optimizer.zero_grad(set_to_none=False)  # gradients live on, as those of earlier micro-batches do
