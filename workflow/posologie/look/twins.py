"""Items with the same text: in one split, across the splits of a source, across sources, and with what suites test."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from posologie.mixes.sampling import read_rows
from posologie.screening.near import sketches
from posologie.screening.population import suites_of
from posologie.screening.spec import Tested

_EXAMPLES = 2
_SHOWN = 300
_COLUMNS = ("id", "source", "split", "question", "options", "gold", "answer")
_KINDS = ("another key", "with a tested item", "in another split", "in another source", "in one split")


@dataclass
class Twins:
    """The texts of all shards as numbers: equal where question, context and options are the same, normalised.

    Attributes:
        shards: source and split of each shard, in the order in which they were added.
        texts, answers: 64 bits of a digest of each item's text and of its right answer, a column for each shard.
        tested: suite → which items of each shard it tests on; a shard that it tests nothing of is left out.
    """

    suites: Mapping[str, Sequence[Tested]]
    processes: int = 1
    shards: list[tuple[str, str, str]] = field(default_factory=list)
    texts: list[np.ndarray] = field(default_factory=list)
    answers: list[np.ndarray] = field(default_factory=list)
    tested: dict[str, dict[int, np.ndarray]] = field(default_factory=dict)

    def add(self, source: str, split: str, path: str, table: pa.Table) -> None:
        """Add the items of a shard."""
        digests = sketches(table, None, self.processes)
        self.texts.append(_numbers(digests.texts))
        self.answers.append(_numbers(digests.answers))
        tested = {
            suite: [part for part in parts if (part.source, part.split) == (source, split)]
            for suite, parts in self.suites.items()
        }
        if tested := {suite: parts for suite, parts in tested.items() if parts}:
            of_item = suites_of(table, tested)
            for suite in tested:
                inside = np.array([suite in names for names in of_item], dtype=bool)
                self.tested.setdefault(suite, {})[len(self.shards)] = inside
        self.shards.append((source, split, path))

    def facts(self) -> dict[str, Any]:
        """Return how many items have twins, and where, with examples for each source."""
        if not self.shards:
            return {"items": 0, "pairs": [], "tests": [], "other_answer": [], "examples": {}}
        sizes = [len(texts) for texts in self.texts]
        code = np.unique(np.concatenate(self.texts), return_inverse=True)[1].reshape(-1)
        self._codes = np.split(code, np.cumsum(sizes)[:-1])
        self._count = int(code.max(initial=-1)) + 1
        self._here = [self._presence(codes) for codes in self._codes]
        self._torn = self._other_answer(code)
        pairs: list[dict[str, Any]] = []

        def note(shard: int, other: int, items: int) -> None:
            (source, split, _), (with_source, with_split, _) = self.shards[shard], self.shards[other]
            entry = {"source": source, "split": split, "with_source": with_source, "with_split": with_split}
            pairs.extend([{**entry, "items": items}] if items else [])

        for shard, codes in enumerate(self._codes):
            note(shard, shard, sizes[shard] - int(self._here[shard].sum()))
            for other in range(len(self.shards)):
                if other != shard:
                    note(shard, other, int(self._here[other][codes].sum()))
        tests = []
        for suite, of_shard in sorted(self.tested.items()):
            tested = self._tested_texts(suite)
            for shard, (source, split, _) in enumerate(self.shards):
                if shard not in of_shard and (shared := int(tested[self._codes[shard]].sum())):
                    tests.append({"source": source, "split": split, "suite": suite, "items": shared})
        torn = [
            {"source": source, "split": split, "items": int(self._torn[self._codes[shard]].sum())}
            for shard, (source, split, _) in enumerate(self.shards)
        ]
        return {
            "items": sum(sizes),
            "pairs": pairs,
            "tests": tests,
            "other_answer": [entry for entry in torn if entry["items"]],
            "examples": self._examples(),
        }

    def _presence(self, codes: np.ndarray) -> np.ndarray:
        present = np.zeros(self._count, dtype=bool)
        present[codes] = True
        return present

    def _tested_texts(self, suite: str) -> np.ndarray:
        """Return for each text whether a suite tests on it."""
        tested = np.zeros(self._count, dtype=bool)
        for shard, inside in self.tested[suite].items():
            tested[self._codes[shard][inside]] = True
        return tested

    def _other_answer(self, code: np.ndarray) -> np.ndarray:
        """Return for each text whether it stands with different right answers."""
        answers = np.unique(np.concatenate(self.answers), return_inverse=True)[1].reshape(-1)
        different = np.unique(code * (answers.max(initial=0) + 1) + answers) // (answers.max(initial=0) + 1)
        return np.bincount(different, minlength=self._count) > 1

    def _examples(self) -> dict[str, list[dict[str, Any]]]:
        """Return for each source a few pairs of each kind of twin, with their texts."""
        by_hash: dict[str, list[tuple[str, tuple[int, int], tuple[int, int]]]] = {}
        tested = np.zeros(self._count, dtype=bool)
        for suite in self.tested:
            tested |= self._tested_texts(suite)
        for shard, (source, _, _) in enumerate(self.shards):
            codes = self._codes[shard]
            order = np.argsort(codes, kind="stable")
            repeated = np.zeros(len(codes), dtype=bool)
            repeated[order[1:]] = codes[order[1:]] == codes[order[:-1]]
            others = {other: self._here[other][codes] for other in range(len(self.shards)) if other != shard}
            for kind in _KINDS:
                for row, other in self._rows_of(kind, shard, codes, repeated, others, tested):
                    pair = (kind, (shard, row), other)
                    known = by_hash.setdefault(source, [])
                    shown = {frozenset(entry[1:]) for entry in known}
                    if sum(entry[0] == kind for entry in known) < _EXAMPLES and frozenset(pair[1:]) not in shown:
                        known.append(pair)
        return self._with_texts(by_hash)

    def _rows_of(
        self,
        kind: str,
        shard: int,
        codes: np.ndarray,
        repeated: np.ndarray,
        others: Mapping[int, np.ndarray],
        tested: np.ndarray,
    ) -> list[tuple[int, tuple[int, int]]]:
        """Return the first rows of a shard that have a twin of one kind, each with shard and row of the twin."""
        source = self.shards[shard][0]
        rows: list[tuple[int, tuple[int, int]]] = []
        for other in (shard, *others):
            same_source = self.shards[other][0] == source
            mask = repeated if other == shard else others[other]
            if kind == "another key":
                mask = mask & self._torn[codes]
            elif kind == "with a tested item":
                mask = mask & tested[codes] & any(other in of_shard for of_shard in self.tested.values())
            elif kind == "in one split":
                mask = mask & (other == shard)
            else:
                mask = mask & (other != shard) & (same_source == (kind == "in another split"))
            for row in np.flatnonzero(mask)[:20].tolist():
                twins = np.flatnonzero(self._codes[other] == codes[row])
                if kind == "another key":
                    twins = twins[self.answers[other][twins] != self.answers[shard][row]]
                twins = twins[twins != row] if other == shard else twins
                if len(twins) and len(rows) < _EXAMPLES:
                    rows.append((row, (other, int(twins[0]))))
        return rows

    def _with_texts(
        self, hashes: Mapping[str, Sequence[tuple[str, tuple[int, int], tuple[int, int]]]]
    ) -> dict[str, list[dict[str, Any]]]:
        """Return for each source its pairs of twins with what is shown of them."""
        rows: dict[int, set[int]] = {}
        for pairs in hashes.values():
            for _, *places in pairs:
                for shard, row in places:
                    rows.setdefault(shard, set()).add(row)
        items = {}
        for shard, needed in rows.items():
            ordered = np.array(sorted(needed), dtype=np.int64)
            read = read_rows(self.shards[shard][2], ordered, _COLUMNS).to_pylist()
            items.update({(shard, row): item for row, item in zip(ordered.tolist(), read, strict=True)})
        shown: dict[str, list[dict[str, Any]]] = {}
        for source, pairs in hashes.items():
            for kind, *places in pairs:
                two = [items[place] for place in places]
                shown.setdefault(source, []).append(
                    {
                        "kind": kind,
                        "question": _cut(two[0]["question"]),
                        "items": [
                            {
                                **{name: item[name] for name in ("id", "source", "split")},
                                "right": [item["options"][index] for index in item["gold"]] or [_cut(item["answer"])],
                            }
                            for item in two
                        ],
                    }
                )
        return shown


def _cut(text: str) -> str:
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def _numbers(digests: Sequence[bytes]) -> np.ndarray:
    """Return the first 64 bits of each digest."""
    return np.frombuffer(b"".join(digest[:8] for digest in digests), dtype=np.uint64)
