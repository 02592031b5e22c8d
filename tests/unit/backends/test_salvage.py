"""A damaged cache gives up what can be read: every whole reply, what was spent, and a line that counts them."""

import json
import logging
import os
import sqlite3
from random import Random

import pytest

from posologie.backends.cache import Cache
from posologie.backends.interface import Request, Session
from posologie.backends.openai_endpoint import OpenaiEndpointBackend
from posologie.backends.salvage import damage_of
from posologie.backends.spec import Decoding, OpenaiEndpoint, Running
from posologie.running.errors import InputError

PAGE = 4096
FREE = Running()


def key(number):
    return number.to_bytes(32, "big")


def entry(number):
    """Return a request and its raw response; every third is longer than a page."""
    request = Request((("user", f"question {number} é"),), Decoding(max_new_tokens=8))
    text = "answer " * (3000 if number % 3 == 0 else 20)
    raw = json.dumps({"choices": [{"message": {"content": f"{text}{number}"}}], "usage": {"total_tokens": number}})
    return request, raw


def settle(cache, number):
    request, raw = entry(number)
    assert cache.claim(key(number), 10, 0.5, FREE) == "claimed"
    cache.settle(key(number), request.canonical_json(), raw, request.characters(), (3, 4), 0.25)


@pytest.fixture(scope="module")
def paid(tmp_path_factory):
    """The bytes of a cache with 60 replies that were paid for."""
    path = tmp_path_factory.mktemp("paid") / "c.sqlite"
    with Cache(path) as cache:
        for number in range(60):
            settle(cache, number)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.close()
    return path.read_bytes()


def held(cache):
    """Return the numbers of the replies in a cache, each checked to be the one that was stored."""
    kept = [number for number in range(60) if cache.has(key(number))]
    assert [cache.reply(key(number)) for number in kept] == [entry(number)[1] for number in kept]
    return kept


def zeros(content, first, pages=1):
    return content[: first * PAGE] + b"\0" * (pages * PAGE) + content[(first + pages) * PAGE :]


def root_of_replies(content, tmp_path):
    (tmp_path / "whole.sqlite").write_bytes(content)
    connection = sqlite3.connect(tmp_path / "whole.sqlite")
    number = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'replies'").fetchone()[0]
    connection.close()
    return number - 1


def test_a_lost_header_costs_nothing(paid, tmp_path, caplog):
    (tmp_path / "c.sqlite").write_bytes(zeros(paid, 0))
    with caplog.at_level(logging.WARNING), Cache(tmp_path / "c.sqlite") as cache:
        assert held(cache) == list(range(60))
        assert cache.spending().tokens == 60 * 7
        assert cache.spending().money == 60 * 0.25
        assert cache.observed().replies == 60
        assert cache.claim(key(7), 10, 0, FREE) == "answered", "no reply is paid twice"
    (line,) = [record.getMessage() for record in caplog.records]
    assert "salvaged 60 of 60 replies into a new file" in line
    assert f"the damaged one is {tmp_path / 'c.sqlite.damaged-1'}" in line
    assert (tmp_path / "c.sqlite.damaged-1").read_bytes() == zeros(paid, 0)
    caplog.clear()
    Cache(tmp_path / "c.sqlite").close()
    assert not caplog.records, "the new file is whole"


def test_the_pages_below_a_lost_root_are_found(paid, tmp_path):
    (tmp_path / "c.sqlite").write_bytes(zeros(paid, root_of_replies(paid, tmp_path)))
    cache = Cache(tmp_path / "c.sqlite")
    with pytest.raises(InputError, match=r"c\.sqlite: .*malformed; run the same command again"):
        [cache.reply(key(number)) for number in range(60)]
    assert damage_of(tmp_path / "c.sqlite").exists()
    with Cache(tmp_path / "c.sqlite") as salvaged:
        assert held(salvaged) == list(range(60))
        with pytest.raises(InputError, match="removed, or damaged and replaced, in the meantime"):
            cache.claim(key(99), 1, 0, FREE)
    assert not damage_of(tmp_path / "c.sqlite").exists()


def test_a_truncated_cache_keeps_its_first_part_and_says_of_how_many(paid, tmp_path, caplog):
    (tmp_path / "c.sqlite").write_bytes(paid[: len(paid) // PAGE // 2 * PAGE + 100])
    with caplog.at_level(logging.WARNING), Cache(tmp_path / "c.sqlite") as cache:
        salvaged = held(cache)
    assert 20 < len(salvaged) < 40
    assert f"salvaged {len(salvaged)} of 60 replies" in caplog.text


def test_what_is_only_in_the_log_is_salvaged_and_what_was_under_way_counts_as_spent(paid, tmp_path):
    path = tmp_path / "c.sqlite"
    path.write_bytes(paid)
    child = os.fork()
    if not child:
        dying = Cache(path)
        dying.leave_checkpoints_to_others()
        settle(dying, 61)
        dying.claim(key(62), 100, 2.0, FREE)
        os._exit(0)
    os.waitpid(child, 0)
    path.write_bytes(zeros(paid, 0))  # the log holds only the pages that changed, and the first is not among them
    with Cache(path) as cache:
        assert held(cache) == list(range(60))
        assert cache.reply(key(61)) == entry(61)[1]
        assert (cache.spending().tokens, cache.spending().money) == (61 * 7 + 100, 61 * 0.25 + 2.0)
        assert cache.claim(key(62), 1, 0, FREE) == "claimed"
    assert (tmp_path / "c.sqlite.damaged-1-wal").exists()


def test_the_log_beside_an_emptied_file_is_not_thrown_away(tmp_path):
    path = tmp_path / "c.sqlite"
    child = os.fork()
    if not child:
        dying = Cache(path)
        dying.leave_checkpoints_to_others()
        for number in range(20):
            settle(dying, number)
        os._exit(0)
    os.waitpid(child, 0)
    path.write_bytes(b"")
    with Cache(path) as cache:
        assert held(cache) == list(range(20))


def test_a_reply_that_turns_out_to_be_no_json_is_one_line_and_is_asked_again(paid, tmp_path):
    request, raw = entry(7)
    backend = OpenaiEndpointBackend(OpenaiEndpoint(model="mock"), FREE)
    with Cache(tmp_path / "c.sqlite") as cache:
        session = Session(backend, cache)
        cache.put([(session.key(request), request.canonical_json(), raw, request.characters(), 3, 4)])
    content = (tmp_path / "c.sqlite").read_bytes()
    assert content.count(b"answer answer") > 0
    (tmp_path / "c.sqlite").write_bytes(content.replace(b"answer answer", b"answer\0answer"))
    with Cache(tmp_path / "c.sqlite") as cache, pytest.raises(InputError, match="is not JSON; run the same command"):
        Session(backend, cache).reply(request)
    with pytest.raises(InputError, match=r"is not JSON; expected a response cache \(delete it to start a new one\)"):
        Cache(tmp_path / "c.sqlite")
    (tmp_path / "c.sqlite").unlink()
    Cache(tmp_path / "c.sqlite").close()


def test_a_reply_whose_text_was_altered_is_no_reply(paid, tmp_path):
    request = entry(7)[0].canonical_json().encode()
    assert paid.count(request) == 1
    altered = paid.replace(request, request.replace(b"question 7", b"quest\0on 7"))
    (tmp_path / "c.sqlite").write_bytes(zeros(altered, 0))
    with Cache(tmp_path / "c.sqlite") as cache:
        assert held(cache) == [number for number in range(60) if number != 7]


def test_where_what_was_spent_is_lost_the_tokens_of_the_replies_count_and_the_log_says_so(paid, tmp_path, caplog):
    (tmp_path / "c.sqlite").write_bytes(zeros(paid.replace(b"answered", b"xnswered"), 0))
    with caplog.at_level(logging.WARNING), Cache(tmp_path / "c.sqlite") as cache:
        assert (cache.spending().tokens, cache.spending().money) == (60 * 7, 0.0)
    assert "what was spent could not be read" in caplog.text


@pytest.mark.parametrize("seed", range(8))
def test_whatever_sectors_are_lost_only_whole_replies_come_back(paid, tmp_path, seed):
    random = Random(seed)
    content = bytearray(paid[: random.choice([len(paid), random.randrange(512, len(paid))])])
    for _ in range(random.randrange(1, 30)):
        start = random.randrange(len(content) // 512) * 512
        content[start : start + 512] = b"\0" * len(content[start : start + 512])
    path = tmp_path / "c.sqlite"
    path.write_bytes(bytes(content))
    damage_of(path).write_text("sectors are lost")
    with Cache(path) as cache:
        held(cache)


def test_a_full_disk_is_one_line_and_loses_nothing_that_was_stored(tmp_path):
    with Cache(tmp_path / "c.sqlite") as cache:
        settle(cache, 1)
        pages = cache._connection.execute("PRAGMA page_count").fetchone()[0]
        cache._connection.execute(f"PRAGMA max_page_count = {pages + 2}")
        cache.claim(key(3), 10, 0.5, FREE)
        with pytest.raises(InputError, match=r"c\.sqlite: no space left"):
            cache.settle(key(3), "request", "raw" * 100_000, 7, (3, 4), 0.25)
        assert cache.reply(key(1)) == entry(1)[1]
