"""How far each source is from each suite in subject, length and vocabulary: their topic mismatch.

An aspect is a count of categories per group of items: subjects, lengths in characters, words. Distances are computed on
the sums of these counts, so that resampling whole groups (questions of one clinical case) costs one matrix product.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from scipy import sparse

from posologie.records.files import write_csv
from posologie.records.items import read_item_table, stable_id
from posologie.running.commands import named_path, parser, run
from posologie.screening.population import suites_of
from posologie.screening.spec import TopicsSpec
from posologie.screening.text import normalised

COLUMNS = ("source", "suite", "aspect", "measure", "n_source", "n_suite", "value", "low", "high", "same", "note")
"""`value` is a distance from 0 (equal) to 1, with a 95 % interval (normal, from the bootstrap's standard error: a
plug-in distance is biased upwards, so that its percentiles would be too); `same` is what the distance would be on
average if source and suite were drawn from one population, at these sizes."""

MEASURES = {"subject": "jensen_shannon", "length": "kolmogorov_smirnov", "vocabulary": "jensen_shannon"}
_TEXT = ("question", "context", "options")
_COLUMNS = ["source", "split", "task", *_TEXT, "group", "meta"]


@dataclass(frozen=True)
class Sample:
    """Items of a source or suite.

    Attributes:
        group: number of each item's group, from 0.
        aspects: for each aspect, pairs of item and category.
    """

    items: int
    group: np.ndarray
    aspects: dict[str, tuple[np.ndarray, np.ndarray]]


def jensen_shannon(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the Jensen–Shannon distance of two distributions over categories, columns apart (Lin 1991; base 2, root).

    Args:
        first, second: counts, shape (categories, replicates).
    """
    p, q = (counts / np.maximum(counts.sum(axis=0), 1) for counts in (first, second))
    middle = (p + q) / 2
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = [np.where(part > 0, part * np.log2(part / middle), 0).sum(axis=0) / 2 for part in (p, q)]
    distances: np.ndarray = np.sqrt(np.clip(terms[0] + terms[1], 0, 1))
    return distances


def kolmogorov_smirnov(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the largest difference of two cumulative distributions over ordered categories, columns apart."""
    p, q = (counts.cumsum(axis=0) / np.maximum(counts.sum(axis=0), 1) for counts in (first, second))
    distances: np.ndarray = np.abs(p - q).max(axis=0, initial=0)
    return distances


DISTANCES = {"jensen_shannon": jensen_shannon, "kolmogorov_smirnov": kolmogorov_smirnov}


def sample(items: pa.Table, size: int, seed: int) -> Sample:
    """Return the aspects of at most about `size` items, in whole groups by the order of a seeded hash."""
    names = pc.binary_join_element_wise(items["source"], items["group"], "\x1f").to_pylist()
    rank = {name: stable_id(str(seed), name) for name in set(names)}
    order = sorted(range(len(names)), key=lambda position: rank[names[position]])
    while size < len(order) and names[order[size]] == names[order[size - 1]]:
        size += 1
    items = items.take(pa.array(order[:size], pa.int64()))
    rows = zip(*(items[name].to_pylist() for name in _TEXT), strict=True)
    texts = [" ".join([*fields, *options]) for *fields, options in rows]
    words = [text.split() for text in normalised(texts)]
    subjects = [json.loads(text).get("subject") for text in items["meta"].to_pylist()]
    numbers = np.arange(len(texts))
    known = np.array([subject is not None for subject in subjects], dtype=bool)
    group = pd.factorize(np.array([names[position] for position in order[:size]], dtype=object))[0]
    return Sample(
        items=len(texts),
        group=group,
        aspects={
            "subject": (
                numbers[known],
                np.array([str(subject) for subject in subjects if subject is not None], dtype=object),
            ),
            "length": (numbers, np.array([len(text) for text in texts])),
            "vocabulary": (
                np.repeat(numbers, [len(own) for own in words]),
                np.array([word for own in words for word in own], dtype=object),
            ),
        },
    )


def compared(source: Sample, suite: Sample, spec: TopicsSpec) -> Iterator[dict[str, Any]]:
    """Yield the distance of a source and a suite in each aspect."""
    for aspect, measure in MEASURES.items():
        sides = [side.aspects[aspect] for side in (source, suite)]
        counted = [len(np.unique(items)) for items, _ in sides]
        row = {"aspect": aspect, "measure": measure, "n_source": counted[0], "n_suite": counted[1]}
        if not all(counted):
            yield row | {"value": None, "low": None, "high": None, "same": None, "note": f"no {aspect} known"}
            continue
        codes, categories = pd.factorize(np.concatenate([values for _, values in sides]), sort=True)
        split = np.split(codes, [len(sides[0][0])])
        matrices = [
            _by_group(side.group[items], own, len(categories))
            for side, (items, _), own in zip((source, suite), sides, split, strict=True)
        ]
        yield row | _distance(matrices, DISTANCES[measure], spec) | {"note": ""}


def _by_group(group: np.ndarray, codes: np.ndarray, categories: int) -> sparse.csr_array:
    """Return how often each category occurs in each group that has any, shape (groups, categories)."""
    present = pd.factorize(group)[0]
    ones = np.ones(len(codes))
    return sparse.csr_array((ones, (present, codes)), shape=(int(present.max()) + 1, categories))


def _distance(matrices: Sequence[sparse.csr_array], distance: Any, spec: TopicsSpec) -> dict[str, float]:
    generator = np.random.default_rng(spec.seed)
    value = float(distance(*(np.asarray(matrix.sum(axis=0))[:, None] for matrix in matrices))[0])
    draws = []
    for matrix in matrices:
        groups = matrix.shape[0]
        draws.append(matrix.T @ generator.multinomial(groups, np.full(groups, 1 / groups), spec.replicates).T)
    error = float(np.std(distance(*draws), ddof=1))
    pooled = sparse.vstack(matrices)
    groups = pooled.shape[0]
    taken = np.zeros((groups, spec.replicates))
    for replicate in range(spec.replicates):
        taken[generator.permutation(groups)[: matrices[0].shape[0]], replicate] = 1
    same = float(np.mean(distance(pooled.T @ taken, pooled.T @ (1 - taken))))
    return {"value": value, "low": max(0.0, value - 1.96 * error), "high": min(1.0, value + 1.96 * error), "same": same}


def rows(
    train: Mapping[str, pa.Table], tested: pa.Table, of_item: Sequence[tuple[str, ...]], spec: TopicsSpec
) -> Iterator[dict[str, Any]]:
    """Yield the rows of the table: each source against each suite, then in each aspect."""
    sources = {name: sample(items, spec.sample, spec.seed) for name, items in train.items()}
    for suite in spec.suites:
        inside = pa.array([suite in names for names in of_item], pa.bool_())
        own = sample(tested.filter(inside), spec.sample, spec.seed)
        for name, source in sources.items():
            for row in compared(source, own, spec):
                yield {"source": name, "suite": suite, **row}


def main(argv: list[str]) -> None:
    """Write the table."""
    arguments = parser("posologie.screening.topics", __doc__ or "")
    arguments.add_argument("--train", nargs="+", type=named_path, required=True, metavar="SOURCE=FILE")
    arguments.add_argument("--tests", nargs="+", type=named_path, required=True, metavar="SOURCE=FILE")
    arguments.add_argument("--table", required=True, help="the CSV to write")
    options = arguments.parse_args(argv)
    spec = TopicsSpec.from_json(options.spec)
    train = {}
    for source, path in options.train:
        items = read_item_table(path, _COLUMNS)
        train[source] = items.filter(pc.is_in(items["task"], value_set=pa.array(spec.tasks, pa.string())))
    tested = pa.concat_tables([read_item_table(path, _COLUMNS) for _, path in options.tests])
    write_csv(options.table, COLUMNS, rows(train, tested, suites_of(tested, spec.suites), spec))


if __name__ == "__main__":
    run(main)
