"""Replies out of a damaged cache: read page by page, without the indexes and headers that may be lost.

SQLite's own reading ends at the first page that is not as it should be. Here every leaf page of the file, and of the
write-ahead log beside it, is read by itself (https://www.sqlite.org/fileformat2.html), and a row counts only if it is
whole: its request is the canonical JSON that was written, of as many characters as the row says, and its response is
JSON.
"""

import contextlib
import fcntl
import itertools
import json
import logging
import os
import sqlite3
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

log = logging.getLogger(__name__)

Value = int | float | str | bytes | None
ReplyRow = tuple[bytes, str, str, int, int, int, str | None]
"""Key, request, raw response, prompt characters, prompt tokens, generated tokens, when it was stored."""

_MAGIC = b"SQLite format 3\0"
_LEAF_OF_A_TABLE = 13
_USUAL_PAGE = 4096
_KEY_BYTES = 32
_LONGEST_ROW = 1 << 30


class _NotARowError(ValueError):
    """Bytes that are not a row, or not all of one."""


class Pages:
    """The pages of a database file, the newest version of each: committed in the log, or else in the file."""

    def __init__(self, file: BinaryIO, log: BinaryIO | None) -> None:
        """Take the open file, and its write-ahead log where there is one."""
        self._file, self._log = file, log
        head = file.read(100)
        stated = struct.unpack(">H", head[16:18])[0] if head.startswith(_MAGIC) else _said_in(log)
        self.size = 65536 if stated == 1 else stated if stated >= 512 and stated & (stated - 1) == 0 else _USUAL_PAGE
        reserved = head[20] if head.startswith(_MAGIC) else 0
        self.usable = self.size - (reserved if reserved <= 32 else 0)
        self._logged = self._committed()
        file.seek(0, os.SEEK_END)
        self.count = max([-(-file.tell() // self.size), *self._logged])

    def _committed(self) -> dict[int, int]:
        """Return where in the log the last committed version of each page begins."""
        if self._log is None:
            return {}
        head = self._log.read(32)
        if len(head) < 32 or struct.unpack(">I", head[8:12])[0] != self.size:
            return {}
        committed: dict[int, int] = {}
        waiting: dict[int, int] = {}
        place = 32
        while len(frame := self._log.read(24)) == 24 and frame[8:16] == head[16:24]:
            number, pages = struct.unpack(">II", frame[:8])
            waiting[number] = place + 24
            if pages:
                committed |= waiting
                waiting = {}
            place += 24 + self.size
            self._log.seek(place)
        return committed

    def read(self, number: int) -> bytes:
        """Return a page, the first being 1; what the file lacks of it is missing."""
        if number in self._logged and self._log is not None:
            self._log.seek(self._logged[number])
            return self._log.read(self.size)
        self._file.seek((number - 1) * self.size)
        return self._file.read(self.size)


def _said_in(log: BinaryIO | None) -> int:
    """Return the size of a page as the log says it, or the usual one."""
    head = b"" if log is None else log.read(12)
    if log is not None:
        log.seek(0)
    return struct.unpack(">I", head[8:12])[0] if len(head) == 12 else _USUAL_PAGE


def rows(path: Path) -> Iterator[tuple[Value, ...]]:
    """Yield every row of every table that can be read, in the order of the pages; parts of a row are never yielded."""
    log = path.with_name(f"{path.name}-wal")
    with (
        open(path if path.exists() else os.devnull, "rb") as file,
        open(log if log.is_file() else os.devnull, "rb") as logged,
    ):
        pages = Pages(file, logged if log.is_file() else None)
        for number in range(1, pages.count + 1):
            page, start = pages.read(number), 100 if number == 1 else 0
            if len(page) < pages.size or page[start] != _LEAF_OF_A_TABLE:
                continue
            count = struct.unpack(">H", page[start + 3 : start + 5])[0]
            for cell in range(min(count, (pages.size - start - 8) // 2)):
                try:
                    at = struct.unpack(">H", page[start + 8 + 2 * cell : start + 10 + 2 * cell])[0]
                    yield _record(_payload(pages, page, at))
                except (ValueError, IndexError, struct.error):  # not a row, or not all of one
                    continue


def _payload(pages: Pages, page: bytes, at: int) -> bytes:
    """Return the content of a cell, with what lies on overflow pages."""
    length, at = _varint(page, at)
    _, at = _varint(page, at)
    if length > _LONGEST_ROW:
        raise _NotARowError  # no such row
    usable = pages.usable
    local = length
    if length > usable - 35:
        least = (usable - 12) * 32 // 255 - 23
        local = least + (length - least) % (usable - 4)
        local = local if local <= usable - 35 else least
    parts = [page[at : at + local]]
    missing, following = length - local, page[at + local : at + local + 4]
    while missing > 0:
        number = struct.unpack(">I", following)[0]
        if not 1 < number <= pages.count:
            raise _NotARowError  # the row goes on nowhere
        overflow = pages.read(number)
        following = overflow[:4]
        parts.append(overflow[4 : 4 + min(missing, usable - 4)])
        if not parts[-1]:
            raise _NotARowError  # the row ends early
        missing -= len(parts[-1])
    payload = b"".join(parts)
    if len(payload) != length:
        raise _NotARowError  # the row ends early
    return payload


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Return a variable-length integer and where it ends."""
    value = 0
    for position in range(8):
        value = value << 7 | data[at + position] & 0x7F
        if data[at + position] < 0x80:
            return value, at + position + 1
    return value << 8 | data[at + 8], at + 9


def _record(payload: bytes) -> tuple[Value, ...]:
    head, at = _varint(payload, 0)
    kinds = []
    while at < head:
        kind, at = _varint(payload, at)
        kinds.append(kind)
    values = []
    for kind in kinds:
        value, at = _value(payload, at, kind)
        values.append(value)
    if at != len(payload):
        raise _NotARowError  # the row is longer or shorter than its head says
    return tuple(values)


def _value(payload: bytes, at: int, kind: int) -> tuple[Value, int]:
    if kind in (0, 8, 9):
        return (None, 0, 1)[max(0, kind - 7)], at
    if kind in (10, 11):
        raise _NotARowError  # no such type
    width = (0, 1, 2, 3, 4, 6, 8, 8)[kind] if kind < 8 else (kind - 12) // 2
    data = payload[at : at + width]
    if len(data) < width:
        raise _NotARowError  # the row ends early
    if kind < 7:
        return int.from_bytes(data, "big", signed=True), at + width
    if kind == 7:
        return float(struct.unpack(">d", data)[0]), at + width
    return (data.decode("utf-8") if kind % 2 else data), at + width


def whole_reply(row: tuple[Value, ...]) -> ReplyRow | None:
    """Return a row as one of `replies` if it is one and whole, else None."""
    if len(row) != 7 or not isinstance(row[0], bytes) or len(row[0]) != _KEY_BYTES:
        return None
    key, request, raw, *numbers, stored = row
    if not (isinstance(request, str) and isinstance(raw, str) and all(isinstance(number, int) for number in numbers)):
        return None
    try:
        fields: Any = json.loads(request)
        json.loads(raw)
        characters = sum(len(content) for _, content in fields["turns"])
    except (ValueError, LookupError, TypeError):
        return None
    if json.dumps(fields, sort_keys=True, ensure_ascii=False) != request or characters != numbers[0]:
        return None
    prompt_characters, prompt_tokens, generated_tokens = numbers
    return key, request, raw, prompt_characters, prompt_tokens, generated_tokens, stored  # type: ignore[return-value]


def spent(row: tuple[Value, ...]) -> tuple[str, int, int, float] | None:
    """Return a row as one of `spending` (kind, requests, tokens, money) if it is one, else None."""
    if len(row) != 4 or row[0] not in ("answered", "outcome unknown") or isinstance(row[1], bytes | str):
        return None
    kind, requests, tokens, money = row
    return str(kind), int(requests or 0), int(tokens or 0), float(money or 0)  # type: ignore[arg-type]


def under_way(row: tuple[Value, ...]) -> tuple[bytes, int, float] | None:
    """Return a row as one of `pending` (key, tokens, money) if it is one, else None."""
    if len(row) != 4 or not isinstance(row[0], bytes) or not isinstance(row[2], int):
        return None
    return (row[0], row[2], float(row[3])) if isinstance(row[3], int | float) else None


def damage_of(cache: Path) -> Path:
    """Return the file in which a process that found a cache damaged says so: the next one to open it salvages."""
    return cache.with_name(f"{cache.name}.is-damaged")


def known_damage(cache: Path) -> str | None:
    """Return what is wrong with a cache as far as that shows before SQLite opens it, or None.

    SQLite itself would move the write-ahead log into a file without its header, or remove the log beside an empty file.
    """
    if not cache.exists():  # removed by a person who starts over
        damage_of(cache).unlink(missing_ok=True)
    if damage_of(cache).exists():
        return damage_of(cache).read_text(encoding="utf-8")
    log = cache.with_name(f"{cache.name}-wal")
    if log.is_file() and log.stat().st_size and not _has_header(cache):
        return "file is not a database"
    return None


def _has_header(cache: Path) -> bool:
    try:
        with open(cache, "rb") as file:
            return file.read(len(_MAGIC)) == _MAGIC
    except FileNotFoundError:
        return False


def salvage(cache: Path, problem: str, tables: str, version: int) -> bool:
    """Replace a damaged cache by a new one with every whole reply and what was spent; keep the old file beside it.

    Processes that find the damage at the same time wait for the first.

    Args:
        problem: what SQLite says of the file.
        tables: the statements that make an empty cache.
        version: of the cache's tables.

    Returns:
        Whether there is a whole cache now; False if no reply could be read, with the file as it was.
    """
    with open(cache.with_name(f"{cache.name}.salvaging"), "a", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if known_damage(cache) is None and _is_whole(cache):
            return True  # another process was faster
        made = cache.with_name(f".{cache.name}.salvaged")
        made.unlink(missing_ok=True)
        with contextlib.closing(sqlite3.connect(made, isolation_level=None)) as connection:
            connection.executescript(tables)
            connection.execute(f"PRAGMA user_version = {version}")
            replies, paid = _fill(connection, cache)
        if not replies:
            made.unlink()
            return False
        damaged = next(path for path in _names(cache) if not path.exists())
        for suffix in ("-wal", "-journal", ""):
            part = cache.with_name(f"{cache.name}{suffix}")
            if part.exists():
                part.rename(damaged.with_name(f"{damaged.name}{suffix}"))
        cache.with_name(f"{cache.name}-shm").unlink(missing_ok=True)
        made.rename(cache)
        damage_of(cache).unlink(missing_ok=True)
    of_paid = f" of {paid}" if paid is not None and paid >= replies else ""
    log.warning(
        "%s: %s; salvaged %d%s replies into a new file, the damaged one is %s",
        cache,
        problem,
        replies,
        of_paid,
        damaged,
    )
    if paid is None:
        log.warning(
            "%s: what was spent could not be read; budgets count what the salvaged replies took in tokens", cache
        )
    return True


def _names(cache: Path) -> Iterator[Path]:
    return (cache.with_name(f"{cache.name}.damaged-{number}") for number in itertools.count(1))


def _is_whole(cache: Path) -> bool:
    """Return whether SQLite finds nothing wrong with a cache."""
    try:
        with contextlib.closing(sqlite3.connect(cache, timeout=120.0)) as connection:
            answer = connection.execute("PRAGMA quick_check(1)").fetchone()
            for table in ("replies", "owners", "spending"):
                connection.execute(f"SELECT * FROM {table} LIMIT 1").fetchone()  # noqa: S608 - our own names
        return bool(answer == ("ok",))
    except sqlite3.DatabaseError:
        return False


def _fill(connection: sqlite3.Connection, cache: Path) -> tuple[int, int | None]:
    """Copy what can be read; return the number of replies, and of requests that were paid for where that is known."""
    spending: dict[str, tuple[int, int, float]] = {}
    pending: dict[bytes, tuple[int, float]] = {}
    connection.execute("BEGIN")
    for row in rows(cache):
        if (reply := whole_reply(row)) is not None:
            connection.execute("INSERT OR IGNORE INTO replies VALUES (?, ?, ?, ?, ?, ?, ?)", reply)
        elif (known := spent(row)) is not None:
            spending[known[0]] = max(known[1:], spending.get(known[0], (0, 0, 0.0)))
        elif (waiting := under_way(row)) is not None:
            pending[waiting[0]] = waiting[1:]
    replies, tokens = connection.execute(
        "SELECT count(*), total(prompt_tokens + generated_tokens) FROM replies"
    ).fetchone()
    answered = spending.get("answered")
    connection.execute(
        "UPDATE spending SET requests = ?, tokens = ?, money = ? WHERE kind = 'answered'",
        answered or (replies, int(tokens), 0.0),
    )
    # What was under way when the file broke may have been paid, as that of a killed process.
    unknown = [spending.get("outcome unknown", (0, 0, 0.0))]
    unknown += [(1, *amounts) for key, amounts in pending.items() if not _has(connection, key)]
    connection.execute(
        "UPDATE spending SET requests = ?, tokens = ?, money = ? WHERE kind = 'outcome unknown'",
        [sum(column) for column in zip(*unknown, strict=True)],
    )
    connection.execute("COMMIT")
    return replies, answered[0] if answered is not None else None


def _has(connection: sqlite3.Connection, key: bytes) -> bool:
    return connection.execute("SELECT 1 FROM replies WHERE key = ?", (key,)).fetchone() is not None
