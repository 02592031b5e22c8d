"""From a study's scores to runs and surfaces: scores with their whole covariance, and the variance of seeds."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from posologie.statistics.crossed import Crossed, crossed
from posologie.statistics.entries import arm_entries
from posologie.statistics.estimates import Resampled
from posologie.statistics.means import direction, sparse_items, unit_of
from posologie.statistics.scored import Measure
from posologie.statistics.spec import Measured
from posologie.statistics.suites import scored_suites
from posologie.surface.candidates import shown
from posologie.surface.choice import Choice, choose
from posologie.surface.fit import FORMS, MEAN
from posologie.surface.fit import Fitted as Model
from posologie.surface.optimum import Region, candidates_of, region_of
from posologie.surface.runs import Array, Runs
from posologie.surface.simplex import Bounds, bounds_of
from posologie.surface.spec import SurfaceSpec
from posologie.surface.suites import Floor, weighted

OBJECTIVE = "objective"
"""What stands for a suite in the rows of the weighted objective."""
FEWEST_MIXES = 3
"""Different mixes of one backbone below which there is no surface."""

_FORMS = dict(zip(("mean", "linear", "quadratic", "special_cubic", "process"), FORMS, strict=True))
_MOST_DRAWS = 2000
_MOST_COMPARED = 400
_FEW_REPLICATES = 5000


@dataclass(frozen=True)
class StudyRuns:
    """The runs of one backbone on one suite under its primary measure.

    Attributes:
        runs: scores in `unit`, turned so that more is better.
        gains: the same runs less the base model, whose items' luck cancels; None without a base model.
        base: score of the base model; None without one.
        towards: 1, or −1 where the measure was turned.
        n, clusters: items, and clusters of items that count as independent.
        few: whether these are too few for intervals to be trusted.
        size: number of items of every mix, where they have one.
        note: a caveat about the sizes, or empty.
    """

    suite: str
    backbone: str
    measured: Measured
    unit: str
    runs: Runs
    gains: Runs | None
    base: float | None
    towards: int
    n: int
    clusters: float
    few: bool
    size: int | None
    note: str


def study_runs(results: str, spec: SurfaceSpec) -> Iterator[StudyRuns]:
    """Yield the runs of every suite and backbone with three different mixes of two components, or more.

    Args:
        results: the folder of the study's results, with its scores.
    """
    primary = {spec.statistics.primary_choice, spec.statistics.primary_text}
    named = {Measure(measured.metric, measured.decoding) for measured in primary}
    for suite in spec.suites:
        for measured, scored in scored_suites(results, suite, spec, named.__contains__):
            measure = Measure(measured.metric, measured.decoding)
            if measure not in scored.values or not direction(measure):
                continue
            if measured.variants not in scored.variant_sets():
                continue
            resampled = Resampled(scored, spec.statistics)
            arms = arm_entries(scored.models)
            for cell_model in next(resampled.many_moments([scored.over_variants(measure, measured.variants)])):
                cell = cell_model.cell
                if (cell.scope_kind, cell.task, cell.aggregate) != ("all", "all", measured.aggregate):
                    continue
                model = crossed(cell_model.moments, arms, arms, sparse_items=sparse_items(measure, cell_model.extent))
                for backbone in dict.fromkeys(arm.backbone for arm in arms):
                    scale = 100.0 if unit_of(measure.metric) == "%" else 1.0
                    built = runs_of(model, backbone, spec, scale * direction(measure))
                    if built is None:
                        continue
                    runs, gains, base, size, note = built
                    yield StudyRuns(
                        suite=suite,
                        backbone=backbone,
                        measured=measured,
                        unit=unit_of(measure.metric),
                        runs=runs,
                        gains=gains,
                        base=base,
                        towards=direction(measure),
                        n=cell_model.extent.items,
                        clusters=cell_model.extent.effective,
                        few=cell_model.extent.effective < spec.statistics.minimum_clusters,
                        size=size,
                        note=note,
                    )


def runs_of(
    model: Crossed, backbone: str, spec: SurfaceSpec, scale: float
) -> tuple[Runs, Runs | None, float | None, int | None, str] | None:
    """Return the runs of one backbone, their gains over base, base's score, the common size, and a note on sizes.

    None with fewer than three different mixes, or a single component.

    Args:
        scale: 100 for shares that are shown in points; negative for metrics where lower is better.
    """
    entries, designed = model.entries, spec.designed
    places = [
        place
        for place, entry in enumerate(entries)
        if entry.kind == "mix" and entry.backbone == backbone and designed.get(entry.mix)
    ]
    components = tuple(_components(spec, [entries[place].mix for place in places]))
    blends = [{str(name): share for name, share in spec.blends[entries[place].mix].items()} for place in places]
    shares = np.array([[blend.get(name, 0.0) for name in components] for blend in blends], dtype=np.float64)
    shares = shares.reshape(len(places), len(components))
    if len(components) < 2 or len({tuple(row) for row in shares.round(6).tolist()}) < FEWEST_MIXES:
        return None
    shares = shares / shares.sum(axis=1, keepdims=True)
    sizes, size, note = _sizes([spec.sizes.get(entries[place].mix, "") for place in places])
    note = "; ".join(text for text in (note, _repeats(spec, designed)) if text)
    seeds = model.seeds.get(backbone)
    known: dict[str, Any] = {}
    if seeds is not None:
        known = {"seed_variance": float(seeds.variance) * scale**2, "seed_df": float(seeds.df)}
    runs = Runs(
        tuple(entries[place].mix for place in places),
        components,
        shares,
        sizes=sizes,
        score=model.point[places] * scale,
        items=model.items[np.ix_(places, places)] * scale**2,
        seeds=np.array([len(entries[place].members) for place in places], dtype=np.int64),
        **known,
    )
    base = next((p for p, entry in enumerate(entries) if entry.kind == "base" and entry.backbone == backbone), None)
    if base is None:
        return runs, None, None, size, note
    across = model.items[places, base] * scale**2
    own = float(model.items[base, base]) * scale**2
    score = float(model.point[base]) * scale
    gains = replace(runs, score=runs.score - score, items=runs.items - across[:, None] - across[None] + own)
    return runs, gains, score, size, note


def _components(spec: SurfaceSpec, mixes: Sequence[str]) -> list[str]:
    """Return the components that the mixes hold, in the order of the study."""
    held = {str(name) for mix in mixes for name, share in spec.blends[mix].items() if share > 0}
    known = [name for name in spec.order if name in held]
    return [*known, *sorted(held - set(known))]


def _repeats(spec: SurfaceSpec, designed: Mapping[str, object]) -> str:
    """Say which mixes repeat items: a share counts an item each time, which a surface cannot see."""
    left_out = [mix for mix in spec.epochs if mix not in designed]
    repeating = [
        f"{mix} ({', '.join(f'{name} {count} times' for name, count in epochs.items())})"
        for mix, epochs in spec.epochs.items()
        if mix in designed
    ]
    notes = [f"items stand several times in {', '.join(repeating)}"] if repeating else []
    if left_out:
        notes.append(
            f"without {', '.join(left_out)}, which differ from another mix only in how often items are repeated"
        )
    return "; ".join(notes)


def _sizes(sizes: Sequence[str]) -> tuple[np.ndarray[Any, np.dtype[np.float64]] | None, int | None, str]:
    """Return sizes where they differ and are known, the common one where there is one, and a note."""
    if len(set(sizes)) == 1:
        return None, int(sizes[0]) if sizes[0].isdigit() else None, ""
    if all(size.isdigit() for size in sizes):
        return np.array([float(size) for size in sizes]), None, ""
    listed = ", ".join(dict.fromkeys(size or "not known" for size in sizes))
    note = f"mixes of different sizes ({listed}) are treated as equal: an effect of shares may be one of size"
    return None, None, note


@dataclass(frozen=True)
class Fitted:
    """A surface with what the rows are made from.

    Attributes:
        surface: the chosen model; where that is the mean, which knows of no better mix, the best of the others.
        size: number of items at which mixes are compared; None where none is known.
        sized: whether the surface knows sizes.
    """

    of: StudyRuns
    choice: Choice
    surface: Model
    bounds: Bounds
    region: Region
    size: float | None
    sized: bool

    @property
    def runs(self) -> Runs:
        """The runs."""
        return self.of.runs

    def ends(self, low: float, high: float) -> tuple[float, float]:
        """Return the ends of an interval as the table has them: in the measure's own direction, percentages cut."""
        low, high = sorted((low * self.of.towards, high * self.of.towards))
        if self.of.unit != "%" or self.of.suite == OBJECTIVE:
            return low, high
        return max(low, 0.0), min(high, 100.0)

    def at(self, shares: Array) -> tuple[Array, Array | None]:
        """Return shares with the sizes that the surface wants."""
        return shares, np.full(len(shares), self.size) if self.sized and self.size is not None else None


def chosen_model(runs: Runs, spec: SurfaceSpec) -> Choice:
    """Return the choice among the models that the study considers, with fewer draws where it asks for few."""
    replicates = spec.statistics.replicates
    draws = None if replicates >= _FEW_REPLICATES else max(8, replicates // 100)
    return choose(runs, [_FORMS[name] for name in spec.surface.models], draws=draws)


def fitted(of_suite: StudyRuns, spec: SurfaceSpec) -> Fitted:
    """Return the surface of some runs, with its region."""
    settings, runs = spec.surface, of_suite.runs
    choice = chosen_model(runs, spec)
    bounds = bounds_of(runs.components, {k: v for k, v in settings.bounds.items() if k in runs.components})
    sized = runs.sizes is not None
    size = float(settings.size or 0) or (float(runs.sizes.max()) if runs.sizes is not None else of_suite.size)
    every = [model for model in choice.candidates if model.fitted.form is not MEAN] or list(choice.candidates)
    likeliest = max(every, key=lambda model: model.log_density)
    surface = choice.surface if choice.surface.form is not MEAN else likeliest.fitted
    grid = shown(bounds, settings.lattice)  # the table says of each of its mixes whether it may be the best
    compared = np.concatenate([runs.shares, grid]) if len(grid) <= _MOST_COMPARED else runs.shares
    candidates = candidates_of(surface, bounds, compared, size=size if sized else None)
    region = region_of(
        surface, candidates, level=spec.statistics.level, draws=min(spec.statistics.replicates, _MOST_DRAWS),
        seed=spec.statistics.seed, least_squares=False,
    )  # fmt: skip
    return Fitted(of_suite, choice, surface, bounds=bounds, region=region, size=size, sized=sized)


def objective_of(by_suite: Mapping[str, StudyRuns], weights: Mapping[str, float]) -> StudyRuns:
    """Return the runs of the weighted objective."""
    runs = weighted({name: member.runs for name, member in by_suite.items()}, weights)
    chosen = [by_suite[name] for name in weights]
    bases = [member.base for member in chosen]
    base = None if None in bases else sum(w * (b or 0.0) for w, b in zip(weights.values(), bases, strict=True))
    units = {member.unit for member in chosen}
    return StudyRuns(
        suite=OBJECTIVE,
        backbone=chosen[0].backbone,
        measured=Measured(metric=OBJECTIVE),
        unit=units.pop() if len(units) == 1 else "",
        runs=runs,
        gains=None,
        base=base,
        towards=1,
        n=sum(member.n for member in chosen),
        clusters=min(member.clusters for member in chosen),
        few=any(member.few for member in chosen),
        size=chosen[0].size,
        note=chosen[0].note,
    )


def floor_of(of_suite: StudyRuns, spec: SurfaceSpec) -> Floor | None:
    """Return the demand that a suite does not fall below base; None without a base model."""
    if of_suite.gains is None:
        return None
    return Floor(chosen_model(of_suite.gains, spec).surface, 0.0, spec.statistics.level)
