"""Which mixes to train on next, in an order that may be cut short, and what their trainings will show.

  posologie design mixes --configfile config/own.yaml --trainings 8
  posologie design mixes --components native translated synthetic --bounds synthetic=0:0.5 --size 33493 --trainings 10

Mixes with the lowest mean prediction variance for a model of the surface (I-optimal, by coordinate exchange), far apart
(space_filling), or on a simplex-lattice or -centroid; beside the mixes that the study has. It prints the `mixes:` to
paste. With --results or --score it says what the surface will find; --figure draws its precision.
"""

import argparse
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, get_args

import numpy as np
from rich.table import Table

from posologie.cli.design_power import Pilot, add_known, critical_z, hours_of, pilot_of
from posologie.cli.places import console, print_json, results_of
from posologie.cli.prescribe import limits_of
from posologie.config import plan as of_study
from posologie.config.load import load_study
from posologie.config.study import Study
from posologie.records.files import write_csv, write_text
from posologie.running.errors import InputError
from posologie.surface.design_points import Kind, Plan
from posologie.surface.designs import Proposal, power_of_surface, propose
from posologie.surface.runs import Array
from posologie.surface.simplex import SCHEFFE, bounds_of, lattice, within_stock
from posologie.surface.spec import Design

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
    """

    plan: Plan
    new: tuple[str, ...]
    present: tuple[str, ...]
    seeds: tuple[int, ...]
    taken: dict[str, tuple[int, ...]]
    scarce: dict[str, float]


def add_arguments(mixes: argparse.ArgumentParser) -> None:
    """Add the arguments of `design mixes`; those that are left out are taken from the study's section `design`."""
    asked = mixes.add_argument_group("what is asked")
    asked.add_argument("--configfile", metavar="FILE", help="a study: its mixes are there, its `design:` has the rest")
    asked.add_argument("--components", nargs="+", metavar="NAME", help="what a mix may hold")
    asked.add_argument("--bounds", nargs="+", metavar="NAME=LOW:HIGH", help="lowest and highest share of a component")
    asked.add_argument(
        "--held", nargs="+", metavar="NAME=N", help="items that a component holds (default: the study's)"
    )
    asked.add_argument("--size", type=int, nargs="+", metavar="N", help="items of a mix, or several sizes")
    asked.add_argument("--trainings", type=int, metavar="N", help="adapters that may be trained")
    asked.add_argument("--repeats", type=int, metavar="N", help="of these, with another seed of a mix")
    asked.add_argument("--model", choices=[*SCHEFFE], help="Scheffé model of the surface (default: quadratic)")
    asked.add_argument("--kind", choices=get_args(Kind), help="kind of design (default: i_optimal)")
    asked.add_argument("--present", nargs="+", metavar="NAME=SHARE,…", help="mixes that are there, without a study")
    asked.add_argument("--prefix", default="D", help="beginning of the names of proposed mixes (default: D)")
    add_known(mixes)
    mixes.add_argument("--items", type=int, nargs=1, metavar="N", help="items of the suite, beside --score")
    mixes.add_argument("--difference", type=float, default=2.0, metavar="POINTS", help="true difference to find")
    cost = mixes.add_argument_group("what it costs")
    cost.add_argument("--hours-per-training", type=float, metavar="H", help="GPU hours (default: the run records)")
    cost.add_argument("--hours-per-thousand", type=float, metavar="H", help="GPU hours for 1,000 items of one model")
    mixes.add_argument("--yaml", type=Path, metavar="FILE", help="write the mixes to paste")
    mixes.add_argument("--table", type=Path, metavar="CSV", help="write the trainings in their order")
    mixes.add_argument("--figure", type=Path, metavar="SVG", help="draw where predictions will be how precise")


def answer(given: argparse.Namespace) -> int:
    """Print the mixes to train on; the exit code is 1 if the model cannot be fitted to them."""
    study = None if given.configfile is None else load_study(given.configfile)
    asked = _asked(given, study)
    named = _named(given, study, asked)
    if asked.trainings is None:
        raise InputError("--trainings: missing; say how many adapters may be trained")
    proposal = propose(named.plan, asked.trainings, asked.kind, asked.repeats, asked.seed, asked.starts)
    named = replace(named, new=_names(given.prefix, proposal, named.present))
    _check(given)
    pilot, hours = _known(given, study, len(proposal.weights))
    rows = rows_of(given, named, proposal, pilot, hours)
    text, told = yaml_of(named, proposal), paragraph(given, named, proposal, pilot, rows)
    if given.yaml:
        write_text(given.yaml, text)
    if given.table:
        write_csv(given.table, [*rows[0]], rows)
    if given.figure:
        draw(given.figure, named, proposal, pilot)
    if getattr(given, "json", False):
        print_json({"trainings": rows, "yaml": text, "told": told, "variance": _finite(proposal.variance)})
    else:
        console().print(_table(rows))
        console().print(told, markup=False)
        console().print("")
        console().print(text, markup=False, end="")
    return 0 if np.isfinite(proposal.variance[-1]) else 1


def _check(given: argparse.Namespace) -> None:
    if given.score is not None and not 0 < given.score < 100:
        raise InputError(f"--score {given.score:g}: expected a percentage between 0 and 100")
    if given.score is not None and not given.items:
        raise InputError("--items: missing; expected the number of items of the suite beside --score")
    for name in ("difference", "seed_sd", "hours_per_training", "hours_per_thousand"):
        value = getattr(given, name)
        if value is not None and (value < 0 or (value == 0 and name == "difference")):
            raise InputError(f"--{name.replace('_', '-')} {value:g}: expected a positive number")


def _asked(given: argparse.Namespace, study: Study | None) -> Design:
    """Return what is asked: the options, and the study's section for what they leave out."""
    base = Design() if study is None else study.design
    bounds = dict(base.bounds or ({} if study is None else study.surface.bounds))
    bounds |= limits_of(given.bounds or ())
    chosen: dict[str, Any] = {"bounds": bounds}
    for key, value in (
        ("components", given.components), ("sizes", given.size), ("trainings", given.trainings),
        ("repeats", given.repeats), ("model", given.model), ("kind", given.kind),
    ):  # fmt: skip
        if value is not None:
            chosen[key] = tuple(value) if isinstance(value, list) else value
    found = base.model_copy(update=chosen)
    for name, numbers in (("--size", found.sizes), ("--trainings", (found.trainings or 1,))):
        if min(numbers, default=1) < 1:
            raise InputError(f"{name} {min(numbers)}: expected 1 or more")
    if (found.repeats or 0) < 0:
        raise InputError(f"--repeats {found.repeats}: expected 0 or more")
    if len(set(found.sizes)) < len(found.sizes):
        raise InputError("--size: expected each size once")
    return found


def _named(given: argparse.Namespace, study: Study | None, asked: Design) -> Named:
    """Return the plan, with the mixes that are there."""
    there: dict[str, tuple[dict[str, float], str, tuple[int, ...]]] = {}
    if study is not None:
        for mix in study.mixes:
            seeds = of_study.training_seeds(study, mix)
            there[mix] = (
                {str(name): share for name, share in of_study.blend(study, mix).items()},
                of_study.size(study, mix),
                seeds,
            )
    for number, text in enumerate(given.present or (), start=1):
        there[f"present-{number}"] = (_shares(text), "", (42,))
    components = asked.components or tuple(given.components or ())
    if not components and study is not None:
        components = tuple(one for one in of_study.components(study) if of_study.sources_of_component(study, one))
    if not components:
        raise InputError("--components: missing; name what a mix may hold, or a study with --configfile")
    sizes = asked.sizes
    of_mixes = sorted({size for _, size, _ in there.values() if size.isdigit()})
    if not sizes and len(of_mixes) == 1:
        sizes = (int(of_mixes[0]),)
    if not sizes:
        raise InputError("--size: missing; say how many items a mix has, or several sizes")
    kept = [
        name
        for name, (shares, size, _) in there.items()
        if set(shares) <= set(components)
        and (size.isdigit() or not size)
        and (len(sizes) > 1 or size in ("", str(sizes[0])))
    ]
    present = np.array([[there[name][0].get(one, 0.0) for one in components] for name in kept]).reshape(
        len(kept), len(components)
    )
    where = "design.bounds" if study is not None else "--bounds"
    held = {name: items for name, items in _held(given, study).items() if name in components}
    bounds = within_stock(asked.bounds, held, max(sizes), where)
    plan = Plan(
        bounds_of(components, bounds, where),
        asked.model,
        tuple(sizes),
        present,
        np.array([float(there[name][1] or sizes[0]) for name in kept]),
        np.array([len(there[name][2]) for name in kept], dtype=np.int64),
        1 if study is None else len(study.training.seeds),
    )
    seeds = (42,) if study is None else study.training.seeds
    taken = {name: seeds for name, (_, _, seeds) in there.items()}
    scarce = {name: high for name, (_, high) in bounds.items() if high < asked.bounds.get(name, (0, 1))[1]}
    return Named(plan, (), tuple(kept), seeds, taken, scarce)


def _held(given: argparse.Namespace, study: Study | None) -> dict[str, int]:
    """Return the number of items of the components where it is known: as given, or from the shards of the study."""
    found = {} if study is None else of_study.held_items(study, results_of(study))
    known = {name: items for name, items in found.items() if items is not None}
    for text in given.held or ():
        name, _, number = text.partition("=")
        if not number.isdecimal():
            raise InputError(f"--held {text}: expected NAME=ITEMS, such as synthetic=4000")
        known[name] = int(number)
    return known


def _shares(text: str) -> dict[str, float]:
    found = {}
    for part in text.split(","):
        name, _, weight = part.partition("=")
        try:
            found[name] = float(weight or 1)
        except ValueError:
            raise InputError(f"--present {text}: expected NAME=SHARE,NAME=SHARE") from None
    total = sum(found.values())
    if total <= 0 or min(found.values()) < 0:
        raise InputError(f"--present {text}: expected shares of which none is below 0 and some above")
    return {name: weight / total for name, weight in found.items()}


def _names(prefix: str, proposal: Proposal, present: tuple[str, ...]) -> tuple[str, ...]:
    """Return a name for each proposed mix in the order of first training, none of which is there."""
    order = [place for place in dict.fromkeys(proposal.order) if place < len(proposal.weights)]
    free = (f"{prefix}{number}" for number in range(1, 10_000) if f"{prefix}{number}" not in present)
    names = {place: next(free) for place in order}
    return tuple(names[place] for place in range(len(proposal.weights)))


def _known(
    given: argparse.Namespace, study: Study | None, mixes: int
) -> tuple[Pilot | None, tuple[float | None, float]]:
    """Return what is known of the variances, None without a pilot or an assumed score, and the GPU hours."""
    given.mixes = mixes
    if given.results is None and given.score is None and study is not None:
        own = results_of(study)
        if any(own.glob("scores/*/base/*.parquet")) and (given.suite or len(study.suites) == 1):
            given.results = own
    if given.results is None and given.score is None:
        return None, (given.hours_per_training, given.hours_per_thousand or 0.0)
    return pilot_of(given), hours_of(given)


def rows_of(
    given: argparse.Namespace,
    named: Named,
    proposal: Proposal,
    pilot: Pilot | None,
    hours: tuple[float | None, float],
) -> list[dict[str, Any]]:
    """Return a row for each training in its order: mix, seed, size, shares, and what is known after it."""
    plan, rows, used = named.plan, [], {name: list(seeds) for name, seeds in named.taken.items()}
    training, thousand = hours
    items = 0 if pilot is None else pilot.whole.items
    runs = int(plan.present_runs.sum())
    z = None if pilot is None else critical_z(pilot.whole, items, 2, max(1, len(proposal.weights)), _LEVEL)
    for number, place in enumerate(proposal.order, start=1):
        is_new = place < len(proposal.weights)
        name = named.new[place] if is_new else named.present[place - len(proposal.weights)]
        shares = proposal.shares[place] if is_new else plan.present[place - len(proposal.weights)]
        size = proposal.sizes[place] if is_new else plan.present_sizes[place - len(proposal.weights)]
        mine = used.setdefault(name, [])
        mine.append(next((seed for seed in named.seeds if seed not in mine), max((*named.seeds, *mine)) + 1))
        variance = float(proposal.variance[number])
        row: dict[str, Any] = {"training": number, "mix": name, "seed": mine[-1], "size": int(size)}
        row |= {one: float(share) for one, share in zip(plan.region.components, shares, strict=True)}
        row["mean_variance"] = variance if np.isfinite(variance) else None
        row["mean_sd"] = detectable = power = None
        if pilot is not None and z is not None and np.isfinite(variance):
            row["mean_sd"] = 100 * float(np.sqrt(variance * (pilot.whole.noise + (pilot.whole.seeds or 0.0))))
            df = runs + number - len(plan.products)
            detectable, power = power_of_surface(pilot.whole, variance, df, z, given.difference / 100, _POWER)
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
        parts = zip(named.plan.region.components, proposal.weights[place], strict=True)
        shares = ", ".join(f"{name}: {weight}" for name, weight in parts if weight)
        lines.append(f"  {named.new[place]}: {{shares: {{{shares}}}, size: {proposal.sizes[place]}}}")
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
    found = {}
    for place in dict.fromkeys(proposal.order):
        count = proposal.order.count(place)
        is_new = place < len(proposal.weights)
        name = named.new[place] if is_new else named.present[place - len(proposal.weights)]
        if (more := count - (len(named.seeds) if is_new else 0)) > 0:
            found[name] = more
    return found


def paragraph(
    given: argparse.Namespace, named: Named, proposal: Proposal, pilot: Pilot | None, rows: list[dict[str, Any]]
) -> str:
    """Return the design in a few sentences."""
    plan, last = named.plan, rows[-1]
    again = len(proposal.order) - len(proposal.weights) * plan.runs
    beside = f" beside the {len(named.present)} that are there" if named.present else ""
    sentences = [
        f"{len(proposal.weights)} new mixes{beside}, {len(proposal.order)} trainings"
        f"{f', {again} of them another seed of a mix' if again else ''}, for a {plan.model.replace('_', ' ')} surface"
        f" of {len(plan.region.components)} components ({len(plan.products)} terms)."
    ]
    if last["mean_variance"] is None:
        missing = len(plan.products) - int(np.linalg.matrix_rank(proposal.information(plan), tol=1e-8))
        sentences.append(
            f"They leave {missing} of the terms open: the model cannot be fitted without shrinkage; take more trainings"
            " or a smaller model."
        )
        return " ".join(sentences)
    if named.scarce:
        told = ", ".join(f"{name} {100 * share:.3g} %" for name, share in named.scarce.items())
        sentences.append(f"No item is taken twice, so that a mix of {max(plan.sizes):,} items holds at most {told}.")
    first = next(row["training"] for row in rows if row["mean_variance"] is not None)
    known = "already without them" if np.isfinite(proposal.variance[0]) else f"after training {first}"
    sentences.append(
        f"The model can be fitted {known}; at the end a predicted score has a mean variance of"
        f" {last['mean_variance']:.2f} times that of one run."
    )
    if pilot is not None and last["power"] is not None:
        sentences.append(
            f"From {pilot.source}: a difference of {given.difference:g} points between a predicted mix and base is"
            f" found with {100 * last['power']:.0f} % power, one of {last['detectable']:.1f} points with"
            f" {100 * _POWER:.0f} % ({len(proposal.weights)} comparisons corrected together,"
            f" {pilot.whole.items:,} items)."
        )
    elif pilot is not None:
        sentences.append("No run is left to tell how much seeds matter, so that no power can be stated.")
    if last["gpu_hours"] is not None:
        sentences.append(f"About {last['gpu_hours']:.1f} GPU hours.")
    return " ".join(sentences)


def draw(path: Path, named: Named, proposal: Proposal, pilot: Pilot | None) -> None:
    """Draw the precision of predictions over the region, and its mean after each training."""
    import matplotlib as mpl  # takes a second to load

    from posologie.report.figures.designs import design_figure
    from posologie.report.figures.style import SETTINGS, write_svg

    unit = None if pilot is None else 100 * float(np.sqrt(pilot.whole.noise + (pilot.whole.seeds or 0.0)))
    region = named.plan.region
    width = len(region.components)
    grid = lattice(width, 40) if width == 3 else region.draws(2000, 42)
    grid = grid[region.contain(grid, 1e-6)] if width == 3 else grid
    if len(grid) < 50:
        grid = region.draws(2000, 42)
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(SETTINGS)
        figure = design_figure(region.components, grid, proposal.errors(named.plan, grid), named.plan.present,
                               proposal.shares, proposal.variance, unit)  # fmt: skip
        write_svg(figure, path)


def _finite(values: Array) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in values]


def _table(rows: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False)
    columns = [one for one in rows[0] if any(row[one] is not None for row in rows)]
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
