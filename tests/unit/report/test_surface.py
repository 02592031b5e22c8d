"""What to give, sentence by sentence: what a reader is fitted, and when."""

import re

import pytest
import yaml
from matplotlib.text import Text as MplText

from posologie.report import surface
from posologie.report.figures import components as figure_of
from posologie.report.inputs import Inputs
from posologie.report.spec import ReportSpec
from posologie.report.surface import SurfaceTable, surface_table
from posologie.report.tables import Row
from posologie.statistics.spec import EvaluatedModel
from posologie.surface.table import COLUMNS

MIX = "native=0.6;translated=0.4;synthetic=0"
COMMON = {
    "suite": "mcqa", "metric": "em", "decoding": "constrained", "variants": "original", "aggregate": "item_weighted",
    "backbone": "b", "unit": "%", "level": "0.95", "n": "1200", "mixes": "7", "shares": MIX,
}  # fmt: skip
SUPPORTED = [
    {"row": "model", "name": "mean", "value": "4.2", "chosen": "0"},
    {"row": "model", "name": "quadratic", "value": "1.94", "chosen": "1", "supported": "1", "coverage": "0.95"},
    {"row": "optimum", "name": "best", "value": "46.24", "low": "44.1", "high": "48.3", "regret": "0.4",
     "most_regret": "1.9", "size": "33493"},
    {"row": "base", "name": "base", "value": "40"},
    {"row": "region", "name": "share of the simplex", "value": "0.25"},
    {"row": "share", "name": "native", "value": "0.6", "low": "0.4", "high": "1"},
    {"row": "share", "name": "synthetic", "value": "0", "low": "0", "high": "0.2"},
]  # fmt: skip


def fitted(*rows: dict[str, str], but: tuple[str, ...] = ()) -> SurfaceTable:
    """Return a surface with these rows in place of, or beside, those of a supported one."""
    replaced = {(row["row"], row.get("name")) for row in rows}
    kept = [row for row in SUPPORTED if (row["row"], row["name"]) not in replaced and row["row"] not in but]
    cells = [{**dict.fromkeys(COLUMNS, ""), **COMMON, **row} for row in [*kept, *rows]]
    return SurfaceTable(cells[0]["suite"], tuple(Row(row, "surface.csv") for row in cells))


def test_a_surface_that_predicts_is_said_to_with_its_error():
    assert surface.support(fitted()) == (
        "A quadratic surface predicts left-out mixes with an error of 1.9 points; the mean of the others has an"
        " error of 4.2 "
        "(7 mixes)."
    )


def test_runs_that_support_no_surface_say_so_first():
    weak = {"row": "model", "name": "quadratic", "value": "4.5", "chosen": "1", "supported": "0"}
    assert "(7 mixes, p = 0.210)" in surface.support(fitted({**weak, "p_value": "0.21"}))
    assert surface.support(fitted(weak)).startswith("These runs do not support a surface: no model is shown to predict")
    mean = {**weak, "name": "mean", "p_value": "0.02"}
    flat = surface.support(fitted(mean, {**weak, "chosen": "0", "supported": ""}))
    assert "the mean of the others predicts a left-out mix as well as any model does (7 mixes)" in flat
    assert surface.dose(fitted(weak)).startswith("The highest expected score is that of 60 % native, 40 % translated")


def test_the_dose_has_its_score_its_gain_and_what_it_may_lose():
    assert surface.dose(fitted()) == (
        "Give 60 % native, 40 % translated, no synthetic at 33,493 items: the expected exact match, constrained "
        "decoding is 46.2 % (95 % interval 44.1 to 48.3), 6.2 points above the base model's. It is expected to fall "
        "0.4 points short of the best possible mix, at most 1.9 (with 95 % certainty)."
    )
    below = surface.dose(fitted({"row": "base", "name": "base", "value": "50"}))
    assert "3.8 points below the base model's" in below
    same = surface.dose(fitted({"row": "base", "name": "base", "value": "46.2"}))
    assert "44.1 to 48.3), the same as the base model's to the precision shown. It is" in same
    bare = {"row": "optimum", "name": "best", "value": "46.24", "regret": "0", "most_regret": "0"}
    assert " items" not in surface.dose(fitted(bare, but=("base",)))
    assert "base model" not in surface.dose(fitted(bare, but=("base",)))


@pytest.mark.parametrize(
    ("share", "sentence"),
    [
        (
            "0.25",
            "25 % of all mixes cannot be distinguished from the best, with native 40 to 100 %, synthetic 0 to 20 %.",
        ),
        ("1", "No mix can be distinguished from the best: any dose may be the best one."),
        ("0.001", "Hardly any other mix may be as good: native 40 to 100 %, synthetic 0 to 20 %."),
    ],
)
def test_the_region_is_told_by_its_size(share, sentence):
    assert surface.region(fitted({"row": "region", "name": "share of the simplex", "value": share})) == sentence


def test_floors_name_the_best_mix_that_keeps_them_or_none():
    assert surface.floors(fitted()) == ""
    kept = {"row": "constrained", "name": "oeq", "value": "45", "low": "43", "high": "47", "chance": "0.96"}
    assert surface.floors(fitted(kept)) == (
        "Among the mixes that score at least as well as base on oeq (with 96 % certainty), the best is 60 % native,"
        " 40 % "
        "translated, no synthetic: 45.0 % (95 % interval 43.0 to 47.0)."
    )
    none = {"row": "constrained", "name": "oeq,mcqa-b"}
    assert surface.floors(fitted(none)) == "No mix is certain to score at least as well as base on oeq and mcqa-b."


@pytest.mark.parametrize(
    ("cells", "sentence"),
    [
        ({"value": "2.34", "low": "1.2", "high": "5"},
         "2.3 synthetic items do the work of one native item, instead of translated (95 % interval 1.2 to 5.0)"),
        ({"value": "2.34", "note": "n too small; unbounded: at least 1.5"},
         "2.3 synthetic items do the work of one native item, instead of translated (the interval is unbounded: at "
         "least 1.5)"),
        ({"value": "-0.5", "low": "-8.9", "high": "0.3"},
         "synthetic items cannot take the place of native items, instead of translated: more of one raises the "
         "expected score, more of the other lowers it (rate −0.5, 95 % interval −8.9 to 0.3)"),
        ({"note": "unbounded: any number"}, "no number of synthetic items is shown to do the work of one native item"),
    ],
)  # fmt: skip
def test_exchange_rates_are_told_with_their_interval_or_that_it_is_open(cells, sentence):
    row = {"row": "rate", "name": "instead of translated", "of": "native", "into": "synthetic", "unit": "", **cells}
    assert surface.rates(fitted(row)) == f"At equal shares, {sentence}."
    assert surface.rates(fitted()) == ""


PRESENT = {"row": "present", "name": "NAT", "value": "45", "cost": "900", "currency": "EUR"}


def test_prices_name_the_cheapest_point_or_what_is_as_good_for_less():
    assert surface.price(fitted()) == ""
    point = {"row": "cheapest", "name": "1 point more", "value": "1.2", "low": "-0.5", "high": "2.9", "cost": "640"}
    assert surface.price(fitted(PRESENT, point)) == (
        "NAT, the best mix that was trained, costs 900 EUR; the cheapest mix that is expected to score 1 point more "
        "costs 640: 60 % native, 40 % translated, no synthetic, gaining 1.2 (95 % interval −0.5 to +2.9)."
    )
    none = {"row": "cheapest", "name": "1 point more"}
    assert surface.price(fitted(PRESENT, none)).endswith("no mix is expected to score 1 point more.")
    cheaper = {"row": "frontier", "name": "1", "value": "45.5", "cost": "500", "low": "44", "high": "47"}
    assert surface.price(fitted(PRESENT, none, cheaper)).endswith(
        "score 1 point more, and one as good costs 500 (60 % native, 40 % translated, no synthetic)."
    )


def test_components_are_called_by_their_titles():
    titled = SurfaceTable("mcqa", fitted().every, (("native", "textbooks"), ("synthetic", "GPT")))
    assert surface.dose(titled).startswith("Give 60 % textbooks, 40 % translated, no GPT at")
    assert "textbooks 40 to 100 %, GPT 0 to 20 %" in surface.region(titled)


def test_what_would_change_our_mind_is_a_training_or_none():
    assert surface.change_of_mind(fitted()) == ""
    stop = {"row": "advice", "name": "stop", "value": "0.17"}
    assert surface.change_of_mind(fitted(stop)) == (
        "What would change our mind: no further training is expected to; together the best ones would raise the chosen "
        "mix by 0.17 points."
    )
    train = {"row": "advice", "name": "train", "value": "0.9"}
    following = {"row": "next", "name": "1", "value": "0.5", "seeds": "2", "chance": "0.31"}
    inside = surface.change_of_mind(fitted(train, {**following, "note": "interior"}))
    assert "(2 seeds, 31 %; it shows whether the surface fits)" in inside
    assert "training 60 % native, 40 % translated, no synthetic (2 seeds, 31 %)" in surface.change_of_mind(
        fitted(train, following)
    )


def _inputs(tmp_path, rows) -> Inputs:
    (tmp_path / "tables").mkdir()
    lines = [",".join({**dict.fromkeys(COLUMNS, ""), **COMMON, **row}.values()) for row in rows]
    (tmp_path / "tables" / "surface.csv").write_text("\n".join([",".join(COLUMNS), *lines]) + "\n")
    model = EvaluatedModel(name="b/base", kind="base", backbone="b")
    return Inputs(ReportSpec(study="s", mixes=(), models=(model,), suites=("mcqa",), tables=("surface",)), tmp_path)


def _mixes(row, name, shares, components="abc") -> list[dict[str, str]]:
    return [
        {"row": row, "name": name or f"m{number}", "value": str(40 + 5 * blend[0]), "low": "38", "high": "48",
         "in_region": str(int(blend[0] > 0.4)),
         "shares": ";".join(f"{c}={s}" for c, s in zip(components, blend, strict=True))}
        for number, blend in enumerate(shares)
    ]  # fmt: skip


def test_the_section_opens_with_the_objective_and_says_what_weakens_it(tmp_path):
    rows = [{**row, "note": "demonstration: n too small"} for row in SUPPORTED]
    inputs = _inputs(tmp_path, [*rows, *({**row, "suite": "objective", "metric": "objective"} for row in rows)])
    surface_rows = surface_table(inputs)
    assert surface_rows is not None
    assert surface_rows.what == "the weighted objective"
    section = surface.section(inputs, None)
    assert section is not None
    assert section.blocks[0].note == "demonstration: n too small"
    assert section.title == "What to give"
    assert surface.section(Inputs(inputs.spec.model_copy(update={"tables": ()}), tmp_path), None) is None


@pytest.mark.parametrize("components", ["abc", "abcd", "ab"])
def test_the_figure_is_drawn_from_the_table_alone(tmp_path, components):
    width = len(components)
    corners = [[1.0 if place == row else 0.0 for place in range(width)] for row in range(width)]
    middle = [1 / width] * width
    edges = [[(a + b) / 2 for a, b in zip(corners[0], other, strict=True)] for other in corners[1:]]
    own = _mixes("x", "x", [corners[0]], components)[0]["shares"]
    rows = [{**row, "shares": own} for row in SUPPORTED]
    for name in components:
        rows += _mixes("trace", name, [corners[0], middle], components)
    rows += _mixes("prediction", "", [*corners, middle, *edges], components)
    inputs = _inputs(tmp_path, [*rows, *_mixes("run", "", corners, components)])
    figure = figure_of.draw_surface(inputs)
    assert figure is not None
    words = " ".join(text.get_text() for text in figure.findobj(MplText))
    assert all(re.search(rf"\b{name}, % of the mix", words) for name in components)
    assert ("as good as the best" in words) == (width == 3)


def test_the_next_mixes_can_be_pasted_under_names_that_are_free(tmp_path):
    following = [
        {"row": "next", "name": "1", "size": "48", "shares": "native=0.5;translated=0.5;synthetic=0"},
        {"row": "next", "name": "2", "size": "48", "shares": "native=0.25;translated=0.75;synthetic=0"},
    ]
    inputs = _inputs(tmp_path, [*SUPPORTED, *following])
    inputs = Inputs(inputs.spec.model_copy(update={"mixes": ("next-1",)}), tmp_path)
    rows = surface_table(inputs)
    assert rows is not None
    assert yaml.safe_load(surface.to_paste(inputs, rows)) == {
        "mixes": {
            "next-2": {"shares": {"native": 1, "translated": 1}, "size": 48},
            "next-3": {"shares": {"native": 1, "translated": 3}, "size": 48},
        }
    }
