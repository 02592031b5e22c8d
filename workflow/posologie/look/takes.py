"""What mixes take of sources, as tables; and the columns and cells of shares that all tables have."""

from collections.abc import Iterator, Mapping
from typing import Any

from posologie.look.doubts import percent
from posologie.report.blocks import Block, Cell, Column, Prose
from posologie.report.tables import NOTHING, number_cell, table


def columns_of(*names: str) -> list[Column]:
    """Return columns: of row headings where the name ends with `*`, of numbers where it ends with `#`."""
    return [Column(name.rstrip("*#"), number=name.endswith("#"), heading=name.endswith("*")) for name in names]


def share(part: int, whole: int | None) -> Cell:
    """Return a share in percent."""
    if not whole:
        return NOTHING
    return Cell(percent(part, whole), sort=part / whole)


def bar(part: int, whole: int) -> Cell:
    """Return a share as a bar."""
    length = round(100 * part / whole, 2) if whole else 0.0
    return Cell(percent(part, whole) if whole else "–", sort=length, shares=(("part", length),))


def takes(second: str) -> list[Column]:
    """Return the columns of a table of what mixes take."""
    lost = ("training items#", "screened out#", "of other tasks#")
    return columns_of("mix*", second, *lost, "could give#", "gives#", "share used#", "as a bar", "left over#")


def taken_cells(facts: Mapping[str, Any], name: str, part: Mapping[str, Any]) -> tuple[Cell, ...]:
    """Return the cells of what a source holds, loses, could give and gives to a part of a mix."""
    source, held, taken = facts["sources"][name], part["held"][name], part["taken"].get(name, 0)
    items = (source["splits"].get("train") or {}).get("items", held)
    screened = source["screening"].get("train", {})
    removed = screened.get("removed", 0) if screened.get("by") else None
    lost = (number_cell(items), number_cell(removed), number_cell(items - (removed or 0) - held))
    return (
        *lost,
        number_cell(held),
        number_cell(taken),
        share(taken, held),
        bar(taken, held),
        number_cell(held - taken),
    )


def of_tasks(facts: Mapping[str, Any]) -> str:
    """Return the caption of the tables of mixes."""
    screened = [
        one["by"]
        for source in facts["sources"].values()
        for split, one in source["screening"].items()
        if split == "train"
    ]
    stage = "" if screened and all(screened) else " Not all sources are screened yet: screening may take more away."
    return f"Nothing is drawn here; the draw will keep to these numbers.{stage}"


def mixes(facts: Mapping[str, Any], name: str) -> Iterator[Block]:
    """Yield what each mix takes of a source."""
    rows = [
        (Cell(mix), Cell(part["part"]), *taken_cells(facts, name, part))
        for mix, found in facts["mixes"].items()
        for part in found["parts"]
        if name in part["held"]
    ]
    if rows:
        yield table("takes", "What each mix takes of this source", of_tasks(facts), takes("as part of"), rows)
    elif any(found["problem"] for found in facts["mixes"].values()):
        yield Prose(("Not known while a mix cannot be met; the page about all sources says why.",))
    else:
        yield Prose(("No mix draws from this source.",))
