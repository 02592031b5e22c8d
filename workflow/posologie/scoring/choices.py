"""Metrics of choice questions, computed on sets of labels held as bits: bit p is the label displayed at position p."""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from posologie.running.errors import InputError
from posologie.scoring.spec import Scores
from posologie.scoring.tables import flat, label_sets, original_sets

SIGNATURE = "sets of labels|no readable answer counts as wrong|v1"
BY = "|labels by "
"""What the signature of constrained answers and label probabilities goes on with where they are not a local model's."""

_LOCAL = frozenset({"automaton", "published masks"})
"""Procedures of local models, whose probabilities are shares of the whole vocabulary."""


def choice_scores(table: pa.Table) -> Iterator[Scores]:
    """Yield every metric of a table of predictions on choice questions.

    For each decoding: `em` (the predicted set equals the gold set), `hamming` (|gold ∩ predicted| / |gold ∪
    predicted|, the study's "Hamming score"; Godbole and Sarawagi 2004), `hamming_options` (share of options that are
    rightly chosen or rightly left), and `em_unmapped`, `hamming_unmapped`, which compare the displayed labels with the
    letters that the gold options had *before* the options were permuted: the fault described in PAPER, section 5. An
    answer in which no labels were read scores 0 on all of them; a null constrained answer, which an endpoint could not
    be asked for, has no score. Greedy decoding has the rates `invalid` and `ambiguous` too, and `cut_unread`: no
    labels were read before the tokens ran out.

    The probabilities of the labels give, for single-answer questions, `brier` (sum over the labels, 0 to 2; Brier
    1950), `confidence` (probability of the most probable label), `right_at_first_step` (1 if that label is the gold),
    and `label_mass` (probability of all labels together before they are made to sum to 1).

    Raises:
        InputError: for an item without gold labels.
    """
    gold = label_sets(table["gold"])
    if not gold.all():
        row = int(np.flatnonzero(gold == 0)[0])
        raise InputError(f"item {table['item'][row]}: no gold label; expected at least one")
    letters = original_sets(table["gold"], table["option_order"])
    options = pc.list_value_length(table["option_order"]).to_numpy()
    outcome = table["greedy_outcome"]
    unasked = {"greedy": np.zeros(len(table), bool), "constrained": pc.is_null(table["constrained_labels"]).to_numpy()}
    for decoding, undefined in unasked.items():
        predicted = label_sets(table[f"{decoding}_labels"])
        signature = SIGNATURE + (_procedures(table) if decoding == "constrained" else "")
        right = (options - np.bitwise_count(gold ^ predicted)) / options
        metrics = {
            "em": (predicted == gold).astype(float),
            "hamming": _overlap(gold, predicted),
            "hamming_options": np.where(predicted == 0, 0.0, right),
            "em_unmapped": (predicted == letters).astype(float),
            "hamming_unmapped": _overlap(letters, predicted),
        }
        for metric, values in metrics.items():
            yield Scores(metric, decoding, signature, np.where(undefined, np.nan, values))
    for rate, reading in (("invalid", "none"), ("ambiguous", "ambiguous")):
        yield Scores(rate, "greedy", SIGNATURE, pc.equal(outcome, reading).to_numpy().astype(float))
    unread = pc.and_(pc.equal(outcome, "none"), pc.equal(table["finish"], "length"))
    yield Scores("cut_unread", "greedy", SIGNATURE, unread.to_numpy().astype(float))
    yield from _probability_scores(table, gold)


def _procedures(table: pa.Table, own: frozenset[str] = frozenset({"automaton"})) -> str:
    """Return the end of a signature that names the procedures behind the labels of some rows, if not all are `own`."""
    procedures = set(pc.unique(table["constrained_by"]).to_pylist()) - {None}
    return "" if procedures <= own else BY + ", ".join(sorted(procedures))


def _probability_scores(table: pa.Table, gold: NDArray[np.uint32]) -> Iterator[Scores]:
    """Yield calibration scores; NaN for questions with several answers and where there are no probabilities."""
    single = pc.equal(table["task"], "mcqu").to_numpy()
    has_probabilities = (
        single & pc.greater(pc.fill_null(pc.list_value_length(table["label_probabilities"]), 0), 0).to_numpy()
    )
    confidence, right, brier = (np.full(len(table), np.nan) for _ in range(3))
    if has_probabilities.any():
        rows, probabilities = flat(table["label_probabilities"].filter(pa.array(has_probabilities)))
        starts = np.flatnonzero(np.diff(rows, prepend=-1))
        position = np.arange(len(rows)) - starts[rows]
        top = np.maximum.reduceat(probabilities, starts)
        first = np.full(len(starts), np.iinfo(np.int64).max)
        at_top = probabilities == top[rows]
        np.minimum.at(first, rows[at_top], position[at_top])
        gold_known = gold[has_probabilities]
        at_gold = (gold_known[rows] >> position.astype(np.uint32)) & 1
        confidence[has_probabilities] = top
        right[has_probabilities] = (gold_known >> first.astype(np.uint32)) & 1
        brier[has_probabilities] = np.add.reduceat((probabilities - at_gold) ** 2, starts)
    others = _procedures(table.filter(pa.array(has_probabilities)), _LOCAL)
    signature = f"first step|labels only|v1{others}"
    yield Scores("brier", "probabilities", signature, brier)
    yield Scores("confidence", "probabilities", signature, confidence)
    yield Scores("right_at_first_step", "probabilities", signature, right)
    mass = pc.fill_null(table["label_mass"].cast(pa.float64()), np.nan).to_numpy()
    yield Scores("label_mass", "probabilities", signature, np.where(has_probabilities, mass, np.nan))


def _overlap(gold: NDArray[np.uint32], predicted: NDArray[np.uint32]) -> NDArray[np.float64]:
    overlap: NDArray[np.float64] = np.bitwise_count(gold & predicted) / np.bitwise_count(gold | predicted)
    return overlap
