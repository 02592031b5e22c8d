"""The table of a published study: each of its aggregates beside every aggregate of ours that it may be."""

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posologie.records.published import Comparison, PublishedAggregate
from posologie.running.commands import run
from posologie.running.errors import InputError
from posologie.statistics.correlations import kendall_tau
from posologie.statistics.entries import Entry, SeedDraws, arm_entries, over_members, seed_weights
from posologie.statistics.estimates import Estimate, Resampled
from posologie.statistics.intervals import interval_of
from posologie.statistics.scored import Measure
from posologie.statistics.spec import Statistics
from posologie.statistics.suites import scored_suites
from posologie.statistics.tables import Latex, table_command, write_table

COLUMNS = (
    "published_aggregate", "title", "study", "suite", "aggregate", "metric", "decoding", "variants",
    "backbone", "mixes", "n", "clusters",
    "mean_difference", "signs_equal", "signs_compared", "kendall_tau", "low", "high", "level", "interval", "note",
)  # fmt: skip
_FEWEST = 3
"""Rankings of fewer models say nothing."""
LATEX = Latex(
    "The published aggregates beside ours: mean difference in points, signs against base, ranks.",
    index=("published_aggregate", "suite", "aggregate", "metric"),
    show=("mean_difference", "signs_equal", "signs_compared", "kendall_tau"),
    digits=2,
)


def main(argv: list[str]) -> None:
    """Write the table."""
    command = table_command("posologie.statistics.published", __doc__ or "", argv)
    spec, published = command.spec, command.published
    if published is None:
        raise InputError("--published: missing; expected the file of a published study")
    arms = arm_entries(spec.models)
    rows: list[dict[str, Any]] = []
    for suite in spec.suites:
        for _, scored in scored_suites(command.results, suite, spec, partial(_is_compared, published, suite)):
            rows.extend(_rows(Resampled(scored, spec.statistics), arms, published))
    write_table(command.table, COLUMNS, rows, LATEX)


def _is_compared(published: Comparison, suite: str, measure: Measure) -> bool:
    return any(published.aggregates(suite, measure.metric, measure.decoding))


def _rows(resampled: Resampled, arms: Sequence[Entry], published: Comparison) -> Iterator[dict[str, Any]]:
    """Yield a row for each published aggregate, backbone and aggregate of ours over all items of the suite.

    The definition of the published aggregates is not known, so that all of ours are compared. Signs are those of
    mix − base; Kendall's τ-b compares the rankings of the models that both have.
    """
    scored, settings = resampled.scored, resampled.settings
    weights = [seed_weights(arm, settings) for arm in arms]
    for measure in sorted(scored.values):
        for name, aggregate in published.aggregates(scored.suite, measure.metric, measure.decoding):
            compared = aggregate.compared_with
            if compared.variants not in scored.variant_sets():
                continue
            for estimate in resampled.means(scored.over_variants(measure, compared.variants)):
                if estimate.cell.scope_kind != "all":
                    break  # the cells of all items come first
                if estimate.cell.task != "all":
                    continue
                common = {
                    "published_aggregate": name,
                    "title": aggregate.title,
                    "study": published.published.title,
                    "suite": scored.suite,
                    "aggregate": estimate.cell.aggregate,
                    "metric": measure.metric,
                    "decoding": measure.decoding,
                    "variants": compared.variants,
                    "n": estimate.extent.items,
                    "clusters": estimate.extent.clusters,
                    "level": settings.level,
                }
                for compared_values in _backbone_rows(arms, weights, estimate, (published, aggregate), settings):
                    yield common | compared_values


def _backbone_rows(
    arms: Sequence[Entry],
    weights: Sequence[SeedDraws],
    estimate: Estimate,
    printed: tuple[Comparison, PublishedAggregate],
    settings: Statistics,
) -> Iterator[dict[str, Any]]:
    published, aggregate = printed
    for backbone in dict.fromkeys(arm.published_place[0] for arm in arms):
        both = [
            (arm, value, *over_members(arm, estimate.point, estimate.replicates, weight))
            for arm, weight in zip(arms, weights, strict=True)
            if arm.published_place[0] == backbone
            and (value := published.points(aggregate, *arm.published_place)) is not None
        ]
        if not both:
            continue
        their_values, our_values = np.array([entry[1] for entry in both]), np.array([100 * entry[2] for entry in both])
        row = {
            "backbone": backbone,
            "mixes": len(both),
            "mean_difference": float(np.mean(our_values - their_values)),
            **_signs([entry[0].kind for entry in both], their_values, our_values),
        }
        tau = float(kendall_tau(our_values, their_values)) if len(both) >= _FEWEST else float("nan")
        if np.isnan(tau):
            nothing = {"kendall_tau": None, "low": None, "high": None, "interval": "none"}
            yield row | nothing | {"note": "too few models, or a constant ranking"}
            continue
        taus = kendall_tau(np.stack([entry[3] for entry in both], axis=1), their_values)
        interval = interval_of(tau, taus, estimate.extent.effective, settings, is_share=False)
        shown = {"low": interval.low, "high": interval.high, "interval": interval.method, "note": interval.note}
        yield row | {"kendall_tau": tau} | shown


def _signs(kinds: Sequence[str], theirs: NDArray[np.float64], ours: NDArray[np.float64]) -> dict[str, int | None]:
    """Return how many mixes lie on the same side of base in both, and how many are compared."""
    if "base" not in kinds:
        return {"signs_equal": None, "signs_compared": None}
    base = kinds.index("base")
    others = [place for place in range(len(kinds)) if place != base]
    equal = np.sign(theirs[others] - theirs[base]) == np.sign(ours[others] - ours[base])
    return {"signs_equal": int(equal.sum()), "signs_compared": len(others)}


if __name__ == "__main__":
    run(main)
