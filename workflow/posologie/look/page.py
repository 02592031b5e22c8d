"""The facts as pages, before any HTML or terminal: one about all sources, and one about each."""

from collections.abc import Mapping, Sequence
from typing import Any

from posologie.look import sections
from posologie.look.doubts import PROBLEM, columns_of, mixes, of_tasks, percent, taken_cells, takes
from posologie.look.sections import TASKS, other
from posologie.report.blocks import Block, Cell, Notice, Page, Prose, Section, Table
from posologie.report.tables import NOTHING, number_cell, table
from posologie.running.installed import __version__

_ON_INDEX = 4


def pages(facts: Mapping[str, Any]) -> list[Page]:
    """Return the page about all sources, and then one for each of them."""
    return [index_page(facts), *(source_page(facts, name) for name in facts["sources"])]


def index_page(facts: Mapping[str, Any]) -> Page:
    """Return the page about all sources."""
    parts = [
        Section("sources", "Sources", (_overview(facts),)),
        _all_twins(facts),
        _all_mixes(facts),
        Section("method", "How this was counted", (Prose(_method()),)),
    ]
    return _page(facts, None, [section for section in parts if section is not None], _all_doubts(facts))


def source_page(facts: Mapping[str, Any], name: str) -> Page:
    """Return the page about one source."""
    source = facts["sources"][name]
    here = {split: shard for split, shard in source["splits"].items() if shard is not None}
    parts = [
        Section("short", "In short", tuple(sections.short(source, here))),
        Section("items", "Items as the model sees them", tuple(sections.examples(facts, source))),
        Section("reading", "How the files were read", tuple(sections.reading(here))),
        Section("rejects", "Rejected records", tuple(sections.rejects(here))),
        Section("keys", "Right answers", tuple(sections.keys(here))),
        Section("texts", "Lengths, languages, groups", tuple(sections.texts(source, here))),
        Section("twins", "Twins", tuple(sections.twins(facts, name))),
        Section("mixes", "What mixes take", tuple(mixes(facts, name))),
    ]
    return _page(facts, name, parts, _notices(source["doubts"]))


def _page(facts: Mapping[str, Any], name: str | None, parts: Sequence[Section], notices: Sequence[Notice]) -> Page:
    others = [("All sources", "index.html"), *((source, f"{source}.html") for source in facts["sources"])]
    count = len(facts["sources"])
    title = facts["title"] or f"study {facts['study']}"
    return Page(
        title=f"A look at {name}" if name else f"A look at the data of {title}",
        subtitle=f"Source {name} of study {facts['study']}, before anything is trained"
        if name
        else f"Study {facts['study']}: {count} source{'s' if count != 1 else ''}, before anything is trained",
        sections=tuple(section for section in parts if section.blocks),
        notices=tuple(notices),
        footer=f"Made by posologie {__version__} from the shards of results/{facts['study']}; nothing is loaded.",
        others=tuple(others),
        file=f"{name}.html" if name else "index.html",
    )


def _notices(doubts: Sequence[Mapping[str, str]]) -> list[Notice]:
    problems = tuple(doubt["text"] for doubt in doubts if doubt["state"] == PROBLEM)
    others = tuple(doubt["text"] for doubt in doubts if doubt["state"] != PROBLEM)
    titled = (("What has to be fixed", problems), ("What to look at before these data are used", others))
    return [Notice(title, points) for title, points in titled if points]


def _all_doubts(facts: Mapping[str, Any]) -> list[Notice]:
    gathered = list(facts["doubts"])
    for name, source in facts["sources"].items():
        ordered = sorted(source["doubts"], key=lambda doubt: doubt["state"] != PROBLEM)
        gathered += [{**doubt, "text": f"{name}: {doubt['text']}"} for doubt in ordered[:_ON_INDEX]]
        if (more := len(ordered) - _ON_INDEX) > 0:
            gathered.append({"state": "warning", "text": f"{name}: {more} more on its page."})
    return _notices(gathered)


def _overview(facts: Mapping[str, Any]) -> Table:
    columns = columns_of("source*", "split", "read#", "items#", "rejected#", "groups#", "doubts#", "language", "tasks")
    rows = []
    for name, source in facts["sources"].items():
        for split, shard in source["splits"].items():
            link = Cell(name, link=f"{name}.html")
            if shard is None:
                rows.append((link, Cell(split), *[NOTHING] * 5, NOTHING, Cell("not read yet")))
                continue
            numbers = [shard["read"], shard["items"], shard["rejected"], shard["groups"]["groups"]]
            tasks = ", ".join(f"{number:,} {TASKS[task]}" for task, number in shard["tasks"].items())
            counted = [number_cell(number) for number in (*numbers, len(source["doubts"]))]
            rows.append((link, Cell(split), *counted, Cell(_language(shard)), Cell(tasks)))
    caption = "Records read and items kept, by source and split; doubts are about the whole source."
    return table("sources", "What each source holds", caption, columns, rows)


def _language(shard: Mapping[str, Any]) -> str:
    languages = shard["languages"]
    shown = [f"{name} {percent(number, languages['identified'])}" for name, number in languages["items"].items()]
    return ", ".join(shown[:2]) if shown else "–"


def _all_twins(facts: Mapping[str, Any]) -> Section | None:
    rows = [
        (
            Cell(f"{entry['source']}, {entry['split']}"),
            Cell(other(entry, entry["source"])),
            number_cell(entry["items"]),
        )
        for entry in facts["twins"]["pairs"]
    ]
    rows += [
        (
            Cell(f"{entry['source']}, {entry['split']}"),
            Cell(f"tested by suite {entry['suite']}"),
            number_cell(entry["items"]),
        )
        for entry in facts["twins"]["tests"]
    ]
    caption = (
        f"Among {facts['twins']['items']:,} items: the same question, context and options, regardless of order, "
        "case, accents and punctuation. Similar texts are on the pages of the sources."
    )
    if not rows:
        return Section(
            "twins", "Twins", (Prose((f"No two of {facts['twins']['items']:,} items have the same text.",)),)
        )
    columns = columns_of("items of*", "have the same text as", "items#")
    return Section("twins", "Twins", (table("twins", "The same texts", caption, columns, rows),))


def _all_mixes(facts: Mapping[str, Any]) -> Section | None:
    rows = []
    for mix, quotas in facts["mixes"].items():
        if quotas["problem"]:
            rows.append((Cell(mix), Cell(quotas["problem"]), *[NOTHING] * 8))
        rows += [
            (Cell(mix), Cell(source), *taken_cells(facts, source, part))
            for part in quotas["parts"]
            for source in part["held"]
        ]
    if not rows:
        return None
    blocks: list[Block] = [table("mixes", "What each mix takes of each source", of_tasks(facts), takes("source"), rows)]
    strata = [
        (
            Cell(mix),
            Cell(stratum["source"]),
            Cell(stratum["stratum"]),
            *(number_cell(stratum[key]) for key in ("held", "asked", "taken")),
        )
        for mix, quotas in facts["mixes"].items()
        for stratum in quotas["strata"]
        if stratum["asked"] != stratum["taken"]
    ]
    if strata:
        columns = columns_of("mix*", "source", "stratum", "held#", "requested#", "taken#")
        blocks.append(table("strata", "Strata that differ from the request", "", columns, strata))
    return Section("mixes", "What mixes take", tuple(blocks))


def _method() -> tuple[str, ...]:
    return (
        "Everything here is counted in the shards. Languages and lengths in tokens are those of a sample of at most "
        "500 items of a split, the ones with the smallest ids; all other numbers are over all items.",
        "A doubt is a reason to look, not a verdict: it is listed at the top if a share or a pattern is unusual. "
        "The numbers behind it are on the page of the source.",
    )
