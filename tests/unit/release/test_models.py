"""A trained model leaves the study: merged, described, pushed."""

import base64
import http.server
import json
import shutil
import threading
from types import SimpleNamespace

import peft
import pytest
import safetensors
import safetensors.torch
import torch
import transformers
import yaml
from adapted_models import merged

from posologie.models.load import load_model
from posologie.models.store import checked_folder, write_manifest
from posologie.release.card import main as write_card
from posologie.release.card import results_of
from posologie.release.push import main as push
from posologie.running.errors import InputError

pytestmark = pytest.mark.slow

TOKENS = torch.arange(5, 40)[None]


def logits(folder):
    return load_model(folder, precision="float32", device="cpu")(input_ids=TOKENS).logits


@pytest.mark.parametrize("method", ["dora", "lora", "rslora", "pissa", "full"])
def test_the_merged_model_answers_as_backbone_and_adapter_do(job, backbone, tmp_path, method):
    done = job(recipe={"method": method, "learning_rate": 1e-2}).run()
    manifest = merged(done, backbone, tmp_path)
    folder = checked_folder(manifest)
    network = load_model(backbone.parent, precision="float32", device="cpu")
    if method == "full":
        network.load_state_dict(safetensors.torch.load_file(done.options.weights), strict=False)
        expected = network(input_ids=TOKENS).logits
    else:
        expected = peft.PeftModel.from_pretrained(network, done.folder).eval()(input_ids=TOKENS).logits
    torch.testing.assert_close(logits(folder), expected, rtol=1e-4, atol=1e-4)
    assert float((logits(folder) - logits(backbone.parent)).detach().abs().max()) > 0.01
    facts = json.loads(manifest.read_text(encoding="utf-8"))
    assert facts["kind"] == "merged"
    assert facts["merged_from"]["backbone"] == "tiny"


def test_experts_that_are_one_tensor_when_loaded_are_merged_in_the_loaded_model(backbone, tmp_path):
    folder = tmp_path / "experts@none"
    small = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1}
    small |= {"vocab_size": 60, "num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 8, "head_dim": 8}
    network = transformers.Qwen3MoeForCausalLM(transformers.Qwen3MoeConfig(**small))
    network.save_pretrained(folder)
    manifest = write_manifest(folder, {"name": "tiny", "kind": "untrained", "revision": "none"}, folder.iterdir())
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.01)
    job = SimpleNamespace(options=SimpleNamespace(weights=tmp_path / "all.safetensors", config=tmp_path / "all.json"))
    safetensors.torch.save_file(network.state_dict(), job.options.weights)
    job.options.config.write_text('{"method": "full"}', encoding="utf-8")
    model = load_model(merged(job, manifest, tmp_path).parent, precision="float32", device="cpu")
    for name, parameter in network.state_dict().items():
        assert torch.equal(model.state_dict()[name], parameter)


@pytest.fixture
def sharded(backbone, tmp_path):
    """The backbone in bfloat16 and several shards."""
    folder = tmp_path / "sharded@none"
    folder.mkdir()
    for path in backbone.parent.iterdir():
        if path.suffix != ".safetensors" and path.name != "manifest.json":
            shutil.copy(path, folder)
    model = load_model(backbone.parent, precision="bfloat16", device="cpu")
    model.save_pretrained(folder, max_shard_size="20KB")
    return write_manifest(folder, {"name": "tiny", "kind": "untrained", "revision": "none"}, folder.iterdir())


def test_shards_precision_and_names_are_the_backbones(job, sharded, tmp_path):
    done = job(recipe={"learning_rate": 1e-2, "precision": "bfloat16"}, backbone=sharded).run()
    folder = merged(done, sharded, tmp_path).parent
    shards = sorted(path.name for path in sharded.parent.glob("*.safetensors"))
    assert len(shards) > 2
    assert sorted(path.name for path in folder.glob("*.safetensors")) == shards
    assert (folder / "model.safetensors.index.json").read_bytes() == (
        sharded.parent / "model.safetensors.index.json"
    ).read_bytes()
    changed = 0
    for name in shards:
        before, after = (safetensors.torch.load_file(place / name) for place in (sharded.parent, folder))
        assert before.keys() == after.keys()
        for key in before:
            assert after[key].dtype == before[key].dtype == torch.bfloat16
            changed += not torch.equal(after[key], before[key])
    assert changed == 14


def test_merging_twice_gives_the_same_bytes(job, backbone, tmp_path):
    done = job().run()
    first, two = (merged(done, backbone, tmp_path / name).parent for name in ("one", "two"))
    for path in first.iterdir():
        assert path.read_bytes() == (two / path.name).read_bytes()


def test_an_adapter_of_another_backbone_is_refused_and_nothing_is_left(job, backbone, tmp_path):
    done = job().run()
    tensors = safetensors.torch.load_file(done.options.weights)
    renamed = {key.replace("layers.1.", "layers.7."): tensor for key, tensor in tensors.items()}
    safetensors.torch.save_file(renamed, done.options.weights)
    with pytest.raises(InputError, match=r"21 of its tensors do not exist .*layers\.7"):
        merged(done, backbone, tmp_path)
    wider = {key: torch.cat([tensor] * 2, -1) if "lora_A" in key else tensor for key, tensor in tensors.items()}
    safetensors.torch.save_file(wider, done.options.weights)
    with pytest.raises(InputError, match=r"shape .*; expected"):
        merged(done, backbone, tmp_path)
    assert not (tmp_path / "merged").exists()
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".merged")]


def test_kinds_of_adapter_that_it_does_not_merge_are_refused(job, backbone, tmp_path):
    done = job().run()
    facts = json.loads(done.options.config.read_text(encoding="utf-8"))
    for change, message in (({"peft_type": "IA3"}, "peft_type"), ({"rank_pattern": {"q_proj": 2}}, "rank_pattern")):
        done.options.config.write_text(json.dumps({**facts, **change}), encoding="utf-8")
        with pytest.raises(InputError, match=message):
            merged(done, backbone, tmp_path)


COMPOSITION = {
    "mix": "NAT",
    "seed": 42,
    "train": {"by_provenance": {"native": {"items": 7}, "synthetic": {"items": 3}}},
}


def test_the_card_says_what_the_records_say(job, tmp_path):
    done = job().run()
    composition, results, card = tmp_path / "composition.json", tmp_path / "mcqa.csv", tmp_path / "README.md"
    composition.write_text(json.dumps(COMPOSITION), encoding="utf-8")
    results.write_text(
        "model,benchmark,exact_match,n\ntiny/base,a,11.1,40\ntiny/NAT/seed-42,a|b,22.2,40\n", encoding="utf-8"
    )
    spec = {"model": "tiny/NAT/seed-42", "study": "demo", "base": "owner/tiny", "license": "apache-2.0"}
    spec |= {"languages": ["de", "en"], "tags": ["law"], "limits": ["Not legal advice."]}
    words = ["--spec", json.dumps(spec), "--run", str(done.options.run), "--composition", str(composition)]
    write_card([*words, "--results", str(results), "--card", str(card)])
    _, front, body = card.read_text(encoding="utf-8").split("---\n", 2)
    assert yaml.safe_load(front) == {
        "base_model": "owner/tiny",
        "base_model_relation": "adapter",
        "language": ["de", "en"],
        "library_name": "peft",
        "license": "apache-2.0",
        "pipeline_tag": "text-generation",
        "tags": ["law", "posologie"],
    }
    assert "| native | 7 |" in body
    assert "| a\\|b | 22.2 | 40 |" in body
    assert "11.1" not in body
    assert "| effective_batch | 4 |" in body
    assert "- Not legal advice.\n- Not validated for use in practice" in body
    assert "patients" not in body  # nothing but the study says what it is about
    assert "GPU energy" not in body  # it was not measured
    assert f"{done.facts()['final_loss']:.6g}" in body
    assert str(tmp_path) not in body
    write_card([*words, "--card", str(card)])
    assert "No result of this model is recorded." in card.read_text(encoding="utf-8")


def test_the_card_shows_the_main_numbers_beside_the_bases(tmp_path):
    table = tmp_path / "mcqa.csv"
    lines = ["suite,scope_kind,task,aggregate,metric,decoding,variants,model,n,unit,value,low,high"]
    for model, value in (("tiny/base", 11.5), ("tiny/NAT/seed-42", 22.5), ("tiny/SYN/seed-42", 33.5)):
        lines += [
            f"mcqa,{scope},all,{aggregate},em,constrained,original,{model},40,%,{value},1.5,90.5"
            for scope in ("all", "benchmark")
            for aggregate in ("item_weighted", "mean_of_tasks")
        ]
    table.write_text("\n".join(lines) + "\n", encoding="utf-8")
    columns, rows = results_of(table, "tiny/NAT/seed-42")
    assert columns == ["suite", "task", "metric", "decoding", "value", "low", "high", "base", "unit", "n"]
    assert rows == [["mcqa", "all", "em", "constrained", "22.5", "1.5", "90.5", "11.5", "%", "40"]]


def test_a_table_that_is_not_by_model_is_refused(job, tmp_path):
    done = job().run()
    composition, results = tmp_path / "composition.json", tmp_path / "other.csv"
    composition.write_text(json.dumps(COMPOSITION), encoding="utf-8")
    results.write_text("a,b\n1,2\n", encoding="utf-8")
    words = {
        "spec": json.dumps({"model": "m", "study": "s"}),
        "run": done.options.run,
        "composition": composition,
        "results": results,
        "card": tmp_path / "README.md",
    }
    with pytest.raises(InputError, match="no column 'model'"):
        write_card([f"--{name}={value}" for name, value in words.items()])


class Hub(http.server.BaseHTTPRequestHandler):
    """Answers what a push asks of the hub; `server.seen` keeps what came, `server.status` refuses."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.seen.append((self.path, self.headers.get("Authorization"), body))
        if self.server.status != 200:
            return self.answer({"error": "no"}, self.server.status)
        if self.path.endswith("/repos/create"):
            return self.answer({"url": f"{self.server.address}/owner/name", "name": "owner/name"})
        if "/preupload/" in self.path:
            files = [
                {"path": file["path"], "uploadMode": "regular", "shouldIgnore": False}
                for file in json.loads(body)["files"]
            ]
            return self.answer({"files": files})
        return self.answer(
            {"success": True, "commitOid": "c0ffee", "commitUrl": f"{self.server.address}/owner/name/commit/c0ffee"}
        )

    def answer(self, value, status=200):
        content = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args):
        pass


@pytest.fixture
def hub(monkeypatch):
    """A server on this machine in the hub's place."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    server.address, server.seen, server.status = f"http://127.0.0.1:{server.server_port}", [], 200
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "ENDPOINT", server.address)
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    yield server
    server.shutdown()


def pushing(tmp_path, **changes):
    (tmp_path / "README.md").write_text("card", encoding="utf-8")
    (tmp_path / "adapter_config.json").write_text("{}", encoding="utf-8")
    words = ["--spec", json.dumps({"repository": "owner/name", **changes}), "--receipt", str(tmp_path / "receipt.json")]
    return [*words, "--files", str(tmp_path / "README.md"), str(tmp_path / "adapter_config.json")]


def test_a_push_is_one_commit_with_the_token_of_the_environment(hub, tmp_path):
    push(pushing(tmp_path))
    paths = [path for path, _, _ in hub.seen]
    assert paths[0] == "/api/repos/create"
    assert paths[-1].startswith("/api/models/owner/name/commit/main")
    assert {token for _, token, _ in hub.seen} == {"Bearer hf_secret"}
    created = json.loads(hub.seen[0][2])
    assert created.get("private") is True or created.get("visibility") == "private"
    lines = [json.loads(line) for line in hub.seen[-1][2].splitlines()]
    assert {line["value"]["path"] for line in lines if line["key"] == "file"} == {"README.md", "adapter_config.json"}
    receipt = json.loads((tmp_path / "receipt.json").read_text(encoding="utf-8"))
    assert receipt["commit"] == "c0ffee"
    assert set(receipt["files"]) == {"README.md", "adapter_config.json"}
    assert "hf_secret" not in (tmp_path / "receipt.json").read_text(encoding="utf-8")


def test_a_merged_model_is_pushed_by_its_manifest_and_an_adapter_names_its_backbone_on_the_hub(hub, tmp_path):
    folder = tmp_path / "merged"
    folder.mkdir()
    (folder / "config.json").write_text("{}", encoding="utf-8")
    manifest = write_manifest(folder, {"name": "m"}, folder.iterdir())
    push([*pushing(tmp_path, base="owner/backbone"), "--manifest", str(manifest)])
    lines = [json.loads(line) for line in hub.seen[-1][2].splitlines()]
    sent = {line["value"]["path"]: line["value"]["content"] for line in lines if line["key"] == "file"}
    assert set(sent) == {"README.md", "adapter_config.json", "config.json"}
    assert json.loads(base64.b64decode(sent["adapter_config.json"]))["base_model_name_or_path"] == "owner/backbone"
    (folder / "config.json").write_text("[]", encoding="utf-8")
    with pytest.raises(InputError, match="sha256"):
        push([*pushing(tmp_path), "--manifest", str(manifest)])


@pytest.mark.parametrize(("status", "message"), [(401, "token is not valid"), (403, "may not write"), (404, "no such")])
def test_a_refusal_is_one_line_and_leaves_no_receipt(hub, tmp_path, status, message):
    hub.status = status
    with pytest.raises(InputError, match=message) as caught:
        push(pushing(tmp_path))
    assert "hf_secret" not in str(caught.value)
    assert not (tmp_path / "receipt.json").exists()


def test_a_hub_that_cannot_be_reached_is_one_line(hub, tmp_path, monkeypatch):
    hub.shutdown()
    hub.server_close()  # nobody listens at the address any more
    with pytest.raises(InputError, match="the hub cannot be reached") as caught:
        push(pushing(tmp_path))
    assert "hf_secret" not in str(caught.value)
    assert not (tmp_path / "receipt.json").exists()


def test_without_a_token_or_with_a_missing_file_nothing_is_sent(hub, tmp_path, monkeypatch):
    words = pushing(tmp_path)
    (tmp_path / "README.md").unlink()
    with pytest.raises(InputError, match=r"README\.md: no such file"):
        push(words)
    words = pushing(tmp_path)
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None)
    with pytest.raises(InputError, match="set HF_TOKEN"):
        push(words)
    assert hub.seen == []


@pytest.mark.parametrize("name", ["name", "a/b/c", "../b", "owner/..", "owner/na me"])
def test_a_repository_has_an_owner_and_a_name(hub, tmp_path, name):
    with pytest.raises(InputError, match="repository"):
        push(pushing(tmp_path, repository=name))
