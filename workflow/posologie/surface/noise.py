"""Whether runs are equally noisy at every mix, and whether a polynomial fits no worse than replicates differ."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import polygamma
from scipy.stats import f as f_distribution

from posologie.surface.fit import LeftOut, mixes_of
from posologie.surface.forms import Form, scheffe_terms
from posologie.surface.runs import Array, Runs

_DRAWS = 1999
_SEED = 1937
_LEVEL = 0.05


@dataclass(frozen=True)
class NoiseTest:
    """Whether the noise of runs depends on the mix.

    Attributes:
        method: "replicates" (Bartlett's statistic), "residuals" (Koenker's), or "none".
        p_value: None if unknown.
        groups: mixes with replicates, or mixes with a residual.
        relative: [run], noise variances of one adapter over their mean, to weigh runs by; None where equal noise is
            not refused, or where only residuals speak.
        note: in words.
    """

    method: str
    p_value: float | None
    groups: int
    relative: Array | None
    note: str


@dataclass(frozen=True)
class LackOfFit:
    """The F test of a polynomial against replicates (Cornell 2002, section 2.7)."""

    statistic: float | None
    df: int
    error_df: float
    p_value: float | None
    note: str


def pooled(runs: Runs) -> tuple[float | None, float]:
    """Return the seed variance and its degrees of freedom, from `seed_variance` and from repeated rows together."""
    parts, degrees = [], []
    if runs.seed_variance is not None and runs.seed_df > 0:
        parts.append(runs.seed_df * runs.seed_variance)
        degrees.append(runs.seed_df)
    repeated = _repeated(runs)
    parts += [variance * count for variance, count in repeated.values()]
    degrees += [float(count) for _, count in repeated.values()]
    return (sum(parts) / sum(degrees), sum(degrees)) if degrees else (None, 0.0)


def _repeated(runs: Runs) -> dict[tuple[int, ...], tuple[float, int]]:
    """Return (variance of one adapter, degrees of freedom) of each mix that several rows repeat.

    What items add to the differences of the rows is taken off; nothing below 0 remains.
    """
    variances = {}
    for group in mixes_of(runs):
        if len(group) > 1:
            rows = list(group)
            weights = runs.seeds[rows].astype(np.float64)
            mean = weights @ runs.score[rows] / weights.sum()
            squares = float(weights @ (runs.score[rows] - mean) ** 2)
            items = runs.items[np.ix_(rows, rows)]
            by_items = float(weights @ np.diag(items) - weights @ items @ weights / weights.sum())
            variances[group] = (max(squares - by_items, 0.0) / (len(rows) - 1), len(rows) - 1)
    return variances


def noise_test(runs: Runs, left_out: LeftOut | None = None) -> NoiseTest:
    """Test whether noise depends on the mix; with replicates by their variances, else by left-out errors.

    Replicates: Bartlett's statistic (1937), its distribution drawn, because the degrees of freedom are few. Errors:
    Koenker's (1981) form of the score test of Breusch and Pagan on squared standardised errors over shares, permuted.
    """
    variances, degrees, members = _variances(runs)
    rng = np.random.default_rng(_SEED)
    if len(variances) >= 2:
        statistic = _bartlett(variances[None, :], degrees)[0]
        drawn = _bartlett(rng.chisquare(degrees, size=(_DRAWS, len(degrees))) / degrees, degrees)
        p_value = float((1 + np.sum(drawn >= statistic - 1e-12)) / (_DRAWS + 1))
        words = f"variances of {len(variances)} repeated mixes, {degrees.sum():g} degrees of freedom: p = {p_value:.3f}"
        if p_value >= _LEVEL:
            return NoiseTest(
                "replicates", p_value, len(variances), None, f"equal run noise at every mix is not rejected ({words})"
            )
        relative = np.ones(len(runs))
        moderated = moderate(variances, degrees)
        for group, variance in zip(members, moderated / moderated.mean(), strict=True):
            relative[list(group)] = variance
        return NoiseTest(
            "replicates", p_value, len(variances), relative,
            f"run noise depends on the mix ({words}): repeated mixes are weighted by their own variance, moderated; "
            "at other mixes the mean of the variances stands, and intervals there may be too narrow or too wide",
        )  # fmt: skip
    if left_out is None or len(left_out.groups) < 2 * len(runs.components) + 2:
        return NoiseTest("none", None, 0, None, "too few runs to show whether run noise depends on the mix")
    squared = ((runs.score - left_out.mean) / left_out.sd) ** 2
    shares = np.column_stack([np.ones(len(runs)), runs.shares[:, :-1]])
    basis = np.linalg.qr(shares)[0][:, : np.linalg.matrix_rank(shares)]
    centred = squared - squared.mean()
    statistic = float(((basis.T @ centred) ** 2).sum())
    drawn = ((rng.permuted(np.tile(centred, (_DRAWS, 1)), axis=1) @ basis) ** 2).sum(axis=1)
    p_value = float((1 + np.sum(drawn >= statistic)) / (_DRAWS + 1))
    words = f"left-out errors of {len(runs)} runs: p = {p_value:.3f}"
    if p_value >= _LEVEL:
        return NoiseTest("residuals", p_value, len(runs), None, f"equal errors at every mix are not rejected ({words})")
    return NoiseTest(
        "residuals", p_value, len(runs), None,
        f"errors depend on the mix ({words}): intervals hold on average, too narrow at some mixes, too wide at others",
    )  # fmt: skip


def _variances(runs: Runs) -> tuple[Array, Array, list[tuple[int, ...]]]:
    variances, degrees, members = [], [], []
    repeated = _repeated(runs)
    for group in mixes_of(runs):
        if group in repeated:
            variance, count = repeated[group]
        elif len(group) == 1 and runs.spread is not None and np.isfinite(runs.spread[group[0]]):
            variance, count = float(runs.spread[group[0]]), int(runs.seeds[group[0]]) - 1
        else:
            continue
        if count > 0 and variance > 0:
            variances.append(variance)
            degrees.append(float(count))
            members.append(group)
    return np.array(variances), np.array(degrees), members


def _bartlett(variances: Array, degrees: Array) -> Array:
    """Return [draw] statistics of [draw, group] variances."""
    together = variances @ degrees / degrees.sum()
    statistic: Array = degrees.sum() * np.log(together) - np.log(variances) @ degrees
    return statistic


def moderate(variances: Array, degrees: Array) -> Array:
    """Return variances drawn towards their common value by as much as they differ no more than chance (Smyth 2004)."""
    logs = np.log(variances) - polygamma(0, degrees / 2) + np.log(degrees / 2)
    excess = float(np.var(logs, ddof=1) - polygamma(1, degrees / 2).mean())
    if excess <= 0:
        return np.full(len(variances), float(variances @ degrees / degrees.sum()))
    prior_df = 2 * _inverse_trigamma(excess)
    prior = np.exp(logs.mean() + polygamma(0, prior_df / 2) - np.log(prior_df / 2))
    moderated: Array = (prior_df * prior + degrees * variances) / (prior_df + degrees)
    return moderated


def _inverse_trigamma(value: float) -> float:
    """Return x with trigamma(x) = value, by Newton's method (Smyth 2004, appendix)."""
    x = 0.5 + 1 / value
    for _ in range(50):
        slope = float(polygamma(1, x))
        step = slope * (1 - slope / value) / float(polygamma(2, x))
        x += step
        if abs(step) < 1e-8 * x:
            break
    return float(x)


def averaged(runs: Runs) -> Runs:
    """Return one run for each mix: the mean of its rows, weighted by adapters, with its covariance."""
    groups = mixes_of(runs)
    mean = np.zeros((len(groups), len(runs)))
    for row, group in enumerate(groups):
        mean[row, list(group)] = runs.seeds[list(group)] / runs.seeds[list(group)].sum()
    first: NDArray[np.int64] = np.array([group[0] for group in groups], dtype=np.int64)
    variance, degrees = pooled(runs)
    return replace(
        runs.only(first),
        score=mean @ runs.score,
        items=mean @ runs.items @ mean.T,
        seeds=np.array([runs.seeds[list(group)].sum() for group in groups], dtype=np.int64),
        seed_variance=variance,
        seed_df=degrees,
        spread=None,
    )


def lack_of_fit(runs: Runs, form: Form) -> LackOfFit:
    """Test a polynomial, fitted by generalised least squares, against what replicates show of chance.

    F is the weighted sum of squares of mixes about the fit over its degrees of freedom. Errors are items, which are
    known, and seeds, which are estimated; the denominator's degrees of freedom are Satterthwaite's (1946).
    """
    if form.process:
        return LackOfFit(None, 0, 0.0, None, "no test: a process takes any form; left-out errors show what it misses")
    mixes = averaged(runs)
    terms = scheffe_terms(mixes.shares, form.degree)
    if mixes.sizes is not None and np.ptp(mixes.sizes) > 0:
        return LackOfFit(None, 0, 0.0, None, "no test: sizes differ, and their power law is not linear")
    rank = int(np.linalg.matrix_rank(terms, tol=1e-6))
    df = len(mixes) - rank
    if df < 1:
        return LackOfFit(
            None, 0, mixes.seed_df, None,
            f"no test: a {form.name} model goes through {len(mixes)} mixes exactly and leaves no degree of freedom; "
            "train mixes inside the simplex to test it",
        )  # fmt: skip
    if mixes.seed_variance is None or mixes.seed_df <= 0 or mixes.seed_variance <= 0:
        return LackOfFit(None, df, 0.0, None, f"no test: no mix was trained twice ({df} degrees of freedom left)")
    seeds = np.diag(mixes.seed_variance / mixes.seeds)
    errors = mixes.items + seeds
    root = np.linalg.cholesky(errors)
    scores, design = np.linalg.solve(root, mixes.score), np.linalg.solve(root, terms)
    residual = scores - design @ np.linalg.lstsq(design, scores, rcond=1e-9)[0]
    statistic = float(residual @ residual) / df
    # what the fit can absorb says nothing: the share of seeds is that among contrasts of mixes
    centred = np.eye(len(mixes)) - 1 / len(mixes)
    of_seeds = float(np.trace(centred @ seeds) / np.trace(centred @ errors))
    error_df = mixes.seed_df / of_seeds**2
    p_value = float(f_distribution.sf(statistic, df, error_df))
    verdict = "does not fit: replicates differ less" if p_value < _LEVEL else "is not refused"
    return LackOfFit(
        statistic, df, error_df, p_value,
        f"a {form.name} model {verdict} (F = {statistic:.2f} on {df} and {error_df:.0f} degrees of freedom, "
        f"p = {p_value:.3f})",
    )  # fmt: skip
