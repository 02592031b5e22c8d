"""Choice metrics on sets of labels."""

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import hamming_loss, jaccard_score

from posologie.prediction.spec import prediction_schema
from posologie.records.items import LABELS
from posologie.running.errors import InputError
from posologie.scoring.choices import SIGNATURE, choice_scores
from posologie.scoring.tables import label_sets

LETTERS = {letter: position for position, letter in enumerate(LABELS)}


def labels(text: str) -> list[int]:
    return [LETTERS[letter] for letter in text]


def prediction(
    gold: str = "A",
    greedy: str | None = None,
    constrained: str = "A",
    order: str = "ABCD",
    outcome: str = "labels",
    probabilities: list[float] | None = None,
    task: str = "mcqu",
) -> dict[str, object]:
    return {
        "item": "i",
        "benchmark": "b",
        "variant": "original",
        "source": "s",
        "provenance": "native",
        "task": task,
        "group": "i",
        "option_order": labels(order),
        "gold": labels(gold),
        "greedy_text": "",
        "greedy_outcome": outcome,
        "greedy_labels": None if greedy is None else labels(greedy),
        "constrained_labels": labels(constrained),
        "label_probabilities": probabilities,
        "label_mass": None,
        "prompt_tokens": 1,
        "generated_tokens": 1,
        "finish": "stop",
    }


def scored(*rows: dict[str, object]) -> dict[tuple[str, str], np.ndarray]:
    table = pa.Table.from_pylist(list(rows), schema=prediction_schema())
    return {(score.metric, score.decoding): score.values for score in choice_scores(table)}


def test_a_set_counts_only_when_it_is_the_gold_set():
    values = scored(*(prediction(gold="AC", constrained=answer, task="mcq") for answer in ("AC", "A", "ACD", "BD")))
    assert values["em", "constrained"].tolist() == [1, 0, 0, 0]


def test_the_studys_hamming_score_is_intersection_over_union():
    values = scored(*(prediction(gold="AC", constrained=answer, task="mcq") for answer in ("AC", "A", "ACD", "BD")))
    assert values["hamming", "constrained"] == pytest.approx([1, 1 / 2, 2 / 3, 0], abs=1e-12)


def test_the_classical_hamming_score_counts_options():
    values = scored(*(prediction(gold="AC", constrained=answer, task="mcq") for answer in ("AC", "A", "ACD", "BD")))
    assert values["hamming_options", "constrained"] == pytest.approx([1, 3 / 4, 3 / 4, 0], abs=1e-12)


def test_both_hamming_scores_agree_with_scikit_learn_on_random_sets():
    numbers = np.random.default_rng(3)
    sizes = numbers.integers(2, 27, size=300)
    sets = [[numbers.choice(size, numbers.integers(1, size + 1), replace=False) for _ in range(2)] for size in sizes]
    rows = [
        prediction(
            gold="".join(LABELS[place] for place in sorted(gold)),
            constrained="".join(LABELS[place] for place in sorted(answer)),
            order=LABELS[:size],
            task="mcq",
        )
        for size, (gold, answer) in zip(sizes, sets, strict=True)
    ]
    values = scored(*rows)
    for row, (size, pair) in enumerate(zip(sizes, sets, strict=True)):
        gold, answer = (np.isin(np.arange(size), labels).astype(int)[None] for labels in pair)
        assert values["hamming", "constrained"][row] == pytest.approx(jaccard_score(gold[0], answer[0]), abs=1e-9)
        assert values["hamming_options", "constrained"][row] == pytest.approx(1 - hamming_loss(gold, answer), abs=1e-9)


def test_an_answer_without_labels_is_wrong_and_never_right_by_omission():
    values = scored(prediction(outcome="none"), prediction(outcome="ambiguous"))
    for metric in ("em", "hamming", "hamming_options", "em_unmapped", "hamming_unmapped"):
        assert values[metric, "greedy"].tolist() == [0, 0]
    assert values["invalid", "greedy"].tolist() == [1, 0]
    assert values["ambiguous", "greedy"].tolist() == [0, 1]


def test_a_constrained_answer_that_could_not_be_asked_for_has_no_score():
    values = scored(prediction(greedy="A") | {"constrained_labels": None}, prediction(greedy="A"))
    for metric in ("em", "hamming", "hamming_options", "em_unmapped", "hamming_unmapped"):
        assert np.isnan(values[metric, "constrained"]).tolist() == [True, False]
        assert not np.isnan(values[metric, "greedy"]).any()


def test_an_empty_gold_is_an_error_that_names_the_item():
    with pytest.raises(InputError, match="item i: no gold label"):
        scored(prediction(gold=""))


def test_unmapped_scores_compare_displayed_labels_with_the_letters_before_permutation():
    # Displayed: C, A, D, B. The gold option A is displayed as B; an answer B is right, an answer A only looks right.
    right = prediction(gold="B", constrained="B", order="CADB")
    displaced = prediction(gold="B", constrained="A", order="CADB")
    values = scored(right, displaced)
    assert values["em", "constrained"].tolist() == [1, 0]
    assert values["em_unmapped", "constrained"].tolist() == [0, 1]


def test_mapped_and_unmapped_scores_agree_in_the_original_order():
    values = scored(*(prediction(gold="AC", constrained=answer, task="mcq") for answer in ("AC", "A", "BD")))
    for metric in ("em", "hamming"):
        assert values[metric, "constrained"].tolist() == values[f"{metric}_unmapped", "constrained"].tolist()


def test_brier_score_and_confidence_are_those_of_the_label_probabilities():
    values = scored(prediction(gold="B", probabilities=[0.5, 0.25, 0.125, 0.125]))
    assert values["brier", "probabilities"] == pytest.approx([0.25 + 0.5625 + 2 * 0.015625], abs=1e-12)
    assert values["confidence", "probabilities"].tolist() == [0.5]
    assert values["right_at_first_step", "probabilities"].tolist() == [0]


def test_the_first_of_two_equally_probable_labels_is_the_chosen_one():
    values = scored(prediction(gold="B", probabilities=[0.0, 0.5, 0.5, 0.0]))
    assert values["right_at_first_step", "probabilities"].tolist() == [1]


def test_probabilities_say_nothing_of_questions_with_several_answers_or_without_probabilities():
    values = scored(
        prediction(gold="AB", task="mcq", probabilities=[0.5, 0.5, 0, 0]),
        prediction(probabilities=None),
        prediction(probabilities=[1.0, 0, 0, 0]),
    )
    assert np.isnan(values["brier", "probabilities"]).tolist() == [True, True, False]


def test_label_sets_keep_rows_apart_when_some_are_null_or_empty():
    column = pa.chunked_array(
        [pa.array([[0], None, [], [2, 25]], pa.list_(pa.int32())), pa.array([[1]], pa.list_(pa.int32()))]
    )
    assert label_sets(column).tolist() == [1, 0, 0, 4 | 1 << 25, 2]
    assert label_sets(column.slice(2)).tolist() == [0, 4 | 1 << 25, 2]


def test_every_score_says_how_it_was_computed():
    table = pa.Table.from_pylist([prediction(probabilities=[0.7, 0.1, 0.1, 0.1])], schema=prediction_schema())
    signatures = {(score.metric, score.decoding): score.signature for score in choice_scores(table)}
    sets, steps = "sets of labels|no readable answer counts as wrong|v1", "first step|labels only|v1"
    metrics = ("em", "hamming", "hamming_options", "em_unmapped", "hamming_unmapped")
    assert signatures == {
        **{(metric, decoding): sets for metric in metrics for decoding in ("greedy", "constrained")},
        **{(rate, "greedy"): sets for rate in ("invalid", "ambiguous", "cut_unread")},
        **{(m, "probabilities"): steps for m in ("brier", "confidence", "right_at_first_step", "label_mass")},
    }


def test_constrained_scores_name_the_procedure_where_it_is_not_the_automaton():
    def signatures(*procedures):
        rows = [{**prediction(), "constrained_by": procedure} for procedure in procedures]
        table = pa.Table.from_pylist(rows, schema=prediction_schema())
        return {score.decoding: score.signature for score in choice_scores(table) if score.metric == "em"}

    assert signatures(None)["constrained"] == signatures("automaton")["constrained"] == SIGNATURE
    assert signatures("json_schema", "first_token", None) == {
        "greedy": SIGNATURE, "constrained": f"{SIGNATURE}|labels by first_token, json_schema"
    }  # fmt: skip


def test_probability_scores_name_where_they_come_from_if_not_from_a_local_model():
    def signature(*procedures, probabilities=(0.6, 0.4)):
        rows = [{**prediction(probabilities=list(probabilities)), "constrained_by": name} for name in procedures]
        table = pa.Table.from_pylist(rows, schema=prediction_schema())
        return next(score.signature for score in choice_scores(table) if score.metric == "brier")

    own = signature("automaton")
    assert signature(None) == signature("published masks") == own
    assert signature("first_token") == f"{own}|labels by first_token"
    assert signature("likelihoods", "automaton") == f"{own}|labels by automaton, likelihoods"
    assert signature("json_schema", probabilities=()) == own, "an answer without probabilities has no part in them"


def test_the_probability_scores_of_a_question_do_not_depend_on_its_neighbours():
    alone = [prediction(gold="B", probabilities=[0.2, 0.5, 0.3]), prediction(gold="C", probabilities=[0.4, 0.4, 0.2])]
    alone += [prediction(gold="A", probabilities=[1.0])]  # one option, certain
    together = scored(*alone)
    for metric in ("brier", "confidence", "right_at_first_step"):
        own = [scored(row)[metric, "probabilities"][0] for row in alone]
        assert together[metric, "probabilities"].tolist() == pytest.approx(own)
    assert together["brier", "probabilities"] == pytest.approx([0.38, 0.96, 0.0])
    assert together["confidence", "probabilities"] == pytest.approx([0.5, 0.4, 1.0])
    assert together["right_at_first_step", "probabilities"].tolist() == [1, 0, 1]


def test_the_mass_of_the_labels_and_answers_that_were_cut_are_scores_of_their_own():
    cut = {**prediction(outcome="none", probabilities=[0.9, 0.1]), "finish": "length", "label_mass": 0.02}
    ended = {**prediction(outcome="none"), "finish": "stop", "label_mass": None}
    values = scored(cut, ended, {**prediction(greedy="A"), "finish": "length"})
    assert values["cut_unread", "greedy"].tolist() == [1, 0, 0]
    assert values["label_mass", "probabilities"] == pytest.approx([0.02, np.nan, np.nan], nan_ok=True)
