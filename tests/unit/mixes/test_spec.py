"""A mix is the same however its shares are written."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from posologie.mixes.sampling import sainte_lague
from posologie.mixes.spec import Mix, MixSpec, Validation, least_repeated, lowest_terms

weights = st.dictionaries(
    st.sampled_from("abcd"), st.integers(1, 9_999) | st.sampled_from([0.1, 0.25, 0.3, 2.5]), min_size=1
)


def spec(**mix):
    drawn_mix = Mix(size=24, **mix)
    provenances = {"native": "native", "synthetic": "synthetic"}
    return MixSpec(name="m", mix=drawn_mix, seed=1, provenance_of=provenances, validation=Validation()).canonical_json()


@pytest.mark.parametrize(
    ("first", "other"),
    [((1, 1), (2, 2)), ((1, 1), (0.5, 0.5)), ((1, 3), (0.25, 0.75)), ((1, 2), (0.1, 0.2)), ((1, 1), (1e-3, 0.001))],
)
def test_equal_ratios_are_equal_specs(first, other):
    pairs = [dict(zip(("native", "synthetic"), values, strict=True)) for values in (first, other)]
    first, second = (spec(shares=pair) for pair in pairs)
    assert first == second
    assert first == spec(shares=dict(reversed(pairs[1].items())))
    first, second = (spec(shares={"native": 1}, strata=["task"], stratum_shares=pair) for pair in pairs)
    assert first == second


@pytest.mark.parametrize(("first", "other"), [((1, 1), (1, 2)), ((1, 2), (2, 1)), ((1, 2), (0.1, 0.20001))])
def test_other_ratios_are_other_specs(first, other):
    assert spec(shares={"native": first[0], "synthetic": first[1]}) != spec(
        shares={"native": other[0], "synthetic": other[1]}
    )


def test_counts_are_no_ratio_and_a_study_keeps_its_shares_as_written():
    assert Mix(counts={"native": 4, "synthetic": 4}).counts == {"native": 4, "synthetic": 4}
    assert Mix(shares={"native": 4, "synthetic": 4}, size=8).shares == {"native": 4, "synthetic": 4}


@given(weights, st.integers(0, 100))
def test_lowest_terms_keep_the_ratio_and_every_quota(weights, seats):
    reduced = lowest_terms(weights)
    ratios = {Fraction(str(weights[name])) / Fraction(str(reduced[name])) for name in weights}
    assert len(ratios) == 1
    assert all(value == int(value) for value in reduced.values())
    assert sainte_lague(reduced, seats) == sainte_lague(weights, seats)
    assert lowest_terms(reduced) == reduced


def test_a_ratio_beyond_what_a_float_holds_stays_as_it_is():
    weights = {"a": 0.12345678901234567, "b": 1.0}
    assert lowest_terms(weights) == weights


def test_what_a_component_is_called_decides_no_tie():
    from posologie.mixes.contents import ingredient_counts

    names = {"a": ("native", "translated", "synthetic"), "b": ("z", "y", "x"), "c": ("same", "other", "another")}
    for size in (7, 8, 9, 11):
        counts_of_names = []
        for first, second, third in names.values():
            component_of = {"books": first, "articles": second, "made": third, "exams": second}
            counts = ingredient_counts(Mix(shares={second: 1, third: 1, first: 1}, size=size), 0, component_of)
            assert list(counts) == [second, first, third], "in the order of their first sources' names"
            counts_of_names.append(list(counts.values()))
        assert counts_of_names[0] == counts_of_names[1] == counts_of_names[2]
        assert sum(counts_of_names[0]) == size


def test_a_mix_without_repetition_is_the_spec_that_it_always_was():
    plain = spec(shares={"native": 3})
    assert "epochs" not in plain
    assert spec(shares={"native": 3}, epochs={"native": 1}) == plain
    assert spec(shares={"native": 3}, epochs={"native": 2}) != plain


def test_epochs_of_a_part_that_the_mix_does_not_hold_are_refused():
    with pytest.raises(ValidationError, match="epochs of the keys of shares or counts"):
        Mix(counts={"native": 3}, epochs={"synthetic": 2})


def test_of_mixes_with_the_same_dose_those_that_repeat_least_stand_for_it():
    blends = {"A": {"x": 1.0}, "B": {"x": 1.0}, "C": {"x": 0.5, "y": 0.5}, "D": {"x": 1.0}}
    sizes = {"A": "10", "B": "10", "C": "10", "D": "20"}
    assert [*least_repeated(blends, sizes, {"A": {"x": 2}, "C": {"y": 3}, "D": {"x": 4}})] == ["B", "C", "D"]
    assert [*least_repeated(blends, sizes, {})] == ["A", "B", "C", "D"]
