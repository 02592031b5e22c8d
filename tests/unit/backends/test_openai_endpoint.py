import asyncio
import json
import math
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from backends_made import QUICK, ask, endpoint, question
from endpoint_server import Answer, EndpointServer, completion

from posologie.backends.cache import Cache
from posologie.backends.interface import Failure, Reply, Request
from posologie.backends.openai_endpoint import OpenaiEndpointBackend
from posologie.backends.spec import Decoding, OpenaiEndpoint, Running
from posologie.running.errors import InputError

HERE = Path(__file__).parent


async def echo(body, before):
    return Answer(completion(f"echo {body['messages'][-1]['content']}"))


def test_each_reply_belongs_to_its_request(tmp_path):
    with EndpointServer(echo) as server:
        requests = [question(f"q{number}") for number in range(60)]
        replies = ask(endpoint(server, {"concurrency": 16}), tmp_path, requests)
    assert [reply.text for reply in replies] == [f"echo q{number}" for number in range(60)]
    assert {(reply.finish, reply.prompt_tokens, reply.generated_tokens) for reply in replies} == {("stop", 10, 5)}


def test_no_more_requests_are_open_than_the_concurrency_allows(tmp_path):
    async def slow(body, before):
        return Answer(completion("x"), delay=0.02)

    with EndpointServer(slow) as server:
        ask(endpoint(server, {"concurrency": 7}), tmp_path, [question(f"q{number}") for number in range(40)])
        assert server.most_open == 7


FAULTS = ("429", "429 later", "500", "503", "cut", "silent", "malformed", "wrong schema", "no text", "twice", "slow",
          "reordered")  # fmt: skip


async def hostile(body, before):
    """Misbehave on the first two attempts of most prompts, in the manner that the prompt names."""
    text = body["messages"][-1]["content"]
    fault, good = text.split(" #")[0], completion(f"echo {text}")
    if fault == "never":
        return Answer(b"{}", status=500)
    if fault == "refused":
        return Answer(b'{"error": {"message": "too long"}}', status=400)
    if fault == "twice":
        return Answer(good, twice=True)
    if fault == "reordered":  # the second choice first
        body = json.loads(good)
        second = {"index": 1, "message": {"role": "assistant", "content": "another"}, "finish_reason": "stop"}
        return Answer(json.dumps({**body, "choices": [second, *body["choices"]]}).encode())
    if before >= 2 or fault == "good":
        return Answer(good, delay=(hash(text) % 7) / 100)
    return {
        "429": Answer(b'{"error": {"message": "slow down"}}', status=429),
        "429 later": Answer(b"{}", status=429, headers={"retry-after": "0.02"}),
        "500": Answer(b"oops", status=500),
        "503": Answer(b"", status=503),
        "cut": Answer(good, cut=True),
        "silent": Answer(silent=True),
        "malformed": Answer(b'{"choices": [{"message": {"content": "half'),
        "wrong schema": Answer(b'{"object": "list", "data": []}'),
        "no text": Answer(b'{"choices": [{"index": 0, "message": {"content": 7}}]}'),
        "slow": Answer(good, delay=30),
    }[fault]


@pytest.mark.slow
def test_under_a_hostile_server_every_request_ends_in_its_own_reply_or_a_failure(tmp_path):
    texts = [f"{fault} #{number}" for number in range(6) for fault in (*FAULTS, "good", "never", "refused")]
    requests = [question(text) for text in texts]
    with EndpointServer(hostile) as server:
        backend = endpoint(server, {"concurrency": 24, "attempts": 4, "timeout_seconds": 3.0})
        outcomes = ask(backend, tmp_path, requests)
        answered, asked = list(server.answered), dict(server.asked)
    for text, outcome in zip(texts, outcomes, strict=True):
        if text.startswith(("never", "refused")):
            assert isinstance(outcome, Failure), text
            assert asked[text] == (4 if text.startswith("never") else 1)
        else:
            assert outcome == Reply(f"echo {text}", "stop", 10, 5), text
    assert len(answered) == len(set(answered)), "a request that was answered was paid again"


def test_a_second_run_asks_only_what_failed(tmp_path):
    broken = True

    async def sometimes(body, before):
        text = body["messages"][-1]["content"]
        return Answer(b"", status=500) if broken and text == "bad" else Answer(completion(text))

    requests = [question("good"), question("bad")]
    with EndpointServer(sometimes) as server:
        backend = endpoint(server, {"attempts": 2})
        first = ask(backend, tmp_path, requests)
        broken = False
        second = ask(backend, tmp_path, requests)
        assert server.asked == {"good": 1, "bad": 3}
    assert isinstance(first[1], Failure)
    assert "500" in first[1].error
    assert [reply.text for reply in second] == ["good", "bad"]


def test_equal_requests_in_one_run_are_asked_once(tmp_path):
    with EndpointServer(echo) as server:
        replies = ask(endpoint(server, {"concurrency": 8}), tmp_path, [question("same")] * 20)
        assert server.asked == {"same": 1}
    assert {reply.text for reply in replies} == {"echo same"}


def test_what_is_asked_is_part_of_the_key_but_not_how_fast(tmp_path):
    with EndpointServer(echo) as server:
        for running, spec, decoding in (
            ({"concurrency": 1}, {}, {}),
            ({"concurrency": 9, "attempts": 2}, {"tokens_field": "max_tokens"}, {}),
            ({}, {"model": "other"}, {}),
            ({}, {}, {"temperature": 0.5}),
            ({}, {}, {"max_new_tokens": 9}),
        ):
            ask(endpoint(server, running, **spec), tmp_path, [question("q", **decoding)])
        assert server.asked == {"q": 4}


def test_the_body_says_what_the_spec_says(tmp_path):
    with EndpointServer(echo) as server:
        request = Request(
            (("system", "s"), ("user", "u")), Decoding(max_new_tokens=3), ("0", "1"), '{"type": "object"}'
        )
        ask(endpoint(server, extra_body={"reasoning_effort": "minimal"}), tmp_path, [request])
        plain = question("v", temperature=None)
        ask(endpoint(server, tokens_field="max_tokens", send_seed=False), tmp_path, [plain])
        first, second = server.requests
    assert first == {
        "model": "mock",
        "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "u"}],
        "max_completion_tokens": 3,
        "seed": 42,
        "temperature": 0.0,
        "top_p": 1.0,
        "logprobs": True,
        "top_logprobs": 20,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "reply", "strict": True, "schema": {"type": "object"}},
        },
        "reasoning_effort": "minimal",
    }
    assert set(second) == {"model", "messages", "max_tokens"}


def test_the_key_comes_from_the_environment_and_is_written_nowhere(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("SOME_KEY", "sesame-1234")
    with EndpointServer(echo) as server:
        ask(endpoint(server, key_variable="SOME_KEY"), tmp_path, [question("q")])
        assert server.headers[0]["authorization"] == "Bearer sesame-1234"
    assert b"sesame" not in (tmp_path / "responses.sqlite").read_bytes()
    assert "sesame" not in caplog.text


def test_a_missing_key_is_named(tmp_path, monkeypatch):
    monkeypatch.delenv("SOME_KEY", raising=False)
    with EndpointServer(echo) as server, pytest.raises(InputError, match="SOME_KEY"):
        ask(endpoint(server, key_variable="SOME_KEY"), tmp_path, [question("q")])


def test_a_refused_key_ends_the_run_at_once(tmp_path):
    async def refuse(body, before):
        return Answer(b'{"error": {"message": "bad key"}}', status=401)

    with EndpointServer(refuse) as server:
        with pytest.raises(InputError, match=r"401.*bad key"):
            ask(endpoint(server, {"concurrency": 2}), tmp_path, [question(f"q{number}") for number in range(50)])
        assert len(server.requests) <= 2


def test_a_server_that_repeats_the_key_does_not_bring_it_into_messages(tmp_path, monkeypatch, caplog):
    async def tell(body, before):
        return Answer(b'{"error": {"message": "sesame-1234 is over its quota"}}', status=429)

    monkeypatch.setenv("SOME_KEY", "sesame-1234")
    with EndpointServer(tell) as server:
        (outcome,) = ask(endpoint(server, {"attempts": 2}, key_variable="SOME_KEY"), tmp_path, [question("q")])
    assert "(key) is over its quota" in outcome.error
    assert "sesame" not in caplog.text


def test_a_server_that_cannot_be_reached_costs_nothing(tmp_path):
    with EndpointServer(echo) as server:
        gone = endpoint(server, {"attempts": 3, "budget_tokens": 60})
    (outcome,) = ask(gone, tmp_path, [question("q")])
    assert "ClientConnectorError" in outcome.error
    with Cache(tmp_path / "responses.sqlite") as cache:
        assert cache.spending().tokens == 0


def test_refusals_in_a_row_end_the_run(tmp_path):
    async def refuse(body, before):
        return Answer(b'{"error": {"message": "unknown field"}}', status=400)

    with EndpointServer(refuse) as server:
        with pytest.raises(InputError, match=r"20 refusals in a row.*unknown field"):
            ask(endpoint(server, {"concurrency": 4}), tmp_path, [question(f"q{number}") for number in range(100)])
        assert len(server.requests) < 30


def test_every_response_is_kept_raw_also_one_that_was_none(tmp_path):
    async def first_nonsense(body, before):
        return Answer(completion("fine") if before else b"<html>proxy</html>")

    with EndpointServer(first_nonsense) as server:
        ask(endpoint(server), tmp_path, [question("q")])
    rows = sqlite3.connect(tmp_path / "responses.sqlite").execute("SELECT raw FROM replies").fetchall()
    discarded = sqlite3.connect(tmp_path / "responses.sqlite").execute("SELECT raw FROM discarded").fetchall()
    assert rows == [(completion("fine").decode(),)]
    assert discarded == [("<html>proxy</html>",)]


def test_label_probabilities_are_read_where_the_label_stands(tmp_path):
    def step(token, **top):
        shown = [{"token": name, "logprob": math.log(value)} for name, value in top.items()]
        return {"token": token, "logprob": -0.1, "bytes": list(token.encode()), "top_logprobs": shown}

    steps = [step("Né", a=0.5, **{"1": 0.2}), step(" :", x=0.9), step(" 1", **{" 1": 0.6, "1": 0.2, "0": 0.1})]

    async def answer(body, before):
        return Answer(completion("Né : 1", logprobs={"content": steps}))

    with EndpointServer(answer) as server:
        (reply,) = ask(endpoint(server), tmp_path, [Request((("user", "q"),), Decoding(), ("0", "1"))])
    first, label = reply.label_steps
    assert (first.offset, first.probabilities, first.mass) == (0, (0.0, 1.0), pytest.approx(0.2))
    assert (label.offset, label.mass) == (4, pytest.approx(0.9))
    assert label.probabilities == pytest.approx((1 / 9, 8 / 9))


@pytest.mark.parametrize(
    ("message", "listed", "offsets"),
    [
        ({"content": "1", "reasoning_content": "0 or 1"}, ["0", " or", " 1", "1"], [0]),
        ({"content": "<think>0 or 1</think>\n1"}, ["<think>", "0", " or 1", "</think>", "\n", "1"], [0]),
        ({"content": "1", "reasoning": "0 or 1"}, ["0", " or", " 0"], []),  # the answer's tokens are not listed
    ],
)
def test_labels_of_a_served_model_that_thinks_are_those_of_its_answer(message, listed, offsets):
    def step(token):
        shown = [{"token": name, "logprob": math.log(share)} for name, share in (("0", 0.6), (token, 0.3))]
        return {"token": token, "logprob": -0.1, "bytes": None, "top_logprobs": shown}

    body = json.loads(completion("", logprobs={"content": [step(token) for token in listed]}))
    body["choices"][0]["message"] = {"role": "assistant", **message}
    body["usage"]["completion_tokens_details"] = {"reasoning_tokens": 3}
    backend = OpenaiEndpointBackend(OpenaiEndpoint(model="m"), Running())
    reply = backend.read(Request((("user", "q"),), Decoding(), ("0", "1")), json.dumps(body))
    assert (reply.text, reply.thoughts, reply.thought_tokens) == ("1", "0 or 1", 3)
    assert [step.offset for step in reply.label_steps] == offsets
    assert [step.mass for step in reply.label_steps] == pytest.approx([0.9] * len(offsets))


def test_withheld_and_cut_replies_are_told_apart(tmp_path):
    async def answer(body, before):
        reason = body["messages"][-1]["content"]
        return Answer(completion("t", finish_reason=reason))

    with EndpointServer(answer) as server:
        replies = ask(endpoint(server), tmp_path, [question(finish) for finish in ("length", "content_filter", "stop")])
    assert [reply.finish for reply in replies] == ["length", "filtered", "stop"]


CHILD = """
import sys
sys.path.insert(0, {here!r})
from pathlib import Path
from backends_made import ask, endpoint, question

class Server:
    url = {url!r}

replies = ask(endpoint(Server, {{"concurrency": 8}}), Path({folder!r}), [question(f"q{{n}}") for n in range({count})])
print(sum(reply.text.startswith("echo") for reply in replies))
"""


def child(server, folder, count):
    script = CHILD.format(here=str(HERE), url=server.url, folder=str(folder), count=count)
    return subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)


async def slow_echo(body, before):
    await asyncio.sleep(0.02)
    return await echo(body, before)


def test_after_a_kill_no_stored_reply_is_asked_again(tmp_path):
    with EndpointServer(slow_echo) as server:
        process = child(server, tmp_path, 300)
        while len(server.answered) < 60 and process.poll() is None:
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        stored = {
            json.loads(request)["turns"][0][1]
            for (request,) in sqlite3.connect(tmp_path / "responses.sqlite").execute("SELECT request FROM replies")
        }
        assert 40 <= len(stored) < 300
        requests = [question(f"q{number}") for number in range(300)]
        replies = ask(endpoint(server, {"concurrency": 8}), tmp_path, requests)
        assert all(server.asked[text] == 1 for text in stored)
        assert sum(times - 1 for times in server.asked.values()) <= 8, "only what was under way may be asked again"
    assert [reply.text for reply in replies] == [f"echo q{number}" for number in range(300)]
    with Cache(tmp_path / "responses.sqlite") as cache:
        assert cache.spending().tokens > 300 * 15 - 1, "what was under way counts as spent"


def test_two_processes_share_a_cache_and_pay_nothing_twice(tmp_path):
    with EndpointServer(slow_echo) as server:
        processes = [child(server, tmp_path, 80) for _ in range(2)]
        outputs = [process.communicate(timeout=400)[0].strip() for process in processes]
        assert outputs == ["80", "80"]
        assert set(server.asked.values()) == {1}


def test_the_wait_before_a_new_attempt_respects_what_the_server_asks(tmp_path):
    async def later(body, before):
        return Answer(completion("x")) if before else Answer(b"{}", status=429, headers={"retry-after": "0.4"})

    with EndpointServer(later) as server:
        started = time.monotonic()
        ask(endpoint(server, {"longest_wait_seconds": 0.5}), tmp_path, [question("q")])
        assert time.monotonic() - started >= 0.4
    assert QUICK["longest_wait_seconds"] < 0.4
