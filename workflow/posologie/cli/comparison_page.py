"""Two studies side by side as one page: what differs in the study files, in every table, and which items changed."""

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from posologie.cli.comparison import (
    ChangedItem,
    ComparedModel,
    Key,
    PairedTable,
    compared_answers,
    differing_entries,
    models_of,
)
from posologie.report.blocks import Block, Cell, Column, Heading, Page, Prose, Section, Table
from posologie.report.browser import read_value
from posologie.report.html import as_html
from posologie.report.names import counted, joined, listed
from posologie.report.tables import NOTHING, decimal, interval
from posologie.running.errors import InputError
from posologie.running.installed import __version__

ROWS_SHOWN = 200
"""Rows of one table on the page; the others are counted, and `posologie compare --json` has them."""
ITEMS_SHOWN = 500

Documents = tuple[tuple[dict[str, Any], str] | None, tuple[dict[str, Any], str] | None]


def comparison_page(
    a: Path,
    b: Path,
    settings: Sequence[Mapping[str, Any]],
    tables: Sequence[PairedTable],
    documents: Documents,
    file: Path,
) -> str:
    """Return the page on two studies as HTML.

    Args:
        a, b: their folders.
        settings: what differs in their run records (`posologie.cli.comparison.settings`).
        documents: their study files, and where these lie; None where one is not known.
        file: where the page will lie, from which its links lead into the two reports.
    """
    models, items = compared_answers(a, b)
    studies = _study_files(documents, a, b)
    sections = (
        Section(
            "short",
            "In short",
            (
                Prose(
                    _in_short(a, b, settings, tables=tables, documents=documents, models=models, items=items), "answer"
                ),
            ),
        ),
        Section("files", "The study files", studies),
        Section("settings", "Specs, code and versions", _settings(settings)),
        *_table_sections(tables),
        Section("items", "Items with another answer", tuple(_items(a, b, models, items, file.parent))),
    )
    return as_html(
        Page(
            title=f"{_name(a)} and {_name(b)} compared",
            subtitle=f"A is {a.as_posix()}, B is {b.as_posix()}",
            sections=sections,
            notices=(),
            footer=f"Made by posologie {__version__} from the files of the two folders; nothing is loaded.",
        )
    )


def _name(root: Path) -> str:
    return root.absolute().name


def _in_short(
    a: Path,
    b: Path,
    settings: Sequence[Mapping[str, Any]],
    tables: Sequence[PairedTable],
    documents: Documents,
    models: Sequence[ComparedModel],
    items: Sequence[ChangedItem],
) -> tuple[str, ...]:
    differing = [table for table in tables if (summary := table.summary)["counts"] and _differs(summary)]
    first = "Specs, code and versions of the runs are the same."
    if settings:
        first = f"{counted(len(settings), 'setting')} of the runs {_verb(len(settings), 'differs', 'differ')}."
    if documents[0] and documents[1]:
        entries = len(differing_entries(documents[0][0], documents[1][0]))
        first = f"The study files differ in {counted(entries, 'key')}. {first}"
    second = (
        f"{len(differing)} of {counted(len(tables), 'table')} {_verb(len(differing), 'differs', 'differ')}: "
        f"{listed([table.name for table in differing], 20)}."
        if differing
        else "No table differs, apart from measured times."
    )
    shared = sum(model.shared for model in models)
    if not shared:
        third = "No model of the same name answered the same item in both studies."
    else:
        gained, lost = sum(model.gained for model in models), sum(model.lost for model in models)
        third = (
            f"Of {counted(shared, 'answer')} by {counted(len({model.model for model in models}), 'model')} that both "
            f"studies have, {sum(model.same for model in models):,} are the same, {gained:,} are right in B alone and "
            f"{lost:,} in A alone; {counted(len(items), 'item')} {_verb(len(items), 'has', 'have')} another answer."
        )
    alone = [
        f"only {side} has {listed(sorted(names), 6)}"
        for side, names in (("A", models_of(a) - models_of(b)), ("B", models_of(b) - models_of(a)))
        if names
    ]
    return (first, second, third, *([f"{_capital(joined(alone))}."] if alone else []))


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _verb(number: int, singular: str, several: str) -> str:
    return singular if number == 1 else several


def _differs(summary: Mapping[str, Any]) -> bool:
    return bool(summary["changed"] or summary["only_a"] or summary["only_b"])


def _study_files(documents: Documents, a: Path, b: Path) -> tuple[Block, ...]:
    document_a, document_b = documents
    if document_a is None or document_b is None:
        lost = joined([root.as_posix() for root, document in ((a, document_a), (b, document_b)) if document is None])
        text = (
            f"The study file of {lost} is not known: the folder of its last run is gone. Name both files with "
            "--studies A.yaml B.yaml to compare them; the next section compares what the artifacts were made from."
        )
        return (Prose((text,)),)
    entries = differing_entries(document_a[0], document_b[0])
    if not entries:
        return (Prose((f"The study files are the same ({document_a[1]}, {document_b[1]}).",)),)
    columns = (Column("key", heading=True), Column("A"), Column("B"))
    caption = f"As resolved: {document_a[1]} and {document_b[1]}. A dash: the file does not have the key."
    rows = [[Cell(text) for text in entry] for entry in entries]
    return (_plain("study-files", "Entries that differ", caption, columns, rows),)


def _plain(name: str, title: str, caption: str, columns: Sequence[Column], rows: Sequence[Sequence[Cell]]) -> Table:
    """Return a table without a file below a study's folder."""
    return Table(f"table-{name}", title, caption, tuple(columns), tuple(tuple(row) for row in rows))


def _settings(settings: Sequence[Mapping[str, Any]]) -> tuple[Block, ...]:
    if not settings:
        return (Prose(("Specs, code and versions are the same in every run record.",)),)
    columns = (Column("setting", heading=True), Column("A"), Column("B"), Column("run records"))
    rows = [
        [Cell(setting["setting"]), Cell(setting["a"]), Cell(setting["b"]), Cell(listed(setting["in"], 3))]
        for setting in settings[:ROWS_SHOWN]
    ]
    caption = "What the adapters, predictions and judgements were made from, by the run records of both studies."
    return (_plain("settings", "Settings that differ", caption + _more(len(settings), ROWS_SHOWN), columns, rows),)


def _more(number: int, shown: int) -> str:
    return f" {shown:,} of {number:,} are shown; posologie compare --json has all." if number > shown else ""


def _table_sections(tables: Sequence[PairedTable]) -> list[Section]:
    """Return the section on tables: one table for each that differs, and a sentence on the others."""
    blocks: list[Block] = []
    same = []
    alone: dict[str, list[str]] = {"A": [], "B": []}
    for table in tables:
        summary = table.summary
        if bool(table.a) != bool(table.b):
            alone["A" if table.a else "B"].append(
                f"{table.name} ({counted(summary['only_a'] + summary['only_b'], 'row')})"
            )
            continue
        if not _differs(summary):
            same.append(table.name)
            continue
        blocks.append(Heading(table.name.replace("_", " ").capitalize()))
        counts = (
            f"{counted(summary['same'], 'row')} the same, {summary['changed']:,} changed, "
            f"{summary['only_a']:,} only in A, {summary['only_b']:,} only in B."
        )
        blocks.append(Prose((counts, *_alone(table), *([_capital(table.problem) + "."] if table.problem else []))))
        if summary["changed"]:
            blocks.append(_differing_rows(table))
    blocks += [Prose((f"Only in {side}: {listed(names, 40)}.",)) for side, names in alone.items() if names]
    if same:
        blocks.append(Prose((f"The same in both studies: {listed(same, 40)}.",)))
    return [Section("tables", "The tables", tuple(blocks))] if blocks else []


def _alone(table: PairedTable) -> list[str]:
    """Return what only one study has rows of: values of the columns that say what a row is about."""
    sentences = []
    for side, own, other in (("A", table.a, table.b), ("B", table.b, table.a)):
        names = {name: {dict(key)[name] for key in own} - {dict(key)[name] for key in other} for name in table.keys}
        parts = [
            f"{name.replace('_', ' ')} {listed(sorted(values), 6)}" for name, values in names.items() if values - {""}
        ]
        if parts:
            sentences.append(f"Only {side} has {'; '.join(parts[:3])}.")
    return sentences


def _differing_rows(table: PairedTable) -> Table:
    """Return the rows that both studies have and that differ, the largest changes of their main number first."""
    changed = [key for key in table.both if _row_differs(table, key)]
    main = _main_column(table, changed)
    changed.sort(key=lambda key: -abs(_change(table, key, main) or 0.0))
    keys = changed[:ROWS_SHOWN]
    telling, fixed = _telling(table.keys, [dict(key) for key in keys])
    columns = (
        Column("row", heading=True), Column(f"{main} in A", number=True), Column(f"{main} in B", number=True),
        Column("B − A", number=True), Column("also changed"),
    )  # fmt: skip
    rows = []
    for key in keys:
        about = dict(key)
        change = _change(table, key, main)
        difference = NOTHING if change is None else Cell(decimal(change, 2, sign=True), sort=change)
        name = " · ".join(about[column] for column in telling if about[column]) or table.name
        rows.append(
            [
                Cell(name),
                _value(table.a[key], main),
                _value(table.b[key], main),
                difference,
                Cell(_also(table, key, main)),
            ]
        )
    caption = (
        "Rows of both studies, where there is one with the interval of each study; the intervals say nothing about "
        "the difference between two studies that share items, draws or adapters."
        f"{f' All rows: {fixed}.' if fixed else ''}{_more(len(changed), len(keys))}"
    )
    return _plain(f"{table.name}-rows", f"{table.name}: rows that differ", caption, columns, rows)


def _telling(names: Sequence[str], rows: Sequence[Mapping[str, str]]) -> tuple[list[str], str]:
    """Return the columns that distinguish rows, without those that an earlier one implies, and the others as a text."""
    telling: list[str] = []
    fixed = []
    for name in names:
        values = {row[name] for row in rows}
        if len(values) < 2:
            fixed += [f"{name.replace('_', ' ')} {value}" for value in values if value]
        elif not any(
            len({(row[other], row[name]) for row in rows}) == len({row[other] for row in rows}) for other in telling
        ):
            telling.append(name)
    return telling, ", ".join(fixed)


def _row_differs(table: PairedTable, key: Key) -> bool:
    row_a, row_b = table.a[key], table.b[key]
    return any(row_a[name] != row_b[name] for name in row_a.keys() & row_b.keys())


def _main_column(table: PairedTable, changed: Sequence[Key]) -> str:
    """Return `value`, or where a table has none the column of numbers that differs in most rows."""
    if any("value" in table.a[key] for key in changed):
        return "value"
    counts = Counter(
        name for key in changed for name in table.a[key] if _change(table, key, name) not in (None, 0.0)
    )  # fmt: skip
    return counts.most_common(1)[0][0] if counts else "value"


def _number(row: Mapping[str, str], column: str) -> float | None:
    try:
        return float(row.get(column, ""))
    except ValueError:
        return None


def _change(table: PairedTable, key: Key, column: str) -> float | None:
    value_a, value_b = _number(table.a[key], column), _number(table.b[key], column)
    return None if value_a is None or value_b is None else value_b - value_a


def _value(row: Mapping[str, str], column: str) -> Cell:
    value = _number(row, column)
    if value is None:
        return NOTHING
    between = interval(_number(row, "low"), _number(row, "high"), 2) if column == "value" else ""
    return Cell(decimal(value, 2), sort=value, interval=between, copy=row[column])


def _also(table: PairedTable, key: Key, main: str) -> str:
    """Return the other cells that differ, but not the interval that stands beside the value."""
    row_a, row_b = table.a[key], table.b[key]
    shown = {main, "low", "high"}
    names = [name for name in row_a if name in row_b and name not in shown and row_a[name] != row_b[name]]
    texts = [f"{name.replace('_', ' ')}: {row_a[name] or '–'} → {row_b[name] or '–'}" for name in names[:4]]
    return "; ".join([*texts, *([f"and {len(names) - 4} more"] if len(names) > 4 else [])])


def _items(
    a: Path, b: Path, models: Sequence[ComparedModel], items: Sequence[ChangedItem], folder: Path
) -> list[Block]:
    if not models:
        return [Prose(("No model of the same name answered a suite of the same name in both studies.",))]
    columns = [Column("model", heading=True), Column("suite")]
    names = ("shared", "same", "gained", "lost", "other", "only_a", "only_b")
    titles = (
        "items in both",
        "same answer",
        "right in B alone",
        "right in A alone",
        "other change",
        "only A",
        "only B",
    )
    columns += [Column(title, number=True) for title in titles]
    rows = []
    for model in models:
        counts = [getattr(model, name) for name in names]
        rows.append(
            [Cell(model.model), Cell(model.suite), *(Cell(f"{count:,}", sort=float(count)) for count in counts)]
        )
    caption = (
        "Answers to choice questions under constraint, in the item's own order of options; to open questions the "
        "texts, which are neither right nor wrong."
    )
    blocks: list[Block] = [_plain("models", "Answers by model", caption, columns, rows)]
    if not items:
        return [*blocks, Prose(("Every answer that both studies have is the same.",))]
    pages = [_Report(root, folder) for root in (a, b)]
    columns = [Column("item", heading=True), Column("suite"), Column("question"), Column("models", number=True)]
    columns += [Column("answers, A → B"), Column("in A"), Column("in B")]
    rows = []
    for item in items[:ITEMS_SHOWN]:
        links = [Cell("item", link=link) if (link := page.link(item)) else NOTHING for page in pages]
        question = next((text for page in pages if (text := page.questions.get(item.item))), "")
        rows.append(
            [
                Cell(item.item), Cell(f"{item.suite} / {item.benchmark}"), Cell(question),
                Cell(str(len(item.models)), sort=float(len(item.models))), Cell(_changes_text(item)), *links,
            ]
        )  # fmt: skip
    caption = "Items on which most models changed come first." + _more(len(items), ITEMS_SHOWN)
    return [*blocks, _plain("items", "Items with another answer", caption, columns, rows)]


def _changes_text(item: ChangedItem) -> str:
    texts = [] if item.gold is None else [f"the right answer itself: {item.gold[0]} → {item.gold[1]}"]
    texts += [f"{model}: {_short(left)} → {_short(right)}" for model, (left, right) in list(item.models.items())[:4]]
    return "; ".join([*texts, *([f"and {len(item.models) - 4} more"] if len(item.models) > 4 else [])])


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 60 else line[:60] + "…"


class _Report:
    """The report of a study, as far as a link into it needs it."""

    def __init__(self, root: Path, folder: Path) -> None:
        page = root / "report" / "index.html"
        way = Path(os.path.relpath(page.absolute(), folder.absolute())).as_posix()
        self.page = quote(way) if page.is_file() else ""
        self.questions: dict[str, str] = {}
        index = root / "report" / "items" / "index.js"
        try:
            [facts] = read_value(index, "index") if index.is_file() else [{"ids": [], "beginnings": []}]
            self.questions = dict(zip(facts["ids"], facts["beginnings"], strict=True))
        except (InputError, KeyError, ValueError):
            self.page = ""  # an index of another version: no link is better than one that leads nowhere

    def link(self, item: ChangedItem) -> str:
        """Return the link to an item; empty where the report has none."""
        return f"{self.page}#{urlencode({'item': item.item})}" if self.page and item.item in self.questions else ""
