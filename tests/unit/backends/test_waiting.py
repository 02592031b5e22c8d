"""How long an endpoint is left alone, and when nobody is there to be asked."""

import time
from email.utils import formatdate

import pytest
from backends_made import QUICK, ask, question

from posologie.backends.openai_endpoint import OpenaiEndpointBackend
from posologie.backends.openai_forms import asked_wait
from posologie.backends.spec import OpenaiEndpoint, Running
from posologie.running.errors import InputError
from posologie.running.serving import free_port


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after-ms": "250"}, 0.25),
        ({"retry-after-ms": "250", "retry-after": "60"}, 0.25),
        ({"retry-after-ms": "soon", "retry-after": "3"}, 3.0),
        ({"retry-after": "-4"}, 0.0),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, 0.0),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "tomorrow"}, None),
        ({"retry-after": ""}, None),
        ({}, None),
    ],
)
def test_the_wait_is_what_the_headers_say(headers, seconds):
    assert asked_wait(headers) == seconds


def test_a_date_is_a_wait_until_then():
    assert asked_wait({"retry-after": formatdate(time.time() + 40, usegmt=True)}) == pytest.approx(40, abs=2)


def test_connections_that_are_refused_in_a_row_end_the_run(tmp_path):
    spec = OpenaiEndpoint(url=f"http://127.0.0.1:{free_port()}/v1", model="m", key_variable=None)
    backend = OpenaiEndpointBackend(spec, Running(**{**QUICK, "concurrency": 4, "attempts": 1000}))
    with pytest.raises(InputError, match=r"no connection in 20 attempts in a row, .*start the server, or correct"):
        ask(backend, tmp_path, [question(f"q{number}") for number in range(8)])
