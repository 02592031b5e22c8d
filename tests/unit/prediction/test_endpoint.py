"""A model behind an OpenAI-compatible endpoint answers suites like a local one, as far as the endpoint tells."""

import json
import math

import endpoint_server
import pyarrow.parquet as pq
import pytest
from prediction_made import make_item

from posologie.prediction.served import labels_in, main
from posologie.prediction.spec import prediction_schema
from posologie.records.files import read_json, write_parquet
from posologie.records.items import items_to_table
from posologie.running.errors import InputError

ITEMS = [
    *(make_item(number) for number in range(3)),
    *(make_item(number, task="mcq") for number in range(3, 5)),
    *(make_item(number, task="oeq") for number in range(5, 7)),
]
SUITES = {
    "mcqa": {"benchmarks": {"all": {"source": "demo"}}, "permutations": 1},
    "oeq": {"benchmarks": {"all": {"source": "demo", "tasks": ["oeq"]}}, "max_new_tokens": 9},
}


def first_token(shares):
    """Return the log-probabilities of one token, as endpoints send them."""
    top = [{"token": token, "logprob": math.log(share), "bytes": None} for token, share in shares.items()]
    return {"content": [{"token": next(iter(shares)), "logprob": 0.0, "bytes": None, "top_logprobs": top}]}


def served(logprobs=True, structured=True):
    async def behaviour(body, _):
        extra = {}
        if "response_format" in body:
            schema = body["response_format"]["json_schema"]["schema"]["properties"]["labels"]
            text = json.dumps({"labels": ["C", "A"] if schema["type"] == "array" else "D"})
            text = text if structured else "no JSON"
        elif "Choix de réponses" in body["messages"][-1]["content"]:
            text = "La réponse est B."
            if body.get("logprobs") and logprobs:
                extra["logprobs"] = first_token({" B": 0.5, "B": 0.1, "A": 0.2, "La": 0.1})
        else:
            text = "Il faut du repos."
        return endpoint_server.Answer(endpoint_server.completion(text, 21, 7, **extra))

    return endpoint_server.EndpointServer(behaviour)


def predict(server, folder, **backend):
    write_parquet(folder / "shard.parquet", items_to_table(ITEMS))
    spec = {
        "model": "published/served",
        "suites": SUITES,
        "prompting": {},
        "seed": 3,
        "backend": {"url": server.url, "model": "m", "key_variable": None, **backend},
    }
    main(
        [
            *(
                "--backend",
                "openai_endpoint",
                "--spec",
                json.dumps(spec),
                "--items",
                f"demo={folder / 'shard.parquet'}",
                "--work",
                str(folder / "work"),
            ),
            *("--predictions", *(f"{suite}={folder / suite}.parquet" for suite in SUITES)),
            *("--run", *(f"{suite}={folder / suite}.run.json" for suite in SUITES)),
        ]
    )
    tables = {suite: pq.read_table(folder / f"{suite}.parquet") for suite in SUITES}
    assert all(table.schema.equals(prediction_schema()) for table in tables.values())
    return {suite: table.to_pylist() for suite, table in tables.items()}


def test_greedy_text_is_read_and_probabilities_decide_single_answers(tmp_path):
    with served() as server:
        rows = predict(server, tmp_path)
    for row in rows["mcqa"]:
        assert (row["greedy_outcome"], row["greedy_labels"]) == ("labels", [1])
        assert row["label_probabilities"] == pytest.approx([0.25, 0.75, 0, 0])
        assert row["label_mass"] == pytest.approx(0.8)
        assert row["constrained_labels"] == ([1] if row["task"] == "mcqu" else [0, 2])
        assert row["constrained_by"] == ("first_token" if row["task"] == "mcqu" else "json_schema")
        assert (row["prompt_tokens"], row["generated_tokens"], row["finish"]) == (21, 7, "stop")
    assert {row["greedy_text"] for row in rows["oeq"]} == {"Il faut du repos."}
    limits = {
        body["max_completion_tokens"]
        for body in server.requests
        if "logprobs" not in body and "response_format" not in body
    }
    assert limits == {9}
    record = read_json(tmp_path / "mcqa.run.json")
    assert record["asked_again_under_schema"] == 4
    assert record["backend"]["model"] == "m"


def test_a_served_model_has_the_budget_of_a_local_one_unless_told(tmp_path):
    with served() as server:
        predict(server, tmp_path)
        limits = {body["max_completion_tokens"] for body in server.requests if "logprobs" in body}
    assert limits == {1, 8}


def test_without_probabilities_labels_are_asked_for_under_a_schema(tmp_path):
    with served(logprobs=False) as server:
        rows = predict(server, tmp_path)
    for row in rows["mcqa"]:
        assert row["label_probabilities"] is row["label_mass"] is None
        assert row["constrained_labels"] == ([3] if row["task"] == "mcqu" else [0, 2])


@pytest.mark.parametrize("structured", ["none", "json_object"])
def test_without_either_there_is_no_constrained_answer(tmp_path, structured):
    with served(logprobs=False) as server:
        rows = predict(server, tmp_path, structured=structured, label_probabilities=False)
        assert not any("response_format" in body for body in server.requests)
    assert all(row["constrained_labels"] is None for row in rows["mcqa"])
    assert all(row["greedy_labels"] == [1] for row in rows["mcqa"])


def test_a_reply_that_does_not_keep_to_the_schema_is_an_answer_without_labels(tmp_path):
    with served(structured=False) as server:
        rows = predict(server, tmp_path)
    assert all(row["constrained_labels"] == [] for row in rows["mcqa"] if row["task"] == "mcq")


def test_replies_are_kept_when_some_fail_and_only_these_are_asked_again(tmp_path):
    broken = [True]

    async def behaviour(body, _):
        if broken[0] and "Question 4" in body["messages"][-1]["content"]:
            return endpoint_server.Answer(b'{"error": {"message": "too long"}}', status=400)
        return endpoint_server.Answer(endpoint_server.completion("B"))

    with endpoint_server.EndpointServer(behaviour) as server:
        with pytest.raises(
            InputError, match=r"2 of 12 requests failed, the first for item '\w*4': status 400: .*run again"
        ):
            predict(server, tmp_path, structured="none")
        assert not list(tmp_path.glob("*.run.json"))
        broken[0] = False
        before = len(server.requests)
        rows = predict(server, tmp_path, structured="none")
        assert len(server.requests) - before == 2
    assert len(rows["mcqa"]) == 10


def test_the_published_masks_need_a_local_model(tmp_path):
    suites = {"s": {"benchmarks": {"all": {"source": "demo"}}, "protocol": "published"}}
    spec = {"model": "m", "suites": suites, "prompting": {}, "seed": 3, "backend": {"model": "m"}}
    words = ["--items", "demo=x", "--predictions", "s=x", "--run", "s=x", "--work", str(tmp_path)]
    with pytest.raises(InputError, match="masks need a local model"):
        main(["--backend", "openai_endpoint", "--spec", json.dumps(spec), *words])


@pytest.mark.parametrize(
    ("text", "several", "labels"),
    [
        ('{"labels": ["A", "C"]}', True, (0, 2)),
        ('{"labels": ["C", "A", "C"]}', True, (0, 2)),
        ('{"labels": "B"}', False, (1,)),
        ('{"labels": []}', True, None),
        ('{"labels": ["F"]}', True, None),
        ('{"labels": ["AB"]}', True, None),
        ('{"labels": [["A"]]}', True, None),
        ('{"other": "A"}', False, None),
        ("[]", True, None),
        ("A", False, None),
        ("", False, None),
    ],
)
def test_replies_under_the_schema_are_checked(text, several, labels):
    assert labels_in(text, 4, several) == labels
