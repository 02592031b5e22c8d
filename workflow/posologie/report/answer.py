"""The answer in a few sentences, made from the numbers."""

from collections.abc import Sequence

from posologie.report.attribution import SHAPLEY
from posologie.report.blocks import Prose, Section
from posologie.report.effects import Comparison, Effect
from posologie.report.inputs import Inputs
from posologie.report.leakage import moved_verdicts
from posologie.report.tables import Row, decimal, p_text
from posologie.report.words import component_title, measure_name, unit_name


def section(inputs: Inputs, found: Sequence[Comparison]) -> Section | None:
    """Return what helps, by how much and how sure, on the first suite and backbone; None without contrasts.

    The set of mixes that cannot be distinguished from the best; how many mixes are better, worse, equivalent, not
    settled; what
    seeds would undo, where single adapters were compared; what each component adds; what would settle the rest;
    and, where leaked items move a verdict, which.
    """
    if not found:
        return None
    comparison = found[0]
    backbone = comparison.effects[0].backbone
    overall = [effect for effect in comparison.on("all", "all") if effect.backbone == backbone]
    level = decimal(100 * inputs.spec.statistics.level, 0)
    added = _added(inputs, comparison, backbone, level) or _alone(inputs, overall)
    sentences = (
        _best(_compared(inputs, comparison, backbone), comparison, overall, level),
        _counts(overall, inputs.spec.statistics.margin),
        _adapters(overall),
        added,
        _settling(inputs, overall, backbone),
        moved_verdicts(inputs),
    )
    notes = "; ".join(dict.fromkeys(part for effect in overall for part in effect.note.split("; ") if part))
    return Section("answer", "The answer", (Prose(tuple(one for one in sentences if one), "answer", notes),))


def _compared(inputs: Inputs, comparison: Comparison, backbone: str) -> list[Row]:
    """Return the rows of the best set on all items."""
    rows = inputs.rows("best", suite=comparison.suite, scope_kind="all", task="all", backbone=backbone)
    return inputs.measured(rows, comparison.measured)


def pure_mixes(inputs: Inputs) -> dict[str, str]:
    """Return the mix that holds a component alone, by component: by what the mixes hold, not by their names."""
    held: dict[str, dict[str, float]] = {}
    for row in inputs.rows("composition", part="train", by="all"):
        if row["provenance"] != "all" and row.needed("items"):
            held.setdefault(row["mix"], {})[row["provenance"]] = row.needed("items")
    return {next(iter(kinds)): mix for mix, kinds in held.items() if len(kinds) == 1}


def _best(rows: Sequence[Row], comparison: Comparison, overall: Sequence[Effect], level: str) -> str:
    """Name the set of mixes that may be the best, the margin of the one that came out first, and what it gains."""
    first = next((row for row in rows if row["chosen"] == "1"), None)
    best = max(overall, key=lambda effect: effect.value)
    if first is not None:
        best = next((effect for effect in overall if effect.arm == first["mix"]), best)
    what = measure_name(comparison.measured.metric, comparison.measured.decoding)
    unit = unit_name(best.unit)
    over = f"in {what} over {best.n:,} questions"
    certain = f"p {_p(best.p_adjusted)} after correction for {best.family_size} comparisons"
    gain = f"{_signed(best)} {unit}{_interval(best, level)}"
    if first is not None and first.number("gain_corrected") is not None:
        gain = f"{_signed(best)} {unit}; corrected for its having been chosen, {_corrected(first, level)}"
    if best.verdict != "better":
        return f"No mix is shown to help: the one that came out first, {best.arm}, gains {gain}, {over}; {certain}."
    gained = f"Against the base model {best.arm} gains {gain}, {over}; {certain}."
    if first is None:
        return f"{best.arm} helps. {gained}"
    names = [row["mix"] for row in rows if row["in_set"] == "1"]
    if len(names) == 1:
        return f"{best.arm} is the best of {len(rows)} mixes. {gained}"
    worse = decimal(-first.needed("low"), 1)
    told = f"{', '.join(names[:-1])} and {names[-1]}"
    return (
        f"{told} cannot be distinguished from the best of {len(rows)} mixes: {best.arm} came out first, "
        f"and is at most {worse} "
        f"{unit} worse than the best. {gained}"
    )


def _corrected(row: Row, level: str) -> str:
    value, low, high = (row.number(name) for name in ("gain_corrected", "gain_low", "gain_high"))
    shown = decimal(value or 0.0, 1, sign=True)
    if low is None or high is None:
        return shown
    return f"{shown} ({level} % interval {decimal(low, 1, True)} to {decimal(high, 1, True)})"


_VERDICTS = {"better": "better than base", "worse": "worse than base", "equivalent": "equivalent to base"}


def _counts(overall: Sequence[Effect], margin: float | None) -> str:
    parts = []
    unit = unit_name(overall[0].unit)
    for verdict, words in _VERDICTS.items():
        if effects := [effect for effect in overall if effect.verdict == verdict]:
            told = ", ".join(f"{effect.arm} {_signed(effect)}" for effect in effects)
            within = f", within {decimal(margin, 1)} {unit}" if verdict == "equivalent" and margin is not None else ""
            parts.append(f"{len(effects)} {'is' if len(effects) == 1 else 'are'} {words}{within} ({told})")
    if unsettled := [effect for effect in overall if effect.verdict == "not settled"]:
        seen = [effect.detectable for effect in unsettled if effect.detectable is not None]
        limit = f": effects below about {decimal(max(seen), 1)} {unit} would usually go undetected" if seen else ""
        parts.append(f"{len(unsettled)} {'is' if len(unsettled) == 1 else 'are'} not settled{limit}")
    return f"Of {len(overall)} mix{'es' if len(overall) > 1 else ''}, {', '.join(parts)}."


def _adapters(overall: Sequence[Effect]) -> str:
    """Say that single adapters were compared, and what spread between seeds would undo the verdicts on them."""
    if not any(effect.about == "adapters" for effect in overall):
        return ""
    told = [f"{effect.arm} {decimal(effect.undone_by, 1)}" for effect in overall if effect.undone_by is not None]
    unit = unit_name(overall[0].unit)
    undone = (
        f" A standard deviation between seeds of this many {unit} would undo them: {', '.join(told)}." if told else ""
    )
    return f"These verdicts are about the trained adapters, not about the mixes: seeds were not repeated.{undone}"


def _settling(inputs: Inputs, overall: Sequence[Effect], backbone: str) -> str:
    """Say what would settle the open verdict that is nearest to being settled, with the hours it costs."""
    unsettled = [effect for effect in overall if effect.verdict == "not settled" and (effect.seeds or effect.items)]
    if not unsettled:
        return ""
    margin = inputs.spec.statistics.margin
    nearest = min(unsettled, key=lambda effect: effect.items or 10**12)
    unit = unit_name(nearest.unit)
    size = decimal(abs(nearest.value) if margin is None else margin, 1)
    ways = []
    if nearest.seeds is not None:
        more = nearest.seeds - _seeds(inputs, nearest.arm, backbone)
        ways.append(f"{more} more seed{'s' if more > 1 else ''} of each mix{_hours(inputs, backbone, more)}")
    if nearest.items is not None:
        ways.append(f"{nearest.items - nearest.n:,} more questions")
    power = decimal(100 * inputs.spec.statistics.power, 0)
    return (
        f"What would settle this: a difference of {size} {unit}, as {nearest.arm} "
        f"{'shows' if margin is None else 'is asked about'}, would be found with {power} % power by "
        f"{' or '.join(ways)}."
    )


def _seeds(inputs: Inputs, arm: str, backbone: str) -> int:
    return sum(model.mix == arm and model.backbone == backbone for model in inputs.models)


def _hours(inputs: Inputs, backbone: str, more: int) -> str:
    """Return the hours that more adapters of each mix take, by the table of costs; nothing without one."""
    spent: dict[str, float] = {}
    for row in inputs.rows("compute"):
        spent[row["model"]] = spent.get(row["model"], 0.0) + row.needed("hours")
    of_mix: dict[str, list[float]] = {}
    for model in inputs.models:
        if model.mix is not None and model.backbone == backbone and model.name in spent:
            of_mix.setdefault(model.mix, []).append(spent[model.name])
    if not of_mix:
        return ""
    hours = more * sum(sum(hours) / len(hours) for hours in of_mix.values())
    return f" (about {decimal(hours, 1)} hours)"


def _added(inputs: Inputs, comparison: Comparison, backbone: str, level: str) -> str:
    """Say each component's share of what the mix of all gains (Shapley values), where there is an attribution."""
    found = inputs.rows("attribution", suite=comparison.suite, scope_kind="all", backbone=backbone)
    rows = inputs.measured([row for row in found if row["method"] in SHAPLEY], comparison.measured)
    told = []
    for row in sorted((row for row in rows if row["task"] == "all"), key=lambda row: -row.needed("value")):
        low, high = row.number("low"), row.number("high")
        between = "" if low is None or high is None else f" [{decimal(low, 1, True)}, {decimal(high, 1, True)}]"
        title = component_title(row["term"], inputs.spec.components)
        told.append(f"{title} data {decimal(row.needed('value'), 1, True)}{between}")
    if not told:
        return ""
    unit = unit_name(rows[0]["unit"])
    surface = ", by a linear surface through the mixes" if rows[0]["method"] == "shapley_linear" else ""
    return f"Averaged over all ways of adding them{surface}, in {unit} with {level} % intervals: {', '.join(told)}."


def _alone(inputs: Inputs, overall: Sequence[Effect]) -> str:
    by_arm = {effect.arm: effect for effect in overall}
    told = [
        f"{component_title(component, inputs.spec.components)} data {_signed(by_arm[mix])}{_bracket(by_arm[mix])}"
        for component, mix in pure_mixes(inputs).items()
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
