"""Which items a number is about, and how they are weighted.

The published aggregate is not defined (PAPER, section 4), so all plausible ones are computed and named:
`item_weighted` (every item counts the same), `mean_of_benchmarks` (every benchmark does) and `mean_of_tasks` (questions
with one and with several answers do). Each is the mean, over groups of parts, of a ratio of sums.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from posologie.records.components import in_order
from posologie.running.errors import InputError
from posologie.statistics.draws import ClusterSums


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
        found = np.unique(provenance[of_item == part])
        if len(found) > 1:
            raise InputError(f"benchmark '{names[0, part]}': items of {' and '.join(found)}; expected one component")
        provenances.append(str(found[0]))
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
    added = np.zeros((sums.clusters.count, sums.columns))
    for group in cell.groups:
        weight = 1 / total_sizes[list(group)].sum(axis=0) / len(cell.groups)
        for part in group:
            chosen, block = sums.blocks[part]
            added[chosen] += block * weight
    return added


def extent(cell: Cell, sizes: ClusterSums) -> Extent:
    """Say how much a cell rests on.

    Args:
        sizes: one column, the number of items.
    """
    total = sizes.total()
    weights = linear_parts(cell, sizes, total)[:, 0]
    chosen = [part for group in cell.groups for part in group]
    return Extent(int(total[chosen, 0].sum()), int((weights > 0).sum()), float(1 / (weights @ weights)))
