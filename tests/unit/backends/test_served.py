"""Whose replies they are: the model's, wherever it answers, and not another one's behind the same address."""

import hashlib
import json

import pytest
from backends_made import QUICK, ask, endpoint, question
from endpoint_server import Answer, EndpointServer, completion

from posologie.backends.cache import Cache
from posologie.backends.interface import Session
from posologie.backends.openai_endpoint import OpenaiEndpointBackend
from posologie.backends.spec import OpenaiEndpoint, Running
from posologie.backends.spending import spent_below
from posologie.running.commands import Progress
from posologie.running.errors import InputError


async def echo(body, before):
    return Answer(completion(f"echo {body['messages'][-1]['content']}"))


def entry(root, **more):
    return {"id": "mock", "object": "model", "created": 7, "root": root, **more}


def test_a_model_that_moves_to_another_node_is_not_paid_again(tmp_path):
    for root in ("/scratch/a/model-v1", "/local/b/model-v1"):
        with EndpointServer(echo) as server:
            server.models = [entry(root, permission=[{"id": root}])]
            (reply,) = ask(endpoint(server), tmp_path, [question("q")])
            asked = dict(server.asked)
    assert reply.text == "echo q"
    assert asked == {}


@pytest.mark.parametrize(
    ("before", "after", "what"),
    [
        (entry("/m/v1"), entry("/m/v2"), "root was v1, is v2"),
        (entry("m", meta={"size": 1, "n_ctx": 5}), entry("m", meta={"size": 2, "n_ctx": 9}), "size was 1, is 2"),
    ],
)
def test_other_weights_under_the_same_name_are_refused_before_anything_is_mixed(tmp_path, before, after, what):
    with EndpointServer(echo) as server:
        server.models = [before]
        ask(endpoint(server), tmp_path, [question("q")])
        server.models = [after]
        with pytest.raises(InputError, match=f"other weights answer as 'mock' than those .*: {what}; expected"):
            ask(endpoint(server), tmp_path, [question("q"), question("another")])
        assert set(server.asked) == {"q"}


def test_replies_that_an_earlier_version_stored_under_their_url_are_not_paid_again(tmp_path):
    with EndpointServer(echo) as server:
        backend = endpoint(server)
        request = question("q")
        former = json.dumps(backend.identity() | {"url": server.url}, sort_keys=True, ensure_ascii=False)
        key = hashlib.sha256(f"{former}\n{request.canonical_json()}".encode()).digest()
        with Cache(tmp_path / "responses.sqlite") as cache:
            raw = completion("paid long ago").decode()
            cache.put([(key, request.canonical_json(), raw, 1, 10, 5)])
            assert Session(backend, cache).has(request)
        (reply,) = ask(backend, tmp_path, [request])
        assert reply.text == "paid long ago"
        assert server.asked == {}


def test_the_record_says_who_answered(tmp_path, caplog):
    async def two(body, before):
        text = body["messages"][-1]["content"]
        answer = {**json.loads(completion(text)), "model": f"mock-{text[0]}", "system_fingerprint": "fp1"}
        return Answer(json.dumps(answer).encode())

    requests = [question(text) for text in ("a1", "a2", "b1")]
    with EndpointServer(two) as server, Cache(tmp_path / "responses.sqlite") as cache:
        session = Session(endpoint(server), cache)
        session.complete(requests, Progress(tmp_path, "test", len(requests), "requests"))
        for request in requests:
            session.reply(request)
        facts = session.facts(tmp_path, Running())
        session.close()
    assert facts["answered_by"] == [
        {"model": "mock-a", "system_fingerprint": "fp1", "replies": 2},
        {"model": "mock-b", "system_fingerprint": "fp1", "replies": 1},
    ]
    assert facts["asked_at"] == server.url
    assert "replies of several models" in caplog.text


def answering(model, fingerprint):
    async def answer(body, before):
        who = {"model": model, "system_fingerprint": fingerprint}
        return Answer(json.dumps({**json.loads(completion("x")), **who}).encode())

    return answer


@pytest.mark.parametrize(
    ("now", "message"),
    [
        (
            ("mock-2025", "fp1"),
            "model 'mock-2025', fingerprint 'fp1' .* came from model 'mock-2024', fingerprint 'fp1'; .*'any'",
        ),
        (("mock-2024", "fp2"), "model 'mock-2024', fingerprint 'fp2' answers as 'mock'"),
        (("mock-2024", None), None),
        ((None, None), None),
    ],
)
def test_a_model_or_fingerprint_that_no_earlier_run_met_ends_the_run(tmp_path, now, message):
    with EndpointServer(answering("mock-2024", "fp1")) as server:
        ask(endpoint(server), tmp_path, [question("a")])
    with EndpointServer(answering(*now)) as server:  # another address: it is no part of the identity
        if message is None:
            ask(endpoint(server), tmp_path, [question("b")])
            return
        with pytest.raises(InputError, match=message):
            ask(endpoint(server), tmp_path, [question("b")])
        with Cache(tmp_path / "responses.sqlite") as cache:
            assert cache.observed().replies == 1, "what another model said stands beside no reply"
        ask(endpoint(server, {"fingerprints": "any"}), tmp_path, [question("b")])
        assert len(ask(endpoint(server), tmp_path, [question("a"), question("c")])) == 2, "both are known now"


def test_one_run_may_meet_several_fingerprints_which_are_recorded(tmp_path, caplog):
    async def in_turn(body, before):
        answer = answering("mock", f"fp{body['messages'][-1]['content']}")
        return await answer(body, before)

    with EndpointServer(in_turn) as server:
        backend = endpoint(server, {"concurrency": 1})
        ask(backend, tmp_path, [question(str(number)) for number in range(3)])
        assert len(backend.answered_by) == 3
        ask(endpoint(server), tmp_path, [question("0"), question("2")])
        with pytest.raises(InputError, match="fingerprint 'fp7' answers as 'mock'"):
            ask(endpoint(server), tmp_path, [question("7")])


def test_the_rules_hand_the_address_over_apart_from_what_the_artifact_depends_on(tmp_path):
    spec = OpenaiEndpoint(url="http://127.0.0.1:1/v1", model="mock", key_variable=None)
    assert "url" not in json.loads(spec.canonical_json())
    with EndpointServer(echo) as server:
        read = OpenaiEndpoint.from_json(spec.canonical_json())
        backend = OpenaiEndpointBackend(read, Running(**QUICK, url=server.url))
        (reply,) = ask(backend, tmp_path, [question("q")])
    assert reply.text == "echo q"


def test_what_was_spent_is_seen_from_outside_with_what_brought_no_reply(tmp_path):
    async def once_broken(body, before):
        return Answer(completion("x")) if before else Answer(b'{"choices": [')

    with EndpointServer(once_broken) as server:
        ask(
            endpoint(server, {"price_prompt": 1.0, "price_generated": 1.0}), tmp_path / "judging" / "j", [question("q")]
        )
    (spent,) = spent_below(tmp_path)
    bound = question("q").most_prompt_tokens() + 8
    assert (spent.asker, spent.requests) == ("judging/j", 2)
    assert (spent.tokens, spent.wasted_tokens) == (15 + bound, bound)
    assert (spent.money, spent.wasted_money) == (pytest.approx((15 + bound) / 1e6), pytest.approx(bound / 1e6))
    (tmp_path / "judging" / "j" / "responses.sqlite").write_bytes(b"no database")
    assert spent_below(tmp_path) == []
