"""Packed examples are computed as if each were alone."""

import pytest
import torch
import transformers
from packed_models import FAMILIES, packed

from posologie.training.attention import PACKED, packed_attention
from posologie.training.batches import hidden_states


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("checkpointed", [False, True])
def test_hidden_states_and_gradients_are_those_of_each_example_alone(family, checkpointed):
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(FAMILIES[family](), attn_implementation="sdpa").train()
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
        torch.testing.assert_close(dict(model.named_parameters())[name].grad, gradient, rtol=1e-4, atol=1e-5)


def test_a_window_shorter_than_an_example_is_refused_on_a_cpu():
    model = transformers.AutoModelForCausalLM.from_config(FAMILIES["mistral"](), attn_implementation=PACKED)
    with pytest.raises(ValueError, match="sliding window"):
        hidden_states(model.get_decoder(), packed([torch.ones(17, dtype=torch.long)]))


def test_what_it_does_not_do_is_refused():
    states = torch.zeros(1, 2, 3, 4)
    with pytest.raises(ValueError, match="bounds"):
        packed_attention(None, states, states, states, None)
    known = {"bounds": [0, 3], "cu_seq_lens_q": torch.tensor([0, 3]), "max_length_q": 3}
    for unknown in ({"softcap": 1.0}, {"dropout": 0.1}, {"s_aux": states}):
        with pytest.raises(ValueError, match="neither"):
            packed_attention(None, states, states, states, None, **known, **unknown)
