"""Scores of items that are alike inside clusters."""

import numpy as np


def clustered_scores(numbers: np.random.Generator, sizes: np.ndarray, studies: int) -> np.ndarray:
    """Return [study, item]: right answers of probability 0.4, alike inside clusters."""
    ease = numbers.beta(0.4 * 2, 0.6 * 2, size=(studies, len(sizes)))
    return (numbers.random((studies, int(sizes.sum()))) < np.repeat(ease, sizes, axis=1)).astype(float)
