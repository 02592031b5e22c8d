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


def predicted(fit: Fitted, shares: Array, row: str, name: str = "") -> Iterator[dict[str, Any]]:
    """Yield the expected scores of mixes [point, component] with their intervals, as rows of a kind."""
    at, sizes = fit.at(shares)
    interval = fit.surface.interval(at, sizes, level=fit.region.level)
    towards = fit.of.towards
    for place in range(len(shares)):
        low, high = fit.ends(float(interval.low[place]), float(interval.high[place]))
        yield {
            "row": row,
            "name": name,
            "shares": text_of(fit.runs.components, shares[place]),
            "value": float(interval.mean[place]) * towards,
            "low": low,
            "high": high,
        }


def constrained(fit: Fitted, floors: Mapping[str, Floor]) -> Constrained | None:
    """Return the best mix that keeps all floors; None where there are no floors."""
    if not floors:
        return None
    return best_above(fit.surface, fit.region.candidates, list(floors.values()))


def constraint_rows(fit: Fitted, floors: Mapping[str, Floor], best: Constrained | None) -> Iterator[dict[str, Any]]:
    """Yield the best mix that keeps the floors, and the chance that it keeps each."""
    if best is None:
        return
    if best.chosen is None:
        yield {
            "row": "constrained",
            "name": ",".join(floors),
            "note": "no mix reaches base's score with this certainty",
        }
        return
    shares = fit.region.candidates.shares[best.chosen]
    row = next(predicted(fit, shares[None], "constrained", ",".join(floors)))
    yield {**row, "chance": float(best.chances[:, best.chosen].min())}


def rate_rows(fit: Fitted, level: float) -> Iterator[dict[str, Any]]:
    """Yield how many items of one component do the work of one item of another, at the mix of equal shares.

    With sizes, of items that join; at one size, of items that take the place of a third component's, or of all others
    in proportion where there are more than three.
    """
    components = fit.runs.components
    counts = np.full(len(components), (fit.size or 1.0) / len(components))
    at = text_of(components, counts / counts.sum())
    for of, into in combinations(components, 2):
        row: dict[str, Any] = {"row": "rate", "of": of, "into": into, "shares": at, "unit": ""}
        if fit.sized:
            rate = effects_at(fit.surface, counts).rate(of, into, level)
            yield {**row, "name": "added to the mix", **_rate(rate)}
        elif len(components) == 3:
            third = next(name for name in components if name not in (of, into))
            rate = trade(fit.surface, counts, of, into, third, sized=False, level=level)
            yield {**row, "name": f"instead of {third}", **_rate(rate)}
        elif len(components) > 3:
            effects = effects_at(fit.surface, counts, fixed_size=True, sized=False)
            yield {**row, "name": "instead of all others", **_rate(effects.rate(of, into, level))}
    if fit.runs.sizes is None:
        return
    curves = curves_of(fit.runs)
    for first, second in combinations(curves, 2):
        if first.rest != second.rest or first.component == second.component:
            continue
        inner = [dose for dose in first.doses if dose > 0]
        dose = float(inner[len(inner) // 2])
        rate = horizontal_rate(fit.runs, first, second, dose, level)
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


def price_rows(fit: Fitted, spec: SurfaceSpec) -> Iterator[dict[str, Any]]:
    """Yield points per unit of money, the cheapest mix that gains a point on the best trained one, the frontier."""
    prices = {name: price for name, price in spec.prices.items() if name in fit.runs.components}
    if not any(prices.values()) or fit.size is None:
        return
    runs, surface = fit.runs, fit.surface
    if fit.sized:
        counts = np.full(len(runs.components), fit.size / len(runs.components))
        for spent in points_per_money(effects_at(surface, counts), prices, spec.statistics.level):
            yield {
                "row": "per money",
                "name": spent.component,
                "value": spent.value,
                "low": spent.low,
                "high": spent.high,
                "unit": f"{'points' if fit.of.unit == '%' else 'units'} per {spec.currency or 'unit of money'}",
            }
    grid, _ = lattice(fit.bounds, 120)
    sizes = np.unique([fit.size, *(runs.sizes if runs.sizes is not None else [])])
    shares = np.tile(grid, (len(sizes), 1))
    items = np.repeat(sizes, len(grid)).astype(float)
    costs = costs_of(runs.components, shares, items, prices)
    best = int(runs.score.argmax())
    own = fit.size if runs.sizes is None else float(runs.sizes[best])
    cheapest = cheapest_gain(surface, shares, items, costs, (runs.shares[best], own), sized=fit.sized,
                         level=spec.statistics.level)  # fmt: skip
    present = float(costs_of(runs.components, runs.shares[best][None], np.array([own]), prices)[0])
    yield {
        "row": "present", "name": runs.names[best], "shares": text_of(runs.components, runs.shares[best]), "size": own,
        "cost": present, "currency": spec.currency, "value": float(runs.score[best]) * fit.of.towards,
    }  # fmt: skip
    if cheapest is None:
        yield {"row": "cheapest", "name": "1 point more", "note": "no mix is expected to gain 1 point"}
    else:
        yield {
            "row": "cheapest", "name": "1 point more", "shares": text_of(runs.components, cheapest.shares),
            "size": cheapest.size, "cost": cheapest.cost, "currency": spec.currency, "value": cheapest.value,
            "low": cheapest.low, "high": cheapest.high, "chance": cheapest.chance,
        }  # fmt: skip
    for number, mix in enumerate(frontier(surface, shares, items, costs, sized=fit.sized,
                                          level=spec.statistics.level), start=1):  # fmt: skip
        low, high = fit.ends(mix.low, mix.high)
        yield {
            "row": "frontier", "name": str(number), "shares": text_of(runs.components, mix.shares), "size": mix.size,
            "cost": mix.cost, "currency": spec.currency, "value": mix.value * fit.of.towards, "low": low,
            "high": high,
        }  # fmt: skip


def next_rows(fit: Fitted, best: Constrained | None) -> Iterator[dict[str, Any]]:
    """Yield the mixes worth training next with what each is expected to teach, and why, or that none is."""
    runs, region = fit.runs, fit.region
    here = runs.shares if runs.sizes is None else runs.shares[runs.sizes == fit.size]
    offers = offers_of(fit.bounds, here, most=100)
    if not len(offers):
        return
    if best is not None and best.allowed.any() and not best.allowed.all():
        region = region_of(fit.surface, region.candidates.only(best.allowed), level=region.level, draws=500,
                           least_squares=False)  # fmt: skip
    prescription: Prescription = prescribe(
        fit.surface, region, offers, tested=here, own_noise=item_noise(runs),
        interior_first=saturated(runs, max(candidate.fitted.form.degree for candidate in fit.choice.candidates)),
    )  # fmt: skip
    for number, proposal in enumerate(prescription.proposals, start=1):
        yield {
            "row": "next", "name": str(number), "shares": text_of(runs.components, proposal.shares),
            "seeds": proposal.seeds, "value": proposal.gain, "gain": proposal.alone, "regret": proposal.regret,
            "chance": proposal.changes, "note": proposal.reason,
        }  # fmt: skip
    yield {
        "row": "advice", "name": "stop" if prescription.stop else "train", "value": prescription.best_gain,
        "regret": prescription.regret, "note": prescription.reason,
    }  # fmt: skip


def front_rows(first: Fitted, second: Fitted, spec: SurfaceSpec) -> Iterator[dict[str, Any]]:
    """Yield the Pareto front of two suites: the mixes that no other mix beats on both."""
    at = first.region.candidates
    front = pareto(first.surface, second.surface, at, draws=min(spec.statistics.replicates, 1000),
                   seed=spec.statistics.seed)  # fmt: skip
    scores = [fit.surface.moments(at.shares[front.places], fit.at(at.shares[front.places])[1]).mean
              for fit in (first, second)]  # fmt: skip
    for place, score, other_score in zip(front.places, *scores, strict=True):
        yield {
            "suite": first.of.suite, "backbone": first.of.backbone, "metric": first.of.measured.metric,
            "decoding": first.of.measured.decoding, "variants": first.of.measured.variants,
            "aggregate": first.of.measured.aggregate, "row": "front", "name": second.of.suite,
            "shares": text_of(first.runs.components, at.shares[place]), "size": first.size, "unit": first.of.unit,
            "value": float(score) * first.of.towards, "gain": float(other_score) * second.of.towards,
            "chance": float(front.probability[place]), "level": spec.statistics.level,
        }  # fmt: skip
