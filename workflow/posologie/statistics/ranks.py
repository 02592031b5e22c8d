"""Agreement of two rankings, for many draws at once."""

import numpy as np
from numpy.typing import NDArray


def kendall_tau(first: NDArray[np.float64], second: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return Kendall's τ-b (Kendall 1945) of two rankings along the last axis.

    Args:
        first, second: [..., n].

    Returns:
        [...]; NaN where one of them is constant.
    """
    left, right = np.triu_indices(first.shape[-1], 1)
    signs = [np.sign(values[..., left] - values[..., right]) for values in (first, second)]
    agreement = (signs[0] * signs[1]).sum(axis=-1)
    untied = [np.abs(sign).sum(axis=-1) for sign in signs]
    with np.errstate(invalid="ignore", divide="ignore"):
        tau: NDArray[np.float64] = agreement / np.sqrt(untied[0] * untied[1])
    return tau
