"""What a scores file depends on."""

from typing import Literal

from pydantic import Field

from posologie.models.spec import EncoderOrigin
from posologie.prediction.spec import Suite
from posologie.specs import Spec


class TextMetrics(Spec):
    """How open answers are compared with their reference text."""

    bleu_tokenizer: Literal["13a", "intl", "char", "none"] = Field(default="13a", description="sacreBLEU's tokenizer")
    stemmer: Literal[
        "arabic", "danish", "dutch", "english", "finnish", "french", "german", "hungarian", "italian", "norwegian",
        "portuguese", "romanian", "russian", "spanish", "swedish",
    ] = Field(default="french", description="language of METEOR's Snowball stemmer")  # fmt: skip
    wordnet: str | None = Field(
        default=None, description="folder of an English WordNet 3 for METEOR's synonyms; without it, no synonyms"
    )


class ScoringSpec(Spec):
    """Exactly what the scores of one model on one suite depend on, beside its input files."""

    suite: Suite = Field(description="what was to be answered, so that a missing prediction is an error")
    text: TextMetrics = TextMetrics()


class Encoder(EncoderOrigin):
    """The text encoder of BERTScore. Exactly one of `package`, `folder` and `hub` is given."""

    layer: int | None = Field(
        default=None,
        ge=0,
        description="hidden layer whose vectors are compared, 0 being the embeddings; the last if left out",
    )


class NeuralSpec(Spec):
    """Exactly what the neural scores of one model on one suite depend on, beside its input files."""

    suite: Suite
    encoder: Encoder
    package_version: str | None = Field(default=None, description="installed version of `encoder.package`")


class RatedSpec(Spec):
    """Exactly what the scores of answers that people rated depend on, beside the ratings."""

    text: TextMetrics = TextMetrics()
    encoder: Encoder | None = Field(default=None, description="BERTScore's encoder; no BERTScore if left out")
    package_version: str | None = Field(default=None, description="installed version of `encoder.package`")
