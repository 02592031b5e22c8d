"""Backbones divided among the processes of a training: the same adapter, from a part of the weights each."""

import os
import signal

import peft
import pytest
import safetensors.torch
import torch
from training_made import some_items

from posologie.models.load import load_model
from posologie.running.errors import InputError
from posologie.training.job import train_adapter  # noqa: F401 - imported before forks, which then start quickly
from posologie.training.launcher import open_store

PROCESSES = int(os.environ.get("POSOLOGIE_TEST_PROCESSES", "2"))
RECIPE = {"dropout": 0.1, "epochs": 2, "learning_rate": 1e-2}


def together(job, prepare=lambda: None, processes=PROCESSES, **options):
    """Train in several processes and return their exit statuses."""
    _store, meeting = open_store("127.0.0.1")
    environments = [
        {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(processes), "POSOLOGIE_MEETING": meeting}
        for rank in range(processes)
    ]
    options = {"micro_batch": 1, **options}
    children = [job.fork(prepare, environment=environment, **options) for environment in environments]
    return [job.outcome(child) for child in children]


def test_a_sharded_backbone_gives_the_bytes_of_a_whole_one_and_the_losses_of_one_process(job, backbone):
    items = some_items(9)  # the last update of an epoch holds a single example: the other process only keeps step
    alone = job("alone", RECIPE, items=items).run()
    whole, sharded = (job(name, RECIPE, items=items) for name in ("whole", "sharded"))
    assert together(whole) == [0] * PROCESSES, (whole.folder / "log.txt").read_text()
    assert together(sharded, shard_backbone=1) == [0] * PROCESSES, (sharded.folder / "log.txt").read_text()
    assert sharded.artifacts() == whole.artifacts()
    assert [each.facts()["backbone_sharded"] for each in (alone, whole, sharded)] == [False, False, True]
    for one, other in zip(alone.history(), sharded.history(), strict=True):
        for key in ("loss", "gradient_norm", "validation_loss", "validation_answer_loss"):
            assert other[key] == (one[key] if one[key] is None else pytest.approx(one[key], rel=1e-4))
    weights = [safetensors.torch.load_file(each.options.weights) for each in (alone, sharded)]
    for name, tensor in weights[0].items():
        torch.testing.assert_close(weights[1][name], tensor, rtol=1e-3, atol=1e-4)
    stock = peft.PeftModel.from_pretrained(load_model(backbone.parent, precision="float32"), sharded.folder)
    assert any(float(weight.abs().max()) > 0 for name, weight in stock.named_parameters() if "lora_B" in name)
