"""Errors of the machine are one line that names the file and says what helps; bugs keep their traceback."""

import errno
import os
import sqlite3
import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest
import safetensors.numpy

from posologie.records.files import read_json, read_text, write_csv, write_json, write_parquet, write_text
from posologie.running.errors import InputError, machine_error
from posologie.running.whole_files import whole_file


@pytest.fixture
def full(tmp_path):
    """A file below a folder whose disk is full: what is written beside it goes to /dev/full."""
    target = tmp_path / "table.out"
    (tmp_path / f".{target.name}.{os.uname().nodename}.{os.getpid()}.partial").symlink_to("/dev/full")
    return target


def save_tensors(path):
    with whole_file(path) as partial:
        partial.unlink()  # the library replaces the file instead of following the link
        raise_full(path)


def raise_full(path):
    raise safetensors.SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")


WRITERS = {
    "text": lambda path: write_text(path, "a" * 100_000),
    "JSON": lambda path: write_json(path, ["a" * 100_000]),
    "CSV": lambda path: write_csv(path, ["a"], [{"a": "a" * 100_000}]),
    "Parquet": lambda path: write_parquet(path, pa.table({"a": np.random.default_rng(0).random(1_000_000)})),
    "tensors": save_tensors,
}


@pytest.mark.parametrize("kind", WRITERS)
def test_a_full_disk_is_one_line_that_names_the_file_and_leaves_the_old_one(full, kind):
    full.write_text("old")
    with pytest.raises(InputError) as caught:
        WRITERS[kind](full)
    assert str(caught.value).startswith(f"{full}: no space left; free some")
    assert "\n" not in str(caught.value)
    assert full.read_text() == "old"
    assert [path.name for path in full.parent.iterdir()] == [full.name]


def test_a_full_disk_of_a_database_is_recognised():
    connection = sqlite3.connect(":memory:")
    connection.execute("PRAGMA max_page_count = 4")
    connection.execute("CREATE TABLE one (a)")
    with pytest.raises(sqlite3.OperationalError) as caught:
        connection.execute("INSERT INTO one VALUES (zeroblob(100000))")
    assert machine_error(caught.value, "cache.sqlite").startswith("cache.sqlite: no space left")


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (OSError(errno.ENAMETOOLONG, "too long", "x" * 300), f"{'x' * 300}: name too long for this file system"),
        (OSError(errno.ELOOP, "loop", "a"), "a: a symbolic link that leads back to itself"),
        (RuntimeError("Symlink loop from 'a'"), "a symbolic link that leads back to itself"),
        (OSError(errno.EDQUOT, "quota", "a"), "a: disk quota used up"),
        (PermissionError(errno.EACCES, "no", "a"), "a: permission denied"),
        (OSError(errno.EROFS, "ro", b"a"), "a: the file system is read-only"),
        (ExceptionGroup("workers", [ValueError("x"), OSError(errno.ENOSPC, "full", "a")]), "a: no space left"),
    ],
)
def test_each_error_of_the_machine_says_what_helps(error, line):
    assert machine_error(error).startswith(line)


def test_what_an_error_goes_back_to_counts_but_not_what_was_handled_before():
    behind = OSError(errno.ENOSPC, "full", "a")
    error = ValueError("cannot save")
    error.__cause__ = behind
    assert machine_error(error).startswith("a: no space left")
    error = ValueError("another matter")
    error.__context__ = behind
    error.__suppress_context__ = True
    assert machine_error(error) is None


@pytest.mark.parametrize(
    "error",
    [ValueError("x"), KeyError("a"), OSError(errno.EBADF, "bad"), FileNotFoundError(2, "no"), RuntimeError("28")],
)
def test_what_may_be_a_bug_keeps_its_traceback(error):
    assert machine_error(error) is None


COMMAND = "from posologie.running.commands import run; import errno\ndef main(argv):\n    raise {}\nrun(main)\n"


@pytest.mark.parametrize(
    ("raised", "code", "lines"),
    [("OSError(errno.ENOSPC, 'full', 'out.parquet')", 2, 1), ("OSError(errno.EBADF, 'bad')", 1, None)],
)
def test_a_stage_ends_with_one_line_on_a_full_disk(raised, code, lines):
    done = subprocess.run([sys.executable, "-c", COMMAND.format(raised)], capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert ("Traceback" in done.stderr) is (lines is None)
    assert lines is None or done.stderr.count("\n") == lines


def test_a_name_too_long_for_the_file_system_is_one_line(tmp_path):
    with pytest.raises(InputError, match="name too long for this file system"):
        write_text(tmp_path / ("x" * 250), "a")


def test_a_link_that_leads_back_to_itself_is_one_line(tmp_path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    with pytest.raises(InputError, match=r"a: a symbolic link that leads back to itself"):
        read_text(tmp_path / "a")
    with pytest.raises(InputError, match="a: is not a folder; move it away"):
        write_text(tmp_path / "a" / "file", "x")


FRENCH = "# Étude\ntitle: Une étude précise, rédigée là-bas\nstudy: mine\n"


@pytest.mark.parametrize(
    ("encoding", "text", "named"),
    [
        ("utf-16", FRENCH, "UTF-16"),
        ("utf-16-le", "study: mine\ntitle: plain English\n", "UTF-16-LE"),
        ("utf-16-be", "study: mine\ntitle: plain English\n", "UTF-16-BE"),
        ("utf-32", FRENCH, "UTF-32"),
        ("cp1252", FRENCH, "Windows-1252 or Latin-1"),
        ("gb18030", "title: 语言模型数据来源研究，每种来源应当使用多少\n", "GB18030"),
        ("cp1251", "title: Исследование происхождения данных для языковых моделей\n", "CP1251"),
    ],
)
def test_a_file_in_another_encoding_says_which_it_seems_to_be(tmp_path, encoding, text, named):
    path = tmp_path / "study.yaml"
    path.write_bytes(text.encode(encoding))
    with pytest.raises(InputError, match=rf"study\.yaml, line 1: not UTF-8; it seems to be {named}: save it as UTF-8"):
        read_text(path)


def test_the_line_of_the_first_foreign_byte_is_named(tmp_path):
    (tmp_path / "a.json").write_bytes(b'{\n"a": "\xe9"\n}')
    with pytest.raises(InputError, match=r"a\.json, line 2: not UTF-8"):
        read_json(tmp_path / "a.json")


def test_utf_8_with_a_byte_order_mark_is_read(tmp_path):
    (tmp_path / "a.json").write_bytes(b'\xef\xbb\xbf{"a": "\xc3\xa9"}')
    assert read_json(tmp_path / "a.json") == {"a": "é"}


def test_a_missing_file_and_a_folder_are_one_line(tmp_path):
    with pytest.raises(InputError, match="none: no such file"):
        read_text(tmp_path / "none")
    with pytest.raises(InputError, match="a folder stands where a file belongs"):
        read_text(tmp_path)
