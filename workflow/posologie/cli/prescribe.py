"""Say how much of which to give, and what to train next.

  posologie prescribe --ratios ratios.csv --metrics metrics.csv --metric accuracy
  posologie prescribe --ratios … --metrics … --metric loss --lower-is-better --mixes 2 --yaml next.yaml

A surface is fitted to the runs. From it come the dose, the region of mixes that cannot be told from the best, exchange
rates, and the mixes whose training is expected to improve the choice most; or stop, if none is expected to be worth it.
ratios.csv has a row for each run and a column for each component, metrics.csv a row for each run and a column for each
metric; `METRIC_se` is its standard error. --yaml writes the mixes to paste below `mixes:` in a study file.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from numpy.typing import NDArray
from rich.table import Table

from posologie.cli.places import console, print_json
from posologie.errors import InputError
from posologie.files import write_text
from posologie.mixes.spec import lowest_terms
from posologie.surface.answer import answer_of, in_words, mix_text
from posologie.surface.candidates import bounds_of
from posologie.surface.next_runs import Prescription, Prices, item_noise, offers_of, prescribe, saturated
from posologie.surface.optimum import Candidates, candidates_of, region_of
from posologie.surface.prices import costs_of
from posologie.surface.run_files import read_runs, size_in
from posologie.surface.runs import Runs, Surface
from posologie.surface.suites import Constrained, Floor, best_above

_DEGREES = {"mean": 1, "linear": 1, "quadratic": 2, "special cubic": 3, "Gaussian process": 2}


def add_arguments(arguments: argparse.ArgumentParser) -> None:
    """Add the arguments of `prescribe`."""
    runs = arguments.add_argument_group("runs")
    runs.add_argument("--ratios", type=Path, required=True, metavar="CSV", help="shares of the components in each run")
    runs.add_argument("--metrics", type=Path, required=True, metavar="CSV", help="scores of each run")
    runs.add_argument(
        "--metric", nargs="+", required=True, metavar="NAME[=WEIGHT]", help="what is to be raised; several are summed"
    )
    runs.add_argument("--lower-is-better", action="store_true", help="the metrics are losses")
    choice = arguments.add_argument_group("choice")
    choice.add_argument(
        "--bounds", nargs="+", default=[], metavar="NAME=LOW:HIGH", help="limits of the shares of components"
    )
    choice.add_argument("--size", type=int, metavar="N", help="items of a mix (default: the largest of the runs)")
    choice.add_argument(
        "--floor", nargs="+", default=[], metavar="NAME=SCORE", help="metrics that must not fall below a score"
    )
    choice.add_argument(
        "--floor-probability", type=float, default=0.95, metavar="P", help="chance of keeping a floor (default: 0.95)"
    )
    choice.add_argument("--model", choices=sorted(_DEGREES), help="model of the surface (default: the best predictor)")
    further = arguments.add_argument_group("what to train next")
    further.add_argument("--mixes", type=int, default=4, metavar="N", help="mixes to propose, at most (default: 4)")
    further.add_argument("--seeds", type=int, nargs="+", default=[1], metavar="K", help="seeds of a mix to choose from")
    further.add_argument(
        "--worth", type=float, default=0.1, metavar="POINTS", help="points that a training has to bring (default: 0.1)"
    )
    further.add_argument("--hours-per-training", type=float, default=1.0, metavar="H", help="GPU hours of one training")
    further.add_argument("--price-hour", type=float, metavar="MONEY", help="price of a GPU hour")
    further.add_argument(
        "--price", nargs="+", default=[], metavar="NAME=MONEY", help="price of one item of a component"
    )
    further.add_argument("--point-worth", type=float, metavar="MONEY", help="what a point is worth, instead of --worth")
    further.add_argument(
        "--budget", type=float, metavar="B", help="the most to spend: money, or GPU hours without prices"
    )
    further.add_argument("--yaml", type=Path, metavar="FILE", help="write the mixes to paste into a study file")
    arguments.add_argument("--seed", type=int, default=42, help="seed of the draws (default: 42)")


def answer(given: argparse.Namespace) -> int:
    """Print the dose and what to train next."""
    _check(given)
    runs = read_runs(given.ratios, given.metrics, _weights(given.metric), lower_is_better=given.lower_is_better)
    surface, degree, notes = fitted_surface(runs, given.model)
    size = given.size or (size_in(given.ratios) if runs.sizes is None else float(runs.sizes.max()))
    facts, proposed = facts_of(given, runs, surface, degree, size, notes)
    names = new_names(runs, proposed, set(runs.names))
    text = mixes_yaml(runs.components, proposed, names, size)
    if given.yaml:
        write_text(given.yaml, text)
    if given.json:
        print_json({**facts, "yaml": text})
        return 0
    for line in in_words(facts):
        console().print(line)
    if proposed.proposals:
        console().print(_table(runs.components, proposed, names))
        console().print(text if not given.yaml else f"{given.yaml}: mixes to paste below `mixes:`", markup=False)
    return 0


def facts_of(
    given: argparse.Namespace, runs: Runs, surface: Surface, degree: int, size: float | None, notes: Sequence[str]
) -> tuple[dict[str, Any], Prescription]:
    """Return the answer and what to train next."""
    sized = runs.sizes is not None
    bounds = bounds_of(runs.components, _limits(given.bounds))
    here = runs.shares if runs.sizes is None else runs.shares[runs.sizes == size]
    candidates = candidates_of(surface, bounds, runs.shares, size=size if sized else None, seed=given.seed)
    floors = [
        Floor(fitted_surface(_floor_runs(given, name), None)[0], -score if given.lower_is_better else score,
              given.floor_probability)
        for name, score in _pairs("--floor", given.floor).items()
    ]  # fmt: skip
    if floors:
        candidates = candidates.only(_kept(given, best_above(surface, candidates, floors), candidates, runs))
        notes = [*notes, f"floors are kept with a chance of {given.floor_probability:g} each: {', '.join(given.floor)};"
                 " the region is that of the mixes that do"]  # fmt: skip
    region = region_of(surface, candidates, least_squares=False, seed=given.seed)
    offers = offers_of(bounds, here, seed=given.seed)
    prescription = prescribe(
        surface,
        region,
        offers,
        tested=here,
        prices=_prices(given, runs, offers, size),
        most=given.mixes,
        seeds=given.seeds,
        own_noise=item_noise(runs),
        interior_first=saturated(runs, degree),
        seed=given.seed,
    )
    facts = answer_of(
        surface, region, prescription, sized=sized, prices=_pairs("--price", given.price), notes=notes
    )  # fmt: skip
    return facts, prescription


def _kept(given: argparse.Namespace, found: Constrained, candidates: Candidates, runs: Runs) -> NDArray[np.bool_]:
    """Return which candidates keep the floors.

    Raises:
        InputError: where none does, with the one that comes nearest.
    """
    if found.chosen is None:
        lowest = found.chances.min(axis=0)
        nearest = int(np.argmax(lowest))
        raise InputError(
            f"--floor {' '.join(given.floor)}: no mix keeps it with a chance of {given.floor_probability:g};"
            f" {mix_text(_shares(runs, candidates.shares[nearest]))} does with {lowest[nearest]:.2g}"
        )
    return found.allowed


def fitted_surface(runs: Runs, model: str | None) -> tuple[Surface, int, list[str]]:
    """Return a surface of the runs, the highest degree of the models it was chosen from, and what to say beside it.

    Where nothing predicts better than the mean, the best of the other models is taken: the mean knows of no mix that
    could be better, and would always say stop.
    """
    from posologie.surface.choice import choose
    from posologie.surface.fit import FORMS, MEAN

    forms = FORMS if model is None else [form for form in FORMS if form.name == model]
    choice = choose(runs, forms)
    others = [one for one in choice.candidates if one.fitted.form != MEAN]
    best = max(others, key=lambda one: one.log_density) if others else choice.chosen
    notes = [*(note for note in choice.notes if note), f"model of the surface: {best.fitted.form.name}"]
    return best.fitted, max(_DEGREES[form.name] for form in forms), notes


def new_names(runs: Runs, proposed: Prescription, taken: set[str]) -> list[str]:
    """Return a name for each proposal that no mix has: shares in percent behind short names of the components.

    `NAT40-SYN60` where so few components allow it, `next-1` otherwise.
    """
    short = _short_names(runs.components)
    taken, found = set(taken), []
    for one in proposed.proposals:
        parts = [f"{name}{100 * share:.0f}" for name, share in zip(short, one.shares, strict=True) if share >= 0.005]
        whole = np.allclose(100 * one.shares, np.rint(100 * one.shares))
        name = "-".join(parts) if len(parts) <= 4 and whole else "next-1"
        number = 1
        while name in taken:
            number += 1
            name = f"{'-'.join(parts)}-{number}" if len(parts) <= 4 and whole else f"next-{number}"
        taken.add(name)
        found.append(name)
    return found


def _short_names(components: Sequence[str]) -> list[str]:
    """Return the shortest beginnings, of three letters at least, that are all different."""
    plain = ["".join(letter for letter in name.upper() if letter.isalnum()) or "C" for name in components]
    for length in range(3, max(map(len, plain)) + 1):
        short = [name[:length].rstrip("0123456789") or name[:length] for name in plain]
        if len(set(short)) == len(short):
            return short
    return [f"C{place}-" for place in range(1, len(plain) + 1)]


def mixes_yaml(components: Sequence[str], proposed: Prescription, names: Sequence[str], size: float | None) -> str:
    """Return the proposals as YAML, with shares as whole numbers in lowest terms.

    So a mix is the same however it is written later, and draws the part of each component that larger doses contain.
    """
    lines = ["mixes:"]
    for name, one in zip(names, proposed.proposals, strict=True):
        held = {key: float(share) for key, share in zip(components, one.shares, strict=True) if share > 0}
        shares = {key: int(part) for key, part in lowest_terms({k: round(v, 6) for k, v in held.items()}).items()}
        mix: dict[str, Any] = {"shares": shares, "size": "smallest" if size is None else int(size)}
        gain = (
            "to tell whether the surface fits" if one.reason == "interior" else f"expected gain {one.gain:.2g} points"
        )
        seeds = "one seed" if one.seeds == 1 else f"{one.seeds} seeds"
        lines.append(f"  # {gain}; {seeds}")
        text = yaml.safe_dump({name: mix}, default_flow_style=None, sort_keys=False, width=1000, allow_unicode=True)
        lines += [f"  {line}" for line in text.splitlines()]
    return "\n".join(lines) + "\n" if proposed.proposals else "mixes: {}\n"


def _table(components: Sequence[str], proposed: Prescription, names: Sequence[str]) -> Table:
    table = Table(title="What to train next", title_justify="left")
    for column in ("mix", "shares", "seeds", "cost", "gain", "alone", "changes", "regret after", "region after", "why"):
        table.add_column(column, justify="left" if column in ("mix", "shares", "why") else "right")
    for name, one in zip(names, proposed.proposals, strict=True):
        table.add_row(
            name,
            mix_text(dict(zip(components, (float(share) for share in one.shares), strict=True))),
            str(one.seeds),
            f"{one.cost:g}",
            f"{one.gain:.2f}",
            f"{one.alone:.2f}",
            f"{100 * one.changes:.0f} %",
            f"{one.regret:.2f}",
            f"{100 * one.region:.0f} %",
            {"decision": "improves the choice", "interior": "tells whether the surface fits"}[one.reason],
        )
    return table


def _check(given: argparse.Namespace) -> None:
    for name in ("mixes", "size", "hours_per_training", "price_hour", "point_worth", "budget"):
        value = getattr(given, name)
        if value is not None and value <= 0:
            raise InputError(f"--{name.replace('_', '-')} {value:g}: expected a number above 0")
    if given.worth < 0 or min(given.seeds) < 1:
        raise InputError("--worth, --seeds: expected points from 0, and seeds from 1")
    if not 0.5 <= given.floor_probability < 1:
        raise InputError(f"--floor-probability {given.floor_probability:g}: expected a number from 0.5 to below 1")
    if given.point_worth is not None and given.price_hour is None and not given.price:
        raise InputError("--point-worth: needs --price-hour or --price, which say what a training costs")


def _weights(texts: Sequence[str]) -> dict[str, float]:
    return _pairs("--metric", [text if "=" in text else f"{text}=1" for text in texts])


def _pairs(option: str, texts: Sequence[str]) -> dict[str, float]:
    found = {}
    for text in texts:
        name, _, value = text.rpartition("=")
        try:
            found[name] = float(value)
        except ValueError:
            name = ""
        if not name:
            raise InputError(f"{option} {text}: expected NAME=NUMBER")
    return found


def _limits(texts: Sequence[str]) -> dict[str, tuple[float, float]]:
    found = {}
    for text in texts:
        name, _, values = text.rpartition("=")
        low, _, high = values.partition(":")
        try:
            found[name] = (float(low), float(high))
        except ValueError:
            name = ""
        if not name:
            raise InputError(f"--bounds {text}: expected NAME=LOW:HIGH, such as native=0.2:0.6")
    return found


def _floor_runs(given: argparse.Namespace, name: str) -> Runs:
    return read_runs(given.ratios, given.metrics, {name: 1.0}, lower_is_better=given.lower_is_better)


def _shares(runs: Runs, shares: Any) -> dict[str, float]:
    return dict(zip(runs.components, (float(share) for share in shares), strict=True))


def _prices(given: argparse.Namespace, runs: Runs, offers: Any, size: float | None) -> Prices:
    by_item = _pairs("--price", given.price)
    if by_item and size is None:
        raise InputError("--price: needs --size, the number of items of a mix")
    items = costs_of(runs.components, offers, np.full(len(offers), size or 0.0), by_item)
    hours = given.hours_per_training
    adapter = hours if given.price_hour is None else hours * given.price_hour
    if by_item and given.price_hour is None:
        adapter = 0.0
    budget = np.inf if given.budget is None else given.budget
    return Prices(items, adapter, given.worth, budget, given.point_worth)
