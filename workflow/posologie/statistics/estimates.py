"""Values of all models in all cells of a suite, with their replicates: the one place where draws meet scores."""

from collections.abc import Iterator
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


@dataclass(frozen=True)
class Estimate:
    """One cell's values.

    Attributes:
        point: [column].
        replicates: [replicate, column].
        influence: [cluster, column], for BCa; None unless asked for.
    """

    cell: Cell
    extent: Extent
    point: NDArray[np.float64]
    replicates: NDArray[np.float64]
    influence: NDArray[np.float64] | None


class Resampled:
    """A suite under one set of cluster draws; the draws are made when first needed, and kept."""

    def __init__(self, scored: ScoredSuite, settings: Statistics) -> None:
        self.scored, self.settings = scored, settings
        self.clusters: Clusters = make_clusters(scored.benchmark, scored.group)
        self.parts = make_parts(scored)
        self.cells = tuple(make_cells(self.parts))

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

    def sums(self, values: NDArray[np.float64]) -> ClusterSums:
        """Return sums of item values [item, column] by cluster and part."""
        return cluster_sums(self.clusters, self.parts.of_item, len(self.parts), values)

    def defined(self, values: NDArray[np.float64]) -> tuple[ClusterSums, tuple[Cell, ...]]:
        """Return the numbers of items on which values [column, item] are defined, and the cells that hold any.

        Parts without a defined value are left out of the cells; an aggregate that loses a whole group is left out.
        """
        sizes = self.sums((~np.isnan(values[0])).astype(float)[:, None])
        held = sizes.total()[:, 0] > 0
        cells = []
        for cell in self.cells:
            groups = tuple(tuple(part for part in group if held[part]) for group in cell.groups)
            if all(groups):
                cells.append(replace(cell, groups=groups))
        return sizes, tuple(cells)

    def means(self, values: NDArray[np.float64]) -> Iterator[Estimate]:
        """Yield each cell's mean of item values.

        Args:
            values: [column, item]; NaN where undefined, on the same items in every column.
        """
        sizes, cells = self.defined(values)
        sums = self.sums(np.nan_to_num(values).T)
        weighted, weighted_sizes = sums.weighted(self.counts), sizes.weighted(self.counts)
        total, total_sizes = sums.total(), sizes.total()
        for cell in cells:
            influence = _influence(cell, sums, sizes) if self.settings.interval == "bca" else None
            yield Estimate(
                cell,
                extent(cell, sizes),
                aggregate(cell, total, total_sizes),
                aggregate(cell, weighted, weighted_sizes),
                influence,
            )

    def flips(
        self, differences: NDArray[np.float64]
    ) -> Iterator[tuple[Cell, NDArray[np.float64], NDArray[np.float64]]]:
        """Yield each cell, what each cluster adds to its mean difference, and the mean difference under random signs.

        Args:
            differences: [column, item].

        Yields:
            The cell, [cluster, column] and [replicate, column].
        """
        sizes, cells = self.defined(differences)
        sums = self.sums(np.nan_to_num(differences).T)
        flipped, total_sizes = sums.weighted(self.signs), sizes.total()
        for cell in cells:
            added = np.concatenate(linear_parts(cell, sums, total_sizes))
            yield cell, added, aggregate(cell, flipped, total_sizes)


def _influence(cell: Cell, sums: ClusterSums, sizes: ClusterSums) -> NDArray[np.float64]:
    """Return [cluster, column], (n_h − 1) / n_h times the fall of the value when a cluster of stratum h is left out.

    Their second and third moments are those of Davison and Hinkley 1997, section 5.3.2, for stratified samples.
    """
    total, total_sizes = sums.total(), sizes.total()
    values = []
    for (parts, block), (_, size_block) in zip(sums.blocks, sizes.blocks, strict=True):
        count = len(block)
        left, left_sizes = (np.repeat(whole[None], count, axis=0) for whole in (total, total_sizes))
        left[:, parts] -= block
        left_sizes[:, parts] -= size_block
        without = aggregate(cell, left, left_sizes)
        values.append(np.nan_to_num((count - 1) / count * (without.mean(axis=0) - without)))
    return np.concatenate(values)
