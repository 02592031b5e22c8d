import pyarrow
import pyarrow.compute
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from posologie.sources.cleaning import NOT_PLAIN, Rejected, as_text, clean_text, plain_text


@pytest.mark.parametrize(
    ("published", "clean", "repairs"),
    [
        ("Une phrase, déjà propre : œdème ≥ 5 µg/L – α.", "Une phrase, déjà propre : œdème ≥ 5 µg/L – α.", set()),
        ("  blancs autour \n", "blancs autour", set()),
        ("Laquelle\u00a0? 5\u202fmg\u2009de", "Laquelle ? 5 mg de", {"no-break and typographic spaces"}),
        ("e\u0301pide\u0301mie", "épidémie", {"not NFC"}),
        ("a&amp;b &eacute; &#233;&nbsp;!", "a&b é é !", {"HTML entities", "no-break and typographic spaces"}),
        ("p&amp;lt;0,05", "p<0,05", {"HTML entities"}),
        ("AT&T et A&B; restent", "AT&T et A&B; restent", set()),
        ("<p>Un <b>gras</b></p><p>deux</p>", "Un gras\ndeux", {"HTML markup"}),
        ("ligne<br/>suite", "ligne\nsuite", {"HTML markup"}),
        ("10<sup>9</sup>/L, 1<sup>er</sup>, H<sub>2</sub>O", "10⁹/L, 1er, H2O", {"HTML markup"}),
        ("TA <90 et FC>120, p<0,05 <5 mg", "TA <90 et FC>120, p<0,05 <5 mg", set()),
        ("un\r\ndeux\rtrois", "un\ndeux\ntrois", {"line breaks"}),
        ("nul\x00 et\x07 cloche", "nul et cloche", {"control characters"}),
        ("cou\u00adpure\u200b", "coupure", {"invisible characters"}),
        ("می\u200cشود", "می\u200cشود", set()),
        ("un   deux\tet \n\n\n\n trois", "un deux et\n\ntrois", {"blanks"}),
    ],
)
def test_text_is_cleaned_and_each_repair_is_named(published, clean, repairs):
    found_repairs = set()
    assert clean_text(published, found_repairs) == clean
    assert found_repairs == repairs


def test_cleaning_twice_changes_nothing_more():
    once = clean_text("<p>a&amp;nbsp;b\u00a0</p>\r\n\te\u0301  f", set())
    again = set()
    assert clean_text(once, again) == once
    assert again == set()


@pytest.mark.parametrize("text", ["d\ufffdbut", "\ud800", "&#xD800;", "&#0;", "&#x110000;"])
def test_text_whose_characters_are_lost_is_rejected(text):
    with pytest.raises(Rejected, match="damaged characters"):
        clean_text(text, set())


def test_numbers_become_text_and_nothing_else_does():
    repairs = set()
    assert [as_text(value, "option", repairs) for value in (None, 5, 2.5)] == ["", "5", "2.5"]
    assert repairs == {"number for text"}
    for value in (True, ["a"], {"a": 1}, 10**5000):
        with pytest.raises(Rejected, match="field is not text"):
            as_text(value, "option", set())


@settings(deadline=None, database=None, derandomize=True)
@given(st.lists(st.text(st.one_of(st.sampled_from(" \n\té\u00a0&<'’œα"), st.characters(codec="utf-8"))), max_size=60))
def test_what_the_quick_look_at_a_column_passes_needs_no_cleaning(texts):
    column = pyarrow.array(texts, pyarrow.string())
    unclean = pyarrow.compute.match_substring_regex(column, NOT_PLAIN).to_pylist()
    for text, touched in zip(texts, unclean, strict=True):
        if not touched:
            repairs = set()
            assert clean_text(text, repairs) == text.strip() == plain_text(text, "question", repairs)
            assert repairs == set()


def test_records_are_cleaned_alike_from_columns_and_from_json(read, tmp_path):
    texts = ["Déjà propre ?", "Laquelle\u00a0?", "p < 0,05 &amp; plus", " blancs  doubles ", "<b>gras</b>", "fin\r\n"]
    records = [{"instruction": text, "context": "", "answer": text, "type": "oeq", "origin": "é"} for text in texts]
    path = tmp_path / "made.parquet"
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(records), path)
    from_json = read("hub_records", {"Train/oeq/oeq_train.json": records})
    from_columns = read("hub_records", {"Train/oeq/oeq_train.parquet": path.read_bytes()})
    assert from_columns.items == from_json.items
    assert from_columns.repaired == from_json.repaired
