"""A surface of known form for tests: Scheffé's quadratic, times what more items bring, fitted by least squares."""

from dataclasses import dataclass, field
from itertools import combinations

import numpy as np

from posologie.surface.runs import Moments, Runs


def terms(shares, sizes=None):
    """Return [point, term]: shares, their products, and the logarithm of the size where there is one."""
    products = [shares[:, first] * shares[:, other] for first, other in combinations(range(shares.shape[1]), 2)]
    columns = [*shares.T, *products]
    if sizes is not None:
        columns.append(np.log(sizes / 1000))
    return np.column_stack(columns)


@dataclass(frozen=True)
class Gaussian:
    components: tuple[str, ...]
    coefficients: np.ndarray
    covariance: np.ndarray
    df: float = np.inf
    run_variance: float = 1.0
    terms: object = field(default=staticmethod(terms))

    def moments(self, shares, sizes=None):
        rows = self.terms(shares, sizes)
        return Moments(rows @ self.coefficients, rows @ self.covariance @ rows.T)


def least_squares(components, shares, score, sizes=None, variance=None, terms=terms):
    """Fit by ordinary least squares; the variance from residuals where it is not known."""
    rows = terms(shares, sizes)
    inverse = np.linalg.pinv(rows.T @ rows)
    coefficients = inverse @ rows.T @ score
    df = np.inf
    if variance is None:
        df = len(rows) - rows.shape[1]
        variance = float(((score - rows @ coefficients) ** 2).sum() / df)
    return Gaussian(tuple(components), coefficients, variance * inverse, df, variance, terms)


CENTROID = np.array(
    [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5], [1 / 3, 1 / 3, 1 / 3]]
)
"""The seven mixes of three components."""
COMPONENTS = ("native", "translated", "synthetic")


def runs_of(shares, score, components=COMPONENTS, names=None, **others):
    """Return runs without known errors of items."""
    count = len(shares)
    known = {"sizes": None, "items": np.zeros((count, count)), "seeds": np.ones(count, dtype=np.int64), **others}
    return Runs(
        tuple(names or (f"M{place}" for place in range(count))), tuple(components), shares, score=score, **known
    )
