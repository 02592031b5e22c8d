"""What was fixed before the first training: contrasts, margin and primary measure, with a date and a checksum.

`posologie register` writes `registration.json` below the study's folder. It cannot prove its date to others;
publishing its checksum at the time does.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from posologie.records.files import read_json, write_json
from posologie.running.errors import InputError

FILE = "registration.json"
FORMAT = 1
SECTIONS = ("statistics", "surface", "mixes", "doses", "suites", "training_seeds")
_DECIDING = ("level", "margin", "primary_choice", "primary_text", "families", "minimum_clusters", "replicates", "seed")
"""Settings of statistics that a verdict depends on, beside the contrasts."""


@dataclass(frozen=True)
class Registration:
    """What was registered.

    Attributes:
        date: UTC, to the second.
        study: name of the study.
        sections: the resolved sections of the study, as JSON values: `SECTIONS`.
        checksum: SHA-256 of the rest, in hexadecimal.
    """

    date: str
    study: str
    sections: Mapping[str, Any]
    checksum: str

    def changes(self, now: Mapping[str, Any]) -> list[str]:
        """Say what differs in the given sections now, a line for each value."""
        return [
            text
            for name in SECTIONS
            if name in now
            for text in _differences(_plain(now[name]), self.sections.get(name), name)
        ]

    def verdict(
        self, suite: str, left: str, right: str, statistics: Mapping[str, Any], doses: Mapping[str, Any]
    ) -> str:
        """Return `registered`, or why the verdict on a comparison is not.

        Args:
            left, right: mixes, or `base`.
            statistics: the section as it is now.
            doses: shares of the components and size of each mix as they are now (`doses_of`).
        """
        if suite not in self.sections["suites"]:
            return f"not registered: suite {suite} was not named"
        for mix in (left, right):
            if mix != "base" and mix not in self.sections["mixes"]:
                return f"not registered: mix {mix} was not named"
            if mix != "base" and _plain(doses.get(mix)) != self.sections["doses"][mix]:
                return f"not registered: mix {mix} was changed afterwards"
        before, current = self.sections["statistics"], _plain(statistics)
        changed = [name for name in _DECIDING if before.get(name) != current.get(name)]
        if changed:
            return f"not registered: statistics.{changed[0]} was changed afterwards"
        listed = {frozenset(pair) for pair in before["contrasts"]}
        if "base" not in (left, right) and frozenset((left, right)) not in listed:
            return "not registered: the pair was not named"
        return "registered"


def doses_of(
    blends: Mapping[str, Mapping[str, float]], sizes: Mapping[str, str], epochs: Mapping[str, Mapping[str, int]]
) -> dict[str, Any]:
    """Return the dose of each mix: the share of each component, the size, and how often items are repeated, if any."""
    return {
        mix: {"shares": dict(shares), "size": sizes.get(mix)} | ({"epochs": dict(epochs[mix])} if mix in epochs else {})
        for mix, shares in blends.items()
    }


def register(root: Path, study: str, sections: Mapping[str, Any], date: str) -> Registration:
    """Write the registration of a study before its first training.

    Args:
        root: the study's folder.
        sections: `SECTIONS`, resolved.

    Raises:
        InputError: if an adapter, predictions of a trained model or another registration are there.
    """
    if (root / FILE).exists():
        before = registration_of(root)
        if before is not None and not before.changes(sections):
            return before
        raise InputError(f"{root / FILE}: already registered, with other content; a registration is never replaced")
    trained = next(iter(trained_below(root)), None)
    if trained is not None:
        raise InputError(f"{trained}: trained already; a registration comes before the first training")
    facts = {"format": FORMAT, "date": date, "study": study, **{name: _plain(sections[name]) for name in SECTIONS}}
    write_json(root / FILE, {**facts, "sha256": _checksum(facts)})
    return Registration(date, study, {name: facts[name] for name in SECTIONS}, _checksum(facts))


def registration_of(root: str | os.PathLike[str]) -> Registration | None:
    """Return the registration of a study; None where there is none.

    Raises:
        InputError: if it was altered after it was written.
    """
    path = Path(root) / FILE
    if not path.exists():
        return None
    facts = read_json(path)
    if not isinstance(facts, dict) or facts.get("format") != FORMAT or any(name not in facts for name in SECTIONS):
        raise InputError(f"{path}: no registration of format {FORMAT}")
    checksum = facts.pop("sha256", "")
    if _checksum(facts) != checksum:
        raise InputError(f"{path}: altered after it was written (its SHA-256 does not match)")
    return Registration(facts["date"], facts["study"], {name: facts[name] for name in SECTIONS}, checksum)


def trained_below(root: Path) -> Iterator[Path]:
    """Yield what shows that a study has trained: adapters, and answers of trained models."""
    yield from sorted(root.glob("adapters/*/*/seed-*"))
    yield from sorted(root.glob("predictions/*/*/seed-*"))


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value, sort_keys=True))


def _checksum(facts: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def _differences(now: Any, before: Any, key: str) -> Iterator[str]:
    if isinstance(now, dict) and isinstance(before, dict):
        for name in sorted({*now, *before}):
            yield from _differences(now.get(name), before.get(name), f"{key}.{name}")
    elif now != before:
        yield f"{key}: registered {_shown(before)}, now {_shown(now)}"


def _shown(value: Any) -> str:
    text = "nothing" if value is None else json.dumps(value, ensure_ascii=False, sort_keys=True)
    return text if len(text) <= 60 else f"{text[:57]}…"
