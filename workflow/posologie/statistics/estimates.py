"""Which items a number is about, how they are weighted, and its value for all models with its replicates.

The published aggregate is not defined (PAPER, section 4), so all plausible ones are computed and named:
`item_weighted` (every item counts the same), `mean_of_benchmarks` (every benchmark does) and `mean_of_tasks` (questions
with one and with several answers do). Each is the mean, over groups of parts, of a ratio of sums. This is the one place
where draws meet scores.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from posologie.records.components import in_order
from posologie.running.errors import InputError
from posologie.statistics.crossed import Moments, covariance_of
from posologie.statistics.draws import (
    Clusters,
    ClusterSums,
    bootstrap_counts,
    cluster_sums,
    make_clusters,
)
from posologie.statistics.scored import ScoredSuite
from posologie.statistics.spec import Statistics


@dataclass(frozen=True)
class Parts:
    """The parts of a suite: each benchmark's items of each task.

    Attributes:
        provenance: the component of each part.
        components: the components that have parts, in their order.
    """

    of_item: NDArray[np.int64]
    benchmark: tuple[str, ...]
    task: tuple[str, ...]
    provenance: tuple[str, ...]
    components: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.benchmark)


@dataclass(frozen=True)
class Cell:
    """One scope, task and aggregate; `groups` holds the parts of each ratio whose mean the aggregate is."""

    scope_kind: str
    scope: str
    task: str
    aggregate: str
    groups: tuple[tuple[int, ...], ...]

    def columns(self) -> dict[str, str]:
        """Return the columns by which tables name the cell."""
        return {"scope_kind": self.scope_kind, "scope": self.scope, "task": self.task, "aggregate": self.aggregate}


def make_parts(
    benchmark: NDArray[np.str_],
    task: NDArray[np.str_],
    provenance: NDArray[np.str_],
    declared: Sequence[str] = (),
) -> Parts:
    """Return the parts of a suite, given the benchmark, the task and the component of each item.

    Args:
        declared: the study's components in their order; those that are not named follow, by the alphabet.

    Raises:
        InputError: for a benchmark whose items are of several components.
    """
    keys = np.stack([benchmark, task])
    names, of_item = np.unique(keys, axis=1, return_inverse=True)
    of_item = of_item.reshape(-1)
    provenances = []
    for part in range(names.shape[1]):
        of_part = np.unique(provenance[of_item == part])
        if len(of_part) > 1:
            raise InputError(f"benchmark '{names[0, part]}': items of {' and '.join(of_part)}; expected one component")
        provenances.append(str(of_part[0]))
    benchmarks, tasks = (tuple(str(name) for name in row) for row in names)
    components = tuple(in_order(set(provenances), declared))
    return Parts(of_item.astype(np.int64), benchmarks, tasks, tuple(provenances), components)


def make_cells(parts: Parts) -> Iterator[Cell]:
    """Yield the cells of a suite: all items, then each component, then each benchmark."""
    everything = range(len(parts))
    yield from _scope("all", "all", tuple(everything), parts)
    for component in parts.components:
        inside = tuple(part for part in everything if parts.provenance[part] == component)
        yield from _scope("provenance", component, inside, parts)
    for benchmark in sorted(set(parts.benchmark)):
        inside = tuple(part for part in everything if parts.benchmark[part] == benchmark)
        yield from _scope("benchmark", benchmark, inside, parts)


def _scope(kind: str, scope: str, inside: tuple[int, ...], parts: Parts) -> Iterator[Cell]:
    by_task = _grouped(inside, parts.task)
    choices: list[tuple[str, tuple[int, ...]]] = [("all", inside)]
    if len(by_task) > 1:
        choices += sorted(by_task.items())
    for task, chosen in choices:
        yield Cell(kind, scope, task, "item_weighted", (chosen,))
        if kind != "benchmark":
            yield Cell(kind, scope, task, "mean_of_benchmarks", tuple(_grouped(chosen, parts.benchmark).values()))
        if task == "all" and len(by_task) > 1:
            yield Cell(kind, scope, task, "mean_of_tasks", tuple(by_task.values()))


def _grouped(inside: tuple[int, ...], names: tuple[str, ...]) -> dict[str, tuple[int, ...]]:
    groups: dict[str, list[int]] = {}
    for part in inside:
        groups.setdefault(names[part], []).append(part)
    return {name: tuple(groups[name]) for name in sorted(groups)}


def aggregate(cell: Cell, numerators: NDArray[np.float64], denominators: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the cell's value from sums over parts.

    Args:
        numerators: [part, column, …], sums of the values.
        denominators: [part, 1 or column, …], sums of the weights (numbers of items).

    Returns:
        [column, …]; NaN where a group holds no item.
    """
    mean: NDArray[np.float64] = np.zeros(())
    with np.errstate(invalid="ignore", divide="ignore"):
        for group in cell.groups:
            mean = mean + sum_over_parts(numerators, group) / sum_over_parts(denominators, group)
    return mean / len(cell.groups)


def sum_over_parts(sums: NDArray[np.float64], parts: tuple[int, ...]) -> NDArray[np.float64]:
    """Return the sum over parts, without the copy that a list of indices makes."""
    whole: NDArray[np.float64] = sums[parts[0]]
    for part in parts[1:]:
        whole = whole + sums[part]
    return whole


@dataclass(frozen=True)
class Extent:
    """How much a cell rests on.

    Attributes:
        items: number of items.
        clusters: number of clusters that hold an item of the cell.
        effective: number of equal clusters with the same concentration of weight, 1 / Σ weight² (Kish 1965).
    """

    items: int
    clusters: int
    effective: float


def linear_parts(cell: Cell, sums: ClusterSums, total_sizes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return [cluster, column]: what each cluster adds to the cell's value at fixed denominators.

    Args:
        total_sizes: [part, 1 or column], the denominators.
    """
    influence = np.zeros((sums.clusters.count, sums.columns))
    for group in cell.groups:
        weight = 1 / total_sizes[list(group)].sum(axis=0) / len(cell.groups)
        for part in group:
            chosen, block = sums.blocks[part]
            influence[chosen] += block * weight
    return influence


def extent(cell: Cell, sizes: ClusterSums) -> Extent:
    """Say how much a cell rests on.

    Args:
        sizes: one column, the number of items.
    """
    total = sizes.total()
    weights = linear_parts(cell, sizes, total)[:, 0]
    chosen = [part for group in cell.groups for part in group]
    return Extent(int(total[chosen, 0].sum()), int((weights > 0).sum()), float(1 / (weights @ weights)))


_COLUMNS = 64
"""Columns that are drawn together: bounds memory, changes no result."""


@dataclass(frozen=True)
class Estimate:
    """One cell's values.

    Attributes:
        point: [column].
        replicates: [column, replicate].
    """

    cell: Cell
    extent: Extent
    point: NDArray[np.float64]
    replicates: NDArray[np.float64]


@dataclass(frozen=True)
class Model:
    """One cell's values, with what items say of them."""

    cell: Cell
    extent: Extent
    moments: Moments


@dataclass(frozen=True)
class Denominators:
    """The items on which a measure is defined: numbers of items by cluster, and the cells that hold any."""

    sizes: ClusterSums
    total: NDArray[np.float64]
    cells: tuple[Cell, ...]
    extents: tuple[Extent, ...]


class Resampled:
    """A suite under one set of cluster draws; draws and denominators are made when first needed, and kept."""

    def __init__(self, scored: ScoredSuite, settings: Statistics) -> None:
        self.scored, self.settings = scored, settings
        self.parts = make_parts(scored.benchmark, scored.task, scored.provenance, scored.components)
        self.clusters: Clusters = make_clusters(scored.benchmark, scored.group, self.parts.of_item)
        self.cells = tuple(make_cells(self.parts))
        self._denominators: dict[bytes, Denominators] = {}
        self._weighted_sizes: dict[int, NDArray[np.float64]] = {}

    @cached_property
    def counts(self) -> NDArray[np.uint8]:
        """[replicate, cluster], how often each cluster is drawn."""
        return bootstrap_counts(self.clusters, self.settings.replicates, self.settings.seed)

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
            self._denominators[key] = Denominators(sizes, sizes.total(), tuple(cells), extents)
        return self._denominators[key]

    def weighted_sizes(self, below: Denominators) -> NDArray[np.float64]:
        """Return [part, 1, replicate], the numbers of items in each draw."""
        if id(below) not in self._weighted_sizes:
            self._weighted_sizes[id(below)] = below.sizes.weighted(self.counts)
        return self._weighted_sizes[id(below)]

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
            yield self._estimates(below, total[:, own], weighted[:, own])

    def _estimates(
        self, below: Denominators, total: NDArray[np.float64], weighted: NDArray[np.float64]
    ) -> Iterator[Estimate]:
        weighted_sizes = self.weighted_sizes(below)
        for cell, held in zip(below.cells, below.extents, strict=True):
            yield Estimate(
                cell,
                held,
                aggregate(cell, total, below.total),
                aggregate(cell, weighted, weighted_sizes),
            )

    def many_moments(self, arrays: Iterable[NDArray[np.float64]]) -> Iterator[Iterator[Model]]:
        """Yield, for each array [column, item], each cell's mean with its covariance over draws of clusters."""
        for values in arrays:
            below = self.denominators(np.any(~np.isnan(values), axis=0))
            yield self._models(below, cluster_sums(self.clusters, np.nan_to_num(values).T))

    def _models(self, below: Denominators, sums: ClusterSums) -> Iterator[Model]:
        total = sums.total()
        strata = [stratum for _, stratum in self.clusters.strata]
        for cell, held in zip(below.cells, below.extents, strict=True):
            influence, weights = influence_of(cell, sums, total, below.sizes, below.total)
            covariance, df = covariance_of(influence, weights, strata)
            yield Model(cell, held, Moments(aggregate(cell, total, below.total), covariance, df))


def influence_of(
    cell: Cell,
    sums: ClusterSums,
    total: NDArray[np.float64],
    sizes: ClusterSums,
    total_sizes: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return [cluster, column], what each cluster adds to the value less its share of it, and [cluster], its weight.

    It is the linearised ratio (Davison and Hinkley 1997, section 2.7.2): for each group of parts, (sum of the cluster's
    values − the group's mean × its number of items) / the group's number of items.
    """
    influence = np.zeros((sums.clusters.count, sums.columns))
    weights = np.zeros(sums.clusters.count)
    for group in cell.groups:
        count = total_sizes[list(group), 0].sum()
        mean = total[list(group)].sum(axis=0) / count
        for part in group:
            chosen, block = sums.blocks[part]
            held = sizes.blocks[part][1]
            influence[chosen] += (block - held * mean) / (count * len(cell.groups))
            weights[chosen] += held[:, 0] / (count * len(cell.groups))
    return influence, weights
