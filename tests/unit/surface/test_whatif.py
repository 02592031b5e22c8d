"""What a mix would answer: an average of single components' probabilities, refused where it tells nothing."""

import numpy as np
import pytest

from posologie.running.errors import InputError
from posologie.surface.whatif import blended, check, predicted_score, right_share

NAMES = ("A", "B", "C", "A-B", "A-C", "B-C", "A-B-C")
SHARES = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5], [1 / 3] * 3])


def world(noise, apart=1.0, items=300):
    """Return probabilities of three components, of seven mixes that are their average but for noise, and the gold."""
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(1, items, 4)) + apart * rng.normal(size=(3, items, 4))
    components = np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True)
    mixes = np.tensordot(SHARES, components, axes=1) * np.exp(noise * rng.normal(size=(7, items, 4)))
    return components, mixes / mixes.sum(axis=2, keepdims=True), rng.integers(0, 4, items)


def test_probabilities_are_averaged_by_shares():
    components = np.array([[[0.8, 0.2]], [[0.4, 0.6]]])
    np.testing.assert_allclose(blended(components, np.array([0.25, 0.75])), [[0.5, 0.5]])
    with pytest.raises(InputError, match="sum of 1"):
        blended(components, np.array([0.5, 0.6]))


def test_ties_are_shared_out():
    assert right_share(np.array([[0.5, 0.5, 0], [0.2, 0.3, 0.5]]), np.array([0, 2])) == pytest.approx(0.75)


def test_mixes_that_are_averages_can_be_predicted_with_their_own_error():
    components, mixes, gold = world(noise=0.1)
    checked = check(NAMES, components, mixes, SHARES, gold, component_names=["A", "B", "C"])
    assert checked.blends == NAMES[3:]
    assert not checked.refused
    assert checked.error < 0.5 * min(checked.wrong.values())
    assert set(checked.wrong) == {"A", "B", "C", "equal shares"}
    assert checked.p_value == pytest.approx(1 / 24)
    value, low, high = predicted_score(checked, components, np.array([0.2, 0.3, 0.5]), gold)
    assert low < value < high


def test_a_wrong_component_that_predicts_as_well_refuses():
    components, mixes, gold = world(noise=0.8, apart=0.02)
    checked = check(NAMES, components, mixes, SHARES, gold)
    assert checked.refused
    assert "predicts them as well" in checked.note
    with pytest.raises(InputError, match="no prediction of new mixes"):
        predicted_score(checked, components, np.array([0.2, 0.3, 0.5]), gold)


def test_weights_that_belong_to_other_mixes_refuse():
    components, mixes, gold = world(noise=0.1)
    turned = mixes[[0, 1, 2, 4, 5, 3, 6]]
    checked = check(NAMES, components, turned, SHARES, gold)
    assert checked.refused
    assert "assigned to the wrong mixes are as close" in checked.note


def test_few_blends_and_none_are_refused():
    components, mixes, gold = world(noise=0.1)
    few = check(NAMES[:5], components, mixes[:5], SHARES[:5], gold)
    assert few.refused
    assert "2 trained blends are too few" in few.note
    with pytest.raises(InputError, match="no trained mix has two components"):
        check(NAMES[:3], components, mixes[:3], SHARES[:3], gold)


def test_items_of_a_group_are_one_unit():
    components, mixes, gold = world(noise=0.1)
    alone = check(NAMES, components, mixes, SHARES, gold)
    grouped = check(NAMES, components, mixes, SHARES, gold, groups=[str(item // 30) for item in range(300)])
    assert (alone.groups, grouped.groups) == (300, 10)
    assert grouped.advantage == pytest.approx(alone.advantage)
    assert grouped.advantage_low != alone.advantage_low
