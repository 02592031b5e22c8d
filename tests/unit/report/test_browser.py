"""The item browser's data: what is marked, what is refused, what is left of an earlier run."""

import json
import re

import pyarrow as pa
import pytest

from posologie.prediction.spec import prediction_schema
from posologie.records.files import read_parquet, write_parquet
from posologie.records.items import read_items
from posologie.report import browser
from posologie.report.evidence import ranks
from posologie.report.page import embedded
from posologie.report.spec import BrowserSpec
from posologie.running.errors import InputError
from posologie.running.seals import Identity, seal_path, write_seal
from simulated import with_evidence, write_browsed


def written(study, target, **change):
    """Write the browser's data and return its index and the items of all files in order."""
    spec = study.browser.model_copy(update=change)
    shards = [f"x={path.split('=')[1]}" for path in study.shards]
    arguments = ["--spec", spec.canonical_json(), "--results", str(study.root), "--items", *shards]
    browser.main([*arguments, "--index", str(target / "index.js")])
    index = _arguments(target / "index.js", "index")[0]
    items = []
    for number in range(len(index["files"])):
        file_number, page = _arguments(target / f"{number}.js", "page")
        assert file_number == number
        items += page
    return index, items


def _arguments(path, function):
    text = path.read_text(encoding="utf-8")
    assert text.startswith(f"posologie.{function}(")
    assert text.endswith(");\n")
    return json.loads(f"[{text[len(f'posologie.{function}(') : -3]}]")


def test_the_index_and_the_files_tell_of_the_same_items_in_order(simulated, tmp_path):
    index, items = written(simulated, tmp_path, items_per_file=10)
    assert index["ids"] == [item["id"] for item in items]
    assert len(items) == 48
    assert index["models"][:3] == ["base", "NAT", "TRAD"]
    assert {index["benchmarks"][place] for place in index["benchmark"]} == {
        "mcqa: native",
        "mcqa: translated",
        "oeq: open",
    }


def test_items_are_marked_as_their_answers_say(simulated, tmp_path):
    index, items = written(simulated, tmp_path)
    for row, item in enumerate(items):
        if item["task"] == "oeq":
            assert index["marks"][row] == 0
            continue
        chosen = [
            [
                {order[label] for label in labels}
                for (_, order), (_, _, labels, _) in zip(item["orders"], said, strict=True)
            ]
            for said in item["said"]
        ]
        disagree = len({options[0] == set(item["gold"]) for options in chosen}) > 1
        flips = any(options[0] != options[1] for options in chosen)
        assert index["marks"][row] == browser.DISAGREE * disagree + browser.FLIPS * flips
        assert index["right"][row] == "".join("01"[options[0] == set(item["gold"])] for options in chosen)
    assert len({index["marks"][row] for row in range(len(items))}) > 2


def test_an_item_is_found_by_all_of_its_question_and_options_without_accents(simulated, tmp_path):
    index, items = written(simulated, tmp_path)
    words = dict(zip(index["ids"], _arguments(tmp_path / "words.js", "words")[0], strict=True))
    choice = next(item for item in items if item["options"])
    asked_openly = next(item for item in items if not item["options"])
    assert {"question", "reponse"} <= set(words[choice["id"]].split()), "Réponse is in the options alone"
    assert set(browser.searched(asked_openly["answer"]).split()) <= set(words[asked_openly["id"]].split())
    assert browser.searched("Straße ÉTÉ été", "中文 の") == "straße ete 中文 の"


def test_data_of_a_small_study_stand_in_the_page_and_end_no_script(simulated, tmp_path):
    index, items = written(simulated, tmp_path, items_per_file=10)
    assert embedded(tmp_path / "index.js", 47) == embedded(tmp_path / "none.js", 500) == ""
    text = embedded(tmp_path / "index.js", 48)
    assert "<" not in text
    words = _arguments(tmp_path / "words.js", "words")[0]
    pages = [items[at : at + 10] for at in range(0, 48, 10)]
    assert json.loads(text) == {"index": index, "words": words, "pages": pages}
    files = [tmp_path / name for name in ("index.js", "words.js", *(f"{number}.js" for number in range(5)))]
    write_seal(files, Identity("posologie.report.browser", "code", {}), {}, {})
    assert embedded(tmp_path / "index.js", 48) == text
    (tmp_path / "4.js").write_text((tmp_path / "4.js").read_text().replace("question", "Question"))
    with pytest.raises(InputError, match=r"4\.js: truncated or altered after it was made"):
        embedded(tmp_path / "index.js", 48)
    seal_path(files).unlink()
    (tmp_path / "0.js").write_text("something else")
    with pytest.raises(InputError, match=r"0\.js: not a file of the item browser"):
        embedded(tmp_path / "index.js", 48)


def test_the_index_changes_with_every_data_file(simulated, own_study, tmp_path):
    before, _ = written(simulated, tmp_path / "before")
    root, _ = own_study
    path = root / "predictions" / "tiny" / "SYN" / "seed-42" / "mcqa.parquet"
    rows = read_parquet(path).to_pylist()
    rows[0]["greedy_text"] += " and more"
    write_parquet(path, pa.Table.from_pylist(rows, prediction_schema()))
    study = type(simulated)(root, simulated.tables, simulated.report, simulated.browser, simulated.shards)
    after, _ = written(study, tmp_path / "after")
    assert before["files"] != after["files"]
    assert before["identity"] != after["identity"]
    assert {key for key, value in before.items() if value != after[key]} == {"files", "identity"}


def test_open_questions_come_with_text_and_scores(simulated, tmp_path):
    _, items = written(simulated, tmp_path)
    item = next(item for item in items if item["task"] == "oeq")
    assert "<script>" in item["said"][0][0][0]
    assert {"rouge2", "meteor"} <= item["scores"][0].keys()


def test_files_of_an_earlier_run_are_gone(simulated, tmp_path):
    written(simulated, tmp_path, items_per_file=10)
    assert (tmp_path / "4.js").exists()
    written(simulated, tmp_path, items_per_file=30)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0.js", "1.js", "index.js", "words.js"]


def test_models_that_answered_other_items_are_refused(simulated, own_study, tmp_path):
    root, _ = own_study
    path = root / "predictions" / "tiny" / "SYN" / "seed-42" / "mcqa.parquet"
    rows = read_parquet(path).to_pylist()
    write_parquet(path, pa.Table.from_pylist(rows[2:], prediction_schema()))
    study = type(simulated)(root, simulated.tables, simulated.report, simulated.browser, simulated.shards)
    with pytest.raises(InputError, match=r"SYN/seed-42/mcqa\.parquet: other items than those of tiny/base"):
        written(study, tmp_path / "items")


def test_an_item_that_no_shard_holds_is_refused(simulated, tmp_path):
    study = type(simulated)(simulated.root, simulated.tables, simulated.report, simulated.browser, simulated.shards[:1])
    with pytest.raises(InputError, match=re.escape("is in none of the shards of --items")):
        written(study, tmp_path)


def test_an_answer_that_judge_and_people_see_differently_is_marked(own_study, simulated, tmp_path):
    root, _ = own_study
    open_items = [item for item in read_items(root / "shards" / "native" / "test.parquet") if item.task == "oeq"]
    for model in simulated.browser.models:
        rows = [{"item": item.id, "benchmark": "open", "label": 1} for item in open_items]
        write_parquet(root / "judgements" / "strict" / model.name / "oeq.parquet", pa.Table.from_pylist(rows))
    rated = [
        {"item": open_items[0].id, "generator": "tiny/base", "rating": 0.0},
        {"item": open_items[0].id, "generator": "tiny/base", "rating": 0.0},
        {"item": open_items[1].id, "generator": "tiny/base", "rating": 1.0},
        {"item": open_items[2].id, "generator": "another model", "rating": 0.0},
    ]
    write_parquet(root / "human" / "physician.parquet", pa.Table.from_pylist(rated))
    study = type(simulated)(root, simulated.tables, simulated.report, simulated.browser, simulated.shards)
    index, items = written(study, tmp_path / "items", judges=("strict",), ratings={"physician": 0.5})
    marked = {index["ids"][row] for row, marks in enumerate(index["marks"]) if marks & browser.JUDGE_DIFFERS}
    assert marked == {open_items[0].id}
    scores = next(item["scores"] for item in items if item["id"] == open_items[0].id)
    assert (scores[0]["judge strict"], scores[0]["people"]) == (1.0, 0.0)
    assert "people" not in scores[1]


def test_a_judge_that_has_not_judged_a_model_is_named(simulated, tmp_path):
    with pytest.raises(InputError, match=r"judgements/strict/tiny/base/oeq\.parquet: no such file"):
        written(simulated, tmp_path, judges=("strict",))


def test_an_answer_flips_by_the_option_that_it_means_and_not_by_its_letter(own_study, simulated, tmp_path):
    root, _ = own_study
    ids = []
    for model in simulated.browser.models:
        path = root / "predictions" / model.name / "mcqa.parquet"
        rows = read_parquet(path).to_pylist()
        reordered = [row["item"] for row in rows if row["option_order"][0] != 0 and row["variant"] == "permuted-1"]
        ids = reordered[:2]
        for row in rows:
            if row["item"] == ids[0]:  # the same option under every order
                row["constrained_labels"] = [row["option_order"].index(0)]
            elif row["item"] == ids[1]:  # the same letter, which means another option
                row["constrained_labels"] = [0]
        write_parquet(path, pa.Table.from_pylist(rows, prediction_schema()))
    study = type(simulated)(root, simulated.tables, simulated.report, simulated.browser, simulated.shards)
    index, items = written(study, tmp_path / "items")
    marks = dict(zip(index["ids"], index["marks"], strict=True))
    assert [marks[item] for item in ids] == [0, browser.FLIPS]
    orders = {(row["item"], row["variant"]): row["option_order"] for row in rows}
    shown = {(item["id"], variant): order for item in items for variant, order in item["orders"] if item["options"]}
    assert shown == orders


def test_training_items_near_a_tested_one_come_with_their_mixes_and_texts(own_study, simulated, tmp_path):
    root, _ = own_study
    shards = tuple(path.replace(str(simulated.root), str(root)) for path in simulated.shards)
    study = with_evidence(type(simulated)(root, simulated.tables, simulated.report, simulated.browser, shards))
    write_browsed(study, tmp_path / "index.js")
    [index] = _arguments(tmp_path / "index.js", "index")
    items = _arguments(tmp_path / "0.js", "page")[1]
    [item] = [item for item in items if item["near"]]
    held, left_out = item["near"]
    assert (held["mixes"], held["kind"]) == ({"NAT": [42], "ALL": [42]}, "near")
    assert (left_out["mixes"], left_out["kind"]) == ({}, "exact"), "what a mix holds comes first"
    assert held["text"]["question"].startswith("Question ")
    assert [index["ids"][row] for row, mark in enumerate(index["marks"]) if mark & browser.NEAR] == [item["id"]]
    assert index["audited"]
    with pytest.raises(InputError, match=r"is near a tested item and in none of the shards of --trained"):
        browser.write_browser(study.browser, root, [path.split("=")[1] for path in shards], tmp_path / "index.js")
    (root / "leakage" / "NAT" / "seed-42" / "oeq.parquet").unlink()
    with pytest.raises(InputError, match=r"leakage/NAT/seed-42/oeq\.parquet: no such file; expected the audit of mix"):
        write_browsed(study, tmp_path / "index.js")


def test_items_are_ranked_by_disagreement_difficulty_and_flips():
    spec = BrowserSpec.model_construct(models=(), suites=(), judges=("strict",), text_metric="rouge2")
    choice = {"task": "mcqu", "options": ["a", "b"], "gold": [0], "said": [[["", None, [0], [100, 0]]]] * 2}
    apart = {**choice, "said": [[["", None, [0], [100, 0]]], [["", None, [1], [0, 100]]]]}
    assert ranks(choice, [[{0}, {0}], [{0}, {1}]], spec) == {
        "disagreement": 0, "spread": 0, "difficulty": 0, "flips": 50,
    }  # fmt: skip
    assert ranks(apart, [[{0}], [{1}]], spec) == {"disagreement": 100, "spread": 100, "difficulty": 50, "flips": 0}
    judged = [{"judge strict": 1.0, "rouge2": 0.5}, {"judge strict": 0.0, "rouge2": 0.5}, {"judge strict": 0.0}]
    openly = {"task": "oeq", "options": [], "gold": [], "said": [[["", None, None, None]]] * 3, "scores": judged}
    ranked = ranks(openly, [[set()]] * 3, spec)
    assert (ranked["disagreement"], ranked["difficulty"]) == (pytest.approx(200 / 3), pytest.approx(200 / 3))
    unjudged = {**openly, "scores": [{"rouge2": 0.5}, {"rouge2": 0.1}, None]}
    ranked = ranks(unjudged, [[set()]] * 3, spec)
    assert (ranked["disagreement"], ranked["difficulty"]) == (pytest.approx(40), pytest.approx(70))
