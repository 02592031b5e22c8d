"""Which mixes to train on next, in an order that may be cut short, and what their trainings will show.

  posologie design mixes --configfile config/own.yaml --trainings 8
  posologie design mixes --components native translated synthetic --bounds synthetic=0:0.5 --size 33493 --trainings 10

Mixes with the lowest mean prediction variance for a model of the surface (I-optimal, by coordinate exchange), far apart
(space_filling), or on a simplex-lattice or -centroid; in addition to the mixes that the study has. It prints the
`mixes:` to paste. With --results or --score it says what the surface will find; --figure draws its precision.
"""

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import numpy as np

from posologie.cli.design_power import Pilot, add_known, hours_of, pilot_of
from posologie.cli.design_summary import Named, paragraph, rows_of, table_of, yaml_of
from posologie.cli.places import console, print_json, results_of
from posologie.cli.prescribe import limits_of, whole_numbers
from posologie.config import plan as of_study
from posologie.config.load import load_study
from posologie.config.study import Study
from posologie.records.files import write_csv, write_text
from posologie.running.errors import InputError
from posologie.surface.design_points import DesignProblem, Kind
from posologie.surface.designs import Proposal, propose
from posologie.surface.runs import Array
from posologie.surface.simplex import SCHEFFE, bounds_of, within_stock
from posologie.surface.spec import Design


def add_arguments(mixes: argparse.ArgumentParser) -> None:
    """Add the arguments of `design mixes`; those that are left out are taken from the study's section `design`."""
    group = mixes.add_argument_group("what is asked")
    group.add_argument(
        "--configfile", metavar="FILE", help="a study: its mixes count as present, its `design:` has the rest"
    )
    group.add_argument("--components", nargs="+", metavar="NAME", help="what a mix may hold")
    group.add_argument("--bounds", nargs="+", metavar="NAME=LOW:HIGH", help="lowest and highest share of a component")
    group.add_argument(
        "--held", nargs="+", metavar="NAME=N", help="items that a component holds (default: the study's)"
    )
    group.add_argument(
        "--epochs", nargs="+", metavar="NAME=N", help="how often a component's items may occur in a mix (default: once)"
    )
    group.add_argument("--size", type=int, nargs="+", metavar="N", help="items of a mix, or several sizes")
    group.add_argument("--trainings", type=int, metavar="N", help="adapters that may be trained")
    group.add_argument("--repeats", type=int, metavar="N", help="of these, with another seed of a mix")
    group.add_argument("--model", choices=[*SCHEFFE], help="Scheffé model of the surface (default: quadratic)")
    group.add_argument("--kind", choices=get_args(Kind), help="kind of design (default: i_optimal)")
    group.add_argument("--present", nargs="+", metavar="NAME=SHARE,…", help="existing mixes, without a study")
    group.add_argument("--prefix", default="D", help="beginning of the names of proposed mixes (default: D)")
    add_known(mixes)
    mixes.add_argument("--items", type=int, nargs=1, metavar="N", help="items of the suite, with --score")
    mixes.add_argument("--difference", type=float, default=2.0, metavar="POINTS", help="true difference to find")
    cost = mixes.add_argument_group("what it costs")
    cost.add_argument("--hours-per-training", type=float, metavar="H", help="GPU hours (default: the run records)")
    cost.add_argument("--hours-per-thousand", type=float, metavar="H", help="GPU hours for 1,000 items of one model")
    mixes.add_argument("--yaml", type=Path, metavar="FILE", help="write the mixes to paste")
    mixes.add_argument("--table", type=Path, metavar="CSV", help="write the trainings in order")
    mixes.add_argument("--figure", type=Path, metavar="SVG", help="draw how precise predictions will be")


def answer(options: argparse.Namespace) -> int:
    """Print the mixes to train on; the exit code is 1 if the model cannot be fitted to them."""
    study = None if options.configfile is None else load_study(options.configfile)
    design = _design_of(options, study)
    named = _named(options, study, design)
    if design.trainings is None:
        raise InputError("--trainings: missing; say how many adapters may be trained")
    proposal = propose(named.problem, design.trainings, design.kind, design.repeats, design.seed, design.starts)
    named = replace(named, new=_names(options.prefix, proposal, named.present))
    _check(options)
    pilot, hours = _known(options, study, len(proposal.weights))
    rows = rows_of(options, named, proposal, pilot, hours)
    text, summary = yaml_of(named, proposal), paragraph(options, named, proposal, pilot, rows)
    if options.yaml:
        write_text(options.yaml, text)
    if options.table:
        write_csv(options.table, [*rows[0]], rows)
    if options.figure:
        from posologie.report.figures.designs import draw_design  # matplotlib takes a second to load

        unit = None if pilot is None else 100 * float(np.sqrt(pilot.whole.noise + (pilot.whole.seeds or 0.0)))
        draw_design(options.figure, named.problem, proposal, unit)
    if getattr(options, "json", False):
        print_json({"trainings": rows, "yaml": text, "summary": summary, "variance": _finite(proposal.variance)})
    else:
        console().print(table_of(rows))
        console().print(summary, markup=False)
        console().print("")
        console().print(text, markup=False, end="")
    return 0 if np.isfinite(proposal.variance[-1]) else 1


def _check(options: argparse.Namespace) -> None:
    if options.score is not None and not 0 < options.score < 100:
        raise InputError(f"--score {options.score:g}: expected a percentage between 0 and 100")
    if options.score is not None and not options.items:
        raise InputError("--items: missing; expected the number of items of the suite beside --score")
    for name in ("difference", "seed_sd", "hours_per_training", "hours_per_thousand"):
        value = getattr(options, name)
        if value is not None and (value < 0 or (value == 0 and name == "difference")):
            raise InputError(f"--{name.replace('_', '-')} {value:g}: expected a positive number")


def _design_of(options: argparse.Namespace, study: Study | None) -> Design:
    """Return the design settings: the options, and the study's section for what they leave out."""
    base = Design() if study is None else study.design
    bounds = dict(base.bounds or ({} if study is None else study.surface.bounds))
    bounds |= limits_of(options.bounds or ())
    chosen: dict[str, Any] = {"bounds": bounds}
    for key, value in (
        ("components", options.components), ("sizes", options.size), ("trainings", options.trainings),
        ("repeats", options.repeats), ("model", options.model), ("kind", options.kind),
    ):  # fmt: skip
        if value is not None:
            chosen[key] = tuple(value) if isinstance(value, list) else value
    if options.epochs:
        chosen["epochs"] = {**base.epochs, **whole_numbers("--epochs", options.epochs)}
    design = base.model_copy(update=chosen)
    for name, numbers in (("--size", design.sizes), ("--trainings", (design.trainings or 1,))):
        if min(numbers, default=1) < 1:
            raise InputError(f"{name} {min(numbers)}: expected 1 or more")
    if (design.repeats or 0) < 0:
        raise InputError(f"--repeats {design.repeats}: expected 0 or more")
    for name, times in design.epochs.items():
        if not 1 <= times <= 100:
            raise InputError(f"--epochs {name}={times}: expected 1 to 100")
    if len(set(design.sizes)) < len(design.sizes):
        raise InputError("--size: expected each size once")
    return design


def _named(options: argparse.Namespace, study: Study | None, design: Design) -> Named:
    """Return the design problem, with the mixes that are already trained."""
    mixes_present: dict[str, tuple[dict[str, float], str, tuple[int, ...]]] = {}
    if study is not None:
        for mix in study.mixes:
            seeds = of_study.training_seeds(study, mix)
            mixes_present[mix] = (
                {str(name): share for name, share in of_study.blend(study, mix).items()},
                of_study.size(study, mix),
                seeds,
            )
    for number, text in enumerate(options.present or (), start=1):
        mixes_present[f"present-{number}"] = (_shares(text), "", (42,))
    components = design.components or tuple(options.components or ())
    if not components and study is not None:
        components = tuple(name for name in of_study.components(study) if of_study.sources_of_component(study, name))
    if not components:
        raise InputError("--components: missing; name what a mix may hold, or a study with --configfile")
    sizes = design.sizes
    of_mixes = sorted({size for _, size, _ in mixes_present.values() if size.isdigit()})
    if not sizes and len(of_mixes) == 1:
        sizes = (int(of_mixes[0]),)
    if not sizes:
        raise InputError("--size: missing; say how many items a mix has, or several sizes")
    usable = [
        name
        for name, (shares, size, _) in mixes_present.items()
        if set(shares) <= set(components)
        and (size.isdigit() or not size)
        and (len(sizes) > 1 or size in ("", str(sizes[0])))
    ]
    present = np.array(
        [[mixes_present[name][0].get(component, 0.0) for component in components] for name in usable]
    ).reshape(len(usable), len(components))
    where = "design.bounds" if study is not None else "--bounds"
    held = {name: items for name, items in _held(options, study).items() if name in components}
    bounds = within_stock(design.bounds, held, max(sizes), where, design.epochs)
    problem = DesignProblem(
        bounds_of(components, bounds, where),
        design.model,
        tuple(sizes),
        present=present,
        present_sizes=np.array([float(mixes_present[name][1] or sizes[0]) for name in usable]),
        present_runs=np.array([len(mixes_present[name][2]) for name in usable], dtype=np.int64),
        runs=1 if study is None else len(study.training.seeds),
    )
    seeds = (42,) if study is None else study.training.seeds
    taken = {name: seeds for name, (_, _, seeds) in mixes_present.items()}
    scarce = {name: high for name, (_, high) in bounds.items() if high < design.bounds.get(name, (0, 1))[1]}
    return Named(
        problem=problem,
        new=(),
        present=tuple(usable),
        seeds=seeds,
        taken=taken,
        scarce=scarce,
        held=held,
        most_epochs=design.epochs,
    )


def _held(options: argparse.Namespace, study: Study | None) -> dict[str, int]:
    """Return the number of items of the components where it is known: as given, or from the shards of the study."""
    held = {} if study is None else of_study.held_items(study, results_of(study))
    known = {name: items for name, items in held.items() if items is not None}
    return known | whole_numbers("--held", options.held or ())


def _shares(text: str) -> dict[str, float]:
    weights = {}
    for term in text.split(","):
        name, _, weight = term.partition("=")
        try:
            weights[name] = float(weight or 1)
        except ValueError:
            raise InputError(f"--present {text}: expected NAME=SHARE,NAME=SHARE") from None
    total = sum(weights.values())
    if total <= 0 or min(weights.values()) < 0:
        raise InputError(f"--present {text}: expected shares of at least 0, some of them above 0")
    return {name: weight / total for name, weight in weights.items()}


def _names(prefix: str, proposal: Proposal, present: tuple[str, ...]) -> tuple[str, ...]:
    """Return a new name for each proposed mix, in the order of first training."""
    order = [place for place in dict.fromkeys(proposal.order) if place < len(proposal.weights)]
    free = (f"{prefix}{number}" for number in range(1, 10_000) if f"{prefix}{number}" not in present)
    names = {place: next(free) for place in order}
    return tuple(names[place] for place in range(len(proposal.weights)))


def _known(
    options: argparse.Namespace, study: Study | None, mixes: int
) -> tuple[Pilot | None, tuple[float | None, float]]:
    """Return what is known of the variances, None without a pilot or an assumed score, and the GPU hours."""
    options.mixes = mixes
    if options.results is None and options.score is None and study is not None:
        own = results_of(study)
        if any(own.glob("scores/*/base/*.parquet")) and (options.suite or len(study.suites) == 1):
            options.results = own
    if options.results is None and options.score is None:
        return None, (options.hours_per_training, options.hours_per_thousand or 0.0)
    return pilot_of(options), hours_of(options)


def _finite(values: Array) -> list[float | None]:
    return [float(value) if np.isfinite(value) else None for value in values]
