"""The answer in three sentences, made from the numbers."""

from collections.abc import Sequence

from posologie.items import PROVENANCES
from posologie.report.blocks import Prose
from posologie.report.effects import Comparison, Effect
from posologie.report.inputs import Inputs, measure_name
from posologie.report.tables import decimal


def answer(inputs: Inputs, comparison: Comparison) -> Prose:
    """Return which provenance helps, by how much and how sure, on the first backbone of a comparison."""
    backbone = comparison.effects[0].backbone
    overall = [effect for effect in comparison.on("all") if effect.backbone == backbone]
    sentences = (_best(comparison, overall), _count(overall), _provenances(inputs, overall))
    notes = list(dict.fromkeys(effect.note for effect in overall if effect.note))
    return Prose(tuple(sentence for sentence in sentences if sentence), "answer", "; ".join(notes))


def _best(comparison: Comparison, overall: Sequence[Effect]) -> str:
    best = max(overall, key=lambda effect: effect.value)
    measured = measure_name(comparison.measured.metric, comparison.measured.decoding)
    what = f"in {measured}, over {best.n:,} questions"
    if best.verdict == "higher":
        return (
            f"Trained on {best.arm}, the model gains most over the base model: {_size(best)} {what}, "
            f"p = {_p(best.p_holm)} after correction for {best.family_size} comparisons."
        )
    return (
        f"No mix is shown to be better than the base model: the largest gain, {best.arm}, is {_size(best)} {what}, "
        f"p = {_p(best.p_holm)} after correction for {best.family_size} comparisons."
    )


def _count(overall: Sequence[Effect]) -> str:
    higher, lower, open_ = (
        [effect for effect in overall if effect.verdict == verdict] for verdict in ("higher", "lower", "not settled")
    )
    parts = []
    if higher:
        parts.append(f"{len(higher)} higher than base ({', '.join(effect.arm for effect in higher)})")
    if lower:
        parts.append(
            f"{len(lower)} lower ({', '.join(f'{effect.arm} by {_points(-effect.value, effect.unit)}' for effect in lower)})"
        )
    if open_:
        seen = [effect.detectable for effect in open_ if effect.detectable is not None]
        limit = (
            f", where differences below about {_points(max(seen), open_[0].unit)} would often go unseen" if seen else ""
        )
        parts.append(f"{len(open_)} not settled{limit}")
    noun = "mix scores" if len(overall) == 1 else "mixes score"
    return f"Of {len(overall)} {noun}: {'; '.join(parts)}."


def _provenances(inputs: Inputs, overall: Sequence[Effect]) -> str:
    """Compare the mixes of a single provenance, by what they hold and not by their names."""
    from posologie.report.composition import mixes

    pure: dict[str, Effect] = {}
    by_name = {effect.arm: effect for effect in overall}
    for mix in mixes(inputs):
        held = [kind for kind in PROVENANCES if mix.provenance.get(kind)]
        name = mix.name.split(", seed ")[0]
        if len(held) == 1 and name in by_name:
            pure.setdefault(held[0], by_name[name])
    if len(pure) < 2:
        return ""
    told = [f"{kind} data {_signed(effect)}" for kind, effect in pure.items()]
    return f"Alone, against base: {', '.join(told[:-1])} and {told[-1]}."


def _size(effect: Effect) -> str:
    interval = (
        ""
        if effect.low is None or effect.high is None
        else f" (95 % interval {_signed_number(effect.low)} to {_signed_number(effect.high)})"
    )
    return f"{_signed_number(effect.value)} {_unit(effect.unit)}{interval}"


def _signed(effect: Effect) -> str:
    interval = (
        ""
        if effect.low is None or effect.high is None
        else f" [{_signed_number(effect.low)}, {_signed_number(effect.high)}]"
    )
    return f"{_signed_number(effect.value)}{interval}"


def _points(value: float, unit: str) -> str:
    return f"{decimal(value, 1)} {_unit(unit)}"


def _unit(unit: str) -> str:
    return "points" if unit == "%" else unit


def _signed_number(value: float) -> str:
    return decimal(value, 1, sign=True)


def _p(value: float) -> str:
    return "less than 0.001" if value < 0.001 else f"{value:.2g}"
