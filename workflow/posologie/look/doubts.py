"""What gives reason to doubt the data, and what to take from it: the sentences at the beginning of a page."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from posologie.look.shards import quoted
from posologie.records.items import LABELS
from posologie.report.blocks import Block, Cell, Column, Prose
from posologie.report.tables import NOTHING, number_cell, table

REJECTED_TOO_MANY, REJECTED_MANY = 0.2, 0.01
PROBLEM, WARNING = "problem", "warning"


def with_doubts(facts: dict[str, Any]) -> dict[str, Any]:
    """Return the facts with the doubts about each source (`sources.{name}.doubts`) and about the study (`doubts`)."""
    for name, source in facts["sources"].items():
        source["doubts"] = [_doubt(state, text) for state, text in _of_source(facts, name, source)]
    facts["doubts"] = [_doubt(state, text) for state, text in _of_study(facts)]
    return facts


def _doubt(state: str, text: str) -> dict[str, str]:
    return {"state": state, "text": text}


def count(number: int, noun: str) -> str:
    """Return a number with its noun: `1 item`, `2,171 items`."""
    return f"{number:,} {noun if number == 1 else noun + 's'}"


def percent(part: float, whole: float) -> str:
    """Return a share in percent that is never rounded to nothing or to everything."""
    if not part or not whole:
        return "0 %"
    share = 100 * part / whole
    text = f"{share:.0f}" if share >= 10 else f"{share:.1f}"
    if text == "0.0" or (part < whole and text == "100"):
        return "less than 0.1 %" if part < whole / 2 else "more than 99 %"
    return f"{text} %"


def _of_source(facts: dict[str, Any], name: str, source: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for split, shard in source["splits"].items():
        if shard is None:
            yield WARNING, f"The {split} split is not read yet, so this page does not cover it."
            continue
        yield from _rejected(split, shard)
        yield from _reading(split, shard)
        yield from _keys(split, shard)
        yield from _languages(facts, source, split, shard)
        yield from _texts(split, shard)
    yield from _twins(facts, name, source)
    tokens = source["tokens"]
    if tokens and tokens["too_long"]:
        yield (
            WARNING,
            f"{tokens['too_long']:,} of {count(tokens['sampled'], 'sampled item')} of the {tokens['split']} split are "
            f"longer than training.recipe.max_length ({facts['max_length']:,} tokens): training cuts their context, or "
            "leaves them out if that is not enough.",
        )
    uses = [mix for mix, quotas in facts["mixes"].items() for part in quotas["parts"] if part["taken"].get(name)]
    tested = any(f"{name}/{split}" in places for places in facts["tested"].values() for split in source["splits"])
    known = all(mix["problem"] is None for mix in facts["mixes"].values())
    if source["described"].get("mixed", True) and not uses and not tested and known:
        yield WARNING, "No mix draws from this source, and no suite tests on it."


def _rejected(split: str, shard: dict[str, Any]) -> Iterator[tuple[str, str]]:
    read, rejected = shard["read"], shard["rejected"]
    if not shard["items"]:
        yield PROBLEM, f"The {split} split holds no item: {count(read or 0, 'record')} read, all of them rejected."
    elif read and rejected and rejected >= REJECTED_MANY * read:
        first = shard["rejects"][0] if shard["rejects"] else None
        why = f", most often because of {quoted(first['reason'])} ({first['records']:,})" if first else ""
        state = PROBLEM if rejected > REJECTED_TOO_MANY * read else WARNING
        records = f"{rejected:,} of {count(read, 'record')} of the {split} split"
        yield state, f"{records} ({percent(rejected, read)}) were rejected{why}."


def _reading(split: str, shard: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for text in stated_doubts(shard["reading"]):
        if " records rejected: " not in text:  # said in one sentence for all reasons
            yield WARNING, f"The files of the {split} split: {text}"
    for what, number in (shard["reading"].get("repeated_ids") or {}).items():
        yield (
            WARNING,
            f"{count(number, 'item')} of the {split} split had the id of another one ({what}) and got a new one.",
        )
    groups = shard["groups"]
    if _warns(shard):
        return
    if shard["items"] >= 20 and groups["largest"] > shard["items"] / 2:
        yield (
            WARNING,
            f"{groups['largest']:,} of {count(shard['items'], 'item')} of the {split} split are one group "
            f"({quoted(str(groups['largest_name']))}); a value that stands for “none” may have been read as a case.",
        )
    for prefix, number in shard["prefixes"].items():
        if number >= 0.05 * shard["items"]:
            yield (
                WARNING,
                f"{percent(number, shard['items'])} of the questions of the {split} split begin like {quoted(prefix)}, "
                "and the others do not.",
            )


def _warns(shard: dict[str, Any]) -> bool:
    """Return whether the shard's report has warnings of its own, which are not repeated in other words."""
    evidence = shard["reading"].get("evidence")
    return isinstance(evidence, dict) and "warnings" in evidence


def stated_doubts(reading: Any) -> Iterator[str]:
    """Yield the sentences that a shard's report calls doubts or warnings, wherever they stand."""
    if isinstance(reading, dict):
        for key, value in reading.items():
            if key in ("doubt", "doubts", "warning", "warnings"):
                for text in value if isinstance(value, list) else [value]:
                    if isinstance(text, str) and text:
                        yield text if text.endswith((".", "!", "?")) else f"{text}."
            else:
                yield from stated_doubts(value)
    elif isinstance(reading, list):
        for value in reading:
            yield from stated_doubts(value)


def _keys(split: str, shard: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for entry in shard["keys"]:
        items, options, labels = entry["items"], entry["options"], entry["labels"]
        equal, whole = items / options, sum(labels)
        if entry["task"] != "mcqu":
            continue
        questions = f"{count(items, 'single-answer question')} with {options} options in the {split} split"
        if (
            not _warns(shard)
            and equal >= 20
            and (never := [LABELS[index] for index, number in enumerate(labels) if not number])
        ):
            yield WARNING, f"{' and '.join(never)} is never the right answer of {questions}."
        largest = max(labels)
        deviation = (largest - equal) / math.sqrt(items / options * (1 - 1 / options))
        if items >= 50 and largest >= 1.5 * equal and deviation > 4:
            label = LABELS[labels.index(largest)]
            nearly = "nearly always " if largest >= 0.8 * whole else ""
            yield (
                WARNING,
                f"{label} is {nearly}the right answer of {questions}: {percent(largest, whole)}, where equal shares "
                f"are {percent(1, options)}. A model that always says {label} would be right that often.",
            )


def _languages(
    facts: dict[str, Any], source: dict[str, Any], split: str, shard: dict[str, Any]
) -> Iterator[tuple[str, str]]:
    languages = shard["languages"]
    if languages["identified"] < 10:
        return
    evidence = shard["reading"].get("evidence")
    declared = (evidence.get("languages") or {}).get("declared") if isinstance(evidence, dict) else None
    (main, most), *others = languages["items"].items()
    rest = languages["identified"] - most
    if rest >= 0.05 * languages["identified"] and declared is None:
        named = ", ".join(f"{language} {number}" for language, number in others[:4])
        share = f"{percent(rest, languages['identified'])} of {languages['identified']:,} sampled items"
        yield (
            WARNING,
            f"{share} of the {split} split are in a language other than the most frequent one ({main}): {named}.",
        )
    if main != facts["language"] and declared is None and source["described"].get("mixed", True):
        stated = f"report.language is “{facts['language']}”"
        if facts["language"] == "und":
            stated = f"the study names no language; add `language: {main}`"
        yield (WARNING, f"The items of the {split} split are mostly in the language “{main}”, and {stated}.")


def _texts(split: str, shard: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for kind, fault in shard["texts"].items():
        items = f"{count(fault['items'], 'item')} of the {split} split ({percent(fault['items'], shard['items'])})"
        yield WARNING, f"{items}: {kind}, as in {quoted(fault['example'], 100)}."
    alike = shard["options_alike"]
    if alike["right_and_wrong"]:
        items = f"{count(alike['right_and_wrong'], 'item')} of the {split} split"
        yield WARNING, f"{items}: the same text is both a right and a wrong option, as in {quoted(alike['example'])}."


def _twins(facts: dict[str, Any], name: str, source: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for entry in facts["twins"]["other_answer"]:
        if entry["source"] == name:
            items = f"{count(entry['items'], 'item')} of the {entry['split']} split"
            yield WARNING, f"{items}: another item has the same text but a different right answer."
    removed = facts["against"] if facts["screening_mode"] == "remove" else []
    for entry in facts["twins"]["tests"]:
        trained = entry["source"] == name and entry["split"] == "train" and source["described"].get("mixed", True)
        if trained and entry["suite"] not in removed:
            yield (
                WARNING,
                f"{count(entry['items'], 'training item')}: the suite {entry['suite']} tests on an item with the same "
                "text, and screening does not remove them; list the suite in screening.against, with mode: remove.",
            )


def _of_study(facts: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for name, mix in facts["mixes"].items():
        if mix["problem"] is not None:
            unknown = mix["problem"].startswith("not known yet")
            yield WARNING if unknown else PROBLEM, f"Mix {name}: {mix['problem']}."
        for part in mix["parts"]:
            if not part["asked"]:
                yield WARNING, f"Mix {name}: the part {part['part']} gets no item at all."
    missing = [
        name for name, source in facts["sources"].items() if all(shard is None for shard in source["splits"].values())
    ]
    if missing:
        yield WARNING, f"Not read yet: {', '.join(missing)}."


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
        report["by"]
        for source in facts["sources"].values()
        for split, report in source["screening"].items()
        if split == "train"
    ]
    stage = "" if screened and all(screened) else " Not all sources are screened yet: screening may remove more."
    return f"Nothing is drawn here; the draw will use these numbers.{stage}"


def mixes(facts: Mapping[str, Any], name: str) -> Iterator[Block]:
    """Yield what each mix takes of a source."""
    rows = [
        (Cell(mix), Cell(part["part"]), *taken_cells(facts, name, part))
        for mix, quotas in facts["mixes"].items()
        for part in quotas["parts"]
        if name in part["held"]
    ]
    if rows:
        yield table("takes", "What each mix takes of this source", of_tasks(facts), takes("as part of"), rows)
    elif any(mix["problem"] for mix in facts["mixes"].values()):
        yield Prose(("Not known while a mix cannot be filled; the page about all sources says why.",))
    else:
        yield Prose(("No mix draws from this source.",))
