"""Components that a study names itself: what stands for them, what follows from them, and what is refused."""

import copy
from fractions import Fraction

import pytest
from mixes_made import made_items

from posologie.config import job_specs, plan, table_specs
from posologie.config.load import study_from
from posologie.config.tables import tables
from posologie.records.components import PALETTE
from posologie.records.files import write_parquet
from posologie.records.items import items_to_table
from posologie.running.errors import InputError

STUDY = {
    "study": "own",
    "components": {
        "textbook": {"title": "Textbook questions", "kind": "native", "price": 0.4},
        "exam": {},
        "translated": {"kind": "translated", "colour": "blue"},
        "synthetic-a": {"kind": "synthetic"},
        "synthetic-b": {"kind": "synthetic", "price": 0},
    },
    "currency": "EUR",
    "sources": {
        "books": {"component": "textbook", "hub": "o/books"},
        "old-exams": {"component": "exam", "hub": "o/old", "splits": ["train"]},
        "new-exams": {"component": "exam", "hub": "o/new", "splits": ["train", "test"]},
        "translated": {"component": "translated", "hub": "o/t", "splits": ["train", "validation"]},
        "a": {"component": "synthetic-a", "hub": "o/a", "splits": ["train"]},
        "b": {"component": "synthetic-b", "hub": "o/b", "splits": ["train"]},
    },
    "mixes": {
        "BOOKS": {"shares": {"textbook": 1}, "size": 100},
        "MANY": {"counts": {"synthetic-b": 20, "textbook": 40, "old-exams": 10, "exam": 10}},
    },
    "backbones": {"tiny": {"hub": "o/m"}},
    "suites": {"exam": {"benchmarks": {"new": {"source": "new-exams"}, "books": {"source": "books"}}}},
}


def study(**changes):
    document = copy.deepcopy(STUDY)
    for key, value in changes.items():
        document[key] = value
    return study_from(document, "own.yaml")


def test_components_stand_in_the_order_of_declaration_with_titles_and_colours_of_their_own():
    components = plan.components(study())
    assert list(components) == ["textbook", "exam", "translated", "synthetic-a", "synthetic-b"]
    assert [component.title for component in components.values()][:2] == ["Textbook questions", "exam"]
    assert [component.colour for component in components.values()] == ["vermillion", "green", "blue", "purple", "sky"]
    assert [component.price for component in components.values()] == [0.4, None, None, None, 0]
    assert plan.sources_of_component(study(), "exam") == ["old-exams", "new-exams"]


def test_a_blend_joins_components_and_their_sources_in_the_order_of_declaration():
    blend = plan.blend(study(), "MANY")
    assert list(blend.items()) == [("textbook", 0.5), ("exam", 0.25), ("synthetic-b", 0.25)]


def test_the_validation_set_is_of_the_native_ones_or_of_all_where_no_kind_is_told():
    assert study().validation.provenances == ("textbook",)
    assert plan.validation_sources(study()) == ["books"]
    plain = study(components={name: {} for name in STUDY["components"]})
    assert plan.validation_sources(plain) == ["books", "translated"]
    assert study(validation={"components": ["translated"]}).validation.provenances == ("translated",)
    assert study(validation={"provenances": ["translated"]}).validation.provenances == ("translated",)


def test_a_study_without_components_has_those_of_its_sources_that_the_published_study_names():
    sources = {"s": {"provenance": "synthetic", "hub": "o/s"}, "n": {"component": "native", "hub": "o/n"}}
    own_study = study(components={}, sources=sources, mixes={}, suites={"x": {"benchmarks": {"n": {"source": "n"}}}})
    assert {name: (component.kind, component.colour) for name, component in plan.components(own_study).items()} == {
        "native": ("native", "blue"), "synthetic": ("synthetic", "vermillion")
    }  # fmt: skip
    assert own_study.validation.provenances == ("native",)


def test_titles_colours_and_prices_change_no_spec_of_data_or_training():
    plain = study(components={name: {"kind": "native"} for name in STUDY["components"]})
    dressed = study(
        components={name: {"kind": "native", "title": f"{name} data", "price": 3} for name in STUDY["components"]}
    )
    for spec in (
        lambda component: job_specs.shard_spec(component, "books", "train"),
        lambda component: job_specs.mix_spec(component, "MANY", 1),
        lambda component: job_specs.training_spec(component, "tiny", "MANY", 1),
        table_specs.table_spec,
        table_specs.composition_spec,
    ):
        assert spec(plain) == spec(dressed)


def test_items_held_are_known_where_all_sources_of_a_component_are_read(tmp_path):
    for source, count in (("books", 3), ("old-exams", 2)):
        table = items_to_table(made_items(source, "textbook", count))
        write_parquet(tmp_path / "shards" / source / "train.parquet", table)
    held = plan.held_items(study(), tmp_path)
    assert held == {"textbook": 3, "exam": None, "translated": None, "synthetic-a": None, "synthetic-b": None}
    assert plan.held_items(study(), tmp_path, ("oeq",))["textbook"] == 0


def test_mixes_from_which_a_linear_surface_can_be_read_have_an_attribution():
    names = list(STUDY["components"])
    alone = {f"M{number}": {"shares": {name: 1}, "size": 50} for number, name in enumerate(names)}
    assert "attribution" not in tables(study(mixes=alone)), "five mixes of five fit whatever they say"
    joined = alone | {"ALL": {"shares": dict.fromkeys(names, 1), "size": 50}}
    assert "attribution" in tables(study(mixes=joined))
    larger = alone | {"ALL": {"shares": dict.fromkeys(names, 1), "size": 60}}
    assert "attribution" not in tables(study(mixes=larger)), "its size would pass for its blend"
    together = {"translated": 1, "exam": 1}
    shares = ({"textbook": 1}, together, together | {"textbook": 1}, together | {"textbook": 3})
    inseparable = {f"T{place}": {"shares": share, "size": 50} for place, share in enumerate(shares)}
    assert "attribution" not in tables(study(mixes=inseparable)), "two that never part"


def _components(**changes):
    return {"components": STUDY["components"] | changes}


def _source(name, **changes):
    return {"sources": STUDY["sources"] | {name: STUDY["sources"].get(name, {"hub": "o/x"}) | changes}}


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        (_source("books", component="textbok"), "sources.books.component = 'textbok': no such component; did you mean"
         " 'textbook'?"),
        ({"mixes": {"M": {"shares": {"exams": 1}, "size": 9}}}, "mixes.M.shares = 'exams': no such component or source"
         " with a train split; did you mean 'exam'?"),
        ({"validation": {"components": ["exm"]}}, "validation.components = 'exm': no such component; did you mean"
         " 'exam'?"),
        (_components(forum={}), "components.forum: no source has this component; name it in a source, or remove it"),
        (_components(all={}), "components.all: 'all' names all components together in the tables"),
        (_components(Base={}), "components.Base: 'Base' names the model without adapter in the tables"),
        (_source("exam", component="textbook"), "components.exam: a source is called 'exam' too"),
        (_source("more", component="translated"), "components.translated: a source is called 'translated' too"),
        (_components(exam={"colour": "pink"}), "components.exam.colour = 'pink': expected 'blue',"),
        (_components(exam={"colour": "blue"}), "components.translated.colour = 'blue': components.exam has it too"),
        (_components(exam={"title": "translated"}), "components.translated.title = 'translated': components.exam has"),
        (_components(exam={"price": -1}), "components.exam.price = -1: expected"),
        (_components(exam={"prise": 1}), "components.exam.prise = 1: unknown key; expected 'price'"),
        (_components(**{"a b": {}}), "components.a b"),
        (_source("books", provenance="exam"), "sources.books"),
        ({"sources": {"x": {"hub": "o/x"}}}, "sources.x.component: missing, and required"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_one_line(changes, line):
    with pytest.raises(InputError) as refused:
        study(**changes)
    assert line in str(refused.value)
    assert "\n" not in str(refused.value)


def test_the_palette_is_as_long_as_it_says():
    many = {f"c{number}": {"component": f"c{number}", "hub": f"o/c{number}"} for number in range(14)}
    components = plan.components(study(components={name: {} for name in many}, sources=many, mixes={}, suites={
        "s": {"benchmarks": {"x": {"source": "c0"}}}}))  # fmt: skip
    colours = [component.colour for component in components.values()]
    assert colours[: len(PALETTE)] == list(PALETTE)
    assert colours[len(PALETTE) :] == list(PALETTE[:2])


def test_shares_sum_to_one_exactly_where_they_can():
    assert sum(map(Fraction, plan.blend(study(), "MANY").values())) == 1
