"""The registry of metrics: what one is called, what it scores, whether more of it is better, and where it is shown.

A new metric is computed in `posologie.scoring.choices` or `posologie.scoring.text` and entered here; whatever else
treats metrics differently reads it from its entry. `posologie new metric NAME` prints both.
"""

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
        direction: 1 where higher is better, −1 where lower is, 0 where neither is. Only metrics where higher is better
            have attributions and dose responses.
        unit: `%` (stored between 0 and 1), `words`, or empty for a pure number.
        shown: the decodings under which the report's tables of all scores have a column of it, in the order of the
            registry.
        with_answers: the report shows it beside each answer.
        of_judge: the name in a table is followed by a colon and the judge's name.
        aggregate_only: it exists for all items together, and not for one item, so it cannot be tested.
        of_encoder: an encoder scores it: its scores lie in a folder of their own, and a study needs `scoring.encoder`.
        in_text: what the methods text of a paper calls it; empty where it is not named there.
        cited: the key of its source in `report/templates/methods.bib`.
    """

    title: str
    kind: Kind
    decodings: tuple[Decoding, ...]
    direction: Literal[-1, 0, 1]
    unit: Literal["%", "words", ""]
    shown: tuple[Decoding, ...] = ()
    with_answers: bool = False
    of_judge: bool = False
    aggregate_only: bool = False
    of_encoder: bool = False
    in_text: str = ""
    cited: str = ""


METRICS: dict[str, Metric] = {
    "em": Metric("exact match", "choice", BOTH, 1, "%", ("constrained", "greedy")),
    "hamming": Metric(
        "Hamming score", "choice", BOTH, 1, "%", ("constrained", "greedy"),
        in_text="the Hamming score", cited="godbole2004",
    ),
    "hamming_options": Metric("share of options judged rightly", "choice", BOTH, 1, "%"),
    "em_unmapped": Metric("exact match against unmoved letters", "choice", BOTH, 0, "%"),
    "hamming_unmapped": Metric("Hamming score against unmoved letters", "choice", BOTH, 0, "%"),
    "invalid": Metric("no readable answer", "choice", GREEDY, -1, "%", GREEDY),
    "ambiguous": Metric("ambiguous answer", "choice", GREEDY, -1, "%"),
    "cut_unread": Metric("cut before an answer", "choice", GREEDY, -1, "%", GREEDY),
    "brier": Metric("Brier score", "choice", PROBABILITIES, -1, "", in_text="the Brier score", cited="brier1950"),
    "confidence": Metric("mean probability of the chosen label", "choice", PROBABILITIES, 0, "%"),
    "label_mass": Metric("probability of all labels together", "choice", PROBABILITIES, 0, "%", PROBABILITIES),
    "right_at_first_step": Metric("most probable label right", "choice", PROBABILITIES, 0, "%"),
    "calibration_error": Metric(
        "expected calibration error", "choice", PROBABILITIES, -1, "%", PROBABILITIES, aggregate_only=True,
        in_text="the expected calibration error", cited="guo2017",
    ),
    "rouge1": Metric("ROUGE-1", "open", GREEDY, 1, "%", in_text="ROUGE", cited="lin2004"),
    "rouge2": Metric("ROUGE-2", "open", GREEDY, 1, "%", GREEDY, with_answers=True),
    "rougeL": Metric("ROUGE-L", "open", GREEDY, 1, "%", GREEDY, with_answers=True),
    "meteor": Metric(
        "METEOR", "open", GREEDY, 1, "%", GREEDY, with_answers=True, in_text="METEOR", cited="banerjee2005"
    ),
    "bleu": Metric("sentence BLEU", "open", GREEDY, 1, "%", with_answers=True, in_text="BLEU", cited="papineni2002"),
    "chrf": Metric("sentence chrF", "open", GREEDY, 1, "%", with_answers=True, in_text="chrF", cited="popovic2015"),
    "chrf_corpus": Metric("corpus chrF", "open", GREEDY, 0, "%", GREEDY, aggregate_only=True),
    "bleu_corpus": Metric(
        "corpus BLEU", "open", GREEDY, 0, "%", GREEDY, aggregate_only=True,
        in_text="corpus BLEU (sacreBLEU)", cited="post2018",
    ),
    "bertscore": Metric(
        "BERTScore", "open", GREEDY, 1, "%", GREEDY, of_encoder=True, in_text="BERTScore", cited="zhang2020"
    ),
    "words": Metric("words an answer", "open", GREEDY, 0, "words", GREEDY),
    "reference_words": Metric("words a reference", "open", GREEDY, 0, "words"),
    "cut_at_length": Metric("cut at the token limit", "open", GREEDY, -1, "%"),
    "judge": Metric("found equivalent by", "open", JUDGED, 1, "%", of_judge=True),
    "judge_probability": Metric("mean probability of “equivalent” by", "open", JUDGED, 0, "%", of_judge=True),
    "judge_upper": Metric("not found different by", "open", JUDGED, 0, "%", of_judge=True),
    "judge_unparsable": Metric("reply without verdict by", "open", JUDGED, -1, "%", of_judge=True),
}  # fmt: skip


def shown_columns(kind: Kind) -> list[tuple[str, Decoding]]:
    """Return metric and decoding of each column that the report's tables of all scores have."""
    return [(name, decoding) for name, entry in METRICS.items() if entry.kind == kind for decoding in entry.shown]


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
