"""The table of surfaces: the score by the shares, the best mixes, exchange rates, and what to train next."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from scipy.stats import t as student

from posologie.commands import run
from posologie.statistics.families import DEMONSTRATION
from posologie.statistics.intervals import TOO_SMALL
from posologie.statistics.latex import Latex
from posologie.statistics.spec import Measured
from posologie.statistics.table_command import table_arguments
from posologie.statistics.table_files import write_table
from posologie.surface.candidates import Bounds, bounds_of, distinct, lattice
from posologie.surface.choice import Choice, choose
from posologie.surface.fit import FORMS
from posologie.surface.next_runs import Prescription, item_noise, offers_of, prescribe, saturated
from posologie.surface.optimum import Region, candidates_of, region_of
from posologie.surface.prices import cheapest_gain, costs_of, frontier, points_per_money
from posologie.surface.rates import Rate, curves_of, effects_at, horizontal_rate, trade
from posologie.surface.runs import Array, Runs
from posologie.surface.simplex import lattice as simplex_lattice
from posologie.surface.spec import SurfaceSettings, SurfaceSpec
from posologie.surface.study_runs import StudyRuns, study_runs
from posologie.surface.suites import Constrained, Floor, best_above, pareto, weighted

COLUMNS = (
    "suite", "metric", "decoding", "variants", "aggregate", "backbone", "row", "name", "of", "into", "shares", "size",
    "seeds", "n", "clusters", "mixes", "unit", "value", "low", "high", "level", "chosen", "supported", "in_region",
    "coverage", "log_density", "log_density_se", "gain", "gain_low", "regret", "most_regret", "chance", "cost",
    "p_value", "note",
)  # fmt: skip
LATEX = Latex(
    "The best mix by the response surface, and the shares of the mixes that cannot be told from the best.",
    index=("suite", "row", "name"),
    where={"row": ("optimum", "share")},
    show=("value", "low", "high", "regret"),
)
OBJECTIVE = "objective"
"""What stands for a suite in the rows of the weighted objective."""

_FORMS = dict(zip(("mean", "linear", "quadratic", "special_cubic", "process"), FORMS, strict=True))
_MOST_DRAWS = 2000
_MOST_POINTS = 300
_TRACE = 21
_REPRESENTATIVES = 4


@dataclass(frozen=True)
class Fitted:
    """A surface with what the rows are made from.

    Attributes:
        size: number of items at which mixes are compared; None where none is known.
        sized: whether the surface knows sizes.
    """

    of: StudyRuns
    choice: Choice
    bounds: Bounds
    region: Region
    size: float | None
    sized: bool

    @property
    def runs(self) -> Runs:
        """The runs."""
        return self.of.runs

    def at(self, shares: Array) -> tuple[Array, Array | None]:
        """Return shares with the sizes that the surface wants."""
        return shares, np.full(len(shares), self.size) if self.sized and self.size is not None else None


def main(argv: list[str]) -> None:
    """Write the table."""
    given = table_arguments("posologie.surface.table", __doc__ or "").parse_args(argv)
    spec = SurfaceSpec.from_json(given.spec)
    rows = rows_of(list(study_runs(given.results, spec)), spec)
    write_table(given.table, COLUMNS, [{**dict.fromkeys(COLUMNS), **row} for row in rows], LATEX)


def rows_of(every: Sequence[StudyRuns], spec: SurfaceSpec) -> Iterator[dict[str, Any]]:
    """Yield the rows of all surfaces: of each suite and backbone, then of the weighted objective."""
    for backbone in dict.fromkeys(one.backbone for one in every):
        own = [one for one in every if one.backbone == backbone]
        by_suite = {one.suite: one for one in reversed(own)}  # the choice questions of a suite that holds both
        surfaces = {id(one): fitted(one, spec) for one in own}
        floors = {name: floor_of(by_suite[name], spec) for name in spec.surface.at_least_base if name in by_suite}
        for one in own:
            others = {name: floor for name, floor in floors.items() if name != one.suite and floor is not None}
            yield from _rows(surfaces[id(one)], spec, others)
        aims = spec.surface.objective
        if aims and set(aims) <= set(by_suite):
            objective = objective_of(by_suite, aims)
            others = {name: floor for name, floor in floors.items() if floor is not None}
            yield from _rows(fitted(objective, spec), spec, others)
        for first, second in combinations(own, 2):
            if first.suite != second.suite and first.runs.names == second.runs.names:
                yield from _front_rows(surfaces[id(first)], surfaces[id(second)], spec)


def fitted(one: StudyRuns, spec: SurfaceSpec) -> Fitted:
    """Return the surface of some runs, with its region."""
    settings, runs = spec.surface, one.runs
    choice = choose(runs, [_FORMS[name] for name in settings.models])
    bounds = bounds_of(runs.components, {k: v for k, v in settings.bounds.items() if k in runs.components})
    sized = runs.sizes is not None
    size = float(settings.size or 0) or (float(runs.sizes.max()) if runs.sizes is not None else one.size)
    candidates = candidates_of(choice.surface, bounds, runs.shares, size=size if sized else None)
    region = region_of(
        choice.surface, candidates, level=spec.statistics.level, draws=min(spec.statistics.replicates, _MOST_DRAWS),
        seed=spec.statistics.seed, least_squares=False,
    )  # fmt: skip
    return Fitted(one, choice, bounds, region, size, sized)


def objective_of(by_suite: Mapping[str, StudyRuns], weights: Mapping[str, float]) -> StudyRuns:
    """Return the runs of the weighted objective."""
    runs = weighted({name: one.runs for name, one in by_suite.items()}, weights)
    chosen = [by_suite[name] for name in weights]
    bases = [one.base for one in chosen]
    base = None if None in bases else sum(w * (b or 0.0) for w, b in zip(weights.values(), bases, strict=True))
    units = {one.unit for one in chosen}
    return StudyRuns(
        OBJECTIVE, chosen[0].backbone, Measured(metric=OBJECTIVE), units.pop() if len(units) == 1 else "", runs, None,
        base, 1, sum(one.n for one in chosen), min(one.clusters for one in chosen), any(one.few for one in chosen),
        chosen[0].size, chosen[0].note,
    )  # fmt: skip


def floor_of(one: StudyRuns, spec: SurfaceSpec) -> Floor | None:
    """Return the demand that a suite does not fall below base; None without a base model."""
    if one.gains is None:
        return None
    surface = choose(one.gains, [_FORMS[name] for name in spec.surface.models]).surface
    return Floor(surface, 0.0, spec.statistics.level)


def text_of(components: Sequence[str], shares: Array | Sequence[float]) -> str:
    """Return shares as the table has them: `native=0.5;synthetic=0.5;…`, every component named."""
    return ";".join(f"{name}={float(share):.6g}" for name, share in zip(components, shares, strict=True))


def _rows(found: Fitted, spec: SurfaceSpec, floors: Mapping[str, Floor]) -> Iterator[dict[str, Any]]:
    one, settings = found.of, spec.surface
    notes = [DEMONSTRATION] if spec.demonstration else [TOO_SMALL] if one.few else []
    notes += [one.note] if one.note else []
    common = {
        "suite": one.suite,
        "metric": one.measured.metric,
        "decoding": one.measured.decoding if one.suite != OBJECTIVE else "",
        "variants": one.measured.variants if one.suite != OBJECTIVE else "",
        "aggregate": one.measured.aggregate if one.suite != OBJECTIVE else "",
        "backbone": one.backbone,
        "n": one.n,
        "clusters": one.clusters,
        "mixes": len(distinct(one.runs.shares)),
        "unit": one.unit,
        "level": spec.statistics.level,
        "size": found.size,
        "note": "; ".join(notes),
    }
    made = [
        _model_rows(found.choice, notes),
        _run_rows(found),
        _prediction_rows(found, settings),
        _trace_rows(found),
        _optimum_rows(found),
        _constraint_rows(found, floors),
        _rate_rows(found, spec.statistics.level),
        _price_rows(found, spec),
        _next_rows(found, floors),
    ]
    for rows in made:
        for row in rows:
            yield {**common, **row}


def _model_rows(choice: Choice, notes: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield each model's error on left-out mixes, and the tests of fit and of equal noise."""
    for candidate in choice.candidates:
        is_chosen = candidate.fitted is choice.surface
        yield {
            "row": "model",
            "name": candidate.fitted.form.name,
            "value": candidate.rmse,
            "chosen": int(is_chosen),
            "supported": int(choice.supported) if is_chosen else None,
            "coverage": candidate.coverage,
            "log_density": candidate.log_density,
            "log_density_se": candidate.log_density_se,
            "gain": candidate.gain,
            "gain_low": candidate.gain_low,
            "note": "; ".join([*notes, *(one for one in choice.notes if one)] if is_chosen else notes),
        }
    for name, test in (("lack of fit", choice.lack_of_fit), ("equal noise", choice.noise)):
        yield {"row": "check", "name": name, "p_value": test.p_value, "note": "; ".join([*notes, test.note])}


def _run_rows(found: Fitted) -> Iterator[dict[str, Any]]:
    """Yield each measured mix: its score, and what the others predict for it."""
    runs, left_out, df = found.runs, found.choice.chosen.left_out, found.choice.surface.df
    shrink = 1.0 if np.isinf(df) else np.sqrt((df - 2) / df)
    half = float(student.ppf((1 + found.region.level) / 2, df) * shrink) * left_out.sd
    for place, name in enumerate(runs.names):
        yield {
            "row": "run",
            "name": name,
            "shares": text_of(runs.components, runs.shares[place]),
            "size": found.size if runs.sizes is None else runs.sizes[place],
            "seeds": int(runs.seeds[place]),
            "value": float(runs.score[place]) * found.of.towards,
        }
        yield {
            "row": "left out",
            "name": name,
            "shares": text_of(runs.components, runs.shares[place]),
            "value": float(left_out.mean[place]) * found.of.towards,
            "low": float(left_out.mean[place]) * found.of.towards - float(half[place]),
            "high": float(left_out.mean[place]) * found.of.towards + float(half[place]),
        }


def _prediction_rows(found: Fitted, settings: SurfaceSettings) -> Iterator[dict[str, Any]]:
    """Yield the expected score at a lattice of mixes with its interval, and whether each may be the best."""
    width = len(found.runs.components)
    steps = settings.lattice
    grid = simplex_lattice(width, steps) if width < 5 else lattice(found.bounds, _MOST_POINTS)[0]
    grid = grid[found.bounds.contain(grid)]
    if not len(grid) or len(grid) > 2000:
        grid, _ = lattice(found.bounds, _MOST_POINTS)
    inside = _in_region(found, grid)
    for row, member in zip(_predicted(found, grid, "prediction"), inside, strict=True):
        yield {**row, "in_region": member}


def _in_region(found: Fitted, grid: Array) -> list[int | None]:
    """Return whether lattice mixes are in the region; None for one that was no candidate."""
    known = {tuple(row): int(inside) for row, inside in zip(
        np.round(found.region.candidates.shares, 6).tolist(), found.region.inside, strict=True)}  # fmt: skip
    return [known.get(tuple(row)) for row in np.round(grid, 6).tolist()]


def _predicted(found: Fitted, shares: Array, row: str, name: str = "") -> Iterator[dict[str, Any]]:
    at, sizes = found.at(shares)
    interval = found.choice.surface.interval(at, sizes, level=found.region.level)
    towards = found.of.towards
    for place in range(len(shares)):
        low, high = sorted((float(interval.low[place]) * towards, float(interval.high[place]) * towards))
        yield {
            "row": row,
            "name": name,
            "shares": text_of(found.runs.components, shares[place]),
            "value": float(interval.mean[place]) * towards,
            "low": low,
            "high": high,
        }


def _trace_rows(found: Fitted) -> Iterator[dict[str, Any]]:
    """Yield the expected score as one component grows and the others keep their proportions (Cox 1971)."""
    chosen = found.region.candidates.shares[found.region.chosen]
    for place, component in enumerate(found.runs.components):
        rest = 1 - chosen[place]
        others = chosen / rest if rest > 1e-6 else np.full(len(chosen), 1 / (len(chosen) - 1))
        levels = np.linspace(found.bounds.low[place], found.bounds.high[place], _TRACE)
        line = (1 - levels)[:, None] * others
        line[:, place] = levels
        line = line[found.bounds.contain(line)]
        if len(line) > 1:
            yield from _predicted(found, line, "trace", component)


def _optimum_rows(found: Fitted) -> Iterator[dict[str, Any]]:
    """Yield the best mix with its expected score and regret, the region's size and shares, and mixes that span it."""
    region, towards = found.region, found.of.towards
    components = found.runs.components
    ends = [one for one in (region.expected.low, region.expected.high) if one is not None]
    low, high = sorted(one * towards for one in ends) if len(ends) == 2 else (None, None)
    yield {
        "row": "optimum",
        "name": "best",
        "shares": text_of(components, region.candidates.shares[region.chosen]),
        "value": region.expected.value * towards,
        "low": low,
        "high": high,
        "regret": region.regret,
        "most_regret": region.most_regret,
        "supported": int(found.choice.supported),
    }
    if found.of.base is not None:
        yield {"row": "base", "name": "base", "value": found.of.base * towards}
    half = 1.96 * region.share_error
    yield {
        "row": "region",
        "name": "share of the simplex",
        "value": region.share,
        "low": max(0.0, region.share - half),
        "high": min(1.0, region.share + half),
        "unit": "",
        "note": "interval of the Monte-Carlo error alone",
    }
    chosen = region.candidates.shares[region.chosen]
    for place, (component, (low_share, high_share)) in enumerate(region.ranges().items()):
        yield {
            "row": "share", "name": component, "value": float(chosen[place]), "low": low_share, "high": high_share,
            "unit": "",
        }  # fmt: skip
    for number, shares in enumerate(region.representatives(_REPRESENTATIVES)[1:], start=1):
        yield from _predicted(found, shares[None], "as good", f"{number}")


def _constraint_rows(found: Fitted, floors: Mapping[str, Floor]) -> Iterator[dict[str, Any]]:
    """Yield the best mix that keeps the floors, and the chance that it keeps each."""
    if not floors:
        return
    best = _constrained(found, floors)
    if best.chosen is None:
        yield {"row": "constrained", "name": ",".join(floors), "note": "no mix keeps base's score with this certainty"}
        return
    shares = found.region.candidates.shares[best.chosen]
    row = next(_predicted(found, shares[None], "constrained", ",".join(floors)))
    yield {**row, "chance": float(best.chances[:, best.chosen].min())}


def _constrained(found: Fitted, floors: Mapping[str, Floor]) -> Constrained:
    return best_above(found.choice.surface, found.region.candidates, list(floors.values()))


def _rate_rows(found: Fitted, level: float) -> Iterator[dict[str, Any]]:
    """Yield how many items of one component do the work of one item of another, at the mix of equal shares.

    With sizes, of items that join; at one size, of items that take the place of a third component's, or of all others
    in proportion where there are more than three.
    """
    components = found.runs.components
    counts = np.full(len(components), (found.size or 1.0) / len(components))
    at = text_of(components, counts / counts.sum())
    for of, into in combinations(components, 2):
        row: dict[str, Any] = {"row": "rate", "of": of, "into": into, "shares": at, "unit": ""}
        if found.sized:
            rate = effects_at(found.choice.surface, counts).rate(of, into, level)
            yield {**row, "name": "items added", **_rate(rate)}
        elif len(components) == 3:
            third = next(name for name in components if name not in (of, into))
            rate = trade(found.choice.surface, counts, of, into, third, sized=False, level=level)
            yield {**row, "name": f"instead of {third}", **_rate(rate)}
        elif len(components) > 3:
            effects = effects_at(found.choice.surface, counts, fixed_size=True, sized=False)
            yield {**row, "name": "instead of all others", **_rate(effects.rate(of, into, level))}
    if found.runs.sizes is None:
        return
    curves = curves_of(found.runs)
    for first, second in combinations(curves, 2):
        if first.rest != second.rest or first.component == second.component:
            continue
        inner = [dose for dose in first.doses if dose > 0]
        dose = float(inner[len(inner) // 2])
        rate = horizontal_rate(found.runs, first, second, dose, level)
        yield {
            "row": "rate", "of": first.component, "into": second.component, "unit": "", "size": dose,
            "name": "doses that score the same", **_rate(rate),
        }  # fmt: skip


def _rate(rate: Rate) -> dict[str, Any]:
    """Return the columns of a rate; an interval that is open stands in the note."""
    bounded = rate.case == "bounded" and np.isfinite([rate.low, rate.high]).all() and len(rate.ranges) < 2
    return {
        "value": rate.value if np.isfinite(rate.value) else None,
        "low": rate.low if bounded else None,
        "high": rate.high if bounded else None,
        "note": "" if bounded else rate.text(),
    }


def _price_rows(found: Fitted, spec: SurfaceSpec) -> Iterator[dict[str, Any]]:
    """Yield points per unit of money, the cheapest mix that gains a point on the best measured one, and the frontier."""
    prices = {name: price for name, price in spec.surface.prices.items() if name in found.runs.components}
    if not any(prices.values()) or found.size is None:
        return
    runs, surface = found.runs, found.choice.surface
    if found.sized:
        counts = np.full(len(runs.components), found.size / len(runs.components))
        for one in points_per_money(effects_at(surface, counts), prices, spec.statistics.level):
            yield {
                "row": "per money", "name": one.component, "value": one.value, "low": one.low, "high": one.high,
                "unit": f"{found.of.unit or 'unit'} per unit of money".replace("%", "points"),
            }  # fmt: skip
    grid, _ = lattice(found.bounds, 120)
    sizes = np.unique([found.size, *(runs.sizes if runs.sizes is not None else [])])
    shares = np.tile(grid, (len(sizes), 1))
    items = np.repeat(sizes, len(grid)).astype(float)
    costs = costs_of(runs.components, shares, items, prices)
    best = int(runs.score.argmax())
    own = found.size if runs.sizes is None else float(runs.sizes[best])
    plan = cheapest_gain(surface, shares, items, costs, (runs.shares[best], own), sized=found.sized,
                         level=spec.statistics.level)  # fmt: skip
    present = float(costs_of(runs.components, runs.shares[best][None], np.array([own]), prices)[0])
    yield {
        "row": "present", "name": runs.names[best], "shares": text_of(runs.components, runs.shares[best]), "size": own,
        "cost": present, "value": float(runs.score[best]) * found.of.towards,
    }  # fmt: skip
    if plan is None:
        yield {"row": "cheapest", "name": "1 point more", "note": "no mix is expected to gain 1 point"}
    else:
        yield {
            "row": "cheapest", "name": "1 point more", "shares": text_of(runs.components, plan.shares),
            "size": plan.size, "cost": plan.cost, "value": plan.value, "low": plan.low, "high": plan.high,
            "chance": plan.chance,
        }  # fmt: skip
    for number, one in enumerate(frontier(surface, shares, items, costs, sized=found.sized,
                                          level=spec.statistics.level), start=1):  # fmt: skip
        low, high = sorted((one.low * found.of.towards, one.high * found.of.towards))
        yield {
            "row": "frontier", "name": str(number), "shares": text_of(runs.components, one.shares), "size": one.size,
            "cost": one.cost, "value": one.value * found.of.towards, "low": low, "high": high,
        }  # fmt: skip


def _next_rows(found: Fitted, floors: Mapping[str, Floor]) -> Iterator[dict[str, Any]]:
    """Yield the mixes worth training next with what each is expected to teach, and why, or that none is."""
    runs = found.runs
    offers = offers_of(found.bounds, runs.shares, most=100)
    if not len(offers):
        return
    said: Prescription = prescribe(
        found.choice.surface, found.region, offers, tested=runs.shares, own_noise=item_noise(runs),
        allowed=_constrained(found, floors).allowed if floors and _constrained(found, floors).allowed.any() else None,
        interior_first=saturated(runs, found.choice.surface.form.degree),
    )  # fmt: skip
    for number, one in enumerate(said.proposals, start=1):
        yield {
            "row": "next", "name": str(number), "shares": text_of(runs.components, one.shares), "seeds": one.seeds,
            "value": one.gain, "gain": one.alone, "regret": one.regret, "chance": one.changes, "note": one.reason,
        }  # fmt: skip
    yield {
        "row": "advice", "name": "stop" if said.stop else "train", "value": said.best_gain, "regret": said.regret,
        "note": said.reason,
    }  # fmt: skip


def _front_rows(first: Fitted, second: Fitted, spec: SurfaceSpec) -> Iterator[dict[str, Any]]:
    """Yield the Pareto front of two suites: the mixes of which none is better on both."""
    at = first.region.candidates
    front = pareto(first.choice.surface, second.choice.surface, at, draws=min(spec.statistics.replicates, 1000),
                   seed=spec.statistics.seed)  # fmt: skip
    scores = [one.choice.surface.moments(at.shares[front.places], one.at(at.shares[front.places])[1]).mean
              for one in (first, second)]  # fmt: skip
    for place, one, other in zip(front.places, *scores, strict=True):
        yield {
            "suite": first.of.suite, "backbone": first.of.backbone, "metric": first.of.measured.metric,
            "decoding": first.of.measured.decoding, "variants": first.of.measured.variants,
            "aggregate": first.of.measured.aggregate, "row": "front", "name": second.of.suite,
            "shares": text_of(first.runs.components, at.shares[place]), "size": first.size, "unit": first.of.unit,
            "value": float(one) * first.of.towards, "gain": float(other) * second.of.towards,
            "chance": float(front.probability[place]), "level": spec.statistics.level,
        }  # fmt: skip


if __name__ == "__main__":
    run(main)
