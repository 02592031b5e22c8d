import json

import pytest

from posologie.records.tables import read_documents, read_pairs
from posologie.running.errors import InputError


def test_morfitt_abstracts_are_documents_with_their_specialities(collect):
    rows = 'identifier\tabstract\tspecialities\nx1\t Un "résumé.\tpsychology|genetics\nx2\t\u00a0\tetiology\n'
    collection = collect("morfitt", {"train.tsv": rows})
    (document,) = collection.items
    assert document["text"] == 'Un "résumé.'
    assert json.loads(document["meta"]) == {"native_id": "x1", "specialities": ["psychology", "genetics"]}
    assert collection.reasons == {"empty text": 1}
    assert read_documents(collection.folder / "documents.parquet").num_rows == 1


def test_diamed_cases_are_documents_with_title_and_chapter(collect):
    case = {
        "identifier": "d1",
        "title": "Un titre",
        "clinical_case": "Un homme.",
        "keywords": ["toux"],
        "domain": ["pneumologie"],
        "icd-10": "J00-J99  Diseases of the respiratory system",
    }
    (document,) = collect("diamed", {"splits/train.json": [case]}).items
    assert (document["title"], document["text"]) == ("Un titre", "Un homme.")
    assert json.loads(document["meta"])["icd10_chapter"].startswith("J00")


def test_deft2021_takes_each_text_file_as_one_case(collect):
    collection = collect("deft2021", {"train/filepdf-1.txt": "Un cas.\r\nSuite.\n", "train/filepdf-2.txt": " \n"})
    (document,) = collection.items
    assert document["text"] == "Un cas.\nSuite."
    assert json.loads(document["meta"])["native_id"] == "filepdf-1"
    assert collection.reasons == {"empty text": 1}


def test_a_document_that_occurs_twice_is_counted_and_both_are_kept(collect):
    rows = "identifier\tabstract\tspecialities\nx1\tUn.\ta\nx1\tDeux.\ta\n"
    collection = collect("morfitt", {"train.tsv": rows})
    assert collection.items[1]["id"] == collection.items[0]["id"] + "-2"
    assert collection.report["repeated_ids"] == 1


def test_parallel_text_is_paired_line_by_line_and_blank_lines_part_documents(collect):
    collection = collect("wmt_biomedical", {"set.en": "One.\nTwo.\n\nThree.\n", "set.fr": "Un.\n\n\nTrois.\n"})
    pairs = [(row["source_text"], row["target_text"]) for row in collection.items]
    assert pairs == [("One.", "Un."), ("Three.", "Trois.")]
    assert collection.items[0]["group"] != collection.items[1]["group"]
    assert collection.reasons == {"empty segment": 1}
    assert collection.rejects[0]["row"] == 2
    assert read_pairs(collection.folder / "documents.parquet")["target_language"].to_pylist() == ["fr", "fr"]


def test_parallel_text_without_blank_lines_has_a_group_for_each_segment(collect):
    collection = collect(
        "wmt_biomedical",
        {"set.de": "Eins.\nZwei.\n", "set.en": "One.\nTwo.\n"},
        {"source_language": "de", "target_language": "en"},
    )
    assert [row["group"] for row in collection.items] == [row["id"] for row in collection.items]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"set.en": "One.\nTwo.\n", "set.fr": "Un.\n"}, "2 lines, but 1 in"),
        ({"set.en": "One.\n"}, "expected pairs of files NAME.en and NAME.fr"),
        ({"a.en": "One.\n", "b.fr": "Un.\n"}, "expected pairs"),
    ],
)
def test_parallel_files_that_do_not_match_are_named(collect, files, message):
    with pytest.raises(InputError, match=message):
        collect("wmt_biomedical", files)


def test_a_table_of_another_kind_is_not_taken_for_documents(collect, tmp_path):
    collection = collect("wmt_biomedical", {"set.en": "One.\n", "set.fr": "Un.\n"})
    with pytest.raises(InputError, match="no text column 'title'; expected a table of documents"):
        read_documents(collection.folder / "documents.parquet")
