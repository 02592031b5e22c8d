"""What is trained: a backbone with its adapter, or the backbone itself, with attention over padding-free batches."""

from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

from posologie.models.load import load_model
from posologie.running.errors import InputError
from posologie.training.adapters import attach
from posologie.training.batches import Batch, check_logits, check_packing, hidden_states
from posologie.training.layers import MaskSource, PredictingRows, both_passes, restrict_last_layer
from posologie.training.sharding import shard
from posologie.training.spec import Recipe, TrainingSpec, check_sharding
from posologie.training.update import PLAIN, LogitForm, copy_of, logit_form

PACKED = "posologie_packed"


def packed_attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    bounds: list[int] | None = None,
    cu_seq_lens_q: torch.Tensor | None = None,
    max_length_q: int | None = None,
    scaling: float | None = None,
    dropout: float = 0.0,
    sliding_window: int | None = None,
    softcap: float | None = None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Return the attention of each example over itself alone.

    Args:
        query: shape (1, heads, rows, head size).
        key: shape (1, key heads, rows, head size), as is `value`.
        bounds: example i holds the rows `bounds[i]` to `bounds[i + 1]`.
        cu_seq_lens_q: the same on the device, int32.
        max_length_q: rows of the longest example.
        sliding_window: tokens that a token sees, itself included; all before it if left out.
        softcap: scores x become softcap * tanh(x / softcap) (Gemma 2).

    Returns:
        Shape (1, rows, heads, head size), and no attention weights.

    Raises:
        ValueError: for what this attention does not do: dropout, sinks.
    """
    if bounds is None or cu_seq_lens_q is None or max_length_q is None:
        raise ValueError("packed attention needs the bounds of the examples")
    if dropout or kwargs.get("s_aux") is not None:
        raise ValueError("packed attention has neither dropout nor sinks")
    if sliding_window is not None and sliding_window >= max_length_q:
        sliding_window = None
    if softcap is None and query.is_cuda and query.dtype in (torch.bfloat16, torch.float16):
        from torch.nn.attention.varlen import varlen_attn

        output = varlen_attn(
            *(states.squeeze(0).transpose(0, 1) for states in (query, key, value)),
            cu_seq_lens_q,
            cu_seq_lens_q,
            max_length_q,
            max_length_q,
            scale=scaling,
            window_size=(-1 if sliding_window is None else sliding_window - 1, 0),
            enable_gqa=query.shape[1] != key.shape[1],
        )
        return output.unsqueeze(0), None
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    pieces = []
    for start, end in pairwise(bounds):
        queries, keys, values = (some[:, :, start:end] for some in (query, key, value))
        sees = None if sliding_window is None else _window(end - start, sliding_window, query.device)
        if softcap is not None:
            pieces.append(_capped(queries, keys, values, sees, scale, softcap))
            continue
        if query.is_meta:  # there torch would take the attention apart and keep all its scores, as no device does
            flash = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu
            pieces.append(flash(queries, keys, values, 0.0, sees is None, scale=scale)[0])
            continue
        pieces.append(
            scaled_dot_product_attention(
                queries,
                keys,
                values,
                attn_mask=sees,
                is_causal=sees is None,
                scale=scale,
                enable_gqa=query.shape[1] != key.shape[1],
            )
        )
    return torch.cat(pieces, dim=2).transpose(1, 2).contiguous(), None


def _window(rows: int, window: int, device: torch.device) -> torch.Tensor:
    """Return which rows a row sees: itself and the `window` - 1 before it, shape (rows, rows)."""
    all_before = torch.ones(rows, rows, dtype=torch.bool, device=device).tril()
    return all_before.triu(1 - window)


def _capped(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    sees: torch.Tensor | None,
    scale: float,
    softcap: float,
) -> torch.Tensor:
    """Return attention whose scores are capped, as transformers' eager attention of Gemma 2 computes it."""
    groups = query.shape[1] // key.shape[1]
    key, value = key.repeat_interleave(groups, 1), value.repeat_interleave(groups, 1)
    scores = torch.tanh((query @ key.transpose(2, 3)) * scale / softcap) * softcap
    if sees is None:
        sees = torch.ones(scores.shape[-2:], dtype=torch.bool, device=query.device).tril()
    shares = scores.masked_fill(~sees, float("-inf")).softmax(-1, dtype=torch.float32).to(query.dtype)
    return shares @ value


AttentionInterface.register(PACKED, packed_attention)


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
        form: what the model makes of its output layer's product.
        start: the trained weights before the training, on the CPU, where what is written depends on them (PiSSA).
        sharded: whether each process holds a part of the backbone, so that all must call the model equally often.
        whole_head: the context in which the output layer's weight may be read.
    """

    name: str
    model: Any
    decoder: Any
    head: torch.nn.Linear
    weights: dict[str, torch.nn.Parameter]
    masks: MaskSource
    predicting: PredictingRows | None = None
    autocast: torch.dtype | None = None
    form: LogitForm = PLAIN
    start: dict[str, torch.Tensor] | None = None
    sharded: bool = False
    whole_head: AbstractContextManager[Any] = field(default_factory=nullcontext)

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


def make_student(
    folder: Path, spec: TrainingSpec, device: torch.device, principal: Path | None = None, processes: int = 1
) -> Student:
    """Load a backbone and make it ready for training.

    Args:
        principal: file of the principal parts of its weights, for PiSSA; written if it does not exist.
        processes: among which the backbone's weights are divided; all of them call this.

    Raises:
        InputError: if the recipe does not fit the backbone or the installed packages.
    """
    recipe = spec.recipe
    if processes > 1:
        check_sharding(recipe)
    options: dict[str, Any] = {"attn_implementation": PACKED}
    if recipe.quantization != "none":
        options["quantization_config"] = _quantization(recipe.quantization, getattr(torch, recipe.precision), device)
        options["device_map"] = {"": device}
    precision = "float32" if recipe.method == "full" else recipe.precision
    try:
        model = load_model(folder, precision=precision, device="cpu" if processes > 1 else str(device), **options)
    except KeyError as error:
        if error.args != (PACKED,):
            raise
        raise InputError(f"{spec.backbone}: its layers accept no attention but their own") from error
    _keep_gradients(model)
    whole_head = shard(model, device, processes, backbone=spec.backbone) if processes > 1 else None
    return student_of(model, spec, device, principal, whole_head)


def student_of(
    model: Any,
    spec: TrainingSpec,
    device: torch.device,
    principal: Path | None = None,
    whole_head: AbstractContextManager[Any] | None = None,
) -> Student:
    """Make a loaded backbone ready for training, in place.

    An adapter's weights are float32 and its backbone has the recipe's precision. Full fine-tuning keeps float32 weights
    and computes in the recipe's precision.

    Args:
        whole_head: the context in which the output layer's weight may be read, where the backbone is sharded.

    Raises:
        InputError: if the recipe does not fit the backbone or the installed packages.
    """
    recipe = spec.recipe
    full = recipe.method == "full"
    if recipe.kernels == "liger":
        _use_liger(model, recipe, device)
    decoder, head = model.get_decoder(), model.get_output_embeddings()
    _switch_dropout_off(model)
    form = logit_form(model)
    if device.type != "meta":  # where nothing is computed (posologie.training.footprint)
        check_packing(model, spec.backbone)
        check_logits(model, form, spec.backbone)
    if recipe.gradient_checkpointing:
        # Masks are keyed by example, and there is no other randomness to preserve.
        model.activation_checkpointing_enable(
            {"use_reentrant": False, "preserve_rng_state": False, "context_fn": both_passes}
        )
    masks = MaskSource()
    if full:
        model.requires_grad_(False)
        for part in (decoder, head):  # nothing but text goes through a backbone that also sees
            part.requires_grad_(True)
        trained = model
    else:
        trained = attach(model, recipe, backbone=spec.backbone, seed=spec.seed, masks=masks, principal=principal)
    predicting = None
    if recipe.targets_on() == "answer" and (predicting := restrict_last_layer(decoder, masks)) is not None:
        for layer in decoder.layers[-2:]:
            # The last layer keeps little where few rows predict, and the one before it what any layer keeps while it is
            # recomputed.
            layer.gradient_checkpointing = False
    weights = {name: parameter for name, parameter in trained.named_parameters() if parameter.requires_grad}
    autocast = torch.bfloat16 if full and recipe.precision == "bfloat16" else None
    start = copy_of(weights) if recipe.method == "pissa" else None
    return Student(
        name=spec.backbone,
        model=trained,
        decoder=decoder,
        head=head,
        weights=weights,
        masks=masks,
        predicting=predicting,
        autocast=autocast,
        form=form,
        start=start,
        sharded=whole_head is not None,
        whole_head=whole_head or nullcontext(),
    )


def _quantization(kind: str, precision: torch.dtype, device: torch.device) -> Any:
    """Return transformers' settings for a quantised backbone (4 bits: NF4, as in QLoRA, arXiv 2305.14314)."""
    import importlib.util

    from transformers import BitsAndBytesConfig

    if importlib.util.find_spec("bitsandbytes") is None:
        raise InputError(f"training.recipe.quantization = '{kind}': the package bitsandbytes is not installed")
    if kind == "8bit" and device.type == "cpu":
        raise InputError(
            "training.recipe.quantization = '8bit': bitsandbytes trains such layers on a GPU; expected 4bit or none"
        )
    if kind == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=precision,
    )


def _keep_gradients(model: Any) -> None:
    """Keep bitsandbytes from repacking 4-bit weights for inference, as it does on CPUs with bfloat16 instructions.

    It would do so in the first pass in evaluation mode and for good, and such weights pass no gradient on.
    """
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False


def _switch_dropout_off(model: Any) -> None:
    """Switch off the dropout that a backbone brings of its own: a recomputation would draw it again."""
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0


def _use_liger(model: Any, recipe: Recipe, device: torch.device) -> None:
    """Let liger-kernel compute norms, rotations and gates; the loss stays `posologie.training.update`.

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
