"""Choice of the model by left-out mixes, support, lack of fit, and noise that depends on the mix."""

from itertools import product

import numpy as np
import pytest

from posologie.running.errors import InputError
from posologie.surface.choice import choose, permutation_test, signed_ranks
from posologie.surface.fit import CUBIC, LINEAR, PROCESS, QUADRATIC
from posologie.surface.noise import averaged, lack_of_fit, moderate, noise_test, pooled
from posologie.surface.runs import Runs

CENTROID = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5], [1 / 3] * 3])
LATTICE = np.array([[i, j, 4 - i - j] for i in range(5) for j in range(5 - i)]) / 4


def curved(shares):
    return shares @ [3.0, 1.0, 0.0] + 12 * shares[:, 0] * shares[:, 1]


def runs_of(shares, score, **known):
    count = len(shares)
    return Runs(
        tuple(map(str, range(count))),
        ("a", "b", "c"),
        shares,
        sizes=None,
        score=np.asarray(score, float),
        items=known.pop("items", np.zeros((count, count))),
        seeds=known.pop("seeds", np.ones(count, dtype=np.int64)),
        **known,
    )


@pytest.fixture(scope="module")
def chosen():
    noise = 0.2 * np.random.default_rng(0).normal(size=15)
    return choose(runs_of(LATTICE, curved(LATTICE) + noise, seed_variance=0.04, seed_df=10.0), draws=16)


def test_a_curved_truth_is_not_fitted_by_a_plane(chosen):
    errors = {candidate.fitted.form.name: candidate.rmse for candidate in chosen.candidates}
    assert chosen.supported
    assert chosen.p_value <= 0.05
    assert chosen.surface.form.degree >= 2
    assert errors["quadratic"] < errors["linear"] < errors["mean"]
    assert chosen.chosen.gain_low > 0


def test_noise_alone_supports_no_surface():
    choice = choose(runs_of(CENTROID, np.random.default_rng(4).normal(size=7)), draws=8)
    assert not choice.supported
    assert choice.notes[0].startswith("these runs do not support a surface")
    assert "n = 7 mixes" in choice.notes[0]
    with pytest.raises(InputError, match="2 different mixes; expected three or more"):
        choose(runs_of(np.repeat(CENTROID[:2], 2, axis=0), [1, 2, 3, 4]))


def test_the_process_on_a_saturated_design_says_so():
    noise = 0.1 * np.random.default_rng(0).normal(size=7)
    choice = choose(runs_of(CENTROID, curved(CENTROID) + noise), [PROCESS], draws=8)
    assert choice.surface.form is PROCESS
    assert "a special cubic goes through all 7 mixes exactly" in choice.notes[-1]


def test_seven_mixes_can_support_a_surface_and_noise_is_rarely_taken_for_one():
    rng = np.random.default_rng(5)
    signal = CENTROID @ [6.0, 1.0, -4.0] + 0.1 * rng.normal(size=7)
    assert permutation_test(runs_of(CENTROID, signal)) <= 0.05
    claimed = [permutation_test(runs_of(CENTROID, rng.normal(size=7)), [LINEAR]) for _ in range(16)]
    assert np.mean(np.array(claimed) <= 0.05) < 0.3
    assert 0.3 < np.mean(claimed) < 0.7


@pytest.mark.parametrize("count", [4, 5, 8])
def test_the_end_of_the_signed_rank_interval_inverts_the_exact_test(count):
    differences = np.random.default_rng(count).normal(0.5, 1, count)
    centre, low = signed_ranks(differences)
    if count < 5:
        assert low is None
        return

    def p_value(shift):
        away = differences - shift
        ranks = np.abs(away).argsort().argsort() + 1
        own = ranks[away > 0].sum()
        return np.mean([ranks @ np.array(signs) >= own for signs in product((0, 1), repeat=count)])

    assert p_value(low - 1e-9) <= 0.05 < p_value(low + 1e-9)
    assert low < centre


def test_a_saturated_design_has_no_test_of_fit_and_asks_for_points_inside():
    test = lack_of_fit(runs_of(CENTROID, curved(CENTROID), seed_variance=0.1, seed_df=7.0), CUBIC)
    assert test.statistic is None
    assert "goes through 7 mixes exactly" in test.note
    assert "inside the simplex" in test.note
    unrepeated = lack_of_fit(runs_of(CENTROID, curved(CENTROID)), LINEAR)
    assert unrepeated.p_value is None
    assert "no mix was trained twice" in unrepeated.note


def test_lack_of_fit_is_the_f_test_against_replicates():
    rng = np.random.default_rng(6)
    shares = np.repeat(CENTROID, 2, axis=0)
    score = curved(shares) + 0.3 * rng.normal(size=14)
    test = lack_of_fit(runs_of(shares, score), LINEAR)
    means = score.reshape(7, 2).mean(axis=1)
    error = ((score.reshape(7, 2) - means[:, None]) ** 2).sum() / 7
    rest = means - CENTROID @ np.linalg.lstsq(CENTROID, means, rcond=None)[0]
    assert test.statistic == pytest.approx(2 * rest @ rest / 4 / error)
    assert (test.df, test.error_df) == (4, 7)
    assert test.p_value < 0.01
    assert lack_of_fit(runs_of(shares, score), QUADRATIC).p_value > 0.05


def test_repeated_rows_tell_the_seed_variance_net_of_items():
    shares = np.repeat(CENTROID, 2, axis=0)
    score = np.tile([1.0, 2.0], 7)
    assert pooled(runs_of(shares, score)) == (pytest.approx(0.5), 7)
    items = 0.2 * np.ones((14, 14)) + 0.1 * np.eye(14)
    assert pooled(runs_of(shares, score, items=items))[0] == pytest.approx(0.4)
    mean = averaged(runs_of(shares, score, items=items))
    assert len(mean) == 7
    assert mean.seeds.tolist() == [2] * 7
    assert mean.items[0, 0] == pytest.approx(0.25)
    assert mean.items[0, 1] == pytest.approx(0.2)


def test_run_noise_that_depends_on_the_mix_is_noticed_and_weighs_the_runs():
    seeds = np.full(7, 6)
    uneven = runs_of(CENTROID, curved(CENTROID), seeds=seeds, spread=np.array([0.01, 0.01, 0.01, 1, 1, 1, 1.0]))
    test = noise_test(uneven)
    assert test.p_value < 0.05
    assert test.relative[0] < test.relative[3]
    assert "depends on the mix" in test.note
    even = runs_of(CENTROID, curved(CENTROID), seeds=seeds, spread=np.array([1, 1.2, 0.8, 1, 1.1, 0.9, 1.0]))
    assert noise_test(even).relative is None
    assert "not rejected" in noise_test(even).note


def test_moderated_variances_lie_between_their_own_and_the_common_value():
    variances, degrees = np.array([0.001, 0.1, 1.0, 10.0, 100.0]), np.full(5, 3.0)
    moderated = moderate(variances, degrees)
    assert np.all(np.diff(moderated) > 0)
    assert moderated[0] > variances[0]
    assert moderated[-1] < variances[-1]
    np.testing.assert_allclose(moderate(np.array([0.9, 1.1, 1.0]), np.full(3, 3.0)), 1.0)


def test_errors_that_depend_on_the_mix_show_in_left_out_errors(chosen):
    left_out = chosen.chosen.left_out
    runs = chosen.surface.runs
    assert noise_test(runs, left_out).method == "residuals"
    louder = left_out.mean + (runs.score - left_out.mean) * np.where(runs.shares[:, 0] > 0.4, 12, 0.2)
    assert noise_test(runs_of(runs.shares, louder), left_out).p_value < 0.05
