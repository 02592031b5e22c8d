"""The command: what it writes, what it refuses, and that interruptions leave no trace."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from types import SimpleNamespace

import peft
import pytest
import safetensors.torch
import torch

from conftest import an_item, some_items
from posologie.errors import InputError
from posologie.models.load import load_model
from posologie.training import checkpoints
from posologie.training.__main__ import main
from posologie.training.history import Update
from posologie.training.interruption import EXIT_STATUS, LAUNCHER, StopRequest
from posologie.training.job import train_adapter  # noqa: F401 - imported before forks, which then start quickly
from posologie.training.processes import Group
from posologie.training.spec import Recipe


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


def test_the_same_spec_and_inputs_give_the_same_bytes_whatever_the_hash_seed_and_order_of_rows(job, backbone):
    items = some_items(10)
    one = job("one", items=items)
    other = job("other", items=random.Random(1).sample(items, len(items)))
    words = [f"--{name.replace('_', '-')}={value}" for name, value in vars(one.options).items() if value is not None]
    environment = {**os.environ, "PYTHONHASHSEED": "12345"}
    subprocess.run(
        [sys.executable, "-m", "posologie.training", *words], check=True, env=environment, capture_output=True
    )
    other.run()
    assert one.artifacts() == other.artifacts()


def test_another_seed_gives_another_adapter(job):
    assert job("one", seed=1).run().artifacts()[0] != job("two", seed=2).run().artifacts()[0]


def test_the_micro_batch_changes_no_result_even_with_dropout(job):
    histories = [job(f"of-{size}", {"dropout": 0.3}).run(micro_batch=size).history() for size in (1, 3, 4)]
    for other in histories[1:]:
        for one, two in zip(histories[0], other, strict=True):
            for key in ("loss", "gradient_norm", "validation_loss"):
                assert two[key] == (one[key] if one[key] is None else pytest.approx(one[key], rel=1e-4))


@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_two_processes_have_the_losses_of_one(job, dropout):
    recipe = {"dropout": dropout, "epochs": 2, "learning_rate": 1e-2}
    alone = job("alone", recipe, items=some_items(9)).run()
    pair = job("pair", recipe, items=some_items(9))  # the last update of an epoch holds a single example
    meeting = f"file://{pair.folder}/meeting"
    environments = [
        {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "POSOLOGIE_MEETING": meeting} for rank in (0, 1)
    ]
    children = [pair.fork(environment=environment, micro_batch=1) for environment in environments]
    assert [pair.outcome(child) for child in children] == [0, 0]
    for one, two in zip(alone.history(), pair.history(), strict=True):
        for key in ("loss", "gradient_norm", "validation_loss", "validation_answer_loss"):
            assert two[key] == (one[key] if one[key] is None else pytest.approx(one[key], rel=1e-4))
        for key in ("step", "epoch", "tokens", "targets", "examples", "learning_rate"):
            assert two[key] == one[key]
    weights = [safetensors.torch.load_file(each.options.weights) for each in (alone, pair)]
    for name, tensor in weights[0].items():
        torch.testing.assert_close(weights[1][name], tensor, rtol=1e-3, atol=1e-4)
    assert pair.facts()["processes"] == 2


def die_at(count):
    """Let the process be killed at the count-th of the moments that matter: file operations and updates."""
    left = [count]

    def counted(function):
        def call(*args, **kwargs):
            left[0] -= 1
            if left[0] == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return function(*args, **kwargs)

        return call

    def prepare():
        for name in ("replace", "fsync", "rename", "unlink", "rmdir"):
            setattr(os, name, counted(getattr(os, name)))
        torch.optim.AdamW.step = counted(torch.optim.AdamW.step)
        safetensors.torch.save_file = counted(safetensors.torch.save_file)

    return prepare


@pytest.mark.parametrize("keep", ["last", "best"])
def test_a_kill_at_any_moment_and_a_restart_leave_the_same_bytes(job, keep):
    recipe = {"epochs": 2, "keep": keep, "learning_rate": 1e-2}
    expected = job("whole", recipe).run().artifacts()
    moments = random.Random(7)
    killed = job("killed", recipe)
    deaths = 0
    for attempt in range(200):
        outcome = killed.outcome(killed.fork(die_at(moments.randint(3, 60 + 5 * attempt)), checkpoint_seconds=0.0))
        if outcome == 0:
            break
        assert outcome == -signal.SIGKILL, (killed.folder / "log.txt").read_text()
        deaths += 1
    assert deaths >= 3
    assert killed.artifacts() == expected


def test_every_moment_from_the_first_to_the_last_survives_a_kill(job):
    expected = job("whole").run().artifacts()
    moment, finished = 1, False
    while not finished:
        each = job(f"killed-{moment}")
        finished = each.outcome(each.fork(die_at(moment), checkpoint_seconds=0.0)) == 0
        if not finished:
            assert each.outcome(each.fork(checkpoint_seconds=0.0)) == 0
        assert each.artifacts() == expected, moment
        moment += 14
    assert moment > 40


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGUSR1, signal.SIGINT])
def test_a_signal_saves_and_the_retry_goes_on(job, number):
    recipe = {"epochs": 3}
    expected = job("whole", recipe).run().artifacts()
    stopped = job("stopped", recipe)

    def prepare():
        from posologie.training import loop

        backward, calls = loop._backward, []

        def third(*args):
            calls.append(1)
            if len(calls) == 6:  # in the midst of the fourth update
                os.kill(os.getpid(), number)
            return backward(*args)

        loop._backward = third

    assert stopped.outcome(stopped.fork(prepare)) == EXIT_STATUS == 75
    assert not stopped.options.weights.exists()
    [folder] = [path for path in stopped.options.work.iterdir() if path.is_dir()]
    assert len(checkpoints.load(folder).history) == 3
    stopped.run()
    assert stopped.artifacts() == expected
    assert stopped.facts()["updates_of_earlier_attempts"] == 3


@pytest.mark.parametrize(("keep", "epoch"), [("last", 1), ("best", 2)])
def test_a_signal_during_validation_is_heard_and_the_retry_validates_first(job, keep, epoch):
    recipe = {"epochs": 2, "keep": keep, "learning_rate": 1e-2}
    expected = job("whole", recipe).run().artifacts()
    stopped = job("stopped", recipe)

    def prepare():
        from posologie.training import loop

        losses, calls = loop.loss_of.losses, []

        def signalled(*args):
            calls.append(1)
            if len(calls) == 2 * epoch - 1:  # the first of the two micro-batches of validation
                os.kill(os.getpid(), signal.SIGTERM)
            return losses(*args)

        loop.loss_of.losses = signalled

    assert stopped.outcome(stopped.fork(prepare)) == EXIT_STATUS
    [folder] = [path for path in stopped.options.work.iterdir() if path.is_dir()]
    history = checkpoints.load(folder).history
    assert len(history) == 3 * epoch
    assert history[-1].validation_loss is None
    stopped.run()
    assert stopped.artifacts() == expected


def test_processes_whose_launcher_was_killed_stop(monkeypatch):
    monkeypatch.setenv(LAUNCHER, str(os.getppid()))
    assert not StopRequest().requested
    monkeypatch.setenv(LAUNCHER, str(os.getpid()))
    assert StopRequest().requested


def test_a_checkpoint_of_another_spec_input_or_backbone_is_not_resumed(job):
    stopped = job("job", {"epochs": 3})

    def prepare():
        step, calls = torch.optim.AdamW.step, []

        def fifth(*args):
            calls.append(1)
            if len(calls) == 5:
                os.kill(os.getpid(), signal.SIGKILL)
            return step(*args)

        torch.optim.AdamW.step = fifth

    assert stopped.outcome(stopped.fork(prepare, checkpoint_seconds=0.0)) == -signal.SIGKILL
    [before] = [path.name for path in stopped.options.work.iterdir() if path.is_dir()]
    other = job("job", {"epochs": 3, "learning_rate": 2e-4})
    other.run()
    assert other.facts()["updates_of_earlier_attempts"] == 0
    same = job(
        "job", {"epochs": 3}, items=[replace(item, question=item.question + " ?") for item in some_items(10)]
    ).run()
    assert same.facts()["updates_of_earlier_attempts"] == 0
    assert [path.name for path in stopped.options.work.iterdir() if path.is_dir()] == [before]
    again = job("job", {"epochs": 3}).run()
    assert again.facts()["updates_of_earlier_attempts"] == 4


def test_a_loss_that_is_not_a_number_stops_and_names_the_items(job, monkeypatch):
    from posologie.training import loop

    backward, seen = loop._backward, []

    def broken(student, batch, targets):
        seen.append(batch.ids)
        return backward(student, batch, targets) * (float("nan") if len(seen) == 4 else 1)

    monkeypatch.setattr(loop, "_backward", broken)
    with pytest.raises(InputError, match=r"update 2 \(epoch 1\): loss nan") as caught:
        job().run()
    assert str(caught.value).endswith("items " + ", ".join(seen[3]))


def test_a_gradient_that_is_not_a_number_stops_before_it_is_applied(job, monkeypatch):
    steps = []
    monkeypatch.setattr(torch.nn.utils, "clip_grad_norm_", lambda parameters, norm: torch.tensor(float("inf")))
    monkeypatch.setattr(torch.optim.AdamW, "step", lambda self: steps.append(1))
    with pytest.raises(InputError, match="gradient norm inf"):
        job().run()
    assert steps == []


def losses(values):
    return [Update(n + 1, 1, value, 1e-4, 1.0, 4, 100, 96, None, None, 0.5) for n, value in enumerate(values)]


def test_a_diverging_loss_stops_with_what_to_lower_and_the_items(job):
    from posologie.training.loop import _refuse_divergence

    class Items:
        ids = ("a", "b", "c")

    def refuse(values, factor=3.0):
        _refuse_divergence(losses(values), Recipe(divergence_factor=factor), [0, 2], Items, Group())

    refuse([2.0] * 20 + [5.9] * 20)
    refuse([2.0] * 10 + [9.0] * 20)  # too early to say
    refuse([2.0] * 20 + [9.0] * 20, factor=None)
    refuse([9.0] * 20 + [2.0] * 20)
    with pytest.raises(InputError, match=r"update 40 .*diverges, mean 6\.1.*after 2\.0.*learning_rate; .*items.* a, c"):
        refuse([2.0] * 20 + [6.1] * 20)


@pytest.mark.parametrize(
    "error", [torch.OutOfMemoryError("CUDA out of memory"), RuntimeError("DefaultCPUAllocator: can't allocate memory")]
)
def test_without_memory_it_says_what_to_lower(job, monkeypatch, error):
    from posologie.training import loop

    def fail(*args):
        raise error

    monkeypatch.setattr(loop, "_backward", fail)
    with pytest.raises(
        InputError, match=r"update 1: out of memory with 2 examples .* lower devices.training_micro_batch"
    ):
        job().run()


def test_without_memory_for_the_optimizer_or_for_validation_it_says_so(job, monkeypatch):
    def fail(*args):
        raise torch.OutOfMemoryError("CUDA out of memory")

    from posologie.training import loop

    with monkeypatch.context() as patched:
        patched.setattr(torch.optim.AdamW, "step", fail)
        with pytest.raises(InputError, match="update 1: out of memory for AdamW's moments; lower"):
            job("one").run()
    monkeypatch.setattr(loop.loss_of, "losses", fail)
    with pytest.raises(InputError, match=r"validation of epoch 1: out of memory with 2 examples .* lower devices"):
        job("two").run()


def test_other_errors_stay_what_they_are(job, monkeypatch):
    from posologie.training import loop

    def fail(*args):
        raise RuntimeError("shapes differ")

    monkeypatch.setattr(loop, "_backward", fail)
    with pytest.raises(RuntimeError, match="shapes differ"):
        job().run()


def test_the_best_epoch_is_kept_when_asked_for(job):
    recipe = {"epochs": 3, "learning_rate": 0.02, "schedule": "constant", "method": "full"}
    held_out = [an_item(n, words=3, question="tout autre chose " * 9) for n in range(700, 704)]
    last, best = (job(keep, {**recipe, "keep": keep}, validation=held_out).run() for keep in ("last", "best"))
    found = [row["validation_loss"] for row in best.history() if row["validation_loss"] is not None]
    facts = best.facts()
    assert facts["kept_epoch"] == facts["best_epoch"] == found.index(min(found)) + 1 < 3
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
        for one, two in zip(wide.history(), narrow.history(), strict=True):
            assert two["loss"] == pytest.approx(one["loss"], rel=0.01)
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


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"recipe": {"target_modules": ["q_proj", "c_attn"]}}, "tiny has no module 'c_attn'"),
        ({"recipe": {"target_modules": ["q_proj", "lm_head"]}}, "target_modules = 'lm_head': Linear of tiny; expected"),
        ({"recipe": {"target_modules": ["mlp"]}}, "target_modules = 'mlp': Qwen3MLP of tiny; expected linear layers"),
        ({"items": []}, "no item to train on"),
        ({"items": [an_item(1, words=400)], "recipe": {"max_length": 100}}, "no item to train on"),
        ({"recipe": {"quantization": "4bit"}}, "bitsandbytes is not installed"),
        ({"recipe": {"quantization": "8bit"}}, "bitsandbytes is not installed"),
        ({"recipe": {"kernels": "liger"}}, "need a GPU"),
        ({"recipe": {"keep": "best"}, "validation": []}, "holds no item; expected some, or keep: last"),
    ],
)
def test_what_cannot_be_trained_is_refused_in_one_line(job, changes, message):
    if "bitsandbytes" in message:
        pytest.importorskip("torch")
        if __import__("importlib.util").util.find_spec("bitsandbytes"):
            pytest.skip("bitsandbytes is installed")
    with pytest.raises(InputError, match=message) as caught:
        job(**changes).run()
    assert "\n" not in str(caught.value)


def test_layers_that_keep_pefts_forward_pass_have_no_dropout_on_the_adapter_alone(job, monkeypatch):
    from posologie.training import adapters

    monkeypatch.setattr(adapters, "make_fast", lambda layer, dropout_on: False)  # as for quantised layers
    with pytest.raises(InputError, match=r"dropout_on = 'adapter': tiny has layers of kind Linear, .* expected input"):
        job("adapter", {"dropout_on": "adapter"}).run()
    job("input", {"dropout_on": "input"}).run()


def test_a_tokenizer_with_more_tokens_than_the_embedding_table_has_rows_is_refused(job, monkeypatch):
    from posologie.training import job as job_module

    def longer(items, *args):
        found = tokenise(items, *args)
        return replace(found, tokens=found.tokens + 400)

    tokenise = job_module.examples.tokenise
    monkeypatch.setattr(job_module.examples, "tokenise", longer)
    with pytest.raises(InputError, match=r"token \d+, but its embedding table has \d+ rows"):
        job().run()


def test_an_altered_backbone_is_refused(job, backbone, tmp_path):
    import shutil

    folder = tmp_path / "altered"
    shutil.copytree(backbone.parent, folder)
    (folder / "config.json").write_text((folder / "config.json").read_text() + " ")
    with pytest.raises(InputError, match="sha256"):
        job(backbone=folder / "manifest.json").run()


@pytest.mark.slow
def test_the_command_starts_several_processes_and_hands_on_signals(job):
    expected = job("whole", {"epochs": 16}).run().history()
    each = job("pair", {"epochs": 16})
    words = [f"--{name.replace('_', '-')}={value}" for name, value in vars(each.options).items() if value is not None]
    words[words.index("--processes=1")] = "--processes=2"

    def start():
        return subprocess.Popen([sys.executable, "-m", "posologie.training", *words], stderr=subprocess.PIPE, text=True)

    first = start()
    while not (each.options.work / "progress.json").exists() and first.poll() is None:
        time.sleep(0.05)
    first.send_signal(signal.SIGUSR1)
    assert first.wait(120) == EXIT_STATUS, first.stderr.read()
    second = start()
    assert second.wait(300) == 0, second.stderr.read()
    assert each.facts()["updates_of_earlier_attempts"] > 0
    for one, two in zip(expected, each.history(), strict=True):
        assert two["loss"] == pytest.approx(one["loss"], rel=1e-4)


@pytest.mark.slow
def test_bad_input_ends_several_processes_with_one_line(job):
    each = job(items=[])
    words = [f"--{name.replace('_', '-')}={value}" for name, value in vars(each.options).items() if value is not None]
    words[words.index("--processes=1")] = "--processes=2"
    ended = subprocess.run([sys.executable, "-m", "posologie.training", *words], capture_output=True, text=True)
    assert ended.returncode == 2
    assert ended.stderr.count("error: ") == 1
    assert "Traceback" not in ended.stderr


def test_a_wrong_option_is_refused_before_anything_is_loaded(job):
    options = vars(job().options)
    words = [
        f"--{name.replace('_', '-')}={value}" for name, value in options.items() if name not in ("spec", "report_to")
    ]
    with pytest.raises(InputError, match=r"recipe\.rank"):
        main(["--spec", json.dumps({**json.loads(options["spec"]), "recipe": {"rank": 0}}), *words])
