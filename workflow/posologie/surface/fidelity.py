"""Cheap proxies of a training as a second, correlated fidelity, weighted by what both ways of measuring show."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from posologie.running.errors import InputError
from posologie.surface.choice import Choice, choose
from posologie.surface.fit import PROCESS, Fitted, LeftOut, fit, mixes_of
from posologie.surface.forms import Form
from posologie.surface.noise import averaged
from posologie.surface.runs import Array, Runs

_FEWEST = 4  # pairs: Fisher's interval needs four
_LEVEL = 0.95
_CHOSEN_UP_TO = 100  # runs of a proxy


@dataclass(frozen=True)
class Agreement:
    """How a proxy's scores go with trained ones, over the mixes measured both ways.

    Attributes:
        mixes: measured both ways.
        correlation: Pearson's; None with fewer than four mixes, or where one side is constant.
        low, high: its 95 % interval (Fisher 1921).
        useful: whether the interval lies above 0.
    """

    mixes: int
    correlation: float | None
    low: float | None
    high: float | None
    useful: bool
    note: str


@dataclass(frozen=True)
class WithProxy:
    """A surface of the trained mixes, with a proxy where it is of use.

    Attributes:
        surface: with the proxy where `weight` is not 0, else the choice without it.
        plain: the choice without it.
        agreement: over the mixes measured both ways.
        weight: the slope of scores on the proxy's surface, in standard deviations of both; 0 where it has no weight.
        weight_sd: standard deviation of its posterior.
        left_out: predictions of left-out mixes with the proxy; None where it has no weight.
    """

    surface: Fitted
    plain: Choice
    agreement: Agreement
    weight: float
    weight_sd: float
    left_out: LeftOut | None
    notes: tuple[str, ...]


class Remembered:
    """The posterior of a proxy's surface in standard deviations of the proxy's scores; what was asked is kept."""

    def __init__(self, surface: Fitted) -> None:
        """Keep the surface."""
        self._surface = surface
        self._known: dict[tuple[bytes, bytes], Array] = {}

    def mean(self, shares: Array) -> Array:
        """Return [point]."""
        key = (b"mean", shares.tobytes())
        if key not in self._known:
            self._known[key] = (self._surface.interval(shares).mean - self._surface.centre) / self._surface.scale
        return self._known[key]

    def covariance(self, left: Array, right: Array) -> Array:
        """Return [left, right]."""
        key = (left.tobytes(), right.tobytes())
        if key not in self._known:
            self._known[key] = self._surface.cross(left, right)
        return self._known[key]

    def variance(self, shares: Array) -> Array:
        """Return [point]."""
        key = (b"variance", shares.tobytes())
        if key not in self._known:
            self._known[key] = self._surface.variance(shares)
        return self._known[key]


def agreement(runs: Runs, proxy: Runs) -> Agreement:
    """Correlate the scores of the mixes that were measured both ways, matched by their shares.

    Raises:
        InputError: where the components differ.
    """
    if runs.components != proxy.components:
        raise InputError(f"proxy: components {proxy.components}; expected {runs.components}")
    trained, cheap = averaged(runs), averaged(proxy)
    places = {tuple(row): place for place, row in enumerate(np.round(cheap.shares, 6).tolist())}
    pairs = [
        (trained.score[place], cheap.score[places[tuple(row)]])
        for place, row in enumerate(np.round(trained.shares, 6).tolist())
        if tuple(row) in places
    ]
    count = len(pairs)
    if count < _FEWEST:
        return Agreement(
            count, None, None, None, False,
            f"{count} mixes measured both ways: too few to show whether the proxy agrees; it has no weight",
        )  # fmt: skip
    left, right = np.array(pairs).T
    if np.ptp(left) == 0 or np.ptp(right) == 0:
        return Agreement(count, None, None, None, False, "one of the two scores is constant: the proxy has no weight")
    correlation = float(np.corrcoef(left, right)[0, 1])
    centre = np.arctanh(np.clip(correlation, -1 + 1e-12, 1 - 1e-12))
    half = norm.ppf((1 + _LEVEL) / 2) / np.sqrt(count - 3)
    low, high = float(np.tanh(centre - half)), float(np.tanh(centre + half))
    words = f"correlation of proxy and training over {count} mixes: {correlation:.2f} [{low:.2f}, {high:.2f}]"
    if low <= 0:
        return Agreement(count, correlation, low, high, False, f"{words}: the proxy has no weight")
    return Agreement(count, correlation, low, high, True, words)


def with_proxy(runs: Runs, proxy: Runs, form: Form = PROCESS, *, draws: int | None = None) -> WithProxy:
    """Fit the surface of trained mixes with a proxy's as a second fidelity.

    Scores are ρ × the proxy's surface + a surface of their own (Kennedy and O'Hagan 2000), given the proxy's scores as
    in the recursive form of Le Gratiet and Garnier (2014); ρ and the own surface's parameters are integrated out.
    Errors of both are taken as independent; draws of items that shift all scores alike cancel in either constant.
    The proxy has weight only where its correlation with the trained scores is above 0 at 95 %.

    Args:
        runs: that were trained.
        proxy: scores of the proxy, of any mixes; those in `runs` show how they are related.

    Raises:
        InputError: as `fit` and `agreement`.
    """
    plain = choose(runs, draws=draws)
    together = agreement(runs, proxy)
    if not together.useful:
        return WithProxy(
            plain.surface, plain, together, weight=0.0, weight_sd=0.0, left_out=None, notes=(together.note,)
        )
    # with many runs the choice costs minutes and comes out the same
    cheap = choose(proxy, draws=draws).surface if len(proxy) <= _CHOSEN_UP_TO else fit(proxy, form, draws=draws)
    surface = fit(runs, form, draws=draws, relative_noise=plain.noise.relative, proxy=Remembered(cheap))
    left_out = surface.left_out()
    weight, weight_sd = surface.parameter("proxy slope")
    gain = left_out.log_density - plain.chosen.left_out.log_density
    spread = float(np.sqrt(len(gain)) * np.std(gain, ddof=1))
    notes: tuple[str, ...] = (
        together.note,
        f"the proxy changes the log density of left-out mixes by {gain.sum():+.1f} (standard error {spread:.1f}, "
        f"n = {len(mixes_of(runs))} mixes)",
    )
    if gain.sum() <= 0:
        notes += ("left-out mixes are not predicted better with the proxy: it has no weight",)
        return WithProxy(plain.surface, plain, together, weight=0.0, weight_sd=0.0, left_out=left_out, notes=notes)
    return WithProxy(surface, plain, together, weight=weight, weight_sd=weight_sd, left_out=left_out, notes=notes)
