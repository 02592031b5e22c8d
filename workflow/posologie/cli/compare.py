"""Say what differs between two runs: in their specs, inputs, versions, and in every table.

RUN is the folder of a study's results (results/demo, or a copy that was kept), or a single run record (run.json):

  posologie compare results/demo results/demo-3-epochs
  posologie compare results/demo/predictions/smollm2/{NAT,SYN}/seed-42/mcqa.run.json
"""

import argparse
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.table import Table
from rich.text import Text

from posologie.cli.numbers import MEASURED
from posologie.cli.places import console, print_json
from posologie.records.files import read_json, read_rows
from posologie.running.errors import InputError

_COMPARED = ("spec", "code", "libraries", "backbone_revision", "chat_template_sha256")
"""What of a run record is compared between studies: what a result depends on."""

_MEASURED_APART = frozenset({"compute"})
"""Tables that hold measured time: they differ between any two runs."""


@dataclass(frozen=True)
class Change:
    """One cell that differs between two tables."""

    row: dict[str, str]
    column: str
    a: str
    b: str

    @property
    def change(self) -> float | None:
        """B − A, where both are numbers."""
        try:
            return float(self.b) - float(self.a)
        except ValueError:
            return None


def add_arguments(arguments: argparse.ArgumentParser) -> None:
    """Add the arguments of `compare`."""
    for name in ("a", "b"):
        arguments.add_argument(name, type=Path, metavar=f"RUN_{name.upper()}", help="folder of results, or run.json")
    arguments.add_argument("--most", type=int, default=10, metavar="N", help="rows of a table to show (default: 10)")


def answer(given: argparse.Namespace) -> int:
    """Print what differs; the exit code is 1 if anything does."""
    if given.a.is_file() and given.b.is_file():
        found = {
            "settings": _settings({"run": read_json(given.a)}, {"run": read_json(given.b)}, whole=True),
            "tables": [],
        }
    else:
        for folder in (given.a, given.b):
            if not folder.is_dir():
                raise InputError(f"{folder}: expected the folder of a study's results, or two run records")
        found = {"settings": _settings(_records(given.a), _records(given.b)), "tables": _tables(given.a, given.b)}
    if given.json:
        print_json(found)
    else:
        _print(found, given.most)
    changed = any(
        table["changed"] or table["only_a"] or table["only_b"] for table in found["tables"] if table["counts"]
    )
    return 1 if found["settings"] or changed else 0


def _records(root: Path) -> dict[str, dict[str, Any]]:
    files = [*(root / "adapters").rglob("run.json"), *(root / "predictions").rglob("*.run.json")]
    files += (root / "judgements").rglob("*.run.json")
    if not files:
        raise InputError(f"{root}: holds no run record; expected the folder of a study's results")
    return {path.relative_to(root).as_posix(): read_json(path) for path in sorted(files)}


def _settings(
    a: Mapping[str, dict[str, Any]], b: Mapping[str, dict[str, Any]], whole: bool = False
) -> list[dict[str, Any]]:
    """Return each setting that differs, with the run records that it differs in."""
    found: dict[tuple[str, str, str], list[str]] = {}
    for name in sorted(a.keys() | b.keys()):
        if name not in a or name not in b:
            present = ("run record", "there" if name in a else "absent", "there" if name in b else "absent")
            found.setdefault(present, []).append(name)
            continue
        one, other = (
            dict(_flat(record if whole else {key: record.get(key) for key in _COMPARED}))
            for record in (a[name], b[name])
        )
        for key in sorted(one.keys() | other.keys()):
            if one.get(key) != other.get(key):
                found.setdefault((key, str(one.get(key, "–")), str(other.get(key, "–"))), []).append(name)
    return [{"setting": key, "a": left, "b": right, "in": names} for (key, left, right), names in found.items()]


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Yield dotted names and values of nested maps."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{key}" if name else str(key))
    else:
        yield name, value


def _tables(a: Path, b: Path) -> list[dict[str, Any]]:
    names = sorted({path.stem for root in (a, b) for path in (root / "tables").glob("*.csv")})
    return [_table(name, a / "tables" / f"{name}.csv", b / "tables" / f"{name}.csv") for name in names]


def _table(name: str, a: Path, b: Path) -> dict[str, Any]:
    """Return how many rows of a table are the same, changed, or in one study alone, and the changes, largest first."""
    one, other = _rows(a), _rows(b)
    both = [key for key in one if key in other]
    changes = [
        Change(dict(key), column, one[key][column], other[key][column])
        for key in both
        for column in sorted(one[key].keys() & other[key].keys() & MEASURED)
        if one[key][column] != other[key][column]
    ]
    changes.sort(key=lambda change: (change.column != "value", -abs(change.change or 0.0), str(change.row)))
    changed = len({tuple(change.row.items()) for change in changes})
    return {
        "table": name,
        "counts": name not in _MEASURED_APART,
        "same": len(both) - changed,
        "changed": changed,
        "only_a": len(one.keys() - other.keys()),
        "only_b": len(other.keys() - one.keys()),
        "changes": [{**asdict(change), "change": change.change} for change in changes],
    }


def _rows(path: Path) -> dict[tuple[tuple[str, str], ...], dict[str, str]]:
    """Return the rows of a table by what they are about."""
    if not path.is_file():
        return {}
    rows = read_rows(path)
    return {tuple((key, value) for key, value in row.items() if key not in MEASURED): row for row in rows}


def _print(found: dict[str, Any], most: int) -> None:
    out = console()
    if found["settings"]:
        table = Table(title="Settings, inputs, versions", title_justify="left", box=None, pad_edge=False)
        for title in ("setting", "A", "B", "in"):
            table.add_column(title, overflow="fold")
        for one in found["settings"]:
            names = one["in"]
            where = names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
            table.add_row(*(Text(text) for text in (one["setting"], one["a"], one["b"], where)))
        out.print(table)
    else:
        out.print("Specs, code and versions are the same.")
    for one in found["tables"]:
        only = f", {one['only_a']} only in A, {one['only_b']} only in B" if one["only_a"] or one["only_b"] else ""
        out.print(f"\n{one['table']}: {one['same']:,} rows the same, {one['changed']:,} changed{only}", markup=False)
        if one["changes"]:
            table = Table(box=None, pad_edge=False)
            for title in ("row", "column", "A", "B", "change"):
                table.add_column(title, overflow="fold", justify="left" if title in ("row", "column") else "right")
            for change in one["changes"][:most]:
                row = " ".join(value for value in change["row"].values() if value)
                shown = "" if change["change"] is None else f"{change['change']:+.4g}"
                table.add_row(*(Text(text) for text in (row, change["column"], change["a"], change["b"], shown)))
            out.print(table)
            if len(one["changes"]) > most:
                out.print(f"… and {len(one['changes']) - most:,} more changed cells (--most N, --json)")
