"""Keys and prompts go to the endpoint that the study names, and nowhere else."""

import logging

import pytest
from backends_made import ask, endpoint, question
from endpoint_server import Answer, EndpointServer, completion

from posologie.backends import served
from posologie.running.errors import InputError


async def echo(body, before):
    return Answer(completion("answered"))


def redirecting(location, status=307):
    async def behaviour(body, before):
        return Answer(b"", status=status, headers={"location": location}) if not before else Answer(completion("kept"))

    return behaviour


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_to_another_server_is_refused_and_nothing_reaches_it(tmp_path, monkeypatch, status):
    monkeypatch.setenv("SOME_KEY", "sk-secret")
    with EndpointServer(echo) as other:
        elsewhere = f"{other.url}/chat/completions"
        with EndpointServer(redirecting(elsewhere, status)) as server:
            backend = endpoint(server, key_variable="SOME_KEY")
            with pytest.raises(
                InputError, match=r"redirects to http://127\.0\.0\.1:\d+, where the key must not go"
            ) as caught:
                ask(backend, tmp_path, [question("q")])
        assert "sk-secret" not in str(caught.value)
        assert other.requests == []
    with EndpointServer(echo) as server:  # nothing was paid for, so the request is free to be asked again
        assert ask(endpoint(server), tmp_path, [question("q")])[0].text == "answered"


def test_another_name_of_the_same_machine_is_another_host(tmp_path):
    with EndpointServer(echo) as server:
        server.behaviour = redirecting(f"{server.url.replace('127.0.0.1', 'localhost')}/chat/completions")
        with pytest.raises(InputError, match="redirects to http://localhost"):
            ask(endpoint(server), tmp_path, [question("q")])
        assert len(server.requests) == 1


def test_a_redirect_to_another_path_of_the_same_server_is_followed_with_the_key(tmp_path, monkeypatch):
    monkeypatch.setenv("SOME_KEY", "sk-secret")
    with EndpointServer(redirecting("/v1/chat/completions?moved=1")) as server:
        assert ask(endpoint(server, key_variable="SOME_KEY"), tmp_path, [question("q")])[0].text == "kept"
        assert [headers["authorization"] for headers in server.headers] == ["Bearer sk-secret"] * 2


def test_a_run_that_sends_its_key_in_the_clear_says_so_once(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("SOME_KEY", "sk-secret")
    monkeypatch.setattr(served, "is_loopback", lambda host: False)
    monkeypatch.setattr(served, "_warned", set())
    with EndpointServer(echo) as server, caplog.at_level(logging.WARNING):
        for text in ("one", "another"):
            ask(endpoint(server, key_variable="SOME_KEY"), tmp_path, [question(text)])
        ask(endpoint(server), tmp_path, [question("without a key")])
    warned = [record.getMessage() for record in caplog.records]
    assert warned == [f"{server.url}: the key in SOME_KEY is sent unencrypted; use https if the endpoint has it"]


@pytest.mark.parametrize(
    ("here", "other", "same"),
    [
        ("http://a.org/v1", "https://a.org/v1", True),
        ("https://a.org/v1", "https://a.org:443/v2", True),
        ("https://a.org/v1", "http://a.org/v1", False),
        ("http://a.org:8000/v1", "https://a.org/v1", False),
        ("https://a.org/v1", "https://a.org:8443/v1", False),
        ("https://a.org/v1", "https://b.a.org/v1", False),
    ],
)
def test_the_same_place_is_the_same_host_and_port_or_its_encrypted_form(here, other, same):
    assert served._same_place(served.urlsplit(here), served.urlsplit(other)) is same


@pytest.mark.parametrize(
    ("url", "clear"),
    [
        ("http://gpu7.cluster:8000/v1", True),
        ("http://10.0.0.7/v1", True),
        ("https://gpu7.cluster/v1", False),
        ("http://localhost:8000/v1", False),
        ("http://127.0.0.1:8000/v1", False),
        ("http://[::1]:8000/v1", False),
        ("http://localhost.example.org/v1", True),
        ("http://127.0.0.1.example.org/v1", True),
    ],
)
def test_only_plain_http_to_another_machine_is_in_the_clear(url, clear):
    assert served.in_the_clear(url) is clear


def test_a_key_sent_in_the_clear_is_warned_of_once_for_each_address(monkeypatch, caplog):
    monkeypatch.setattr(served, "_warned", set())
    with caplog.at_level(logging.WARNING):
        for url in ("http://a.org/v1", "http://a.org/v1", "http://b.org/v1", "https://c.org/v1"):
            served.warn_in_the_clear(url, "SOME_KEY")
        served.warn_in_the_clear("http://d.org/v1", None)
    assert [record.getMessage().partition(":the")[0].split(": ")[0] for record in caplog.records] == [
        "http://a.org/v1",
        "http://b.org/v1",
    ]
