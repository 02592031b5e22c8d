"""Packed examples are computed as if each were alone."""

import pytest
import torch
import transformers
from packed_models import FAMILIES, packed

from posologie.running.errors import InputError
from posologie.training.batches import check_logits, hidden_states
from posologie.training.student import PACKED, packed_attention
from posologie.training.update import LogitForm, logit_form, summed_loss, target_losses


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("checkpointed", [False, True])
def test_hidden_states_and_gradients_are_those_of_each_example_alone(family, checkpointed):
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(FAMILIES[family](), attn_implementation="eager").train()
    rows = [torch.randint(1, 61, (length,)) for length in (9, 4, 1, 13)]
    alone = [model.get_decoder()(input_ids=row[None]).last_hidden_state[0] for row in rows]
    weights = torch.randn(sum(map(len, rows)), 32)
    (torch.cat(alone) * weights).sum().backward()
    expected = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()

    model.set_attn_implementation(PACKED)
    if checkpointed:
        model.activation_checkpointing_enable({"use_reentrant": False, "preserve_rng_state": False})
    together = hidden_states(model.get_decoder(), packed(rows))
    torch.testing.assert_close(together, torch.cat(alone), rtol=1e-5, atol=1e-5)
    (together * weights).sum().backward()
    for name, gradient in expected.items():
        torch.testing.assert_close(dict(model.named_parameters())[name].grad, gradient, rtol=1e-3, atol=5e-5)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_loss_and_its_gradients_are_the_models_own(family):
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(FAMILIES[family](), attn_implementation="eager").train()
    rows = [torch.randint(1, 61, (length,)) for length in (9, 4, 13)]
    counts = [len(row) - 1 for row in rows]
    own = [model(input_ids=row[None], labels=row[None]).loss * count for row, count in zip(rows, counts, strict=True)]
    expected = sum(own)
    expected.backward()
    gradients = {name: p.grad.clone() for name, p in model.named_parameters()}

    model.set_attn_implementation(PACKED)
    form = logit_form(model)
    check_logits(model, form, family)
    batch = packed(rows, [place for place in range(26) if place not in (8, 12, 25)])
    for loss_of in (summed_loss, lambda *arguments, **named: target_losses(*arguments, **named).sum()):
        model.zero_grad()
        states = hidden_states(model.get_decoder(), batch)[batch.rows]
        loss = loss_of(states, model.get_output_embeddings(), batch.targets, form=form)
        assert float(loss) == pytest.approx(float(expected), rel=1e-5)
        loss.backward()
        for name, parameter in model.named_parameters():
            torch.testing.assert_close(parameter.grad, gradients[name], rtol=1e-3, atol=1e-4)


def test_logits_that_the_loss_does_not_know_are_refused():
    model = transformers.AutoModelForCausalLM.from_config(FAMILIES["gemma2"](), attn_implementation=PACKED)
    with pytest.raises(InputError, match="tiny: model of type 'gemma2' changes its logits"):
        check_logits(model, LogitForm(), "tiny")


def test_what_it_does_not_do_is_refused():
    states = torch.zeros(1, 2, 3, 4)
    with pytest.raises(ValueError, match="bounds"):
        packed_attention(None, states, states, states, None)
    known = {"bounds": [0, 3], "cu_seq_lens_q": torch.tensor([0, 3]), "max_length_q": 3}
    for unknown in ({"dropout": 0.1}, {"s_aux": states}):
        with pytest.raises(ValueError, match="neither"):
            packed_attention(None, states, states, states, None, **known, **unknown)
