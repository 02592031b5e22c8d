"""Backbones divided among the processes of a training: the same adapter, from a part of the weights each."""

import json
import os
import shutil
import signal
from types import SimpleNamespace

import peft
import pytest
import safetensors.torch
import torch
import transformers
from training_made import pairs, some_items

from posologie.models.load import load_model
from posologie.models.store import write_manifest
from posologie.running.errors import InputError
from posologie.training import checkpoints
from posologie.training.__main__ import main
from posologie.training.job import train_adapter  # noqa: F401 - imported before forks, which then start quickly
from posologie.training.launcher import open_store
from posologie.training.loop import _smaller
from posologie.training.reporting import OutOfMemoryError
from posologie.training.student import make_student

PROCESSES = int(os.environ.get("POSOLOGIE_TEST_PROCESSES", "2"))
RECIPE = {"dropout": 0.1, "learning_rate": 1e-2}


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


def noting_sizes(folder):
    """Let each process write how many weights of the backbone it holds."""

    def prepare():
        from posologie.training import job

        def noted(*args, make=job.make_student):
            student = make(*args)
            frozen = [weight for weight in student.model.parameters() if not weight.requires_grad]
            held = sum((weight.to_local() if hasattr(weight, "to_local") else weight).numel() for weight in frozen)
            (folder / f"size-{os.environ['RANK']}").write_text(str(held))
            return student

        job.make_student = noted

    return prepare


def test_a_sharded_backbone_gives_the_bytes_of_a_whole_one_and_the_losses_of_one_process(job, backbone):
    items = some_items(9)  # the last update of an epoch holds a single example: the other process only keeps step
    alone = job("alone", RECIPE, items=items).run()
    whole, sharded = (job(name, RECIPE, items=items) for name in ("whole", "sharded"))
    assert together(whole) == [0] * PROCESSES, whole.log()
    assert together(sharded, noting_sizes(sharded.folder), shard_backbone=1) == [0] * PROCESSES, sharded.log()
    assert sharded.artifacts() == whole.artifacts()
    parts = [json.loads(path.read_text()) for path in sorted(sharded.folder.glob("size-*"))]
    assert len(parts) == PROCESSES
    backbone_size = sum(weight.numel() for weight in load_model(backbone.parent, precision="float32").parameters())
    assert all(part == pytest.approx(backbone_size / PROCESSES, rel=0.02) for part in parts)
    assert [each.facts()["backbone_sharded"] for each in (alone, whole, sharded)] == [False, False, True]
    for alone_row, sharded_row in zip(alone.history(), sharded.history(), strict=True):
        for key in ("loss", "gradient_norm", "validation_loss", "validation_answer_loss"):
            assert sharded_row[key] == (
                alone_row[key] if alone_row[key] is None else pytest.approx(alone_row[key], rel=1e-4)
            )
    weights = [safetensors.torch.load_file(each.options.weights) for each in (alone, sharded)]
    for name, tensor in weights[0].items():
        torch.testing.assert_close(weights[1][name], tensor, rtol=1e-3, atol=1e-4)
    stock = peft.PeftModel.from_pretrained(load_model(backbone.parent, precision="float32"), sharded.folder)
    assert any(float(weight.abs().max()) > 0 for name, weight in stock.named_parameters() if "lora_B" in name)


@pytest.fixture
def untied(backbone, tmp_path):
    """A backbone whose output layer has weights of its own, in rows that do not divide by the processes."""
    folder = tmp_path / "untied@none"
    folder.mkdir()
    settings = transformers.AutoConfig.from_pretrained(backbone.parent)
    settings.tie_word_embeddings, settings.intermediate_size = False, 51
    torch.manual_seed(0)
    transformers.AutoModelForCausalLM.from_config(settings).save_pretrained(folder)
    for pattern in ("tokenizer*", "chat_template*"):
        for path in backbone.parent.glob(pattern):
            shutil.copy(path, folder)
    return write_manifest(folder, {"name": "tiny", "kind": "untrained", "revision": "none"}, folder.iterdir())


def test_preferences_are_learnt_from_a_shared_backbone_with_its_own_output_layer(job, untied):
    recipe = {"objective": "dpo", "method": "lora", "learning_rate": 1e-2}
    settings = {"items": pairs(5), "validation": pairs(3, 50), "backbone": untied}
    alone, shared = (job(name, recipe, **settings) for name in ("alone", "shared"))
    alone.run()
    assert together(shared, shard_backbone=1, micro_batch=2) == [0] * PROCESSES, shared.log()
    for alone_row, shared_row in zip(alone.history(), shared.history(), strict=True):
        for key in ("loss", "gradient_norm", "validation_loss", "validation_preferred"):
            assert shared_row[key] == (
                alone_row[key] if alone_row[key] is None else pytest.approx(alone_row[key], rel=1e-4)
            )


def test_a_kill_of_one_process_and_a_restart_leave_the_same_bytes(job):
    recipe = {"method": "lora", "loss_on": "answer"}
    whole, killed = (job(name, recipe, items=some_items(9)) for name in ("whole", "killed"))
    assert together(whole) == [0] * PROCESSES

    def die_in_the_first_process():
        step, calls = torch.optim.AdamW.step, []

        def third(*args):
            calls.append(1)
            if len(calls) == 3 and os.environ["RANK"] == "0":
                os.kill(os.getpid(), signal.SIGKILL)
            return step(*args)

        torch.optim.AdamW.step = third

    outcomes = together(killed, die_in_the_first_process, shard_backbone=1, checkpoint_seconds=0.0)
    assert outcomes[0] == -signal.SIGKILL
    assert 0 not in outcomes
    [folder] = [path for path in killed.options.work.iterdir() if path.is_dir()]
    assert len(checkpoints.load(folder).history) == 2
    assert together(killed, shard_backbone=1) == [0] * PROCESSES, killed.log()
    assert killed.facts()["updates_of_earlier_attempts"] == 2
    assert killed.artifacts() == whole.artifacts()


@pytest.mark.parametrize("recipe", [{"quantization": "4bit"}, {"method": "full"}])
def test_backbones_that_are_packed_or_changed_are_not_shared(job, backbone, recipe):
    refused = job("job", recipe)
    reason = r"devices.shard_backbone: training.recipe.(quantization|method) = "
    with pytest.raises(InputError, match=reason):
        make_student(backbone.parent, refused.spec, torch.device("cpu"), processes=2)
    options = {**vars(refused.options), "shard_backbone": 1, "processes": 2}
    words = [f"--{name.replace('_', '-')}={value}" for name, value in options.items() if value is not None]
    with pytest.raises(InputError, match=reason):  # once, before any process is started
        main(words)


def test_a_process_of_a_shared_backbone_that_runs_out_of_memory_does_not_go_on_alone():
    error = OutOfMemoryError("update 1: out of memory")
    assert _smaller(8, error, SimpleNamespace(sharded=False)) == 4
    with pytest.raises(OutOfMemoryError):
        _smaller(8, error, SimpleNamespace(sharded=True))
