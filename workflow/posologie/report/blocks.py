"""What a page is made of: sections of prose, tables, figures and facts, before any HTML."""

from dataclasses import dataclass, field
from typing import Literal

from markupsafe import Markup


@dataclass(frozen=True)
class Column:
    """A column of a table as the page shows it.

    Attributes:
        number: set to the right, sorted by value, and descending at the first click.
        heading: its cells name their rows.
    """

    title: str
    number: bool = False
    heading: bool = False


@dataclass(frozen=True)
class Cell:
    """One cell.

    Attributes:
        sort: what the column is sorted by, where that is not the text.
        copy: what "copy as CSV" takes, where that is not the text.
        interval: shown behind the text, in a quieter ink.
        note: a warning that belongs to this very value; `mark` stands for it where the caption explains the mark.
        shares: colour and percentage, drawn as a small bar in place of the text; `part` is a share of any kind.
        link: the page beside this one that the text leads to.
    """

    text: str
    sort: float | None = None
    copy: str | None = None
    interval: str = ""
    note: str = ""
    mark: str = ""
    shares: tuple[tuple[str, float], ...] = ()
    link: str = ""


@dataclass(frozen=True)
class Table:
    """A table; `file` is where the whole of it lies below the study's folder.

    A table whose rows are all alike becomes a sentence: `alike` says what every row holds.
    """

    id: str
    title: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    file: str = ""
    alike: str = ""
    kind: Literal["table"] = "table"


@dataclass(frozen=True)
class Figure:
    """A figure; `file` is its path below the study's folder, without suffix."""

    id: str
    title: str
    caption: str
    svg: Markup
    file: str
    kind: Literal["figure"] = "figure"


@dataclass(frozen=True)
class Prose:
    """Paragraphs: of text, of the sentence that a section opens with, or of an answer with its warning."""

    paragraphs: tuple[str, ...]
    kind: Literal["prose", "lead", "answer"] = "prose"
    note: str = ""


@dataclass(frozen=True)
class Opening:
    """What the page opens with.

    Attributes:
        sentences: the answer, two at most.
        catches: names and sentences of what weakens it.
        settling: what would settle what is open; empty where nothing is, or nothing is known to.
    """

    sentences: tuple[str, ...]
    catches: tuple[tuple[str, str], ...] = ()
    settling: str = ""
    figure: Figure | None = None
    kind: Literal["opening"] = "opening"


@dataclass(frozen=True)
class Heading:
    """A heading inside a section."""

    title: str
    kind: Literal["heading"] = "heading"


@dataclass(frozen=True)
class Facts:
    """Names and values."""

    facts: tuple[tuple[str, str], ...]
    kind: Literal["facts"] = "facts"


@dataclass(frozen=True)
class Source:
    """A long text that opens on demand."""

    title: str
    text: str
    kind: Literal["source"] = "source"


@dataclass(frozen=True)
class Browser:
    """The place of the item browser.

    Attributes:
        index: its data file, seen from the page.
        title: of the study, by which items are cited.
        data: all of its data as JSON, where they are few enough to stand in the page; empty otherwise.
    """

    index: str
    language: str
    title: str = ""
    data: Markup = Markup("")  # noqa: RUF009 - a string never changes
    kind: Literal["browser"] = "browser"


@dataclass(frozen=True)
class Prompt:
    """A text as a model sees it: pieces of kind `prompt`, `gold` (a right option) or `answer` (what is learned)."""

    title: str
    pieces: tuple[tuple[str, str], ...]
    kind: Literal["example"] = "example"


Block = Table | Figure | Prose | Opening | Heading | Facts | Source | Browser | Prompt


@dataclass(frozen=True)
class Section:
    """A part of the page with a place in its contents."""

    id: str
    title: str
    blocks: tuple[Block, ...] = field(default=())


@dataclass(frozen=True)
class Notice:
    """A warning at the top of the page."""

    title: str
    points: tuple[str, ...] = ()


@dataclass(frozen=True)
class Page:
    """A page before any HTML.

    Attributes:
        others: titles and files of the pages beside it, this one included.
        facts: names and values at its head.
        closed: whether its tables open on demand.
        components: names, titles and colours of components, for the filter of the figures.
    """

    title: str
    subtitle: str
    sections: tuple[Section, ...]
    notices: tuple[Notice, ...]
    footer: str
    others: tuple[tuple[str, str], ...] = ()
    file: str = "index.html"
    facts: tuple[tuple[str, str], ...] = ()
    closed: bool = False
    components: tuple[tuple[str, str, str], ...] = ()
