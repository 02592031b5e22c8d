"""Backbones whose frozen weights are divided among the processes that train together, for those larger than a GPU.

torch's `fully_shard` (FSDP2; Zhao et al. 2023, arXiv 2304.11277) keeps one part of each weight in every process, and
gathers a decoder layer while it computes, forward and backward. The adapter stays whole in every process, so its
gradients, moments, checkpoints and files are those of a training without sharding, byte for byte.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.tensor import DTensor

from posologie.running.errors import InputError


class WholeWhileUsed(torch.nn.Module):  # type: ignore[misc]
    """Modules whose weights are sharded together, and whole inside `with` and while one of them computes.

    The output layer needs this: the loss reads its weight without calling it, and that weight may be the embedding
    table's as well.
    """

    def __init__(self, *members: torch.nn.Module) -> None:
        super().__init__()
        self.members = torch.nn.ModuleList(members)
        self._users = 0
        for member in members:
            member.register_forward_pre_hook(lambda *_: self.__enter__())
            member.register_forward_hook(lambda *_: self.__exit__(), always_call=True)

    def __enter__(self) -> None:
        if self._users == 0:
            self.unshard()  # of torch's FSDPModule, which `fully_shard` makes of this module
        self._users += 1

    def __exit__(self, *_: object) -> None:
        self._users -= 1
        if self._users == 0:
            self.reshard()


def shard(model: Any, device: torch.device, processes: int, *, backbone: str) -> WholeWhileUsed:
    """Leave each process its part of a backbone's weights, in place, and return what makes the output layer whole.

    From here on all processes must call the model equally often, since each call gathers weights from all of them.

    Args:
        model: on the CPU, where its files need not be read before they are divided.
        device: where the parts are put.
        processes: of the default process group, in which every one does this.
        backbone: its name, for errors.

    Raises:
        InputError: if the backbone is not a list of layers.
    """
    decoder = model.get_decoder()
    if not hasattr(decoder, "layers"):
        raise InputError(
            f"devices.shard_backbone: the decoder of {backbone} has no list of layers, which are gathered one by one; "
            "expected one, or shard_backbone: false"
        )
    model.requires_grad_(False)
    mesh = init_device_mesh(device.type, (processes,))
    for layer in decoder.layers:
        fully_shard(layer, mesh=mesh)
    embedding, head = model.get_input_embeddings(), model.get_output_embeddings()
    tied = embedding.weight is head.weight
    whole = WholeWhileUsed(embedding, head) if tied else WholeWhileUsed(head)
    fully_shard(whole, mesh=mesh)
    if not tied:
        fully_shard(embedding, mesh=mesh)
    ends = {*embedding.parameters(), *head.parameters()}
    fully_shard(decoder, mesh=mesh, ignored_params=ends)  # what is left: the last norm
    model.to(device)  # what reads no text
    return whole


def whole_weight(weight: torch.Tensor) -> torch.Tensor:
    """Return a weight, gathered from all processes where it is sharded; every process must ask for it."""
    whole: torch.Tensor = weight.full_tensor() if isinstance(weight, DTensor) else weight
    return whole


@contextmanager
def sharded_without_values(model: Any) -> Iterator[None]:
    """Let empty tensors stand for sharded weights inside: peft computes with those it adapts, to no effect here."""
    sharded = [
        (module, name, parameter)
        for module in model.modules()
        for name, parameter in module.named_parameters(recurse=False)
        if isinstance(parameter, DTensor)
    ]
    for module, name, parameter in sharded:
        empty = torch.empty(parameter.shape, dtype=parameter.dtype, device="meta")
        setattr(module, name, torch.nn.Parameter(empty, requires_grad=False))
    try:
        yield
    finally:
        for module, name, parameter in sharded:
            setattr(module, name, parameter)
