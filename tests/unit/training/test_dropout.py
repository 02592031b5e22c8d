"""A dropout mask belongs to the example."""

import pytest
import torch

from posologie.training.layers import ExampleDropout, MaskSource

LIKE = torch.zeros(1)


def masks(ids, bounds, *, seed=1, update=0, layer=3, features=64, like=LIKE):
    source = MaskSource()
    source.begin(seed=seed, update=update, ids=ids, bounds=bounds)
    return source.kept(layer, features, 0.25, like)


def test_neighbours_in_the_batch_do_not_change_an_examples_mask():
    alone = masks(["b"], [0, 5])
    first = masks(["b", "a"], [0, 5, 12])
    last = masks(["a", "c", "b"], [0, 7, 9, 14])
    assert torch.equal(first[:5], alone)
    assert torch.equal(last[9:], alone)


@pytest.mark.parametrize("change", [{"seed": 2}, {"update": 1}, {"layer": 4}, {"ids": ["c"]}])
def test_seed_update_layer_and_item_each_give_another_mask(change):
    settings = {"ids": ["b"], "bounds": [0, 5]}
    assert not torch.equal(masks(**settings), masks(**{**settings, **change}))


def test_the_share_of_dropped_entries_is_the_probability_for_every_feature_and_example():
    kept = masks([f"item {n}" for n in range(400)], list(range(0, 4001, 10)))
    dropped = 1 - kept
    deviation = (0.25 * 0.75 / 4000) ** 0.5
    assert abs(float(dropped.mean()) - 0.25) < 5 * deviation / 8
    assert float((dropped.mean(0) - 0.25).abs().max()) < 5 * deviation
    by_example = dropped.view(400, -1).mean(1)
    assert float((by_example - 0.25).abs().max()) < 5 * (0.25 * 0.75 / 640) ** 0.5


def test_layers_and_updates_are_uncorrelated():
    base = masks(["a"], [0, 500]) - 0.75
    for change in ({"layer": 4}, {"update": 1}, {"seed": 2}):
        other = masks(["a"], [0, 500], **change) - 0.75
        assert abs(float((base * other).mean())) < 5 * 0.1875 / (500 * 64) ** 0.5


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16, torch.float64])
def test_the_mask_is_the_same_in_every_precision(precision):
    kept = masks(["a"], [0, 9], features=5, like=torch.zeros(1, dtype=precision))
    assert kept.dtype == precision
    assert torch.equal(kept.float(), masks(["a"], [0, 9], features=5))


def test_dropout_keeps_the_mean_and_is_off_in_evaluation():
    source = MaskSource()
    source.begin(seed=1, update=0, ids=["a"], bounds=[0, 2000])
    layer = ExampleDropout(0.25, 0, source)
    x = torch.ones(1, 2000, 64)
    assert abs(float(layer(x).mean()) - 1) < 0.01
    assert torch.equal(layer.eval()(x), x)
