"""What the translations of parallel text, and the table of their quality, depend on."""

from typing import Literal

from pydantic import Field

from posologie.generation.translation.spec import Translator
from posologie.specs import Name, PathText, Spec


class QualitySpec(Spec):
    """Exactly what a translator's version of parallel text depends on, beside the texts, the prompt and the model."""

    name: Name = Field(description="the translator's name")
    translator: Translator


class TranslationQuality(Spec):
    """How translators are compared on parallel text."""

    metrics: tuple[Literal["bleu", "chrf", "comet"], ...] = Field(
        default=("bleu", "chrf", "comet"), description="COMET only where its package and a checkpoint are installed"
    )
    replicates: int = Field(default=1000, ge=100, description="bootstrap replicates, the same for all translators")
    level: float = Field(default=0.95, gt=0, lt=1, description="of the intervals")
    seed: int = Field(default=42, description="seed of the draws")
    published_as: dict[Name, str] = Field(
        default_factory=dict, description="translator → name of the published system that it is, such as GPT-4o-mini"
    )
    published_set: Name | None = Field(
        default=None, description="our collection that is the published test set; elsewhere no difference is printed"
    )
    comet_checkpoint: PathText | None = Field(
        default=None,
        exclude=True,
        description="file of a COMET model; it is a pickle, which can run code when it is loaded",
    )


class QualityTableSpec(Spec):
    """Exactly what the table of translation quality depends on, beside the translated sentences."""

    quality: TranslationQuality = TranslationQuality()
