"""What translated items depend on."""

from pydantic import Field

from posologie.generation.backends.spec import Backend, Decoding, Running
from posologie.items import Split
from posologie.specs import Name, PathText, Spec


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
