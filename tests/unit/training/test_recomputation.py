"""What checkpointing keeps of wide layers changes the work, and no result."""

import pytest
import torch
import transformers
from packed_models import FAMILIES, SMALL, packed

from posologie.records.prompting import Prompting
from posologie.training import dora, student
from posologie.training.adapters import low_rank_layers
from posologie.training.layers import both_passes, slot_of
from posologie.training.spec import Recipe, TrainingSpec
from posologie.training.student import PACKED
from posologie.training.update import summed_loss

LENGTHS = (9, 4, 13)
ROWS = tuple(row for row in range(sum(LENGTHS)) if row not in (8, 12, 25))


def made(family, **changes):
    """Return a student whose weights are away from their starting values, and a batch for it."""
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(FAMILIES[family](), attn_implementation=PACKED)
    recipe = Recipe.model_validate({"precision": "float32", "rank": 4, "dropout": 0.2, **changes})
    spec = TrainingSpec(backbone="tiny", mix="NAT", seed=1, recipe=recipe, prompting=Prompting())
    a_student = student.student_of(model, spec, torch.device("cpu"))
    with torch.no_grad():
        for weight in a_student.weights.values():
            weight.add_(torch.randn_like(weight), alpha=0.05)
    a_student.model.train()
    return a_student, packed([torch.randint(1, 61, (length,)) for length in LENGTHS], ROWS)


def products(monkeypatch):
    """Return a list that grows by the input width of every base product of a forward pass."""
    widths = []
    original = dora._product

    def counted(rows, *rest, **named):
        widths.append(rows.shape[1])
        return original(rows, *rest, **named)

    monkeypatch.setattr(dora, "_product", counted)
    return widths


def gradients(a_student, batch):
    a_student.masks.begin(seed=1, update=2, ids=batch.ids, bounds=batch.bounds)
    summed_loss(a_student.predicting_states(batch), a_student.head, batch.targets).backward()
    return {name: weight.grad for name, weight in a_student.weights.items()}


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("recipe", [{"dropout_on": "input"}, {"dropout_on": "adapter"}, {"method": "lora"}])
def test_gradients_are_those_of_a_full_recomputation_and_of_none(family, recipe, monkeypatch):
    kept = gradients(*made(family, **recipe))
    monkeypatch.setattr(student, "both_passes", torch.utils.checkpoint.noop_context_fn)
    assert_equal(kept, gradients(*made(family, **recipe)))
    assert_equal(kept, gradients(*made(family, **recipe, gradient_checkpointing=False)))


def assert_equal(some, others):
    assert some.keys() == others.keys()
    for name, gradient in some.items():
        assert torch.equal(gradient, others[name]), name


def test_products_of_inputs_much_wider_than_the_residual_stream_are_not_computed_again(monkeypatch):
    a_student, batch = made("qwen3")
    widths = products(monkeypatch)
    gradients(a_student, batch)
    layers, wide, narrow = SMALL["num_hidden_layers"], SMALL["intermediate_size"], SMALL["hidden_size"]
    assert widths.count(wide) == layers
    assert widths.count(narrow) == 2 * 6 * layers


def test_each_micro_batch_keeps_its_own(monkeypatch):
    a_student, batch = made("llama")
    once = {name: gradient.clone() for name, gradient in gradients(a_student, batch).items()}
    twice = gradients(a_student, batch)
    for name, gradient in once.items():
        torch.testing.assert_close(twice[name], 2 * gradient)
    widths = products(monkeypatch)
    a_student.masks.begin(seed=1, update=3, ids=batch.ids, bounds=batch.bounds)
    states = a_student.predicting_states(batch)  # as before a stop: nothing follows
    del states
    gradients(a_student, batch)
    assert widths.count(SMALL["intermediate_size"]) == 2 * SMALL["num_hidden_layers"]


@pytest.mark.parametrize("training", [False, True])
def test_without_gradients_nothing_is_kept(training, monkeypatch):
    a_student, batch = made("qwen2")
    a_student.model.train(training)
    a_student.masks.begin(seed=1, update=2, ids=batch.ids, bounds=batch.bounds)
    slots = []
    monkeypatch.setattr(dora, "slot_of", lambda layer: slots.append(slot_of(layer)) or slots[-1])
    with torch.no_grad():
        a_student.predicting_states(batch)
    assert slots == [None] * SMALL["num_hidden_layers"]


def test_an_input_a_little_wider_than_the_residual_stream_is_not_worth_its_memory():
    configuration = transformers.Qwen3Config(**SMALL | {"num_attention_heads": 6})
    model = transformers.AutoModelForCausalLM.from_config(configuration, attn_implementation=PACKED)
    spec = TrainingSpec(backbone="tiny", mix="NAT", seed=1, recipe=Recipe(), prompting=Prompting())
    a_student = student.student_of(model, spec, torch.device("cpu"))
    keeping = {layer.in_features for layer in low_rank_layers(a_student.model) if layer._keeps_output}
    assert 48 in {layer.in_features for layer in low_rank_layers(a_student.model)}
    assert keeping == {SMALL["intermediate_size"]}


def test_a_layer_that_is_called_twice_has_a_slot_for_each_call():
    layer = torch.nn.Linear(2, 2)
    forward, again = both_passes()
    with forward:
        first, second = slot_of(layer), slot_of(layer)
    assert first is not second
    with again:
        assert slot_of(layer) is first
        assert slot_of(layer) is second
    assert slot_of(layer) is None
