"""The sections of a source's page: what its facts say, as tables and sentences."""

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from posologie.look.doubts import columns_of, share
from posologie.records.items import LABELS
from posologie.report.blocks import Block, Cell, Facts, Prompt, Prose, Source
from posologie.report.names import sentence
from posologie.report.tables import NOTHING, number_cell, table

TASKS = {"mcqu": "one right answer", "mcq": "several right answers", "oeq": "open", "preference": "pair of answers"}
_KNOWN_READING = ("files", "repaired", "repeated_ids", "of_other_splits")


def short(source: Mapping[str, Any], here: Mapping[str, Any]) -> Iterator[Block]:
    """Yield where a source comes from, and its splits."""
    described = source["described"]
    known = {
        "provenance": "component",
        "reader": "reader",
        "hub": "on the hub",
        "revision": "revision",
        "path": "folder",
        "from": "made by",
    }
    shown = [(title, str(described[key])) for key, title in known.items() if key in described]
    if "hub" not in described:
        shown = [entry for entry in shown if entry[0] != "revision"]
    if not described.get("mixed", True):
        shown.append(("use", "raw material: no mix draws from it"))
    if described.get("options"):
        shown.append(("options", json.dumps(described["options"], ensure_ascii=False)))
    yield Facts(tuple(shown))
    columns = columns_of("split*", "read#", "items#", "rejected#", "repaired#", "tasks", "options")
    rows = []
    for split, shard in source["splits"].items():
        if shard is None:
            rows.append((Cell(split), *[NOTHING] * 4, Cell("not read yet"), NOTHING))
            continue
        tasks = ", ".join(f"{number:,} {TASKS[task]}" for task, number in shard["tasks"].items())
        options = ", ".join(f"{number:,} with {options}" for options, number in shard["options"].items())
        repaired = sum((shard["reading"].get("repaired") or {}).values())
        counted = (number_cell(shard["read"]), number_cell(shard["items"]), number_cell(shard["rejected"]))
        rows.append((Cell(split), *counted, number_cell(repaired), Cell(tasks), Cell(options or "–")))
    if rows and here:
        yield table("splits", "Splits", "Every record that was read is an item or a reject.", columns, rows)


def examples(facts: Mapping[str, Any], source: Mapping[str, Any]) -> Iterator[Block]:
    """Yield a few items in the form in which the model reads them."""
    if not source["examples"]:
        return
    form = (
        f"in the chat template of {facts['backbone']}"
        if facts["chat_template"]
        else "as plain turns: the backbone is not fetched yet, so its chat template is not shown"
    )
    split = source["examples"][0]["split"]
    yield Prose(
        (
            f"{len(source['examples'])} items of the {split} split, chosen by the hash of their ids, {form}. The right "
            "options are marked; the last line is what the model learns to answer.",
        )
    )
    for item in source["examples"]:
        tokens = f", {item['tokens']:,} tokens" if item["tokens"] is not None else ""
        title = f"Item {item['id']}, {TASKS[item['task']]}{tokens}"
        yield Prompt(title, tuple((piece["kind"], piece["text"]) for piece in item["pieces"]))


def reading(here: Mapping[str, Any]) -> Iterator[Block]:
    """Yield what the reports of the shards say of the files: all of it, whatever keys they have."""
    rows = [
        (Cell(split), Cell(name), number_cell(counts.get("read")), number_cell(counts.get("kept")))
        for split, shard in here.items()
        for name, counts in (shard["reading"].get("files") or {}).items()
        if isinstance(counts, dict)
    ]
    columns = columns_of("split*", "file", "read#", "items#")
    if rows:
        yield table("files", "Files", "Records read and items kept from each file.", columns, rows)
    repaired = [
        (Cell(split), Cell(kind), number_cell(number), share(number, shard["items"]))
        for split, shard in here.items()
        for kind, number in sorted((shard["reading"].get("repaired") or {}).items())
    ]
    if repaired:
        columns = columns_of("split*", "repair", "items#", "share#")
        caption = "Texts that cleaning changed; the record keeps the original."
        yield table("repairs", "Repairs", caption, columns, repaired)
    stated = {split: dict(_flat(_beside_counts(shard["reading"]))) for split, shard in here.items()}
    names = list(dict.fromkeys(name for values in stated.values() for name in values))
    if names:
        lines = [(Cell(name), *(Cell(stated[split].get(name, "–")) for split in here)) for name in names]
        caption = "Everything in the reports of the shards except the counts; their warnings are at the top."
        yield table("reports", "What the reports say", caption, columns_of("what*", *here), lines)
    silent = [split for split, values in stated.items() if not values]
    if silent:
        yield Prose(
            (
                f"The reports of the shards ({', '.join(silent)}) do not mention dialect, encoding or the "
                "base from which right answers are counted.",
            )
        )


def _beside_counts(reading: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a report says beside counts that other tables show, and beside warnings, which stand at the top."""
    more = {key: value for key, value in reading.items() if key not in _KNOWN_READING}
    if isinstance(more.get("evidence"), dict):
        more["evidence"] = {key: value for key, value in more["evidence"].items() if key not in ("keys", "warnings")}
    for name, facts in (reading.get("files") or {}).items():
        if isinstance(facts, dict):
            more[name] = {key: value for key, value in facts.items() if key not in ("read", "kept")}
    return more


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Yield what a report holds as names and values, whatever its form."""
    if isinstance(value, dict) and value:
        for key, inside in sorted(value.items()):
            yield from _flat(inside, f"{name} · {_words(key)}" if name else _words(key))
    elif isinstance(value, list):
        if value:
            yield (
                name,
                ", ".join(
                    json.dumps(member, ensure_ascii=False) if isinstance(member, dict | list) else str(member)
                    for member in value
                ),
            )
    elif value not in (None, "", {}):
        yield name, f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)


def _words(key: str) -> str:
    return key.replace("_", " ") if "/" not in key and "." not in key else key


def rejects(here: Mapping[str, Any]) -> Iterator[Block]:
    """Yield the reasons of the rejects, and examples of each."""
    rows = [
        (Cell(reject["reason"]), Cell(split), number_cell(reject["records"]), share(reject["records"], shard["read"]))
        for split, shard in here.items()
        for reject in shard["rejects"]
    ]
    if not rows:
        yield Prose(("No record was rejected.",))
        return
    columns = columns_of("reason*", "split", "records#", "of those read#")
    yield table("reasons", "Reasons", "Examples of each are below.", columns, rows)
    for split, shard in here.items():
        for reject in shard["rejects"]:
            examples = "\n\n".join(
                f"{record['file']}, row {record['row']}: {record['detail']}\n{record['record']}"
                for record in reject["examples"]
            )
            yield Source(f"{sentence(reject['reason'])} ({split})", examples)


def keys(here: Mapping[str, Any]) -> Iterator[Block]:
    """Yield how often each label is right."""
    entries = [(split, entry) for split, shard in here.items() for entry in shard["keys"]]
    if not entries:
        yield Prose(("This source has no choice question.",))
        return
    labels = LABELS[: max(entry["options"] for _, entry in entries)]
    rows = []
    for split, entry in entries:
        shares = [share(number, entry["items"]) for number in entry["labels"]]
        empty = [NOTHING] * (len(labels) - len(shares))
        questions = Cell(f"{TASKS[entry['task']]}, {entry['options']} options")
        rows.append((Cell(split), questions, number_cell(entry["items"]), *shares, *empty))
    columns = columns_of("split*", "questions", "items#", *(f"{label}#" for label in labels))
    caption = (
        "The share of questions in which each label is right, by number of options. On questions with one right"
        " answer, "
        "a model that always gives the most frequent label scores that label's share."
    )
    yield table("keys", "Balance of the right answers", caption, columns, rows)
    several = [
        (Cell(number), Cell(split), number_cell(items), share(items, sum(shard["right_options"].values())))
        for split, shard in here.items()
        for number, items in shard["right_options"].items()
    ]
    if several:
        columns = columns_of("right options*", "split", "items#", "share#")
        yield table("several", "Questions with several right answers", "", columns, several)


def texts(source: Mapping[str, Any], here: Mapping[str, Any]) -> Iterator[Block]:
    """Yield lengths, languages, groups, and what in texts looks wrong."""
    yield from _lengths(source, here)
    yield from _languages(here)
    yield Facts(
        tuple(
            (
                f"groups, {split}",
                f"{shard['groups']['groups']:,}; {shard['groups']['items_in_shared_groups']:,} items share theirs; the "
                f"largest has {shard['groups']['largest']:,}",
            )
            for split, shard in here.items()
        )
    )
    yield from _faults(here)


def _lengths(source: Mapping[str, Any], here: Mapping[str, Any]) -> Iterator[Block]:
    quantiles = ("min", "5%", "50%", "95%", "max")
    rows = [
        (
            Cell(name),
            Cell(split),
            number_cell(lengths["texts"]),
            *(number_cell(lengths["quantiles"].get(quantile)) for quantile in quantiles),
        )
        for split, shard in here.items()
        for name, lengths in shard["lengths"].items()
    ]
    columns = columns_of("text*", "split", "texts#", "min#", "5%#", "median#", "95%#", "max#")
    if rows:
        yield table("lengths", "Lengths in characters", "Texts that are not empty.", columns, rows)
    if tokens := source["tokens"]:
        median, high, longest = (tokens["quantiles"].get(quantile, 0) for quantile in ("50%", "95%", "max"))
        yield Prose(
            (
                f"In tokens, as whole examples, {tokens['sampled']:,} sampled items of the {tokens['split']} split: "
                f"median {median:,}, 95 % below {high:,}, longest {longest:,}.",
            )
        )


def _languages(here: Mapping[str, Any]) -> Iterator[Block]:
    rows = [
        (
            Cell(language),
            Cell(split),
            number_cell(number),
            share(number, shard["languages"]["identified"]),
            Cell(shard["languages"]["examples"].get(language, "")),
        )
        for split, shard in here.items()
        for language, number in shard["languages"]["items"].items()
    ]
    if rows:
        columns = columns_of("language*", "split", "items#", "share#", "example of the rarer ones")
        n = ", ".join(
            f"{shard['languages']['identified']:,} of {shard['languages']['sampled']:,} ({split})"
            for split, shard in here.items()
        )
        caption = (
            f"Identified in sampled items that are long enough: {n}. Short texts and names can mislead the identifier."
        )
        yield table("languages", "Languages", caption, columns, rows)


def _faults(here: Mapping[str, Any]) -> Iterator[Block]:
    rows = [
        (Cell(kind), Cell(split), number_cell(fault["items"]), Cell(fault["example"]))
        for split, shard in here.items()
        for kind, fault in shard["texts"].items()
    ]
    for split, shard in here.items():
        alike = shard["options_alike"]
        if alike["items"]:
            rows.append((Cell("two options alike"), Cell(split), number_cell(alike["items"]), Cell(alike["example"])))
        rows += [
            (Cell(f"questions begin like “{prefix}”"), Cell(split), number_cell(number), NOTHING)
            for prefix, number in shard["prefixes"].items()
        ]
        rows += [
            (Cell(f"marked as {_words(name)}"), Cell(split), number_cell(number), NOTHING)
            for name, number in shard["marked"].items()
        ]
    if rows:
        columns = columns_of("what*", "split", "items#", "example")
        yield table("faults", "What texts hold", "Counted in all items.", columns, rows)
    if any(shard["keys"] and not shard["marked"] for shard in here.values()):
        looked = all("position_dependent" in (shard["reading"].get("evidence") or {}) for shard in here.values())
        none = "No option is marked as depending on the position of the others (“all of the above”)"
        yield Prose(
            (f"{none}." if looked else f"{none}, and the reports do not say whether such options were searched for.",)
        )


def twins(facts: Mapping[str, Any], name: str) -> Iterator[Block]:
    """Yield the items with the same text, and what screening finds."""
    pairs = [entry for entry in facts["twins"]["pairs"] if entry["source"] == name]
    rows = [
        (Cell(entry["split"]), Cell(other(entry, name)), number_cell(entry["items"]))
        for entry in sorted(pairs, key=lambda entry: (entry["with_source"] != name, -entry["items"]))
    ]
    rows += [
        (Cell(entry["split"]), Cell(f"items that the suite {entry['suite']} tests on"), number_cell(entry["items"]))
        for entry in facts["twins"]["tests"]
        if entry["source"] == name
    ]
    rows += [
        (
            Cell(entry["split"]),
            Cell("the same text with a different right answer, anywhere"),
            number_cell(entry["items"]),
        )
        for entry in facts["twins"]["other_answer"]
        if entry["source"] == name
    ]
    if rows:
        columns = columns_of("split*", "have the same text as", "items#")
        caption = "The same question, context and options, regardless of order, case, accents and punctuation."
        yield table("twins", "The same texts", caption, columns, rows)
        yield from _pairs(facts["twins"]["examples"].get(name, ()))
    else:
        yield Prose(("No two items have the same text, in this source or across sources.",))
    yield from _screening(facts["sources"][name]["screening"], facts["screening_mode"])


def other(entry: Mapping[str, Any], name: str) -> str:
    """Return what a split has texts in common with, as seen from the source."""
    if entry["with_source"] != name:
        return f"{entry['with_source']}, {entry['with_split']}"
    return (
        "an earlier item of the split" if entry["with_split"] == entry["split"] else f"the {entry['with_split']} split"
    )


def _pairs(examples: Sequence[Mapping[str, Any]]) -> Iterator[Block]:
    rows = []
    for pair in examples:
        two = [f"{item['source']}/{item['split']} {item['id']}: {' + '.join(item['right'])}" for item in pair["items"]]
        rows.append((Cell(pair["kind"]), Cell(pair["question"]), *(Cell(text) for text in two)))
    if rows:
        columns = columns_of("twin*", "question", "one, with its right answer", "the other")
        yield table("pairs", "Examples of twins", "", columns, rows)


def _screening(reports: Mapping[str, Any], mode: str) -> Iterator[Block]:
    rows = []
    waiting = []
    for split, report in reports.items():
        if report["by"] is None:
            waiting.append(f"The {split} split is not screened yet ({report['reason']}): `snakemake mixes` does it.")
            continue
        counted = {"in the split": report.get("within", {})}
        counted |= {f"source {name}": kinds for name, kinds in report.get("across", {}).items()}
        counted |= {f"suite {name}": kinds for name, kinds in report.get("suites", {}).items()}
        for place, kinds in counted.items():
            if kinds.get("items"):
                rows.append(
                    (
                        *(Cell(place), Cell(split), number_cell(kinds["items"])),
                        *(number_cell(kinds.get(kind, 0)) for kind in ("exact", "near", "case", "group")),
                    )
                )
        removed, remaining = report.get("removed", 0), report.get("kept", 0)
        waiting.append(
            f"Screening (mode {mode}) of the {split} split removes {removed:,} items, and {remaining:,} stay."
        )
    if rows:
        columns = columns_of("found against*", "split", "items#", "same text#", "similar#", "same case#", "same group#")
        caption = "Items with at least one match, as the study's screening counts them."
        yield table("screening", "What screening finds", caption, columns, rows)
    if waiting:
        yield Prose(tuple(waiting))
