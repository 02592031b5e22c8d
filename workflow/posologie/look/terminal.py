"""A page in the terminal. Texts are never markup there, and never control sequences: they were made visible before."""

from collections.abc import Iterator

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.panel import Panel
from rich.rule import Rule
from rich.table import Table as Grid
from rich.text import Text

from posologie.report.blocks import Block, Cell, Facts, Notice, Page, Prompt, Prose, Section, Source, Table

_BAR = 12
_ROWS = 40
_TEXT = 200


def as_renderable(page: Page) -> RenderableType:
    """Return a page for the terminal."""
    parts: list[RenderableType] = [Text(page.title, style="bold"), Text(page.subtitle, style="dim"), Text("")]
    parts += [_notice(notice) for notice in page.notices]
    for section in page.sections:
        parts += [Rule(Text(section.title, style="bold"), align="left", style="dim"), *_section(section)]
    return Group(*parts)


def _notice(notice: Notice) -> RenderableType:
    points = Group(*(_hanging(point) for point in notice.points))
    return Panel(
        points, title=Text(notice.title, style="bold"), title_align="left", border_style="yellow", box=box.ROUNDED
    )


def _hanging(point: str) -> RenderableType:
    line = Grid.grid(padding=(0, 1))
    line.add_column()
    line.add_column(overflow="fold")
    line.add_row("•", Text(point))
    return line


def _section(section: Section) -> Iterator[RenderableType]:
    for block in section.blocks:
        yield from _block(block)
        yield Text("")


def _block(block: Block) -> Iterator[RenderableType]:
    if isinstance(block, Prose):
        yield from (Text(paragraph) for paragraph in block.paragraphs)
    elif isinstance(block, Facts):
        facts = Grid.grid(padding=(0, 2))
        facts.add_column(style="dim", overflow="fold")
        facts.add_column(overflow="fold")
        for name, value in block.facts:
            facts.add_row(Text(name), Text(value))
        yield facts
    elif isinstance(block, Table):
        yield from _table(block)
    elif isinstance(block, Source):
        yield Text(block.title, style="bold")
        yield Padding(Text(block.text, overflow="fold"), (0, 0, 0, 2))
    elif isinstance(block, Prompt):
        yield _prompt(block)


def _table(table: Table) -> Iterator[RenderableType]:
    grid = Grid(box=box.SIMPLE_HEAD, pad_edge=False, title=Text(table.title, style="bold"), title_justify="left")
    for column in table.columns:
        grid.add_column(Text(column.title), justify="right" if column.number else "left", overflow="fold")
    for row in table.rows[:_ROWS]:
        grid.add_row(*(_cell(cell) for cell in row))
    yield grid
    if (more := len(table.rows) - _ROWS) > 0:
        yield Text(f"{more:,} more rows on the page.", style="dim")


def _cell(cell: Cell) -> Text:
    if cell.shares:
        filled = round(_BAR * cell.shares[0][1] / 100)
        return Text("█" * filled + "░" * (_BAR - filled), style="blue")
    text = cell.text if len(cell.text) <= _TEXT else cell.text[: _TEXT - 1] + "…"
    return Text(text)


def _prompt(block: Prompt) -> RenderableType:
    text = Text(overflow="fold")
    for kind, piece in block.pieces:
        if kind == "prompt":
            text.append(piece)
        else:
            text.append(piece if kind == "gold" else f"▶ {piece}", style="bold green")
            text.append(" ✓" if kind == "gold" else "", style="green")
    return Panel(text, title=Text(block.title), title_align="left", border_style="dim", box=box.ROUNDED)
