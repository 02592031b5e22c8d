"""The command: what it writes, in every form of training."""

import json
import os
import random
import subprocess
import sys
import time
from types import SimpleNamespace

import peft
import pytest
import safetensors.torch
import torch
from training_made import an_item, some_items

from posologie.models.load import load_model
from posologie.running.errors import InputError
from posologie.training.job import train_adapter  # noqa: F401 - imported before forks, which then start quickly
from posologie.training.launcher import open_store
from posologie.training.processes import Group


def test_the_artifacts_are_a_standard_adapter_a_history_and_a_record(job):
    done = job(recipe={"epochs": 2}).run()
    config = json.loads(done.options.config.read_text(encoding="utf-8"))
    assert config["base_model_name_or_path"] == "tiny"
    assert config["target_modules"] == sorted(config["target_modules"])
    assert str(done.folder) not in done.options.config.read_text(encoding="utf-8")
    history = done.history()
    assert [row["step"] for row in history] == list(range(1, 7))
    assert [row["epoch"] for row in history] == [1, 1, 1, 2, 2, 2]
    assert [row["examples"] for row in history] == [4, 4, 2] * 2
    assert [row["validation_loss"] is not None for row in history] == [False, False, True] * 2
    assert all(row["seconds"] > 0 for row in history)
    facts = done.facts()
    assert facts["updates"] == 6
    assert facts["items"]["train"]["used"] == 10
    assert facts["tokens"] == sum(row["tokens"] for row in history) == 2 * facts["items"]["train"]["tokens"]
    assert facts["final_loss"] == history[-1]["loss"]
    assert facts["trained_parameters"] > 0
    assert list(done.options.work.iterdir()) == [done.options.work / "progress.json"]


@pytest.mark.parametrize("method", ["dora", "lora", "rslora"])
def test_stock_peft_loads_the_adapter_with_equal_logits(job, backbone, method, monkeypatch):
    from posologie.training import job as job_module

    trained = []
    monkeypatch.setattr(
        job_module,
        "make_student",
        lambda *args, make=job_module.make_student: trained.append(make(*args)) or trained[-1],
    )
    done = job(recipe={"method": method, "learning_rate": 1e-2}).run()
    network = load_model(backbone.parent, precision="float32", device="cpu")
    tokens = torch.arange(5, 40)[None]
    untrained = network(input_ids=tokens).logits
    stock = peft.PeftModel.from_pretrained(network, done.folder).eval()
    assert {type(layer).__name__ for layer in stock.modules() if isinstance(layer, peft.tuners.lora.LoraLayer)} == {
        "Linear"
    }
    expected = stock(input_ids=tokens).logits
    student = trained[0].model.eval()
    student.set_attn_implementation("sdpa")
    torch.testing.assert_close(student(input_ids=tokens).logits, expected, rtol=1e-4, atol=1e-4)
    assert float((expected - untrained).detach().abs().max()) > 0.01


@pytest.mark.slow
def test_the_same_spec_and_inputs_give_the_same_bytes_whatever_the_hash_seed_and_order_of_rows(job, backbone):
    items = some_items(10)
    ordered = job("one", items=items)
    shuffled = job("other", items=random.Random(1).sample(items, len(items)))
    words = [
        f"--{name.replace('_', '-')}={value}" for name, value in vars(ordered.options).items() if value is not None
    ]
    environment = {**os.environ, "PYTHONHASHSEED": "12345"}
    subprocess.run(
        [sys.executable, "-m", "posologie.training", *words], check=True, env=environment, capture_output=True
    )
    shuffled.run()
    assert ordered.artifacts() == shuffled.artifacts()


def test_another_seed_gives_another_adapter(job):
    assert job("one", seed=1).run().artifacts()[0] != job("two", seed=2).run().artifacts()[0]


def test_the_micro_batch_changes_no_result_even_with_dropout(job):
    histories = [job(f"of-{size}", {"dropout": 0.3}).run(micro_batch=size).history() for size in (1, 3, 4)]
    for history in histories[1:]:
        for row, other in zip(histories[0], history, strict=True):
            for key in ("loss", "gradient_norm", "validation_loss"):
                assert other[key] == (row[key] if row[key] is None else pytest.approx(row[key], rel=1e-4))


@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_two_processes_have_the_losses_of_one(job, dropout):
    recipe = {"dropout": dropout, "epochs": 2, "learning_rate": 1e-2}
    alone = job("alone", recipe, items=some_items(9)).run()
    pair = job("pair", recipe, items=some_items(9))  # the last update of an epoch holds a single example
    _store, meeting = open_store("127.0.0.1")
    environments = [
        {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "POSOLOGIE_MEETING": meeting} for rank in (0, 1)
    ]
    children = [pair.fork(environment=environment, micro_batch=1) for environment in environments]
    assert [pair.outcome(child) for child in children] == [0, 0]
    for alone_row, pair_row in zip(alone.history(), pair.history(), strict=True):
        for key in ("loss", "gradient_norm", "validation_loss", "validation_answer_loss"):
            assert pair_row[key] == (
                alone_row[key] if alone_row[key] is None else pytest.approx(alone_row[key], rel=1e-4)
            )
        for key in ("step", "epoch", "tokens", "targets", "examples", "learning_rate"):
            assert pair_row[key] == alone_row[key]
    weights = [safetensors.torch.load_file(each.options.weights) for each in (alone, pair)]
    for name, tensor in weights[0].items():
        torch.testing.assert_close(weights[1][name], tensor, rtol=1e-3, atol=1e-4)
    assert pair.facts()["processes"] == 2


def test_a_process_waits_for_the_others_as_long_as_it_is_set(monkeypatch):
    _store, meeting = open_store("127.0.0.1")
    for name, value in {"RANK": "0", "WORLD_SIZE": "2", "POSOLOGIE_MEETING": meeting}.items():
        monkeypatch.setenv(name, value)
    start = time.perf_counter()
    with pytest.raises(torch.distributed.DistError, match=r"[Tt]imed? ?out"):  # the other one never comes
        Group(patience_minutes=0.02)
    assert 1.2 <= time.perf_counter() - start < 30


def test_the_best_epoch_is_kept_when_asked_for(job):
    recipe = {"epochs": 3, "learning_rate": 0.02, "schedule": "constant", "method": "full"}
    held_out = [an_item(n, words=3, question="tout autre chose " * 9) for n in range(700, 704)]
    last, best = (job(keep, {**recipe, "keep": keep}, validation=held_out).run() for keep in ("last", "best"))
    losses = [row["validation_loss"] for row in best.history() if row["validation_loss"] is not None]
    facts = best.facts()
    assert facts["kept_epoch"] == facts["best_epoch"] == losses.index(min(losses)) + 1 < 3
    assert last.facts()["kept_epoch"] == 3
    assert last.artifacts()[2] == best.artifacts()[2]
    assert last.artifacts()[0] != best.artifacts()[0]


def test_full_fine_tuning_writes_every_weight(job, backbone):
    done = job(recipe={"method": "full", "learning_rate": 1e-3, "epochs": 4}).run()
    network = load_model(backbone.parent, precision="float32", device="cpu")
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    trained = safetensors.torch.load_file(done.options.weights)
    assert set(before) - set(trained) == {"lm_head.weight"}  # tied to the embedding
    assert all(trained[name].shape == before[name].shape for name in trained), "the embedding table keeps its size"
    assert all(not torch.equal(trained[name], before[name]) for name in trained)
    assert json.loads(done.options.config.read_text(encoding="utf-8"))["method"] == "full"
    assert done.history()[-1]["loss"] < done.history()[0]["loss"] - 0.3


def test_bfloat16_trains_with_losses_close_to_float32(job):
    for method in ("dora", "full"):
        recipe = {"learning_rate": 1e-3, "epochs": 2, "method": method, "dropout": 0.0}
        wide, narrow = (
            job(f"{method}-{kind}", {**recipe, "precision": kind}).run() for kind in ("float32", "bfloat16")
        )
        for wide_row, narrow_row in zip(wide.history(), narrow.history(), strict=True):
            assert narrow_row["loss"] == pytest.approx(wide_row["loss"], rel=0.01)
        weights = safetensors.torch.load_file(narrow.options.weights)
        assert {tensor.dtype for tensor in weights.values()} == {torch.float32}


def test_cut_and_rejected_items_are_counted_in_the_record(job):
    items = [*some_items(6), an_item(90, context="mot " * 300), an_item(91, words=400)]
    facts = job(recipe={"max_length": 200}, items=items).run().facts()["items"]["train"]
    assert facts["used"] == 7
    assert facts["context_cut"] == [an_item(90).id]
    assert facts["rejected"] == [an_item(91).id]


def test_losses_are_shown_elsewhere_only_when_asked_for_and_change_no_artifact(job, monkeypatch):
    written = []

    class Writer:
        def __init__(self, folder):
            written.append(folder)

        def add_scalar(self, name, value, step):
            written.append((name, step))

        def flush(self):
            pass

    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", SimpleNamespace(SummaryWriter=Writer))
    quiet = job("quiet").run()
    assert written == []
    shown = job("shown").run(report_to="tensorboard")
    assert ("loss", 1) in written
    assert ("validation_loss", 3) in written
    assert shown.artifacts() == quiet.artifacts()
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(InputError, match="the package tensorboard is not installed"):
        job("missing").run(report_to="tensorboard")


def test_an_empty_validation_set_is_allowed(job):
    done = job(validation=[]).run()
    assert all(row["validation_loss"] is None for row in done.history())
    assert done.facts()["best_epoch"] is None
