"""The table of the best set, and what the chosen mix is worth."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from scipy.stats import chi2
from study_tables import pick, table, write_models

from posologie.statistics import best, contrasts, simultaneous
from posologie.statistics.simultaneous import differences, draw_model, family, seeds_variance
from simulated_grids import Design, simulate, study_of


@pytest.fixture
def three_equal(study, make_item):
    """Three mixes of equal skill, 15 points better than base, and one as bad as base."""
    numbers = np.random.default_rng(1)
    items = [make_item(number) for number in range(1000)]
    ease = numbers.random(1000)
    shares = {"q/base": 0.4, "q/NAT/seed-1": 0.55, "q/TRAD/seed-1": 0.55, "q/SYN/seed-1": 0.55, "q/BAD/seed-1": 0.4}
    write_models(
        study,
        items,
        {name: list((ease + 0.15 * numbers.normal(size=1000) < share).astype(float)) for name, share in shares.items()},
    )
    return study


def test_mixes_of_equal_skill_are_one_set_and_a_worse_one_is_not_in_it(three_equal):
    rows = [
        row for row in table(three_equal, best) if (row["scope_kind"], row["aggregate"]) == ("all", "item_weighted")
    ]
    assert {row["mix"]: row["in_set"] for row in rows} == {"NAT": "1", "TRAD": "1", "SYN": "1", "BAD": "0"}
    assert {row["set_size"] for row in rows} == {"3"}
    (chosen,) = [row for row in rows if row["chosen"] == "1"]
    assert float(chosen["value"]) == max(float(row["value"]) for row in rows)
    assert float(chosen["low"]) < 0 < float(chosen["high"])
    assert (float(pick(rows, mix="BAD")["high"]), chosen["about"]) == (0, "adapters")
    assert "for these trained adapters" in chosen["note"]


def test_the_chosen_mix_is_worth_less_than_it_shows_and_only_it_is_corrected(three_equal):
    rows = [
        row for row in table(three_equal, best) if (row["scope_kind"], row["aggregate"]) == ("all", "item_weighted")
    ]
    (chosen,) = [row for row in rows if row["chosen"] == "1"]
    low, corrected, high = (float(chosen[name]) for name in ("gain_low", "gain_corrected", "gain_high"))
    assert low < corrected <= float(chosen["gain"]) < high
    gain = pick(
        table(three_equal, contrasts), scope_kind="all", aggregate="item_weighted", left=chosen["mix"], right="base"
    )
    assert float(chosen["gain"]) == float(gain["value"])
    assert all(row["gain_corrected"] == row["corrected"] == "" for row in rows if row["chosen"] == "0")


def test_less_is_better_where_the_metric_says_so(study, make_item):
    items = [make_item(number) for number in range(400)]
    numbers = np.random.default_rng(2)
    measure = ("brier", "probabilities")
    for name, mean in (("q/base", 0.5), ("q/NAT/seed-1", 0.2), ("q/SYN/seed-1", 0.9)):
        scores = list(np.clip(mean + 0.1 * numbers.normal(size=400), 0, 2))
        study.scores(name, "mcqa", items, {measure: {"original": scores}})
    settings = {"primary_choice": {"metric": "brier", "decoding": "probabilities"}}
    rows = table(study, best, statistics=settings)
    row = pick(rows, scope_kind="all", aggregate="item_weighted", chosen="1")
    assert (row["mix"], row["set_size"]) == ("NAT", "1")
    assert float(row["gain"]) == pytest.approx(-0.3, abs=0.03)
    assert float(row["gain_low"]) < float(row["gain_corrected"]) < float(row["gain_high"]) < 0
    tested = table(study, contrasts, statistics=settings)
    overall = [row for row in tested if (row["aggregate"], row["scope_kind"]) == ("item_weighted", "all")]
    verdicts = {row["left"]: row["verdict"] for row in overall if row["right"] == "base"}
    assert verdicts == {"NAT": "better", "SYN": "worse"}


def test_with_several_seeds_the_set_speaks_of_recipes(study, make_item):
    numbers = np.random.default_rng(3)
    items = [make_item(number) for number in range(200)]
    models = ["q/base", *(f"q/{mix}/seed-{seed}" for mix in ("NAT", "SYN") for seed in (1, 2))]
    write_models(study, items, {name: list((numbers.random(200) < 0.5).astype(float)) for name in models})
    rows = table(study, best)
    assert {row["about"] for row in rows} == {"recipes"}
    assert all("adapters" not in row["note"] for row in rows)


def seven_mixes(score: float, seed_sd: float, *, seed_excess: float):
    """Return one study of seven mixes, two seeds each, cases of 4; S² is R + `seed_excess` × R."""
    model, _ = simulate(Design(200, 4, (score,) * 8, 2, seed_sd), 20, np.random.default_rng(3))
    simulated = study_of(model, 0)
    ((name, seeds),) = simulated.seeds.items()
    return replace(simulated, seeds={name: seeds._replace(between=seeds.noise * (1 + seed_excess))})


def test_the_upper_end_of_the_variance_of_seeds_is_that_of_a_chi_square():
    seeds = seven_mixes(0.4, 0.0, seed_excess=1.0).seeds["q"]
    expected = seeds.df * seeds.between / chi2.ppf(0.1, seeds.df) - seeds.noise
    assert float(seeds_variance(seeds, 0.9)) == pytest.approx(float(expected), rel=1e-9)
    assert float(seeds_variance(seeds._replace(between=seeds.noise * 1e-9), 0.9)) == 0


def test_a_family_is_corrected_as_if_seeds_mattered_where_few_do_not_show_it(monkeypatch):
    # The largest of 21 differences is larger where seeds matter; S² as small as R does not show that they do not.
    pairs = differences(list(combinations(range(1, 8), 2)), 8)
    none, much = (seven_mixes(0.4, 0.0, seed_excess=excess) for excess in (0.0, 2.0))
    cautious = np.quantile(np.abs(family(none, pairs, 4000, 1).scores).max(axis=0), 0.95)
    monkeypatch.setattr(simultaneous, "SEEDS_LEVEL", None)
    at_estimate, where_seeds_matter = (
        np.quantile(np.abs(family(model, pairs, 4000, 1).scores).max(axis=0), 0.95) for model in (none, much)
    )
    assert at_estimate < where_seeds_matter - 0.15
    assert cautious == pytest.approx(where_seeds_matter, abs=0.1)


def test_scores_of_adapters_near_an_edge_are_drawn_skewed_and_stay_inside_it():
    near, far = (seven_mixes(score, 0.014, seed_excess=3.0) for score in (0.02, 0.4))
    drawn, between = draw_model(near, 4000, 1)
    gains = drawn[1:].ravel()
    assert float(((gains - gains.mean()) ** 3).mean() / gains.std() ** 3) > 0.3
    assert between["q"].mean() == pytest.approx(float(near.seeds["q"].between), rel=0.05)
    expected = np.sqrt(np.diag(near.items)[1:].mean() + float(near.seeds["q"].variance) / 2)
    assert gains.std() == pytest.approx(expected, rel=0.05)
    for unskewed in (far, replace(near, bounded=False)):
        gains = draw_model(unskewed, 4000, 1)[0][1:].ravel()
        assert abs(float(((gains - gains.mean()) ** 3).mean() / gains.std() ** 3)) < 0.1
