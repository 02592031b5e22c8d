"""The table of what each mix holds."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from posologie import layout
from posologie.commands import run
from posologie.files import read_json
from posologie.statistics.spec import TableSpec
from posologie.statistics.table_command import table_command
from posologie.statistics.table_files import write_csv

COLUMNS = ("mix", "seed", "part", "provenance", "by", "name", "items", "share", "characters")
"""`by` is `all`, `source`, `task` or `origin`, and `name` one of them; `share` is in percent of the part."""


def main(argv: list[str]) -> None:
    """Write the table."""
    command = table_command("posologie.statistics.composition", __doc__ or "", argv)
    rows = [row for mix, seed in drawn_mixes(command.spec) for row in _rows(mix, seed, Path(command.results))]
    write_csv(command.table, COLUMNS, rows)


def drawn_mixes(spec: TableSpec) -> list[tuple[str, int]]:
    """Return every mix with its sampling seeds: those that the spec names, or else those of the models."""
    if spec.mixes:
        return [(mix, seed) for mix, seeds in spec.mixes.items() for seed in seeds]
    trained = ((model.mix, model.seed) for model in spec.models if model.kind == "mix")
    return list(dict.fromkeys((mix, seed) for mix, seed in trained if mix is not None and seed is not None))


def _rows(mix: str, seed: int, root: Path) -> Iterator[dict[str, Any]]:
    facts = read_json(root / layout.mix(mix, seed, "composition"))
    for part in ("train", "validation"):
        whole = facts[part]
        held = {"all": whole, **whole["by_provenance"]}
        for provenance, one in held.items():
            common = {"mix": mix, "seed": seed, "part": part, "provenance": provenance}
            yield common | _counted("all", "all", one["items"], whole["items"], one["characters"]["total"])
            for by in ("source", "task", "origin"):
                for name, items in sorted(one[by].items()):
                    yield common | _counted(by, name, items, whole["items"], None)


def _counted(by: str, name: str, items: int, total: int, characters: int | None) -> dict[str, Any]:
    share = 100 * items / total if total else None
    return {"by": by, "name": name, "items": items, "share": share, "characters": characters}


if __name__ == "__main__":
    run(main)
