"""What is decided from a surface, as rows of its table: floors, exchange rates, prices, the next mixes, two suites."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np

from posologie.surface.candidates import lattice
from posologie.surface.next_runs import Prescription, item_noise, offers_of, prescribe, saturated
from posologie.surface.optimum import region_of
from posologie.surface.prices import cheapest_gain, costs_of, frontier, points_per_money
from posologie.surface.rates import Rate, curves_of, effects_at, horizontal_rate, trade
from posologie.surface.runs import Array
from posologie.surface.spec import SurfaceSpec
from posologie.surface.study_runs import Fitted
from posologie.surface.suites import Constrained, Floor, best_above, pareto


def text_of(components: Sequence[str], shares: Array | Sequence[float]) -> str:
    """Return shares as the table has them: `native=0.5;synthetic=0.5;…`, every component named."""
    return ";".join(f"{name}={float(share):.6g}" for name, share in zip(components, shares, strict=True))


def predicted(found: Fitted, shares: Array, row: str, name: str = "") -> Iterator[dict[str, Any]]:
    """Yield the expected scores of mixes [point, component] with their intervals, as rows of a kind."""
    at, sizes = found.at(shares)
    interval = found.surface.interval(at, sizes, level=found.region.level)
    towards = found.of.towards
    for place in range(len(shares)):
        low, high = found.ends(float(interval.low[place]), float(interval.high[place]))
        yield {
            "row": row,
            "name": name,
            "shares": text_of(found.runs.components, shares[place]),
            "value": float(interval.mean[place]) * towards,
            "low": low,
            "high": high,
        }


def constrained(found: Fitted, floors: Mapping[str, Floor]) -> Constrained | None:
    """Return the best mix that keeps all floors; None where there are no floors."""
    if not floors:
        return None
    return best_above(found.surface, found.region.candidates, list(floors.values()))


def constraint_rows(found: Fitted, floors: Mapping[str, Floor], best: Constrained | None) -> Iterator[dict[str, Any]]:
    """Yield the best mix that keeps the floors, and the chance that it keeps each."""
    if best is None:
        return
    if best.chosen is None:
        yield {"row": "constrained", "name": ",".join(floors), "note": "no mix keeps base's score with this certainty"}
        return
    shares = found.region.candidates.shares[best.chosen]
    row = next(predicted(found, shares[None], "constrained", ",".join(floors)))
    yield {**row, "chance": float(best.chances[:, best.chosen].min())}


def rate_rows(found: Fitted, level: float) -> Iterator[dict[str, Any]]:
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
            rate = effects_at(found.surface, counts).rate(of, into, level)
            yield {**row, "name": "added to the mix", **_rate(rate)}
        elif len(components) == 3:
            third = next(name for name in components if name not in (of, into))
            rate = trade(found.surface, counts, of, into, third, sized=False, level=level)
            yield {**row, "name": f"instead of {third}", **_rate(rate)}
        elif len(components) > 3:
            effects = effects_at(found.surface, counts, fixed_size=True, sized=False)
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


def price_rows(found: Fitted, spec: SurfaceSpec) -> Iterator[dict[str, Any]]:
    """Yield points per unit of money, the cheapest mix that gains a point on the best trained one, the frontier."""
    prices = {name: price for name, price in spec.prices.items() if name in found.runs.components}
    if not any(prices.values()) or found.size is None:
        return
    runs, surface = found.runs, found.surface
    if found.sized:
        counts = np.full(len(runs.components), found.size / len(runs.components))
        for spent in points_per_money(effects_at(surface, counts), prices, spec.statistics.level):
            yield {
                "row": "per money",
                "name": spent.component,
                "value": spent.value,
                "low": spent.low,
                "high": spent.high,
                "unit": f"{'points' if found.of.unit == '%' else 'units'} per {spec.currency or 'unit of money'}",
            }
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
        "cost": present, "currency": spec.currency, "value": float(runs.score[best]) * found.of.towards,
    }  # fmt: skip
    if plan is None:
        yield {"row": "cheapest", "name": "1 point more", "note": "no mix is expected to gain 1 point"}
    else:
        yield {
            "row": "cheapest", "name": "1 point more", "shares": text_of(runs.components, plan.shares),
            "size": plan.size, "cost": plan.cost, "currency": spec.currency, "value": plan.value, "low": plan.low,
            "high": plan.high, "chance": plan.chance,
        }  # fmt: skip
    for number, one in enumerate(frontier(surface, shares, items, costs, sized=found.sized,
                                          level=spec.statistics.level), start=1):  # fmt: skip
        low, high = found.ends(one.low, one.high)
        yield {
            "row": "frontier", "name": str(number), "shares": text_of(runs.components, one.shares), "size": one.size,
            "cost": one.cost, "currency": spec.currency, "value": one.value * found.of.towards, "low": low,
            "high": high,
        }  # fmt: skip


def next_rows(found: Fitted, best: Constrained | None) -> Iterator[dict[str, Any]]:
    """Yield the mixes worth training next with what each is expected to teach, and why, or that none is."""
    runs, region = found.runs, found.region
    here = runs.shares if runs.sizes is None else runs.shares[runs.sizes == found.size]
    offers = offers_of(found.bounds, here, most=100)
    if not len(offers):
        return
    if best is not None and best.allowed.any() and not best.allowed.all():
        region = region_of(found.surface, region.candidates.only(best.allowed), level=region.level, draws=500,
                           least_squares=False)  # fmt: skip
    said: Prescription = prescribe(
        found.surface, region, offers, tested=here, own_noise=item_noise(runs),
        interior_first=saturated(runs, max(one.fitted.form.degree for one in found.choice.candidates)),
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


def front_rows(first: Fitted, second: Fitted, spec: SurfaceSpec) -> Iterator[dict[str, Any]]:
    """Yield the Pareto front of two suites: the mixes of which none is better on both."""
    at = first.region.candidates
    front = pareto(first.surface, second.surface, at, draws=min(spec.statistics.replicates, 1000),
                   seed=spec.statistics.seed)  # fmt: skip
    scores = [one.surface.moments(at.shares[front.places], one.at(at.shares[front.places])[1]).mean
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
