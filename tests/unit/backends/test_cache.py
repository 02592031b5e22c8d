import os
import sqlite3
import threading
import time

import pytest

from posologie.backends.cache import Cache, file_system_of
from posologie.backends.spec import Running
from posologie.running.errors import InputError

FREE = Running()


def key(number):
    return number.to_bytes(32, "big")


def test_a_claimed_key_belongs_to_one_process_until_it_is_settled(tmp_path):
    with Cache(tmp_path / "c.sqlite") as cache, Cache(tmp_path / "c.sqlite") as other:
        assert cache.claim(key(1), 10, 0, FREE) == "claimed"
        assert other.claim(key(1), 10, 0, FREE) == "under way"
        assert other.claim(key(2), 10, 0, FREE) == "claimed"
        cache.settle(key(1), "request", "raw", 7, (3, 4), 0.5)
        assert other.claim(key(1), 10, 0, FREE) == "answered"
        assert other.reply(key(1)) == "raw"
        assert cache.spending().tokens == 3 + 4 + 10


def test_a_budget_counts_what_is_under_way_in_every_process(tmp_path):
    running = Running(budget_tokens=100)
    with Cache(tmp_path / "c.sqlite") as cache, Cache(tmp_path / "c.sqlite") as other:
        assert cache.claim(key(1), 60, 0, running) == "claimed"
        assert other.claim(key(2), 60, 0, running) == "over budget"
        cache.settle(key(1), "request", "raw", 7, (10, 10), 0)
        assert other.claim(key(2), 60, 0, running) == "claimed"


def test_what_a_dead_process_had_under_way_is_asked_again_and_counts_as_spent(tmp_path):
    child = os.fork()
    if not child:
        dying = Cache(tmp_path / "c.sqlite")
        dying.claim(key(1), 25, 0.25, FREE)
        os._exit(0)
    os.waitpid(child, 0)
    with Cache(tmp_path / "c.sqlite") as cache:
        assert cache.claim(key(1), 10, 0, FREE) == "claimed"
        assert cache.spending().tokens == 25 + 10
        assert cache.spending().money == 0.25


def test_a_process_that_gave_no_sign_of_life_counts_as_dead(tmp_path, monkeypatch):
    with Cache(tmp_path / "c.sqlite") as silent, Cache(tmp_path / "c.sqlite") as cache:
        silent.claim(key(1), 10, 0, FREE)
        now = time.time()
        monkeypatch.setattr(time, "time", lambda: now + 100)
        assert cache.claim(key(1), 10, 0, FREE) == "under way"
        silent.beat()
        monkeypatch.setattr(time, "time", lambda: now + 200)
        assert cache.claim(key(1), 10, 0, FREE) == "under way"
        monkeypatch.setattr(time, "time", lambda: now + 300)
        assert cache.claim(key(1), 10, 0, FREE) == "claimed"


def test_a_process_that_was_taken_for_dead_does_not_give_back_what_another_claimed(tmp_path, monkeypatch):
    with Cache(tmp_path / "c.sqlite") as silent, Cache(tmp_path / "c.sqlite") as other:
        silent.claim(key(1), 10, 0, FREE)
        now = time.time()
        monkeypatch.setattr(time, "time", lambda: now + 300)
        other.beat()
        assert other.claim(key(1), 10, 0, FREE) == "claimed"
        silent.release(key(1))
        assert silent.claim(key(1), 10, 0, FREE) == "under way", "the other one is still asking"


def test_the_log_is_moved_to_the_file_beside_a_process_that_stores(tmp_path):
    with Cache(tmp_path / "c.sqlite") as cache:
        cache.leave_checkpoints_to_others()
        before = (tmp_path / "c.sqlite").stat().st_size
        for number in range(300):
            cache.put([(key(number), "request " * 200, "raw " * 200, 4, 1, 2)])
        assert (tmp_path / "c.sqlite").stat().st_size == before
        thread = threading.Thread(target=cache.checkpoint)
        thread.start()
        thread.join()
        assert (tmp_path / "c.sqlite").stat().st_size > 300 * 200
        assert cache.reply(key(299)) == "raw " * 200


def test_a_failure_is_kept_until_there_is_a_reply(tmp_path):
    with Cache(tmp_path / "c.sqlite") as cache:
        cache.claim(key(1), 10, 0, FREE)
        cache.fail(key(1), "request", "status 500")
        assert cache.failure(key(1)) == "status 500"
        assert cache.claim(key(1), 10, 0, FREE) == "claimed"
        cache.settle(key(1), "request", "raw", 1, (1, 1), 0)
        assert cache.failure(key(1)) is None


def test_the_first_reply_of_a_key_stays(tmp_path):
    with Cache(tmp_path / "c.sqlite") as cache:
        cache.put([(key(1), "request", "first", 4, 1, 2)])
        cache.put([(key(1), "request", "second", 4, 1, 2), (key(2), "request", "other", 6, 3, 4)])
        assert (cache.reply(key(1)), cache.reply(key(2))) == ("first", "other")
        observed = cache.observed()
    assert (observed.replies, observed.prompt_characters, observed.generated_tokens) == (2, 10, 6)


def test_a_file_that_is_no_cache_is_an_error_that_names_it(tmp_path):
    (tmp_path / "c.sqlite").write_text("something else, and long enough to be read as a header of SQLite" * 20)
    with pytest.raises(InputError, match=r"c\.sqlite.*expected a response cache"):
        Cache(tmp_path / "c.sqlite")


def test_a_cache_of_another_version_is_an_error(tmp_path):
    Cache(tmp_path / "c.sqlite").close()
    connection = sqlite3.connect(tmp_path / "c.sqlite")
    connection.execute("PRAGMA user_version = 9")
    connection.close()
    with pytest.raises(InputError, match="version 9; expected 1"):
        Cache(tmp_path / "c.sqlite")


@pytest.mark.parametrize(("kind", "mode"), [("ext4", "wal"), ("nfs4", "delete"), ("lustre", "delete")])
def test_a_network_file_system_gets_the_journal_that_needs_no_shared_memory(tmp_path, monkeypatch, kind, mode):
    monkeypatch.setattr("posologie.backends.cache.file_system_of", lambda folder: kind)
    Cache(tmp_path / "c.sqlite").close()
    journal_mode = sqlite3.connect(tmp_path / "c.sqlite").execute("PRAGMA journal_mode").fetchone()[0]
    assert journal_mode == mode


def test_the_file_system_of_a_folder_is_that_of_the_longest_mount(tmp_path):
    assert file_system_of(tmp_path / "not yet there")
    assert file_system_of(tmp_path.__class__("/proc/self")) == "proc"
