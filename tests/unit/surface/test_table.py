"""From a study's scores to runs and to the table of surfaces."""

import json
from dataclasses import replace

import numpy as np
import pytest

from posologie.statistics.crossed import Moments, crossed
from posologie.statistics.entries import arm_entries
from posologie.statistics.spec import EvaluatedModel, Measured
from posologie.surface.choice import choose
from posologie.surface.decisions import text_of
from posologie.surface.fit import CUBIC, LINEAR
from posologie.surface.runs import Runs
from posologie.surface.simplex import centroids, whole_simplex
from posologie.surface.spec import SurfaceSettings, SurfaceSpec
from posologie.surface.study_runs import Fitted, StudyRuns, objective_of, runs_of
from posologie.surface.table import COLUMNS, _model_rows, rows_of

NAMES = ("native", "translated", "synthetic")
BLENDS = {
    "NAT": {"native": 1.0}, "SYN": {"synthetic": 1.0}, "BOTH": {"native": 0.5, "synthetic": 0.5},
}  # fmt: skip


def _spec(**more) -> SurfaceSpec:
    models = [EvaluatedModel(name="b/base", kind="base", backbone="b")]
    models += [
        EvaluatedModel(name=f"b/{mix}/seed-{seed}", kind="mix", backbone="b", mix=mix, seed=seed)
        for mix in BLENDS for seed in ((1, 2, 3) if mix == "NAT" else (1,))
    ]  # fmt: skip
    fields = {"models": models, "suites": {"mcqa": {"benchmarks": {}}, "oeq": {"benchmarks": {}}}, "blends": BLENDS,
             "sizes": dict.fromkeys(BLENDS, "48"), "order": NAMES, "statistics": {"replicates": 100}}  # fmt: skip
    return SurfaceSpec.model_validate({**fields, **more})


def _model(spec: SurfaceSpec):
    rng = np.random.default_rng(1)
    root = rng.normal(size=(6, 6)) * 0.01
    point = np.array([0.4, 0.5, 0.52, 0.54, 0.3, 0.45])
    arms = arm_entries(spec.models)
    moments = Moments(point, root @ root.T, 200.0)
    return crossed(moments, arms, arms), moments


def test_runs_have_the_covariance_of_the_means_over_seeds_and_the_pooled_seed_variance():
    spec = _spec()
    model, moments = _model(spec)
    made = runs_of(model, "b", spec, 100.0)
    assert made is not None
    runs, gains, base, size, note = made
    assert (runs.names, runs.components, size, note) == (("NAT", "SYN", "BOTH"), ("native", "synthetic"), 48, "")
    assert runs.score == pytest.approx([52, 30, 45])
    average = np.zeros((3, 6))
    average[0, 1:4], average[1, 4], average[2, 5] = 1 / 3, 1, 1
    assert runs.items == pytest.approx(1e4 * average @ moments.covariance @ average.T)
    assert runs.seeds.tolist() == [3, 1, 1]
    block = moments.covariance[1:4, 1:4]
    noise = (np.trace(block) - block.sum() / 3) / 2
    assert (runs.seed_variance, runs.seed_df) == (pytest.approx(1e4 * max(0.0, 0.0004 - noise)), 2)
    assert gains is not None
    average[:, 0] = -1
    assert gains.items == pytest.approx(1e4 * average @ moments.covariance @ average.T)
    assert gains.score == pytest.approx([12, -10, 5])
    assert base == pytest.approx(40)
    turned = runs_of(model, "b", spec, -1.0)
    assert turned is not None
    assert turned[0].score == pytest.approx([-0.52, -0.3, -0.45])


def test_sizes_are_used_where_they_are_known_and_said_where_they_are_not():
    model, _ = _model(_spec())
    grown = runs_of(model, "b", _spec(sizes={"NAT": "100", "SYN": "100", "BOTH": "400"}), 1.0)
    assert grown is not None
    assert grown[0].sizes is not None
    assert grown[0].sizes.tolist() == [100, 100, 400]
    unknown = runs_of(model, "b", _spec(sizes={"NAT": "smallest", "SYN": "100", "BOTH": "400"}), 1.0)
    assert unknown is not None
    assert unknown[0].sizes is None
    assert unknown[4].startswith("mixes of different sizes (smallest, 100, 400) are treated as equal")


def test_two_different_mixes_are_no_surface():
    model, _ = _model(_spec())
    assert runs_of(model, "b", _spec(blends={**BLENDS, "BOTH": {"native": 1.0}}), 1.0) is None


def _two_suites() -> tuple[StudyRuns, StudyRuns]:
    shares = centroids(3)
    score = 40 + 8 * shares[:, 0] + 4 * shares[:, 1] + np.array([0.3, -0.2, 0.1, -0.3, 0.2, 0.1, -0.2])
    runs = Runs(
        tuple("ABCDEFG"),
        NAMES,
        shares,
        sizes=None,
        score=score,
        items=np.full((7, 7), 0.5),
        seeds=np.ones(7, dtype=np.int64),
    )
    first = StudyRuns(
        "mcqa",
        "b",
        Measured(metric="em", decoding="constrained"),
        unit="%",
        runs=runs,
        gains=replace(runs, score=score - 42),
        base=42.0,
        towards=1,
        n=1000,
        clusters=1000.0,
        few=False,
        size=500,
        note="",
    )
    return first, replace(first, suite="oeq", runs=replace(runs, score=score[::-1].copy()), base=30.0)


@pytest.fixture(scope="module")
def rows():
    settings = SurfaceSettings(
        models=("linear",), at_least_base=("oeq",), lattice=4,
        bounds={"native": (0.0, 0.8)},
    )  # fmt: skip
    return list(
        rows_of(_two_suites(), _spec(surface=settings, prices={"native": 2.0, "synthetic": 0.1}, demonstration=True))
    )


def test_the_objective_weighs_suites_and_their_base():
    first, other = _two_suites()
    objective = objective_of({"mcqa": first, "oeq": other}, {"mcqa": 1.0, "oeq": 0.5})
    assert objective.runs.score == pytest.approx(first.runs.score + 0.5 * other.runs.score)
    assert (objective.suite, objective.base, objective.unit, objective.n) == ("objective", 57.0, "%", 2000)


def test_the_table_has_a_row_for_each_thing_that_is_asked(rows):
    kinds = {row["row"] for row in rows if row["suite"] == "mcqa"}
    assert kinds >= {"model", "check", "run", "left out", "prediction", "trace", "optimum", "base", "region", "share",
                     "constrained", "rate", "present", "cheapest", "frontier", "advice", "front"}  # fmt: skip
    assert {row["suite"] for row in rows} == {"mcqa", "oeq"}
    assert {key for row in rows for key in row} <= set(COLUMNS)
    assert all("demonstration: n too small" in row["note"] for row in rows if row["row"] != "front")


def test_without_a_special_cubic_nothing_is_said_to_be_saturated(rows):
    chosen = next(row for row in rows if row["row"] == "model" and row["chosen"] == 1)
    assert chosen["name"] == "linear"
    assert "saturate" not in chosen["note"]


def test_the_seven_published_mixes_are_said_to_saturate_a_special_cubic():
    shares = centroids(3)
    runs = Runs(
        tuple("ABCDEFG"), NAMES, shares, sizes=None, score=np.array([47.13, 45.66, 38.23, 49.24, 46.72, 45.09, 48.46]),
        items=np.zeros((7, 7)), seeds=np.ones(7, dtype=np.int64),
    )  # fmt: skip
    choice = choose(runs, [LINEAR, CUBIC], draws=8)
    study_runs = StudyRuns(
        "mcqa",
        "b",
        Measured(metric="em"),
        unit="%",
        runs=runs,
        gains=None,
        base=None,
        towards=1,
        n=1000,
        clusters=1000.0,
        few=False,
        size=None,
        note="",
    )
    fitted = Fitted(study_runs, choice, choice.surface, bounds=whole_simplex(3), region=None, size=None, sized=False)  # type: ignore[arg-type]
    chosen = next(row for row in _model_rows(fitted) if row.get("chosen") == 1)
    assert "7 mixes saturate a special cubic (7 terms): nothing is left to test it" in chosen["note"]


def test_predictions_and_the_best_mix_keep_the_bounds(rows):
    own = [row for row in rows if row["suite"] == "mcqa"]
    for row in own:
        if row["row"] in ("prediction", "optimum", "trace", "as good", "frontier"):
            assert float(row["shares"].split(";")[0].removeprefix("native=")) <= 0.8 + 1e-9
    best = next(row for row in own if row["row"] == "optimum")
    assert best["shares"] == text_of(NAMES, [0.8, 0.2, 0.0])
    assert best["value"] == pytest.approx(47.2, abs=1)
    assert all(row["low"] <= row["value"] <= row["high"] for row in own if row["row"] == "prediction")
    frontier = [row for row in own if row["row"] == "frontier"]
    assert [row["cost"] for row in frontier] == sorted(row["cost"] for row in frontier)
    assert [row["value"] for row in frontier] == sorted(row["value"] for row in frontier)


def test_a_linear_surface_gives_the_exchange_rate_of_its_slopes(rows):
    rate = next(row for row in rows if row["row"] == "rate" and (row["of"], row["into"]) == ("native", "translated"))
    assert rate["name"] == "instead of synthetic"
    assert rate["value"] == pytest.approx(2, rel=0.2)
    assert rate["low"] < 2 < rate["high"]


def test_settings_of_designs_and_surfaces_name_what_there_is():
    assert json.loads(_spec().canonical_json())["surface"]["lattice"] == 10


def test_the_table_says_of_each_mix_that_it_shows_whether_it_may_be_the_best():
    settings = SurfaceSettings(models=("linear",), lattice=12)  # a lattice that shares few mixes with any other
    made = [row for row in rows_of(_two_suites(), _spec(surface=settings)) if row["row"] == "prediction"]
    assert len(made) == 2 * 91
    assert {row["in_region"] for row in made} == {0, 1}
