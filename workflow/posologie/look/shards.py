"""Facts of one shard, and the texts that they are read from."""

import json
import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from posologie.language.languages import language_of, language_problem
from posologie.mixes.contents import lengths
from posologie.mixes.sampling import characters
from posologie.records.files import read_parquet
from posologie.records.items import Item, table_to_items
from posologie.records.tables import TableRows

_BIDI = "\u061c\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff"
_UNSAFE = re.compile(f"[\x00-\x08\x0b-\x1f\x7f-\x9f{_BIDI}\ud800-\udfff\ufffe\uffff]")

FAULTS = {
    "replacement character": "\ufffd",
    "mojibake": "Ã[\u0080-\u00bf\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u0192\u02c6\u02dc\u2013-\u203a\u20ac]"
    "|Â[\u00a0-\u00bf]|â€[\u0090-\u00bf\u0153\u02dc\u2122]|â\u0080",
    "markup": r"</?(?:p|br|b|i|u|em|strong|sub|sup|div|span|img|a|li|ul|ol|table|tr|td|font)(?:\s[^<>]*)?/?>"
    r"|&(?:[a-z]{2,8}|#\d{2,5});",
    "escape written out": r"\\u[0-9a-fA-F]{4}|\\n",
    "control character": "[\x01-\x08\x0b\x0c\x0e-\x1f\x7f]",
}
"""What a text should not hold after cleaning, as regular expressions (RE2)."""

EMPTY_WORDS = ("nan", "<na>", "#n/a", "null", "undefined", "nat")
"""How programs write a value that is missing; alone in a field, it is hardly meant."""

_PREFIX = r"^(?P<prefix>\(?\p{L}{0,15}[ ]?[0-9]{0,6}[ ]?[:.)\]])\s"


def visible(text: str) -> str:
    """Return a text in which control characters and signs that turn the reading direction are written out."""
    return _UNSAFE.sub(lambda match: _written(match[0]), text)


def _written(sign: str) -> str:
    code = ord(sign)
    return chr(0x2400 + code) if code < 0x20 else f"\\u{code:04x}"


def all_visible(value: Any) -> Any:
    """Return a JSON value in which every text, keys included, is safe to show."""
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, dict):
        return {visible(str(key)): all_visible(inside) for key, inside in value.items()}
    return [all_visible(inside) for inside in value] if isinstance(value, list | tuple) else value


def quoted(text: str, most: int = 80) -> str:
    """Return a text in quotation marks, cut, on one line, and isolated: its direction does not spread around it."""
    line = " ".join(text.split())
    return f"“\u2068{line if len(line) <= most else line[: most - 1] + '…'}\u2069”"


def letters(text: str) -> int:
    """Return how many letters a text has."""
    return sum(unicodedata.category(sign)[0] == "L" for sign in text)


def faulty_rows(texts: pa.ChunkedArray) -> dict[str, np.ndarray]:
    """Return, for each kind of fault, the positions of the texts that have it."""
    suspects = np.flatnonzero(pc.match_substring_regex(texts, "|".join(FAULTS.values())).to_numpy())
    if not len(suspects):
        return {}
    few = texts.take(pa.array(suspects))
    rows_of_kind = {kind: suspects[pc.match_substring_regex(few, form).to_numpy()] for kind, form in FAULTS.items()}
    return {kind: rows for kind, rows in rows_of_kind.items() if len(rows)}


def around(kind: str, text: str, before: int = 30, after: int = 45) -> str:
    """Return the part of a text in which a fault stands."""
    match = re.search(FAULTS[kind], text) if kind in FAULTS else None
    start = max(0, match.start() - before) if match else 0
    end = (match.end() if match else start + before) + after
    return f"{'…' if start else ''}{text[start:end]}{'…' if end < len(text) else ''}"


def prefixes(questions: pa.ChunkedArray) -> dict[str, int]:
    """Return how many questions begin with each numbering or heading (`Question 0:`; digits count as 0)."""
    starts = pc.utf8_slice_codeunits(questions, 0, 26)
    beginnings = pc.struct_field(pc.extract_regex(starts, _PREFIX), "prefix").drop_null()
    plain = pc.replace_substring_regex(beginnings, "[0-9]+", "0")
    counts = {entry["values"]: entry["counts"] for entry in pc.value_counts(plain).to_pylist()}
    return {prefix: count for prefix, count in counts.items() if len(prefix) > 1}


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
    balance = []
    for number, task in sorted(enumerate(tasks.dictionary.to_pylist()), key=lambda entry: entry[1]):
        for count in np.unique(options[of_item == number]).tolist():
            inside = (of_item == number) & (options == count)
            labels = np.bincount(right[inside[parents]], minlength=count).tolist()
            balance.append({"task": task, "options": count, "items": int(inside.sum()), "labels": labels})
    return balance


def _lengths(table: pa.Table) -> dict[str, Any]:
    context, answer = (pc.utf8_length(table[name]).to_numpy() for name in ("context", "answer"))
    options = pc.utf8_length(pc.list_flatten(table["options"].combine_chunks())).to_numpy()
    question = pc.utf8_length(table["question"]).to_numpy()
    counts = {"question": question, "context": context[context > 0], "option": options, "answer": answer[answer > 0]}
    counts["whole item"] = characters(table) + answer
    return {name: {"texts": len(values), **lengths(values)} for name, values in counts.items() if len(values)}


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
    languages = [language_of(text) for text in texts]
    guessed = Counter(language for language in languages if language is not None)
    main = min(guessed, key=lambda name: (-guessed[name], name), default="")
    counts: Counter[str] = Counter()
    examples: dict[str, str] = {}
    for text, language, question in zip(texts, languages, chosen["question"].to_pylist(), strict=True):
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
        rows_of_kind = faulty_rows(texts)
        if name != "question":
            plain = pc.utf8_lower(pc.utf8_trim_whitespace(texts)) if name == "options" else texts
            empty = np.flatnonzero(pc.is_in(plain, value_set=pa.array([*EMPTY_WORDS, "NaN"])).to_numpy())
            rows_of_kind |= {"“nan” or “null” alone": empty} if len(empty) else {}
        else:
            wordless = np.flatnonzero(~pc.match_substring_regex(texts, r"\p{L}").to_numpy())
            rows_of_kind |= {"question without a letter": wordless} if len(wordless) else {}
        for kind, rows in rows_of_kind.items():
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
    partial = {name: count for name, count in prefixes(questions).items() if 0.02 <= count / total < 0.98 and count > 4}
    return dict(sorted(partial.items(), key=lambda entry: (-entry[1], entry[0]))[:5])


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
    reasons = []
    for entry in counted[:_REASONS]:
        rows = table.filter(pc.equal(table["reason"], entry["values"])).slice(0, _EXAMPLES).to_pylist()
        examples = [{**row, "record": _cut(row["record"]), "detail": _cut(row["detail"])} for row in rows]
        reasons.append({"reason": entry["values"], "records": entry["counts"], "examples": examples})
    return reasons


def _cut(text: str) -> str:
    return text if len(text) <= _RECORD else text[:_RECORD] + "…"


def example_items(table: pa.Table, count: int) -> list[Item]:
    """Return items to show, of every task in turn, those with the smallest ids first."""
    waiting = [
        list(table_to_items(sample(table, count, task))) for task in sorted(pc.unique(table["task"]).to_pylist())
    ]
    chosen: list[Item] = []
    while len(chosen) < count and any(waiting):
        for items in waiting:
            if items and len(chosen) < count:
                chosen.append(items.pop(0))
    return chosen
