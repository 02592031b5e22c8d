"""The answer in three sentences, made from the numbers."""

from collections.abc import Mapping, Sequence

from posologie.report.blocks import Prose, Section
from posologie.report.effects import Comparison, Effect
from posologie.report.inputs import Inputs
from posologie.report.leakage import moved_verdicts
from posologie.report.tables import decimal, p_text
from posologie.report.words import measure_name, unit_name


def section(inputs: Inputs, found: Sequence[Comparison]) -> Section | None:
    """Return what helps, by how much and how sure, on the first suite and backbone; None without contrasts.

    Three sentences: the mix that gains most; how many mixes are higher, lower, not settled; what each provenance adds.
    A fourth, where leaked items move a verdict.
    """
    if not found:
        return None
    comparison = found[0]
    backbone = comparison.effects[0].backbone
    overall = [effect for effect in comparison.on("all") if effect.backbone == backbone]
    level = decimal(100 * inputs.spec.statistics.level, 0)
    added = _added(inputs, comparison, backbone, level) or _alone(overall, pure_mixes(inputs))
    sentences = (_best(comparison, overall, level), _counts(overall), added, moved_verdicts(inputs))
    notes = "; ".join(dict.fromkeys(part for effect in overall for part in effect.note.split("; ") if part))
    return Section("answer", "The answer", (Prose(tuple(one for one in sentences if one), "answer", notes),))


def pure_mixes(inputs: Inputs) -> dict[str, str]:
    """Return the mix that holds a provenance alone, by provenance: by what the mixes hold, not by their names."""
    held: dict[str, dict[str, float]] = {}
    for row in inputs.rows("composition", part="train", by="all"):
        if row["provenance"] != "all" and row.needed("items"):
            held.setdefault(row["mix"], {})[row["provenance"]] = row.needed("items")
    return {next(iter(kinds)): mix for mix, kinds in held.items() if len(kinds) == 1}


def _best(comparison: Comparison, overall: Sequence[Effect], level: str) -> str:
    best = max(overall, key=lambda effect: effect.value)
    what = measure_name(comparison.measured.metric, comparison.measured.decoding)
    told = (
        f"{_signed(best)} {unit_name(best.unit)}{_interval(best, level)} in {what} over {best.n:,} questions, "
        f"p {_p(best.p_holm)} after correction for {best.family_size} comparisons"
    )
    if best.verdict == "higher":
        return f"{best.arm} helps most: against the base model it gains {told}."
    return f"No mix is shown to help: the best of them, {best.arm}, differs from the base model by {told}."


def _counts(overall: Sequence[Effect]) -> str:
    by = {verdict: [effect for effect in overall if effect.verdict == verdict] for verdict in ("higher", "lower")}
    parts = []
    for verdict, effects in by.items():
        if effects:
            told = ", ".join(f"{effect.arm} {_signed(effect)}" for effect in effects)
            parts.append(f"{len(effects)} {'is' if len(effects) == 1 else 'are'} {verdict} than base ({told})")
    if unsettled := [effect for effect in overall if effect.verdict == "not settled"]:
        seen = [effect.detectable for effect in unsettled if effect.detectable is not None]
        unit = unit_name(overall[0].unit)
        limit = f": differences below about {decimal(max(seen), 1)} {unit} would usually go unseen" if seen else ""
        parts.append(f"{len(unsettled)} {'is' if len(unsettled) == 1 else 'are'} not settled{limit}")
    return f"Of {len(overall)} mix{'es' if len(overall) > 1 else ''}, {', '.join(parts)}."


def _added(inputs: Inputs, comparison: Comparison, backbone: str, level: str) -> str:
    """Say each provenance's share of what the mix of all gains (Shapley values), where there is an attribution."""
    rows = inputs.measured(
        inputs.rows("attribution", suite=comparison.suite, scope="all", method="shapley", backbone=backbone),
        comparison.measured,
    )
    told = []
    for row in sorted((row for row in rows if row["task"] == "all"), key=lambda row: -row.needed("value")):
        low, high = row.number("low"), row.number("high")
        between = "" if low is None or high is None else f" [{decimal(low, 1, True)}, {decimal(high, 1, True)}]"
        told.append(f"{row['term']} data {decimal(row.needed('value'), 1, True)}{between}")
    if not told:
        return ""
    unit = unit_name(rows[0]["unit"])
    return f"Averaged over all ways of adding them, in {unit} with {level} % intervals: {', '.join(told)}."


def _alone(overall: Sequence[Effect], pure: Mapping[str, str]) -> str:
    by_arm = {effect.arm: effect for effect in overall}
    told = [
        f"{provenance} data {_signed(by_arm[mix])}{_bracket(by_arm[mix])}"
        for provenance, mix in pure.items()
        if mix in by_arm
    ]
    return f"Alone, against base: {', '.join(told)}." if len(told) > 1 else ""


def _signed(effect: Effect) -> str:
    return decimal(effect.value, 1, sign=True)


def _interval(effect: Effect, level: str) -> str:
    if effect.low is None or effect.high is None:
        return ""
    return f" ({level} % interval {decimal(effect.low, 1, True)} to {decimal(effect.high, 1, True)})"


def _bracket(effect: Effect) -> str:
    if effect.low is None or effect.high is None:
        return ""
    return f" [{decimal(effect.low, 1, True)}, {decimal(effect.high, 1, True)}]"


def _p(value: float) -> str:
    text = p_text(value)
    return text if text.startswith("<") else f"= {text}"
