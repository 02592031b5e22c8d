"""A study of five components of its own, from its mixes to its page; and what their names may not change."""

import csv
import itertools
import re
from pathlib import Path

import numpy as np
import pytest

from posologie.records.components import PALETTE, Component, Shown, completed
from posologie.report.__main__ import main as write_report
from posologie.report.composition import components_of, mixes
from posologie.report.figures import __main__ as figures
from posologie.report.html import read_template
from posologie.report.inputs import Inputs
from posologie.report.names import COLOURS, hatch
from posologie.statistics.spec import TableSpec
from simulated import make_study

OWN = ("textbook", "exam", "forum", "synthetic-a", "synthetic-b")
RENAMED = ("zebra", "all-of-it", "native", "m", "a")
TABLES = ("composition", "contrasts", "transfer", "attribution")
NAMED = ("provenance", "scope", "term", "left", "right")
FAMILY = re.compile(r"(?<=/provenance/)[^/]+|(?<=/between/)[^/]+")
KINDS = ("native", None, "native", "synthetic", "synthetic")


def five(root: Path, names: tuple[str, ...]):
    """Make a study whose second component has no kind; eight mixes of one size tell the five apart."""
    alone = {f"M{number}": {name: 1.0} for number, name in enumerate(names)}
    joined = {"HALF": {names[0]: 0.5, names[4]: 0.5}, "FEW": dict.fromkeys(names[:3], 1 / 3)}
    joined["ALL"] = dict.fromkeys(names, 0.2)
    components = {name: Component(kind=kind) for name, kind in zip(names, KINDS, strict=True)}
    components[names[1]] = Component(title="Exam questions", colour="wine")
    tested = {"one": names[0], "two": names[3]}
    return make_study(
        root, choices=18, open_questions=0, permutations=0, tables=TABLES, mixes=alone | joined, tested=tested,
        components=components,
    )  # fmt: skip


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    return five(tmp_path_factory.mktemp("own"), OWN)


def rows_of(study, table: str) -> list[dict[str, str]]:
    with open(study.root / "tables" / f"{table}.csv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_attribution_is_by_a_linear_surface_in_the_order_of_declaration(own):
    rows = [row for row in rows_of(own, "attribution") if (row["scope"], row["task"]) == ("all", "all")]
    measured = ("em", "constrained", "item_weighted")
    rows = [row for row in rows if (row["metric"], row["decoding"], row["aggregate"]) == measured]
    assert [row["term"] for row in rows if row["method"] == "shapley_linear"] == list(OWN)
    assert all("from a linear surface through 8 mixes" in row["note"] for row in rows)
    assert all(float(row["low"]) < float(row["value"]) < float(row["high"]) for row in rows)


def test_scopes_and_columns_stand_in_the_order_of_declaration(own):
    scopes = dict.fromkeys(row["scope"] for row in rows_of(own, "contrasts") if row["scope_kind"] == "provenance")
    assert list(scopes) == ["textbook", "synthetic-a"], "declared so, and not by the alphabet"
    held = dict.fromkeys(row["provenance"] for row in rows_of(own, "composition") if row["mix"] == "ALL")
    assert list(held) == ["all", *OWN]
    inputs = Inputs(own.report, own.root)
    shown = components_of(inputs, mixes(inputs))
    assert [component.title for component in shown] == [
        "textbook",
        "Exam questions",
        "forum",
        "synthetic-a",
        "synthetic-b",
    ]
    assert [component.colour for component in shown] == ["blue", "wine", "vermillion", "green", "purple"]


def test_figures_and_page_show_titles_and_colours(own):
    spec = own.report.model_copy(update={"tables": ("composition", "transfer", "attribution")})
    common = ["--spec", spec.canonical_json(), "--results", str(own.root)]
    figures.main([*common, "--figures", str(own.root / "figures")])
    drawn = (own.root / "figures" / "composition.svg").read_text(encoding="utf-8")
    legend = re.findall(r">([^<>]+)</text>", drawn)
    titles = ["textbook", "Exam questions", "forum", "synthetic-a", "synthetic-b"]
    assert [name for name in legend if name in titles] == titles
    assert all(COLOURS[colour] in drawn for colour in ("blue", "wine", "vermillion", "green", "purple"))
    assert ">Exam questions</text>" in (own.root / "figures" / "attribution.svg").read_text(encoding="utf-8")
    target = own.root / "report.html"
    write_report([*common, "--report", str(target)])
    page = target.read_text(encoding="utf-8")
    assert '<span class="wine" style="width:100.0%"></span>' in page
    assert (
        "read from a linear surface through 8 mixes; they sum to its value at the equal blend of all less base" in page
    )


def test_a_name_changes_no_number(own, tmp_path):
    again = five(tmp_path, RENAMED)
    back = dict(zip(RENAMED, OWN, strict=True))
    for table in TABLES:
        ours, theirs = rows_of(own, table), rows_of(again, table)
        for row in theirs:
            named = NAMED if table != "contrasts" else ("scope",)
            row |= {column: back.get(row[column], row[column]) for column in named if column in row}
            if "family" in row:
                row["family"] = FAMILY.sub(lambda match: " and ".join(back[name] for name in match[0].split(" and ")),
                                           row["family"])  # fmt: skip
        assert ours == theirs, table


def test_colours_are_told_apart_with_every_common_form_of_colour_blindness():
    closest = {
        pair: min(np.linalg.norm(_oklab(COLOURS[pair[0]], sight) - _oklab(COLOURS[pair[1]], sight)) for sight in SIGHTS)
        for pair in itertools.combinations(PALETTE, 2)
    }
    of_okabe_and_ito = min(value for pair, value in closest.items() if set(pair) <= set(PALETTE[:6]))
    assert min(closest.values()) == of_okabe_and_ito > 0.07


def test_components_beyond_the_palette_have_another_texture():
    shown = Shown.of(completed({f"c{number}": Component() for number in range(30)}))
    looks = {(component.colour, hatch(number)) for number, component in enumerate(shown)}
    assert len(looks) == 24, "twelve colours, with a second texture for each"


def test_the_page_knows_every_colour_of_the_palette():
    style = read_template("style.css")
    for name, colour in COLOURS.items():
        assert f"--{name}: light-dark({colour}, #" in style
        assert f".{name} {{ background: var(--{name}); }}" in style


def test_a_default_study_has_the_spec_that_it_had():
    declared = TableSpec.model_validate({"models": [{"name": "b/base", "kind": "base", "backbone": "b"}],
                                         "suites": {"s": {"benchmarks": {"x": {"source": "y"}}}}})  # fmt: skip
    assert '"components"' not in declared.canonical_json()


# Machado, Oliveira and Fernandes 2009, table 1, severity 1: linear sRGB as it is seen without one kind of cone.
SIGHTS = (
    np.eye(3),
    np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]),
    np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]),
    np.array([[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]]),
)


def _oklab(colour: str, sight: np.ndarray) -> np.ndarray:
    """Return a colour in Ottosson's OKLab, where distances are alike to the eye."""
    share = np.array([int(colour[place : place + 2], 16) for place in (1, 3, 5)]) / 255
    linear = np.where(share <= 0.04045, share / 12.92, ((share + 0.055) / 1.055) ** 2.4)
    cones = np.array([[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566],
                      [0.0883024619, 0.2817188376, 0.6299787005]])  # fmt: skip
    mixed = np.array([[0.2104542553, 0.7936177850, -0.0040720468], [1.9779984951, -2.4285922050, 0.4505937099],
                      [0.0259040371, 0.7827717662, -0.8086757660]])  # fmt: skip
    return mixed @ np.cbrt(cones @ np.clip(sight @ linear, 0, 1))
