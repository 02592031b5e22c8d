"""Which files of a data set belong to a split: patterns of paths, without touching anything heavy."""

import os
from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from pathlib import Path


def matches(path: str, pattern: str) -> bool:
    """Say whether a relative path fits a pattern: `*` stays within a folder, `**` spans any number of folders."""
    return _parts_match(path.split("/"), pattern.split("/"))


def _parts_match(parts: Sequence[str], pattern: Sequence[str]) -> bool:
    if not pattern:
        return not parts
    if pattern[0] == "**":
        return any(_parts_match(parts[start:], pattern[1:]) for start in range(len(parts) + 1))
    return bool(parts) and fnmatchcase(parts[0], pattern[0]) and _parts_match(parts[1:], pattern[1:])


def chosen(paths: Iterable[str], patterns: Sequence[str]) -> list[str]:
    """Return the paths that fit any of the patterns, sorted."""
    return sorted(path for path in paths if any(matches(path, pattern) for pattern in patterns))


def files_below(folder: str | os.PathLike[str]) -> list[str]:
    """Return the relative paths of all files below a folder, with `/`, hidden ones left out."""
    found: list[str] = []
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        relative = Path(parent).relative_to(folder)
        found.extend((relative / name).as_posix() for name in files if not name.startswith("."))
    return sorted(found)
