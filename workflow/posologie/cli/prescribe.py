"""Recommend how much of each component to use, and what to train next.

  posologie prescribe --configfile config/demo.yaml
  posologie prescribe --ratios ratios.csv --metrics metrics.csv --metric accuracy
  posologie prescribe --ratios … --metrics … --metric loss --lower-is-better --mixes 2 --yaml next.yaml

A surface is fitted to the runs of a study, or of two files. From it come the dose, the region of mixes that cannot be
distinguished from the best, exchange rates, and the mixes whose training is expected to improve the choice most; or
stop, if none is expected to be worth its cost. ratios.csv has a row for each run and a column for each component,
metrics.csv a row for each run and a column for each metric; `METRIC_se` is its standard error. --yaml writes the mixes
to paste below `mixes:` in a study file.
"""

import argparse
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from posologie.cli.places import console, print_json, results_of
from posologie.records.files import read_json, write_text
from posologie.running.errors import InputError
from posologie.surface.answer import answer_of, in_words, mix_text, mixes_yaml, new_names
from posologie.surface.choice import Choice, choose
from posologie.surface.fit import FORMS, MEAN, Fitted
from posologie.surface.next_runs import Prescription, Prices, item_noise, offers_of, prescribe, saturated
from posologie.surface.optimum import Candidates, candidates_of, region_of
from posologie.surface.prices import costs_of
from posologie.surface.runs import Array, Runs, Surface, read_runs, size_in
from posologie.surface.simplex import Bounds, bounds_of, within_stock
from posologie.surface.suites import Floor, best_above

_DEGREES = {"mean": 1, "linear": 1, "quadratic": 2, "special cubic": 3, "Gaussian process": 2}


@dataclass(frozen=True)
class Question:
    """The runs to prescribe from, and the demands on the answer.

    Attributes:
        size: number of items of the mix that is to be given; None where none is known.
        floors: demands on other suites or metrics, by name.
        prices: of one item, by component.
        taken: names that a new mix cannot have.
        seeds: that every mix of the study is trained with; empty without a study.
        hours: GPU hours of one training; None where not known.
        towards: −1 where scores are losses that were turned round.
        notes: caveats about the runs.
        held: number of items of each component, where it is known: a mix cannot be trained on more.
    """

    runs: Runs
    size: float | None
    bounds: Bounds
    floors: Mapping[str, Floor]
    prices: Mapping[str, float]
    taken: frozenset[str]
    seeds: tuple[int, ...] = ()
    hours: float | None = None
    towards: int = 1
    notes: tuple[str, ...] = ()
    held: Mapping[str, int] = field(default_factory=dict)


def add_arguments(arguments: argparse.ArgumentParser) -> None:
    """Add the arguments of `prescribe`."""
    runs = arguments.add_argument_group("runs")
    runs.add_argument("--configfile", metavar="FILE", help="the study file, for a study that has scores")
    runs.add_argument("--suite", help="suite of the study (default: its objective, or its only suite)")
    runs.add_argument("--backbone", help="backbone of the study (default: its only one)")
    runs.add_argument("--ratios", type=Path, metavar="CSV", help="instead: shares of the components in each run")
    runs.add_argument("--metrics", type=Path, metavar="CSV", help="and scores of each run")
    runs.add_argument(
        "--metric", nargs="+", default=[], metavar="NAME[=WEIGHT]", help="what to maximise; several are summed"
    )
    runs.add_argument("--lower-is-better", action="store_true", help="the metrics are losses")
    choice = arguments.add_argument_group("choice")
    choice.add_argument(
        "--bounds", nargs="+", default=[], metavar="NAME=LOW:HIGH", help="limits of the shares of components"
    )
    choice.add_argument("--size", type=int, metavar="N", help="items of a mix (default: the largest of the runs)")
    choice.add_argument(
        "--floor", nargs="+", default=[], metavar="NAME=SCORE", help="metrics of the file that must reach a score"
    )
    choice.add_argument(
        "--floor-probability", type=float, default=0.95, metavar="P", help="chance of keeping a floor (default: 0.95)"
    )
    choice.add_argument("--model", choices=sorted(_DEGREES), help="model of the surface (default: the best predictor)")
    further = arguments.add_argument_group("what to train next")
    further.add_argument("--mixes", type=int, default=4, metavar="N", help="most mixes to propose (default: 4)")
    further.add_argument(
        "--seeds",
        type=int,
        nargs="+",
        metavar="K",
        help="seeds of a mix to choose from (default: the study's)",
    )
    further.add_argument(
        "--worth", type=float, default=0.1, metavar="POINTS", help="points that a training must gain (default: 0.1)"
    )
    further.add_argument(
        "--hours-per-training", type=float, metavar="H", help="GPU hours (default: by the study's run records)"
    )
    further.add_argument("--price-hour", type=float, metavar="MONEY", help="price of a GPU hour")
    further.add_argument(
        "--price", nargs="+", default=[], metavar="NAME=MONEY", help="price of one item of a component"
    )
    further.add_argument("--point-worth", type=float, metavar="MONEY", help="what a point is worth, instead of --worth")
    further.add_argument(
        "--budget", type=float, metavar="B", help="the most to spend, in money, else GPU hours, else trainings"
    )
    further.add_argument("--yaml", type=Path, metavar="FILE", help="write the mixes to paste into a study file")
    arguments.add_argument("--seed", type=int, default=42, help="seed of the draws (default: 42)")


def answer(options: argparse.Namespace) -> int:
    """Print the dose and what to train next."""
    _check(options)
    question = of_files(options) if options.configfile is None else of_study(options)
    facts, proposed = facts_of(options, question)
    names = new_names(question.runs.components, proposed, question.taken)
    text = mixes_yaml(question.runs.components, proposed, names, question.size, question.seeds)
    if options.yaml:
        write_text(options.yaml, text)
    if options.json:
        print_json({**facts, "yaml": text})
        return 0
    for line in in_words(facts):
        console().print(line)
    if proposed.proposals:
        console().print(proposals_table(question.runs.components, proposed, names))
        console().print(text if not options.yaml else f"{options.yaml}: mixes to paste below `mixes:`", markup=False)
    return 0


def of_files(options: argparse.Namespace) -> Question:
    """Return the question about runs in files."""
    if options.ratios is None or options.metrics is None or not options.metric:
        raise InputError("prescribe: expected --configfile, or all of --ratios, --metrics and --metric")

    def read(weights: Mapping[str, float]) -> Runs:
        return read_runs(options.ratios, options.metrics, weights, lower_is_better=options.lower_is_better)

    runs = read(_pairs("--metric", [text if "=" in text else f"{text}=1" for text in options.metric]))
    towards = -1 if options.lower_is_better else 1
    floors = {
        name: Floor(fitted_surface(read({name: 1.0}), None)[0], towards * score, options.floor_probability)
        for name, score in _pairs("--floor", options.floor).items()
    }
    size = options.size or (size_in(options.ratios) if runs.sizes is None else float(runs.sizes.max()))
    return Question(
        runs, size, bounds_of(runs.components, limits_of(options.bounds)), floors, _pairs("--price", options.price),
        frozenset(runs.names), hours=options.hours_per_training, towards=towards,
    )  # fmt: skip


def of_study(options: argparse.Namespace) -> Question:
    """Return the question about a study's runs, with what its section `surface` says."""
    from posologie.config.components import held_items
    from posologie.config.load import load_study
    from posologie.config.table_specs import surface_spec
    from posologie.surface.study_runs import objective_of, study_runs

    if options.ratios or options.metrics or options.metric or options.floor:
        raise InputError("--ratios, --metrics, --metric, --floor: not with --configfile, whose study has its own")
    study = load_study(options.configfile)
    spec, results = surface_spec(study), results_of(study)
    settings, every = spec.surface, list(study_runs(str(results), spec))
    if not every:
        raise InputError(f"{results}: no scores of three different mixes; run `snakemake scores` first")
    backbone = _chosen("--backbone", options.backbone, dict.fromkeys(runs.backbone for runs in every))
    own = {runs.suite: runs for runs in reversed(every) if runs.backbone == backbone}
    if options.suite is None and settings.objective and set(settings.objective) <= set(own):
        chosen_runs = objective_of(own, settings.objective)
    else:
        chosen_runs = own[_chosen("--suite", options.suite, own)]
    runs = chosen_runs.runs
    floors = {
        name: Floor(fitted_surface(gains, None)[0], 0.0, options.floor_probability)
        for name in settings.at_least_base
        if name != chosen_runs.suite and name in own and (gains := own[name].gains) is not None
    }
    limits = {name: both for name, both in settings.bounds.items() if name in runs.components}
    prices = {name: price for name, price in spec.prices.items() if name in runs.components}
    size = options.size or settings.size or (chosen_runs.size if runs.sizes is None else float(runs.sizes.max()))
    records = [read_json(path) for path in sorted(results.glob("adapters/*/*/seed-*/run.json"))]
    hours = [float(record["seconds"]) / 3600 * max(1, len(record["hardware"]["gpus"])) for record in records]
    few = "n too small" if chosen_runs.few else ""
    demonstration = "shows the machinery only" if study.demonstration else ""
    return Question(
        runs=runs,
        size=None if size is None else float(size),
        bounds=bounds_of(runs.components, limits | limits_of(options.bounds)),
        floors=floors,
        prices=prices | _pairs("--price", options.price),
        taken=frozenset(study.mixes) | {"base"},
        seeds=study.training.seeds,
        hours=options.hours_per_training or (float(np.mean(hours)) if hours else None),
        towards=chosen_runs.towards,
        notes=tuple(filter(None, (chosen_runs.note, few, demonstration))),
        held={
            name: items
            for name, items in held_items(study, results).items()
            if items is not None and name in runs.components
        },
    )


def _chosen(option: str, name: str | None, names: Collection[str]) -> str:
    if name is None and len(names) == 1:
        return next(iter(names))
    if name is None or name not in names:
        raise InputError(f"{option}{'' if name is None else f' {name}'}: choose one of {', '.join(names)}")
    return name


def facts_of(options: argparse.Namespace, question: Question) -> tuple[dict[str, Any], Prescription]:
    """Return the answer and what to train next."""
    runs = question.runs
    sized = runs.sizes is not None
    surface, degree, notes = fitted_surface(runs, options.model)
    here = runs.shares if runs.sizes is None else runs.shares[runs.sizes == question.size]
    candidates = candidates_of(
        surface, question.bounds, runs.shares, size=question.size if sized else None, seed=options.seed
    )  # fmt: skip
    if question.floors:
        candidates = candidates.only(_allowed(options, question, surface, candidates))
        notes = [*notes, f"{', '.join(question.floors)} kept with a chance of {options.floor_probability:g} each;"
                 " the region is that of the mixes that do"]  # fmt: skip
    region = region_of(surface, candidates, least_squares=False, seed=options.seed)
    offers = offers_of(_trainable(question), here, seed=options.seed)
    least = max(1, len(question.seeds))
    prescription = prescribe(
        surface,
        region,
        offers,
        tested=here,
        prices=_prices(options, question, offers),
        most=options.mixes,
        seeds=[count for count in options.seeds or [least] if count >= least] or [least],
        own_noise=item_noise(runs),
        interior_first=saturated(runs, degree),
        seed=options.seed,
    )
    facts = answer_of(
        surface, region, prescription, sized=sized, prices=question.prices, towards=question.towards,
        notes=[*question.notes, *notes],
    )  # fmt: skip
    return facts, prescription


def _trainable(question: Question) -> Bounds:
    """Return the bounds of mixes that the components' items fill, each taken once."""
    if not question.size or not question.held:
        return question.bounds
    names = question.runs.components
    both = zip(question.bounds.low.tolist(), question.bounds.high.tolist(), strict=True)
    limits = dict(zip(names, both, strict=True))
    return bounds_of(names, within_stock(limits, question.held, int(question.size)))


def _allowed(
    options: argparse.Namespace, question: Question, surface: Surface, candidates: Candidates
) -> NDArray[np.bool_]:
    """Return which candidates keep the floors.

    Raises:
        InputError: where none does, with the one that comes nearest.
    """
    constrained = best_above(surface, candidates, list(question.floors.values()))
    if constrained.chosen is None:
        lowest = constrained.chances.min(axis=0)
        nearest = int(np.argmax(lowest))
        mix = dict(zip(question.runs.components, map(float, candidates.shares[nearest]), strict=True))
        raise InputError(
            f"{', '.join(question.floors)}: no mix reaches the floor with a chance of {options.floor_probability:g};"
            f" {mix_text(mix)} does with {lowest[nearest]:.2g}"
        )
    return constrained.allowed


def fitted_surface(runs: Runs, model: str | None) -> tuple[Surface, int, list[str]]:
    """Return a surface of the runs, the highest degree of the models it was chosen from, and what to say beside it.

    Where nothing predicts better than the mean, the best of the other models is taken: the mean knows of no mix that
    could be better, and would always say stop.
    """
    forms = FORMS if model is None else [form for form in FORMS if form.name == model]
    choice = choose(runs, forms)
    best = best_beside_mean(choice)
    notes = [*(note for note in choice.notes if note), f"model of the surface: {best.form.name}"]
    return best, degree_of(choice), notes


def best_beside_mean(choice: Choice) -> Fitted:
    """Return the model that predicts best of those that know of better mixes: all but the mean."""
    others = [candidate for candidate in choice.candidates if candidate.fitted.form != MEAN]
    return max(others, key=lambda candidate: candidate.log_density).fitted if others else choice.chosen.fitted


def degree_of(choice: Choice) -> int:
    """Return the highest degree of the models that a surface was chosen from."""
    return max(_DEGREES[candidate.fitted.form.name] for candidate in choice.candidates)


def proposals_table(components: Sequence[str], proposed: Prescription, names: Sequence[str]) -> Table:
    """Return the proposals as a table to print."""
    table = Table(title="What to train next", title_justify="left")
    for column in ("mix", "shares", "seeds", "cost", "gain", "alone", "changes", "regret after", "region after", "why"):
        table.add_column(column, justify="left" if column in ("mix", "shares", "why") else "right")
    for name, proposal in zip(names, proposed.proposals, strict=True):
        table.add_row(
            name,
            mix_text(dict(zip(components, (float(share) for share in proposal.shares), strict=True))),
            str(proposal.seeds),
            f"{proposal.cost:g}",
            f"{proposal.gain:.2f}",
            f"{proposal.alone:.2f}",
            f"{100 * proposal.changes:.0f} %",
            f"{proposal.regret:.2f}",
            f"{100 * proposal.region:.0f} %",
            {"decision": "improves the choice", "interior": "shows whether the surface fits"}[proposal.reason],
        )
    return table


def _check(options: argparse.Namespace) -> None:
    for name in ("mixes", "size", "hours_per_training", "price_hour", "point_worth", "budget"):
        value = getattr(options, name)
        if value is not None and value <= 0:
            raise InputError(f"--{name.replace('_', '-')} {value:g}: expected a number above 0")
    if options.worth < 0 or min(options.seeds or [1]) < 1:
        raise InputError("--worth, --seeds: expected points from 0, and seeds from 1")
    if not 0.5 <= options.floor_probability < 1:
        raise InputError(f"--floor-probability {options.floor_probability:g}: expected a number from 0.5 to below 1")
    if (
        options.point_worth is not None
        and options.price_hour is None
        and not options.price
        and options.configfile is None
    ):
        raise InputError("--point-worth: needs --price-hour or --price, which say what a training costs")


def _pairs(option: str, texts: Sequence[str]) -> dict[str, float]:
    numbers = {}
    for text in texts:
        name, _, value = text.rpartition("=")
        try:
            numbers[name] = float(value)
        except ValueError:
            name = ""
        if not name:
            raise InputError(f"{option} {text}: expected NAME=NUMBER")
    return numbers


def limits_of(texts: Sequence[str]) -> dict[str, tuple[float, float]]:
    """Return the bounds that NAME=LOW:HIGH texts give."""
    limits = {}
    for text in texts:
        name, _, values = text.rpartition("=")
        low, _, high = values.partition(":")
        try:
            limits[name] = (float(low), float(high))
        except ValueError:
            name = ""
        if not name:
            raise InputError(f"--bounds {text}: expected NAME=LOW:HIGH, such as native=0.2:0.6")
    return limits


def whole_numbers(option: str, texts: Sequence[str]) -> dict[str, int]:
    """Return the whole numbers that NAME=NUMBER texts of an option give."""
    numbers = {}
    for text in texts:
        name, _, number = text.partition("=")
        if not number.isdecimal():
            raise InputError(f"{option} {text}: expected NAME=NUMBER, such as synthetic=4")
        numbers[name] = int(number)
    return numbers


def _prices(options: argparse.Namespace, question: Question, offers: Array) -> Prices:
    """Return what trainings cost: money where there are prices, else GPU hours, else their number."""
    if question.prices and question.size is None:
        raise InputError("--price: needs --size, the number of items of a mix")
    items = costs_of(question.runs.components, offers, np.full(len(offers), question.size or 0.0), question.prices)
    adapter = 1.0 if question.hours is None else question.hours
    if question.prices or options.price_hour is not None:
        adapter *= options.price_hour or 0.0
    return Prices(
        items, adapter, options.worth, np.inf if options.budget is None else options.budget, options.point_worth
    )
