"""The answer in a few sentences, made from the numbers."""

import math
from collections.abc import Sequence

from posologie.report.attribution import SHAPLEY
from posologie.report.blocks import Figure, Opening, Section
from posologie.report.effects import Comparison, Effect, short_note, smallest_p
from posologie.report.inputs import Inputs
from posologie.report.leakage import contamination
from posologie.report.names import component_title, counted, joined, measure_name, sentence, unit_name
from posologie.report.surface import change_of_mind, dose_in_short, surface_table
from posologie.report.tables import Row, decimal, p_text


def section(inputs: Inputs, comparisons: Sequence[Comparison], figure: Figure | None = None) -> Section | None:
    """Return what opens the page: the answer on the first suite and backbone, its catches, and what would settle it.

    The answer names the mixes that cannot be distinguished from the best and what the first of them gains; where a
    surface predicts mixes that it has not seen, also the dose and its region.

    Returns:
        None for a study with neither contrasts nor such a surface.
    """
    comparison, overall = overall_effects(comparisons)
    fitted = surface_table(inputs)
    fitted = fitted if fitted is not None and fitted.supported else None
    sentences = []
    if comparison is not None:
        rows = _compared(inputs, comparison, overall[0].backbone)
        sentences.append(_best(inputs, rows, comparison, overall, brief=fitted is not None))
    if fitted is not None:
        sentences.append(dose_in_short(fitted))
    if not sentences:
        return None
    catches = (
        ("Questions", _power(overall)),
        ("Seeds", adapters(overall)),
        ("Contamination", contamination(inputs)),
        ("Also", sentence("; ".join(notes)) + "." if (notes := _notes(overall)) else ""),
    )
    shown_catches = tuple((name, text) for name, text in catches if text)
    settling = "" if fitted is None else change_of_mind(fitted)
    settling = settling or (_settling(inputs, overall, overall[0].backbone) if overall else "")
    return Section("answer", "The answer", (Opening(tuple(sentences), shown_catches, settling, figure),))


def overall_effects(comparisons: Sequence[Comparison]) -> tuple[Comparison | None, list[Effect]]:
    """Return the first comparison and its effects on all items of the first backbone; None and none without any."""
    if not comparisons:
        return None, []
    backbone = comparisons[0].effects[0].backbone
    overall = [effect for effect in comparisons[0].on("all", "all") if effect.backbone == backbone]
    return (comparisons[0], overall) if overall else (None, [])


def _notes(overall: Sequence[Effect]) -> list[str]:
    """Return what weakens the verdicts beside the number of seeds and questions, each once."""
    return list(dict.fromkeys(part for effect in overall for part in short_note(effect.note).split("; ") if part))


def _power(overall: Sequence[Effect]) -> str:
    """Say how many questions there are, and which effects they would usually not show."""
    if not overall:
        return ""
    least = _least(overall)
    limit = f"; effects below about {least} {unit_name(overall[0].unit)} would usually go undetected"
    return f"{overall[0].n:,} answered by every model{'' if _is_zero(least) else limit}."


def _least(overall: Sequence[Effect]) -> str:
    """Return the effect that every open verdict would usually have shown."""
    open_effects = (effect.detectable for effect in overall if effect.verdict == "not settled")
    return decimal(max((size for size in open_effects if size is not None), default=0.0), 1)


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


def _best(
    inputs: Inputs, rows: Sequence[Row], comparison: Comparison, overall: Sequence[Effect], *, brief: bool
) -> str:
    """Name the set of mixes that may be the best, the margin of the one that came out first, and what it gains.

    Args:
        brief: in one sentence, because the dose has one too.
    """
    level = _level(inputs)
    measured = comparison.measured
    where = f"in {measure_name(measured.metric, measured.decoding)} over {counted(overall[0].n, 'question')}"
    if all(effect.value == 0 for effect in overall):
        mixes = "the mix scores" if len(overall) == 1 else f"all {len(overall)} mixes score"
        return f"No mix is shown to help: {mixes} exactly as the base model does, {where}."
    first = next((row for row in rows if row["chosen"] == "1"), None)
    best = max(overall, key=lambda effect: effect.value)
    if first is not None:
        best = next((effect for effect in overall if effect.arm == first["mix"]), best)
    if brief:
        over = "" if best.value < 0 or _is_zero(decimal(best.value, 1)) else " over the base model"
        gained = f"{_gain(None, best, level)}{over}, n = {best.n:,}."
        if over and first is not None and first.number("gain_corrected") is not None:
            chosen = f"gains {_corrected(first, level)} {unit_name(best.unit)} over the base model"
            gained = f"{chosen}, corrected for the choice, n = {best.n:,}."
        names = [row["mix"] for row in rows if row["in_set"] == "1"]
        if best.verdict != "better" or first is None:
            return f"{_not_shown(overall, best)} {gained}" if best.verdict != "better" else f"{best.arm} {gained}"
        if len(names) == 1:
            return f"{best.arm} is the best of {len(rows)} trained mixes and {gained}"
        return (
            f"{joined(names)} cannot be distinguished from the best of {len(rows)} trained mixes; {best.arm} ranked "
            f"first and {gained}"
        )
    gained = f"{_gain(first, best, level)}, {where}; {_certainty(inputs, best)}."
    if best.verdict != "better":
        return f"{_not_shown(overall, best)} {gained}"
    gained = f"Against the base model {best.arm} {gained}"
    if first is None:
        return f"{best.arm} helps. {gained}"
    return f"{_best_set(rows, first, _alike(overall, best), best)} {gained}"


def _alike(overall: Sequence[Effect], best: Effect) -> list[str]:
    """Return the mixes that came out with the same value as the first, itself among them."""
    return [effect.arm for effect in overall if math.isclose(effect.value, best.value, abs_tol=1e-9)]


def _not_shown(overall: Sequence[Effect], best: Effect) -> str:
    """Return the beginning of the answer where the mix that came out first is not shown to help."""
    names = _alike(overall, best)
    came = f"{joined(names)} tied for first; {best.arm}" if len(names) > 1 else f"{best.arm} ranked first and"
    if len(overall) == 1:
        came = best.arm
    if helping := [effect for effect in overall if effect.verdict == "better"]:
        helpful = ", ".join(f"{effect.arm} {_signed(effect)}" for effect in helping)
        verb = "is" if len(helping) == 1 else "are"
        return f"{helpful} {verb} shown to help, although not with the highest score: {came}"
    return f"{'The mix is not' if len(overall) == 1 else 'No mix is'} shown to help: {came}"


def _gain(first: Row | None, best: Effect, level: str) -> str:
    """Return `gains +3.1 points` with its interval, corrected where the mix was chosen; a loss differs by its value."""
    unit = unit_name(best.unit)
    verb = "gains" if best.value > 0 and not _is_zero(decimal(best.value, 1)) else "differs from the base model by"
    if first is not None and first.number("gain_corrected") is not None:
        return f"{verb} {_signed(best)} {unit}; corrected for the choice, {_corrected(first, level)}"
    return f"{verb} {_signed(best)} {unit}{_interval(best, level)}"


def _certainty(inputs: Inputs, best: Effect) -> str:
    """Return the p-value, and that it is the smallest that the draws can show where it is."""
    size = best.family_size
    corrected = f" after correction for {size} comparisons" if size > 1 else ""
    floor = smallest_p(inputs, best.p_adjusted, size)
    return f"p {_p(best.p_adjusted)}{corrected}{f' ({floor})' if floor else ''}"


def _best_set(rows: Sequence[Row], first: Row, alike: Sequence[str], best: Effect) -> str:
    """Say which mixes may be the best, and by how much the one that came out first may be worse than the best."""
    names = [row["mix"] for row in rows if row["in_set"] == "1"]
    if len(names) == 1:
        return f"{best.arm} is the best of {len(rows)} mixes."
    came = f"{joined(alike)} tied for first" if len(alike) > 1 else f"{best.arm} ranked first"
    worse = decimal(-first.needed("low"), 1)
    who = f"{best.arm} is" if len(alike) > 1 else "is"
    margin = "" if _is_zero(worse) else f", and {who} at most {worse} {unit_name(best.unit)} worse than the best"
    return f"{joined(names)} cannot be distinguished from the best of {len(rows)} mixes: {came}{margin}."


def _corrected(row: Row, level: str) -> str:
    value, low, high = (row.number(name) for name in ("gain_corrected", "gain_low", "gain_high"))
    shown = decimal(value or 0.0, 1, sign=True)
    if low is None or high is None:
        return shown
    return f"{shown} ({level} % interval {decimal(low, 1, True)} to {decimal(high, 1, True)})"


_VERDICTS = {"better": "better than base", "worse": "worse than base", "equivalent": "equivalent to base"}


def counts(inputs: Inputs, comparisons: Sequence[Comparison]) -> str:
    """Say how many mixes are better, worse, equivalent and not settled; empty without contrasts."""
    _, overall = overall_effects(comparisons)
    if not overall:
        return ""
    margin = inputs.spec.statistics.margin
    clauses = []
    unit = unit_name(overall[0].unit)
    for verdict, words in _VERDICTS.items():
        if effects := [effect for effect in overall if effect.verdict == verdict]:
            listed_effects = ", ".join(f"{effect.arm} {_signed(effect)}" for effect in effects)
            within = f", within {decimal(margin, 1)} {unit}" if verdict == "equivalent" and margin is not None else ""
            clauses.append(f"{len(effects)} {'is' if len(effects) == 1 else 'are'} {words}{within} ({listed_effects})")
    if unsettled := [effect for effect in overall if effect.verdict == "not settled"]:
        least = _least(unsettled)
        undetected = "" if _is_zero(least) else f" effects below about {least} {unit} would usually go undetected"
        if len(unsettled) == len(overall):
            none = "The mix does not differ" if len(overall) == 1 else f"None of the {len(overall)} mixes differs"
            return f"{none} clearly from the base model{undetected and ';'}{undetected}."
        limit = undetected and f":{undetected}"
        clauses.append(f"{len(unsettled)} {'is' if len(unsettled) == 1 else 'are'} not settled{limit}")
    return f"Of {len(overall)} mix{'es' if len(overall) > 1 else ''}, {', '.join(clauses)}."


def adapters(overall: Sequence[Effect]) -> str:
    """Say that single adapters were compared, and what spread between seeds would undo the verdicts on them."""
    if not any(effect.about == "adapters" for effect in overall):
        return ""
    spreads = [f"{effect.arm} {decimal(effect.undone_by, 1)}" for effect in overall if effect.undone_by is not None]
    unit = unit_name(overall[0].unit)
    undone = (
        f" A standard deviation between seeds of this many {unit} would undo them: {', '.join(spreads)}."
        if spreads
        else ""
    )
    return f"These verdicts are about the trained adapters, not about the mixes: seeds were not repeated.{undone}"


def _level(inputs: Inputs) -> str:
    return decimal(100 * inputs.spec.statistics.level, 0)


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
    more = (nearest.seeds or 0) - _seeds(inputs, nearest.arm, backbone)
    if more > 0:
        ways.append(f"{more} more seed{'s' if more > 1 else ''} of each mix{_hours(inputs, backbone, more)}")
    if nearest.items is not None and nearest.items > nearest.n:
        ways.append(f"{nearest.items - nearest.n:,} more questions")
    if not ways or _is_zero(size):
        return ""
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


def contributions(inputs: Inputs, comparisons: Sequence[Comparison]) -> str:
    """Say what each component adds (Shapley values), or what its own mix gains where there is no attribution."""
    comparison, overall = overall_effects(comparisons)
    if comparison is None:
        return ""
    level = _level(inputs)
    return _shapley(inputs, comparison, overall[0].backbone, level) or _alone(inputs, overall, level)


def _shapley(inputs: Inputs, comparison: Comparison, backbone: str, level: str) -> str:
    rows_of_suite = inputs.rows("attribution", suite=comparison.suite, scope_kind="all", backbone=backbone)
    rows = inputs.measured([row for row in rows_of_suite if row["method"] in SHAPLEY], comparison.measured)
    texts = []
    for row in sorted((row for row in rows if row["task"] == "all"), key=lambda row: -row.needed("value")):
        low, high = row.number("low"), row.number("high")
        between = "" if low is None or high is None else f" [{decimal(low, 1, True)}, {decimal(high, 1, True)}]"
        title = component_title(row["term"], inputs.spec.components)
        texts.append(f"{title} data {decimal(row.needed('value'), 1, True)}{between}")
    if not texts:
        return ""
    unit = unit_name(rows[0]["unit"])
    surface = ", by a linear surface through the mixes" if rows[0]["method"] == "shapley_linear" else ""
    certain = f" with {level} % intervals" if any("[" in text for text in texts) else ""
    return f"Averaged over all ways of adding them{surface}, in {unit}{certain}: {', '.join(texts)}."


def _alone(inputs: Inputs, overall: Sequence[Effect], level: str) -> str:
    by_arm = {effect.arm: effect for effect in overall}
    gains = [
        f"{component_title(component, inputs.spec.components)} data {_signed(by_arm[mix])}{_bracket(by_arm[mix])}"
        for component, mix in pure_mixes(inputs).items()
        if mix in by_arm
    ]
    certain = f" (with {level} % intervals)" if any("[" in text for text in gains) else ""
    return f"Alone, against base{certain}: {', '.join(gains)}." if len(gains) > 1 else ""


def _is_zero(shown: str) -> bool:
    """Return whether a number reads as zero."""
    return not shown.strip("0.,")


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
