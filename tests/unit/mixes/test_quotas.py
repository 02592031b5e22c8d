from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from posologie.mixes.sampling import sainte_lague

names = st.sampled_from("abcdefgh")
weights = st.dictionaries(names, st.integers(1, 400) | st.sampled_from([0.1, 0.25, 0.3, 1 / 3, 2.5]), min_size=1)


def by_single_awards(weights, seats, held):
    """The definition: one seat at a time to the highest quotient."""
    given_seats = dict.fromkeys(weights, 0)
    for _ in range(seats):
        open_names = [name for name in sorted(weights) if held is None or given_seats[name] < held[name]]
        if not open_names:
            break
        quotient = {name: Fraction(str(weights[name])) / (2 * given_seats[name] + 1) for name in open_names}
        given_seats[max(open_names, key=lambda name: (quotient[name], -ord(name)))] += 1
    return given_seats


@given(
    weights, st.integers(0, 200), st.none() | st.fixed_dictionaries({name: st.integers(0, 60) for name in "abcdefgh"})
)
def test_quotas_are_those_of_awarding_one_seat_at_a_time(weights, seats, held):
    assert sainte_lague(weights, seats, held) == by_single_awards(weights, seats, held)


@given(weights, st.integers(0, 3000), st.fixed_dictionaries({name: st.integers(0, 900) for name in "abcdefgh"}))
def test_one_more_seat_never_takes_a_seat_from_anyone(weights, seats, held):
    smaller, larger = (sainte_lague(weights, count, held) for count in (seats, seats + 1))
    assert all(larger[name] >= smaller[name] for name in weights)
    assert sum(larger.values()) == min(seats + 1, sum(held[name] for name in weights))


@given(st.dictionaries(names, st.integers(1, 5000), min_size=1), st.data())
def test_no_name_gets_more_than_its_weight_when_the_weights_are_what_is_held(held, data):
    seats = data.draw(st.integers(0, sum(held.values())))
    quotas = sainte_lague(held, seats)
    assert sum(quotas.values()) == seats
    assert all(quotas[name] <= held[name] for name in held)


def test_the_published_size_has_no_half():
    assert sainte_lague({"synthetic": 1, "native": 1}, 33493) == {"native": 16747, "synthetic": 16746}
    assert sainte_lague({"synthetic": 1, "native": 1, "translated": 1}, 33493) == {
        "native": 11165,
        "synthetic": 11164,
        "translated": 11164,
    }


def test_nothing_to_award_and_nobody_to_award_it_to():
    assert sainte_lague({}, 5) == {}
    assert sainte_lague({"a": 1, "b": 2}, 0) == sainte_lague({"a": 1, "b": 2}, -3) == {"a": 0, "b": 0}
