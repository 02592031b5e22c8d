"""A published study beside ours: its file, our names for what it holds, and no trace of it where none is named."""

import pytest

from posologie.records.published import (
    Comparison,
    Printed,
    Published,
    PublishedNames,
    Records,
    Sum,
    check_names,
    contradictions,
    read_published,
    shown,
)
from posologie.running.errors import InputError

EM = ("em", "constrained")
WHOLE = ("all", "all", "item_weighted")
FILE = Published.model_validate(
    {
        "title": "Someone 2020",
        "source": "a paper",
        "aggregates": {
            "exact": {
                "title": "exact match",
                "unit": "1",
                "suite": "exam",
                "compared_with": {"metric": "em", "decoding": "constrained", "aggregates": ["item_weighted"]},
                "values": {"llama": {"base": 0.25, "M1": 0.5}},
            },
            "judged": {
                "title": "judged",
                "unit": "%",
                "suite": "open",
                "compared_with": {"metric": "judge:gpt", "decoding": "judged", "aggregates": ["item_weighted"]},
                "values": {"llama": {"M1": 31.0}},
            },
        },
        "agreement": {"doctors": {"judge:gpt": 0.5, "rouge2": 0.2}},
        "translation": {"wmt": {"deepl": {"bleu": 40.0}}},
    }
)
OURS = {
    "backbones": ["smollm2"], "mixes": ["NAT"], "suites": ["mcqa"], "judges": ["mine"], "ratings": ["doctors"],
    "components": ["native"], "translators": ["opus"], "test_sets": ["medline"],
}  # fmt: skip
MAPPED = PublishedNames(
    backbones={"smollm2": "llama"}, mixes={"NAT": "M1"}, suites={"mcqa": "exam", "oeq": "open"}, judges={"mine": "gpt"}
)


def value(names, model=("smollm2", "NAT"), suite="mcqa", measure=EM, variants="original", cell=WHOLE):
    printed = Comparison(FILE, names).value(model, suite, measure, variants, cell)
    return None if printed is None else (printed.value, printed.aggregate)


def test_names_of_ours_are_compared_with_the_names_that_they_are_mapped_to():
    assert value(MAPPED) == (50.0, "exact")
    assert value(MAPPED, model=("smollm2", "base")) == (25.0, "exact")
    assert value(MAPPED, suite="oeq", measure=("judge:mine", "judged")) == (31.0, "judged")


@pytest.mark.parametrize(
    "other",
    [
        {"model": ("qwen", "NAT")},
        {"model": ("smollm2", "M1")},
        {"suite": "exam"},
        {"variants": "permuted"},
        {"measure": ("em", "greedy")},
        {"cell": ("provenance", "all", "item_weighted")},
        {"cell": ("all", "mcqu", "item_weighted")},
        {"cell": ("all", "all", "mean_of_tasks")},
        {"suite": "oeq", "measure": ("judge:other", "judged")},
    ],
)
def test_what_is_not_mapped_has_no_published_number(other):
    assert value(MAPPED, **other) is None


def test_without_a_map_only_names_that_both_have_are_compared():
    assert value(PublishedNames()) is None
    assert value(PublishedNames(), model=("llama", "M1"), suite="exam") == (50.0, "exact")


def test_correlations_with_people_belong_to_one_set_of_ratings():
    compared = Comparison(FILE, MAPPED)
    assert compared.agreement("doctors", "rouge2") == 0.2
    assert compared.agreement("doctors", "judge:mine") == 0.5
    assert compared.agreement("nurses", "rouge2") is None


def test_a_translator_is_compared_on_its_own_test_set_or_with_a_remark():
    names = PublishedNames(translators={"opus": "deepl"}, test_sets={"medline": "wmt"})
    assert Comparison(FILE, names).translation("opus", "bleu", "medline") == (40.0, "")
    assert Comparison(FILE, names).translation("opus", "bleu", "other") == (40.0, "wmt")
    assert Comparison(FILE, PublishedNames()).translation("opus", "bleu", "medline") is None


def test_without_a_published_study_its_columns_are_left_out():
    columns, rows = ("value", "published", "difference"), [{"value": 1, "published": None, "difference": None}]
    assert shown(columns, rows, None) == (["value"], [{"value": 1}])
    assert shown(columns, rows, Comparison(FILE, MAPPED)) == (columns, rows)


@pytest.mark.parametrize(
    ("names", "problem"),
    [
        ({"mixes": {"NTA": "M1"}}, "published.mixes.NTA: this study has no such name; did you mean 'NAT'?"),
        ({"mixes": {"NAT": "M2"}}, "published.mixes.NAT = 'M2': f.yaml has no such name; choose one of M1"),
        ({"judges": {"mine": "claude"}}, "f.yaml has no such name; choose one of gpt"),
    ],
)
def test_a_name_that_one_side_lacks_is_refused(names, problem):
    with pytest.raises(InputError) as caught:
        check_names("f.yaml", FILE, PublishedNames(**names), OURS)
    assert problem in str(caught.value)


def test_a_published_study_without_a_common_name_is_refused():
    check_names("f.yaml", FILE, PublishedNames(), OURS)  # the set of ratings is common
    with pytest.raises(
        InputError, match=r"none of its names is one of this study.*published.backbones: {smollm2: llama}"
    ):
        check_names("f.yaml", FILE, PublishedNames(), OURS | {"ratings": []})


def test_numbers_that_agree_are_no_contradiction():
    records = Records(
        printed={
            "a": Printed(records=2, split="train"),
            "b": Printed(records=3, split="test"),
            "c": Printed(records=5),
        },
        sums={"by split": Sum(parts=("a", "b"), total="c")},
    )
    assert list(contradictions(records)) == []


def test_an_origin_is_found_in_any_case_and_a_component_by_its_published_name():
    origins = {"mediqal": 2, "other": 1}
    reports = [{"source": "nat", "provenance": "own", "split": "train", "read": 3, "kept": 3, "origins": origins}]
    records = Comparison(FILE, PublishedNames(components={"own": "native"})).records
    assert records(Printed(records=9, component="native", origin="MediQAl"), reports) == (2, None)
    assert records(Printed(records=9, component="native", origin="FrBMedQA"), reports) is None
    assert records(Printed(records=9, component="native"), reports) == (3, 3)
    assert Comparison(FILE, PublishedNames()).records(Printed(records=9, component="native"), reports) is None


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (
            "records: {printed: {a: {records: 1}}, sums: {s: {parts: [a], total: b}}}",
            "records.sums.s = 'b': expected one of a",
        ),
        ("records: {printed: {a: {records: -1}}}", "records.printed.a.records = -1"),
        ("aggregate: {}", "aggregate"),
        ("agreement: {set: {rouge2: high}}", "agreement.set.rouge2 = 'high'"),
    ],
)
def test_a_bad_file_is_one_line(tmp_path, text, problem):
    path = tmp_path / "published.yaml"
    path.write_text(f"title: x\nsource: x\n{text}\n")
    with pytest.raises(InputError) as caught:
        read_published(path)
    assert f"published.yaml: {problem}" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("text", "problem"), [("a: [", "not YAML"), ("- 1\n", "expected"), ("", "expected")])
def test_a_file_of_another_form_is_one_line(tmp_path, text, problem):
    path = tmp_path / "published.yaml"
    path.write_text(text)
    with pytest.raises(InputError, match=problem) as caught:
        read_published(path)
    assert "\n" not in str(caught.value)
