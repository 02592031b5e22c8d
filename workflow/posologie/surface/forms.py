"""Models of the surface: Scheffé's terms, the correlation of a process, and priors of their parameters."""

from dataclasses import dataclass
from functools import reduce
from itertools import combinations
from typing import NamedTuple

import numpy as np
from numpy.linalg import LinAlgError
from scipy.linalg.lapack import dpotrf, dpotrs, dtrtrs
from scipy.stats import norm

from posologie.surface.runs import Array

_SQRT5 = 5**0.5


@dataclass(frozen=True)
class Form:
    """A model of the surface.

    Attributes:
        name: as tables print it.
        degree: of the Scheffé polynomial: 0 a constant, 1 linear, 2 quadratic, 3 special cubic.
        process: whether a Gaussian process is added to the polynomial.
        flat: whether all coefficients are estimated freely, as by least squares; else all but the constant are
            shrunk towards 0, by as much as the marginal likelihood says.
    """

    name: str
    degree: int
    process: bool = False
    flat: bool = False


class Prior(NamedTuple):
    """Of one parameter, which is the logarithm of what it is called by.

    Attributes:
        kind: "scale" for an exponential density of the standard deviation itself (a penalised-complexity prior:
            Simpson et al. 2017), "normal" for a normal density of its logarithm, or "real" for a normal density of
            the parameter itself, which is then no logarithm.
        centre: mean of the density, on the scale that it is a density of.
        spread: standard deviation of a normal density.
    """

    kind: str
    centre: float
    spread: float = 1.0

    def log_density(self, value: float) -> tuple[float, float]:
        """Return the log density of the parameter and its slope."""
        if self.kind == "scale":
            ratio = float(np.exp(min(value, 50.0))) / self.centre
            return value - ratio, 1 - ratio
        centre = float(np.log(self.centre)) if self.kind == "normal" else self.centre
        away = (value - centre) / self.spread
        return -0.5 * away * away, -away / self.spread

    def quantile(self, chance: Array) -> Array:
        """Return the parameter at [point] probabilities."""
        if self.kind == "scale":
            return np.log(-self.centre * np.log1p(-chance))
        centre = float(np.log(self.centre)) if self.kind == "normal" else self.centre
        values: Array = centre + self.spread * norm.ppf(chance)
        return values

    @property
    def start(self) -> float:
        """Where a search starts."""
        return self.centre if self.kind == "real" else float(np.log(self.centre))


def parameters(form: Form, components: int, *, sized: bool, proxied: bool, relevances: bool) -> dict[str, Prior]:
    """Return the parameters of a form with their priors, in units of the standard deviation of the scores.

    Args:
        relevances: whether each component has a length scale of its own, about the common one.
    """
    named: dict[str, Prior] = {"noise": Prior("scale", 0.5)}
    if not form.flat:
        for degree in range(1, form.degree + 1):
            named[f"degree {degree}"] = Prior("scale", 1.5 if degree == 1 else 1.0)
    if form.process:
        named["process"] = Prior("scale", 1.0)
        named["length"] = Prior("normal", 0.7, 0.7)
        named["power"] = Prior("normal", 0.7, 0.3)
    if sized:
        named["size exponent"] = Prior("normal", 0.35, 0.6)
    if proxied:
        named["proxy slope"] = Prior("real", 1.0, 1.0)
    if form.process and relevances:
        for component in range(components):
            named[f"relevance {component}"] = Prior("real", 0.0, 1.0)
    return named


def cholesky(matrix: Array) -> Array:
    """Return the lower root. SciPy's wrappers cost more than the arithmetic where runs are few.

    Raises:
        LinAlgError: for a matrix that is not positive definite.
    """
    root, info = dpotrf(matrix, lower=1, clean=1)
    if info:
        raise LinAlgError(f"leading minor {info} is not positive")
    lower: Array = root
    return lower


def cho_solve(root: Array, right: Array) -> Array:
    """Return the solution of root rootᵀ x = right."""
    solution: Array = dpotrs(root, right, lower=1)[0]
    return solution


def forward_solve(root: Array, right: Array) -> Array:
    """Return the solution of root x = right."""
    solution: Array = dtrtrs(root, right, lower=1)[0]
    return solution


def scheffe_kernel(left: Array, right: Array, degree: int) -> Array:
    """Return [left, right], products of all blending terms of one degree, each term scaled to a peak of 1.

    The terms are x_i; 4 x_i x_j; 27 x_i x_j x_k (Scheffé 1958). Their sums are elementary symmetric polynomials of
    the products x_i x'_i, so no term is written out.
    """
    first = left @ right.T
    if degree == 1:
        return first
    second = (left**2) @ (right**2).T
    if degree == 2:
        return 16 * (first**2 - second) / 2
    third = (left**3) @ (right**3).T
    return 729 * (first**3 - 3 * first * second + 2 * third) / 6


def products_of(components: int, degree: int) -> list[tuple[int, ...]]:
    """Return the products of different components up to a degree: singles, then pairs, then threes."""
    return [chosen for size in range(1, degree + 1) for chosen in combinations(range(components), size)]


def scheffe_terms(shares: Array, degree: int) -> Array:
    """Return [..., term], the unscaled Scheffé terms up to a degree: x_i; x_i x_j; x_i x_j x_k (Scheffé 1958).

    Degree 0 is a constant.
    """
    if degree == 0:
        return np.ones((*shares.shape[:-1], 1))
    products = products_of(shares.shape[-1], degree)
    return np.stack([reduce(np.multiply, (shares[..., component] for component in term)) for term in products], axis=-1)


def squared_distances(left: Array, right: Array) -> Array:
    """Return [left, right], squared Euclidean distances."""
    distances: Array = (left**2).sum(1)[:, None] + (right**2).sum(1)[None, :] - 2 * left @ right.T
    return np.maximum(distances, 0.0)


def matern(squared: Array) -> tuple[Array, Array]:
    """Return Matérn's correlation with ν = 5/2 and its slope in the squared distance."""
    away = _SQRT5 * np.sqrt(squared)
    decay = np.exp(-away)
    return (1 + away + 5 * squared / 3) * decay, -(5 / 6) * (1 + away) * decay
