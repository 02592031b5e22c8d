"""The facts of one shard, column by column: what it holds, what was rejected, and what looks wrong."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from posologie.files import read_parquet
from posologie.items import Item, table_to_items
from posologie.languages import language_of, language_problem
from posologie.look.texts import EMPTY_WORDS, around, faulty_rows, prefixes
from posologie.mixes.contents import lengths
from posologie.mixes.sampling import characters
from posologie.rows import TableRows

SAMPLED = 500
"""Items of a shard whose language is identified."""
_REASONS, _EXAMPLES, _RECORD = 12, 3, 600
_SHOWN_ELSEWHERE = frozenset(
    ["source", "provenance", "split", "read", "kept", "rejected", "sha256", "tasks", "options", "groups", "origins"]
)


def shard_facts(table: pa.Table) -> dict[str, Any]:
    """Return the facts of a table of items as JSON values."""
    choices = table.select(["task", "question", "options", "gold"])
    has_options = pc.greater(pc.list_value_length(choices["options"]), 0)
    choices = choices.filter(pc.and_(has_options, pc.not_equal(choices["task"], "preference")))
    return {
        "items": table.num_rows,
        "tasks": _counts(table["task"]),
        "options": _counts(pc.list_value_length(choices["options"])),
        "right_options": _counts(pc.list_value_length(choices.filter(pc.equal(choices["task"], "mcq"))["gold"])),
        "keys": _keys(choices),
        "lengths": _lengths(table),
        "groups": _groups(table["group"]),
        "languages": _languages(table),
        "texts": _texts(table),
        "options_alike": _options_alike(choices),
        "prefixes": _partial_prefixes(table["question"]),
        "marked": _marked(table["meta"]),
    }


def _counts(column: pa.ChunkedArray) -> dict[str, int]:
    counted = sorted(pc.value_counts(column).to_pylist(), key=lambda entry: entry["values"])
    return {str(entry["values"]): entry["counts"] for entry in counted}


def _keys(choices: pa.Table) -> list[dict[str, Any]]:
    """Count how often each position is right, by task and number of options."""
    if not choices.num_rows:
        return []
    gold = choices["gold"].combine_chunks()
    options = pc.list_value_length(choices["options"]).to_numpy()
    tasks = choices["task"].combine_chunks().dictionary_encode()
    of_item = tasks.indices.to_numpy().astype(np.int64)
    parents, right = pc.list_parent_indices(gold).to_numpy(), pc.list_flatten(gold).to_numpy()
    found = []
    for number, task in sorted(enumerate(tasks.dictionary.to_pylist()), key=lambda entry: entry[1]):
        for count in np.unique(options[of_item == number]).tolist():
            inside = (of_item == number) & (options == count)
            labels = np.bincount(right[inside[parents]], minlength=count).tolist()
            found.append({"task": task, "options": count, "items": int(inside.sum()), "labels": labels})
    return found


def _lengths(table: pa.Table) -> dict[str, Any]:
    context, answer = (pc.utf8_length(table[name]).to_numpy() for name in ("context", "answer"))
    options = pc.utf8_length(pc.list_flatten(table["options"].combine_chunks())).to_numpy()
    question = pc.utf8_length(table["question"]).to_numpy()
    found = {"question": question, "context": context[context > 0], "option": options, "answer": answer[answer > 0]}
    found["whole item"] = characters(table) + answer
    return {name: {"texts": len(values), **lengths(values)} for name, values in found.items() if len(values)}


def _groups(groups: pa.ChunkedArray) -> dict[str, Any]:
    counted = pc.value_counts(groups)
    sizes = counted.field("counts").to_numpy()
    names = counted.field("values").filter(pa.array(sizes == sizes.max())) if len(sizes) else pa.array([], pa.string())
    return {
        "groups": len(sizes),
        "items_in_shared_groups": int(sizes[sizes > 1].sum()),
        "largest": int(sizes.max()) if len(sizes) else 0,
        "largest_name": pc.min(names).as_py(),
    }


def sample(table: pa.Table, count: int, task: str | None = None) -> pa.Table:
    """Return the items (of one task) with the smallest ids: ids are hashes, so the sample is random and repeatable."""
    rows = np.arange(table.num_rows) if task is None else np.flatnonzero(pc.equal(table["task"], task).to_numpy())
    ids = table["id"] if task is None else table["id"].take(pa.array(rows))
    if not len(rows):
        return table.slice(0, 0)
    chosen = pc.bottom_k_unstable(ids, min(count, len(rows))).to_numpy().astype(np.int64)
    return TableRows(table).at(rows[chosen])


def _languages(table: pa.Table) -> dict[str, Any]:
    """Identify the language of sampled items, question, context and options together; too short ones are left out.

    An item counts as of the most frequent language unless the identifier all but rules that out: related languages
    (Mandarin and Wu) are easily taken for each other.
    """
    chosen = sample(table.select(["id", "question", "context", "options", "answer"]), SAMPLED)
    texts = [
        "\n".join([row["question"], row["context"][:1000], *row["options"], row["answer"]])[:2000]
        for row in chosen.to_pylist()
    ]
    found = [language_of(text) for text in texts]
    guessed = Counter(language for language in found if language is not None)
    main = min(guessed, key=lambda name: (-guessed[name], name), default="")
    counts: Counter[str] = Counter()
    examples: dict[str, str] = {}
    for text, language, question in zip(texts, found, chosen["question"].to_pylist(), strict=True):
        if language is not None:
            certain = language != main and language_problem((text,), main) is not None
            counts[language if certain else main] += 1
            examples.setdefault(language if certain else main, question[:200])
    ordered = sorted(counts, key=lambda name: (-counts[name], name))
    return {
        "sampled": chosen.num_rows,
        "identified": counts.total(),
        "items": {name: counts[name] for name in ordered},
        "examples": {name: examples[name] for name in ordered[1:4]},
    }


def _texts(table: pa.Table) -> dict[str, dict[str, Any]]:
    """Count the items with each kind of fault in one of their texts, with an example."""
    items: dict[str, set[int]] = {}
    examples: dict[str, str] = {}

    def note(kind: str, text: str, rows: Sequence[int]) -> None:
        items.setdefault(kind, set()).update(rows)
        examples.setdefault(kind, around(kind, text))

    options = table["options"].combine_chunks()
    parents = pc.list_parent_indices(options).to_numpy()
    columns = {name: (table[name], None) for name in ("question", "context", "answer")}
    columns["options"] = (pa.chunked_array([pc.list_flatten(options)], pa.string()), parents)
    for name, (texts, of_item) in columns.items():
        found = faulty_rows(texts)
        if name != "question":
            plain = pc.utf8_lower(pc.utf8_trim_whitespace(texts)) if name == "options" else texts
            empty = np.flatnonzero(pc.is_in(plain, value_set=pa.array([*EMPTY_WORDS, "NaN"])).to_numpy())
            found |= {"“nan” or “null” alone": empty} if len(empty) else {}
        else:
            wordless = np.flatnonzero(~pc.match_substring_regex(texts, r"\p{L}").to_numpy())
            found |= {"question without a letter": wordless} if len(wordless) else {}
        for kind, rows in found.items():
            note(kind, texts[int(rows[0])].as_py(), (rows if of_item is None else of_item[rows]).tolist())
    return {kind: {"items": len(rows), "example": examples[kind]} for kind, rows in sorted(items.items())}


def _options_alike(choices: pa.Table) -> dict[str, Any]:
    """Count the items that show one text as two options, and those where one of the two is right, the other wrong."""
    nothing = {"items": 0, "right_and_wrong": 0, "example": None}
    if not choices.num_rows:
        return nothing
    options, gold = choices["options"].combine_chunks(), choices["gold"].combine_chunks()
    parents = pc.list_parent_indices(options).to_numpy().astype(np.int64)
    texts = pc.utf8_lower(pc.utf8_trim_whitespace(pc.list_flatten(options))).dictionary_encode()
    keys = parents * len(texts.dictionary) + texts.indices.to_numpy()
    counts = np.unique(keys, return_counts=True)
    twice = np.unique(counts[0][counts[1] > 1] // max(len(texts.dictionary), 1))
    if not len(twice):
        return nothing
    first = np.concatenate([[0], np.cumsum(pc.list_value_length(options).to_numpy())])
    right = np.zeros(len(keys), dtype=bool)
    right[first[pc.list_parent_indices(gold).to_numpy()] + pc.list_flatten(gold).to_numpy()] = True
    both = np.unique(np.intersect1d(keys[right], keys[~right]) // len(texts.dictionary))
    shown = int(both[0] if len(both) else twice[0])
    return {"items": len(twice), "right_and_wrong": len(both), "example": choices["question"][shown].as_py()[:300]}


def _partial_prefixes(questions: pa.ChunkedArray) -> dict[str, int]:
    """Return the beginnings that a part of the questions has, from 2 % on, and the others have not."""
    total = len(questions)
    found = {name: count for name, count in prefixes(questions).items() if 0.02 <= count / total < 0.98 and count > 4}
    return dict(sorted(found.items(), key=lambda entry: (-entry[1], entry[0]))[:5])


def _marked(meta: pa.ChunkedArray) -> dict[str, int]:
    """Count the items whose record says that an option depends on its position, by the name of the mark."""
    rows = np.flatnonzero(pc.match_substring(meta, "position").to_numpy())
    counts: Counter[str] = Counter()
    for text in meta.take(pa.array(rows)).to_pylist():
        counts.update(key for key, value in json.loads(text).items() if "position" in key and value)
    return dict(sorted(counts.items()))


def reading_facts(report: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a shard's report says of how its files were read: whatever it holds beside the plain counts."""
    return {key: value for key, value in sorted(report.items()) if key not in _SHOWN_ELSEWHERE}


def reject_facts(path: Path) -> list[dict[str, Any]]:
    """Return the rejected records by reason, the commonest first, each with its first records."""
    if not path.is_file():
        return []
    table = read_parquet(path)
    counted = pc.value_counts(table["reason"]).to_pylist()
    counted.sort(key=lambda entry: (-entry["counts"], entry["values"]))
    found = []
    for entry in counted[:_REASONS]:
        rows = table.filter(pc.equal(table["reason"], entry["values"])).slice(0, _EXAMPLES).to_pylist()
        examples = [{**row, "record": _cut(row["record"]), "detail": _cut(row["detail"])} for row in rows]
        found.append({"reason": entry["values"], "records": entry["counts"], "examples": examples})
    return found


def _cut(text: str) -> str:
    return text if len(text) <= _RECORD else text[:_RECORD] + "…"


def example_items(table: pa.Table, count: int) -> list[Item]:
    """Return items to show, of every task in turn, those with the smallest ids first."""
    waiting = [
        list(table_to_items(sample(table, count, task))) for task in sorted(pc.unique(table["task"]).to_pylist())
    ]
    found: list[Item] = []
    while len(found) < count and any(waiting):
        for items in waiting:
            if items and len(found) < count:
                found.append(items.pop(0))
    return found
