"""The backbone is loaded once, and an adapter merged into it answers as the adapter attached to it."""

import json

import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import save_file

from posologie.models.load import load_model
from posologie.prediction import model as model_module
from posologie.prediction.model import load, merged, score_in_float32
from posologie.records.files import write_json
from posologie.running.errors import InputError
from posologie.running.seals import Identity, write_seal

IDS = torch.tensor([[5, 9, 21, 80, 33, 47, 12, 60]])


def adapter(manifest, folder, *, use_dora, layers=None, rank=4):
    """Write an adapter with weights large enough to matter, and return the logits of the model it is attached to."""
    model = load_model(manifest.parent, precision="float32", device="cpu")
    settings = LoraConfig(
        r=rank,
        lora_alpha=16,
        lora_dropout=0.1,
        use_dora=use_dora,
        target_modules=["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
        layers_to_transform=layers,
        task_type="CAUSAL_LM",
    )
    attached = get_peft_model(model, settings)
    torch.manual_seed(0)
    with torch.no_grad():
        for name, weight in attached.named_parameters():
            if "lora_B" in name:
                weight.normal_(std=0.2)
            if "lora_magnitude" in name:
                weight.mul_(1.3)
    attached.save_pretrained(folder)
    with torch.no_grad():
        return attached.eval()(input_ids=IDS).logits, model


@pytest.mark.parametrize("use_dora", [True, False])
def test_a_merged_adapter_answers_as_an_attached_one(tiny_manifest, tmp_path, use_dora):
    expected, _ = adapter(tiny_manifest, tmp_path, use_dora=use_dora)
    weights, config = tmp_path / "adapter_model.safetensors", tmp_path / "adapter_config.json"
    model = load(tiny_manifest, "float32", weights, config)
    assert not isinstance(model.network, PeftModel)
    assert not any("lora" in name for name, _ in model.network.named_parameters())
    with torch.no_grad():
        logits = model.network(input_ids=IDS).logits
        plain = load(tiny_manifest, "float32").network(input_ids=IDS).logits
    assert torch.allclose(logits, expected, atol=1e-4)
    assert not torch.allclose(plain, expected, atol=1e-2)


def test_in_bfloat16_the_merge_is_rounded_once(tiny_manifest, tmp_path):
    adapter(tiny_manifest, tmp_path, use_dora=True)
    weights, config = tmp_path / "adapter_model.safetensors", tmp_path / "adapter_config.json"
    # the rounded backbone, merged without further rounding
    exact = load_model(tiny_manifest.parent, precision="bfloat16", device="cpu").float()
    exact = merged(exact, weights, config).state_dict()
    network = merged(load_model(tiny_manifest.parent, precision="bfloat16", device="cpu"), weights, config)
    for name, weight in network.state_dict().items():
        assert weight.dtype == torch.bfloat16
        assert torch.equal(weight, exact[name].to(torch.bfloat16)), name


def test_a_fully_trained_backbone_answers_with_its_own_weights(tiny_manifest, tmp_path):
    trained = load_model(tiny_manifest.parent, precision="float32", device="cpu")
    with torch.no_grad():
        for weight in trained.parameters():
            weight.mul_(1.1)
        expected = trained(input_ids=IDS).logits
    tied = set(trained._tied_weights_keys or {}) if trained.config.tie_word_embeddings else set()
    state = {name: tensor.contiguous() for name, tensor in trained.state_dict().items() if name not in tied}
    weights, config = tmp_path / "adapter_model.safetensors", tmp_path / "adapter_config.json"
    save_file(state, weights)
    write_json(config, {"method": "full", "base_model_name_or_path": "tiny"})
    with torch.no_grad():
        logits = load(tiny_manifest, "float32", weights, config).network(input_ids=IDS).logits
    assert torch.allclose(logits, expected, atol=1e-5)
    save_file({"no.such.weight": torch.zeros(2), **state}, weights)
    with pytest.raises(InputError, match="0 tensors missing, 1 unknown; expected the weights of this backbone"):
        load(tiny_manifest, "float32", weights, config)


def test_an_adapter_of_another_backbone_is_refused(tiny_manifest, tmp_path):
    adapter(tiny_manifest, tmp_path, use_dora=True, layers=[0])
    weights, config = tmp_path / "adapter_model.safetensors", tmp_path / "adapter_config.json"
    facts = json.loads(config.read_text())
    config.write_text(json.dumps({**facts, "layers_to_transform": [0, 1]}))
    with pytest.raises(InputError, match="tensors missing"):
        load(tiny_manifest, "float32", weights, config)
    config.write_text(json.dumps({**facts, "r": 8}))
    with pytest.raises(InputError, match="expected an adapter of this backbone"):
        load(tiny_manifest, "float32", weights, config)
    config.write_text(json.dumps({**facts, "target_modules": ["no_such_module"]}))
    with pytest.raises(InputError, match="expected an adapter of this backbone"):
        load(tiny_manifest, "float32", weights, config)


def test_an_adapter_altered_after_its_training_is_refused(tiny_manifest, tmp_path):
    adapter(tiny_manifest, tmp_path, use_dora=True)
    weights, config = tmp_path / "adapter_model.safetensors", tmp_path / "adapter_config.json"
    write_seal([weights, config], Identity("posologie.training", "code", {}), {}, {})
    load(tiny_manifest, "float32", weights, config)
    config.write_text(config.read_text().replace('"lora_alpha": 16', '"lora_alpha": 17'))
    with pytest.raises(InputError, match=r"adapter_config.json: truncated or altered after it was made"):
        load(tiny_manifest, "float32", weights, config)


def test_an_altered_backbone_is_refused(tiny_manifest, tmp_path):
    folder = tmp_path / "copy"
    folder.mkdir()
    for path in tiny_manifest.parent.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    with open(folder / "model.safetensors", "r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x01")
    with pytest.raises(InputError, match="sha256"):
        load(folder / "manifest.json", "float32")


def test_the_output_layer_works_in_float32_and_leaves_the_embedding(tiny_manifest):
    network = load_model(tiny_manifest.parent, precision="bfloat16", device="cpu")
    embedding = network.get_input_embeddings().weight
    before = embedding.clone()
    with torch.no_grad():
        hidden = network.model(input_ids=IDS).last_hidden_state
        score_in_float32(network)
        logits = network(input_ids=IDS).logits
    assert logits.dtype == torch.float32
    assert torch.equal(logits, hidden.float() @ embedding.float().T)
    assert embedding.dtype == torch.bfloat16
    assert torch.equal(network.get_input_embeddings().weight, before)


def test_a_model_is_spread_over_the_devices_that_a_job_reserved(tiny_manifest, monkeypatch):
    asked = []

    def seen(folder, **options):
        asked.append(options)
        return load_model(folder, precision="float32", device="cpu")

    monkeypatch.setattr(model_module, "load_model", seen)
    for devices in (1, 2):
        monkeypatch.setattr(torch.cuda, "device_count", lambda devices=devices: devices)
        load(tiny_manifest, "float32")
    assert [options.get("device_map") for options in asked] == [None, "auto"]
