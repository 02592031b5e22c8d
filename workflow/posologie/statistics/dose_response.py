"""The table of sweeps: the score at each dose, and how often each tested dose comes out best in draws of the model."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posologie.running.commands import run
from posologie.running.errors import InputError
from posologie.statistics.crossed import crossed
from posologie.statistics.entries import Entry, arm_entries
from posologie.statistics.estimates import Model, Resampled
from posologie.statistics.intervals import estimate_columns, score_interval
from posologie.statistics.means import UNBOUNDED, more_is_better, unit_of
from posologie.statistics.scored import Measure
from posologie.statistics.simultaneous import draw_model
from posologie.statistics.suites import scored_suites
from posologie.statistics.tables import Latex, table_command, write_table

COLUMNS = (
    "suite", "scope_kind", "scope", "task", "aggregate", "metric", "decoding", "variants", "backbone",
    "sweep", "mix", "dose", "n", "clusters", "unit", "value", "low", "high", "level", "interval", "best_share", "note",
)  # fmt: skip


@dataclass(frozen=True)
class Sweep:
    """The arms of one curve on one backbone, by rising dose."""

    name: str
    backbone: str
    arms: tuple[Entry, ...]
    doses: tuple[float, ...]


LATEX = Latex(
    "Scores by dose, and how often each dose is the best under resampling, in percent.",
    index=("suite", "metric", "decoding", "sweep", "dose", "mix"),
    where={"scope_kind": ("all",), "task": ("all",), "aggregate": ("item_weighted",)},
    show=("value", "best_share"),
)


def main(argv: list[str]) -> None:
    """Write the table."""
    command = table_command("posologie.statistics.dose_response", __doc__ or "", argv)
    spec = command.spec
    sweeps = list(sweeps_of(arm_entries(spec.models), spec.statistics.sweeps))
    rows: list[dict[str, Any]] = []
    for suite in spec.suites if sweeps else ():
        for _, scored in scored_suites(command.results, suite, spec, more_is_better):
            resampled = Resampled(scored, spec.statistics)
            measures = sorted(scored.values)
            values = (scored.over_variants(measure, "original") for measure in measures)
            for measure, models in zip(measures, resampled.many_moments(values), strict=True):
                rows.extend(_rows(resampled, measure, models, sweeps))
    write_table(command.table, COLUMNS, rows, LATEX)


def sweeps_of(arms: Sequence[Entry], settings: Mapping[str, Mapping[str, float]]) -> Iterator[Sweep]:
    """Yield each sweep on each backbone.

    Raises:
        InputError: for a mix of a sweep that no model was trained on.
    """
    for name, doses in settings.items():
        for backbone in dict.fromkeys(arm.backbone for arm in arms if arm.kind != "published"):
            here = {arm.label: arm for arm in arms if arm.backbone == backbone}
            if missing := sorted(doses.keys() - here.keys()):
                raise InputError(f"statistics.sweeps.{name}: '{missing[0]}': expected one of {', '.join(sorted(here))}")
            ordered = sorted(doses, key=lambda mix: (doses[mix], mix))
            yield Sweep(name, backbone, tuple(here[mix] for mix in ordered), tuple(doses[mix] for mix in ordered))


def best_shares(draws: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return [dose], the share of draws in which each dose has the highest value; ties are shared out equally.

    Args:
        draws: [dose, draw].
    """
    best = draws == draws.max(axis=0)
    shares: NDArray[np.float64] = (best / best.sum(axis=0)).mean(axis=1)
    return shares


def _rows(
    resampled: Resampled, measure: Measure, models: Iterator[Model], sweeps: Sequence[Sweep]
) -> Iterator[dict[str, Any]]:
    scored, settings = resampled.scored, resampled.settings
    arms = arm_entries(scored.models)
    places = {arm.model: number for number, arm in enumerate(arms)}
    for estimate in models:
        model = crossed(estimate.moments, arms, arms)
        drawn = model.point[:, None] + draw_model(model, settings.replicates, settings.seed)[0]
        for sweep in sweeps:
            best = best_shares(drawn[[places[arm.model] for arm in sweep.arms]])
            for place, (arm, dose) in enumerate(zip(sweep.arms, sweep.doses, strict=True)):
                estimated = model.of(np.eye(len(arms))[places[arm.model]])
                interval = score_interval(
                    estimated, estimate.extent, settings, is_share=measure.metric not in UNBOUNDED
                )
                yield {
                    "suite": scored.suite,
                    **estimate.cell.columns(),
                    "metric": measure.metric,
                    "decoding": measure.decoding,
                    "variants": "original",
                    "backbone": sweep.backbone,
                    "sweep": sweep.name,
                    "mix": arm.label,
                    "dose": dose,
                    **estimate_columns(
                        float(estimated.value), interval, estimate.extent, unit_of(measure.metric), settings.level
                    ),
                    "best_share": 100 * float(best[place]),
                }


if __name__ == "__main__":
    run(main)
