"""What a scores file depends on."""

from typing import Literal

from pydantic import Field

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


class EncoderSpec(Spec):
    """The text encoder of BERTScore. Exactly one of `package`, `folder` and `hub` is given."""

    package: str | None = Field(default=None, description="installed Python package that holds the encoder's files")
    folder: str | None = Field(default=None, description="local folder in transformers' form")
    hub: str | None = Field(default=None, description="repository on the hub, `owner/name`")
