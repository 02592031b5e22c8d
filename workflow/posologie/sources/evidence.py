"""What a shard as a whole says of its files: rejects, facts that no single record can show, and warnings."""

import heapq
import json
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from posologie.language.languages import known_languages, language_of, language_problem
from posologie.records.items import LABELS, Item
from posologie.running.errors import InputError
from posologie.sources.answers import numbers_in
from posologie.sources.cleaning import Malformed
from posologie.sources.drafts import storable
from posologie.sources.spec import ShardSpec

if TYPE_CHECKING:
    import pyarrow

SAMPLE = 200
"""Items whose language and characters are looked at: those with the smallest ids, which are hashes."""

_CERTAIN = 0.001
_NEARLY_ALL = 0.9
_OTHER_LANGUAGE = 0.1
_PART = (0.02, 0.98)
_SHOWN = 3
_DOUBLY_ENCODED = re.compile("Ã[\x80-\xbf©¨ª«´¶¹ ‰‚ƒ„…]|â€|Â[\xa0-\xbf]|Ð[\x80-\xbf°±²³µ¾½»]")
_PREFIX = re.compile(r"\s*([^\W\d_]{0,12}\s?(?:n[°ºo]\s?)?\d{0,4}\s?[.):\-–])\s+\S")
_LETTER_PREFIX = re.compile(r"[(\[]?[A-Za-z][)\].:]\s+\S")


class Reject(NamedTuple):
    """A rejected record: where it stands (row from 1), why it was rejected, and the record as JSON."""

    file: str
    row: int
    reason: str
    detail: str
    record: str


class Numbered(NamedTuple):
    """A row whose key shows whether its file counts options from 0 or from 1."""

    row: int
    key: int
    options: int


@dataclass(slots=True)
class Observations:
    """What the records of one part show, to be added up over a shard.

    Attributes:
        counted: form → the first row whose key no file that counts so can have.
        keys: (options, position) → items that have the position among their right options.
        offered: options → items.
        prefixes: beginnings of questions such as `Question 1:`, digits made `#`, by frequency.
        part_prefixed: items where some options begin with a letter and a mark, and others do not.
        depends: items with an option that depends on the place of the others.
        sample: (id, text) of the items with the smallest ids.
    """

    smallest: dict[str, int] = field(default_factory=dict)
    largest: dict[str, int] = field(default_factory=dict)
    counted: dict[str, Numbered] = field(default_factory=dict)
    keys: Counter[tuple[int, int]] = field(default_factory=Counter)
    offered: Counter[int] = field(default_factory=Counter)
    prefixes: Counter[str] = field(default_factory=Counter)
    part_prefixed: int = 0
    depends: int = 0
    sample: list[tuple[str, str]] = field(default_factory=list)

    def look_at_key(self, row: int, answer: Any, form: str, options: int) -> None:
        """Note the numbers by which a record names its right options."""
        numbers = numbers_in(answer)
        if not numbers:
            return
        self.smallest[form] = min(self.smallest.get(form, numbers[0]), *numbers)
        self.largest[form] = max(self.largest.get(form, numbers[0]), *numbers)
        proof = 0 if form == "index1" else options
        if proof in numbers and form not in self.counted:
            self.counted[form] = Numbered(row, proof, options)

    def look_at(self, item: Item) -> None:
        """Note what an item shows."""
        if item.options:
            self.offered[len(item.options)] += 1
            for place in item.gold:
                self.keys[len(item.options), place] += 1
            if "position_dependent" in item.meta:
                self.depends += 1
        if match := _PREFIX.match(item.question):
            self.prefixes[re.sub(r"\d+", "#", match.group(1))] += 1

    def look_at_all(self, items: Sequence[Item]) -> None:
        """Note what the items of a part show together."""
        for item in heapq.nsmallest(SAMPLE, items, key=lambda item: item.id):
            self.sample.append((item.id, " ".join((item.question, item.context, *item.options, item.answer))[:2000]))
        for item in items:
            prefixed = sum(_LETTER_PREFIX.match(option) is not None for option in item.options)
            if 0 < prefixed < len(item.options):
                self.part_prefixed += 1

    def add(self, other: "Observations") -> None:
        """Add what another part shows."""
        for form, number in other.smallest.items():
            self.smallest[form] = min(number, self.smallest.get(form, number))
            self.largest[form] = max(other.largest[form], self.largest.get(form, number))
        self.keys.update(other.keys)
        self.offered.update(other.offered)
        self.prefixes.update(other.prefixes)
        self.part_prefixed += other.part_prefixed
        self.depends += other.depends
        self.sample = heapq.nsmallest(SAMPLE, self.sample + other.sample)

    def key_counts(self) -> dict[str, int]:
        """Return label → items that have the option at its place among the right ones, in the order of the labels."""
        counts = Counter[int]()
        for (_, place), items in self.keys.items():
            counts[place] += items
        return {LABELS[place]: items for place, items in sorted(counts.items())}


def check_counting(source: str, file: str, observed: Observations) -> None:
    """Check that no key contradicts the number from which the study says that a file counts its options.

    Raises:
        InputError: naming the first row that proves the other number.
    """
    for form, proof in observed.counted.items():
        base, other = ("1", "0") if form == "index1" else ("0", "1")
        raise InputError(
            f"{file}, row {proof.row}: the key {proof.key} among {proof.options} options shows that the file counts "
            f"from {other}, though sources.{source} reads its answers from {base}; say so with the reader's option, "
            "or correct the row"
        )


def shown(record: Any) -> str:
    """Return a rejected record as JSON."""
    raw = record.raw if isinstance(record, Malformed) else record
    try:
        return str(storable(json.dumps(raw, ensure_ascii=False, default=str)))
    except (ValueError, RecursionError):
        return str(storable(f"{type(raw).__name__} that JSON cannot hold"))


def rejects_table(rejects: Sequence[Reject]) -> "pyarrow.Table":
    """Return the rejected records: file, row (from 1), reason, detail, record (JSON)."""
    import pyarrow

    types = (pyarrow.string(), pyarrow.int64(), pyarrow.string(), pyarrow.string(), pyarrow.string())
    arrays = [
        pyarrow.array([storable(reject[column]) for reject in rejects], kind) for column, kind in enumerate(types)
    ]
    return pyarrow.table(arrays, names=Reject._fields)


def check_rejects(what: str, limit: float, read: int, rejects: Sequence[Reject]) -> None:
    """Check that no more than `reject_limit` of the records of a shard or collection were rejected.

    Raises:
        InputError: with the commonest reason and three of its rows.
    """
    if not read or len(rejects) <= limit * read:
        return
    (reason, times), *_ = Counter(reject.reason for reject in rejects).most_common(1)
    examples = [reject for reject in rejects if reject.reason == reason][:_SHOWN]
    rows = "; ".join(
        f"{file}, row {row}{f' ({detail[:80]})' if detail else ''}" for file, row, _, detail, _ in examples
    )
    raise InputError(
        f"{what}: {len(rejects):,} of {read:,} records rejected, more than reject_limit "
        f"{limit:.0%}; the commonest reason, {times:,} times: {reason}: {rows}".replace("\n", " ")
    )


def evidence_of(
    spec: ShardSpec,
    observed: Observations,
    *,
    read: int,
    elsewhere: int,
    rejected: Mapping[str, int],
    read_as: Mapping[str, Mapping[str, Any]],
    groups: Sequence[int],
    duplicates: Mapping[str, Any],
) -> dict[str, Any]:
    """Return what the shard shows of its files, with a warning for each oddity.

    Args:
        spec: the shard's.
        observed: what its records show.
        read: records read.
        elsewhere: records of other splits in the same files.
        rejected: reason → records.
        read_as: file → how it was read.
        groups: sizes of the groups.
        duplicates: ids that stand at items of different content.
    """
    questions = sum(observed.offered.values())
    kept = read - sum(rejected.values())
    # Without a declared language nothing is compared, and `look` shows which languages there are.
    judged = [text for _, text in observed.sample] if spec.language is not None else []
    languages = Counter(filter(None, map(language_of, judged)))
    prefixes = {prefix: times for prefix, times in observed.prefixes.items() if times >= max(3, _PART[0] * kept)}
    doubly = sum(_DOUBLY_ENCODED.search(text) is not None for _, text in observed.sample)
    facts = {
        "reject_limit": spec.reject_limit,
        "rejected_share": round(sum(rejected.values()) / read, 6) if read else 0.0,
        "keys": observed.key_counts(),
        "counting": {
            form: {"smallest": smallest, "largest": observed.largest[form]}
            for form, smallest in sorted(observed.smallest.items())
        },
        "languages": {
            "declared": spec.language,
            "sampled": sum(languages.values()),
            "found": dict(sorted(languages.items(), key=lambda pair: (-pair[1], pair[0]))),
        },
        "prefixes": {
            "questions": dict(sorted(prefixes.items(), key=lambda pair: (-pair[1], pair[0]))[:10]),
            "some_options": observed.part_prefixed,
        },
        "doubly_encoded": doubly,
        "duplicate_ids": dict(duplicates),
        "position_dependent": observed.depends,
    }
    warnings = [*file_warnings(rejected, read, read_as), *_of_keys(observed, questions)]
    warnings += [*_of_languages(spec, observed, languages, doubly)]
    warnings += [*_of_prefixes(prefixes, kept, observed.part_prefixed, questions)]
    warnings += [*_of_identity(duplicates, groups, kept)]
    if elsewhere and not read:
        warnings.append(f"no record of this split: all {elsewhere:,} in its files are of others")
    return {"warnings": warnings, **facts}


def file_warnings(rejected: Mapping[str, int], read: int, read_as: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return one line for each reason for rejection and each file whose encoding was guessed."""
    return [*_of_rejects(rejected, read), *_of_files(read_as)]


def _of_rejects(rejected: Mapping[str, int], read: int) -> Iterator[str]:
    for reason, times in sorted(rejected.items(), key=lambda pair: (-pair[1], pair[0])):
        yield f"{times:,} of {read:,} records rejected: {reason}"


def _of_files(read_as: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    for file, facts in read_as.items():
        encoding = facts.get("encoding", {})
        if not encoding.get("configured", True) and not encoding["name"].startswith("utf"):
            yield f"{file}: not UTF-8; read as {encoding['name']}, which is a guess: say it with the option encoding"
        if facts.get("absent"):
            yield f"{file}: no record has {', '.join(facts['absent'])}"


def _of_keys(observed: Observations, questions: int) -> Iterator[str]:
    places = range(max(observed.offered, default=0))
    for place in places:
        used = sum(times for (_, position), times in observed.keys.items() if position == place)
        chance = sum(items * math.log1p(-1 / options) for options, items in observed.offered.items() if options > place)
        offered = sum(items for options, items in observed.offered.items() if options > place)
        if not used and offered and chance < math.log(_CERTAIN):
            yield f"label {LABELS[place]} is the key of none of {offered:,} questions that offer it"
        if questions >= 20 and used > _NEARLY_ALL * questions and sum(observed.keys.values()) < 1.5 * questions:
            yield f"label {LABELS[place]} is the key of {used:,} of {questions:,} questions"


def _of_languages(spec: ShardSpec, observed: Observations, languages: Counter[str], doubly: int) -> Iterator[str]:
    judged = sum(languages.values())
    if spec.language is not None and spec.language not in known_languages():
        yield f"language '{spec.language}' is none that texts can be checked for"
    elif spec.language is not None and judged:
        texts = [text for _, text in observed.sample]
        others = sum(language_problem((text,), spec.language) is not None for text in texts)
        if others > _OTHER_LANGUAGE * judged:
            most = max((code for code in languages if code != spec.language), key=lambda code: (languages[code], code))
            yield f"{others} of {judged} sampled items look like another language than '{spec.language}': '{most}'"
    if doubly > 0.01 * len(observed.sample):
        yield f"{doubly} of {len(observed.sample)} sampled items hold characters that were encoded twice, such as Ã©"


def _of_prefixes(prefixes: Mapping[str, int], kept: int, part: int, questions: int) -> Iterator[str]:
    for prefix, times in sorted(prefixes.items(), key=lambda pair: (-pair[1], pair[0])):
        if _PART[0] * kept <= times <= _PART[1] * kept and kept >= 20:
            yield f"{times:,} of {kept:,} questions begin with {prefix!r}, and the others do not"
    if part > 0.01 * questions:
        yield f"in {part:,} of {questions:,} questions some options begin with a letter like A) and others do not"


def _of_identity(duplicates: Mapping[str, Any], groups: Sequence[int], kept: int) -> Iterator[str]:
    if duplicates.get("ids"):
        examples = ", ".join(duplicates["examples"])
        yield f"{duplicates['ids']:,} native ids stand at items of different content, such as {examples}"
    if len(groups) > 1 and kept >= 20 and max(groups) > kept / 2:
        yield f"{max(groups):,} of {kept:,} items share one group: is their context or group a filler?"


def ids_of_other_content(path: Any, copies: Mapping[str, int]) -> dict[str, Any]:
    """Return how many native ids stand at items of different content, and the first of them.

    Args:
        path: the shard as written.
        copies: id → how often it came again.
    """
    import pyarrow.parquet

    if not copies:
        return {"ids": 0, "examples": []}
    columns = ["id", "question", "context", "options", "gold", "answer", "meta"]
    copied = {name: name for name in copies}
    copied |= {f"{name}-{number}": name for name, times in copies.items() for number in range(2, times + 2)}
    contents: dict[str, set[str]] = {}
    natives: dict[str, str] = {}
    with pyarrow.parquet.ParquetFile(path) as file:
        for batch in file.iter_batches(columns=columns):
            mask = pyarrow.compute.is_in(batch["id"], value_set=pyarrow.array(list(copied)))
            for row in batch.filter(mask).to_pylist():
                meta = json.loads(row.pop("meta"))
                name = copied[row.pop("id")]
                if "native_id" in meta:
                    natives.setdefault(name, str(meta["native_id"]))
                    contents.setdefault(name, set()).add(json.dumps(row, sort_keys=True))
    other = [natives[name] for name in contents if len(contents[name]) > 1]
    return {"ids": len(other), "examples": sorted(other)[:_SHOWN]}
