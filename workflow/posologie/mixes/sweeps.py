"""A sweep becomes mixes: written once in the configuration, each an ordinary mix with a name and a dose."""

from collections.abc import Mapping
from fractions import Fraction

from posologie.mixes.spec import AdditiveSweep, Drawing, EpochSweep, Mix, ShareSweep, SizeSweep, Sweep


def expand_sweeps(sweeps: Mapping[str, Sweep]) -> dict[str, Mix]:
    """Return the mixes of all sweeps by name, in the order of the sweeps and of their values.

    A mix is named after its sweep and its value: `{sweep}-{percent}` for a share (0.125 gives 12.5), `{sweep}-{items}`
    for a size or an added dose, `{sweep}-{times}` for epochs.
    """
    return {
        mix_name(name, sweep, value): mix_of(sweep, value) for name, sweep in sweeps.items() for value in sweep.values
    }


def doses(name: str, sweep: Sweep) -> dict[str, float]:
    """Return the value behind each mix of a sweep: a share from 0 to 1, a number of items, or of epochs."""
    return {mix_name(name, sweep, value): value for value in sweep.values}


def mix_name(name: str, sweep: Sweep, value: float) -> str:
    """Return the name of a sweep's mix."""
    exact = Fraction(str(value)) * (100 if isinstance(sweep, ShareSweep) else 1)
    return f"{name}-{exact.numerator if exact.denominator == 1 else float(exact)}"


def mix_of(sweep: Sweep, value: float) -> Mix:
    """Return the mix of a sweep at one of its values."""
    drawing = {key: getattr(sweep, key) for key in Drawing.model_fields}
    match sweep:
        case ShareSweep():
            share = Fraction(str(value))
            rest = sweep.rest if isinstance(sweep.rest, dict) else {sweep.rest: 1.0}
            weights = {name: Fraction(str(weight)) for name, weight in rest.items()}
            parts = {name: (1 - share) * weight / sum(weights.values()) for name, weight in weights.items()}
            shares = {name: float(part) for name, part in {sweep.of: share, **parts}.items() if part}
            return Mix(shares=shares, size=sweep.size, **drawing)
        case SizeSweep():
            return Mix(shares=sweep.shares, size=int(value), **drawing)
        case AdditiveSweep():
            added = {sweep.of: int(value)} if value else {}
            return Mix(counts=sweep.base | added, **drawing)
        case EpochSweep():
            return Mix(shares=sweep.shares, size=sweep.size, epochs={sweep.of: int(value)}, **drawing)
