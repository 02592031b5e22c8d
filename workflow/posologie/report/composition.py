"""What every mix holds."""

from dataclasses import dataclass

from posologie.records import layout
from posologie.records.components import Shown, in_order
from posologie.report.blocks import Block, Cell, Column, Figure, Prose, Section, Table
from posologie.report.inputs import Inputs
from posologie.report.names import component_title, counted, joined
from posologie.report.tables import Row, decimal, number_cell, table


@dataclass(frozen=True)
class MixContents:
    """What one drawn mix holds; counts of training items, characters in all."""

    name: str
    items: int
    characters: float | None
    components: dict[str, int]
    task: dict[str, int]
    validation_items: int


def mixes(inputs: Inputs) -> list[MixContents]:
    """Return the contents of every mix, in the order of the study."""
    rows = [row for row in inputs.rows("composition") if row["mix"]]
    drawn = list(dict.fromkeys((row["mix"], row["seed"]) for row in rows))
    place = {name: number for number, name in enumerate(inputs.spec.mixes)}
    drawn.sort(key=lambda key: (place.get(key[0], len(place)), key[1]))
    several = len({seed for _, seed in drawn}) > 1
    contents = []
    for mix, seed in drawn:
        here = [row for row in rows if (row["mix"], row["seed"]) == (mix, seed)]
        train = [row for row in here if row["part"] == "train"]
        whole = next(row for row in train if (row["provenance"], row["by"]) == ("all", "all"))
        checked = [row for row in here if (row["part"], row["provenance"], row["by"]) == ("validation", "all", "all")]
        contents.append(
            MixContents(
                f"{mix}, seed {seed}" if several else mix,
                int(whole.needed("items")),
                whole.number("characters"),
                {row["provenance"]: int(row.needed("items")) for row in train if row["by"] == "all"},
                {
                    row["name"]: int(row.needed("items"))
                    for row in train
                    if (row["by"], row["provenance"]) == ("task", "all")
                },
                int(checked[0].needed("items")) if checked else 0,
            )
        )
    return contents


def components_of(inputs: Inputs, contents: list[MixContents]) -> list[Shown]:
    """Return the components of the study in their order, then any that only the mixes know."""
    shown = {component.name: component for component in inputs.spec.components}
    names = in_order({name for mix in contents for name in mix.components if name != "all"} | set(shown), shown)
    return [shown.get(name) or Shown(name=name, title=name, colour="black") for name in names]


def section(inputs: Inputs, figure: Figure | None) -> Section | None:
    """Return the section on the composition of the mixes; None if the study has no such table."""
    contents = mixes(inputs)
    if not contents:
        return None
    blocks: list[Block] = [Prose((held(inputs, contents),), "lead"), *([figure] if figure else [])]
    blocks.append(
        Prose(
            (
                "All mixes are drawn with one seeded ranking of the items: the items of a smaller dose from "
                "a source are among those of a larger one, so differences between mixes are paired as far as possible.",
            )
        )
    )
    further = (_repetition_table(inputs), _sources_table(inputs), _published_table(inputs))
    return Section(
        "composition",
        "What each mix holds",
        (*blocks, _table(contents, components_of(inputs, contents)), *(block for block in further if block)),
    )


def held(inputs: Inputs, contents: list[MixContents]) -> str:
    """Say how many mixes there are, of what size and of how many components."""
    sizes = sorted({mix.items for mix in contents})
    size = f"{sizes[0]:,} training items" if len(sizes) == 1 else f"{sizes[0]:,} to {sizes[-1]:,} training items"
    names = [
        component.title
        for component in components_of(inputs, contents)
        if any(mix.components.get(component.name) for mix in contents)
    ]
    pure = sum(sum(bool(mix.components.get(name)) for name in mix.components if name != "all") == 1 for mix in contents)
    each = "The mix holds" if len(contents) == 1 else f"The study has {counted(len(contents), 'mix')} of"
    alone = (
        "" if len(contents) == 1 or not pure else f"; {counted(pure, 'mix')} hold{'s' * (pure == 1)} only one component"
    )
    return f"{each} {size}{'' if len(contents) == 1 or len(sizes) > 1 else ' each'}, from {joined(names)}{alone}."


def _table(contents: list[MixContents], components: list[Shown]) -> Table:
    tasks = [task for task in ("mcqu", "mcq", "oeq", "preference") if any(mix.task.get(task) for mix in contents)]
    columns = [Column("mix", heading=True), Column("shares"), Column("items", number=True)]
    columns += [Column(component.title, number=True) for component in components]
    columns += [Column(task.upper(), number=True) for task in tasks]
    columns += [Column("characters an item", number=True), Column("validation items", number=True)]
    lines = []
    for mix in contents:
        here = [component for component in components if mix.components.get(component.name)]
        percent = [round(100 * mix.components[component.name] / mix.items, 2) for component in here]
        text = ", ".join(
            f"{component.title} {decimal(share, 0)} %" for component, share in zip(here, percent, strict=True)
        )
        lines.append(
            (
                Cell(mix.name),
                Cell(
                    text,
                    shares=tuple((component.colour, share) for component, share in zip(here, percent, strict=True)),
                ),
                number_cell(mix.items),
                *(number_cell(mix.components.get(component.name, 0)) for component in components),
                *(number_cell(mix.task.get(task, 0)) for task in tasks),
                number_cell(None if mix.characters is None else mix.characters / mix.items),
                number_cell(mix.validation_items),
            )
        )
    return table(
        "composition",
        "Composition of the mixes",
        "Training items by component and task. MCQU: one right answer; MCQ: several.",
        columns,
        lines,
        layout.table("composition"),
    )


def _repetition_table(inputs: Inputs) -> Table | None:
    """Return how often each component's items are seen and how much of its stock is drawn; None without such rows."""
    rows = inputs.rows("composition", subject="mix", by="repetition")
    if not rows:
        return None
    several = len({row["seed"] for row in rows}) > 1
    columns = [Column("mix", heading=True), Column("component")]
    columns += [Column(name, number=True) for name in ("passes", "examples seen", "drawn, % of the items held")]
    lines = [
        [
            Cell(f"{row['mix']}, seed {row['seed']}" if several else row["mix"]),
            Cell(component_title(row["provenance"], inputs.spec.components)),
            number_cell(row.number("length")),
            number_cell(row.number("items")),
            number_cell(row.number("share"), 1),
        ]
        for row in rows
    ]
    caption = (
        "An item is drawn at most once, and seen once in each pass. A fully drawn component can give no "
        "more: a mix that asks for more is refused, never filled by repeating items."
    )
    return table("repetition", "Repetition", caption, columns, lines, layout.table("composition"))


def _sources_table(inputs: Inputs) -> Table | None:
    """Return what was read of each source and why records were rejected; None if the table has no sources."""
    shards: dict[tuple[str, str], list[Row]] = {}
    for row in inputs.rows("composition"):
        if row.cells.get("subject") == "source":
            shards.setdefault((row["source"], row["part"]), []).append(row)
    if not shards:
        return None
    columns = [Column("source", heading=True), Column("split"), Column("component")]
    columns += [*(Column(name, number=True) for name in ("read", "kept", "rejected")), Column("reasons")]
    lines = []
    for (source, split), rows in shards.items():
        read, accepted = (int(next(row for row in rows if row["by"] == by).needed("items")) for by in ("read", "kept"))
        reasons = [row for row in rows if row["by"] == "rejected"]
        why = ", ".join(f"{row['name']} {decimal(row.needed('items'), 0)}" for row in reasons)
        counts = (number_cell(count) for count in (read, accepted, read - accepted))
        lines.append([Cell(source), Cell(split), Cell(rows[0]["provenance"]), *counts, Cell(why)])
    caption = "Records of each source and split, and why some were rejected; every one of them is in a file of rejects."
    return table("sources", "What was read", caption, columns, lines, layout.table("composition"))


def _published_table(inputs: Inputs) -> Table | None:
    """Return the published numbers of records beside ours, and those that contradict each other.

    None for a demonstration, which has other data, and for a table without any.
    """
    printed = [row for row in inputs.rows("composition") if row.cells.get("subject") == "published"]
    if inputs.spec.demonstration or not any(row["items"] for row in printed):
        return None
    contradictions = inputs.rows("composition", subject="contradiction")
    columns = [Column("published number", heading=True), Column("records of")]
    columns += [Column(name, number=True) for name in ("ours", "published", "difference")]
    columns.append(Column("remark"))
    lines = [
        [
            Cell(row["name"].replace("_", " ")),
            Cell(row["by"] or "two printed numbers"),
            number_cell(row.number("items")),
            number_cell(row.number("published")),
            number_cell(row.number("difference"), sign=True),
            Cell(row["note"]),
        ]
        for row in (*printed, *contradictions)
    ]
    caption = (
        "Printed numbers of records, beside what the shards hold. Below them, printed numbers that "
        "contradict each other: the second is in the column of ours."
    )
    return table("records", "Ours and the published", caption, columns, lines, layout.table("composition"))
