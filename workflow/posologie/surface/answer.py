"""What to give: dose, region, exchange rates, prices and what would change the answer, as facts, in words, and as YAML.

The YAML holds proposed mixes to paste into a study file: names that are free, and shares in lowest terms.
"""

from collections.abc import Collection, Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import yaml

from posologie.mixes.spec import lowest_terms
from posologie.statistics.simultaneous import Corrected
from posologie.surface.next_runs import Prescription
from posologie.surface.optimum import Region
from posologie.surface.prices import points_per_money
from posologie.surface.rates import Effects, effects_at
from posologie.surface.runs import Array, Surface

_MOST_COMPONENTS = 6
"""With more, rates of all pairs are no reading: effects alone are shown."""
_STEP = 0.1
NEVER = 0.005
"""Shares below half a percent are none."""


def answer_of(
    surface: Surface,
    region: Region,
    prescription: Prescription,
    *,
    sized: bool,
    prices: Mapping[str, float] | None = None,
    towards: int = 1,
    notes: Sequence[str] = (),
) -> dict[str, Any]:
    """Return the facts that answer *how much of which*, ready for JSON.

    Args:
        sized: the surface knows sizes, so that items can be added; otherwise they take the place of others.
        prices: of one item, by component.
        towards: −1 where scores are losses that were turned round; then scores are turned back, and effects are gains.
        notes: caveats to print before the answer.
    """
    chosen = region.candidates.shares[region.chosen]
    effects = effects_at(surface, chosen * (region.candidates.size or 1.0), fixed_size=not sized, sized=sized)
    return {
        "dose": _named(surface.components, chosen),
        "size": region.candidates.size,
        "score": _turned(region.expected, towards),
        "uncorrected": float(region.mean[region.chosen]) * towards,
        "regret": {"expected": region.regret, "high": region.most_regret},
        "level": region.level,
        "region": {
            "ranges": region.ranges(),
            "share_of_simplex": None if np.isnan(region.share) else region.share,
            "share_error": None if np.isnan(region.share) else region.share_error,
            "points": len(region.candidates.even),
            "representatives": [_named(surface.components, mix) for mix in region.representatives()],
        },
        "rates": _rates(effects, region.level) if len(surface.components) <= _MOST_COMPONENTS and sized else [],
        "effects": _effects(effects, region.candidates.size or 1.0, region.level, sized=sized),
        "per_money": [gain._asdict() for gain in points_per_money(effects, prices or {}, region.level)]
        if sized
        else [],
        "next": {
            "stop": prescription.stop,
            "reason": prescription.reason,
            "best_gain": prescription.best_gain,
            "region_now": prescription.region,
            "mixes": [
                {**vars(proposal), "shares": _named(surface.components, proposal.shares)}
                for proposal in prescription.proposals
            ],
        },
        "notes": list(notes),
    }


def _turned(score: Corrected, towards: int) -> dict[str, float | None]:
    if score.low is None or score.high is None:
        return {"value": score.value * towards, "low": None, "high": None}
    low, high = sorted((score.low * towards, score.high * towards))
    return {"value": score.value * towards, "low": low, "high": high}


def _named(components: Sequence[str], shares: Array) -> dict[str, float]:
    return {name: float(share) for name, share in zip(components, shares, strict=True)}


def _rates(effects: Effects, level: float) -> list[dict[str, Any]]:
    rates = []
    for into, of in combinations(effects.components, 2):
        rate = effects.rate(into, of, level)
        rates.append(
            {
                "of": into,
                "into": of,
                "value": None if np.isnan(rate.value) else rate.value,
                "case": rate.case,
                "low": rate.low if np.isfinite(rate.low) else None,
                "high": rate.high if np.isfinite(rate.high) else None,
                "text": rate.text(),
            }
        )
    return rates


def _effects(effects: Effects, size: float, level: float, *, sized: bool) -> list[dict[str, Any]]:
    """Return the effect of a tenth of the mix more of each component, with its interval."""
    rows = []
    for name in effects.components:
        value, low, high = (number * _STEP * size for number in effects.interval(name, level))
        rows.append({"component": name, "value": value, "low": low, "high": high, "grows": sized})
    return rows


def mix_text(shares: Mapping[str, float]) -> str:
    """Return a mix in words: `45 % native, 55 % synthetic`, without components below half a percent."""
    percents = {name: 100 * share for name, share in shares.items()}
    whole = all(abs(percent - round(percent)) < 0.05 for percent in percents.values())
    shown = [(name, percent) for name, percent in percents.items() if percent >= 100 * NEVER]
    return ", ".join(f"{percent:.0f} % {name}" if whole else f"{percent:.1f} % {name}" for name, percent in shown)


def region_sentence(share: float | None, ranges: Mapping[str, tuple[float, float]], points: int | None = None) -> str:
    """Return a sentence about the mixes that cannot be distinguished from the best.

    Args:
        share: part of all mixes within bounds; None if too few reach the floors.
        ranges: lowest and highest share of each component in them.
        points: number of mixes from which the part was measured, where the sentence is to name it.
    """
    listed = ", ".join(f"{name} {100 * low:.0f} to {100 * high:.0f} %" for name, (low, high) in ranges.items())
    if share is None:
        return f"Few mixes reach the floors; of these, the mixes with {listed} cannot be distinguished from the best."
    if share > 1 - NEVER:
        return "No mix can be distinguished from the best: any dose may be the best one."
    if share < NEVER:
        fewer = "" if share or points is None else f" (fewer than 1 in {points:,})"
        return f"Hardly any other mix{fewer} may be as good: {listed}."
    return f"{100 * share:.0f} % of all mixes cannot be distinguished from the best, with {listed}."


def rate_clause(of: str, into: str, value: float | None, shown: str, bounds: str, where: str = "") -> str:
    """Return an exchange rate in words, without a full stop.

    A rate below 0 is none: one of the two components raises the score and the other lowers it.

    Args:
        of, into: components; the rate is how many items of `into` do the work of one of `of`.
        shown: the rate as it is printed.
        bounds: its interval in words.
        where: at which mix, or in place of what.
    """
    place = f", {where}" if where else ""
    if value is None:
        return f"no number of {into} items is shown to do the work of one {of} item"
    if value < 0:
        return (
            f"{into} items cannot take the place of {of} items{place}: more of one raises the expected score, more of"
            f" the other lowers it (rate {shown}, {bounds})"
        )
    return f"{shown} {into} items do the work of one {of} item{place} ({bounds})"


def in_words(answer: Mapping[str, Any], unit: str = "points") -> list[str]:
    """Return the answer as lines of text."""
    region, score, regret = answer["region"], answer["score"], answer["regret"]
    percent = f"{100 * answer['level']:g} %"
    size = "" if answer["size"] is None else f", {answer['size']:,.0f} items"
    lines = [f"Dose: {mix_text(answer['dose'])}{size}."]
    if score["low"] is None:
        lines.append(f"Expected score: {score['value']:.2f} {unit}, without an interval: nothing varies.")
    else:
        lines.append(
            f"Expected score: {score['value']:.2f} {unit} ({percent} interval {score['low']:.2f} to"
            f" {score['high']:.2f}). Expected shortfall against the best mix: {regret['expected']:.2f}, at most"
            f" {regret['high']:.2f} with {percent} confidence."
        )
    lines.append(region_sentence(region["share_of_simplex"], region["ranges"], region["points"]))
    others = [mix_text(mix) for mix in region["representatives"][1:]]
    if others:
        lines.append("Equally good, as far as these runs can tell: " + "; ".join(others) + ".")
    for entry in answer["rates"]:
        shown, bounds = f"{entry['value'] or 0:.3g}", f"{percent} interval {entry['text']}"
        lines.append(f"Exchange rate: {rate_clause(entry['of'], entry['into'], entry['value'], shown, bounds)}.")
    for entry in answer["effects"]:
        how = "on top" if entry["grows"] else "in place of the others"
        lines.append(
            f"A tenth of the mix more of {entry['component']} {how}: {entry['value']:+.2f} {unit} ({percent} interval"
            f" {entry['low']:+.2f} to {entry['high']:+.2f})."
        )
    lines += [
        f"Price: one unit of money on {entry['component']} brings {entry['value']:.3g} {unit} ({percent} interval"
        f" {entry['low']:.3g} to {entry['high']:.3g})."
        for entry in answer["per_money"]
    ]
    what = answer["next"]
    lines.append(("Stop: " if what["stop"] else "What would change our mind: ") + what["reason"] + ".")
    return [f"Note: {note}." for note in answer["notes"]] + lines


def new_names(components: Sequence[str], proposed: Prescription, taken: Collection[str]) -> list[str]:
    """Return a name for each proposal that no mix has: shares in percent behind short names of the components.

    `NAT40-SYN60` where so few components allow it, `next-1` otherwise.
    """
    short = _short_names(components)
    used, names = set(taken), []
    for proposal in proposed.proposals:
        terms = [
            f"{name}{100 * share:.0f}" for name, share in zip(short, proposal.shares, strict=True) if share >= 0.005
        ]
        whole = np.allclose(100 * proposal.shares, np.rint(100 * proposal.shares))
        name = "-".join(terms) if len(terms) <= 4 and whole else "next-1"
        number = 1
        while name in used:
            number += 1
            name = f"{'-'.join(terms)}-{number}" if len(terms) <= 4 and whole else f"next-{number}"
        used.add(name)
        names.append(name)
    return names


def _short_names(components: Sequence[str]) -> list[str]:
    """Return the shortest beginnings, of three letters at least, that are all different."""
    plain = ["".join(letter for letter in name.upper() if letter.isalnum()) or "C" for name in components]
    for length in range(3, max(map(len, plain)) + 1):
        short = [name[:length].rstrip("0123456789") or name[:length] for name in plain]
        if len(set(short)) == len(short):
            return short
    return [f"C{place}-" for place in range(1, len(plain) + 1)]


def mixes_yaml(
    components: Sequence[str],
    proposed: Prescription,
    names: Sequence[str],
    size: float | None,
    study_seeds: Sequence[int] = (),
) -> str:
    """Return the proposals as YAML, with shares as whole numbers in lowest terms.

    So a mix is the same however it is written later, and draws the part of each component that larger doses contain.

    Args:
        study_seeds: the seeds that every mix of the study is trained with; more of a mix are further seeds.
    """
    if not proposed.proposals:
        return "mixes: {}\n"
    lines, further = ["mixes:"], {}
    for name, proposal in zip(names, proposed.proposals, strict=True):
        held = {key: float(share) for key, share in zip(components, proposal.shares, strict=True) if share > 0}
        shares = {key: int(weight) for key, weight in lowest_terms({k: round(v, 6) for k, v in held.items()}).items()}
        mix: dict[str, Any] = {"shares": shares, "size": "smallest" if size is None else int(size)}
        gain = (
            "to show whether the surface fits"
            if proposal.reason == "interior"
            else f"expected gain {proposal.gain:.2g} points"
        )
        seeds = "one seed" if proposal.seeds == 1 else f"{proposal.seeds} seeds"
        lines.append(f"  # {gain}; {seeds}")
        text = yaml.safe_dump({name: mix}, default_flow_style=None, sort_keys=False, width=1000, allow_unicode=True)
        lines += [f"  {line}" for line in text.splitlines()]
        if study_seeds and (more := proposal.seeds - len(study_seeds)) > 0:
            further[name] = [max(study_seeds) + 1 + number for number in range(more)]
    if further:
        lines += ["training:", "  further_seeds:", *(f"    {name}: {seeds}" for name, seeds in further.items())]
    return "\n".join(lines) + "\n"
