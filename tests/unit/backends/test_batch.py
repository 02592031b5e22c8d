"""Requests as batches: nothing is lost or paid twice, whatever becomes of a batch or of the job that ordered it."""

import pytest
from backends_made import QUICK, ask, question
from batch_server import BatchServer

from posologie.backends.cache import Cache
from posologie.backends.interface import Failure
from posologie.backends.openai_batch import BatchWork, batches_in
from posologie.backends.openai_endpoint import OpenaiEndpointBackend
from posologie.backends.spec import OpenaiEndpoint, Running
from posologie.generation import batches
from posologie.running.errors import InputError

PRICES = {"price_prompt": 10.0, "price_generated": 20.0}


def endpoint(server, **running):
    spec = OpenaiEndpoint(url=server.url, model="mock", key_variable=None)
    settings = {**QUICK, "mode": "batch", "poll_seconds": 0.02, "attempts": 3, **running}
    return OpenaiEndpointBackend(spec, Running(**settings))


def asked(server, folder, texts, **running):
    return ask(endpoint(server, **running), folder, [question(text) for text in texts])


TEXTS = [f"q{number}" for number in range(7)]


def test_every_request_gets_its_own_reply_at_half_the_price(tmp_path):
    with BatchServer(looks=2) as server:
        replies = asked(server, tmp_path, TEXTS, batch_requests=3, **PRICES)
        assert [reply.text for reply in replies] == [f"echo {text}" for text in TEXTS]
        assert len(server.batches) == 3
    with Cache(tmp_path / "responses.sqlite") as cache:
        spent = cache.spending()
    assert spent.tokens == 7 * 15
    assert spent.money == pytest.approx(7 * (10 * 10.0 + 5 * 20.0) / 1e6 / 2)
    assert batches_in(tmp_path / "batches") == []


def test_replies_are_the_same_as_those_of_direct_requests(tmp_path):
    with BatchServer() as server:
        asked(server, tmp_path, TEXTS)
        again = asked(server, tmp_path, TEXTS, mode="direct", attempts=1)  # this server has no chat completions
        assert [reply.text for reply in again] == [f"echo {text}" for text in TEXTS]
        assert set(server.asked.values()) == {1}


def test_what_failed_in_a_batch_is_asked_in_another_and_what_is_refused_is_not(tmp_path):
    def behaviour(prompt, before):
        if prompt == "refused":
            return 400
        if prompt == "never":
            return 500
        return 429 if prompt == "busy" and not before else f"echo {prompt}"

    with BatchServer(behaviour) as server:
        good, busy, refused, never = asked(server, tmp_path, ["good", "busy", "refused", "never"])
        assert server.asked == {"good": 1, "busy": 2, "refused": 1, "never": 3}
    assert (good.text, busy.text) == ("echo good", "echo busy")
    assert isinstance(refused, Failure)
    assert refused.error == "status 400: 400 it is"
    assert never.error == "status 500: 500 it is (3 attempts)"


def test_what_an_expired_batch_left_is_asked_again(tmp_path):
    def half(prompt, before):
        return None if prompt in ("q1", "q4") and not before else f"echo {prompt}"

    with BatchServer(half, ends=["expired"]) as server:
        replies = asked(server, tmp_path, TEXTS)
        assert [reply.text for reply in replies] == [f"echo {text}" for text in TEXTS]
        assert server.asked == {text: 2 if text in ("q1", "q4") else 1 for text in TEXTS}


def test_a_batch_that_is_refused_as_a_whole_is_one_line(tmp_path):
    with (
        BatchServer(ends=["failed"]) as server,
        pytest.raises(InputError, match="refused as a whole: line 1: not JSON"),
    ):
        asked(server, tmp_path, TEXTS)


def test_an_endpoint_without_batches_is_one_line_and_costs_nothing(tmp_path):
    with BatchServer() as server:
        server.broken.add("create")
        with pytest.raises(InputError, match=r"a batch was refused, status 400: .*no batches here"):
            asked(server, tmp_path, TEXTS)
    with Cache(tmp_path / "responses.sqlite") as cache:
        assert cache.spending().tokens == 0


class Killed(BaseException):
    """As sudden as a signal."""


@pytest.mark.parametrize("when", ["waiting", "before the id is known"])
def test_a_job_that_is_killed_finds_its_batch_again(tmp_path, monkeypatch, when):
    def dying(self, *arguments):
        raise Killed

    with BatchServer() as server:
        with monkeypatch.context() as patch:
            if when == "waiting":
                patch.setattr(BatchWork, "_look", dying)
            else:
                note = BatchWork._note
                patch.setattr(
                    BatchWork, "_note", lambda self, batch: dying(self) if batch.id is not None else note(self, batch)
                )
            with pytest.raises(Killed):
                asked(server, tmp_path, TEXTS)
        assert len(batches_in(tmp_path / "batches")) == 1
        with Cache(tmp_path / "responses.sqlite") as cache:
            assert cache.spending().tokens > 0, "what is under way counts"
        replies = asked(server, tmp_path, TEXTS)
        assert [reply.text for reply in replies] == [f"echo {text}" for text in TEXTS]
        assert len(server.batches) == 1
        assert set(server.asked.values()) == {1}
    with Cache(tmp_path / "responses.sqlite") as cache:
        assert cache.spending().tokens == 7 * 15


def test_a_budget_stops_before_a_batch_that_could_pass_it(tmp_path):
    with BatchServer() as server:
        with pytest.raises(InputError, match="budget reached: 60 tokens"):
            asked(server, tmp_path, TEXTS, budget_tokens=100)
        assert sum(server.asked.values()) < 7
        replies = asked(server, tmp_path, TEXTS, budget_tokens=10_000)
    assert [reply.text for reply in replies] == [f"echo {text}" for text in TEXTS]
    assert set(server.asked.values()) == {1}


def test_batches_are_listed_and_cancelled_and_what_they_answered_is_kept(tmp_path, monkeypatch, capsys):
    batches.main(["--work", str(tmp_path)])
    assert capsys.readouterr().out == "No batch is under way.\n"
    with BatchServer(lambda prompt, before: "yes" if prompt < "q3" or before else None, looks=10**5) as server:
        with monkeypatch.context() as patch:
            patch.setattr(BatchWork, "_look", lambda self, batch: (_ for _ in ()).throw(Killed))
            with pytest.raises(Killed):
                asked(server, tmp_path, TEXTS)
        batches.main(["--work", str(tmp_path)])
        assert capsys.readouterr().out == "batch_0  7 requests  in_progress\n"
        batches.main(["--work", str(tmp_path), "--cancel"])
        with pytest.raises(InputError, match="was cancelled; what it answered is kept"):
            asked(server, tmp_path, TEXTS)
        with Cache(tmp_path / "responses.sqlite") as cache:
            assert cache.observed().replies == 3
        server.looks = 1
        replies = asked(server, tmp_path, TEXTS)
        assert {reply.text for reply in replies} == {"yes"}
        assert len(server.batches) == 2
