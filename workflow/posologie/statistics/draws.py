"""One set of cluster draws for all statistics of a suite.

Items that share a clinical case are one cluster, with all their variants. Clusters are drawn with replacement inside
strata. The strata are the benchmarks; benchmarks that share a cluster are one stratum, so that the cluster is drawn
whole (Davison and Hinkley 1997, sections 3.2 and 3.8). All models, contrasts and attributions use the same draws.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_BATCH = 1 << 20
"""Drawn or multiplied at a time, in numbers: bounds memory, changes no result."""

_SCALES = (1, 2, 3, 4, 6, 12, 60, 180)
"""Factors that make whole numbers of shares of up to five options, and of their means over up to four variants."""
_WHOLE = 1 << 24
"""Below it every whole number is a float32."""


@dataclass(frozen=True)
class Clusters:
    """Clusters of items in strata.

    Attributes:
        of_item: [item], the cluster of each item; clusters are numbered by stratum, then by their first and last part,
            then by group, so that the clusters of a part lie close together.
        part: [item], the part (benchmark and task) of each item, from 0.
        strata: the first group and the range of clusters of each stratum, in the order of these groups: what is drawn
            depends on the ids of items and cases, and on no name of a study.
    """

    of_item: NDArray[np.int64]
    part: NDArray[np.int64]
    strata: tuple[tuple[str, slice], ...]

    @property
    def count(self) -> int:
        """Number of clusters."""
        return self.strata[-1][1].stop if self.strata else 0

    @property
    def parts(self) -> int:
        """Number of parts."""
        return int(self.part.max()) + 1


def make_clusters(
    benchmark: NDArray[np.str_], group: NDArray[np.str_], part: NDArray[np.int64] | None = None
) -> Clusters:
    """Return the clusters of items, given the benchmark, the group and the part of each (one part if left out)."""
    part = np.zeros(len(group), dtype=np.int64) if part is None else part
    benchmarks, benchmark_codes = np.unique(benchmark, return_inverse=True)
    groups, group_codes = np.unique(group, return_inverse=True)
    of_benchmark = _joined(benchmark_codes, group_codes, len(benchmarks))
    of_group = np.empty(len(groups), dtype=np.int64)
    of_group[group_codes] = of_benchmark[benchmark_codes]
    # A stratum is seeded by its first group, so that no name of a benchmark decides what is drawn.
    first_of = {int(label): int(np.flatnonzero(of_group == label)[0]) for label in np.unique(of_group)}
    ordered = sorted(first_of, key=first_of.__getitem__)
    position = {label: place for place, label in enumerate(ordered)}
    stratum_of_group = np.array([position[int(label)] for label in of_group])
    part_rank = _by_first_group(part, group_codes)[part]
    first_part = np.full(len(groups), np.iinfo(np.int64).max)
    np.minimum.at(first_part, group_codes, part_rank)
    last_part = np.zeros(len(groups), dtype=np.int64)
    np.maximum.at(last_part, group_codes, part_rank)
    # Clusters of one part get neighbouring numbers, so that its block of sums (`ClusterSums.blocks`) is narrow.
    rank = np.empty(len(groups), dtype=np.int64)
    order = np.lexsort((np.arange(len(groups)), last_part, first_part, stratum_of_group))
    rank[order] = np.arange(len(groups))
    sizes = np.bincount(stratum_of_group, minlength=len(ordered))
    ends = np.cumsum(sizes)
    strata = tuple(
        (str(groups[first_of[label]]), slice(int(end - size), int(end)))
        for label, size, end in zip(ordered, sizes, ends, strict=True)
    )
    return Clusters(rank[group_codes], part, strata)


def _by_first_group(part: NDArray[np.int64], group: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return [part], its rank by the smallest group of its items: an order that no benchmark's name decides."""
    first = np.full(int(part.max(initial=0)) + 1, np.iinfo(np.int64).max)
    np.minimum.at(first, part, group)
    ranks: NDArray[np.int64] = np.argsort(np.argsort(first, kind="stable"))
    return ranks


def _joined(benchmark: NDArray[np.int64], group: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Return [benchmark], a label that benchmarks share if groups link them, directly or through other benchmarks.

    Args:
        benchmark, group: [item], codes.
        count: number of benchmarks.
    """
    pairs = np.unique(group * count + benchmark)
    # Sorted, the benchmarks of a group are neighbours: a link from each to the next one joins them all.
    same = np.flatnonzero(pairs[1:] // count == pairs[:-1] // count)
    links = np.unique(np.stack([pairs[same] % count, pairs[same + 1] % count], axis=1), axis=0)
    label = np.arange(count)
    for first, second in links.tolist():
        label[label == label[second]] = label[first]
    return label


def generator(seed: int, *names: str) -> np.random.Generator:
    """Return a generator that depends on the seed and the names alone."""
    digest = hashlib.blake2b("\x1f".join([str(seed), *names]).encode(), digest_size=16).digest()
    return np.random.Generator(np.random.PCG64(int.from_bytes(digest, "big")))


def bootstrap_counts(clusters: Clusters, replicates: int, seed: int) -> NDArray[np.uint8]:
    """Return [replicate, cluster], how often each cluster is drawn; the counts of a stratum sum to its size."""
    counts = np.empty((replicates, clusters.count), dtype=np.uint8)
    for name, stratum in clusters.strata:
        size = stratum.stop - stratum.start
        numbers = generator(seed, "bootstrap", name)
        batch = max(1, _BATCH // size)
        for start in range(0, replicates, batch):
            rows = min(batch, replicates - start)
            drawn = numbers.integers(0, size, size=(rows, size), dtype=np.int32)
            # Each replicate's numbers are moved to a range of their own, so that one count serves the whole batch.
            drawn += (np.arange(rows, dtype=np.int32) * size)[:, None]
            counted = np.bincount(drawn.ravel(), minlength=rows * size)
            counts[start : start + rows, stratum] = counted.reshape(rows, size)
    return counts


@dataclass(frozen=True)
class ClusterSums:
    """Sums of item values over the items of each cluster that lie in each part.

    Attributes:
        clusters: the clusters.
        blocks: for each part, the range of clusters that holds all of its clusters, and sums [cluster, column] over it.
    """

    clusters: Clusters
    blocks: tuple[tuple[slice, NDArray[np.float64]], ...]

    @property
    def columns(self) -> int:
        """Number of columns."""
        return int(self.blocks[0][1].shape[1])

    def total(self) -> NDArray[np.float64]:
        """Return [part, column], the sums over all clusters."""
        return np.stack([sums.sum(axis=0) for _, sums in self.blocks])

    def weighted(self, weights: NDArray[np.uint8]) -> NDArray[np.float64]:
        """Return [part, column, replicate], the sums with clusters weighted by `weights` [replicate, cluster].

        Columns that are whole numbers after multiplication with a small one, as numbers of right answers are, are
        summed in single precision, which is exact for them and takes half the time.

        Args:
            weights: their sizes sum, over the clusters of a stratum, to its number of clusters in every replicate.
        """
        result = np.empty((len(self.blocks), self.columns, len(weights)))
        for part, (chosen, sums) in enumerate(self.blocks):
            factor = _whole_by(sums, self._most(chosen))
            whole = np.flatnonzero(factor)
            if len(whole):
                scaled = np.rint(sums[:, whole] * factor[whole]).astype(np.float32)
                result[part, whole] = _product(weights[:, chosen], scaled) / factor[whole, None]
            others = np.flatnonzero(factor == 0)
            if len(others):
                result[part, others] = _product(weights[:, chosen], sums[:, others])
        return result

    def _most(self, chosen: slice) -> int:
        """Return the number of clusters of the stratum that a range of clusters lies in."""
        sizes = (
            int(stratum.stop) - int(stratum.start)
            for _, stratum in self.clusters.strata
            if stratum.start < chosen.stop and chosen.start < stratum.stop
        )
        return max(sizes)


def _whole_by(sums: NDArray[np.float64], most: int) -> NDArray[np.int64]:
    """Return [column], the smallest factor that makes whole numbers whose weighted sums stay exact; 0 if there is none.

    Args:
        sums: [cluster, column].
        most: largest sum of the weights' sizes.
    """
    factors = np.zeros(sums.shape[1], dtype=np.int64)
    largest = np.abs(sums).max(axis=0, initial=0.0)
    for factor in reversed(_SCALES):  # from the largest, so that the smallest one that fits is kept
        scaled = sums * factor
        whole = (np.abs(scaled - np.rint(scaled)) < 1e-9 * factor).all(axis=0) & (largest * factor * most < _WHOLE)
        factors[whole] = factor
    return factors


def _product(weights: NDArray[np.uint8], sums: NDArray[Any]) -> NDArray[np.float64]:
    """Return [column, replicate], the weighted sums, computed in the precision of `sums` [cluster, column]."""
    product = np.empty((sums.shape[1], len(weights)))
    turned = np.ascontiguousarray(sums.T)
    for rows in _batches(len(weights), len(sums)):
        product[:, rows] = turned @ weights[rows].T.astype(sums.dtype)
    return product


def cluster_sums(clusters: Clusters, values: NDArray[np.float64]) -> ClusterSums:
    """Sum item values [item, column] by cluster and part."""
    order = np.lexsort((clusters.of_item, clusters.part))
    part, cluster = clusters.part[order], clusters.of_item[order]
    starts = np.flatnonzero((np.diff(part, prepend=-1) != 0) | (np.diff(cluster, prepend=-1) != 0))
    sums = np.add.reduceat(values[order], starts, axis=0)
    blocks = []
    for number in range(clusters.parts):
        inside = part[starts] == number
        place = cluster[starts][inside]
        # Clusters in between that have no item in this part keep sums of 0.
        first, last = int(place[0]), int(place[-1]) + 1
        block = np.zeros((last - first, values.shape[1]))
        block[place - first] = sums[inside]
        blocks.append((slice(first, last), block))
    return ClusterSums(clusters, tuple(blocks))


def _batches(replicates: int, width: int) -> Iterator[slice]:
    batch = max(1, _BATCH // max(1, width))
    for start in range(0, replicates, batch):
        yield slice(start, min(replicates, start + batch))
