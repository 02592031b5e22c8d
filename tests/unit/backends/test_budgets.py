"""What a budget in tokens or money counts, and where it stops a run."""

import json
import threading
import time
from pathlib import Path

import pytest
from backends_made import ask, endpoint, question
from endpoint_server import Answer, EndpointServer, completion

from posologie.backends.cache import Cache
from posologie.backends.spec import Running
from posologie.running.errors import InputError

HERE = Path(__file__).parent


async def echo(body, before):
    return Answer(completion(f"echo {body['messages'][-1]['content']}"))


def test_a_budget_in_tokens_stops_before_it_is_passed_and_goes_on_when_raised(tmp_path):
    requests = [question(f"q{number}") for number in range(50)]
    with EndpointServer(echo) as server:
        with pytest.raises(InputError, match="budget reached"):
            ask(endpoint(server, {"budget_tokens": 400, "concurrency": 8}), tmp_path, requests)
        spent = 15 * len(server.requests)
        # A request may need 8 new tokens, 2 or 3 bytes of prompt and 32 of template: the run stops within one of these.
        assert 400 - 43 - 15 < spent <= 400
        replies = ask(endpoint(server, {"budget_tokens": 5000}), tmp_path, requests)
        assert max(server.asked.values()) == 1
    assert len(replies) == 50


def test_a_budget_in_money_counts_prompt_and_generated_tokens(tmp_path):
    prices = {"price_prompt": 1e4, "price_generated": 1e5}  # 0.1 + 0.5 a reply
    with EndpointServer(echo) as server:
        with pytest.raises(InputError, match="budget reached"):
            ask(endpoint(server, {**prices, "budget_money": 6.0}), tmp_path, [question(f"q{n}") for n in range(50)])
        with Cache(tmp_path / "responses.sqlite") as cache:
            assert cache.spending().money == pytest.approx(0.6 * len(server.requests))
            assert cache.spending().money <= 6.0
        assert len(server.requests) > 5


def test_a_budget_that_another_process_holds_is_waited_for(tmp_path):
    """What another job claims for its request is an upper bound, of which most comes back."""

    def other_job():
        with Cache(tmp_path / "responses.sqlite") as other:
            other.claim(b"k" * 32, 970, 0.0, Running(budget_tokens=1000))
            claimed.set()
            time.sleep(0.7)
            other.settle(b"k" * 32, "request", "raw", 7, (10, 5), 0.0)

    claimed = threading.Event()
    thread = threading.Thread(target=other_job)
    thread.start()
    assert claimed.wait(30)
    with EndpointServer(echo) as server:
        (reply,) = ask(endpoint(server, {"budget_tokens": 1000}), tmp_path, [question("q")])
    thread.join()
    assert reply.text == "echo q"


def test_attempts_whose_outcome_is_unknown_count_in_full(tmp_path):
    async def cut(body, before):
        return Answer(completion("x"), cut=True)

    with EndpointServer(cut) as server:
        backend = endpoint(server, {"attempts": 100, "budget_tokens": 200})
        with pytest.raises(InputError, match="budget reached"):
            ask(backend, tmp_path, [question("q")])
        assert len(server.requests) == 200 // (8 + 1 + 32)


def test_hidden_reasoning_that_only_the_total_shows_is_spent(tmp_path):
    async def thinks(body, before):
        answer = json.loads(completion("x", 10, 5))
        answer["usage"]["total_tokens"] = 75
        return Answer(json.dumps(answer).encode())

    with EndpointServer(thinks) as server:
        (reply,) = ask(endpoint(server), tmp_path, [question("q")])
    assert (reply.prompt_tokens, reply.generated_tokens) == (10, 65)
    with Cache(tmp_path / "responses.sqlite") as cache:
        assert cache.spending().tokens == 75


def test_a_refused_key_spends_nothing_of_the_budget(tmp_path):
    async def refuse(body, before):
        return Answer(b'{"error": {"message": "bad key"}}', status=401)

    with EndpointServer(refuse) as server, pytest.raises(InputError, match="401"):
        ask(endpoint(server, {"concurrency": 1}), tmp_path, [question("q")])
    with Cache(tmp_path / "responses.sqlite") as cache:
        assert cache.spending().tokens == 0
