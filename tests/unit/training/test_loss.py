"""The loss in chunks is the loss."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy

from posologie.training import update as loss_module
from posologie.training.update import PLAIN, LogitForm, chunk_rows, losses, summed_loss, target_losses

FORMS = [PLAIN, LogitForm(scale=0.25), LogitForm(scale=2.0), LogitForm(cap=2.0), LogitForm(scale=3.0, cap=5.0)]


@settings(max_examples=60, deadline=None)
@given(
    rows=st.integers(1, 40),
    vocabulary=st.integers(2, 50),
    chunk=st.integers(1, 9),
    bias=st.booleans(),
    form=st.sampled_from(FORMS),
    seed=st.integers(0, 99),
)
def test_values_and_gradients_are_those_of_the_whole_logits(rows, vocabulary, chunk, bias, form, seed):
    torch.manual_seed(seed)
    head = torch.nn.Linear(6, vocabulary, bias=bias)
    targets = torch.randint(0, vocabulary, (rows,))
    weights = torch.rand(rows)
    hidden = torch.randn(rows, 6)

    def gradients(loss_of):
        head.zero_grad()
        states = hidden.clone().requires_grad_()
        loss = loss_of(states)
        loss.backward()
        return [loss.detach(), states.grad, *(parameter.grad.clone() for parameter in head.parameters())]

    def each_of_all_logits(states):
        product = form.scale * head(states)
        logits = product if form.cap is None else form.cap * torch.tanh(product / form.cap)
        return cross_entropy(logits, targets, reduction="none")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loss_module, "CHUNK_BYTES", 4 * vocabulary * chunk)
        summed = gradients(lambda states: summed_loss(states, head, targets, form=form) / 7)
        weighted = gradients(lambda states: (target_losses(states, head, targets, form=form) * weights).sum())
        each = losses(hidden, head, targets, form)
    torch.testing.assert_close(summed, gradients(lambda states: each_of_all_logits(states).sum() / 7))
    torch.testing.assert_close(weighted, gradients(lambda states: (each_of_all_logits(states) * weights).sum()))
    torch.testing.assert_close(each, each_of_all_logits(hidden).detach())


@pytest.mark.parametrize("loss", [summed_loss, target_losses])
def test_no_gradient_is_computed_for_what_is_frozen(loss, monkeypatch):
    products = []
    monkeypatch.setattr(
        torch, "mm", lambda *args, original=torch.mm, **kwargs: products.append(1) or original(*args, **kwargs)
    )
    trained = torch.nn.Linear(6, 9)
    loss(torch.randn(4, 6), trained, torch.arange(4)).sum().backward()
    assert not products, "hidden states that need no gradient"
    assert trained.weight.grad is not None
    assert trained.bias.grad is not None
    trained.weight.requires_grad_(False)
    trained.zero_grad()
    hidden = torch.randn(4, 6, requires_grad=True)
    loss(hidden, trained, torch.arange(4)).sum().backward()
    assert trained.weight.grad is None
    assert trained.bias.grad is not None
    assert hidden.grad is not None


def test_no_target_is_no_loss():
    each = losses(torch.randn(0, 6, dtype=torch.bfloat16), torch.nn.Linear(6, 9), torch.zeros(0, dtype=torch.int64))
    assert each.shape == (0,)
    assert each.dtype == torch.float32


def test_in_bfloat16_the_sum_over_many_targets_is_not_rounded():
    torch.manual_seed(0)
    head = torch.nn.Linear(16, 300, bias=False, dtype=torch.bfloat16).requires_grad_(False)
    hidden, targets = torch.randn(3000, 16).bfloat16().requires_grad_(), torch.randint(0, 300, (3000,))
    exact = hidden.detach().double().requires_grad_()
    truth = cross_entropy(exact @ head.weight.double().T, targets, reduction="sum")
    total = summed_loss(hidden, head, targets)
    for loss in (truth, total):
        (loss / 3000).backward()
    assert total.dtype == torch.float32
    assert float(total) == pytest.approx(float(truth), rel=1e-4)
    assert float((hidden.grad.double() - exact.grad).norm() / exact.grad.norm()) < 0.01


def test_the_logits_of_a_published_micro_batch_are_never_held_at_once():
    rows = chunk_rows(151_936, 12 * 2048)
    assert rows * 151_936 * 4 <= 1 << 28 < (rows + 1) * 151_936 * 4
    assert chunk_rows(151_936, 30) == 30
    assert chunk_rows(10**12, 5) == 1


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("loss_of", [summed_loss, target_losses])
def test_a_precision_of_the_products_that_is_not_the_layers_is_that_of_the_same_layer_cast(loss_of, bias):
    torch.manual_seed(1)
    head = torch.nn.Linear(16, 30, bias=bias)
    targets = torch.randint(0, 30, (12,))
    hidden = torch.randn(12, 16)
    states, cast_states = (hidden.clone().requires_grad_() for _ in range(2))
    loss = loss_of(states, head, targets, precision=torch.bfloat16)
    loss.sum().backward()
    expected = {name: parameter.grad.clone() for name, parameter in head.named_parameters()}
    cast = torch.nn.Linear(16, 30, bias=bias)
    cast.load_state_dict(head.state_dict())
    cast = cast.to(torch.bfloat16)
    same = loss_of(cast_states.to(torch.bfloat16), cast, targets)
    same.sum().backward()
    assert loss.dtype == torch.float32
    assert torch.equal(loss, same)
    assert not torch.equal(loss, loss_of(states, head, targets)), "bfloat16 rounds"
    assert states.grad.dtype == torch.float32
    assert torch.equal(states.grad, cast_states.grad)
    for name, parameter in cast.named_parameters():
        assert expected[name].dtype == torch.float32
        assert parameter.grad.dtype == torch.bfloat16
        assert torch.equal(expected[name], parameter.grad.float())


@pytest.mark.parametrize("loss_of", [summed_loss, target_losses])
def test_gradients_of_many_chunks_are_summed_in_float32_where_the_layer_is_bfloat16(loss_of, monkeypatch):
    # 1,000 chunks of one row with the same small gradient: summed in bfloat16, they would stop growing at the 256th.
    head = torch.nn.Linear(4, 8, dtype=torch.bfloat16)
    torch.nn.init.zeros_(head.weight)
    torch.nn.init.zeros_(head.bias)
    monkeypatch.setattr(loss_module, "CHUNK_BYTES", 4 * 8)
    loss_of(torch.ones(1000, 4, dtype=torch.bfloat16), head, torch.zeros(1000, dtype=torch.int64)).sum().backward()
    expected = 1000 * (torch.full((8,), 1 / 8) - torch.eye(8)[0])
    torch.testing.assert_close(head.bias.grad.float(), expected, rtol=0.01, atol=0)
    torch.testing.assert_close(head.weight.grad.float(), expected[:, None].expand(8, 4), rtol=0.01, atol=0)


def test_rows_of_very_different_size_do_not_disturb_each_other():
    head = torch.nn.Linear(2, 2, bias=False)
    head.weight.data = torch.eye(2)
    hidden = torch.tensor([[500.0, 501.0], [-500.0, -501.0]])
    loss = summed_loss(hidden, head, torch.tensor([0, 1]))
    assert float(loss.detach()) == pytest.approx(2 * float(torch.log1p(torch.exp(torch.tensor(1.0)))))
