"""Where a backbone comes from."""

import hashlib
import os
from pathlib import Path, PurePath
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from posologie.records.layout import downloaded
from posologie.records.specs import PathText, Spec

PICKLED = {".bin", ".pt", ".pth", ".pkl", ".h5", ".ckpt"}
"""Suffixes of files that can run code when they are read: they are never taken."""


def files_of_model(folder: str | os.PathLike[str]) -> list[str]:
    """Return the files of a model folder that are read: all beside pickled weights and a manifest, in order."""
    return sorted(
        str(path)
        for path in Path(folder).glob("*")
        if path.is_file() and path.name != "manifest.json" and path.suffix not in PICKLED
    )


class Untrained(Spec):
    """A small model with random weights, made from its configuration: it only shows that the machinery works."""

    architecture: Literal["qwen3"] = Field(default="qwen3", description="which model")
    layers: int = Field(default=2, ge=1, le=8, description="decoder layers")
    hidden: int = Field(default=64, ge=16, le=1024, multiple_of=16, description="hidden size")
    vocabulary: int = Field(
        default=1000, ge=300, le=32000, description="tokens of the tokenizer that is trained for it"
    )
    corpus: tuple[PathText, ...] = Field(
        description="what the tokenizer is trained on: JSON files in the hub's record form, YAML recipes of worlds, or "
        "plain text (.txt, .md)"
    )
    spread: float = Field(
        default=0.02,
        gt=0,
        le=2,
        description="standard deviation of the weights; if large, single facts are learnt in fewer updates",
    )
    seed: int = Field(default=0, description="seed of the weights")


class ChatForm(Spec):
    """How a chat is formatted for a model, in training, prediction, judging and serving alike."""

    template_options: dict[str, Any] = Field(
        default_factory=dict, description="options of the chat template, such as {enable_thinking: false}"
    )
    answer_prefix: str | None = Field(
        default=None,
        description="text between the template's prompt and the answer; what the template writes there if left out",
    )
    thinking: bool = Field(
        default=False,
        description="the model thinks before it answers: its thoughts are kept apart, and constrained answers and "
        "label probabilities come after them",
    )
    thought_tokens: int = Field(default=2048, ge=1, description="most tokens of a thought")


class Backbone(Spec):
    """The model that adapters are trained on: exactly one of `hub`, `folder`, `gguf_package` and `untrained`."""

    hub: PathText | None = Field(default=None, description="repository of the model on the hub, `owner/name`")
    revision: PathText = Field(default="main", description="branch, tag or commit; the commit used is always recorded")
    trust_remote_code: bool = Field(
        default=False, description="run Python code that comes with the model: off unless said so"
    )
    folder: PathText | None = Field(default=None, description="local folder in transformers' form")
    gguf_package: PathText | None = Field(default=None, description="installed Python package that holds a GGUF file")
    gguf_file: PathText | None = Field(default=None, description="name of the GGUF file in the package")
    untrained: Untrained | None = Field(
        default=None, description="a small model with random weights, for tests and worlds"
    )
    chat: ChatForm = Field(default=ChatForm(), exclude=True, description="how chats are formatted for it")

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        origins = [key for key in ("hub", "folder", "gguf_package", "untrained") if getattr(self, key) is not None]
        if len(origins) != 1:
            raise ValueError(f"exactly one of hub, folder, gguf_package, untrained, not {origins or 'none'}")
        if (self.gguf_package is None) != (self.gguf_file is None):
            raise ValueError("gguf_package and gguf_file together")
        return self

    def kind(self) -> str:
        """Return what the model comes from: `hub`, `folder`, `gguf` (in a package) or `untrained`."""
        if self.hub is not None:
            return "hub"
        if self.folder is not None:
            return "folder"
        return "untrained" if self.untrained is not None else "gguf"

    def files(self) -> list[str]:
        """Return the local files that the model is made from; what a package or the hub brings has a version."""
        if self.folder is not None:
            return files_of_model(self.folder) or [f"{self.folder}/config.json"]
        return [] if self.untrained is None else list(self.untrained.corpus)

    def folder_name(self) -> str:
        """Return `{name}@{revision}`: the same for the same model in every study, and never for two models."""
        if self.hub is not None:
            return downloaded(self.hub, self.revision)
        if self.gguf_package is not None:
            return f"{self.gguf_package}--{PurePath(str(self.gguf_file)).stem}@installed"
        name = "untrained" if self.folder is None else PurePath(self.folder).name
        return f"{name}@{hashlib.sha256(self.canonical_json().encode()).hexdigest()[:10]}"


class EncoderOrigin(Spec):
    """Where a text encoder comes from. Exactly one of `package`, `folder` and `hub` is given."""

    package: str | None = Field(default=None, description="installed Python package that holds the encoder's files")
    folder: PathText | None = Field(default=None, description="local folder in transformers' form")
    hub: PathText | None = Field(
        default=None, description="repository on the hub, `owner/name`, fetched like a backbone"
    )
    revision: PathText = Field(default="main", description="branch, tag or commit; the commit used is always recorded")

    @model_validator(mode="after")
    def _one_origin(self) -> Self:
        origins = [key for key in ("package", "folder", "hub") if getattr(self, key) is not None]
        if len(origins) != 1:
            raise ValueError(f"exactly one of package, folder, hub, not {origins or 'none'}")
        return self

    def backbone(self) -> Backbone | None:
        """Return an encoder on the hub as a model to be fetched; None for any other."""
        return None if self.hub is None else Backbone(hub=self.hub, revision=self.revision)

    def files(self) -> list[str]:
        """Return the files of an encoder in a folder; what a package or the hub brings has a version."""
        if self.folder is None:
            return []
        return files_of_model(self.folder) or [f"{self.folder}/config.json"]


class ModelSpec(Spec):
    """What `models/{name}@{revision}/` depends on."""

    name: str
    backbone: Backbone
    package_version: str | None = Field(
        default=None, description="installed version of the package that holds the model, where one does"
    )
