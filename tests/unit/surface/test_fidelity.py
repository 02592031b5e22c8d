"""A proxy as a second fidelity: of use where it follows, without weight where it does not."""

import numpy as np
import pytest

from posologie.running.errors import InputError
from posologie.surface.fidelity import agreement, with_proxy
from posologie.surface.runs import Runs

LATTICE = np.array([[i, j, 6 - i - j] for i in range(7) for j in range(7 - i)]) / 6


def curved(shares):
    return 4 * np.exp(-((shares - [0.5, 0.3, 0.2]) ** 2).sum(axis=1) / 0.1) + shares @ [1.0, 0, -1]


def runs_of(shares, score, components=("a", "b", "c")):
    count = len(shares)
    return Runs(
        tuple(map(str, range(count))),
        components,
        shares,
        sizes=None,
        score=np.asarray(score, float),
        items=np.zeros((count, count)),
        seeds=np.ones(count, dtype=np.int64),
    )


@pytest.fixture(scope="module")
def trained():
    places = [0, 3, 6, 9, 14, 20, 24, 27]
    return runs_of(LATTICE[places], 50 + 2 * curved(LATTICE[places]) + 0.1 * np.random.default_rng(0).normal(size=8))


def test_a_proxy_that_follows_gets_weight_and_lowers_the_error(trained):
    proxy = runs_of(LATTICE, 30 + curved(LATTICE) + LATTICE[:, 2] + 0.1 * np.random.default_rng(1).normal(size=28))
    combined = with_proxy(trained, proxy, draws=8)
    assert combined.agreement.mixes == 8
    assert combined.agreement.low > 0
    assert combined.weight > 3 * combined.weight_sd > 0
    truth = 50 + 2 * curved(LATTICE)
    errors = [
        np.sqrt(np.mean((surface.interval(LATTICE).mean - truth) ** 2))
        for surface in (combined.surface, combined.plain.surface)
    ]
    assert errors[0] < 0.5 * errors[1]
    interval = combined.surface.interval(LATTICE)
    assert np.mean((interval.low <= truth) & (truth <= interval.high)) > 0.8
    # a measured score stays what was measured, whatever the proxy says of that mix
    at = combined.surface.interval(trained.shares).mean
    np.testing.assert_allclose(at, trained.score, atol=0.4)
    moments = combined.surface.moments(LATTICE[:3])
    np.testing.assert_allclose(
        np.sqrt(np.diag(moments.covariance)) * 4, interval.high[:3] - interval.low[:3], rtol=0.6
    )  # fmt: skip


def test_a_proxy_that_does_not_follow_has_no_weight(trained):
    proxy = runs_of(LATTICE, np.random.default_rng(3).normal(size=28))
    combined = with_proxy(trained, proxy, draws=8)
    assert combined.weight == 0
    assert combined.surface is combined.plain.surface
    assert combined.agreement.low < 0 < combined.agreement.high
    assert "the proxy has no weight" in combined.notes[0]


def test_the_interval_of_the_correlation_is_fishers_over_the_mixes_measured_both_ways(trained):
    proxy = runs_of(LATTICE[:10], np.arange(10.0))
    agreed = agreement(trained, proxy)
    assert agreed.mixes == 4
    both = np.corrcoef(trained.score[:4], [0.0, 3, 6, 9])[0, 1]
    assert agreed.correlation == pytest.approx(both)
    assert agreed.high == pytest.approx(np.tanh(np.arctanh(both) + 1.959964), abs=1e-6)
    few = agreement(trained, runs_of(LATTICE[:9], np.arange(9.0)))
    assert few.correlation is None
    assert "3 mixes measured both ways: too few" in few.note
    with pytest.raises(InputError, match="components"):
        agreement(trained, runs_of(LATTICE, np.zeros(28), ("a", "b", "d")))
