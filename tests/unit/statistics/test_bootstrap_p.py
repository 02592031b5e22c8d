"""The p-value of bootstrap draws: never 0, two-sided, at most 1."""

import numpy as np
import pytest

from posologie.statistics.intervals import bootstrap_p


@pytest.mark.parametrize(
    ("draws", "expected"),
    [
        (np.ones(99), 2 * 1 / 100),  # no draw reaches 0, and still the p-value is not 0
        (-np.ones(99), 2 * 1 / 100),
        (np.concatenate([np.ones(97), -np.ones(2)]), 2 * 3 / 100),
        (np.concatenate([np.ones(97), np.zeros(2)]), 2 * 3 / 100),  # a draw of 0 counts on both sides
        (np.concatenate([-np.ones(97), np.zeros(2)]), 2 * 3 / 100),
        (np.zeros(9), 1.0),
        (np.array([1.0, -1.0]), 1.0),
        (np.array([]), 1.0),
    ],
)
def test_the_p_value_counts_the_draws_on_the_other_side_and_the_observed_one(draws, expected):
    assert bootstrap_p(draws) == pytest.approx(expected)
