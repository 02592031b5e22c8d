"""Attribution to components, and dose–response."""

import csv
import itertools
import math

import numpy as np
import pytest

from posologie.running.errors import InputError
from posologie.statistics import attribution, dose_response
from posologie.statistics.attribution import coalitions, interaction_index, name_of, scheffe_matrix
from posologie.statistics.dose_response import best_shares

PLAYERS = ("native", "translated", "synthetic")
EVERYONE = coalitions(PLAYERS)
BLENDS = {
    "NAT": {"native": 1},
    "TRAD": {"translated": 1},
    "SYN": {"synthetic": 1},
    "NAT-TRAD": {"native": 0.5, "translated": 0.5},
    "NAT-SYN": {"native": 0.5, "synthetic": 0.5},
    "TRAD-SYN": {"translated": 0.5, "synthetic": 0.5},
    "ALL": {"native": 1 / 3, "translated": 1 / 3, "synthetic": 1 / 3},
}


def table(study, module, **spec) -> list[dict[str, str]]:
    out = study.root / "tables" / "table.csv"
    module.main(["--spec", study.spec(**spec), "--results", str(study.root), "--table", str(out)])
    with open(out, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def shapley_by_orders(values: dict[frozenset[str], float], player: str) -> float:
    """Return the mean of what a player adds over all orders of arrival: the definition, without the formula."""
    gains = []
    for order in itertools.permutations(PLAYERS):
        before = frozenset(order[: order.index(player)])
        gains.append(values[before | {player}] - values[before])
    return float(np.mean(gains))


@pytest.fixture(params=range(5))
def game(request) -> dict[frozenset[str], float]:
    numbers = np.random.default_rng(request.param)
    return dict(zip(EVERYONE, numbers.normal(size=8), strict=True))


def test_shapley_values_are_means_over_all_orders(game):
    vector = np.array([game[coalition] for coalition in EVERYONE])
    for player in PLAYERS:
        ours = interaction_index(frozenset({player}), PLAYERS) @ vector
        assert ours == pytest.approx(shapley_by_orders(game, player), abs=1e-12)


def test_shapley_values_sum_to_all_minus_base(game):
    vector = np.array([game[coalition] for coalition in EVERYONE])
    total = sum(interaction_index(frozenset({player}), PLAYERS) @ vector for player in PLAYERS)
    assert total == pytest.approx(game[frozenset(PLAYERS)] - game[frozenset()], abs=1e-12)


def test_a_pairs_interaction_is_the_mean_second_difference(game):
    # Grabisch and Roubens: with three players, the mean of the second differences without and with the third.
    vector = np.array([game[coalition] for coalition in EVERYONE])
    for first, second in itertools.combinations(PLAYERS, 2):
        (third,) = set(PLAYERS) - {first, second}

        def second_difference(base: frozenset[str], left: str = first, other: str = second) -> float:
            return game[base | {left, other}] - game[base | {left}] - game[base | {other}] + game[base]

        expected = (second_difference(frozenset()) + second_difference(frozenset({third}))) / 2
        ours = interaction_index(frozenset({first, second}), PLAYERS) @ vector
        assert ours == pytest.approx(expected, abs=1e-12)


def test_in_a_game_without_synergy_everyone_gets_their_own(game):
    own = {player: game[frozenset({player})] for player in PLAYERS}
    vector = np.array([sum(own[player] for player in coalition) for coalition in EVERYONE])
    for term in EVERYONE[1:]:
        expected = own[next(iter(term))] if len(term) == 1 else 0
        assert interaction_index(term, PLAYERS) @ vector == pytest.approx(expected, abs=1e-12)


def test_the_special_cubic_goes_through_the_seven_mixes_and_has_the_textbook_coefficients(game):
    blends = [{player: 1 / len(coalition) for player in coalition} for coalition in EVERYONE[1:]]
    values = np.array([game[coalition] for coalition in EVERYONE[1:]])
    coefficients = scheffe_matrix(blends, PLAYERS) @ values
    for blend, value in zip(blends, values, strict=True):
        terms = [math.prod(blend.get(player, 0) for player in term) for term in EVERYONE[1:]]
        assert np.dot(terms, coefficients) == pytest.approx(value, abs=1e-9)
    # Cornell 2002: β_ij = 4 y_ij − 2 (y_i + y_j); β_123 = 27 y_123 − 12 Σ y_ij + 3 Σ y_i.
    y = {name_of(coalition, PLAYERS): value for coalition, value in zip(EVERYONE[1:], values, strict=True)}
    named = {name_of(term, PLAYERS): value for term, value in zip(EVERYONE[1:], coefficients, strict=True)}
    pair = 4 * y["native+synthetic"] - 2 * (y["native"] + y["synthetic"])
    assert named["native+synthetic"] == pytest.approx(pair, abs=1e-9)
    triple = 27 * values[6] - 12 * values[3:6].sum() + 3 * values[:3].sum()
    assert named["native+translated+synthetic"] == pytest.approx(triple, abs=1e-9)


@pytest.fixture
def eight_models(study, make_item):
    numbers = np.random.default_rng(3)
    items = [make_item(number) for number in range(300)]
    ease = numbers.random(300)
    for place, mix in enumerate(["base", *BLENDS]):
        model = "q/base" if mix == "base" else f"q/{mix}/seed-42"
        right = (ease + 0.1 * numbers.normal(size=300) < 0.3 + 0.04 * place).astype(float)
        study.scores(model, "mcqa", items, {("em", "constrained"): {"original": list(right)}})
    return study


def test_the_table_shares_all_minus_base_out_exactly(eight_models):
    rows = [row for row in table(eight_models, attribution, blends=BLENDS) if row["scope_kind"] == "all"]
    rows = [row for row in rows if row["aggregate"] == "item_weighted"]
    assert [(row["method"], row["term"]) for row in rows if row["method"] == "shapley"] == [
        ("shapley", provenance) for provenance in PLAYERS
    ]
    scores = {model: np.mean(values) for model, values in right_answers(eight_models).items()}
    total = sum(float(row["value"]) for row in rows if row["method"] == "shapley")
    assert total == pytest.approx(100 * (scores["q/ALL/seed-42"] - scores["q/base"]), abs=1e-5)
    assert len([row for row in rows if row["method"] == "interaction"]) == 4
    pure = next(row for row in rows if (row["method"], row["term"]) == ("scheffe", "native"))
    assert float(pure["value"]) == pytest.approx(100 * scores["q/NAT/seed-42"], abs=1e-5)
    assert all(float(row["low"]) < float(row["value"]) < float(row["high"]) for row in rows)


def right_answers(study) -> dict[str, list[float]]:
    from posologie.records import layout
    from posologie.records.files import read_parquet

    return {name: read_parquet(study.root / layout.scores(name, "mcqa"))["value"].to_pylist() for name in study.models}


def test_as_many_mixes_as_components_are_no_design(eight_models):
    for mix in ("NAT-SYN", "TRAD-SYN", "NAT-TRAD", "ALL"):
        del eight_models.models[f"q/{mix}/seed-42"]
    assert table(eight_models, attribution, blends=BLENDS) == []


def test_without_one_of_the_mixes_or_with_an_unequal_one_a_linear_surface_stands_for_the_coalitions(eight_models):
    skewed = BLENDS | {"NAT-SYN": {"native": 0.8, "synthetic": 0.2}}
    rows = [row for row in table(eight_models, attribution, blends=skewed) if row["scope_kind"] == "all"]
    assert {row["method"] for row in rows} == {"shapley_linear", "scheffe_linear"}
    del eight_models.models["q/TRAD-SYN/seed-42"]
    rows = [row for row in table(eight_models, attribution, blends=BLENDS) if row["scope_kind"] == "all"]
    rows = [row for row in rows if row["aggregate"] == "item_weighted"]
    assert [(row["method"], row["term"]) for row in rows] == [
        (method, player) for method in ("shapley_linear", "scheffe_linear") for player in PLAYERS
    ]
    assert all("from a linear surface through 6 mixes" in row["note"] for row in rows)
    scores = {model: 100 * np.mean(values) for model, values in right_answers(eight_models).items()}
    fitted = {row["term"]: float(row["value"]) for row in rows if row["method"] == "scheffe_linear"}
    shares = np.array([[BLENDS[mix].get(player, 0) for player in PLAYERS] for mix in BLENDS if mix != "TRAD-SYN"])
    values = [scores[f"q/{mix}/seed-42"] for mix in BLENDS if mix != "TRAD-SYN"]
    expected = np.linalg.lstsq(shares, np.array(values), rcond=None)[0]
    assert list(fitted.values()) == pytest.approx(expected, abs=1e-4)
    # Shapley values of the game of the plane, by their definition.
    game = {coalition: np.mean([fitted[player] for player in coalition]) for coalition in EVERYONE[1:]}
    game[frozenset()] = scores["q/base"]
    for row in rows[:3]:
        assert float(row["value"]) == pytest.approx(shapley_by_orders(game, row["term"]), abs=1e-4)


def test_mixes_that_do_not_lie_on_a_plane_are_said_not_to(study, make_item):
    numbers = np.random.default_rng(5)
    items = [make_item(number) for number in range(400)]
    ease = numbers.random(400)
    bent = {"NAT": 0.3, "TRAD": 0.3, "SYN": 0.3, "NAT-TRAD": 0.6, "NAT-SYN": 0.6, "base": 0.3}
    flat = {"NAT": 0.3, "TRAD": 0.4, "SYN": 0.5, "NAT-TRAD": 0.35, "NAT-SYN": 0.4, "base": 0.3}
    for truth, expected in ((bent, "the surface does not fit (p < .001)"), (flat, "no lack of fit seen (p = ")):
        for mix, share in truth.items():
            model = "q/base" if mix == "base" else f"q/{mix}/seed-42"
            right = (ease + 0.1 * numbers.normal(size=400) < share).astype(float)
            study.scores(model, "mcqa", items, {("em", "constrained"): {"original": list(right)}})
        rows = table(study, attribution, blends={mix: BLENDS[mix] for mix in truth if mix != "base"})
        assert rows
        assert all(expected in row["note"] for row in rows)


def test_two_provenances_are_a_game_too(eight_models):
    two = {mix: BLENDS[mix] for mix in ("NAT", "TRAD", "NAT-TRAD")}
    for mix in BLENDS.keys() - two.keys():
        del eight_models.models[f"q/{mix}/seed-42"]
    rows = [row for row in table(eight_models, attribution, blends=two) if row["scope_kind"] == "all"]
    by_term = {(row["method"], row["term"]): float(row["value"]) for row in rows if row["aggregate"] == "item_weighted"}
    scores = {model: 100 * np.mean(values) for model, values in right_answers(eight_models).items()}
    base, native, translated, both = (scores[name] for name in ("q/base", "q/NAT/seed-42", "q/TRAD/seed-42",
                                                                "q/NAT-TRAD/seed-42"))  # fmt: skip
    assert by_term["shapley", "native"] == pytest.approx((native - base + both - translated) / 2, abs=1e-5)
    assert by_term["shapley", "native"] + by_term["shapley", "translated"] == pytest.approx(both - base, abs=1e-5)
    assert by_term["interaction", "native+translated"] == pytest.approx(both - native - translated + base, abs=1e-5)


def test_mixes_of_different_sizes_are_said_to_be_and_those_of_one_size_are_taken_where_there_are_any(eight_models):
    same = dict.fromkeys(BLENDS, "1000")
    assert all("sizes" not in row["note"] for row in table(eight_models, attribution, blends=BLENDS, sizes=same))
    rows = table(eight_models, attribution, blends=BLENDS, sizes=same | {"ALL": "3000"})
    assert rows
    assert all("mixes of different sizes (NAT 1000, " in row["note"] for row in rows)
    # A larger mix of all: the one of the common size stands in the game, and nothing is to be said.
    numbers = np.random.default_rng(9)
    items = [{"item": f"b-{number:04d}", "benchmark": "b", "provenance": "native", "task": "mcqu",
              "group": f"b-{number:04d}"} for number in range(300)]  # fmt: skip
    right = list((numbers.random(300) < 0.9).astype(float))
    eight_models.scores("q/LARGE/seed-42", "mcqa", items, {("em", "constrained"): {"original": right}})
    larger = {"LARGE": BLENDS["ALL"], **BLENDS}
    sizes = same | {"LARGE": "3000"}
    assert table(eight_models, attribution, blends=larger, sizes=sizes) == table(
        eight_models, attribution, blends=BLENDS, sizes=same
    )


def test_a_sweep_is_a_curve_by_rising_dose(eight_models):
    sweep = {"sweeps": {"native": {"ALL": 1.0, "base": 0.0, "NAT-TRAD": 0.5}}}
    rows = [row for row in table(eight_models, dose_response, statistics=sweep) if row["scope_kind"] == "all"]
    rows = [row for row in rows if row["aggregate"] == "item_weighted"]
    assert [(row["dose"], row["mix"]) for row in rows] == [("0", "base"), ("0.5", "NAT-TRAD"), ("1", "ALL")]
    assert sum(float(row["best_share"]) for row in rows) == pytest.approx(100)
    assert float(rows[2]["best_share"]) > 95


def test_a_sweep_over_a_mix_that_was_not_trained_is_refused(eight_models):
    with pytest.raises(InputError, match=r"statistics.sweeps.native: 'MORE': expected one of"):
        table(eight_models, dose_response, statistics={"sweeps": {"native": {"MORE": 2.0}}})


def test_doses_that_tie_share_the_win():
    draws = np.array([[1.0, 2, 3], [1, 1, 3], [0, 0, 4]])
    assert best_shares(draws).tolist() == pytest.approx([0.5, 1 / 6, 1 / 3])
