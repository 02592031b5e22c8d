"""The registry of metrics: name, title, what it is computed from, direction, unit. A new metric is entered here."""

from typing import Literal, NamedTuple

from posologie.running.errors import InputError

Decoding = Literal["greedy", "constrained", "probabilities", "judged"]
Kind = Literal["choice", "open"]

BOTH: tuple[Decoding, ...] = ("greedy", "constrained")
GREEDY: tuple[Decoding, ...] = ("greedy",)
PROBABILITIES: tuple[Decoding, ...] = ("probabilities",)
JUDGED: tuple[Decoding, ...] = ("judged",)


class Metric(NamedTuple):
    """One metric.

    Attributes:
        title: what the report calls it.
        kind: the questions that it scores.
        decodings: the answers that it scores.
        direction: 1 where higher is better, −1 where lower is, 0 where neither is.
        unit: `%` (stored between 0 and 1), `words`, or empty for a pure number.
        of_judge: the name in a table is followed by a colon and the judge's name.
        aggregate_only: it exists for all items together, and not for one item, so it cannot be tested.
    """

    title: str
    kind: Kind
    decodings: tuple[Decoding, ...]
    direction: Literal[-1, 0, 1]
    unit: Literal["%", "words", ""] = "%"
    of_judge: bool = False
    aggregate_only: bool = False


METRICS: dict[str, Metric] = {
    "em": Metric("exact match", "choice", BOTH, 1),
    "hamming": Metric("Hamming score", "choice", BOTH, 1),
    "hamming_options": Metric("share of options judged rightly", "choice", BOTH, 1),
    "em_unmapped": Metric("exact match against unmoved letters", "choice", BOTH, 0),
    "hamming_unmapped": Metric("Hamming score against unmoved letters", "choice", BOTH, 0),
    "invalid": Metric("no readable answer", "choice", GREEDY, -1),
    "ambiguous": Metric("ambiguous answer", "choice", GREEDY, -1),
    "cut_unread": Metric("cut before an answer", "choice", GREEDY, -1),
    "brier": Metric("Brier score", "choice", PROBABILITIES, -1, ""),
    "confidence": Metric("mean probability of the chosen label", "choice", PROBABILITIES, 0),
    "label_mass": Metric("probability of all labels together", "choice", PROBABILITIES, 0),
    "right_at_first_step": Metric("most probable label right", "choice", PROBABILITIES, 0),
    "calibration_error": Metric(
        "expected calibration error", "choice", PROBABILITIES, -1, aggregate_only=True
    ),
    "rouge1": Metric("ROUGE-1", "open", GREEDY, 1),
    "rouge2": Metric("ROUGE-2", "open", GREEDY, 1),
    "rougeL": Metric("ROUGE-L", "open", GREEDY, 1),
    "meteor": Metric("METEOR", "open", GREEDY, 1),
    "bleu": Metric("sentence BLEU", "open", GREEDY, 1),
    "chrf": Metric("sentence chrF", "open", GREEDY, 1),
    "bleu_corpus": Metric("corpus BLEU", "open", GREEDY, 0, aggregate_only=True),
    "chrf_corpus": Metric("corpus chrF", "open", GREEDY, 0, aggregate_only=True),
    "bertscore": Metric("BERTScore", "open", GREEDY, 1),
    "words": Metric("words an answer", "open", GREEDY, 0, "words"),
    "reference_words": Metric("words a reference", "open", GREEDY, 0, "words"),
    "cut_at_length": Metric("cut at the token limit", "open", GREEDY, -1),
    "judge": Metric("found equivalent by", "open", JUDGED, 1, of_judge=True),
    "judge_probability": Metric("mean probability of “equivalent” by", "open", JUDGED, 0, of_judge=True),
    "judge_upper": Metric("not found different by", "open", JUDGED, 0, of_judge=True),
    "judge_unparsable": Metric("reply without verdict by", "open", JUDGED, -1, of_judge=True),
}  # fmt: skip


def metric(name: str) -> Metric:
    """Return the entry of a metric; a judge's is named `judge:{name}`.

    Raises:
        InputError: for a name that is not in the registry.
    """
    kind, colon, judge = name.partition(":")
    if kind not in METRICS or METRICS[kind].of_judge != bool(judge) or (colon and not judge):
        known = ", ".join(f"{key}:JUDGE" if entry.of_judge else key for key, entry in METRICS.items())
        raise InputError(f"metric '{name}': not in the registry; choose one of {known}")
    return METRICS[kind]


def is_share(name: str) -> bool:
    """Say whether the values of a metric lie between 0 and 1."""
    return metric(name).unit == "%"
