"""Runs from outside: shares that sum to 1 but for rounding, scores with a direction, errors from item scores."""

import numpy as np
import pytest

from posologie.running.errors import InputError
from posologie.surface.runs import metrics_in, read_runs, size_in

RATIOS = "run,p_a,p_b\nx,0.333,0.666\ny,1,0\nz,0,1\n"
METRICS = "run,em,loss,em_se\nz,3,0.3,0.5\nx,1,0.1,0.5\ny,2,0.2,0.5\n"


@pytest.fixture
def files(tmp_path):
    def write(ratios=RATIOS, metrics=METRICS, items=None):
        for name, text in (("ratios.csv", ratios), ("metrics.csv", metrics), ("items.csv", items)):
            if text is not None:
                (tmp_path / name).write_text(text)
        return tmp_path / "ratios.csv", tmp_path / "metrics.csv"

    return write


def test_rows_meet_by_name_and_rounded_shares_sum_to_one(files):
    runs = read_runs(*files(), {"em": 1.0})
    assert runs.names == ("x", "y", "z")
    assert runs.components == ("a", "b")
    assert runs.score.tolist() == [1, 2, 3]
    np.testing.assert_allclose(runs.shares.sum(axis=1), 1, atol=1e-12)
    np.testing.assert_allclose(runs.items, 0.25 * np.eye(3))
    assert metrics_in(files()[1]) == ["em", "loss"]


def test_metrics_have_weights_and_directions(files):
    runs = read_runs(*files(), {"em": 0.5, "loss": 10.0}, lower=["loss"])
    np.testing.assert_allclose(runs.score, [0.5 - 1, 1 - 2, 1.5 - 3])
    np.testing.assert_allclose(read_runs(*files(), {"loss": 1.0}, lower_is_better=True).score, [-0.1, -0.2, -0.3])


def test_sizes_and_seeds_are_read(files):
    paths = files("mix,a,b,size,seeds\nx,0.5,0.5,100,2\ny,1,0,200,1\nz,0,1,100,3\n")
    runs = read_runs(*paths, {"em": 1.0})
    assert runs.sizes.tolist() == [100, 200, 100]
    assert runs.seeds.tolist() == [2, 1, 3]
    assert size_in(paths[0]) is None
    assert size_in(files("mix,a,b,size\nx,0.5,0.5,100\ny,1,0,100\nz,0,1,100\n")[0]) == 100


@pytest.mark.parametrize(
    ("ratios", "metrics", "message"),
    [
        (RATIOS.replace("0.666", "0.6"), METRICS, "ratios.csv: row 2, run x: shares sum to 0.933; expected 1"),
        (RATIOS.replace("z,0,1", "z,-0.1,1.1"), METRICS, "row 4, run z: .*none below 0"),
        (RATIOS.replace("0.666", "much"), METRICS, "ratios.csv: row 2, column 'p_b': 'much' is not a number"),
        (RATIOS.replace("z,", "w,"), METRICS, "metrics.csv: no row for run w"),
        (RATIOS.replace("y,", "x,"), METRICS, "ratios.csv: two rows for run x"),
        (RATIOS, METRICS.replace("em,", "f1,"), "no metric 'em'; choose one of f1, loss"),
        ("run,a,b,seeds\nx,1,0,1\ny,1,0,1.5\nz,0,1,1\n", METRICS, "row 3, column 'seeds': expected a whole number"),
    ],
)
def test_what_does_not_fit_is_one_line_with_its_row(files, ratios, metrics, message):
    with pytest.raises(InputError, match=message):
        read_runs(*files(ratios, metrics), {"em": 1.0})


def test_item_scores_give_the_covariance_of_the_runs(files, tmp_path):
    scores = np.random.default_rng(0).random((3, 40))
    rows = "".join(f"{run},i{item},{scores[place, item]}\n" for place, run in enumerate("xyz") for item in range(40))
    metrics = "run,em\n" + "".join(f"{run},{scores[place].mean()}\n" for place, run in enumerate("xyz"))
    paths = files(metrics=metrics, items=f"run,item,score\n{rows}")
    runs = read_runs(*paths, {"em": 1.0}, items=tmp_path / "items.csv")
    np.testing.assert_allclose(runs.items, np.cov(scores) / 40)
    turned = read_runs(*paths, {"em": 1.0}, lower_is_better=True, items=tmp_path / "items.csv")
    np.testing.assert_allclose(turned.items, runs.items)
    with pytest.raises(InputError, match=r"the mean over items of run x is .*expected item scores of the same metric"):
        read_runs(*files(metrics=METRICS), {"em": 1.0}, items=tmp_path / "items.csv")
    files(metrics=metrics, items="run,item,score\n" + rows.replace("x,i3,", "x,i2,"))
    with pytest.raises(InputError, match="item i3 has no score of run x"):
        read_runs(*paths, {"em": 1.0}, items=tmp_path / "items.csv")


def test_items_of_a_group_are_one_unit(files, tmp_path):
    scores = np.repeat(np.random.default_rng(0).random((3, 20)), 2, axis=1)  # each case twice
    rows = "".join(
        f"{run},i{item},{scores[place, item]},g{item // 2}\n" for place, run in enumerate("xyz") for item in range(40)
    )
    metrics = "run,em\n" + "".join(f"{run},{scores[place].mean()}\n" for place, run in enumerate("xyz"))
    paths = files(metrics=metrics, items=f"run,item,score,group\n{rows}")
    runs = read_runs(*paths, {"em": 1.0}, items=tmp_path / "items.csv")
    np.testing.assert_allclose(runs.items, np.cov(scores[:, ::2]) / 20)
