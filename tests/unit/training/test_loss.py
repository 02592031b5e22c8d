"""The loss in chunks is the loss."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy

from posologie.training import update as loss_module
from posologie.training.update import chunk_rows, losses, summed_loss


@settings(max_examples=40, deadline=None)
@given(
    rows=st.integers(1, 40),
    vocabulary=st.integers(2, 50),
    chunk=st.integers(1, 9),
    bias=st.booleans(),
    seed=st.integers(0, 99),
)
def test_values_and_gradients_are_those_of_the_whole_logits(rows, vocabulary, chunk, bias, seed):
    torch.manual_seed(seed)
    head = torch.nn.Linear(6, vocabulary, bias=bias)
    targets = torch.randint(0, vocabulary, (rows,))
    hidden, same_hidden = (
        torch.randn(rows, 6, generator=torch.Generator().manual_seed(seed)).requires_grad_() for _ in range(2)
    )
    whole = cross_entropy(head(hidden), targets, reduction="sum")
    (whole / 7).backward()
    expected = [p.grad.clone() for p in head.parameters()]
    head.zero_grad()
    before = loss_module.CHUNK_BYTES
    loss_module.CHUNK_BYTES = 4 * vocabulary * chunk
    try:
        chunked = summed_loss(same_hidden, head, targets)
        (chunked / 7).backward()
        each = losses(same_hidden, head, targets)
    finally:
        loss_module.CHUNK_BYTES = before
    torch.testing.assert_close(chunked, whole)
    torch.testing.assert_close(same_hidden.grad, hidden.grad)
    torch.testing.assert_close(each.sum(), whole.detach())
    for parameter, gradient in zip(head.parameters(), expected, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)


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


def test_a_frozen_output_layer_gets_no_gradient():
    head = torch.nn.Linear(6, 9, bias=False).requires_grad_(False)
    hidden = torch.randn(4, 6, requires_grad=True)
    summed_loss(hidden, head, torch.arange(4)).backward()
    assert head.weight.grad is None
    assert hidden.grad is not None


def test_the_logits_of_a_published_micro_batch_are_never_held_at_once():
    rows = chunk_rows(151_936, 12 * 2048)
    assert rows * 151_936 * 4 <= 1 << 28
    assert rows >= 400


@pytest.mark.parametrize("bias", [True, False])
def test_a_precision_of_the_products_that_is_not_the_layers_is_that_of_the_same_layer_cast(bias):
    torch.manual_seed(1)
    head = torch.nn.Linear(16, 30, bias=bias)
    targets = torch.randint(0, 30, (12,))
    hidden = torch.randn(12, 16)
    states, cast_states = (hidden.clone().requires_grad_() for _ in range(2))
    loss = summed_loss(states, head, targets, precision=torch.bfloat16)
    loss.backward()
    expected = {name: parameter.grad.clone() for name, parameter in head.named_parameters()}
    cast = torch.nn.Linear(16, 30, bias=bias)
    cast.load_state_dict(head.state_dict())
    cast = cast.to(torch.bfloat16)
    same = summed_loss(cast_states.to(torch.bfloat16), cast, targets)
    same.backward()
    assert loss.dtype == torch.float32
    assert torch.equal(loss, same)
    assert not torch.equal(loss, summed_loss(states, head, targets)), "bfloat16 rounds"
    assert states.grad.dtype == torch.float32
    assert torch.equal(states.grad, cast_states.grad)
    for name, parameter in cast.named_parameters():
        assert expected[name].dtype == torch.float32
        assert torch.equal(expected[name], parameter.grad.float())


def test_gradients_that_nobody_needs_are_not_computed():
    head = torch.nn.Linear(4, 7).requires_grad_(False)
    hidden = torch.randn(3, 4, requires_grad=True)
    summed_loss(hidden, head, torch.tensor([0, 1, 2])).backward()
    assert hidden.grad is not None
    assert head.weight.grad is None
    trained = torch.nn.Linear(4, 7)
    summed_loss(torch.randn(3, 4), trained, torch.tensor([0, 1, 2])).backward()
    assert trained.weight.grad is not None
    assert chunk_rows(10**12, 5) == 1


def test_gradients_of_many_chunks_are_summed_in_float32_where_the_layer_is_bfloat16(monkeypatch):
    # 1,000 chunks of one row with the same small gradient: summed in bfloat16, they would stop growing at the 256th.
    head = torch.nn.Linear(4, 8, dtype=torch.bfloat16)
    torch.nn.init.zeros_(head.weight)
    torch.nn.init.zeros_(head.bias)
    monkeypatch.setattr(loss_module, "CHUNK_BYTES", 4 * 8)
    summed_loss(torch.ones(1000, 4, dtype=torch.bfloat16), head, torch.zeros(1000, dtype=torch.int64)).backward()
    expected = 1000 * (torch.full((8,), 1 / 8) - torch.eye(8)[0])
    torch.testing.assert_close(head.bias.grad.float(), expected, rtol=0.01, atol=0)
    torch.testing.assert_close(head.weight.grad.float(), expected[:, None].expand(8, 4), rtol=0.01, atol=0)


def test_rows_of_very_different_size_do_not_disturb_each_other():
    head = torch.nn.Linear(2, 2, bias=False)
    head.weight.data = torch.eye(2)
    hidden = torch.tensor([[500.0, 501.0], [-500.0, -501.0]])
    loss = summed_loss(hidden, head, torch.tensor([0, 1]))
    assert float(loss.detach()) == pytest.approx(2 * float(torch.log1p(torch.exp(torch.tensor(1.0)))))
