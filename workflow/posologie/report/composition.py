"""What every mix holds."""

from pathlib import Path
from typing import Any

from posologie import layout
from posologie.errors import InputError
from posologie.files import read_json
from posologie.items import PROVENANCES, TASKS
from posologie.report.blocks import Cell, Column, Prose, Section, Table
from posologie.report.spec import ReportSpec
from posologie.report.tables import decimal, number_cell


def section(spec: ReportSpec, root: Path) -> Section:
    """Return the section on the composition of the mixes.

    Raises:
        InputError: if the composition of a mix that a model was trained on is missing.
    """
    trained = dict.fromkeys((model.mix, model.seed) for model in spec.models if model.kind == "mix")
    place = {name: number for number, name in enumerate(spec.mixes)}
    rows = []
    several = len({seed for _, seed in trained}) > 1
    for mix, seed in sorted(trained, key=lambda key: (place.get(str(key[0]), len(place)), key[1] or 0)):
        file = root / layout.mix(str(mix), seed or 0, "composition")
        if not file.is_file():
            raise InputError(f"{file}: no such file; expected the composition of a mix that a model was trained on")
        rows.append(_row(f"{mix}, seed {seed}" if several else str(mix), read_json(file)))
    columns = (
        Column("mix", heading=True),
        Column("shares"),
        Column("items", number=True),
        *(Column(provenance, number=True) for provenance in PROVENANCES),
        *(Column(task.upper(), number=True) for task in TASKS if task != "oeq"),
        Column("characters an item, median", number=True),
        Column("validation items", number=True),
    )
    table = Table(
        "table-composition",
        "Composition of the mixes",
        "Training items by provenance and task. MCQU: one right answer; MCQ: several.",
        columns,
        tuple(rows),
    )
    intro = Prose(("All mixes are drawn with one seeded ranking of the items, so that the part that a smaller dose takes "
                   "from a source is contained in the part that a larger dose takes.",))  # fmt: skip
    return Section("composition", "What each mix holds", (intro, table))


def _row(name: str, facts: dict[str, Any]) -> tuple[Cell, ...]:
    train = facts["train"]
    total = train["items"]
    counts = train["provenance"]
    shares = tuple((kind, round(100 * counts[kind] / total, 2)) for kind in PROVENANCES if counts.get(kind))
    spoken = ", ".join(f"{kind} {decimal(share, 0)} %" for kind, share in shares)
    return (
        Cell(name),
        Cell(spoken, shares=shares),
        number_cell(total),
        *(number_cell(counts.get(kind, 0)) for kind in PROVENANCES),
        *(number_cell(train["task"].get(task, 0)) for task in TASKS if task != "oeq"),
        number_cell(train["characters"]["quantiles"].get("50%")),
        number_cell(facts["validation"]["items"]),
    )
