"""The most power that any test of recipes can have, where few seeds tell their variance.

    python tests/benchmarks/statistics_power_bound.py

The model: a difference with a known variance of items of 1, of which `noise` is the residual that seeds repeat, and S²,
which is `noise` or more times χ² over its degrees of freedom. A linear programme over all tests that depend on the size
of the difference and on S² finds the largest power where seeds do not matter, among those that reject at most 5 times
in 100 whatever seeds do. Printed are the settings of docs/method.md, on 1,000 items: 0.708, 0.262 and 0.194 are the
residual's parts of the variance, and 3.61, 3.11 and 3.26 standard errors are 5 points.
"""

import numpy as np
from scipy.optimize import linprog
from scipy.stats import chi2, norm

SETTINGS = {
    "a single mix against base, three seeds": (0.194, 3.256),
    "two mixes, one against base, two seeds": (0.262, 3.11),
    "two mixes, against each other, two seeds": (0.708, 3.61),
}


def bound(noise: float, df: int, gap: float, alpha: float = 0.05) -> float:
    """Return the largest power against a difference of `gap` standard errors."""
    sizes = np.concatenate([np.linspace(0, 5, 101), np.geomspace(5.05, 60, 60), [np.inf]])
    spreads = np.concatenate([[0.0], noise * np.geomspace(0.05, 400, 70), [np.inf]])

    def chances(true: float, mean: float = 0.0) -> np.ndarray:
        """Return the chance of each cell of S² × size."""
        error = np.sqrt(1 + true - noise)
        of_size = np.diff(norm.cdf((sizes - mean) / error)) + np.diff(norm.cdf((sizes + mean) / error))
        return np.outer(np.diff(chi2.cdf(df * spreads / true, df)), of_size).ravel()

    levels = np.stack([chances(noise * times) for times in np.geomspace(1, 400, 45)])
    optimum = linprog(
        -chances(noise, gap), A_ub=levels, b_ub=np.full(len(levels), alpha), bounds=(0, 1), method="highs"
    )
    return float(-optimum.fun)


def main() -> None:
    """Print the bound in each setting."""
    for name, (noise, gap) in SETTINGS.items():
        known = norm.sf(norm.isf(0.025) - gap)
        print(f"{name}: {100 * bound(noise, 2, gap):.1f} %; if seeds were known not to matter, {100 * known:.1f} %")


if __name__ == "__main__":
    main()
