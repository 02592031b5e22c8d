"""The Gaussian model behind a surface: its covariance, its marginal likelihood, and its parameters integrated out."""

import contextlib
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.linalg import LinAlgError
from scipy.optimize import minimize
from scipy.stats import qmc

from posologie.running.errors import InputError
from posologie.surface import sampling
from posologie.surface.forms import (
    Form,
    Prior,
    cho_solve,
    cholesky,
    matern,
    parameters,
    scheffe_kernel,
    scheffe_terms,
    squared_distances,
)
from posologie.surface.runs import Array

_JITTER = 1e-8
_SAMPLED_FROM = 8  # parameters; in more dimensions importance weights come to rest on a few points
_WORST = -1e25
_SEED = 88
_STACKED_UP_TO = 40  # runs; beyond, one covariance at a time is as fast


def _inverses(stack: Array) -> Array:
    """Return the inverse of each matrix of [draw, row, column]; NaN where one is singular, as at extreme parameters."""
    try:
        return np.asarray(np.linalg.inv(stack), dtype=np.float64)
    except np.linalg.LinAlgError:
        inverses: Array = np.full_like(stack, np.nan)
        for place, matrix in enumerate(stack):
            with contextlib.suppress(np.linalg.LinAlgError):
                inverses[place] = np.linalg.inv(matrix)
        return inverses


class Proxy(Protocol):
    """What a proxy's surface says, standardised: its posterior mean and covariance at some points."""

    def mean(self, shares: Array) -> Array:
        """Return [point]."""
        ...

    def covariance(self, left: Array, right: Array) -> Array:
        """Return [left, right]."""
        ...

    def variance(self, shares: Array) -> Array:
        """Return [point], the diagonal of the covariance."""
        ...


@dataclass
class Process:
    """A constant, Scheffé terms, a process and noise, fitted to standardised scores.

    Attributes:
        form: the model.
        shares: [run, component].
        sizes: [run], relative to a reference; None where they are alike.
        score: [run], standardised.
        items: [run, run], the known covariance.
        repeats: [run], adapters behind each score; or the weights of its noise.
        seed_variance: standardised, with `seed_df`; None where not known.
        low: the proxy's surface, if there is one.
        relevances: whether each component has a length scale of its own.
    """

    form: Form
    shares: Array
    sizes: Array | None
    score: Array
    items: Array
    repeats: Array
    seed_variance: float | None
    seed_df: float
    low: Proxy | None = None
    relevances: bool = False
    names: list[str] = field(init=False)
    priors: list[Prior] = field(init=False)

    def __post_init__(self) -> None:
        """Prepare what no parameter changes."""
        named = parameters(
            self.form, self.shares.shape[1],
            sized=self.sizes is not None, proxied=self.low is not None, relevances=self.relevances,
        )  # fmt: skip
        self.names, self.priors = list(named), list(named.values())
        self._place = {name: place for place, name in enumerate(self.names)}
        self._scheffe = [
            scheffe_kernel(self.shares, self.shares, degree)
            for degree in range(1, 0 if self.form.flat else self.form.degree + 1)
        ]
        with np.errstate(divide="ignore"):
            self._logs = np.where(self.shares > 0, np.log(np.maximum(self.shares, 1e-12)), 0.0)
        self._low = (
            None if self.low is None else (self.low.mean(self.shares), self.low.covariance(self.shares, self.shares))
        )

    def _value(self, theta: Array, name: str) -> float:
        return float(np.exp(theta[self._place[name]]))

    def _scales(self, theta: Array) -> Array:
        length = self._value(theta, "length")
        if not self.relevances:
            return np.full(self.shares.shape[1], length)
        first = self._place["relevance 0"]
        scales: Array = length * np.exp(theta[first : first + self.shares.shape[1]])
        return scales

    def _warped(self, shares: Array, theta: Array) -> Array:
        warped: Array = np.where(shares > 0, np.maximum(shares, 1e-12) ** self._value(theta, "power"), 0.0)
        return warped / self._scales(theta)

    def fixed(self, shares: Array, sizes: Array | None, theta: Array) -> Array:
        """Return [point, term], the terms with coefficients of their own: constant or polynomial, and size."""
        columns = scheffe_terms(shares, self.form.degree if self.form.flat else 0)
        if self.sizes is not None:
            if sizes is None:
                raise InputError("surface: no sizes; expected the number of items of each mix")
            columns = np.column_stack([columns, -(sizes ** -self._value(theta, "size exponent"))])
        return columns

    def covariance(self, left: Array, right: Array, theta: Array) -> Array:
        """Return [left, right], the prior covariance of expected scores."""
        total = np.zeros((len(left), len(right)))
        if not self.form.flat:
            for degree in range(1, self.form.degree + 1):
                total += self._value(theta, f"degree {degree}") ** 2 * scheffe_kernel(left, right, degree)
        if self.form.process:
            squared = squared_distances(self._warped(left, theta), self._warped(right, theta))
            total += self._value(theta, "process") ** 2 * matern(squared)[0]
        if self.low is not None:
            total += theta[self._place["proxy slope"]] ** 2 * self.low.covariance(left, right)
        return total

    def variance(self, shares: Array, theta: Array) -> Array:
        """Return [point], the diagonal of `covariance`."""
        total = np.zeros(len(shares))
        power_2, power_4, power_6 = (shares**2).sum(1), (shares**4).sum(1), (shares**6).sum(1)
        peaks = (power_2, 8 * (power_2**2 - power_4), 729 * (power_2**3 - 3 * power_2 * power_4 + 2 * power_6) / 6)
        if not self.form.flat:
            for degree in range(1, self.form.degree + 1):
                total += self._value(theta, f"degree {degree}") ** 2 * peaks[degree - 1]
        if self.form.process:
            total += self._value(theta, "process") ** 2
        if self.low is not None:
            slope = theta[self._place["proxy slope"]]
            total += slope**2 * self.low.variance(shares)
        return total

    def offset(self, shares: Array, theta: Array) -> Array:
        """Return [point], what the proxy says."""
        if self.low is None:
            return np.zeros(len(shares))
        mean: Array = theta[self._place["proxy slope"]] * self.low.mean(shares)
        return mean

    def log_posterior(self, theta: Array, *, slope: bool = False) -> tuple[float, Array]:
        """Return the log of restricted likelihood × prior, and its gradient if `slope` is set.

        The coefficients of the fixed terms are integrated out under a flat prior (Patterson and Thompson 1971;
        Rasmussen and Williams 2006, section 2.7).
        """
        gradient = np.zeros(len(theta))
        if not np.all(np.abs(theta) < 30):
            return _WORST, gradient
        total = self.items.copy()
        terms: dict[str, Array] = {}
        for degree, kernel in enumerate(self._scheffe, start=1):
            term = self._value(theta, f"degree {degree}") ** 2 * kernel
            terms[f"degree {degree}"] = term
            total += term
        if self.form.process:
            warped = self._warped(self.shares, theta)
            correlation, decline = matern(squared_distances(warped, warped))
            amplitude = self._value(theta, "process") ** 2
            total += amplitude * correlation
        noise = self._value(theta, "noise") ** 2
        total[np.diag_indices_from(total)] += noise / self.repeats + _JITTER
        moved = self.score
        if self._low is not None:
            rho = theta[self._place["proxy slope"]]
            total += rho**2 * self._low[1]
            moved = moved - rho * self._low[0]
        fixed = self.fixed(self.shares, self.sizes, theta)
        try:
            root = cholesky(total)
            solved = cho_solve(root, fixed)
            information = cholesky(fixed.T @ solved)
        except LinAlgError:
            return _WORST, gradient
        # Σ⁻¹ (y − Hβ) at the generalised least-squares β: what integrating over β leaves of Σ⁻¹ y.
        scores = cho_solve(root, moved)
        residual = scores - solved @ cho_solve(information, fixed.T @ scores)
        value = -float(np.log(np.diag(root)).sum() + np.log(np.diag(information)).sum() + 0.5 * moved @ residual)
        if self.seed_variance is not None and self.seed_df > 0:
            # The measured variance is σ² χ² / ν, so it has a likelihood of σ² beside that of the scores.
            ratio = self.seed_variance / noise
            value += 0.5 * self.seed_df * (np.log(ratio) - ratio)
        for place, prior in enumerate(self.priors):
            density, steep = prior.log_density(float(theta[place]))
            value += density
            gradient[place] = steep
        if not slope:
            return value, gradient
        # ∂L/∂θ = ½ tr[(rr' − P) ∂Σ/∂θ] with r = Py (Rasmussen and Williams 2006, equation 5.9, with P, the precision
        # without the fixed terms, for Σ⁻¹); parameters are logs of standard deviations, so ∂Σ/∂θ is twice the part.
        inverse = cho_solve(root, np.eye(len(total)))
        inverse -= solved @ cho_solve(information, solved.T)
        weight = 0.5 * (np.outer(residual, residual) - inverse)
        for name, term in terms.items():
            gradient[self._place[name]] += 2 * float((weight * term).sum())
        gradient[self._place["noise"]] += 2 * float((np.diag(weight) * noise / self.repeats).sum())
        if self.seed_variance is not None and self.seed_df > 0:
            gradient[self._place["noise"]] += self.seed_df * (self.seed_variance / noise - 1)
        if self._low is not None:
            gradient[self._place["proxy slope"]] += float(2 * rho * (weight * self._low[1]).sum())
            gradient[self._place["proxy slope"]] += float(residual @ self._low[0])
        if self.sizes is not None:
            exponent = self._value(theta, "size exponent")
            beta = cho_solve(information, solved.T @ moved)
            steep_size = self.sizes**-exponent * np.log(self.sizes) * exponent
            # d/dθ of −½ log|H'Σ⁻¹H| − ½ r'Σ⁻¹r for H's last column
            inner = cho_solve(information, solved.T)[-1]
            gradient[self._place["size exponent"]] += float(residual @ steep_size * beta[-1] - inner @ steep_size)
        if self.form.process:
            gradient[self._place["process"]] += 2 * amplitude * float((weight * correlation).sum())
            push = amplitude * weight * decline  # dL / d squared distance
            sums = push.sum(1)
            by_component = -2 * 2 * (sums @ warped**2 - np.einsum("ik,ik->k", warped, push @ warped))
            gradient[self._place["length"]] += float(by_component.sum())
            if self.relevances:
                first = self._place["relevance 0"]
                gradient[first : first + len(by_component)] += by_component
            turned = warped * self._logs * self._value(theta, "power")
            gradient[self._place["power"]] += 4 * float(
                sums @ (warped * turned).sum(1) - (turned * (push @ warped)).sum()
            )
        return value, gradient

    def mode(self, start: Array | None = None) -> Array:
        """Return the parameters with the highest posterior density, from several starts."""
        centre = np.array([prior.start for prior in self.priors])
        starts = [centre] if start is None else [start]
        if start is None:
            quiet = centre.copy()  # few runs may have a mode that is all noise: one start begins away from it
            quiet[self._place["noise"]] -= 1.5
            starts.append(quiet)

        def negative(theta: Array) -> tuple[float, Array]:
            value, gradient = self.log_posterior(theta, slope=True)
            return -value, -gradient

        bounds = [(-2.0, 3.0) if prior.kind == "real" else (-7.0, 4.0) for prior in self.priors]
        optima = [minimize(negative, point, jac=True, method="L-BFGS-B", bounds=bounds) for point in starts]
        best: Array = min(optima, key=lambda optimum: float(optimum.fun)).x
        return best

    def integrate(self, count: int) -> tuple[Array, Array]:
        """Return [draw, parameter] and weights that stand for the posterior of the parameters.

        With `count` 1, the mode alone, which makes intervals too narrow where runs are few.
        """
        mode = self.mode()
        if count <= 1:
            return mode[None, :], np.ones(1)
        spread = self._spread(mode)
        if len(mode) > _SAMPLED_FROM:
            return sampling.hamiltonian(lambda theta: self.log_posterior(theta, slope=True), mode, spread, count)
        return sampling.importance(self.log_posteriors, mode, spread, count)

    def from_prior(self, count: int) -> Array:
        """Return [draw, parameter], the same draws from the prior whatever the scores."""
        sobol = qmc.Sobol(len(self.priors), scramble=True, rng=np.random.default_rng(_SEED))
        uniform = np.clip(sobol.random_base2(int(np.ceil(np.log2(count))))[:count], 1e-6, 1 - 1e-6)
        return np.stack([prior.quantile(uniform[:, place]) for place, prior in enumerate(self.priors)], axis=1)

    def log_posteriors(self, thetas: Array) -> Array:
        """Return `log_posterior` for each row of parameters, all at once where the runs are few."""
        if len(self.score) > _STACKED_UP_TO or self.low is not None:
            return np.array([self.log_posterior(theta)[0] for theta in thetas])
        total, fixed = self.stacked(thetas)
        inverse = _inverses(total)
        solved = inverse @ fixed
        information = np.swapaxes(fixed, 1, 2) @ solved
        scores = inverse @ self.score
        across = np.swapaxes(fixed, 1, 2) @ scores[:, :, None]
        squares = scores @ self.score - (across * (_inverses(information) @ across)).sum((1, 2))
        with np.errstate(invalid="ignore"):  # NaN where a draw has no inverse
            heights = -0.5 * (np.linalg.slogdet(total)[1] + np.linalg.slogdet(information)[1] + squares)
        heights = heights + self.log_seeds(thetas)
        for place, prior in enumerate(self.priors):
            heights += [prior.log_density(float(value))[0] for value in thetas[:, place]]
        return np.where(np.isfinite(heights) & (np.abs(thetas) < 15).all(axis=1), heights, _WORST)

    def log_seeds(self, thetas: Array) -> Array:
        """Return [draw], the log likelihood of the measured seed variance: χ² with its degrees of freedom, scaled."""
        if self.seed_variance is None or self.seed_df <= 0:
            return np.zeros(len(thetas))
        ratio = np.log(self.seed_variance) - 2 * thetas[:, self._place["noise"]]
        density: Array = 0.5 * self.seed_df * (ratio - np.exp(ratio))
        return density

    def stacked(self, thetas: Array) -> tuple[Array, Array]:
        """Return [draw, run, run] covariances of the scores and [draw, run, term] fixed terms."""
        thetas = np.clip(thetas, -15, 15)
        count = len(self.score)
        total = np.broadcast_to(self.items, (len(thetas), count, count)).copy()
        for degree, kernel in enumerate(self._scheffe, start=1):
            total += np.exp(2 * thetas[:, self._place[f"degree {degree}"]])[:, None, None] * kernel
        if self.form.process:
            warped = (self._warped(self.shares, theta) for theta in thetas)
            squared = np.stack([squared_distances(points, points) for points in warped])
            total += np.exp(2 * thetas[:, self._place["process"]])[:, None, None] * matern(squared)[0]
        noise = np.exp(2 * thetas[:, self._place["noise"]])
        total[:, np.arange(count), np.arange(count)] += noise[:, None] / self.repeats + _JITTER
        return total, np.stack([self.fixed(self.shares, self.sizes, theta) for theta in thetas])

    def _spread(self, mode: Array) -> Array:
        """Return the inverse curvature at the mode, no wider than a prior and no narrower than a twentieth of one."""
        step = 1e-3
        curvature = np.zeros((len(mode), len(mode)))
        for place in range(len(mode)):
            ahead, behind = mode.copy(), mode.copy()
            ahead[place] += step
            behind[place] -= step
            change = self.log_posterior(ahead, slope=True)[1] - self.log_posterior(behind, slope=True)[1]
            curvature[place] = -change / (2 * step)
        values, vectors = np.linalg.eigh((curvature + curvature.T) / 2)
        spread: Array = (vectors / np.clip(values, 0.5, 400.0)) @ vectors.T
        return spread
