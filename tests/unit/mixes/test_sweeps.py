import pytest
from pydantic import TypeAdapter, ValidationError

from posologie.mixes.spec import Mix, Sweep, doses, expand_sweeps
from posologie.records.items import read_items
from posologie.records.specs import first_problem

SWEEP = TypeAdapter(Sweep)


def sweep(**settings):
    return SWEEP.validate_python(settings)


def test_a_share_sweep_names_who_fills_the_rest():
    mixes = expand_sweeps(
        {"syn": sweep(kind="share", of="synthetic", values=[0, 0.125, 0.9, 1], rest="native", size=800)}
    )
    assert mixes == {
        "syn-0": Mix(shares={"native": 1}, size=800),
        "syn-12.5": Mix(shares={"synthetic": 0.125, "native": 0.875}, size=800),
        "syn-90": Mix(shares={"synthetic": 0.9, "native": 0.1}, size=800),
        "syn-100": Mix(shares={"synthetic": 1}, size=800),
    }


def test_a_rest_of_several_keeps_its_weights():
    rest = {"native": 1, "translated": 3}
    mixes = expand_sweeps({"s": sweep(kind="share", of="synthetic", values=[0.2], rest=rest, size="smallest")})
    assert mixes == {"s-20": Mix(shares={"synthetic": 0.2, "native": 0.2, "translated": 0.6}, size="smallest")}


def test_a_size_sweep_keeps_the_shares_and_how_items_are_drawn():
    sizes = sweep(kind="size", shares={"native": 1, "translated": 1}, values=[1000, 250], strata=["task"])
    assert expand_sweeps({"n": sizes}) == {
        "n-1000": Mix(shares={"native": 1, "translated": 1}, size=1000, strata=["task"]),
        "n-250": Mix(shares={"native": 1, "translated": 1}, size=250, strata=["task"]),
    }
    assert doses("n", sizes) == {"n-1000": 1000, "n-250": 250}


def test_an_additive_sweep_adds_growing_doses_to_a_fixed_base():
    doses_of_translated = sweep(kind="additive", base={"native": 50}, of="translated", values=[0, 20, 150])
    assert expand_sweeps({"plus": doses_of_translated}) == {
        "plus-0": Mix(counts={"native": 50}),
        "plus-20": Mix(counts={"native": 50, "translated": 20}),
        "plus-150": Mix(counts={"native": 50, "translated": 150}),
    }


def test_a_sweep_of_epochs_keeps_shares_and_size_and_repeats_fewer_items():
    epochs = sweep(kind="epochs", of="native", values=[1, 4], shares={"native": 1, "translated": 1}, size=40)
    assert expand_sweeps({"e": epochs}) == {
        "e-1": Mix(shares={"native": 1, "translated": 1}, size=40, epochs={"native": 1}),
        "e-4": Mix(shares={"native": 1, "translated": 1}, size=40, epochs={"native": 4}),
    }
    assert doses("e", epochs) == {"e-1": 1, "e-4": 4}


def test_every_mix_of_an_additive_sweep_contains_the_one_before(make_mix):
    additive = sweep(kind="additive", base={"native": 50}, of="translated", values=[0, 20, 150], strata=["task"])
    drawn = [
        {item.id for item in read_items(make_mix(mix.model_dump(exclude_none=True), name=name) / "train.parquet")}
        for name, mix in expand_sweeps({"plus": additive}).items()
    ]
    assert [len(part) for part in drawn] == [50, 70, 200]
    assert drawn[0] < drawn[1] < drawn[2]


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"kind": "share", "of": "native", "values": [0.5], "rest": "native", "size": 9}, "rest without 'native'"),
        ({"kind": "share", "of": "native", "values": [1.5], "rest": "synthetic", "size": 9}, "a number of at most 1"),
        ({"kind": "additive", "of": "native", "values": [0]}, "a base, or values above zero"),
        ({"kind": "additive", "of": "native", "values": [5], "base": {"native": 5}}, "base without 'native'"),
        ({"kind": "size", "shares": {"native": 1}, "values": [5, 5]}, "each value once"),
        ({"kind": "shares", "of": "native", "values": [5]}, "'share', 'size', 'additive'"),
    ],
)
def test_a_sweep_that_makes_no_sense_is_one_line(settings, problem):
    with pytest.raises(ValidationError) as caught:
        SWEEP.validate_python(settings)
    assert problem in first_problem(caught.value)
