"""What the translations of parallel text, and the table of their quality, depend on."""

import operator
from typing import Literal

from pydantic import Field

from posologie.generation.translation.spec import Translator
from posologie.published import PublishedNames
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
    comet_checkpoint: PathText | None = Field(
        default=None,
        exclude=True,
        description="file of a COMET model; it is a pickle, which can run code when it is loaded",
    )


class QualityTableSpec(Spec):
    """Exactly what the table of translation quality depends on, beside the translated sentences."""

    quality: TranslationQuality = TranslationQuality()
    published: PublishedNames | None = Field(
        default=None, exclude_if=operator.not_, description="our names for what a published study holds, if compared"
    )
