"""What synthetic and translated items depend on."""

from typing import Literal

from pydantic import Field

from posologie.backends.spec import Backend, ChatBackend, Decoding, Running
from posologie.records.items import Split
from posologie.records.specs import Name, PathText, Spec

TaskName = Literal[
    "mcqu", "mcq", "summary", "factual", "differential", "treatment", "results", "patient", "mechanism", "followup"
]
"""The study's tasks. It names six of its eight open ones; `mechanism` and `followup` are this program's choice."""


class Generator(Spec):
    """A model that makes items from documents."""

    backend: ChatBackend = Field(description="the model that writes")
    tasks: dict[TaskName, int] = Field(min_length=1, description="questions per document, of each task")
    language: str = Field(default="fr", pattern="^[a-z]{2}$", description="language of the items, which is checked")
    prompts: PathText = Field(
        default="resources/prompts/fr/synthesis",
        exclude=True,
        description="folder with one prompt file per task, `{task}.md`",
    )
    options: int = Field(default=5, ge=3, le=26, description="options of a choice question")
    decoding: Decoding = Field(
        default=Decoding(max_new_tokens=2048, temperature=0.7), description="how its texts are drawn"
    )
    seed: int = Field(default=42, description="seed of the options' order")
    longest_document: int = Field(
        default=12000, ge=200, description="characters; a longer document is cut at a sentence border"
    )
    collections: tuple[Name, ...] = Field(
        default=(), exclude=True, description="document collections that items are made from"
    )
    part_size: int = Field(default=500, ge=1, exclude=True, description="documents in one job")
    running: Running = Field(default=Running(), exclude=True, description="how the backend is run; changes no item")


class SynthesisSpec(Spec):
    """Exactly what the items made from one collection depend on, beside documents, prompts and the local model."""

    name: Name = Field(description="the generator's name")
    collection: Name
    generator: Generator
    phrases: str | None = Field(default=None, description="digest of the language's file, whose phrases are refused")


class Translator(Spec):
    """A model that translates items."""

    backend: Backend = Field(description="the model that translates")
    source_language: str = Field(default="en", pattern="^[a-z]{2}$", description="language of the items")
    target_language: str = Field(default="fr", pattern="^[a-z]{2}$", description="checked in every translated item")
    prompt: PathText = Field(
        default="resources/prompts/fr/translation/item.md",
        exclude=True,
        description="prompt file with a place for {item}, in JSON; a sequence-to-sequence model has none",
    )
    text_prompt: PathText = Field(
        default="resources/prompts/fr/translation/text.md",
        exclude=True,
        description="prompt file with a place for {text}, for the parallel text that quality is measured on",
    )
    decoding: Decoding = Field(default=Decoding(max_new_tokens=4096), description="how its texts are drawn")
    longest_piece: int = Field(
        default=6000,
        ge=200,
        description="characters of context in one request; longer ones are split at sentence borders",
    )
    sources: tuple[Name, ...] = Field(default=(), exclude=True, description="sources that are translated")
    part_size: int = Field(default=2000, ge=1, exclude=True, description="items in one job")
    running: Running = Field(default=Running(), exclude=True, description="how the backend is run; changes no item")


class TranslationSpec(Spec):
    """Exactly what the translation of one split depends on, beside items, prompt and the local model."""

    name: Name = Field(description="the translator's name")
    source: Name
    split: Split
    translator: Translator
