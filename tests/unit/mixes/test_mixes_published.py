"""Published numbers of records, beside ours and beside each other."""

import pytest

from posologie.errors import InputError
from posologie.mixes.published import Printed, PublishedComposition, Sum, contradictions, ours, read_published


def test_numbers_that_agree_are_no_contradiction():
    published = PublishedComposition(
        source="x",
        printed={
            "a": Printed(records=2, split="train"),
            "b": Printed(records=3, split="test"),
            "c": Printed(records=5),
        },
        sums={"by split": Sum(parts=("a", "b"), total="c")},
    )
    assert list(contradictions(published)) == []


def test_an_origin_is_found_in_any_case():
    origins = {"mediqal": 2, "other": 1}
    reports = [{"source": "nat", "provenance": "native", "split": "train", "read": 3, "kept": 3, "origins": origins}]
    assert ours(Printed(records=9, provenance="native", origin="MediQAl"), reports) == (2, None)
    assert ours(Printed(records=9, provenance="native", origin="FrBMedQA"), reports) is None


def test_a_sum_of_unknown_numbers_is_refused(tmp_path):
    path = tmp_path / "published.yaml"
    path.write_text("source: x\nprinted: {a: {records: 1}}\nsums: {s: {parts: [a], total: b}}\n")
    with pytest.raises(InputError, match=r"published.yaml: sums.s = 'b': expected one of a"):
        read_published(path)
    path.write_text("source: x\nprinted: {a: {records: -1}}\n")
    with pytest.raises(InputError, match=r"published.yaml: printed.a.records = -1"):
        read_published(path)
