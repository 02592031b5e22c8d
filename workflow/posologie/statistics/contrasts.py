"""The table of contrasts: paired differences between models, with intervals, tests and the smallest difference seen."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from posologie.commands import run
from posologie.errors import InputError
from posologie.statistics.cells import Cell, Extent
from posologie.statistics.entries import FEWEST_SEEDS, Entry, arm_entries, over_members, seed_weights
from posologie.statistics.estimates import Resampled
from posologie.statistics.intervals import defined_draws, interval_of
from posologie.statistics.latex import Latex
from posologie.statistics.means import unit_of
from posologie.statistics.measured import measures_named, tested
from posologie.statistics.paired import bootstrap_p, exact_sign_flip_p, holm, mcnemar_p, sign_flip_p
from posologie.statistics.published import Published, published_value
from posologie.statistics.scored import Measure
from posologie.statistics.spec import Statistics
from posologie.statistics.suites import scored_parts
from posologie.statistics.table_command import table_command
from posologie.statistics.table_files import write_table

COLUMNS = (
    "suite", "scope_kind", "scope", "task", "aggregate", "metric", "decoding", "variants",
    "backbone", "left", "right", "left_model", "right_model",
    "n", "clusters", "unit", "left_value", "right_value", "value", "low", "high", "level", "interval",
    "p_value", "test", "p_mcnemar", "family", "family_size", "p_holm", "detectable", "verdict", "note",
    "published", "published_aggregate", "difference",
)  # fmt: skip

DEMONSTRATION = "demonstration: n too small"


@dataclass(frozen=True)
class Pair:
    """Two arms that are compared: left − right."""

    left: Entry
    right: Entry


LATEX = Latex(
    "Paired differences between models, in points, with p-values corrected in their families (Holm).",
    index=("suite", "scope", "left", "right"),
    where={"scope_kind": ("all", "provenance"), "task": ("all",), "aggregate": ("item_weighted",)},
    show=("value", "p_holm", "detectable", "verdict"),
    digits=2,
)


def main(argv: list[str]) -> None:
    """Write the table."""
    command = table_command("posologie.statistics.contrasts", __doc__ or "", argv)
    spec = command.spec
    listed = [
        *spec.statistics.contrasts,
        *(pair for one in spec.statistics.families.values() for pair in one.contrasts),
    ]
    pairs = pairs_of(arm_entries(spec.models), listed)
    named = measures_named(spec.statistics)
    rows: list[dict[str, Any]] = []
    for suite in spec.suites:
        for primary, scored in scored_parts(command.results, suite, spec, named.__contains__):
            resampled = Resampled(scored, spec.statistics)
            for measured in tested(primary, suite, spec.statistics, set(scored.values)):
                rows.extend(_rows(resampled, measured, pairs, command.published))
    _correct(rows, spec.statistics)
    for row in rows:
        _judge(row, spec.statistics, pairs, demonstration=spec.demonstration)
    write_table(command.table, COLUMNS, rows, LATEX)


def pairs_of(arms: Sequence[Entry], listed: Sequence[tuple[str, str]]) -> list[Pair]:
    """Return, for each backbone, each mix against base and then the listed pairs.

    Raises:
        InputError: for a listed name that is no mix of any backbone.
    """
    known = {arm.label for arm in arms}
    for name in (name for pair in listed for name in pair):
        if name not in known:
            raise InputError(f"statistics.contrasts: '{name}': expected one of {', '.join(sorted(known))}")
    pairs: dict[tuple[str, str], Pair] = {}
    for backbone in dict.fromkeys(arm.backbone for arm in arms):
        here = {arm.label: arm for arm in arms if arm.backbone == backbone}
        wanted = [(label, "base") for label in here if label != "base" and "base" in here]
        for left, right in [*wanted, *listed]:
            if left in here and right in here:
                pairs[here[left].model, here[right].model] = Pair(here[left], here[right])
    return list(pairs.values())


def _rows(
    resampled: Resampled,
    measured: tuple[Measure, list[str]],
    pairs: Sequence[Pair],
    published: Published | None,
) -> Iterator[dict[str, Any]]:
    scored, settings = resampled.scored, resampled.settings
    measure, sets = measured
    arms = {entry.model: entry for pair in pairs for entry in (pair.left, pair.right)}
    weights = {name: seed_weights(entry, settings) for name, entry in arms.items()}
    for variants in sets:
        if variants not in scored.variant_sets():
            continue
        values = scored.over_variants(measure, variants)  # [model, item]
        of_arm = {name: values[list(entry.members)].mean(axis=0) for name, entry in arms.items()}
        differences = np.stack([of_arm[pair.left.model] - of_arm[pair.right.model] for pair in pairs])
        for estimate, (_, added, flipped) in zip(resampled.means(values), resampled.flips(differences), strict=True):
            for column, pair in enumerate(pairs):
                left, left_draws = over_members(
                    pair.left, estimate.point, estimate.replicates, weights[pair.left.model]
                )
                right, right_draws = over_members(
                    pair.right, estimate.point, estimate.replicates, weights[pair.right.model]
                )
                influence = None
                if estimate.influence is not None and not (pair.left.draws_seeds or pair.right.draws_seeds):
                    of_sides = (
                        estimate.influence[:, list(arm.members)].mean(axis=1) for arm in (pair.left, pair.right)
                    )
                    influence = next(of_sides) - next(of_sides)
                drawn = Drawn(left, right, left_draws - right_draws, added[:, column], flipped[column], influence)
                row = _row(scored.suite, measure, variants, estimate.cell, estimate.extent, pair, drawn, settings)
                row["p_mcnemar"] = None
                if resampled.single_items and estimate.cell.aggregate == "item_weighted":
                    inside = np.isin(
                        resampled.parts.of_item, [part for group in estimate.cell.groups for part in group]
                    )
                    both = (of_arm[pair.left.model][inside], of_arm[pair.right.model][inside])
                    if all(np.isin(vector, (0.0, 1.0)).all() for vector in both):
                        row["p_mcnemar"] = mcnemar_p(*both)
                _set_published(row, pair, published)
                yield row


@dataclass(frozen=True)
class Drawn:
    """A contrast's values and draws.

    Attributes:
        differences: [replicate], left − right under the cluster draws.
        added: [cluster], what each cluster adds to the difference.
        flipped: [replicate], the difference under random signs of the clusters.
        influence: [cluster], for BCa; None unless asked for.
    """

    left: float
    right: float
    differences: NDArray[np.float64]
    added: NDArray[np.float64]
    flipped: NDArray[np.float64]
    influence: NDArray[np.float64] | None


def _row(
    suite: str,
    measure: Measure,
    variants: str,
    cell: Cell,
    extent: Extent,
    pair: Pair,
    drawn: Drawn,
    settings: Statistics,
) -> dict[str, Any]:
    scale = 100 if unit_of(measure.metric) == "%" else 1
    draws = defined_draws(drawn.differences)
    interval = interval_of(
        drawn.left - drawn.right,
        drawn.differences,
        extent.effective,
        settings,
        is_share=False,
        influence=drawn.influence,
    )
    shown = interval.low is not None
    if pair.left.draws_seeds or pair.right.draws_seeds:
        test = "seeds and clusters drawn"
        p_value = bootstrap_p(draws)
    else:
        exact = exact_sign_flip_p(drawn.added)
        test = "sign flips of clusters" if exact is None else "sign flips of clusters, exact"
        p_value = sign_flip_p(float(drawn.added.sum()), drawn.flipped) if exact is None else exact
    return {
        "suite": suite,
        "scope_kind": cell.scope_kind,
        "scope": cell.scope,
        "task": cell.task,
        "aggregate": cell.aggregate,
        "metric": measure.metric,
        "decoding": measure.decoding,
        "variants": variants,
        "backbone": pair.left.backbone,
        "left": pair.left.label,
        "right": pair.right.label,
        "left_model": pair.left.model,
        "right_model": pair.right.model,
        "n": extent.items,
        "clusters": extent.clusters,
        "unit": unit_of(measure.metric),
        "left_value": drawn.left * scale,
        "right_value": drawn.right * scale,
        "value": (drawn.left - drawn.right) * scale,
        "low": None if interval.low is None else interval.low * scale,
        "high": None if interval.high is None else interval.high * scale,
        "level": settings.level,
        "interval": interval.method,
        "p_value": p_value,
        "test": test,
        "detectable": detectable_difference(float(np.std(draws)), settings) * scale if shown else None,
        "note": interval.note,
    }


def detectable_difference(standard_error: float, settings: Statistics) -> float:
    """Return the smallest true difference that a two-sided test at the level finds with the configured power.

    (z₁₋α⸝₂ + z_power) × standard error of the paired difference (Card et al. 2020).
    """
    z = ndtri((1 + settings.level) / 2) + ndtri(settings.power)
    return float(z * standard_error)


def _set_published(row: dict[str, Any], pair: Pair, published: Published | None) -> None:
    where = (row["metric"], row["decoding"], row["variants"], row["scope_kind"], row["task"], row["aggregate"])
    left, right = (published_value(published, entry.label, *where) for entry in (pair.left, pair.right))
    known = left is not None and right is not None and left.aggregate == right.aggregate
    row["published"] = left.value - right.value if known and left and right else None
    row["published_aggregate"] = left.aggregate if known and left else None
    row["difference"] = row["value"] - row["published"] if known else None


def _correct(rows: Sequence[dict[str, Any]], settings: Statistics) -> None:
    """Set family, family_size and p_holm of every row.

    A family of the configuration holds the rows that it names. Any other row belongs to the family of its own suite,
    measure, variants, scope, task and aggregate, over all pairs: one number, every comparison that is made of it. A row
    belongs to one family, the first that names it.

    Raises:
        InputError: for a family of the configuration that holds no row.
    """
    families: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        families.setdefault(_family_of(row, settings), []).append(row)
    for name, family in settings.families.items():
        if name not in families:
            raise InputError(
                f"statistics.families.{name}: no test belongs to it; expected suites, a metric with its decoding,"
                f" variants and aggregate, scopes ({', '.join(family.scopes)}) and pairs of this study"
            )
    for name, members in families.items():
        adjusted = holm(np.array([row["p_value"] for row in members]))
        for row, value in zip(members, adjusted, strict=True):
            row.update(family=name, family_size=len(members), p_holm=float(value))


def _family_of(row: Mapping[str, Any], settings: Statistics) -> str:
    for name, family in settings.families.items():
        measured = family.measured
        same = (measured.metric, measured.decoding, measured.variants, measured.aggregate) == tuple(
            row[key] for key in ("metric", "decoding", "variants", "aggregate")
        )
        listed = (not family.contrasts and row["right"] == "base") or (row["left"], row["right"]) in family.contrasts
        if same and listed and row["suite"] in family.suites and row["scope"] in family.scopes and row["task"] == "all":
            return name
    keys = ("suite", "metric", "decoding", "variants", "scope", "task", "aggregate")
    return "/".join(str(row[key]) for key in keys)


def _judge(row: dict[str, Any], settings: Statistics, pairs: Sequence[Pair], *, demonstration: bool) -> None:
    """Set the verdict and complete the note."""
    pair = next(
        pair for pair in pairs if (pair.left.model, pair.right.model) == (row["left_model"], row["right_model"])
    )
    settled = row["p_holm"] < 1 - settings.level
    row["verdict"] = "not settled" if not settled else "higher" if row["value"] > 0 else "lower"
    notes = [row["note"]] if row["note"] else []
    if demonstration:
        notes = [DEMONSTRATION]
    trained = [entry for entry in (pair.left, pair.right) if entry.kind == "mix"]
    if any(len(entry.members) < FEWEST_SEEDS for entry in trained):
        notes.append("for these trained adapters")
    row["note"] = "; ".join(notes)


if __name__ == "__main__":
    run(main)
