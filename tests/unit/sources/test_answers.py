import math

import pytest

from posologie.sources.answers import gold_indices
from posologie.sources.cleaning import Rejected

OPTIONS = ["Le foie", "La rate", "Le rein", "Le cœur", "Le poumon"]


@pytest.mark.parametrize(
    ("answer", "form", "gold"),
    [
        ("B", "labels", (1,)),
        ("A,C", "labels", (0, 2)),
        ("C, A", "labels", (0, 2)),
        ("a;c", "labels", (0, 2)),
        ("(B)", "labels", (1,)),
        ("B.", "labels", (1,)),
        ("A et C", "labels", (0, 2)),
        ("A and C", "labels", (0, 2)),
        ("ACE", "labels", (0, 2, 4)),
        ("['A', 'C']", "labels", (0, 2)),
        ('["B"]', "labels", (1,)),
        (["a", "c"], "labels", (0, 2)),
        (["A,C", "E"], "labels", (0, 2, 4)),
        ("B. La rate", "labels", (1,)),
        ("La rate", "labels", (1,)),
        ("la RATE", "text", (1,)),
        (["Le rein", "Le foie"], "text", (0, 2)),
        (0, "index0", (0,)),
        ("4", "index0", (4,)),
        (1, "index1", (0,)),
        (5.0, "index1", (4,)),
        ("1,3", "index1", (0, 2)),
        ([2, 5], "index1", (1, 4)),
        ("D", "any", (3,)),
        ("Le cœur", "any", (3,)),
    ],
)
def test_answers_are_read_in_the_forms_that_data_sets_use(answer, form, gold):
    assert gold_indices(answer, OPTIONS, form, set()) == gold


@pytest.mark.parametrize(
    ("answer", "form", "reason"),
    [
        (None, "labels", "unlabelled"),
        ("", "labels", "unlabelled"),
        ([], "index1", "unlabelled"),
        (math.nan, "index1", "unlabelled"),
        ("F", "labels", "gold outside the options"),
        ("A,F", "labels", "gold outside the options"),
        (0, "index1", "gold outside the options"),
        (5, "index0", "gold outside the options"),
        (-1, "index0", "gold outside the options"),
        (True, "index1", "unreadable answer"),
        (1.5, "index1", "unreadable answer"),
        ("un", "index1", "unreadable answer"),
        ("D'après le texte", "labels", "unreadable answer"),
        ("BAC", "labels", "unreadable answer"),
        ("B. Le foie", "labels", "unreadable answer"),
        ("Le pancréas", "text", "unreadable answer"),
        ({"A": 1}, "labels", "field is not text"),
    ],
)
def test_answers_that_cannot_be_read_are_rejected_by_reason(answer, form, reason):
    with pytest.raises(Rejected) as rejected:
        gold_indices(answer, OPTIONS, form, set())
    assert rejected.value.reason == reason


def test_a_letter_that_is_also_another_options_text_is_refused_unless_the_form_says_labels():
    groups = ["O", "A", "B", "AB"]
    assert gold_indices("A", groups, "labels", set()) == (0,)
    assert gold_indices("A", groups, "text", set()) == (1,)
    with pytest.raises(Rejected, match="ambiguous answer"):
        gold_indices("A", groups, "any", set())
    assert gold_indices("AB", groups, "text", set()) == (3,)


def test_labels_are_those_that_are_printed():
    assert gold_indices("D", ["un", "deux", "trois"], "labels", set(), ["A", "B", "D"]) == (2,)
    with pytest.raises(Rejected, match="gold outside"):
        gold_indices("C", ["un", "deux", "trois"], "labels", set(), ["A", "B", "D"])


def test_a_repeated_label_counts_once_and_is_named():
    repairs = set()
    assert gold_indices("A,A,B", OPTIONS, "labels", repairs) == (0, 1)
    assert repairs == {"label repeated in the answer"}
