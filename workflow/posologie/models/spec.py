"""Where a backbone comes from."""

from typing import Literal, Self

from pydantic import Field, model_validator

from posologie.specs import Spec


class Untrained(Spec):
    """A small model with random weights, made from its configuration; it shows that the machinery works, nothing else."""

    architecture: Literal["qwen3"] = "qwen3"
    layers: int = Field(default=2, ge=1, le=8)
    hidden: int = Field(default=64, ge=16, le=1024, multiple_of=16)
    vocabulary: int = Field(default=1000, ge=300, le=32000)
    corpus: tuple[str, ...] = Field(description="JSON files in the hub's record form on which the tokenizer is trained")
    seed: int = 0


class Backbone(Spec):
    """The model that adapters are trained on. Exactly one of `hub`, `folder`, `gguf_package` and `untrained` is given."""

    hub: str | None = Field(default=None, description="repository of the model on the hub, `owner/name`")
    revision: str = Field(default="main", description="branch, tag or commit; the commit used is always recorded")
    trust_remote_code: bool = Field(
        default=False, description="run Python code that comes with the model: off unless said so"
    )
    folder: str | None = Field(default=None, description="local folder in transformers' form")
    gguf_package: str | None = Field(default=None, description="installed Python package that holds a GGUF file")
    gguf_file: str | None = Field(default=None, description="name of the GGUF file in the package")
    untrained: Untrained | None = Field(default=None, description="a small model with random weights, for tests")

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        given = [key for key in ("hub", "folder", "gguf_package", "untrained") if getattr(self, key) is not None]
        if len(given) != 1:
            raise ValueError(f"exactly one of hub, folder, gguf_package, untrained, not {given or 'none'}")
        if (self.gguf_package is None) != (self.gguf_file is None):
            raise ValueError("gguf_package and gguf_file together")
        return self


class ModelSpec(Spec):
    """What `models/{name}@{revision}/` depends on."""

    name: str
    backbone: Backbone
