"""One set of cluster draws, shared by everything that is said of a suite.

Items that share a clinical case are one cluster, with all their variants. Clusters are drawn with replacement inside
strata. The strata are the benchmarks; benchmarks that share a cluster are one stratum, so that the cluster is drawn
whole (Davison and Hinkley 1997, sections 3.2 and 3.8). All models, contrasts and attributions use the same draws.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.sparse
from numpy.typing import NDArray

_BATCH = 1 << 22
"""Drawn or multiplied at a time, in numbers: bounds memory, changes no result."""


@dataclass(frozen=True)
class Clusters:
    """Clusters of items in strata.

    Attributes:
        of_item: [item], the cluster of each item; clusters are numbered by stratum, then by their first part, then by
            group, so that the clusters of a part lie close together.
        part: [item], the part (benchmark and task) of each item, from 0.
        strata: name and range of clusters of each stratum, in order.
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
    graph = scipy.sparse.coo_array(
        (np.ones(len(group), dtype=np.int8), (benchmark_codes, group_codes + len(benchmarks))),
        shape=(len(benchmarks) + len(groups),) * 2,
    )
    _, component = scipy.sparse.csgraph.connected_components(graph, directed=False)
    of_benchmark, of_group = component[: len(benchmarks)], component[len(benchmarks) :]
    names = {
        label: "+".join(str(name) for name in benchmarks[of_benchmark == label]) for label in np.unique(of_benchmark)
    }
    ordered = sorted(names, key=lambda label: names[label])
    position = {label: place for place, label in enumerate(ordered)}
    stratum_of_group = np.array([position[label] for label in of_group])
    first_part = np.full(len(groups), np.iinfo(np.int64).max)
    np.minimum.at(first_part, group_codes, part)
    rank = np.empty(len(groups), dtype=np.int64)
    rank[np.lexsort((np.arange(len(groups)), first_part, stratum_of_group))] = np.arange(len(groups))
    sizes = np.bincount(stratum_of_group, minlength=len(ordered))
    ends = np.cumsum(sizes)
    strata = tuple(
        (names[label], slice(int(end - size), int(end))) for label, size, end in zip(ordered, sizes, ends, strict=True)
    )
    return Clusters(rank[group_codes], part, strata)


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
            drawn += (np.arange(rows, dtype=np.int32) * size)[:, None]
            counted = np.bincount(drawn.ravel(), minlength=rows * size)
            counts[start : start + rows, stratum] = counted.reshape(rows, size)
    return counts


def random_signs(clusters: Clusters, replicates: int, seed: int) -> NDArray[np.int8]:
    """Return [replicate, cluster], −1 or 1 with equal probability."""
    signs = np.empty((replicates, clusters.count), dtype=np.int8)
    for name, stratum in clusters.strata:
        size = stratum.stop - stratum.start
        numbers = generator(seed, "signs", name)
        batch = max(1, _BATCH // size)
        for start in range(0, replicates, batch):
            rows = min(batch, replicates - start)
            bits = np.unpackbits(np.frombuffer(numbers.bytes((rows * size + 7) // 8), dtype=np.uint8))
            signs[start : start + rows, stratum] = bits[: rows * size].reshape(rows, size).astype(np.int8) * 2 - 1
    return signs


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

    def weighted(self, weights: NDArray[np.uint8] | NDArray[np.int8]) -> NDArray[np.float64]:
        """Return [replicate, part, column], the sums with clusters weighted by `weights` [replicate, cluster]."""
        result = np.empty((len(weights), len(self.blocks), self.columns))
        for part, (chosen, sums) in enumerate(self.blocks):
            for rows in _batches(len(weights), len(sums)):
                result[rows, part] = weights[rows, chosen].astype(np.float64) @ sums
        return result


def cluster_sums(clusters: Clusters, values: NDArray[np.float64]) -> ClusterSums:
    """Sum item values [item, column] by cluster and part."""
    blocks = []
    for part in range(clusters.parts):
        inside = np.flatnonzero(clusters.part == part)
        cluster = clusters.of_item[inside]
        start, stop = int(cluster.min()), int(cluster.max()) + 1
        indicator = scipy.sparse.csr_array(
            (np.ones(len(inside)), (cluster - start, np.arange(len(inside)))), shape=(stop - start, len(inside))
        )
        blocks.append((slice(start, stop), np.asarray(indicator @ values[inside])))
    return ClusterSums(clusters, tuple(blocks))


def _batches(replicates: int, width: int) -> Iterator[slice]:
    batch = max(1, _BATCH // max(1, width))
    for start in range(0, replicates, batch):
        yield slice(start, min(replicates, start + batch))
