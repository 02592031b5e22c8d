"""Fit a surface to runs: a Gaussian posterior of the expected score at every mix, with all errors of the runs."""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import t as student

from posologie.running.errors import InputError
from posologie.surface.forms import Form, cho_solve, cholesky, forward_solve, scheffe_terms
from posologie.surface.process import Process, Proxy
from posologie.surface.runs import Array, Moments, Runs

MEAN = Form("mean", 0)
LINEAR = Form("linear", 1)
QUADRATIC = Form("quadratic", 2)
CUBIC = Form("special cubic", 3)
PROCESS = Form("Gaussian process", 2, process=True)
FORMS = (MEAN, LINEAR, QUADRATIC, CUBIC, PROCESS)
"""The models a choice is made from, the simplest first. All but the constant are shrunk."""

_LEAST = 1e-2
"""Scores that differ by less than this part of their errors over items have those errors as their scale."""
_DRAWS = 64
_ALL_DRAWS_UP_TO = 60  # runs; beyond, the posterior of the parameters is narrow and each draw costs more
_RELEVANCES_FROM = 4  # components
_ROUNDING = 1e-6


class Interval(NamedTuple):
    """Means and the ends of intervals, [point]."""

    mean: Array
    low: Array
    high: Array


class LeftOut(NamedTuple):
    """Each mix predicted from all others.

    Attributes:
        groups: the runs of each mix.
        mean: [run].
        sd: [run], of the difference between the measured and the predicted score.
        log_density: [mix], of the mix's measured scores.
    """

    groups: tuple[tuple[int, ...], ...]
    mean: Array
    sd: Array
    log_density: Array


@dataclass(frozen=True)
class _Draw:
    """One set of parameters, with what its predictions need."""

    theta: Array
    weight: float
    root: Array
    solved_fixed: Array
    information: Array
    beta: Array
    residual: Array


@dataclass(frozen=True)
class Fitted:
    """A surface: a mixture of Gaussian processes over the parameters' posterior, given as Student's t.

    Attributes:
        form: the model.
        runs: what it was fitted to.
        notes: what weakens it, in words.
        reference_size: items; the largest size trained on, at which predictions are made where none is given.
    """

    form: Form
    runs: Runs
    process: Process
    draws: tuple[_Draw, ...]
    centre: float
    scale: float
    df: float
    notes: tuple[str, ...]
    reference_size: float | None

    @property
    def components(self) -> tuple[str, ...]:
        """Names of the columns of shares."""
        return self.runs.components

    @property
    def run_variance(self) -> float:
        """What one more adapter of a mix adds to its score: the variance of seeds."""
        place = self.process.names.index("noise")
        variance = sum(draw.weight * np.exp(2 * draw.theta[place]) for draw in self.draws)
        return float(variance) * self.scale**2

    def parameter(self, name: str) -> tuple[float, float]:
        """Return posterior mean and standard deviation of a parameter, on the scale that its prior is on."""
        place = self.process.names.index(name)
        weights = np.array([draw.weight for draw in self.draws])
        values = np.array([draw.theta[place] for draw in self.draws])
        mean = float(weights @ values)
        return mean, float(np.sqrt(weights @ (values - mean) ** 2))

    def moments(self, shares: Array, sizes: Array | None = None) -> Moments:
        """Return the posterior of expected scores at [point, component] shares.

        Args:
            sizes: [point], items; the largest size of the runs where not given. Ignored where sizes are alike.

        Raises:
            InputError: for shares of another number of components.
        """
        mean, covariance, _ = self._mixture(np.asarray(shares, dtype=np.float64), sizes, whole=True)
        shrink = _scale_of(self.df)
        return Moments(mean * self.scale + self.centre, covariance * self.scale**2 * shrink)

    def interval(
        self, shares: Array, sizes: Array | None = None, *, level: float = 0.95, adapters: int | None = None
    ) -> Interval:
        """Return [point] means with intervals, point by point.

        Args:
            adapters: where given, the interval is of the mean score of that many new adapters of the mix, not of the
                expected score.
        """
        mean, variance, within = self._mixture(np.asarray(shares, dtype=np.float64), sizes, whole=False)
        if adapters is not None:
            noise = np.exp(2 * np.array([draw.theta[self.process.names.index("noise")] for draw in self.draws]))
            within = within + noise[:, None] / adapters
            variance = variance + self.run_variance / self.scale**2 / adapters
        df = _degrees(np.array([draw.weight for draw in self.draws]), within, variance)
        half = student.ppf((1 + level) / 2, df) * np.sqrt(variance * _scale_of(df)) * self.scale
        centre = mean * self.scale + self.centre
        return Interval(centre, centre - half, centre + half)

    def variance(self, shares: Array) -> Array:
        """Return [point], posterior variances in the process's own units, at the reference size."""
        return self._mixture(shares, None, whole=False)[1]

    def cross(self, left: Array, right: Array) -> Array:
        """Return [left, right], posterior covariances in the process's own units, at the reference size."""
        weights = np.array([draw.weight for draw in self.draws])
        total = np.zeros((len(left), len(right)))
        means: tuple[list[Array], list[Array]] = ([], [])
        for draw in self.draws:
            halves = []
            for points, mean in zip((left, right), means, strict=True):
                sizes = None if self.reference_size is None else np.ones(len(points))
                predicted, half, free = self._parts(draw, points, sizes)
                mean.append(predicted)
                halves.append((half, free))
            (first_half, first_free), (second_half, second_free) = halves
            prior = self.process.covariance(left, right, draw.theta)
            total += draw.weight * (prior - first_half.T @ second_half + first_free.T @ second_free)
        # Law of total covariance: within the draws of the parameters, and between their means.
        away = [np.array(mean) - weights @ np.array(mean) for mean in means]
        total += (weights[:, None] * away[0]).T @ away[1]
        return total

    def _mixture(self, shares: Array, sizes: Array | None, *, whole: bool) -> tuple[Array, Array, Array]:
        """Return mean and (co)variance of the mixture, and [draw, point] the variances within each draw."""
        if shares.ndim != 2 or shares.shape[1] != len(self.components):
            raise InputError(f"surface: shares {shares.shape}; expected a column for each of {self.components}")
        relative = None
        if self.reference_size is not None:
            filled = np.full(len(shares), self.reference_size) if sizes is None else np.asarray(sizes, dtype=np.float64)
            relative = filled / self.reference_size
        means = np.zeros((len(self.draws), len(shares)))
        within = np.zeros((len(self.draws), len(shares)))
        total = np.zeros((len(shares), len(shares)) if whole else len(shares))
        for place, draw in enumerate(self.draws):
            means[place], covariance = self._predicted(draw, shares, relative, whole=whole)
            within[place] = np.diag(covariance) if whole else covariance
            total += draw.weight * covariance
        weights = np.array([draw.weight for draw in self.draws])
        mean = weights @ means
        away = means - mean
        if whole:
            total += (weights[:, None] * away).T @ away
        else:
            total += weights @ away**2
        return mean, total, within

    def _predicted(self, draw: _Draw, shares: Array, sizes: Array | None, *, whole: bool) -> tuple[Array, Array]:
        """Return the posterior given one set of parameters (Rasmussen and Williams 2006, equations 2.41 and 2.42)."""
        mean, half, free = self._parts(draw, shares, sizes)
        if whole:
            return mean, self.process.covariance(shares, shares, draw.theta) - half.T @ half + free.T @ free
        prior = self.process.variance(shares, draw.theta)
        return mean, np.maximum(prior - (half**2).sum(0) + (free**2).sum(0), 0.0)

    def _parts(self, draw: _Draw, shares: Array, sizes: Array | None) -> tuple[Array, Array, Array]:
        """Return means, and the halves of what runs take off the prior covariance and what free terms add to it."""
        process = self.process
        across = process.covariance(process.shares, shares, draw.theta)
        fixed = process.fixed(shares, sizes, draw.theta)
        mean = fixed @ draw.beta + across.T @ draw.residual + process.offset(shares, draw.theta)
        half = forward_solve(draw.root, across)
        free = forward_solve(draw.information, (fixed - across.T @ draw.solved_fixed).T)
        return mean, half, free

    def left_out(self) -> LeftOut:
        """Return leave-one-mix-out predictions in closed form, with the parameters reweighted for each mix.

        Given the parameters, runs I are predicted from all others by y_I − (P_II)⁻¹ (P y)_I with covariance
        (P_II)⁻¹, P being the precision with the fixed terms projected out (Rasmussen and Williams 2006, section 5.4.2;
        Dubrule 1983 with a mean). A draw's weight without mix I is its weight over the density of y_I
        (Gelfand, Dey and Chang 1992).
        """
        groups = mixes_of(self.runs)
        count = len(self.runs)
        means, variances = np.zeros((len(self.draws), count)), np.zeros((len(self.draws), count))
        densities = np.zeros((len(self.draws), len(groups)))
        measured = self.process.score
        single = len(groups) == count
        for place, draw in enumerate(self.draws):
            precision = cho_solve(draw.root, np.eye(count))
            half = forward_solve(draw.information, draw.solved_fixed.T)
            precision -= half.T @ half
            if single:
                variances[place] = 1 / np.maximum(np.diag(precision), 1e-9 * np.trace(precision) / count)
                error = variances[place] * draw.residual
                means[place] = measured - error
                densities[place] = -0.5 * (error**2 / variances[place] + np.log(2 * np.pi * variances[place]))
                continue
            for number, group in enumerate(groups):
                block = precision[np.ix_(group, group)]
                values, vectors = np.linalg.eigh(block)
                if values.min() < 1e-9 * np.trace(precision) / count:  # nothing else determines this mix
                    values = np.maximum(values, 1e-9 * np.trace(precision) / count)
                covariance = (vectors / values) @ vectors.T
                error = covariance @ draw.residual[list(group)]
                means[place, list(group)] = measured[list(group)] - error
                variances[place, list(group)] = np.diag(covariance)
                densities[place, number] = -0.5 * (
                    error @ block @ error - np.log(values).sum() + len(group) * np.log(2 * np.pi)
                )
        # A draw's weight without mix I is w / p(y_I), so the predictive density of y_I is 1 / Σ (w / p).
        log_weights = np.log([draw.weight for draw in self.draws])[:, None] - densities
        top = log_weights.max(axis=0)
        weights = np.exp(log_weights - top)
        norms = weights.sum(axis=0)
        weights /= norms
        log_density = -(np.log(norms) + top) - np.array([len(group) for group in groups]) * np.log(self.scale)
        mean, spread = np.zeros(count), np.zeros(count)
        for number, group in enumerate(groups):
            for run in group:
                mean[run] = weights[:, number] @ means[:, run]
                spread[run] = weights[:, number] @ (variances[:, run] + (means[:, run] - mean[run]) ** 2)
        return LeftOut(groups, mean * self.scale + self.centre, np.sqrt(spread) * self.scale, log_density)


def _scale_of(df: Any) -> Any:
    """Return the squared scale of a Student density of variance 1."""
    return 1 - 2 / df


def mixes_of(runs: Runs) -> tuple[tuple[int, ...], ...]:
    """Return the runs of each mix: those of equal shares and size."""
    groups: dict[tuple[float, ...], list[int]] = {}
    for place, row in enumerate(np.round(runs.shares, 6)):
        size = 0.0 if runs.sizes is None else float(runs.sizes[place])
        groups.setdefault((*(float(share) for share in row), size), []).append(place)
    return tuple(tuple(group) for group in groups.values())


def fit(
    runs: Runs, form: Form, *, draws: int | None = None, relative_noise: Array | None = None, proxy: Proxy | None = None
) -> Fitted:
    """Fit one model of the surface.

    Args:
        relative_noise: [run], noise variance of one adapter over its mean; equal where not given.
        proxy: a cheaper surface that scores follow in part (`posologie.surface.fidelity`).
        draws: of the parameters, which are integrated out; 1 for their mode alone.

    Raises:
        InputError: where the runs are too few, or cannot determine the terms of an unshrunk model.
    """
    process, centre, scale, reference = prepared(runs, form, relative_noise=relative_noise, proxy=proxy)
    return _finished(
        form=form, runs=runs, process=process, centre=centre, scale=scale, draws=draws, notes=[], reference=reference
    )


def prepared(
    runs: Runs, form: Form, *, relative_noise: Array | None = None, proxy: Proxy | None = None
) -> tuple[Process, float, float, float | None]:
    """Return the model of a fit before its parameters are known; centre and scale of the scores; the reference size.

    Raises:
        InputError: as `fit`.
    """
    if len(runs) < 3:
        raise InputError(f"surface: {len(runs)} runs; expected three or more")
    if form.flat:
        refuse_collinear(runs, form)
    sizes, reference = _relative_sizes(runs)
    # Scores that differ by rounding alone have no scale of their own.
    known = float(np.sqrt(np.mean(np.diag(runs.items))))
    floor = max(_ROUNDING * known, _ROUNDING * float(np.abs(runs.score).max()))
    scale = max(float(np.std(runs.score, ddof=1)), floor) or 1.0
    centre = float(np.mean(runs.score))
    process = Process(
        form,
        np.clip(runs.shares, 0.0, 1.0),
        sizes,
        score=(runs.score - centre) / scale,
        items=runs.items / scale**2,
        repeats=runs.seeds / (np.ones(len(runs)) if relative_noise is None else relative_noise),
        seed_variance=None if runs.seed_variance is None else max(runs.seed_variance / scale**2, 1e-8),
        seed_df=runs.seed_df,
        low=proxy,
        relevances=form.process and len(runs.components) >= _RELEVANCES_FROM,
    )
    return process, centre, scale, reference


def _finished(
    *,
    form: Form, runs: Runs, process: Process, centre: float, scale: float, draws: int | None,
    notes: list[str], reference: float | None,
) -> Fitted:  # fmt: skip
    count = draws or (_DRAWS if len(runs) <= _ALL_DRAWS_UP_TO else _DRAWS // 2 if len(runs) <= 200 else _DRAWS // 4)
    thetas, weights = process.integrate(count)
    every = tuple(_draw(process, theta, float(weight)) for theta, weight in zip(thetas, weights, strict=True))
    if not form.flat and form.degree:
        terms = scheffe_terms(runs.shares, form.degree).shape[1]
        rank = int(np.linalg.matrix_rank(scheffe_terms(runs.shares, form.degree), tol=_ROUNDING))
        if rank < terms:
            notes.append(
                f"{len(runs)} runs determine {rank} of the {terms} terms of a {form.name}; shrinkage decides the others"
            )
    fitted = Fitted(
        form=form, runs=runs, process=process, draws=every, centre=centre, scale=scale, df=np.inf,
        notes=tuple(notes), reference_size=reference,
    )  # fmt: skip
    _, total, within = fitted._mixture(process.shares, None if runs.sizes is None else runs.sizes, whole=False)
    weights = np.array([draw.weight for draw in every])
    df = float(np.median(_degrees(weights, within, total)))
    return replace(fitted, df=df)


def _degrees(weights: Array, within: Array, total: Array) -> Array:
    """Return [point], the degrees of freedom at which a Student density has the kurtosis of the mixture of draws.

    A variance that is inverse-gamma with ν degrees of freedom has a squared coefficient of variation of 2 / (ν − 4).
    """
    average = weights @ within
    relative = (weights @ (within - average) ** 2) / np.maximum(total, 1e-12) ** 2
    degrees: Array = 4 + 2 / np.maximum(relative, 1e-6)
    return degrees


def _draw(process: Process, theta: Array, weight: float) -> _Draw:
    count = len(process.score)
    noise = float(np.exp(2 * theta[process.names.index("noise")]))
    total = process.covariance(process.shares, process.shares, theta) + process.items
    rounding = count * np.finfo(float).eps * float(np.trace(total))  # keeps the root where one part outweighs the rest
    total[np.diag_indices(count)] += noise / process.repeats + 1e-8 + rounding
    root = cholesky(total)
    fixed = process.fixed(process.shares, process.sizes, theta)
    solved = cho_solve(root, fixed)
    information = cholesky(fixed.T @ solved)
    moved = process.score - process.offset(process.shares, theta)
    beta = cho_solve(information, solved.T @ moved)
    residual = cho_solve(root, moved - fixed @ beta)
    return _Draw(theta, weight, root, solved_fixed=solved, information=information, beta=beta, residual=residual)


def _relative_sizes(runs: Runs) -> tuple[Array | None, float | None]:
    """Return sizes relative to the largest; None where all are alike."""
    if runs.sizes is None or np.ptp(runs.sizes) == 0:
        return None, None
    if runs.sizes.min() <= 0:
        raise InputError(f"run {runs.names[int(runs.sizes.argmin())]}: size {runs.sizes.min():g}; expected above 0")
    reference = float(runs.sizes.max())
    return runs.sizes / reference, reference


def refuse_collinear(runs: Runs, form: Form) -> None:
    """Refuse a design that cannot determine the terms of an unshrunk model.

    Raises:
        InputError: with the numbers of runs and terms.
    """
    terms = scheffe_terms(runs.shares, form.degree)
    rank = int(np.linalg.matrix_rank(terms, tol=_ROUNDING))
    if rank < terms.shape[1]:
        raise InputError(
            f"surface: {len(runs)} runs ({len(mixes_of(runs))} mixes) determine only {rank} of the {terms.shape[1]} "
            f"terms of a {form.name} model; train more mixes, or let the coefficients be shrunk"
        )
