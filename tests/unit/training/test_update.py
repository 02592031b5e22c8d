"""The optimizer, its state, the logits of a configuration, and the loss of pairs."""

import math
from types import SimpleNamespace

import pytest
import torch

from posologie.training.spec import Recipe
from posologie.training.update import (
    LogitForm,
    copy_of,
    logit_form,
    make_optimizer,
    preference_losses,
    put_back,
    state_of,
)

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("settings", "form"),
    [
        ({}, LogitForm(1.0, None)),
        ({"logit_scale": 0.0625}, LogitForm(0.0625, None)),
        ({"logits_scaling": 8.0}, LogitForm(0.125, None)),
        ({"logit_scale": None, "logits_scaling": None, "final_logit_softcapping": None}, LogitForm(1.0, None)),
        ({"final_logit_softcapping": 30.0}, LogitForm(1.0, 30.0)),
        ({"logit_scale": 2, "logits_scaling": 4, "final_logit_softcapping": 5.0}, LogitForm(0.5, 5.0)),
    ],
)
def test_a_configuration_says_what_becomes_of_its_logits(settings, form):
    of_the_text = SimpleNamespace(**settings)
    assert logit_form(SimpleNamespace(config=SimpleNamespace(get_text_config=lambda: of_the_text))) == form


def test_the_loss_of_a_pair_is_that_of_the_definition():
    chosen, rejected = torch.tensor([1.0, -2.0, 0.0]), torch.tensor([0.5, 3.0, 0.0])
    expected = [math.log1p(math.exp(-0.1 * margin)) for margin in (0.5, -5.0, 0.0)]
    assert preference_losses(chosen, rejected, 0.1).tolist() == pytest.approx(expected, rel=1e-6)


WEIGHTS = (
    "layers.0.proj.weight",
    "layers.0.proj.bias",
    "layers.0.input_layernorm.weight",
    "norm.weight",
    "q_norm.weight",
    "layers.0.Norm",
    "normal.weight",
    "RMSNorm_1.scale",
)


def weights():
    torch.manual_seed(0)
    return {name: torch.nn.Parameter(torch.randn(3)) for name in WEIGHTS}


def test_biases_and_norms_do_not_decay():
    named = weights()
    optimizer = make_optimizer(named, Recipe(learning_rate=3e-4, weight_decay=0.02), CPU)
    assert isinstance(optimizer, torch.optim.AdamW)
    decay = {id(parameter): group["weight_decay"] for group in optimizer.param_groups for parameter in group["params"]}
    assert {name: decay[id(parameter)] for name, parameter in named.items()} == {
        "layers.0.proj.weight": 0.02,
        "normal.weight": 0.02,
        "layers.0.proj.bias": 0.0,
        "layers.0.input_layernorm.weight": 0.0,
        "norm.weight": 0.0,
        "q_norm.weight": 0.0,
        "layers.0.Norm": 0.0,
        "RMSNorm_1.scale": 0.0,
    }
    assert {(group["lr"], group["fused"]) for group in optimizer.param_groups} == {(3e-4, False)}


def test_weights_that_all_decay_make_one_group():
    (group,) = make_optimizer({"a.weight": torch.nn.Parameter(torch.ones(1))}, Recipe(), CPU).param_groups
    assert len(group["params"]) == 1


def step(named, optimizer):
    optimizer.zero_grad()
    sum((parameter**3).sum() for parameter in named.values()).backward()
    optimizer.step()


def test_a_state_that_is_put_back_goes_on_as_if_nothing_had_been():
    named = weights()
    optimizer = make_optimizer(named, Recipe(learning_rate=0.1), CPU)
    step(named, optimizer)
    saved = state_of(named, optimizer)
    assert set(saved) == {f"{kind}/{name}" for kind in ("weight", "step", "exp_avg", "exp_avg_sq") for name in WEIGHTS}
    kept = {name: tensor.clone() for name, tensor in saved.items()}
    step(named, optimizer)
    assert all(torch.equal(saved[name], tensor) for name, tensor in kept.items()), "copies, not views"
    expected = copy_of(named)
    others = {name: torch.nn.Parameter(torch.zeros(3)) for name in WEIGHTS}
    again = make_optimizer(others, Recipe(learning_rate=0.1), CPU)
    put_back(others, again, saved)
    assert all(torch.equal(others[name], saved[f"weight/{name}"]) for name in WEIGHTS)
    step(others, again)
    assert all(torch.equal(others[name], expected[name]) for name in WEIGHTS)


def test_before_the_first_update_a_state_is_weights_alone():
    named = weights()
    optimizer = make_optimizer(named, Recipe(), CPU)
    saved = state_of(named, optimizer)
    assert set(saved) == {f"weight/{name}" for name in WEIGHTS}
    put_back(named, optimizer, saved)
    assert not optimizer.state


def test_copies_are_detached():
    named = weights()
    copies = copy_of(named)
    assert list(copies) == list(WEIGHTS)
    assert not any(tensor.requires_grad for tensor in copies.values())
    with torch.no_grad():
        named["norm.weight"].add_(1)
    assert not torch.equal(copies["norm.weight"], named["norm.weight"])
