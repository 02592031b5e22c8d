"""What is trained: a backbone with its adapter, or the backbone itself."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from posologie.models.load import load_model
from posologie.running.errors import InputError
from posologie.training.adapters import attach
from posologie.training.attention import PACKED
from posologie.training.batches import Batch, hidden_states
from posologie.training.dropout import MaskSource
from posologie.training.last_layer import PredictingRows, restrict_last_layer
from posologie.training.loss import check_output_layer
from posologie.training.packing import check_packing
from posologie.training.recomputation import both_passes
from posologie.training.spec import Recipe, TrainingSpec


@dataclass(frozen=True)
class Student:
    """What is trained.

    Attributes:
        name: of the backbone.
        model: the adapted backbone, or the backbone itself.
        decoder: its part from token ids to hidden states.
        head: its output layer.
        weights: the trained parameters by name, in the order of the model.
        masks: the source of its dropout masks.
        predicting: the rows that the last layer computes, where it does not compute all.
        autocast: precision of the products where it is not that of the weights.
    """

    name: str
    model: Any
    decoder: Any
    head: torch.nn.Linear
    weights: dict[str, torch.nn.Parameter]
    masks: MaskSource
    predicting: PredictingRows | None = None
    autocast: torch.dtype | None = None

    def arithmetic(self) -> AbstractContextManager[Any]:
        """Return the context in which forward passes run."""
        if self.autocast is None:
            return nullcontext()
        autocast: AbstractContextManager[Any] = torch.autocast(self.head.weight.device.type, self.autocast)
        return autocast

    def predicting_states(self, batch: Batch) -> torch.Tensor:
        """Return the last hidden states of the rows that predict the batch's targets, shape (targets, hidden size)."""
        if self.predicting is not None:
            self.predicting.begin(batch.rows, batch.bounds[-1])
        with self.arithmetic():
            return hidden_states(self.decoder, batch)[batch.rows]


def make_student(folder: Path, spec: TrainingSpec, device: torch.device) -> Student:
    """Load a backbone and make it ready for training.

    Raises:
        InputError: if the recipe does not fit the backbone or the installed packages.
    """
    recipe = spec.recipe
    options: dict[str, Any] = {"attn_implementation": PACKED}
    if recipe.quantization != "none":
        options["quantization_config"] = _quantization(recipe.quantization, getattr(torch, recipe.precision))
        options["device_map"] = {"": device}
    precision = "float32" if recipe.method == "full" else recipe.precision
    try:
        model = load_model(folder, precision=precision, device=str(device), **options)
    except KeyError as error:
        if error.args != (PACKED,):
            raise
        raise InputError(f"{spec.backbone}: its layers take no other attention than their own") from error
    return student_of(model, spec, device)


def student_of(model: Any, spec: TrainingSpec, device: torch.device) -> Student:
    """Make a loaded backbone ready for training, in place.

    An adapter's weights are float32 and its backbone has the recipe's precision. Full fine-tuning keeps float32 weights
    and computes in the recipe's precision.

    Raises:
        InputError: if the recipe does not fit the backbone or the installed packages.
    """
    recipe = spec.recipe
    full = recipe.method == "full"
    check_output_layer(model, spec.backbone)
    if recipe.kernels == "liger":
        _use_liger(model, recipe, device)
    decoder, head = model.get_decoder(), model.get_output_embeddings()
    _switch_dropout_off(model)
    check_packing(model, spec.backbone)
    if recipe.gradient_checkpointing:
        # Masks are keyed by example, and there is no other randomness to preserve.
        model.activation_checkpointing_enable(
            {"use_reentrant": False, "preserve_rng_state": False, "context_fn": both_passes}
        )
    masks = MaskSource()
    if full:
        model.requires_grad_(True)
        trained = model
    else:
        trained = attach(model, recipe, backbone=spec.backbone, seed=spec.seed, masks=masks)
    predicting = None
    if recipe.loss_on == "answer" and (predicting := restrict_last_layer(decoder, masks)) is not None:
        for layer in decoder.layers[-2:]:
            # The last layer keeps little where few rows predict, and the one before it what any layer keeps while it is
            # recomputed.
            layer.gradient_checkpointing = False
    weights = {name: parameter for name, parameter in trained.named_parameters() if parameter.requires_grad}
    autocast = torch.bfloat16 if full and recipe.precision == "bfloat16" else None
    return Student(spec.backbone, trained, decoder, head, weights, masks, predicting, autocast)


def _quantization(kind: str, precision: torch.dtype) -> Any:
    """Return transformers' settings for a quantised backbone (4 bits: NF4, as in QLoRA, arXiv 2305.14314)."""
    import importlib.util

    from transformers import BitsAndBytesConfig

    if importlib.util.find_spec("bitsandbytes") is None:
        raise InputError(f"training.recipe.quantization = '{kind}': the package bitsandbytes is not installed")
    if kind == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=precision,
    )


def _switch_dropout_off(model: Any) -> None:
    """Switch off the dropout that a backbone brings of its own: a recomputation would draw it anew."""
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0


def _use_liger(model: Any, recipe: Recipe, device: torch.device) -> None:
    """Let liger-kernel compute norms, rotations and gates; the loss stays `posologie.training.loss`.

    Its rotations and gates write over their inputs, the outputs of linear layers, which our DoRA layers need in their
    backward pass unless dropout lies on the input: such a recipe gets the norms alone.
    """
    if device.type != "cuda":
        raise InputError("training.recipe.kernels = 'liger': its kernels need a GPU")
    try:
        from liger_kernel.transformers import _apply_liger_kernel_to_instance
    except ImportError as error:
        raise InputError("training.recipe.kernels = 'liger': the package liger-kernel is not installed") from error
    without = ["cross_entropy", "fused_linear_cross_entropy"]
    if recipe.method == "dora" and not (recipe.dropout and recipe.dropout_on == "input"):
        without += ["rope", "swiglu", "geglu"]
    _apply_liger_kernel_to_instance(model=model, **dict.fromkeys(without, False))
