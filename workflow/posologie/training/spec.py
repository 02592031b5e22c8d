"""What an adapter depends on."""

from typing import Literal, Self

from pydantic import Field, model_validator

from posologie.models.spec import ChatForm
from posologie.records.prompting import Prompting
from posologie.records.specs import Name, Spec
from posologie.running.errors import InputError


class Recipe(Spec):
    """How an adapter is trained. The defaults are the published recipe (PAPER, section 3)."""

    method: Literal["dora", "lora", "rslora", "pissa", "full"] = Field(
        default="dora",
        description="kind of low-rank adapter (pissa trains the principal part of each weight, best without dropout), "
        "or full: all weights of the backbone",
    )
    objective: Literal["sft", "dpo"] = Field(
        default="sft",
        exclude_if=lambda value: value == "sft",
        description="what is learnt: the items' answers (sft), or to prefer the chosen answer of a pair to the "
        "rejected one (dpo), for which every item of the mixes and of validation is of the task `preference`",
    )
    dpo_beta: float = Field(
        default=0.1,
        gt=0,
        exclude_if=lambda value: value == 0.1,
        description="how strongly dpo keeps the model close to its backbone: β of its loss",
    )
    rank: int = Field(default=16, ge=1, description="rank r of the low-rank update")
    alpha: float = Field(
        default=16, gt=0, description="the update is scaled by alpha / rank; with rslora, by alpha / √rank"
    )
    dropout: float = Field(default=0.05, ge=0, lt=1, description="share of a layer's inputs that are dropped")
    dropout_on: Literal["input", "adapter"] = Field(
        default="input",
        description="what DoRA's dropout acts on: the whole input, as in peft, or the low-rank path alone, faster",
    )
    target_modules: tuple[str, ...] = Field(
        default=("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"),
        description="names of the linear layers that get an adapter",
    )
    epochs: int = Field(default=10, ge=1, description="passes over the mix")
    learning_rate: float = Field(default=1e-4, gt=0, lt=1, description="after the warm-up")
    schedule: Literal["cosine", "linear", "constant"] = Field(
        default="cosine", description="of the learning rate after the warm-up"
    )
    warmup_ratio: float = Field(
        default=0.05, ge=0, lt=1, description="share of all updates in which the learning rate rises"
    )
    weight_decay: float = Field(default=0.0, ge=0, description="AdamW's")
    max_grad_norm: float = Field(default=1.0, gt=0, description="gradients with a larger L2 norm are scaled down to it")
    effective_batch: int = Field(default=192, ge=1, description="examples per update, over all devices")
    max_length: int = Field(default=2048, ge=16, description="tokens of prompt and answer together")
    loss_on: Literal["all", "answer"] = Field(
        default="all",
        description="tokens that are learnt: all, prompt included, or the answer's; with dpo those of "
        "the prompt cancel out, so both mean the answers' tokens",
    )
    group_by_length: bool = Field(default=True, description="updates hold examples of similar length")
    precision: Literal["bfloat16", "float32"] = Field(
        default="bfloat16", description="of the backbone; the adapter's weights are float32"
    )
    gradient_checkpointing: bool = Field(default=True, description="recompute most activations to save memory")
    quantization: Literal["none", "8bit", "4bit"] = Field(
        default="none", description="of the frozen backbone; needs the package bitsandbytes"
    )
    kernels: Literal["torch", "liger"] = Field(
        default="torch",
        description="norms, rotations and gates by torch, or by the package liger-kernel on a GPU (the norms alone for "
        "DoRA without dropout on the input)",
    )
    keep: Literal["last", "best"] = Field(
        default="last", description="the last epoch's weights, or those of the epoch with the lowest validation loss"
    )
    divergence_factor: float | None = Field(
        default=3.0,
        gt=1,
        description="stop when the mean loss of 20 updates is above this many times that of the first 20",
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.method == "full" and self.quantization != "none":
            raise ValueError("quantization none, since method full trains the backbone itself")
        if self.method == "pissa" and self.quantization != "none":
            raise ValueError("quantization none, since method pissa takes the backbone's weights apart")
        if self.objective == "sft" and self.dpo_beta != 0.1:
            raise ValueError("objective dpo, since dpo_beta belongs to it")
        return self

    def targets_on(self) -> Literal["all", "answer"]:
        """Return which tokens the loss is taken over."""
        return "answer" if self.objective == "dpo" else self.loss_on


def check_sharding(recipe: Recipe) -> None:
    """Check that the weights of a recipe's backbone can be divided among processes (`devices.shard_backbone`).

    Raises:
        InputError: naming what stands against it.
    """
    if recipe.quantization != "none":
        raise InputError(
            f"devices.shard_backbone: training.recipe.quantization = '{recipe.quantization}' packs weights in blocks "
            "that cannot be divided; expected none, or shard_backbone: false"
        )
    if recipe.method in ("pissa", "full"):
        raise InputError(
            f"devices.shard_backbone: training.recipe.method = '{recipe.method}' changes the backbone itself; expected "
            "dora, lora or rslora, which leave it frozen, or shard_backbone: false"
        )


class TrainingSpec(Spec):
    """Exactly what one adapter depends on, beside its input files.

    Like the micro-batch and the device, the thread count only changes the order of float sums; the run record has it.
    """

    backbone: Name
    mix: Name
    seed: int
    recipe: Recipe
    prompting: Prompting
    chat: ChatForm = ChatForm()
