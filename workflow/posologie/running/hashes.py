"""Checksums of files that were hashed once, remembered by path, size, times and inode."""

import contextlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

from posologie.running.seals import Seal
from posologie.running.whole_files import sha256_of_file


class FileHashes:
    """Checksums that are computed at most once while a file stays as it is, in this process and in later ones."""

    def __init__(self, memory: str | os.PathLike[str]) -> None:
        """Read what is remembered in a file; nothing where there is none."""
        self.memory = Path(memory)
        self.new = False
        try:
            kept = json.loads(self.memory.read_bytes())
        except (OSError, ValueError):
            kept = {}
        entries = kept.items() if isinstance(kept, dict) else ()
        self.kept: dict[str, list[int | str]] = {path: known for path, known in entries if isinstance(known, list)}

    def of(self, path: str | os.PathLike[str]) -> str:
        """Return the SHA-256 of a file; "" where there is none, and a word that is no checksum for a folder.

        Raises:
            OSError: if it is there and cannot be read.
        """
        try:
            mark = mark_of(path)
        except OSError:
            return ""
        if os.path.isdir(path):
            return "a folder"
        known = self.kept.get(str(path))
        if known is not None and known[:-1] == [*mark]:
            return str(known[-1])
        checksum = sha256_of_file(path)
        self.remember(path, checksum, mark)
        return checksum

    def remember(self, path: str | os.PathLike[str], checksum: str, mark: Sequence[int] | None = None) -> None:
        """Remember the checksum of a file as it is now, or as it was when its mark was taken."""
        self.kept[str(path)] = [*(mark or mark_of(path)), checksum]
        self.new = True

    def remember_sealed(self, seal: Seal) -> None:
        """Remember the checksums of an artifact that was just made, but not of files written after its seal."""
        with contextlib.suppress(OSError):
            sealed = os.stat(seal.path).st_mtime_ns
            for path, checksum in seal.files().items():
                if (mark := mark_of(path))[1] <= sealed:
                    self.remember(path, checksum, mark)

    def keep(self) -> None:
        """Write what is new; where that fails, the next process hashes again."""
        if not self.new:
            return
        self.new = False
        partial = self.memory.with_name(f".{self.memory.name}.{os.getpid()}")
        with contextlib.suppress(OSError):
            self.memory.parent.mkdir(parents=True, exist_ok=True)
            partial.write_text(json.dumps(self.kept), encoding="utf-8")
            os.replace(partial, self.memory)


def mark_of(path: str | os.PathLike[str]) -> tuple[int, ...]:
    """Return what changes when somebody writes a file: size in bytes, times of content and inode in ns, inode.

    The second time cannot be set, so that it also tells of a file that was put back with its old time.

    Raises:
        OSError: if there is no such file.
    """
    status = os.stat(path)
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino
