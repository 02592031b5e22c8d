"""Values of all models in all cells of a suite, with their replicates: the one place where draws meet scores."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from posologie.statistics.cells import Cell, Extent, aggregate, extent, linear_parts, make_cells, make_parts
from posologie.statistics.draws import (
    Clusters,
    ClusterSums,
    bootstrap_counts,
    cluster_sums,
    make_clusters,
    random_signs,
)
from posologie.statistics.scored import ScoredSuite
from posologie.statistics.spec import Statistics

_COLUMNS = 64
"""Columns that are drawn together: bounds memory, changes no result."""


@dataclass(frozen=True)
class Estimate:
    """One cell's values.

    Attributes:
        point: [column].
        replicates: [column, replicate].
        influence: [cluster, column], for BCa; None unless asked for.
    """

    cell: Cell
    extent: Extent
    point: NDArray[np.float64]
    replicates: NDArray[np.float64]
    influence: NDArray[np.float64] | None


@dataclass(frozen=True)
class Denominators:
    """The items on which a measure is defined: numbers of items by cluster, and the cells that hold any."""

    sizes: ClusterSums
    total: NDArray[np.float64]
    weighted: NDArray[np.float64]
    cells: tuple[Cell, ...]
    extents: tuple[Extent, ...]


class Resampled:
    """A suite under one set of cluster draws; draws and denominators are made when first needed, and kept."""

    def __init__(self, scored: ScoredSuite, settings: Statistics) -> None:
        self.scored, self.settings = scored, settings
        self.parts = make_parts(scored.benchmark, scored.task, scored.provenance)
        self.clusters: Clusters = make_clusters(scored.benchmark, scored.group, self.parts.of_item)
        self.cells = tuple(make_cells(self.parts))
        self._denominators: dict[bytes, Denominators] = {}

    @cached_property
    def counts(self) -> NDArray[np.uint8]:
        """[replicate, cluster], how often each cluster is drawn."""
        return bootstrap_counts(self.clusters, self.settings.replicates, self.settings.seed)

    @cached_property
    def signs(self) -> NDArray[np.int8]:
        """[replicate, cluster], −1 or 1."""
        return random_signs(self.clusters, self.settings.replicates, self.settings.seed)

    @cached_property
    def single_items(self) -> bool:
        """Whether every cluster is a single item."""
        return self.clusters.count == len(self.scored.item)

    def denominators(self, defined: NDArray[np.bool_]) -> Denominators:
        """Return the denominators where `defined` [item] says which items count.

        Parts without such an item are left out of the cells; an aggregate that would lose a whole group is left out.
        """
        key = np.packbits(defined).tobytes()
        if key not in self._denominators:
            sizes = cluster_sums(self.clusters, defined.astype(float)[:, None])
            held = sizes.total()[:, 0] > 0
            cells = []
            for cell in self.cells:
                groups = tuple(tuple(part for part in group if held[part]) for group in cell.groups)
                if all(groups):
                    cells.append(replace(cell, groups=groups))
            extents = tuple(extent(cell, sizes) for cell in cells)
            weighted = sizes.weighted(self.counts)
            self._denominators[key] = Denominators(sizes, sizes.total(), weighted, tuple(cells), extents)
        return self._denominators[key]

    def means(self, values: NDArray[np.float64]) -> Iterator[Estimate]:
        """Yield each cell's mean of item values.

        Args:
            values: [column, item]; NaN where undefined, on the same items in every column but those that are NaN
                throughout, whose means say nothing.
        """
        yield from next(self.many_means([values]))

    def many_means(self, arrays: Sequence[NDArray[np.float64]]) -> Iterator[Iterator[Estimate]]:
        """Yield what `means` yields of each array; arrays that are defined on the same items are drawn together.

        One product of the draws with many columns takes a fraction of the time of many with few.
        """
        start = 0
        while start < len(arrays):
            defined: NDArray[np.bool_] = np.any(~np.isnan(arrays[start]), axis=0)
            stop, width = start + 1, len(arrays[start])
            while (
                stop < len(arrays)
                and width + len(arrays[stop]) <= _COLUMNS
                and np.array_equal(np.any(~np.isnan(arrays[stop]), axis=0), defined)
            ):
                width += len(arrays[stop])
                stop += 1
            yield from self._together(arrays[start:stop], defined)
            start = stop

    def _together(
        self, arrays: Sequence[NDArray[np.float64]], defined: NDArray[np.bool_]
    ) -> Iterator[Iterator[Estimate]]:
        below = self.denominators(defined)
        sums = cluster_sums(self.clusters, np.nan_to_num(np.concatenate(arrays)).T)
        weighted, total = sums.weighted(self.counts), sums.total()
        ends = np.cumsum([len(values) for values in arrays]).tolist()
        for values, end in zip(arrays, ends, strict=True):
            own = slice(end - len(values), end)
            yield self._estimates(below, sums.some(own), total[:, own], weighted[:, own])

    def _estimates(
        self, below: Denominators, sums: ClusterSums, total: NDArray[np.float64], weighted: NDArray[np.float64]
    ) -> Iterator[Estimate]:
        for cell, held in zip(below.cells, below.extents, strict=True):
            yield Estimate(
                cell,
                held,
                aggregate(cell, total, below.total),
                aggregate(cell, weighted, below.weighted),
                _influence(cell, sums, below.sizes) if self.settings.interval == "bca" else None,
            )

    def flips(
        self, differences: NDArray[np.float64]
    ) -> Iterator[tuple[Cell, NDArray[np.float64], NDArray[np.float64]]]:
        """Yield each cell, what each cluster adds to its mean difference, and the mean difference under random signs.

        Args:
            differences: [column, item].

        Yields:
            The cell, [cluster, column] and [column, replicate].
        """
        below = self.denominators(~np.isnan(differences[0]))
        sums = cluster_sums(self.clusters, np.nan_to_num(differences).T)
        flipped = sums.weighted(self.signs)
        for cell in below.cells:
            yield cell, linear_parts(cell, sums, below.total), aggregate(cell, flipped, below.total[:, :, None])


def _influence(cell: Cell, sums: ClusterSums, sizes: ClusterSums) -> NDArray[np.float64]:
    """Return [cluster, column], (n_h − 1) / n_h times the fall of the value when a cluster of stratum h is left out.

    Their second and third moments are those of Davison and Hinkley 1997, section 5.3.2, for stratified samples.
    """
    clusters = sums.clusters
    without = np.zeros((clusters.count, sums.columns))
    with np.errstate(invalid="ignore", divide="ignore"):
        for group in cell.groups:
            above, below = (np.zeros((clusters.count, one.columns)) for one in (sums, sizes))
            for part in group:
                for left, one in ((above, sums), (below, sizes)):
                    chosen, block = one.blocks[part]
                    left += block.sum(axis=0)
                    left[chosen] -= block
            without += above / below / len(cell.groups)
    influence = np.empty_like(without)
    for _, stratum in clusters.strata:
        size = stratum.stop - stratum.start
        influence[stratum] = (size - 1) / size * (without[stratum].mean(axis=0) - without[stratum])
    return np.nan_to_num(influence)
