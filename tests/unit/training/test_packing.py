"""Backbones that mix packed examples are refused; others pass, whatever their precision."""

import numpy as np
import pytest
import torch
import transformers
from packed_models import FAMILIES, SMALL

from posologie.records.prompting import Prompting
from posologie.running.errors import InputError
from posologie.training import batches
from posologie.training.batches import check_logits, check_packing
from posologie.training.spec import Recipe, TrainingSpec
from posologie.training.student import PACKED, _use_liger, make_student, student_of
from posologie.training.update import LogitForm

BARE = {"vocab_size": 61, "hidden_size": 32, "num_hidden_layers": 2}
HEADS = {**BARE, "num_attention_heads": 4}


def model_of(configuration, **options):
    torch.manual_seed(0)
    return transformers.AutoModelForCausalLM.from_config(configuration, attn_implementation=PACKED, **options)


def with_experts():
    experts = {"moe_intermediate_size": 16, "num_experts": 4, "num_experts_per_tok": 2}
    return transformers.Qwen3MoeConfig(**SMALL, **experts)


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_decoders_that_attend_pass_and_stay_as_they_are(family, dtype):
    model = model_of(FAMILIES[family](), dtype=dtype).eval()
    before = {name: weight.clone() for name, weight in model.state_dict().items()}
    check_packing(model, "tiny")
    assert not model.training
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, before[name])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_experts_pass(dtype):
    check_packing(model_of(with_experts(), dtype=dtype), "tiny")


@pytest.mark.parametrize(
    "configuration",
    [
        transformers.Lfm2Config(**SMALL, layer_types=["conv", "full_attention", "conv"]),
        transformers.MambaConfig(**BARE),
        transformers.BloomConfig(vocab_size=61, hidden_size=32, n_layer=2, n_head=4),
    ],
    ids=["convolutions", "state space", "biases of its own"],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_mixes_examples_is_refused(configuration, dtype):
    with pytest.raises(InputError, match=f"tiny: model of type '{configuration.model_type}' mixes examples") as caught:
        check_packing(model_of(configuration, dtype=dtype), "tiny")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("kind", "dtype", "most"),
    [
        ("plain", torch.float32, 1e-4),
        ("plain", torch.bfloat16, 1e-4),
        ("experts", torch.float32, 1e-4),
        ("experts", torch.bfloat16, 0.05),
        ("quantised", torch.float32, 1e-4),
        ("quantised", torch.bfloat16, 0.05),
    ],
)
@pytest.mark.parametrize("said", ["gives different results each time", "mixes examples"])
def test_another_rounding_passes_for_experts_and_products_in_8_bits_in_half_precision_only(
    kind, dtype, most, said, monkeypatch
):
    model = model_of(with_experts() if kind == "experts" else FAMILIES["qwen3"](), dtype=dtype)
    model.is_quantized = kind == "quantised"
    for factor in (0.9, 1.1):
        changed = torch.ones(5, 8) * (1 + most * factor)
        states = iter([torch.ones(5, 8), changed if said.startswith("gives") else torch.ones(5, 8), changed])
        monkeypatch.setattr(batches, "_middle", lambda model, step, states=states: next(states))
        if factor < 1:
            check_packing(model, "tiny")
        else:
            with pytest.raises(InputError, match=said):
                check_packing(model, "tiny")


@pytest.mark.parametrize(("dtype", "most"), [(torch.float32, 1e-4), (torch.bfloat16, 0.05)])
def test_logits_may_differ_by_their_rounding_alone(dtype, most):
    # Logits that are all one number, so that half precision rounds them as little as it can.
    model = model_of(FAMILIES["qwen3"](), dtype=dtype)
    states = transformers.modeling_outputs.BaseModelOutputWithPast(torch.ones(1, 27, 32, dtype=dtype))
    model.model.forward = lambda **_: states
    torch.nn.init.constant_(model.lm_head.weight, 1 / 32)
    check_logits(model, LogitForm(scale=1 / (1 + most / 2)), "tiny")
    with pytest.raises(InputError, match="tiny: model of type 'qwen3' changes its logits after the output layer"):
        check_logits(model, LogitForm(scale=1 / (1 + most * 2)), "tiny")


def test_logits_are_compared_as_the_model_predicts():
    model = model_of(FAMILIES["qwen3"]()).train()
    modes, caches = [], []
    forward = model.forward

    def recorded(**options):
        modes.append(model.training)
        caches.append(options["use_cache"])
        return forward(**options)

    model.forward = recorded
    check_logits(model, LogitForm(), "tiny")
    assert (modes, caches, model.training) == ([False], [False], True)


def test_a_model_that_takes_no_packed_batch_is_named():
    def refuse(**_):
        raise TypeError("unexpected bounds")

    model = model_of(FAMILIES["qwen3"]())
    model.forward = refuse
    with pytest.raises(InputError, match=r"^tiny: model of type 'qwen3' does not accept .*: unexpected bounds$"):
        check_logits(model, LogitForm(), "tiny")


def test_states_differ_as_their_worst_row_does():
    some = torch.tensor([[3.0, 4.0], [0.0, 10.0], [1.0, 0.0]])
    others = torch.tensor([[3.0, 4.0], [0.0, 11.0], [1.0, 0.5]])
    assert batches._difference(some, others) == pytest.approx(0.5)
    assert batches._difference(some, some) == 0
    assert torch.isnan(torch.tensor(batches._difference(torch.zeros(1, 2), torch.zeros(1, 2))))


def test_the_outer_two_of_three_tried_examples_depend_on_the_step():
    model = model_of(FAMILIES["qwen3"]())
    numbers = [np.arange(1, length + 1) for length in (9, 5, 13)]
    for step in (3, 7):
        batch = batches._batch(model, step)
        assert batch.bounds == [0, 9, 14, 27]
        expected = [numbers[0] * step % 61, numbers[1], numbers[2] * step % 61]
        assert batch.tokens[0].tolist() == np.concatenate(expected).tolist()
        assert batch.counts == [8, 4, 12], "every token but an example's first"
    model.resize_token_embeddings(4)
    assert batches._batch(model, 3).tokens.max() == 3, "every token is one of the vocabulary"


def test_what_packed_attention_does_not_do_is_refused_before_the_first_update():
    configuration = transformers.GptOssConfig(**SMALL, num_local_experts=2, num_experts_per_tok=1)
    with pytest.raises(InputError, match=r"tiny: model of type .* one after another: .*neither dropout nor sinks"):
        check_packing(model_of(configuration), "tiny")


def test_dropout_that_cannot_be_switched_off_is_refused():
    opt = {**HEADS, "ffn_dim": 64, "word_embed_proj_dim": 32}
    with pytest.raises(InputError, match="gives different results each time"):
        check_packing(model_of(transformers.OPTConfig(**opt, dropout=0.1)), "tiny")
    check_packing(model_of(transformers.OPTConfig(**opt, dropout=0.0)), "tiny")


def test_layers_with_an_attention_of_their_own_are_refused(tmp_path):
    model = transformers.AutoModelForCausalLM.from_config(transformers.FalconConfig(**HEADS))
    model.save_pretrained(tmp_path)
    with pytest.raises(InputError, match="tiny: its layers accept no attention but their own"):
        make_student(tmp_path, spec(), torch.device("cpu"))


def spec(**recipe):
    recipe = Recipe.model_validate({"precision": "float32", "rank": 4, **recipe})
    return TrainingSpec(backbone="tiny", mix="NAT", seed=1, recipe=recipe, prompting=Prompting())


def test_a_backbones_own_dropout_is_off():
    configuration = transformers.GPT2Config(vocab_size=61, n_embd=32, n_layer=2, n_head=4)
    made = student_of(model_of(configuration), spec(method="full"), torch.device("cpu"))
    assert configuration.resid_pdrop > 0
    assert {module.p for module in made.model.modules() if isinstance(module, torch.nn.Dropout)} == {0.0}


@pytest.mark.parametrize(
    ("recipe", "norms_alone"),
    [
        ({"dropout_on": "input"}, False),
        ({"dropout_on": "adapter"}, True),
        ({"dropout_on": "input", "dropout": 0.0}, True),
        ({"method": "lora"}, False),
        ({"method": "full"}, False),
    ],
)
def test_liger_does_not_write_over_what_the_backward_pass_needs(recipe, norms_alone, monkeypatch):
    import sys
    from types import SimpleNamespace

    seen = {}
    fake = SimpleNamespace(_apply_liger_kernel_to_instance=lambda model, **options: seen.update(options))
    monkeypatch.setitem(sys.modules, "liger_kernel", SimpleNamespace(transformers=fake))
    monkeypatch.setitem(sys.modules, "liger_kernel.transformers", fake)
    _use_liger(None, spec(**recipe).recipe, torch.device("cuda"))
    off = {"cross_entropy": False, "fused_linear_cross_entropy": False}
    assert seen == off | (dict.fromkeys(("rope", "swiglu", "geglu"), False) if norms_alone else {})
