import json

import pytest
from endpoint_server import Answer, EndpointServer, completion

from posologie.backends.interface import Failure, Reply
from posologie.records.files import read_json, read_parquet, write_parquet
from posologie.records.items import Item, items_to_table
from posologie.running.errors import InputError
from posologie.screening import rating, rating_plan
from posologie.screening.__main__ import main as screen
from posologie.screening.rating import places, rated, rating_schema
from posologie.screening.spec import Quality, Rating
from studies import REPOSITORY

PROMPT = REPOSITORY / "resources/prompts/fr/quality/item.md"


def made(key, task="mcqu"):
    gold = {"mcqu": (1,), "mcq": (0, 2), "oeq": ()}[task]
    options = () if task == "oeq" else ("foie", "rein", "rate")
    answer = "Le rein." if task == "oeq" else ""
    return Item(
        key,
        "syn",
        "synthetic",
        split="train",
        task=task,
        question=f"Question {key} ?",
        context="",
        options=options,
        gold=gold,
        answer=answer,
        group=key,
    )


ITEMS = [made("bad"), made("good", "mcq"), made("mute"), made("open", "oeq")]


@pytest.fixture
def rate(tmp_path):
    """Rate the items by an endpoint; gives the rows and the run record."""
    write_parquet(tmp_path / "items.parquet", items_to_table(ITEMS))

    def run(url, planned=False, **running):
        backend = {"kind": "openai_endpoint", "url": url, "model": "m", "key_variable": None}
        spec = {"judge": "j", "source": "syn", "tasks": ["mcqu", "mcq"], "backend": backend}
        words = ["--spec", json.dumps(spec), "--prompt", str(PROMPT), "--items", str(tmp_path / "items.parquet")]
        words += ["--work", str(tmp_path / "work"), "--running", json.dumps({"attempts": 1, **running})]
        if planned:
            rating_plan.main([*words, "--plan", str(tmp_path / "plan.json")])
            return read_json(tmp_path / "plan.json")
        rating.main(
            [
                "--backend",
                "openai_endpoint",
                *words,
                "--ratings",
                str(tmp_path / "quality.parquet"),
                "--run",
                str(tmp_path / "run.json"),
            ]
        )
        return read_parquet(tmp_path / "quality.parquet"), read_json(tmp_path / "run.json")

    return run


async def by_question(body, times):
    prompt = body["messages"][-1]["content"]
    return Answer(
        completion("2" if "Question bad" in prompt else "**5**" if "Question good" in prompt else "Je ne sais")
    )


def test_a_judge_rates_each_choice_item_and_the_screen_removes_the_low(rate, tmp_path):
    with EndpointServer(by_question) as server:
        ratings, record = rate(server.url)
        assert rate(server.url)[0] == ratings, "replies come out of the cache"
        assert len(server.requests) == 3, "open questions are not rated, and nothing is asked twice"
    assert ratings.schema == rating_schema()
    rows = [(row["item"], row["score"], row["outcome"]) for row in ratings.to_pylist()]
    assert rows == [("bad", 2, "score"), ("good", 5, "score"), ("mute", None, "unparsable")]
    assert (record["items"], record["outcomes"]) == (3, {"score": 2, "unparsable": 1})
    spec = {"source": "syn", "split": "train", "suites": {}}
    spec["screening"] = {"mode": "remove", "quality": {"judge": "j", "threshold": 3}}
    outputs = ["--screened", "screened.parquet", "--report", "report.json", "--matches", "matches.parquet"]
    words = [word if word.startswith("--") else str(tmp_path / word) for word in outputs]
    command = ["--items", str(tmp_path / "items.parquet"), "--quality", str(tmp_path / "quality.parquet")]
    screen(["--spec", json.dumps(spec), *command, *words])
    assert read_parquet(tmp_path / "screened.parquet")["id"].to_pylist() == ["good", "mute", "open"]
    assert read_json(tmp_path / "report.json")["quality"] == {
        "judge": "j", "threshold": 3, "rated": 2, "unrated": 1, "of_other_tasks": 1, "below": 1,
    }  # fmt: skip


def test_the_plan_counts_what_would_be_asked(rate):
    assert rate("http://127.0.0.1:1/v1", planned=True)["requests"] == 3


def test_an_endpoint_that_fails_ends_the_job_or_is_recorded(rate):
    async def broken(body, times):
        return Answer(status=400, body=b'{"error": {"message": "no"}}')

    with EndpointServer(broken) as server:
        with pytest.raises(InputError, match="j/syn: 3 of 3 requests failed"):
            rate(server.url)
        ratings, _ = rate(server.url, tolerated_failures=1.0)
    assert set(ratings["outcome"].to_pylist()) == {"failed"}
    assert ratings["score"].null_count == 3


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("4", 4),
        ("4.", 4),
        ("4, car tout est juste", 4),
        ("4.5", None),
        ("**3**", 3),
        ("10", None),
        ("4,5", None),
        ("Note : 4", None),
        ("", None),
        ("6", None),
    ],
)
def test_a_score_is_read_or_missing_but_never_guessed(text, score):
    row = rated(Reply(text, "stop", 9, 1), Rating(), "sha")
    assert (row["score"], row["outcome"]) == (score, "unparsable" if score is None else "score")
    assert rated(Reply("", "filtered", 9, 0), Rating(), "sha")["outcome"] == "filtered"
    assert rated(Failure("timed out"), Rating(), "sha")["error"] == "timed out"


def test_another_scale_is_an_expression_with_one_number():
    scale = Rating(score=r"Note\s*:\s*([\d,]+)/20")
    assert rated(Reply("Note : 3/20. Après relecture, Note : 12,5/20", "stop", 9, 9), scale, "sha")["score"] == 12.5
    with pytest.raises(InputError, match="its group matched 'bon'; expected a number"):
        rated(Reply("bon", "stop", 9, 9), Rating(score="(bon)"), "sha")
    with pytest.raises(ValueError, match="one group in score, not 2"):
        Rating(score="(a)(b)")


def test_an_item_is_shown_with_its_options_and_its_right_answers():
    shown = places(made("x", "mcq"))
    assert shown["options"].splitlines() == ["(A) foie", "(B) rein", "(C) rate"]
    assert shown["answer"].splitlines() == ["(A) foie", "(C) rate"]
    assert places(made("x", "oeq")) == {"question": "Question x ?", "options": "", "answer": "Le rein."}


def test_how_a_judge_is_asked_is_no_part_of_what_a_screened_shard_depends_on():
    first, other = (Quality(judge="j", threshold=3, rating=Rating(score=score)) for score in ("(1)", "(2)"))
    assert first.canonical_json() == other.canonical_json()
