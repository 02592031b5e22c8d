"""What `posologie design mixes` says of a design: its trainings as rows, the YAML to paste, and a few sentences."""

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from rich.table import Table

from posologie.cli.design_power import Pilot, critical_z
from posologie.surface.design_points import DesignProblem
from posologie.surface.designs import Proposal, power_of_surface

_LEVEL, _POWER = 0.95, 0.8


@dataclass(frozen=True)
class Named:
    """A design with the names of its mixes: those that are proposed, then those that are there.

    Attributes:
        new: names of the proposed mixes.
        present: names of the mixes that are there.
        seeds: of the study's trainings.
        taken: seeds that each mix that is there has.
        scarce: highest share of each component that holds too few items for the bounds.
        held: number of items of the components that are known.
        most_epochs: how often the items of a component may stand in a mix.
    """

    problem: DesignProblem
    new: tuple[str, ...]
    present: tuple[str, ...]
    seeds: tuple[int, ...]
    taken: dict[str, tuple[int, ...]]
    scarce: dict[str, float]
    held: dict[str, int]
    most_epochs: dict[str, int]

    def epochs(self, weights: Sequence[int], size: int) -> dict[str, int]:
        """Return how often the items of a component have to stand in a proposed mix, where that is more than once."""
        needed = {
            name: size * weight / sum(weights)
            for name, weight in zip(self.problem.region.components, weights, strict=True)
        }
        times = {name: math.ceil(needed[name] / items - 1e-9) for name, items in self.held.items() if items}
        return {name: count for name, count in times.items() if count > 1}


def rows_of(
    options: argparse.Namespace,
    named: Named,
    proposal: Proposal,
    pilot: Pilot | None,
    hours: tuple[float | None, float],
) -> list[dict[str, Any]]:
    """Return a row for each training in its order: mix, seed, size, shares, and what is known after it."""
    problem, rows, used = named.problem, [], {name: list(seeds) for name, seeds in named.taken.items()}
    training, thousand = hours
    items = 0 if pilot is None else pilot.whole.items
    runs = int(problem.present_runs.sum())
    z = None if pilot is None else critical_z(pilot.whole, items, 2, max(1, len(proposal.weights)), _LEVEL)
    for number, place in enumerate(proposal.order, start=1):
        is_new = place < len(proposal.weights)
        name = named.new[place] if is_new else named.present[place - len(proposal.weights)]
        shares = proposal.shares[place] if is_new else problem.present[place - len(proposal.weights)]
        size = proposal.sizes[place] if is_new else problem.present_sizes[place - len(proposal.weights)]
        mine = used.setdefault(name, [])
        mine.append(next((seed for seed in named.seeds if seed not in mine), max((*named.seeds, *mine)) + 1))
        variance = float(proposal.variance[number])
        row: dict[str, Any] = {"training": number, "mix": name, "seed": mine[-1], "size": int(size)}
        row |= {component: float(share) for component, share in zip(problem.region.components, shares, strict=True)}
        row["mean_variance"] = variance if np.isfinite(variance) else None
        row["mean_sd"] = detectable = power = None
        if pilot is not None and z is not None and np.isfinite(variance):
            row["mean_sd"] = 100 * float(np.sqrt(variance * (pilot.whole.noise + (pilot.whole.seeds or 0.0))))
            df = runs + number - len(problem.products)
            detectable, power = power_of_surface(pilot.whole, variance, df, z, options.difference / 100, _POWER)
        row["detectable"] = None if detectable is None else 100 * detectable
        row["power"] = power
        row["gpu_hours"] = None if training is None else number * (training + items / 1000 * thousand)
        rows.append(row)
    return rows


def yaml_of(named: Named, proposal: Proposal) -> str:
    """Return the sections to paste: `mixes`, and further seeds of mixes that are trained again."""
    order = sorted(range(len(proposal.weights)), key=lambda place: proposal.order.index(place))
    lines = ["mixes:"]
    for place in order:
        weights = zip(named.problem.region.components, proposal.weights[place], strict=True)
        shares = ", ".join(f"{name}: {weight}" for name, weight in weights if weight)
        epochs = named.epochs(proposal.weights[place], int(proposal.sizes[place]))
        repeated = f", epochs: {{{', '.join(f'{name}: {times}' for name, times in epochs.items())}}}" if epochs else ""
        lines.append(f"  {named.new[place]}: {{shares: {{{shares}}}, size: {proposal.sizes[place]}{repeated}}}")
    further: dict[str, list[int]] = {}
    used = {name: list(seeds) for name, seeds in named.taken.items()} | {name: [*named.seeds] for name in named.new}
    for name, count in _further(named, proposal).items():
        for _ in range(count):
            seed = max(used[name]) + 1
            used[name].append(seed)
            further.setdefault(name, []).append(seed)
    if further:
        lines += ["training:", "  further_seeds:"]
        lines += [f"    {name}: {seeds}" for name, seeds in further.items()]
    return "\n".join(lines) + "\n"


def _further(named: Named, proposal: Proposal) -> dict[str, int]:
    """Return how many seeds each mix gets beyond those of the study, by name."""
    further = {}
    for place in dict.fromkeys(proposal.order):
        count = proposal.order.count(place)
        is_new = place < len(proposal.weights)
        name = named.new[place] if is_new else named.present[place - len(proposal.weights)]
        if (more := count - (len(named.seeds) if is_new else 0)) > 0:
            further[name] = more
    return further


def paragraph(
    options: argparse.Namespace, named: Named, proposal: Proposal, pilot: Pilot | None, rows: list[dict[str, Any]]
) -> str:
    """Return the design in a few sentences."""
    problem, last = named.problem, rows[-1]
    again = len(proposal.order) - len(proposal.weights) * problem.runs
    beside = f" in addition to the {len(named.present)} that exist" if named.present else ""
    sentences = [
        f"{len(proposal.weights)} new mixes{beside}, {len(proposal.order)} trainings"
        f"{f', {again} of them another seed of a mix' if again else ''}, for a {problem.model.replace('_', ' ')}"
        f" surface of {len(problem.region.components)} components ({len(problem.products)} terms)."
    ]
    if last["mean_variance"] is None:
        missing = len(problem.products) - int(np.linalg.matrix_rank(proposal.information(problem), tol=1e-8))
        sentences.append(
            f"They leave {missing} of the terms undetermined: the model cannot be fitted without shrinkage; take"
            f" more trainings"
            " or a smaller model."
        )
        return " ".join(sentences)
    if named.scarce:
        limits = ", ".join(f"{name} {100 * share:.3g} %" for name, share in named.scarce.items())
        repeatable = ", ".join(
            f"those of {name} {times} times" for name, times in named.most_epochs.items() if times > 1
        )
        rule = f"Items are taken once, {repeatable} at most" if repeatable else "No item is taken twice"
        sentences.append(f"{rule}, so that a mix of {max(problem.sizes):,} items holds at most {limits}.")
    first = next(row["training"] for row in rows if row["mean_variance"] is not None)
    known = "already without them" if np.isfinite(proposal.variance[0]) else f"after training {first}"
    sentences.append(
        f"The model can be fitted {known}; at the end a predicted score has a mean variance of"
        f" {last['mean_variance']:.2f} times that of one run."
    )
    if pilot is not None and last["power"] is not None:
        sentences.append(
            f"From {pilot.source}: a difference of {options.difference:g} points between a predicted mix and base is"
            f" found with {100 * last['power']:.0f} % power, one of {last['detectable']:.1f} points with"
            f" {100 * _POWER:.0f} % ({len(proposal.weights)} comparisons corrected together,"
            f" {pilot.whole.items:,} items)."
        )
    elif pilot is not None:
        sentences.append("No run is left to show how much seeds matter, so no power can be stated.")
    if last["gpu_hours"] is not None:
        sentences.append(f"About {last['gpu_hours']:.1f} GPU hours.")
    return " ".join(sentences)


def table_of(rows: list[dict[str, Any]]) -> Table:
    """Return the rows as a table for the terminal, without the columns that have no values."""
    table = Table(box=None, pad_edge=False)
    columns = [name for name in rows[0] if any(row[name] is not None for row in rows)]
    for title in columns:
        table.add_column(title.replace("_", " "), justify="left" if title == "mix" else "right")
    digits = {"gpu_hours": 1, "mean_sd": 2, "detectable": 1, "mean_variance": 2, "power": 2}
    for row in rows:
        cells = []
        for name in columns:
            value = row[name]
            shown = f"{value:.{digits.get(name, 3)}f}" if isinstance(value, float) else str(value)
            cells.append("" if value is None else shown)
        table.add_row(*cells)
    return table
