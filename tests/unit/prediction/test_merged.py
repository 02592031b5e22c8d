"""Models merged at load: on effective weights, in the shares of a mix."""

import json

import pyarrow.parquet as pq
import pytest
import torch
from peft import LoraConfig, PeftModel, get_peft_model
from prediction_made import make_item
from safetensors.torch import load_file, save_file

from posologie.models.load import load_model
from posologie.prediction.__main__ import main as predict
from posologie.prediction.blending import WeightedModel, blend
from posologie.prediction.merged import main as predict_merged
from posologie.prediction.model import merged
from posologie.records.files import read_json, write_json, write_parquet
from posologie.records.items import items_to_table
from posologie.running.errors import InputError
from posologie.running.seals import Identity, write_seal

IDS = torch.tensor([[5, 9, 21, 80, 33, 47, 12, 60]])
TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def fresh(manifest):
    return load_model(manifest.parent, precision="float32", device="cpu")


def trained(manifest, folder, number, method="dora"):
    """Write an adapter, or all weights, with a change large enough to matter."""
    generator = torch.Generator().manual_seed(number)
    model = fresh(manifest)
    if method == "full":
        with torch.no_grad():
            for weight in model.parameters():
                weight.add_(0.1 * torch.randn(weight.shape, generator=generator))
        folder.mkdir(parents=True)
        state = {name: tensor.clone() for name, tensor in model.state_dict().items() if name != "lm_head.weight"}
        save_file(state, folder / "adapter_model.safetensors")
        write_json(folder / "adapter_config.json", {"method": "full"})
        return folder
    settings = LoraConfig(
        r=4, lora_alpha=16, use_dora=method == "dora", use_rslora=method == "rslora", target_modules=TARGETS,
        task_type="CAUSAL_LM",
    )  # fmt: skip
    attached = get_peft_model(model, settings)
    with torch.no_grad():
        for name, weight in attached.named_parameters():
            if "lora_" in name and "magnitude" not in name:
                weight.copy_(0.2 * torch.randn(weight.shape, generator=generator))
            if "magnitude" in name:
                weight.mul_(1 + 0.3 * torch.rand(weight.shape, generator=generator))
    attached.save_pretrained(folder)
    return folder


def weighted(share, folder):
    return WeightedModel(share, folder / "adapter_model.safetensors", folder / "adapter_config.json")


def logits(network):
    with torch.no_grad():
        return network(input_ids=IDS).logits


def own(manifest, folder):
    """Return the model of one adapter alone, as every other prediction uses it."""
    return merged(fresh(manifest), folder / "adapter_model.safetensors", folder / "adapter_config.json")


@pytest.mark.parametrize("method", ["dora", "lora", "rslora", "full"])
def test_one_model_at_share_1_answers_as_it_does_alone(tiny_manifest, tmp_path, method):
    folder = trained(tiny_manifest, tmp_path / "one", 1, method)
    expected = logits(own(tiny_manifest, folder))
    torch.testing.assert_close(logits(blend(fresh(tiny_manifest), [weighted(1.0, folder)])), expected)
    assert float((expected - logits(fresh(tiny_manifest))).abs().max()) > 0.01


def test_why_peft_does_not_merge_here(tiny_manifest, tmp_path):
    """One DoRA adapter at weight 1 is not itself after peft's `add_weighted_adapter`, which combines A and B alone."""
    folder = trained(tiny_manifest, tmp_path / "one", 1)
    expected = logits(own(tiny_manifest, folder))
    attached = PeftModel.from_pretrained(fresh(tiny_manifest), folder, adapter_name="one").eval()
    torch.testing.assert_close(logits(attached), expected, rtol=1e-3, atol=1e-3)
    attached.add_weighted_adapter(["one"], [1.0], "again", combination_type="linear")
    attached.set_adapter("again")
    apart = (logits(attached) - expected).norm() / expected.norm()
    assert float(apart) > 0.01


@pytest.mark.parametrize("method", ["dora", "full"])
def test_the_changes_of_whole_weights_are_added_up(tiny_manifest, tmp_path, method):
    folders = [trained(tiny_manifest, tmp_path / str(number), number, method) for number in (1, 2)]
    start = fresh(tiny_manifest).state_dict()
    alone = [own(tiny_manifest, folder).state_dict() for folder in folders]
    state = blend(fresh(tiny_manifest), [weighted(0.3, folders[0]), weighted(0.7, folders[1])]).state_dict()
    for name, base in start.items():
        expected = base + 0.3 * (alone[0][name] - base) + 0.7 * (alone[1][name] - base)
        torch.testing.assert_close(state[name], expected, rtol=1e-4, atol=1e-5, msg=name)


def test_a_rank_keeps_the_best_approximation_of_each_change(tiny_manifest, tmp_path):
    folders = [trained(tiny_manifest, tmp_path / str(number), number) for number in (1, 2)]
    parts = [weighted(0.5, folder) for folder in folders]
    start = fresh(tiny_manifest).state_dict()
    exact, cut, whole = (blend(fresh(tiny_manifest), parts, rank).state_dict() for rank in (None, 3, 32))
    name = "model.layers.0.mlp.up_proj.weight"
    change, kept = exact[name] - start[name], cut[name] - start[name]
    values = torch.linalg.svdvals(change)
    assert torch.linalg.matrix_rank(kept, rtol=1e-4) == 3
    torch.testing.assert_close((change - kept).norm(), values[3:].norm(), rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(whole[name], exact[name])
    assert torch.equal(cut[name], blend(fresh(tiny_manifest), parts, 3).state_dict()[name])


def test_an_adapter_of_another_backbone_is_refused(tiny_manifest, tmp_path):
    folder = trained(tiny_manifest, tmp_path / "one", 1)
    tensors = load_file(folder / "adapter_model.safetensors")
    renamed = {key.replace("layers.1.", "layers.7."): tensor for key, tensor in tensors.items()}
    save_file(renamed, folder / "adapter_model.safetensors")
    with pytest.raises(InputError, match=r"21 of its tensors do not exist in the backbone, such as .*layers\.7"):
        blend(fresh(tiny_manifest), [weighted(1.0, folder)])


SPEC = {
    "model": "tiny/merged-A-B/seed-1",
    "suites": {"mcqa": {"benchmarks": {"single": {"source": "demo", "tasks": ["mcqu"]}}}},
    "prompting": {},
    "precision": "float32",
    "seed": 3,
}


def asked(manifest, shard, out, spec, *words):
    return [
        *("--spec", json.dumps(spec), "--items", f"demo={shard}", "--backbone", str(manifest), *words),
        *("--predictions", f"mcqa={out}.parquet", "--run", f"mcqa={out}.run.json", "--work", f"{out}.work"),
    ]


def test_the_command_answers_with_the_merged_model_and_records_what_it_was_merged_of(tiny_manifest, tmp_path):
    shard = tmp_path / "shard.parquet"
    write_parquet(shard, items_to_table([make_item(number) for number in range(12)]))
    folders = {name: trained(tiny_manifest, tmp_path / name, number) for number, name in enumerate("AB", start=1)}
    words = [f"{name}={folder}" for name, folder in folders.items()]
    spec = SPEC | {"shares": {"A": 0.25, "B": 0.75}}
    predict_merged(asked(tiny_manifest, shard, tmp_path / "both", spec, "--adapters", *words))
    alone = {}
    for name, folder in folders.items():
        files = ("--adapter-weights", folder / "adapter_model.safetensors")
        files += ("--adapter-config", folder / "adapter_config.json")
        predict(asked(tiny_manifest, shard, tmp_path / f"{name}-alone", SPEC, *map(str, files)))
        alone[name] = column(tmp_path / f"{name}-alone")
    both = column(tmp_path / "both")
    assert both not in alone.values()
    only = SPEC | {"shares": {"A": 1.0}}
    predict_merged(asked(tiny_manifest, shard, tmp_path / "only", only, "--adapters", words[0]))
    assert column(tmp_path / "only") == [pytest.approx(row, abs=1e-4) for row in alone["A"]]
    record = read_json(tmp_path / "both.run.json")
    assert record["spec"]["shares"] == {"A": 0.25, "B": 0.75}
    assert {"weights A", "config A", "weights B", "config B", "backbone"} < set(record["inputs"])


def column(out):
    return pq.read_table(f"{out}.parquet")["label_probabilities"].to_pylist()


def test_the_command_refuses_other_models_than_the_specs_and_altered_ones(tiny_manifest, tmp_path):
    shard = tmp_path / "shard.parquet"
    write_parquet(shard, items_to_table([make_item(0)]))
    folder = trained(tiny_manifest, tmp_path / "A", 1)
    spec = SPEC | {"shares": {"A": 0.5, "B": 0.5}}
    with pytest.raises(InputError, match=r"--adapters A: expected those of A B"):
        predict_merged(asked(tiny_manifest, shard, tmp_path / "x", spec, "--adapters", f"A={folder}"))
    files = [folder / "adapter_model.safetensors", folder / "adapter_config.json"]
    write_seal(files, Identity("posologie.training", "code", {}), {}, {})
    files[1].write_text("{}", encoding="utf-8")
    only = SPEC | {"shares": {"A": 1.0}}
    with pytest.raises(InputError, match="truncated or altered"):
        predict_merged(asked(tiny_manifest, shard, tmp_path / "x", only, "--adapters", f"A={folder}"))
