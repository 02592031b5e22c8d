"""The last layer computes the rows that predict, and nothing changes by it."""

import pytest
import torch
import transformers
from packed_models import FAMILIES, SMALL, packed

from posologie.records.prompting import Prompting
from posologie.training.batches import hidden_states
from posologie.training.layers import MaskSource, restrict_last_layer
from posologie.training.spec import Recipe, TrainingSpec
from posologie.training.student import PACKED, Student, student_of
from posologie.training.update import summed_loss

LENGTHS = (9, 4, 13)
PREDICTING = (6, 7, 11, 23, 24)


def student(configuration, **changes):
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(configuration, attn_implementation=PACKED)
    recipe = {"loss_on": "answer", "precision": "float32", "rank": 4, "dropout": 0.2, **changes}
    spec = TrainingSpec(backbone="tiny", mix="NAT", seed=1, recipe=Recipe.model_validate(recipe), prompting=Prompting())
    made = student_of(model, spec, torch.device("cpu"))
    with torch.no_grad():
        for weight in made.weights.values():
            weight.add_(torch.randn(weight.shape, generator=torch.Generator().manual_seed(weight.numel())), alpha=0.05)
    made.model.train()
    return made


def batch():
    generator = torch.Generator().manual_seed(3)
    return packed([torch.randint(1, 61, (length,), generator=generator) for length in LENGTHS], PREDICTING)


def loss_and_gradients(made, states_of):
    packed_batch = batch()
    made.masks.begin(seed=1, update=2, ids=packed_batch.ids, bounds=packed_batch.bounds)
    loss = summed_loss(states_of(made, packed_batch), made.head, packed_batch.targets)
    loss.backward()
    return loss.detach(), {name: weight.grad for name, weight in made.weights.items()}


def all_rows(made, packed_batch):
    """Return the same states with every row of every layer computed."""
    for module in made.decoder.layers[-1].modules():
        module._forward_pre_hooks.clear()
        module._forward_hooks.clear()
    return hidden_states(made.decoder, packed_batch)[packed_batch.rows]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(
    "recipe",
    [
        {"dropout_on": "input"},
        {"dropout_on": "adapter", "gradient_checkpointing": False},
        {"method": "lora"},
        {"method": "full"},
    ],
)
def test_loss_and_gradients_are_those_of_all_rows(family, recipe):
    loss, gradients = loss_and_gradients(student(FAMILIES[family](), **recipe), Student.predicting_states)
    whole_loss, expected = loss_and_gradients(student(FAMILIES[family](), **recipe), all_rows)
    assert float(loss) == pytest.approx(float(whole_loss), rel=1e-6)
    assert gradients.keys() == expected.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(gradients[name], gradient, rtol=1e-4, atol=1e-6, msg=name)


def test_the_last_layer_computes_no_other_rows_but_for_keys_and_values():
    made = student(FAMILIES["qwen3"]())
    seen = {}
    for number, layer in enumerate(made.decoder.layers):
        for name, module in layer.named_modules():
            if name.endswith("_proj"):
                key = (number, name.rpartition(".")[2])
                module.register_forward_pre_hook(lambda _, x, key=key: seen.update({key: x[0].shape[-2]}))
    loss_and_gradients(made, Student.predicting_states)
    last = {name: rows for (number, name), rows in seen.items() if number == 2}
    assert last == {
        **dict.fromkeys(("q_proj", "o_proj", "gate_proj", "up_proj", "down_proj"), len(PREDICTING)),
        **dict.fromkeys(("k_proj", "v_proj"), sum(LENGTHS)),
    }
    assert {rows for (number, _), rows in seen.items() if number < 2} == {sum(LENGTHS)}


def test_with_the_loss_on_all_tokens_all_rows_are_computed():
    made = student(FAMILIES["qwen3"](), loss_on="all")
    assert made.predicting is None
    assert all(layer.gradient_checkpointing for layer in made.decoder.layers)


def test_the_last_two_layers_are_not_recomputed():
    kept = [layer.gradient_checkpointing for layer in student(FAMILIES["llama"]()).decoder.layers]
    assert kept == [True, False, False]


def test_a_decoder_with_other_names_computes_all_rows():
    configuration = transformers.GPT2Config(vocab_size=61, n_embd=32, n_layer=2, n_head=4)
    model = transformers.AutoModelForCausalLM.from_config(configuration)
    assert restrict_last_layer(model.get_decoder(), MaskSource()) is None


EXPERTS = {"moe_intermediate_size": 16, "num_experts": 4, "num_experts_per_tok": 2}


@pytest.mark.parametrize(
    "configuration",
    [
        transformers.Qwen3MoeConfig(**SMALL, **EXPERTS, decoder_sparse_step=1),
        transformers.GPTNeoXConfig(vocab_size=61, hidden_size=32, num_hidden_layers=2, num_attention_heads=4),
    ],
    ids=["experts", "other names"],
)
def test_a_layer_whose_parts_are_not_known_computes_all_rows_and_is_recomputed(configuration):
    made = student(configuration, method="full")
    assert made.predicting is None
    assert all(layer.gradient_checkpointing for layer in made.decoder.layers)
    loss, gradients = loss_and_gradients(made, Student.predicting_states)
    assert torch.isfinite(loss)
    assert all(torch.isfinite(gradient).all() for gradient in gradients.values())


def test_a_layer_with_a_convolution_computes_all_rows():
    model = transformers.AutoModelForCausalLM.from_config(FAMILIES["qwen3"]())
    decoder = model.get_decoder()
    decoder.layers[-1].self_attn.conv1d = torch.nn.Conv1d(32, 32, 3)
    assert restrict_last_layer(decoder, MaskSource()) is None


def test_a_restricted_layer_may_be_recomputed():
    expected = loss_and_gradients(student(FAMILIES["qwen3"]()), Student.predicting_states)[1]
    made = student(FAMILIES["qwen3"]())
    for layer in made.decoder.layers:
        layer.gradient_checkpointing = True
    for name, gradient in loss_and_gradients(made, Student.predicting_states)[1].items():
        assert torch.equal(gradient, expected[name]), name
    assert made.masks.rows is None


def test_after_an_error_masks_are_for_all_rows():
    def fail(*_):
        raise RuntimeError("no memory")

    made = student(FAMILIES["qwen3"]())
    made.decoder.layers[-1].mlp.down_proj.register_forward_pre_hook(fail)
    with pytest.raises(RuntimeError, match="no memory"):
        loss_and_gradients(made, Student.predicting_states)
    assert made.masks.rows is None
