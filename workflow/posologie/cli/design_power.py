"""How many items and seeds find a difference from base, and what they cost.

  posologie design power --items 1000 --score 40 --mixes 7
  posologie design power --results results/pilot --difference 2 --budget 200

Power, the smallest detectable difference and the width of the simultaneous interval of a mix against base, for items ×
seeds, with all mixes corrected together. Variances come from the scores of a pilot, from base's answers alone with an
assumed agreement, or from an assumed score. --table writes the plans as CSV, --figure as SVG.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from posologie.cli.places import console, print_json
from posologie.records.files import read_json, read_parquet, write_csv
from posologie.report.names import INK, MUTED
from posologie.running.errors import InputError
from posologie.running.whole_files import whole_file
from posologie.statistics.crossed import Crossed, Seeds, crossed
from posologie.statistics.entries import Entry, arm_entries
from posologie.statistics.estimates import Resampled
from posologie.statistics.power import Components, components_of
from posologie.statistics.scored import Measure, read_suite
from posologie.statistics.simultaneous import differences, family, z_score
from posologie.statistics.spec import EvaluatedModel, Statistics

COLUMNS = (
    "items", "seeds", "mixes", "detectable", "power", "half_width", "seed_sd", "gpu_hours", "about",
)  # fmt: skip
_ASSUMED_SEED_SD = 1.0
_DRAWS = 4000
_TASKS = ("mcqu", "mcq", "oeq")


@dataclass(frozen=True)
class Pilot:
    """What is known of a difference from base before the study.

    Attributes:
        whole: over all items.
        by_benchmark: name → the same for its items alone.
        mixes: number of mixes that were found.
        source: where it comes from, in words.
    """

    whole: Components
    by_benchmark: dict[str, Components]
    mixes: int
    source: str


def add_arguments(power: argparse.ArgumentParser) -> None:
    """Add the arguments of `design power`."""
    add_known(power)
    planned = power.add_argument_group("what is planned")
    planned.add_argument("--items", type=int, nargs="+", metavar="N", help="numbers of items (default: the pilot's)")
    planned.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3, 5], metavar="K", help="seeds of each mix")
    planned.add_argument("--mixes", type=int, metavar="M", help="mixes compared with base (default: the pilot's, or 7)")
    planned.add_argument("--difference", type=float, default=2.0, metavar="POINTS", help="true difference to find")
    planned.add_argument("--power", type=float, default=0.8, help="chance of finding it (default: 0.8)")
    planned.add_argument("--level", type=float, default=0.95, help="level of the intervals (default: 0.95)")
    cost = power.add_argument_group("what it costs")
    cost.add_argument("--hours-per-training", type=float, metavar="H", help="GPU hours (default: the pilot's records)")
    cost.add_argument("--hours-per-thousand", type=float, metavar="H", help="GPU hours for 1,000 items of one model")
    cost.add_argument("--budget", type=float, metavar="H", help="GPU hours available")
    power.add_argument("--table", type=Path, metavar="CSV", help="write the plans")
    power.add_argument("--figure", type=Path, metavar="SVG", help="draw the detectable difference by items and seeds")


def add_known(arguments: argparse.ArgumentParser) -> None:
    """Add the options that say what is known before the study: a pilot, or assumptions."""
    known = arguments.add_argument_group("what is known")
    known.add_argument("--results", type=Path, metavar="FOLDER", help="results of a pilot, or of base alone")
    known.add_argument("--suite", help="the suite of the pilot (default: the only one)")
    known.add_argument("--metric", default="em", help="metric of the pilot's scores (default: em)")
    known.add_argument("--decoding", default="constrained", help="decoding of the metric (default: constrained)")
    known.add_argument("--score", type=float, metavar="PERCENT", help="assumed score, without a pilot")
    known.add_argument(
        "--agreement", type=float, default=0.5, metavar="R",
        help="assumed correlation of two models' scores on one item, if no mix was trained (default: 0.5)",
    )  # fmt: skip
    known.add_argument(
        "--seed-sd", type=float, metavar="POINTS",
        help=f"standard deviation of training seeds (default: the pilot's, or {_ASSUMED_SEED_SD:g})",
    )  # fmt: skip


def answer(options: argparse.Namespace) -> int:
    """Print the plans; the exit code is 1 if none finds the difference (within the budget)."""
    _check(options)
    pilot = pilot_of(options)
    mixes = options.mixes or pilot.mixes or 7
    hours = hours_of(options)
    plans = plans_of(options, pilot.whole, mixes, hours)
    affordable = [plan for plan in plans if options.budget is None or (plan["gpu_hours"] or 0.0) <= options.budget]
    enough = [plan for plan in affordable if plan["power"] >= options.power and plan["about"] == "recipes"]
    chosen = min(enough, key=lambda plan: (plan["gpu_hours"] or 0.0, plan["items"] * plan["seeds"]), default=None)
    small = too_small(options, pilot, mixes)
    summary = paragraph(options, pilot, mixes, chosen, affordable, small)
    if options.table:
        write_csv(options.table, COLUMNS, plans)
    if options.figure:
        draw(options, plans)
    if options.json:
        print_json({"plans": plans, "chosen": chosen, "too_small": small, "summary": summary})
    else:
        console().print(_table(plans))
        console().print(summary)
    return 0 if chosen else 1


def _check(options: argparse.Namespace) -> None:
    if (options.results is None) == (options.score is None):
        raise InputError("design power: give either --results (a pilot) or --score (assumed)")
    if options.score is not None and not 0 < options.score < 100:
        raise InputError(f"--score {options.score:g}: expected a percentage between 0 and 100")
    if options.score is not None and not options.items:
        raise InputError("--items: missing; expected one or more numbers of items beside --score")
    for name, low, high in (("agreement", 0, 1), ("power", 0.5, 1), ("level", 0.5, 1)):
        if not low <= getattr(options, name) < high:
            raise InputError(f"--{name} {getattr(options, name):g}: expected a number from {low:g} to below {high:g}")
    for name in ("difference", "seed_sd", "mixes", "hours_per_training", "hours_per_thousand", "budget"):
        value = getattr(options, name)
        if value is not None and (value < 0 or (value == 0 and name in ("difference", "mixes"))):
            raise InputError(f"--{name.replace('_', '-')} {value:g}: expected a positive number")
    if min(options.seeds) < 1 or min(options.items or [2]) < 2:
        raise InputError("--seeds, --items: expected at least 1 seed and 2 items")
    if options.budget is not None and options.hours_per_training is None and options.results is None:
        raise InputError("--budget: needs --hours-per-training, or --results with run records")


def pilot_of(options: argparse.Namespace) -> Pilot:
    """Return what is known of the variances: from scores on disk, or assumed."""
    if options.results is None:
        share, items = options.score / 100, max(options.items)
        half = share * (1 - share) * (1 - options.agreement) / items
        whole = Components(items, half, half, seeds=None, sides=1.0, df_items=items - 1.0, mixes=options.mixes or 7)
        return Pilot(_with_seeds(whole, options), {}, 0, f"a score of {options.score:g} % and an agreement of"
                     f" {options.agreement:g}, both assumed")  # fmt: skip
    suite = _suite(options)
    models = _models(options.results, suite)
    measure = Measure(options.metric, options.decoding)
    scored = read_suite(options.results, suite, models, _TASKS, lambda candidate: candidate == measure)
    if scored is None:
        raise InputError(f"{options.results}: suite {suite} has no scores {options.metric} ({options.decoding})")
    arms = arm_entries(models)
    base = next((place for place, arm in enumerate(arms) if arm.kind == "base"), None)
    if base is None:
        raise InputError(f"{options.results}: no scores of a base model; expected scores/BACKBONE/base")
    mixes = [place for place, arm in enumerate(arms) if arm.kind == "mix" and arm.backbone == arms[base].backbone]
    components: dict[tuple[str, str], Components] = {}
    for cell_model in next(Resampled(scored, Statistics()).many_moments([scored.over_variants(measure, "original")])):
        if cell_model.cell.aggregate == "item_weighted" and cell_model.cell.task == "all":
            model = crossed(cell_model.moments, arms, arms)
            components[cell_model.cell.scope_kind, cell_model.cell.scope] = _with_seeds(
                _components(model, base, mixes, cell_model.extent.items, options.agreement), options
            )
    source = f"{len(mixes)} mixes of {options.results}" if mixes else f"base's answers in {options.results}"
    benchmarks = {scope: own for (kind, scope), own in components.items() if kind == "benchmark"}
    return Pilot(components["all", "all"], benchmarks, len(mixes), source)


def _components(model: Crossed, base: int, mixes: list[int], items: int, agreement: float) -> Components:
    """Return the mean components of the mixes' differences from base; of base alone by the assumed agreement."""
    if not mixes:
        half = float(model.items[base, base]) * (1 - agreement)
        return Components(items, half, half, seeds=None, sides=1.0, df_items=model.df_items, mixes=7)
    every = [components_of(model, differences([(mix, base)], len(model.entries))[0], items) for mix in mixes]
    first = every[0]
    fixed, noise = (float(np.mean([getattr(components, name) for components in every])) for name in ("fixed", "noise"))
    if first.seeds is None:  # nothing distinguishes them: half of it is the mix's own adapter
        fixed, noise = fixed / 2, fixed / 2
    return Components(items, fixed, noise, seeds=first.seeds, sides=1.0, df_items=first.df_items, mixes=first.mixes)


def _with_seeds(components: Components, options: argparse.Namespace) -> Components:
    if options.seed_sd is None and components.seeds is not None:
        return components
    return components.with_seed_sd((_ASSUMED_SEED_SD if options.seed_sd is None else options.seed_sd) / 100)


def _models(root: Path, suite: str) -> list[EvaluatedModel]:
    """Return the models whose scores on a suite lie below a folder of results, by their names."""
    files = root.glob(f"scores/**/{suite}.parquet")
    names = sorted({path.parent.relative_to(root / "scores").as_posix() for path in files})
    models = []
    for name in names:
        backbone, *rest = name.split("/")
        if rest == ["base"]:
            models.append(EvaluatedModel(name=name, kind="base", backbone=backbone))
        elif len(rest) == 2 and rest[1].startswith("seed-") and rest[1][5:].isdigit():
            seed = int(rest[1][5:])
            models.append(EvaluatedModel(name=name, kind="mix", backbone=backbone, mix=rest[0], seed=seed))
    if not models:
        raise InputError(f"{root}: holds no scores; expected the folder of a study's results")
    return models


def _suite(options: argparse.Namespace) -> str:
    suites = sorted({path.stem for path in options.results.glob("scores/*/base/*.parquet")})
    if options.suite is None and len(suites) == 1:
        return str(suites[0])
    if options.suite in suites:
        return str(options.suite)
    raise InputError(
        f"--suite {options.suite or ''}: expected one of {', '.join(suites) or 'the suites of a base model'}"
    )


def hours_of(options: argparse.Namespace) -> tuple[float | None, float]:
    """Return the GPU hours of one training, and of 1,000 items of one model: given, or by the pilot's run records."""
    training, thousand = options.hours_per_training, options.hours_per_thousand
    if options.results is None:
        return training, thousand or 0.0
    if training is None:
        records = [read_json(path) for path in sorted(options.results.glob("adapters/*/*/seed-*/run.json"))]
        hours = [_gpu_hours(record) for record in records]
        training = float(np.mean(hours)) if hours else None
    if thousand is None:
        rates = []
        for path in sorted(options.results.glob(f"predictions/**/{_suite(options)}.run.json")):
            answers = read_parquet(path.with_name(path.name.replace(".run.json", ".parquet")), columns=["item"])
            rates.append(1000 * _gpu_hours(read_json(path)) / len(set(answers["item"].to_pylist())))
        thousand = float(np.mean(rates)) if rates else 0.0
    return training, thousand


def _gpu_hours(record: dict[str, Any]) -> float:
    return float(record["seconds"]) / 3600 * max(1, len(record["hardware"]["gpus"]))


def plans_of(
    options: argparse.Namespace, components: Components, mixes: int, hours: tuple[float | None, float]
) -> list[dict[str, Any]]:
    """Return a plan for each number of items and seeds, as rows of `COLUMNS`; differences are in points."""
    plans = []
    training, thousand = hours
    for items in options.items or [components.items, 2 * components.items, 4 * components.items]:
        for seeds in options.seeds:
            z = critical_z(components, items, seeds, mixes, options.level)
            own = Components(**{**vars(components), "mixes": mixes})
            recipes = mixes * (seeds - 1) >= 2
            cost = None
            if training is not None:
                cost = mixes * seeds * training + (1 + mixes * seeds) * items / 1000 * thousand
            plans.append(
                {
                    "items": items,
                    "seeds": seeds,
                    "mixes": mixes,
                    "detectable": 100 * own.detectable(items, seeds, z, options.power),
                    "power": own.power(options.difference / 100, items, seeds, z),
                    "half_width": 100 * own.half_width(items, seeds, z),
                    "seed_sd": 100 * float(np.sqrt(own.seeds or 0.0)),
                    "gpu_hours": cost,
                    "about": "recipes" if recipes else "adapters",
                }
            )
    return plans


def critical_z(components: Components, items: int, seeds: int, mixes: int, level: float) -> float:
    """Return the critical value of all mixes against base together, by max-T, on the normal scale."""
    factor = components.items / items
    arms = [Entry("q/base", "base", "q", "", "", (0,))]
    arms += [Entry(f"q/{mix}", "mix", "q", str(mix), "all", (1 + mix,)) for mix in range(mixes)]
    of_base = factor * (components.fixed + components.noise) / 2
    of_mix = factor * (max(0.0, components.fixed - components.noise) / 2 + components.noise / seeds)
    df = mixes * (seeds - 1)
    noise = np.asarray(factor * components.noise)
    known = {} if df < 2 else {"q": Seeds(np.asarray((components.seeds or 0.0) + noise), noise, df)}
    share = np.array([0.0, *([1 / seeds if known else 0.0] * mixes)])
    zero = np.zeros(mixes + 1)
    df_items = max(1.0, components.df_items / factor)
    model = Crossed(
        tuple(arms),
        zero,
        np.diag([of_base, *([of_mix] * mixes)]),
        df_items=df_items,
        share=share,
        seeds=known,
        floor=zero,
    )
    judged = family(model, differences([(mix, 0) for mix in range(1, mixes + 1)], mixes + 1), _DRAWS, 42)
    return float(z_score(judged.critical(level), judged.estimated.df).mean())


def too_small(options: argparse.Namespace, pilot: Pilot, mixes: int) -> list[dict[str, Any]]:
    """Return the benchmarks on which the most seeds that are planned would not find the difference."""
    seeds = max(options.seeds)
    small = []
    for name, own in pilot.by_benchmark.items():
        z = critical_z(own, own.items, seeds, mixes, options.level)
        detectable = 100 * own.detectable(own.items, seeds, z, options.power)
        if detectable > options.difference:
            small.append({"benchmark": name, "items": own.items, "detectable": detectable})
    return small


def paragraph(
    options: argparse.Namespace,
    pilot: Pilot,
    mixes: int,
    chosen: dict[str, Any] | None,
    affordable: list[dict[str, Any]],
    small: list[dict[str, Any]],
) -> str:
    """Return the plan in a few sentences."""
    within = "" if options.budget is None else f" within {options.budget:g} GPU hours"
    sentences = [f"From {pilot.source}; {mixes} mixes against base, corrected together."]
    if chosen is not None:
        cost = "" if chosen["gpu_hours"] is None else f", for about {chosen['gpu_hours']:.0f} GPU hours"
        sentences.append(
            f"The cheapest plan{within} that finds a difference of {options.difference:g} points between recipes with"
            f" {100 * options.power:.0f} % power: {chosen['items']:,} items and {chosen['seeds']} seeds of each"
            f" mix{cost} (power {100 * chosen['power']:.0f} %, simultaneous interval ±{chosen['half_width']:.1f}"
            " points)."
        )
    elif not affordable:
        sentences.append(f"No plan costs at most {options.budget:g} GPU hours.")
    else:
        recipes = [plan for plan in affordable if plan["about"] == "recipes"] or affordable
        best = min(recipes, key=lambda plan: float(plan["detectable"]))
        sentences.append(
            f"No plan{within} finds a difference of {options.difference:g} points between recipes with"
            f" {100 * options.power:.0f} % power; the best, {best['items']:,} items and {best['seeds']} seeds, finds"
            f" {best['detectable']:.1f} points."
        )
    if any(plan["about"] == "adapters" for plan in affordable):
        sentences.append("Plans with too few seeds are about the trained adapters alone.")
    if small:
        listed = ", ".join(
            f"{benchmark['benchmark']} ({benchmark['items']:,} items: {benchmark['detectable']:.1f})"
            for benchmark in small
        )
        sentences.append(
            f"Too small for {options.difference:g} points even with {max(options.seeds)} seeds, with what they would"
            f" find: {listed}."
        )
    return " ".join(sentences)


def draw(options: argparse.Namespace, plans: list[dict[str, Any]]) -> None:
    """Draw the detectable difference by items, a line for each number of seeds."""
    import matplotlib as mpl  # takes a second to load

    from posologie.report.figures.style import SETTINGS, new_figure

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(SETTINGS)
        figure = new_figure(3.2)
        panel = figure.subplots()
        for number, seeds in enumerate(sorted({plan["seeds"] for plan in plans})):
            own = sorted((plan["items"], plan["detectable"]) for plan in plans if plan["seeds"] == seeds)
            name = f"{seeds} seed{'s' if seeds > 1 else ''}"
            panel.plot(*zip(*own, strict=True), marker="os^Dv"[number % 5], color=INK, label=name)
        panel.axhline(options.difference, color=MUTED, linewidth=1, linestyle="--")
        panel.set_xscale("log")
        panel.set_xlabel("items")
        panel.set_ylabel("detectable difference (points)")
        panel.legend()
        with whole_file(options.figure) as partial:
            figure.savefig(
                partial, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None}
            )


def _table(plans: list[dict[str, Any]]) -> Table:
    table = Table(box=None, pad_edge=False)
    for title in ("items", "seeds", "detectable", "power, %", "interval ±", "GPU hours", "about"):
        table.add_column(title, justify="left" if title == "about" else "right")
    for plan in plans:
        cost = "" if plan["gpu_hours"] is None else f"{plan['gpu_hours']:.0f}"
        table.add_row(
            f"{plan['items']:,}", str(plan["seeds"]), f"{plan['detectable']:.1f}", f"{100 * plan['power']:.0f}",
            f"{plan['half_width']:.1f}", cost, plan["about"],
        )  # fmt: skip
    return table
