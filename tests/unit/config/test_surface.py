"""The sections `design` and `surface`, further seeds, and what they leave alone."""

import pytest

from posologie.config import job_specs, plan, table_specs
from posologie.config.load import load_study, study_document, study_from
from posologie.config.tables import tables
from posologie.running.errors import InputError


def _study(**sections):
    return study_from({**study_document("config/smollm2.yaml"), **sections}, "demo")


def test_mixes_that_can_bear_a_surface_have_its_table():
    assert "surface" in tables(load_study("config/smollm2.yaml"))
    two = {name: {"shares": {name: 1}, "size": 48} for name in ("native", "synthetic")}
    assert "surface" not in tables(_study(mixes=two))
    again = {f"{name}-{size}": {"shares": {name: 1}, "size": size} for name in two for size in (24, 48)}
    assert "surface" not in tables(_study(mixes=again))


def test_bounds_prices_and_objective_change_no_other_artifact():
    kinds = ("native", "translated", "synthetic")
    before = _study(components={name: {"kind": name} for name in kinds})
    after = _study(
        components={name: {"kind": name, "price": 2} for name in kinds},
        surface={"bounds": {"native": [0.1, 0.6]}, "objective": {"mcqa": 1, "oeq": 0.5}},
        design={"trainings": 8, "bounds": {"synthetic": [0, 0.5]}},
    )
    assert table_specs.surface_spec(before) != table_specs.surface_spec(after)
    for spec_of in (
        table_specs.table_spec,
        table_specs.composition_spec,
        table_specs.compute_spec,
        job_specs.look_spec,
    ):
        assert spec_of(before) == spec_of(after)
    assert job_specs.mix_spec(before, "NAT", 42) == job_specs.mix_spec(after, "NAT", 42)
    assert job_specs.report_spec(before, ("surface",)) == job_specs.report_spec(after, ("surface",))


def test_prices_of_components_are_those_of_the_surface():
    components = {"native": {"kind": "native", "price": 2}, "translated": {"kind": "translated", "price": 0.5},
                  "synthetic": {"kind": "synthetic"}}  # fmt: skip
    study = _study(components=components, currency="EUR")
    spec = table_specs.surface_spec(study)
    assert (spec.prices, spec.currency) == ({"native": 2, "translated": 0.5}, "EUR")


def test_a_mix_may_have_seeds_of_its_own():
    study = _study(training={"seeds": [42], "further_seeds": {"NAT": [43, 44]}})
    assert [model.seed for model in plan.models(study).values() if model.mix == "NAT"] == [42, 43, 44]
    assert [model.seed for model in plan.models(study).values() if model.mix == "SYN"] == [42]
    assert plan.sampling_seeds(study, "NAT") == [42, 43, 44]
    assert table_specs.composition_spec(study).mixes["NAT"] == (42, 43, 44)


def test_a_mix_that_repeats_items_is_no_second_training_of_the_same_mix():
    mixes = dict(_study().mixes)
    repeated = mixes["NAT"].model_dump(exclude_none=True) | {"epochs": {"native": 2}}
    study = _study(mixes={name: mix.model_dump(exclude_none=True) for name, mix in mixes.items()} | {"TWICE": repeated})
    spec = table_specs.surface_spec(study)
    assert spec.epochs == {"TWICE": {"native": 2}}
    assert [*spec.designed] == [*mixes]
    assert "epochs" not in table_specs.surface_spec(_study()).canonical_json()


@pytest.mark.parametrize(
    ("sections", "line"),
    [
        ({"surface": {"bounds": {"natve": [0, 1]}}}, "surface.bounds = 'natve': expected one of"),
        ({"surface": {"bounds": {"native": [0.7, 0.2]}}}, "a lowest and a highest share, in this order"),
        ({"surface": {"bounds": {"native": [0.7, 1], "synthetic": [0.7, 1]}}}, "lowest shares sum to 1.4"),
        ({"surface": {"objective": {"mmlu": 1}}}, "surface.objective = 'mmlu': expected one of mcqa, oeq"),
        ({"surface": {"at_least_base": ["oeq"], "objective": {"oeq": 1}}}, "which is the whole objective"),
        ({"design": {"components": ["human"]}}, "design.components = 'human'"),
        ({"training": {"further_seeds": {"NONE": [43]}}}, "training.further_seeds.NONE"),
        ({"training": {"further_seeds": {"NAT": [42]}}}, "expected seeds that are not in training.seeds, each once"),
        ({"design": {"trainings": 8, "repeats": 100}}, "fewer repeats than the 8 trainings"),
        ({"design": {"epochs": {"natve": 2}}}, "design.epochs = 'natve'"),
        (
            {"training": {"seeds": list(range(100)), "budget": 200}},
            r"training.budget = 200: the study asks for 700 trainings \(7 mixes × 100 seeds\); take fewer mixes",
        ),
        (
            {"training": {"further_seeds": {"NAT": [43]}, "budget": 12}, "design": {"trainings": 5}},
            r"8 trainings \(7 mixes × 1 seed \+ 1 with further seeds\) and 5 that design.trainings may propose",
        ),
    ],
)
def test_what_does_not_fit_is_one_line(sections, line):
    with pytest.raises(InputError, match=line):
        _study(**sections)
