"""The table of surfaces: the score by the shares, the best mixes, exchange rates, and what to train next."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
from scipy.stats import t as student

from posologie.running.commands import run
from posologie.statistics.intervals import TOO_SMALL
from posologie.statistics.tables import Latex, table_arguments, write_table
from posologie.statistics.verdicts import DEMONSTRATION
from posologie.surface.candidates import distinct, shown
from posologie.surface.decisions import (
    constrained,
    constraint_rows,
    front_rows,
    next_rows,
    predicted,
    price_rows,
    rate_rows,
    text_of,
)
from posologie.surface.fit import CUBIC
from posologie.surface.forms import products_of
from posologie.surface.runs import Array
from posologie.surface.spec import SurfaceSettings, SurfaceSpec
from posologie.surface.study_runs import OBJECTIVE, Fitted, StudyRuns, fitted, floor_of, objective_of, study_runs
from posologie.surface.suites import Floor

COLUMNS = (
    "suite", "metric", "decoding", "variants", "aggregate", "backbone", "row", "name", "of", "into", "shares", "size",
    "seeds", "n", "clusters", "mixes", "unit", "value", "low", "high", "level", "chosen", "supported", "in_region",
    "coverage", "log_density", "log_density_se", "gain", "gain_low", "regret", "most_regret", "chance", "cost",
    "currency", "p_value", "note",
)  # fmt: skip
LATEX = Latex(
    "The best mix by the response surface, and the shares of the mixes that cannot be distinguished from the best.",
    index=("suite", "row", "name"),
    where={"row": ("optimum", "share")},
    show=("value", "low", "high", "regret"),
)

_TRACE = 21
_REPRESENTATIVES = 4


def main(argv: list[str]) -> None:
    """Write the table."""
    options = table_arguments("posologie.surface.table", __doc__ or "").parse_args(argv)
    spec = SurfaceSpec.from_json(options.spec)
    rows = rows_of(list(study_runs(options.results, spec)), spec)
    write_table(options.table, COLUMNS, [{**dict.fromkeys(COLUMNS), **row} for row in rows], LATEX)


def rows_of(every: Sequence[StudyRuns], spec: SurfaceSpec) -> Iterator[dict[str, Any]]:
    """Yield the rows of all surfaces: of each suite and backbone, then of the weighted objective."""
    for backbone in dict.fromkeys(of_suite.backbone for of_suite in every):
        own = [of_suite for of_suite in every if of_suite.backbone == backbone]
        # reversed: a suite that holds both kinds of questions is represented by its choice questions
        by_suite = {of_suite.suite: of_suite for of_suite in reversed(own)}
        surfaces = {id(of_suite): fitted(of_suite, spec) for of_suite in own}
        floors = {name: floor_of(by_suite[name], spec) for name in spec.surface.at_least_base if name in by_suite}
        for of_suite in own:
            others = {name: floor for name, floor in floors.items() if name != of_suite.suite and floor is not None}
            yield from _rows(surfaces[id(of_suite)], spec, others)
        aims = spec.surface.objective
        if aims and set(aims) <= set(by_suite):
            objective = objective_of(by_suite, aims)
            others = {name: floor for name, floor in floors.items() if floor is not None}
            yield from _rows(fitted(objective, spec), spec, others)
        for first, second in combinations(own, 2):
            if first.suite != second.suite and first.runs.names == second.runs.names:
                yield from front_rows(surfaces[id(first)], surfaces[id(second)], spec)


def _rows(fit: Fitted, spec: SurfaceSpec, floors: Mapping[str, Floor]) -> Iterator[dict[str, Any]]:
    of_suite, settings = fit.of, spec.surface
    notes = [DEMONSTRATION] if spec.demonstration else [TOO_SMALL] if of_suite.few else []
    notes += [of_suite.note] if of_suite.note else []
    common = {
        "suite": of_suite.suite,
        "metric": of_suite.measured.metric,
        "decoding": of_suite.measured.decoding if of_suite.suite != OBJECTIVE else "",
        "variants": of_suite.measured.variants if of_suite.suite != OBJECTIVE else "",
        "aggregate": of_suite.measured.aggregate if of_suite.suite != OBJECTIVE else "",
        "backbone": of_suite.backbone,
        "n": of_suite.n,
        "clusters": of_suite.clusters,
        "mixes": len(distinct(of_suite.runs.shares)),
        "unit": of_suite.unit,
        "level": spec.statistics.level,
        "size": fit.size,
    }
    best = constrained(fit, floors)
    sections = [
        _model_rows(fit),
        _run_rows(fit),
        _prediction_rows(fit, settings),
        _trace_rows(fit),
        _optimum_rows(fit),
        constraint_rows(fit, floors, best),
        rate_rows(fit, spec.statistics.level),
        price_rows(fit, spec),
        next_rows(fit, best),
    ]
    for rows in sections:
        for row in rows:
            own = [note for note in (row.get("note", ""),) if note]
            yield {**common, **row, "note": "; ".join([*notes, *own])}


def _model_rows(fit: Fitted) -> Iterator[dict[str, Any]]:
    """Yield each model's error on left-out mixes, and the tests of fit and of equal noise."""
    choice = fit.choice
    notes = [note for note in choice.notes if note]
    mixes, terms = len(distinct(fit.runs.shares)), len(products_of(len(fit.runs.components), CUBIC.degree))
    if mixes <= terms and any(candidate.fitted.form is CUBIC for candidate in choice.candidates):
        notes.append(
            f"{mixes} mixes saturate a special cubic ({terms} terms): nothing is left to test it, and shrinkage "
            "decides its coefficients"
        )
    for candidate in choice.candidates:
        is_chosen = candidate.fitted is choice.surface
        yield {
            "row": "model",
            "name": candidate.fitted.form.name,
            "value": candidate.rmse,
            "chosen": int(is_chosen),
            "supported": int(choice.supported) if is_chosen else None,
            "p_value": choice.p_value if is_chosen else None,
            "coverage": candidate.coverage,
            "log_density": candidate.log_density,
            "log_density_se": candidate.log_density_se,
            "gain": candidate.gain,
            "gain_low": candidate.gain_low,
            "note": "; ".join(notes) if is_chosen else "",
        }
    for name, test in (("lack of fit", choice.lack_of_fit), ("equal noise", choice.noise)):
        yield {"row": "check", "name": name, "p_value": test.p_value, "note": test.note}


def _run_rows(fit: Fitted) -> Iterator[dict[str, Any]]:
    """Yield each measured mix: its score, and what the others predict for it."""
    runs, left_out, df = fit.runs, fit.choice.chosen.left_out, fit.choice.surface.df
    shrink = 1.0 if np.isinf(df) else np.sqrt((df - 2) / df)
    half = float(student.ppf((1 + fit.region.level) / 2, df) * shrink) * left_out.sd
    for place, name in enumerate(runs.names):
        yield {
            "row": "run",
            "name": name,
            "shares": text_of(runs.components, runs.shares[place]),
            "size": fit.size if runs.sizes is None else runs.sizes[place],
            "seeds": int(runs.seeds[place]),
            "value": float(runs.score[place]) * fit.of.towards,
        }
        low, high = fit.ends(*(float(left_out.mean[place] + side * half[place]) for side in (-1, 1)))
        yield {
            "row": "left out",
            "name": name,
            "shares": text_of(runs.components, runs.shares[place]),
            "value": float(left_out.mean[place]) * fit.of.towards,
            "low": low,
            "high": high,
        }


def _prediction_rows(fit: Fitted, settings: SurfaceSettings) -> Iterator[dict[str, Any]]:
    """Yield the expected score at a lattice of mixes with its interval, and whether each may be the best."""
    grid = shown(fit.bounds, settings.lattice)
    inside = _in_region(fit, grid)
    for row, member in zip(predicted(fit, grid, "prediction"), inside, strict=True):
        yield {**row, "in_region": member}


def _in_region(fit: Fitted, grid: Array) -> list[int | None]:
    """Return whether lattice mixes are in the region; None for one that was no candidate."""
    known = {tuple(row): int(inside) for row, inside in zip(
        np.round(fit.region.candidates.shares, 6).tolist(), fit.region.inside, strict=True)}  # fmt: skip
    return [known.get(tuple(row)) for row in np.round(grid, 6).tolist()]


def _trace_rows(fit: Fitted) -> Iterator[dict[str, Any]]:
    """Yield the expected score as one component grows and the others keep their proportions (Cox 1971)."""
    chosen = fit.region.candidates.shares[fit.region.chosen]
    for place, component in enumerate(fit.runs.components):
        rest = 1 - chosen[place]
        others = chosen / rest if rest > 1e-6 else np.full(len(chosen), 1 / (len(chosen) - 1))
        levels = np.linspace(fit.bounds.low[place], fit.bounds.high[place], _TRACE)
        line = (1 - levels)[:, None] * others
        line[:, place] = levels
        line = line[fit.bounds.contain(line)]
        if len(line) > 1:
            yield from predicted(fit, line, "trace", component)


def _optimum_rows(fit: Fitted) -> Iterator[dict[str, Any]]:
    """Yield the best mix with its expected score and regret, the region's size and shares, and mixes that span it."""
    region, towards = fit.region, fit.of.towards
    components = fit.runs.components
    ends = [end for end in (region.expected.low, region.expected.high) if end is not None]
    low, high = sorted(end * towards for end in ends) if len(ends) == 2 else (None, None)
    yield {
        "row": "optimum",
        "name": "best",
        "shares": text_of(components, region.candidates.shares[region.chosen]),
        "value": region.expected.value * towards,
        "low": low,
        "high": high,
        "regret": region.regret,
        "most_regret": region.most_regret,
        "supported": int(fit.choice.supported),
    }
    if fit.of.base is not None:
        yield {"row": "base", "name": "base", "value": fit.of.base * towards}
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
        yield from predicted(fit, shares[None], "as good", f"{number}")


if __name__ == "__main__":
    run(main)
