"""What an adapter depends on."""

from typing import Literal

from pydantic import Field

from posologie.prompting import Prompting
from posologie.specs import Name, Spec


class Recipe(Spec):
    """How an adapter is trained. The defaults are the published recipe (PAPER, section 3)."""

    method: Literal["dora", "lora", "rslora", "full"] = "dora"
    rank: int = Field(default=16, ge=1)
    alpha: float = Field(default=16, gt=0)
    dropout: float = Field(default=0.05, ge=0, lt=1)
    dropout_on: Literal["input", "adapter"] = Field(
        default="input",
        description="what DoRA's dropout acts on: the whole input, as in peft, or the low-rank path alone, faster",
    )
    target_modules: tuple[str, ...] = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
    epochs: int = Field(default=10, ge=1)
    learning_rate: float = Field(default=1e-4, gt=0)
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    warmup_ratio: float = Field(default=0.05, ge=0, lt=1)
    weight_decay: float = Field(default=0.0, ge=0)
    max_grad_norm: float = Field(default=1.0, gt=0)
    effective_batch: int = Field(default=192, ge=1, description="examples per update, over all devices")
    max_length: int = Field(default=2048, ge=16, description="tokens of prompt and answer together")
    loss_on: Literal["all", "answer"] = "all"
    group_by_length: bool = True
    precision: Literal["bfloat16", "float32"] = "bfloat16"
    gradient_checkpointing: bool = True


class TrainingSpec(Spec):
    """Exactly what one adapter depends on, beside its input files."""

    backbone: Name
    mix: Name
    seed: int
    recipe: Recipe
    prompting: Prompting
    threads: int = Field(description="torch's thread count: it changes the order of float sums")
