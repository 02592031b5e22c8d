"""What is spent through response caches: by one process, and by all of a study as seen from outside."""

import contextlib
import sqlite3
from dataclasses import dataclass
from pathlib import Path


@dataclass(slots=True)
class Counted:
    """What one process spent through a cache."""

    requests: int = 0
    tokens: int = 0
    money: float = 0.0

    def add(self, requests: int, tokens: int, money: float) -> None:
        """Add to it."""
        self.requests, self.tokens, self.money = self.requests + requests, self.tokens + tokens, self.money + money


@dataclass(frozen=True, slots=True)
class Spent:
    """What all jobs on one work folder spent; wasted is what attempts without a reply may have been billed."""

    asker: str
    requests: int
    tokens: int
    money: float
    wasted_tokens: int
    wasted_money: float


def spent_below(work: Path) -> list[Spent]:
    """Return what was spent through each response cache below a folder, by path; caches are only read."""
    spending = []
    for path in sorted(work.rglob("responses.sqlite")):
        with (
            contextlib.suppress(sqlite3.Error),
            contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection,
        ):
            kinds = {
                kind: rest for kind, *rest in connection.execute("SELECT kind, requests, tokens, money FROM spending")
            }
            answered, wasted = kinds["answered"], kinds["outcome unknown"]
            if answered[0] or wasted[0]:
                asker = path.parent.relative_to(work).as_posix()
                totals = [sum(amounts) for amounts in zip(answered, wasted, strict=True)]
                spending.append(Spent(asker, *totals, *wasted[1:]))
    return spending
