"""Documents that items are generated from: those that quote a tested question, and what is generated from them."""

import json

import pyarrow as pa
import pytest
from screening_made import ASPIRIN, CASE, OPTIONS, STATINS, item

from posologie.config import job_specs, plan
from posologie.config.study import Study
from posologie.records.files import read_json, read_parquet, write_parquet
from posologie.records.items import document_descent, items_to_table
from posologie.records.tables import document_schema, read_documents
from posologie.screening.documents import main

TESTED = item("t", f"{CASE} {ASPIRIN}", options=OPTIONS, source="bench", split="test")
OTHER = item("o", STATINS, options=("Crampes", "Rhabdomyolyse", "Toux"), source="originals", split="test")
QUOTING = f"Annales corrigées de cardiologie. {CASE.upper()} {ASPIRIN} La réponse est donnée en fin de volume."
TEXTS = {
    "b": QUOTING,
    "a": "Les statines abaissent le cholestérol et préviennent les accidents vasculaires à haut risque.",
    "c": f"Rappels. {STATINS} Rhabdomyolyse. Les crampes sont fréquentes et bénignes dans la plupart des cas.",
}


@pytest.fixture
def screened(tmp_path):
    """Screen the documents; return those that stay, the report and the matches."""

    def run(mode, tests=(TESTED,), compared=(), containment=13, texts=TEXTS):
        rows = [
            {"id": name, "collection": "lessons", "title": "", "text": text, "group": name, "meta": '{"year": 2020}'}
            for name, text in texts.items()
        ]
        write_parquet(tmp_path / "documents.parquet", pa.Table.from_pylist(rows, schema=document_schema()))
        write_parquet(tmp_path / "bench.parquet", items_to_table(tests))
        write_parquet(tmp_path / "originals.parquet", items_to_table(compared))
        spec = {
            "collection": "lessons", "mode": mode, "containment": containment, "containment_share": 0.5,
            "suites": {"mcqa": [{"source": "bench", "tasks": ["mcqu"]}]} if tests else {},
        }  # fmt: skip
        main(
            [
                *("--spec", json.dumps(spec), "--documents", str(tmp_path / "documents.parquet")),
                *("--tests", *([f"bench={tmp_path / 'bench.parquet'}"] if tests else [])),
                *("--compared", *([f"originals={tmp_path / 'originals.parquet'}"] if compared else [])),
                *("--screened", str(tmp_path / "out.parquet"), "--report", str(tmp_path / "out.json")),
                *("--matches", str(tmp_path / "matches.parquet")),
            ]
        )
        rows = read_documents(tmp_path / "out.parquet").to_pylist()
        return rows, read_json(tmp_path / "out.json"), read_parquet(tmp_path / "matches.parquet").to_pylist()

    return run


def test_a_document_that_quotes_a_tested_question_is_left_out_before_generation(screened):
    rows, report, matches = screened("remove", compared=[OTHER])
    assert [row["id"] for row in rows] == ["a"]
    assert report == {
        "collection": "lessons", "mode": "remove", "read": 3, "kept": 1, "removed": 2, "quoting": 2, "compared": 1,
        "suites": {"mcqa": 1},
    }  # fmt: skip
    assert [(row["item"], row["kind"], row["place"], row["matched"], row["removed"]) for row in matches] == [
        ("b", "containment", "test", TESTED.id, True),
        ("c", "containment", "compared", OTHER.id, True),
    ]


def test_where_it_stays_what_is_generated_from_it_is_a_twin_of_the_tested_question(screened, screen):
    rows, report, _ = screened("report")
    assert [row["id"] for row in rows] == list(TEXTS)
    assert (report["kept"], report["removed"], report["quoting"]) == (3, 0, 1)
    assert [row["meta"] for row in rows[1:]] == ['{"year": 2020}'] * 2
    questions = ("Quel antiagrégant choisir ?", "Que surveiller sous statine ?", "Les crampes sont-elles fréquentes ?")
    generated = [
        item(row["id"], question, meta={"lineage": document_descent(row)}, provenance="synthetic")
        for row, question in zip(rows, questions, strict=True)
    ]
    result = screen(generated, tests=[TESTED])
    assert result.pairs("item", "kind", "matched") == [(generated[0].id, "lineage", TESTED.id)]
    assert result.items == generated[1:]


def test_shorter_n_grams_find_shorter_quotations(screened):
    words = f"{CASE} {ASPIRIN}".split()
    broken = {"b": " ".join(word if number % 10 else f"{word} euh" for number, word in enumerate(words))}
    assert screened("remove", texts=broken)[1]["removed"] == 0
    assert screened("remove", texts=broken, containment=8)[1]["removed"] == 1


def study(**screening):
    backend = {"kind": "openai_endpoint", "url": "http://127.0.0.1:1/v1", "model": "m", "key_variable": None}
    return Study.model_validate(
        {
            "study": "made",
            "collections": {"lessons": {"reader": "morfitt", "path": "documents"}},
            "generators": {"writer": {"backend": backend, "tasks": {"mcqu": 1}, "collections": ["lessons"]}},
            "sources": {
                "bench": {"provenance": "native", "path": "data"},
                "english": {"provenance": "translated", "path": "english", "compared": True, "splits": ["test"]},
                "written": {"provenance": "synthetic", "from": "generated/writer/lessons", "splits": ["test"]},
            },
            "suites": {
                "mcqa": {"benchmarks": {"bench": {"source": "bench", "tasks": ["mcqu"]},
                                        "own": {"source": "written", "tasks": ["mcqu"]}}},
            },
            "backbones": {"small": {"hub": "owner/name"}},
            "screening": screening,
        }
    )  # fmt: skip


def test_generators_are_shown_the_screened_documents_where_there_is_something_to_screen_against():
    screening = study(against=["mcqa"])
    assert plan.documents(screening, "lessons") == "screened_documents/lessons.parquet"
    # Items that are generated from these very documents cannot be asked for before the documents are there.
    assert plan.quotable_shards(screening) == ([("bench", "test")], [("english", "test")])
    spec = job_specs.documents_spec(screening, "lessons")
    assert {name: [part.source for part in parts] for name, parts in spec.suites.items()} == {"mcqa": ["bench"]}
    for off in ({"mode": "off"}, {"against": ["mcqa"], "containment": None}):
        assert plan.documents(study(**off), "lessons") == "documents/lessons.parquet"
