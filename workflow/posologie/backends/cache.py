"""The response cache: every reply that was ever paid for, raw, in one SQLite file that several processes share.

A file that is damaged is replaced by a new one with the replies that can be read (see `salvage`).

A key is claimed before its request is sent, and settled when the reply is stored; both are one transaction. So a key is
asked by one process at a time, a budget counts what is under way in all of them, and a kill loses nothing that was
stored. What a killed process had under way may have been paid: it counts as spent in full, and is asked again.

Tables, for anyone who opens the file with `sqlite3`: `replies` (request and raw response), `failures` (the last error
of a request without reply), `discarded` (responses that were no replies, raw), `pending` (under way, by which owner),
`owners` (the processes and their last sign of life), `spending` (tokens and money by kind).
"""

import contextlib
import os
import secrets
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from posologie.backends.salvage import damage_of, known_damage, salvage
from posologie.backends.spec import Running
from posologie.backends.spending import Counted
from posologie.running.errors import InputError, machine_error

_VERSION = 1
_TABLES = """
CREATE TABLE replies (
    key BLOB PRIMARY KEY, request TEXT NOT NULL, raw TEXT NOT NULL, prompt_characters INTEGER NOT NULL,
    prompt_tokens INTEGER NOT NULL, generated_tokens INTEGER NOT NULL, stored TEXT DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE failures (key BLOB PRIMARY KEY, request TEXT NOT NULL, error TEXT NOT NULL,
    stored TEXT DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE discarded (key BLOB, problem TEXT, raw TEXT, stored TEXT DEFAULT CURRENT_TIMESTAMP);
CREATE TABLE pending (key BLOB PRIMARY KEY, owner TEXT NOT NULL, tokens INTEGER NOT NULL, money REAL NOT NULL);
CREATE TABLE owners (owner TEXT PRIMARY KEY, host TEXT NOT NULL, pid INTEGER NOT NULL, beat REAL NOT NULL);
CREATE TABLE spending (kind TEXT PRIMARY KEY, requests INTEGER NOT NULL, tokens INTEGER NOT NULL, money REAL NOT NULL);
INSERT INTO spending VALUES ('answered', 0, 0, 0), ('outcome unknown', 0, 0, 0);
"""
_SILENCE_OF_THE_DEAD = 120.0
"""Seconds without a sign of life after which a process counts as dead, wherever it runs."""

_OF_THE_MACHINE = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)
"""Errors of SQLite that are no bug: the file is held by another process, or cannot be written."""

_NETWORK_FILE_SYSTEMS = frozenset(
    ("nfs", "nfs4", "lustre", "gpfs", "beegfs", "ceph", "cifs", "smb3", "glusterfs", "afs", "panfs", "9p", "wekafs")
)


@dataclass(frozen=True, slots=True)
class Observed:
    """What the replies in a cache have in common: the ground of an estimate."""

    replies: int
    prompt_characters: int
    prompt_tokens: int
    generated_tokens: int


@dataclass(frozen=True, slots=True)
class Spending:
    """What was spent through a cache, requests under way and of unknown outcome included in full."""

    tokens: int
    money: float


class Cache:
    """The open cache of one process."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Open the cache, or make it.

        Raises:
            InputError: if the file is no cache of this version.
        """
        self.path = Path(path)
        self.counted = Counted()
        self.wasted = Counted()  # what may have been billed and brought no reply
        self._prepared = False
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.owner = f"{os.uname().nodename}:{os.getpid()}:{secrets.token_hex(4)}"
        if (problem := known_damage(self.path)) is not None:
            self._salvage(problem)
        try:
            self._open()
        except sqlite3.DatabaseError as error:
            self._connection.close()
            if not _is_damage(error):
                raise InputError(machine_error(error, self.path) or self._not_a_cache(error)) from error
            self._salvage(str(error))
            self._open()
        self._inode = self.path.stat().st_ino

    def _salvage(self, problem: str) -> None:
        if not salvage(self.path, problem, _TABLES, _VERSION):
            raise InputError(self._not_a_cache(problem))

    def _not_a_cache(self, problem: object) -> str:
        return f"{self.path}: {problem}; expected a response cache (delete it to start a new one)"

    def _open(self) -> None:
        self._connection = sqlite3.connect(self.path, timeout=120.0, isolation_level=None)
        self._prepare()

    def _prepare(self) -> None:
        # Write-ahead logging shares memory between processes, which no network file system offers.
        networked = file_system_of(self.path.parent) in _NETWORK_FILE_SYSTEMS
        self._connection.execute(f"PRAGMA journal_mode = {'DELETE' if networked else 'WAL'}")
        self._connection.execute(f"PRAGMA synchronous = {'FULL' if networked else 'NORMAL'}")
        with self._transaction():
            version = self._connection.execute("PRAGMA user_version").fetchone()[0]
            if version == 0:
                for statement in filter(str.strip, _TABLES.split(";")):
                    self._connection.execute(statement)
                self._connection.execute(f"PRAGMA user_version = {_VERSION}")
            elif version != _VERSION:
                raise InputError(f"{self.path}: cache of version {version}; expected {_VERSION}")
            self._sweep()
            self._connection.execute(
                "INSERT INTO owners VALUES (?, ?, ?, ?)", (self.owner, os.uname().nodename, os.getpid(), time.time())
            )
        self._prepared = True

    def close(self) -> None:
        """Say that this process is done; what it still had under way counts as of unknown outcome."""
        try:
            with self._transaction():
                self._give_up(self.owner)
        finally:
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._run("BEGIN IMMEDIATE")
        try:
            yield
            self._run("COMMIT")
        except BaseException:
            if self._connection.in_transaction:  # on a full disk, SQLite has rolled back already
                self._connection.execute("ROLLBACK")
            raise

    def _run(self, statement: str, parameters: Sequence[Any] = ()) -> list[Any]:
        """Execute a statement and return its rows.

        Raises:
            InputError: if the file is damaged, the disk full, or another process holds the file for too long.
        """
        try:
            return self._connection.execute(statement, parameters).fetchall()
        except sqlite3.DatabaseError as error:
            if not self._prepared:
                raise
            if _is_damage(error):
                raise self.found_damaged(str(error)) from error
            line = machine_error(error, self.path)
            if line is None and getattr(error, "sqlite_errorcode", 0) & 0xFF not in _OF_THE_MACHINE:
                raise
            raise InputError(line or f"{self.path}: {error}; run the same command again") from error

    def found_damaged(self, problem: str) -> InputError:
        """Return the error for a damaged file; the next process that opens it salvages what can be read."""
        damage_of(self.path).write_text(problem, encoding="utf-8")
        return InputError(f"{self.path}: {problem}; run the same command again: what can be read is salvaged then")

    def _one(self, statement: str, parameters: Sequence[Any] = ()) -> Any:
        """Return the first row that a statement gives, or None."""
        return next(iter(self._run(statement, parameters)), None)

    def reply(self, key: bytes) -> str | None:
        """Return the raw response of a key, or None."""
        row = self._one("SELECT raw FROM replies WHERE key = ?", (key,))
        return None if row is None else str(row[0])

    def has(self, key: bytes) -> bool:
        """Return whether there is a reply."""
        return self._one("SELECT 1 FROM replies WHERE key = ?", (key,)) is not None

    def adopt(self, former: bytes, key: bytes) -> bool:
        """Give the reply of a key another key too; False where the former key has none."""
        if not self.has(former):
            return False
        columns = "request, raw, prompt_characters, prompt_tokens, generated_tokens, stored"
        self._run(f"INSERT OR IGNORE INTO replies SELECT ?, {columns} FROM replies WHERE key = ?", (key, former))  # noqa: S608
        return True

    def failure(self, key: bytes) -> str | None:
        """Return the last error of a key without reply, or None."""
        row = self._one("SELECT error FROM failures WHERE key = ?", (key,))
        return None if row is None else str(row[0])

    def put(self, entries: Iterable[tuple[bytes, str, str, int, int, int]]) -> None:
        """Store replies that cost no money: key, request, raw response, prompt characters, prompt and generated tokens.

        The first reply of a key stays.
        """
        with self._transaction():
            for entry in entries:
                self._store(*entry)

    def claim(
        self, key: bytes, tokens: int, money: float, running: Running
    ) -> Literal["claimed", "answered", "under way", "over budget"]:
        """Claim a key before its request is sent.

        Args:
            tokens: upper bound of what the request can spend.
            money: likewise; 0 without prices.
        """
        with self._transaction():
            if not self.path.exists() or self.path.stat().st_ino != self._inode:
                raise InputError(
                    f"{self.path}: was removed, or damaged and replaced, in the meantime; run the same command again"
                )
            if self.has(key):
                return "answered"
            if self._under_way(key):
                return "under way"
            if not self._affordable(tokens, money, running):
                return "over budget"
            self._run("INSERT INTO pending VALUES (?, ?, ?, ?)", (key, self.owner, tokens, money))
            return "claimed"

    def hand_over(self, keys: Iterable[bytes], owner: str, until: float) -> None:
        """Give keys that this process claimed to a batch, which lives on when the process ends.

        Args:
            owner: name of the batch.
            until: when the batch is dead at the latest, in seconds since 1970.
        """
        with self._transaction():
            self._run("INSERT OR REPLACE INTO owners VALUES (?, ?, ?, ?)", (owner, "", 0, until))
            for key in keys:
                self._run("UPDATE pending SET owner = ? WHERE key = ? AND owner = ?", (owner, key, self.owner))

    def take_over(self, owner: str) -> None:
        """Take the keys of a batch that has ended back to this process."""
        with self._transaction():
            self._run("UPDATE pending SET owner = ? WHERE owner = ?", (self.owner, owner))
            self._run("DELETE FROM owners WHERE owner = ?", (owner,))

    def settle(
        self, key: bytes, request: str, raw: str, prompt_characters: int, used: tuple[int, int], money: float
    ) -> None:
        """Store the reply of a claimed key with what it really spent (prompt tokens, generated tokens)."""
        with self._transaction():
            self._store(key, request, raw, prompt_characters, *used)
            self._unclaim(key)
            self._spend("answered", 1, sum(used), money)
        self.counted.add(1, sum(used), money)

    def fail(self, key: bytes, request: str, error: str) -> None:
        """Release a claimed key whose request failed for good."""
        with self._transaction():
            self._unclaim(key)
            self._run("INSERT OR REPLACE INTO failures (key, request, error) VALUES (?, ?, ?)", (key, request, error))

    def release(self, key: bytes) -> None:
        """Release a claimed key that was not asked after all."""
        with self._transaction():
            self._unclaim(key)

    def discard(self, key: bytes, problem: str, raw: str | None, tokens: int, money: float) -> None:
        """Release a claimed key whose attempt brought no reply but may have been paid, with what it can have spent."""
        with self._transaction():
            self._unclaim(key)
            self._run("INSERT INTO discarded (key, problem, raw) VALUES (?, ?, ?)", (key, problem, raw))
            self._spend("outcome unknown", 1, tokens, money)
        self.wasted.add(1, tokens, money)

    def leave_checkpoints_to_others(self) -> None:
        """Let no store of this process wait for the disk: `checkpoint`, in another thread, moves the log on."""
        self._run("PRAGMA wal_autocheckpoint = 0")

    def checkpoint(self) -> None:
        """Move the write-ahead log into the file, on a connection of its own: safe in any thread, and no one waits.

        Where another process is at it, there is nothing to do.
        """
        connection = sqlite3.connect(self.path, timeout=5.0, isolation_level=None)
        with contextlib.closing(connection), contextlib.suppress(sqlite3.OperationalError):
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def others_under_way(self) -> bool:
        """Return whether other live processes have requests under way, which may spend less than they claimed."""
        with self._transaction():
            self._sweep()
            row = self._one("SELECT 1 FROM pending WHERE owner != ? LIMIT 1", (self.owner,))
        return row is not None

    def beat(self) -> None:
        """Give a sign of life, at least every minute while requests are under way."""
        with self._transaction():
            self._run("UPDATE owners SET beat = ? WHERE owner = ?", (time.time(), self.owner))

    def spending(self) -> Spending:
        """Return what was spent, with what is under way."""
        row = self._one(
            "SELECT sum(tokens), sum(money) FROM (SELECT tokens, money FROM spending"
            " UNION ALL SELECT tokens, money FROM pending)"
        )
        return Spending(int(row[0]), float(row[1]))

    def observed(self) -> Observed:
        """Return the totals over all replies."""
        row = self._one(
            "SELECT count(*), total(prompt_characters), total(prompt_tokens), total(generated_tokens) FROM replies"
        )
        return Observed(*(int(value) for value in row))

    def _store(
        self, key: bytes, request: str, raw: str, prompt_characters: int, prompt_tokens: int, generated_tokens: int
    ) -> None:
        self._run(
            "INSERT OR IGNORE INTO replies (key, request, raw, prompt_characters, prompt_tokens, generated_tokens)"
            " VALUES (?, ?, ?, ?, ?, ?)",
            (key, request, raw, prompt_characters, prompt_tokens, generated_tokens),
        )
        self._run("DELETE FROM failures WHERE key = ?", (key,))

    def _spend(self, kind: str, requests: int, tokens: int, money: float) -> None:
        self._run(
            "UPDATE spending SET requests = requests + ?, tokens = tokens + ?, money = money + ? WHERE kind = ?",
            (requests, tokens, money, kind),
        )

    def _unclaim(self, key: bytes) -> None:
        """Give a key back, unless another process claimed it while this one was silent and counted as dead."""
        self._run("DELETE FROM pending WHERE key = ? AND owner = ?", (key, self.owner))

    def _under_way(self, key: bytes) -> bool:
        row = self._one("SELECT owner FROM pending WHERE key = ?", (key,))
        if row is None:
            return False
        if row[0] != self.owner:
            self._sweep()
        return self._one("SELECT 1 FROM pending WHERE key = ?", (key,)) is not None

    def _affordable(self, tokens: int, money: float, running: Running) -> bool:
        if running.budget_tokens is None and running.budget_money is None:
            return True
        spent = self.spending()
        if running.budget_tokens is not None and spent.tokens + tokens > running.budget_tokens:
            return False
        return running.budget_money is None or spent.money + money <= running.budget_money

    def _sweep(self) -> None:
        """Take the keys of dead processes back."""
        for owner, host, pid, beat in self._run("SELECT owner, host, pid, beat FROM owners"):
            silent = time.time() - beat > _SILENCE_OF_THE_DEAD
            if owner != self.owner and (silent or (host == os.uname().nodename and not _alive(pid))):
                self._give_up(owner)

    def _give_up(self, owner: str) -> None:
        requests, tokens, money = self._one(
            "SELECT count(*), total(tokens), total(money) FROM pending WHERE owner = ?", (owner,)
        )
        self._spend("outcome unknown", requests, int(tokens), money)
        self._run("DELETE FROM pending WHERE owner = ?", (owner,))
        self._run("DELETE FROM owners WHERE owner = ?", (owner,))


def file_system_of(folder: Path) -> str:
    """Return the type of the file system that holds a folder, or an empty string where the system does not say."""
    try:
        mounts = Path("/proc/self/mounts").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    place, longest = f"{folder.resolve()}/", ("", "")
    for line in mounts.splitlines():
        _, mount, kind, *_ = line.split(" ")
        mount = mount.replace("\\040", " ").rstrip("/") + "/"
        if place.startswith(mount) and len(mount) >= len(longest[0]):
            longest = (mount, kind)
    return longest[1]


def _is_damage(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
