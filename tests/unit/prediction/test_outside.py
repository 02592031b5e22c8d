"""Answers that another program wrote become predictions like any other."""

import csv
import json
import math

import pyarrow.parquet as pq
import pytest
from prediction_made import make_item

from posologie.prediction.outside import main
from posologie.prediction.spec import prediction_schema
from posologie.records.files import read_json, write_parquet
from posologie.records.items import items_to_table
from posologie.running.errors import InputError

ITEMS = [
    *(make_item(number) for number in range(3)),
    make_item(3, task="mcq"),
    *(make_item(number, task="oeq") for number in range(4, 6)),
]
BENCHMARKS = {"all": {"source": "demo", "tasks": ["mcqu", "mcq", "oeq"]}}
TEXTS = {0: "La réponse est B.", 1: "Je ne sais pas.", 2: "A", 3: "A et C", 4: "Une acidose.", 5: ""}


def item(number):
    return ITEMS[number]


def imported(folder, *files, permutations=0, **layout):
    write_parquet(folder / "shard.parquet", items_to_table(ITEMS))
    suites = {"s": {"benchmarks": BENCHMARKS, "permutations": permutations}}
    spec = {"model": "published/theirs", "suites": suites, "prompting": {}, "seed": 3, **layout}
    arguments = ["--spec", json.dumps(spec), "--items", f"demo={folder / 'shard.parquet'}", "--answers"]
    arguments += [*map(str, files), "--predictions", f"s={folder / 's.parquet'}", "--run", f"s={folder / 's.run.json'}"]
    main([*arguments, "--work", str(folder / "work")])
    table = pq.read_table(folder / "s.parquet")
    assert table.schema.equals(prediction_schema())
    rows = {(row["item"], row["variant"]): row for row in table.to_pylist()}
    return rows, read_json(folder / "s.run.json")


def records(texts=TEXTS):
    return [{"item": item(number).id, "answer": text} for number, text in texts.items()]


def jsonl(path, rows):
    path.write_text("\n".join(json.dumps(row, ensure_ascii=False) for row in rows), encoding="utf-8")
    return path


def lm_eval(number, text=None, likelihoods=None, letters=True, **doc):
    question_item = item(number)
    responses = [[[str(likelihood), "False"]] for likelihood in likelihoods or ()]
    asked = {
        f"gen_args_{place}": {
            "arg_0": "prompt",
            "arg_1": f" {'ABCDE'[place]}" if letters else question_item.options[place],
        }
        for place in range(len(responses))
    }
    doc = doc or {"id": question_item.id}
    resps = [[text]] if text is not None else responses
    return {"doc_id": number, "doc": doc, "arguments": asked, "resps": resps, "filtered_resps": ["x"], "filter": "none"}


def test_a_table_of_answers_is_read_by_our_parser(tmp_path):
    path = tmp_path / "a.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["item", "answer"], delimiter=";")
        writer.writeheader()
        writer.writerows(records())
    rows, run = imported(tmp_path, path)
    first, lost, several, text = (rows[item(number).id, "original"] for number in (0, 1, 3, 4))
    assert (first["greedy_outcome"], first["greedy_labels"], first["constrained_labels"]) == ("labels", [1], [1])
    assert (lost["greedy_outcome"], lost["greedy_labels"], lost["constrained_labels"]) == ("none", None, [])
    assert several["greedy_labels"] == [0, 2]
    assert (text["greedy_text"], text["greedy_outcome"], text["constrained_labels"]) == ("Une acidose.", None, None)
    assert {row["label_probabilities"] for row in rows.values()} == {None}
    assert rows[item(5).id, "original"]["greedy_text"] == "", "an empty answer is one"
    assert run["unmatched"] == {"count": 0, "first": []}
    assert imported(tmp_path, jsonl(tmp_path / "a.jsonl", records()))[0] == rows


def test_an_item_without_an_answer_is_named_and_an_answer_without_an_item_counted(tmp_path):
    lacking = {number: text for number, text in TEXTS.items() if number != 2}
    with pytest.raises(InputError, match=rf"a.jsonl: no answer to item {item(2).id} of suite s; expected one each"):
        imported(tmp_path, jsonl(tmp_path / "a.jsonl", records(lacking)))
    more = [*records(), {"item": "unknown", "answer": "?"}]
    assert imported(tmp_path, jsonl(tmp_path / "b.jsonl", more))[1]["unmatched"] == {"count": 1, "first": ["unknown"]}


def test_two_answers_to_one_item_are_refused_unless_they_are_the_same(tmp_path):
    path = jsonl(tmp_path / "a.jsonl", [*records(), {"item": item(0).id, "answer": "A"}])
    with pytest.raises(InputError, match=rf"line 7: not the answer to '{item(0).id}' of .*line 1; expected one each"):
        imported(tmp_path, path)
    assert imported(tmp_path, jsonl(tmp_path / "b.jsonl", [*records(), *records()]))


def test_answers_can_be_matched_by_the_questions_text(tmp_path):
    rows = [{"q": f" {item(number).question}\n", "answer": text} for number, text in TEXTS.items()]
    table, _ = imported(tmp_path, jsonl(tmp_path / "a.jsonl", rows), question="q")
    expected, _ = imported(tmp_path, jsonl(tmp_path / "b.jsonl", records()))
    assert {key: row["greedy_text"] for key, row in table.items()} == {
        key: row["greedy_text"] for key, row in expected.items()
    }


def test_option_orders_have_to_be_named(tmp_path):
    path = jsonl(tmp_path / "a.jsonl", records())
    with pytest.raises(InputError, match="no answer in the option order permuted-1; expected files that name"):
        imported(tmp_path, path, permutations=1)
    both = [{**row, "order": order} for row in records() for order in ("original", "permuted-1")]
    rows, _ = imported(tmp_path, jsonl(tmp_path / "b.jsonl", both), permutations=1, variant="order")
    first = rows[item(0).id, "permuted-1"]
    assert first["greedy_labels"] == [1], "B is the second option as it was displayed"


def test_samples_of_lm_evaluation_harness_are_read(tmp_path):
    texts = [lm_eval(number, text) for number, text in TEXTS.items()]
    rows, _ = imported(tmp_path, jsonl(tmp_path / "samples_t.jsonl", texts), form="lm_eval")
    expected, _ = imported(tmp_path, jsonl(tmp_path / "a.jsonl", records()))
    assert rows == expected
    unknown = [lm_eval(number, text, question=item(number).question) for number, text in TEXTS.items()]
    path = jsonl(tmp_path / "other.jsonl", unknown)
    with pytest.raises(InputError, match=r"line 1: no 'doc.id'; say where the item's id is"):
        imported(tmp_path, path, form="lm_eval")
    assert imported(tmp_path, path, form="lm_eval", question="doc.question")[0] == expected


def test_log_likelihoods_of_letters_are_probabilities_and_those_of_texts_are_not(tmp_path):
    count = len(item(0).options)
    likelihoods = [math.log(0.1)] * count
    likelihoods[2] = math.log(0.5)
    rest = [lm_eval(number, TEXTS[number]) for number in (1, 2, 3, 4, 5)]
    letters = [lm_eval(0, likelihoods=likelihoods), *rest]
    row = imported(tmp_path, jsonl(tmp_path / "a.jsonl", letters), form="lm_eval")[0][item(0).id, "original"]
    total = 0.5 + 0.1 * (count - 1)
    assert (row["greedy_text"], row["constrained_labels"]) == ("C", [2])
    assert row["label_probabilities"][2] == pytest.approx(0.5 / total)
    assert row["label_mass"] == pytest.approx(total)
    texts = [lm_eval(0, likelihoods=likelihoods, letters=False), *rest]
    row = imported(tmp_path, jsonl(tmp_path / "b.jsonl", texts), form="lm_eval")[0][item(0).id, "original"]
    assert (row["constrained_labels"], row["label_probabilities"]) == ([2], None)
    both = [*letters, lm_eval(0, TEXTS[0])]
    row = imported(tmp_path, jsonl(tmp_path / "c.jsonl", both), form="lm_eval")[0][item(0).id, "original"]
    assert (row["greedy_text"], row["greedy_labels"], row["constrained_labels"]) == (TEXTS[0], [1], [2])
    short = [lm_eval(0, likelihoods=likelihoods[1:]), *rest]
    with pytest.raises(InputError, match=rf"line 1: {count - 1} log-likelihoods; expected {count}"):
        imported(tmp_path, jsonl(tmp_path / "d.jsonl", short), form="lm_eval")


def test_a_log_of_inspect_is_read(tmp_path):
    parts = [{"type": "reasoning", "reasoning": "Voyons…"}, {"type": "text", "text": TEXTS[0]}]
    samples = [
        {
            "id": item(number).id,
            "epoch": 1,
            "input": [{"role": "system", "content": "Répondez."}, {"role": "user", "content": item(number).question}],
            "output": {
                "choices": [{"message": {"role": "assistant", "content": text}, "stop_reason": "stop"}],
                "completion": text,
            },
        }
        for number, text in TEXTS.items()
    ]
    samples[0]["output"] = {"choices": [{"message": {"content": parts}, "stop_reason": "max_tokens"}]}
    path = tmp_path / "log.json"
    path.write_text(json.dumps({"version": 2, "status": "success", "samples": samples}), encoding="utf-8")
    rows, _ = imported(tmp_path, path, form="inspect")
    expected, _ = imported(tmp_path, jsonl(tmp_path / "a.jsonl", records()))
    assert rows.pop((item(0).id, "original"))["finish"] == "length"
    assert all(expected[key] == row for key, row in rows.items())
    assert imported(tmp_path, path, form="inspect", question="input")[0][item(4).id, "original"]["greedy_text"]


@pytest.mark.parametrize(
    ("name", "content", "form", "problem"),
    [
        ("a.json", "{}", "inspect", "a.json: no 'samples'; expected an Inspect log as JSON"),
        ("a.json", '{"samples": [{"id": 1}]}', "inspect", "sample 0: no 'output'"),
        ("a.jsonl", '{"doc": {"id": "x"}}', "lm_eval", "line 1: no 'resps'; expected a sample that lm-evaluation"),
        ("a.jsonl", '{"doc": {"id": "x"}, "resps": [[3]]}', "lm_eval", "neither a text nor log-likelihoods"),
        ("a.jsonl", "{", "lm_eval", "line 1: not JSON"),
        ("a.json", "{}", "lm_eval", "expected a list of samples, found dict"),
        ("a.csv", "item,text\nx,y\n", "table", "line 2: no column 'answer'; expected it among item, text"),
        ("a.csv", "item,answer\n,y\n", "table", "line 2: column 'item' is empty"),
    ],
)
def test_a_file_of_another_form_is_one_line_of_error(tmp_path, name, content, form, problem):
    (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(InputError, match=problem):
        imported(tmp_path, tmp_path / name, form=form)
