"""The table of contrasts: paired differences between models from the crossed model, with verdicts on whole families."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from posologie.records.published import Comparison, shown
from posologie.running.commands import run
from posologie.running.errors import InputError
from posologie.statistics.crossed import Crossed, crossed
from posologie.statistics.entries import Entry, arm_entries
from posologie.statistics.estimates import Model, Resampled
from posologie.statistics.intervals import SPARSE, estimate_columns, mcnemar_p, score_interval
from posologie.statistics.means import UNBOUNDED, measures_named, sparse_items, tested, unit_of
from posologie.statistics.registration import doses_of, registration_of
from posologie.statistics.scored import Measure, ScoredSuite
from posologie.statistics.simultaneous import differences
from posologie.statistics.suites import scored_suites
from posologie.statistics.tables import Latex, table_command, write_table
from posologie.statistics.verdicts import Tested, judge_families

COLUMNS = (
    "suite", "scope_kind", "scope", "task", "aggregate", "metric", "decoding", "variants",
    "backbone", "left", "right", "left_model", "right_model",
    "n", "clusters", "unit", "left_value", "right_value", "value", "low", "high", "level", "interval",
    "simultaneous_low", "simultaneous_high", "p_value", "df", "test", "p_mcnemar",
    "family", "family_size", "correction", "p_adjusted", "margin", "p_equivalent", "p_noninferior",
    "detectable", "about", "seed_sd", "seed_df", "undone_by_seed_sd", "settles_at_seeds", "settles_at_items",
    "verdict", "registered", "note", "published", "published_aggregate", "difference",
)  # fmt: skip

LATEX = Latex(
    "Paired differences between models, in points, with p-values corrected in their families.",
    index=("suite", "scope", "left", "right"),
    where={"scope_kind": ("all", "provenance"), "task": ("all",), "aggregate": ("item_weighted",)},
    show=("value", "p_adjusted", "detectable", "verdict"),
    digits=2,
)


@dataclass(frozen=True)
class Pair:
    """Two arms that are compared, left − right.

    Attributes:
        planned: against base, or listed in the configuration; the rest of all pairs of mixes are a family of their own.
    """

    left: Entry
    right: Entry
    planned: bool = True


def main(argv: list[str]) -> None:
    """Write the table."""
    command = table_command("posologie.statistics.contrasts", __doc__ or "", argv)
    spec = command.spec
    listed = [
        *spec.statistics.contrasts,
        *(pair for family in spec.statistics.families.values() for pair in family.contrasts),
    ]
    pairs = pairs_of(arm_entries(spec.models), listed)
    named = measures_named(spec.statistics)
    tests: list[Tested] = []
    for suite in spec.suites:
        for primary, scored in scored_suites(command.results, suite, spec, named.__contains__):
            resampled = Resampled(scored, spec.statistics)
            for measure, sets in tested(primary, suite, spec.statistics, set(scored.values)):
                for variants in (name for name in sets if name in scored.variant_sets()):
                    tests.extend(tested_pairs(resampled, measure, variants, pairs, command.published))
    rows = judge_families(tests, spec.statistics, demonstration=spec.demonstration)
    known, now = registration_of(command.results), doses_of(spec.blends, spec.sizes, spec.epochs)
    settings = spec.statistics.model_dump(mode="json")
    for row in rows:
        pair = row["suite"], row["left"], row["right"]
        row["registered"] = "" if known is None else known.verdict(*pair, settings, now)
    write_table(command.table, *shown(COLUMNS, rows, command.published), LATEX)


def pairs_of(arms: Sequence[Entry], listed: Sequence[tuple[str, str]]) -> list[Pair]:
    """Return, for each backbone, each mix against base, then the listed pairs, then all other pairs of mixes.

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
        against_base = [(label, "base") for label in here if label != "base" and "base" in here]
        for left, right in [*against_base, *listed]:
            if left in here and right in here:
                pairs[here[left].model, here[right].model] = Pair(here[left], here[right])
        mixes = [arm for arm in here.values() if arm.kind == "mix"]
        for first, second in combinations(mixes, 2):
            if (first.model, second.model) not in pairs and (second.model, first.model) not in pairs:
                pairs[first.model, second.model] = Pair(first, second, planned=False)
    return list(pairs.values())


def tested_pairs(
    resampled: Resampled, measure: Measure, variants: str, pairs: Sequence[Pair], published: Comparison | None
) -> Iterator[Tested]:
    """Yield each pair in each cell, without its verdict: `judge_families` gives that."""
    scored = resampled.scored
    arms = arm_entries(scored.models)
    place = {arm.model: number for number, arm in enumerate(arms)}
    linear = differences([(place[pair.left.model], place[pair.right.model]) for pair in pairs], len(arms))
    values = scored.over_variants(measure, variants)  # [model, item]
    of_arm = np.stack([values[list(arm.members)].mean(axis=0) for arm in arms])
    binary = [bool(np.isin(vector, (0.0, 1.0)).all()) for vector in of_arm]
    for model in next(resampled.many_moments([values])):
        joined = crossed(model.moments, arms, arms, sparse_items=sparse_items(measure, model.extent))
        inside = np.isin(resampled.parts.of_item, [part for group in model.cell.groups for part in group])
        counted = resampled.single_items and model.cell.aggregate == "item_weighted"
        for pair, weights in zip(pairs, linear, strict=True):
            sides = place[pair.left.model], place[pair.right.model]
            row = _row(resampled, measure, variants, model=model, pair=pair, joined=joined, linear=weights)
            row["note"] = "; ".join(filter(None, (row["note"], _procedures(scored, measure, pair))))
            if counted and all(binary[side] for side in sides):
                row["p_mcnemar"] = mcnemar_p(*(of_arm[side][inside] for side in sides))
            _set_published(row, pair, published)
            yield Tested(row, measure, joined, weights, joined.of(weights), planned=pair.planned)


def _procedures(scored: ScoredSuite, measure: Measure, pair: Pair) -> str:
    """Say that the constrained answers or label probabilities of two models come about in different ways."""
    what, own = ("constrained", "automaton") if measure.decoding == "constrained" else ("probabilities", "local model")
    left, right = (scored.procedures_of(measure, entry.members) or own for entry in (pair.left, pair.right))
    return "" if left == right else f"{what} by {left} against {right}"


def _row(
    resampled: Resampled,
    measure: Measure,
    variants: str,
    model: Model,
    pair: Pair,
    joined: Crossed,
    linear: NDArray[np.float64],
) -> dict[str, Any]:
    scale = 100 if unit_of(measure.metric) == "%" else 1
    estimated = joined.of(linear)
    interval = score_interval(estimated, model.extent, resampled.settings, is_share=False)
    bound = np.inf if measure.metric in UNBOUNDED else 1.0
    left, right = (float(joined.point[number]) for number in (int(np.argmax(linear > 0)), int(np.argmax(linear < 0))))
    seeds = joined.seeds.get(pair.left.backbone)
    mixes = [entry for entry in (pair.left, pair.right) if entry.kind == "mix"]
    return {
        "suite": resampled.scored.suite,
        **model.cell.columns(),
        "metric": measure.metric,
        "decoding": measure.decoding,
        "variants": variants,
        "backbone": pair.left.backbone,
        "left": pair.left.label,
        "right": pair.right.label,
        "left_model": pair.left.model,
        "right_model": pair.right.model,
        **estimate_columns(
            float(estimated.value), interval, model.extent, unit_of(measure.metric), resampled.settings.level,
            notes=[SPARSE] if (joined.floor @ linear**2) > 0 else [], largest=bound,
        ),
        "left_value": left * scale,
        "right_value": right * scale,
        "df": float(estimated.df) if interval.low is not None else None,
        "p_mcnemar": None,
        "about": "models" if not mixes else "recipes" if joined.is_recipe(linear) else "adapters",
        "seed_sd": None if seeds is None else float(np.sqrt(seeds.variance)) * scale,
        "seed_df": None if seeds is None else seeds.df,
    }  # fmt: skip


def _set_published(row: dict[str, Any], pair: Pair, published: Comparison | None) -> None:
    if published is None:
        return
    measure, cell = (row["metric"], row["decoding"]), (row["scope_kind"], row["task"], row["aggregate"])
    left, right = (
        published.value(entry.published_place, row["suite"], measure, row["variants"], cell)
        for entry in (pair.left, pair.right)
    )
    known = left is not None and right is not None and left.aggregate == right.aggregate
    row["published"] = left.value - right.value if known and left and right else None
    row["published_aggregate"] = left.aggregate if known and left else None
    row["difference"] = row["value"] - row["published"] if known else None


if __name__ == "__main__":
    run(main)
