"""Checksums of files that were hashed once, remembered by path, size, time and inode."""

import contextlib
import json
import os
from pathlib import Path

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
        self.kept: dict[str, list[int | str]] = kept if isinstance(kept, dict) else {}

    def of(self, path: str | os.PathLike[str]) -> str:
        """Return the SHA-256 of a file; "" where there is none."""
        try:
            mark = _mark(path)
        except OSError:
            return ""
        known = self.kept.get(str(path))
        if known is not None and known[:3] == mark:
            return str(known[3])
        checksum = sha256_of_file(path)
        self.remember(path, checksum, mark)
        return checksum

    def remember(self, path: str | os.PathLike[str], checksum: str, mark: list[int] | None = None) -> None:
        """Remember the checksum of a file as it is now, or as it was when its mark was taken."""
        self.kept[str(path)] = [*(mark or _mark(path)), checksum]
        self.new = True

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


def _mark(path: str | os.PathLike[str]) -> list[int]:
    status = os.stat(path)
    return [status.st_size, status.st_mtime_ns, status.st_ino]
