"""What every mix holds."""

from dataclasses import dataclass

from posologie import layout
from posologie.errors import InputError
from posologie.files import read_json
from posologie.items import PROVENANCES
from posologie.report.blocks import Block, Cell, Column, Figure, Prose, Section, Table
from posologie.report.inputs import Inputs
from posologie.report.tables import decimal, number_cell


@dataclass(frozen=True)
class MixContents:
    """What one drawn mix holds; counts of training items."""

    name: str
    items: int
    provenance: dict[str, int]
    task: dict[str, int]
    median_characters: int | None
    validation_items: int


def mixes(inputs: Inputs) -> list[MixContents]:
    """Return the contents of every mix that a model was trained on, in the order of the study.

    Raises:
        InputError: if the composition of one is missing.
    """
    drawn = list(dict.fromkeys((model.mix or "", model.seed or 0) for model in inputs.models if model.kind == "mix"))
    several = len({seed for _, seed in drawn}) > 1
    found = []
    for mix, seed in drawn:
        file = inputs.root / layout.mix(mix, seed, "composition")
        if not file.is_file():
            raise InputError(f"{file}: no such file; expected the composition of a mix that a model was trained on")
        facts = read_json(file)
        train = facts["train"]
        found.append(
            MixContents(
                f"{mix}, seed {seed}" if several else mix,
                train["items"],
                train["provenance"],
                train["task"],
                train["characters"]["quantiles"].get("50%"),
                facts["validation"]["items"],
            )
        )
    return found


def section(inputs: Inputs, figure: Figure | None) -> Section | None:
    """Return the section on the composition of the mixes; None if nothing was trained."""
    found = mixes(inputs)
    if not found:
        return None
    intro = Prose(
        (
            "All mixes are drawn with one seeded ranking of the items, so that the part that a smaller dose takes from a "
            "source is contained in the part that a larger dose takes: differences between mixes are as paired as they can be.",
        )
    )
    blocks: list[Block] = [intro]
    if figure:
        blocks.append(figure)
    return Section("composition", "What each mix holds", (*blocks, _table(found)))


def _table(found: list[MixContents]) -> Table:
    tasks = [task for task in ("mcqu", "mcq", "oeq") if any(mix.task.get(task) for mix in found)]
    columns = (
        Column("mix", heading=True),
        Column("shares"),
        Column("items", number=True),
        *(Column(provenance, number=True) for provenance in PROVENANCES),
        *(Column(task.upper(), number=True) for task in tasks),
        Column("median characters", number=True),
        Column("validation items", number=True),
    )
    rows = []
    for mix in found:
        shares = tuple(
            (kind, round(100 * mix.provenance[kind] / mix.items, 2)) for kind in PROVENANCES if mix.provenance.get(kind)
        )
        rows.append(
            (
                Cell(mix.name),
                Cell(", ".join(f"{kind} {decimal(share, 0)} %" for kind, share in shares), shares=shares),
                number_cell(mix.items),
                *(number_cell(mix.provenance.get(kind, 0)) for kind in PROVENANCES),
                *(number_cell(mix.task.get(task, 0)) for task in tasks),
                number_cell(mix.median_characters),
                number_cell(mix.validation_items),
            )
        )
    return Table(
        "table-composition",
        "Composition of the mixes",
        "Training items by provenance and task. MCQU: one right answer; MCQ: several.",
        columns,
        tuple(rows),
        layout.table("composition"),
    )
