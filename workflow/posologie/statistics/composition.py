"""The table of what each mix holds."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from posologie import layout
from posologie.commands import run
from posologie.files import read_json
from posologie.statistics.latex import Latex
from posologie.statistics.spec import CompositionSpec
from posologie.statistics.table_command import table_arguments
from posologie.statistics.table_files import write_table

COLUMNS = ("mix", "seed", "part", "provenance", "by", "name", "items", "share", "characters")
"""`by` is `all`, `source`, `task` or `origin`, and `name` one of them; `share` is in percent of the part."""
LATEX = Latex(
    "Training items of each mix by provenance.",
    index=("mix", "seed"),
    where={"part": ("train",), "by": ("all",)},
    across=("provenance",),
    show=("items",),
)


def main(argv: list[str]) -> None:
    """Write the table."""
    arguments = table_arguments("posologie.statistics.composition", __doc__ or "").parse_args(argv)
    spec = CompositionSpec.from_json(arguments.spec)
    drawn = [(mix, seed) for mix, seeds in spec.mixes.items() for seed in seeds]
    rows = [row for mix, seed in drawn for row in _rows(mix, seed, Path(arguments.results))]
    write_table(arguments.table, COLUMNS, rows, LATEX)


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
