"""What the translations of parallel text, and the table of their quality, depend on; the schema of the translations."""

import operator
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from posologie.generation.spec import Translator
from posologie.records.published import PublishedNames
from posologie.records.specs import Name, PathText, Spec

if TYPE_CHECKING:
    import pyarrow


class QualitySpec(Spec):
    """Exactly what a translator's version of parallel text depends on, beside the texts, the prompt and the model."""

    name: Name = Field(description="the translator's name")
    translator: Translator


class TranslationQuality(Spec):
    """How translators are compared on parallel text."""

    metrics: tuple[Literal["bleu", "chrf", "comet"], ...] = Field(
        default=("bleu", "chrf", "comet"),
        description="metrics to compute; COMET only if its package and a checkpoint are installed",
    )
    replicates: int = Field(default=1000, ge=100, description="bootstrap replicates, shared by all translators")
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


def sentence_schema() -> "pyarrow.Schema":
    """Return the schema of `translation_quality/{translator}.parquet`: one row per segment, by test set and id.

    A segment without translation (withheld, or failed where that is tolerated) has an empty one: it counts against the
    translator.
    """
    import pyarrow as pa

    texts = ("test_set", "id", "group", "source", "reference", "translation")
    return pa.schema(
        [
            *(pa.field(name, pa.string(), nullable=False) for name in texts),
            pa.field("finish", pa.string(), nullable=False),  # stop | length | filtered | failed
            pa.field("prompt_tokens", pa.int32(), nullable=False),
            pa.field("generated_tokens", pa.int32(), nullable=False),
        ]
    )
