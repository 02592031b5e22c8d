"""Files that are whole or absent: written under another name and moved into place."""

import contextlib
import glob
import hashlib
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from posologie.running.errors import InputError, machine_error

_BLOCK = 1 << 20
_ABANDONED_AFTER = 3600.0
"""Seconds without a change after which a temporary file of another host counts as left by a killed process."""


@contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give a temporary path beside `path`, and move it into place when the block ends without an exception.

    A reader sees the old file, the new one or none, never a part; a failure leaves no temporary file behind, and what a
    killed process left of the same file is removed.

    Raises:
        InputError: naming the file, where the disk is full or the like.
    """
    target = Path(path)
    partial = target.with_name(f".{target.name}.{os.uname().nodename}.{os.getpid()}.partial")
    try:
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise InputError(f"{error.filename}: is not a folder; move it away, or choose another place") from error
        for leftover in target.parent.glob(f".{glob.escape(target.name)}.*.partial"):
            if is_abandoned(leftover):
                leftover.unlink(missing_ok=True)
        yield partial
        with open(partial, "rb") as written:
            os.fsync(written.fileno())
        os.replace(partial, target)
    except InputError:
        raise
    except Exception as error:
        line = machine_error(error, target)
        if line is None:
            raise
        raise InputError(line.replace(str(partial), str(target))) from error
    finally:
        with contextlib.suppress(OSError):  # a name too long to be written is too long to be removed
            partial.unlink(missing_ok=True)


def is_abandoned(partial: Path) -> bool:
    """Whether nobody writes a temporary file or folder any more.

    Its process is gone, or on another host it is long unchanged.
    """
    host, _, pid = partial.name.removesuffix(".partial").rpartition(".")
    try:
        if host.endswith(f".{os.uname().nodename}"):
            return not Path(f"/proc/{pid}").exists() if Path("/proc/self").exists() else False
        return time.time() - partial.stat().st_mtime > _ABANDONED_AFTER
    except FileNotFoundError:
        return False


def sha256_of_file(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file's bytes, in hexadecimal."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def keep_json(path: str | os.PathLike[str], value: Any, *, sort_keys: bool = True) -> None:
    """Write a record of how a run goes as JSON; artifacts are written by `posologie.records.files`."""
    with whole_file(path) as partial:
        text = json.dumps(value, sort_keys=sort_keys, ensure_ascii=False, indent=1)
        partial.write_text(text + "\n", encoding="utf-8")
