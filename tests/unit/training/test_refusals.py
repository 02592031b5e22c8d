"""What the command refuses, and how it stops when a training goes wrong."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest
import torch
from training_made import an_item, an_update

from posologie.running.errors import InputError
from posologie.training.__main__ import main
from posologie.training.job import train_adapter  # noqa: F401 - imported before forks, which then start quickly
from posologie.training.processes import Group
from posologie.training.reporting import EXIT_STATUS
from posologie.training.spec import Recipe


def test_a_loss_that_is_not_a_number_stops_and_names_the_items(job, monkeypatch):
    from posologie.training import loop

    backward, seen = loop.backward, []

    def broken(student, batch, *args):
        seen.append(batch.ids)
        return backward(student, batch, *args) * (float("nan") if len(seen) == 4 else 1)

    monkeypatch.setattr(loop, "backward", broken)
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


def test_a_diverging_loss_stops_with_what_to_lower_and_the_items(job):
    from posologie.training.loop import _refuse_divergence

    class Items:
        item_ids = ("a", "b", "c")

    def refuse(values, factor=3.0):
        history = [an_update(n + 1, value) for n, value in enumerate(values)]
        _refuse_divergence(history, Recipe(divergence_factor=factor), [0, 2], Items, Group())

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

    monkeypatch.setattr(loop, "backward", fail)
    with pytest.raises(
        InputError, match=r"update 1: out of memory with 1 examples .* lower training.recipe.max_length"
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
    with pytest.raises(InputError, match=r"validation of epoch 1: out of memory with 1 examples .* lower training"):
        job("two").run()


def test_other_errors_stay_what_they_are(job, monkeypatch):
    from posologie.training import loop

    def fail(*args):
        raise RuntimeError("shapes differ")

    monkeypatch.setattr(loop, "backward", fail)
    with pytest.raises(RuntimeError, match="shapes differ"):
        job().run()


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

    monkeypatch.setattr(adapters, "make_fast", lambda layer, dropout_on, **_: False)  # as for quantised layers
    with pytest.raises(InputError, match=r"dropout_on = 'adapter': tiny has layers of kind Linear, .* expected input"):
        job("adapter", {"dropout_on": "adapter"}).run()
    job("input", {"dropout_on": "input"}).run()


def test_a_tokenizer_with_more_tokens_than_the_embedding_table_has_rows_is_refused(job, monkeypatch):
    from posologie.training import job as job_module

    def longer(items, *args, **named):
        examples = tokenise(items, *args)
        return replace(examples, tokens=examples.tokens + 400)

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
    for expected_row, row in zip(expected, each.history(), strict=True):
        assert row["loss"] == pytest.approx(expected_row["loss"], rel=1e-4)


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


def test_where_memory_runs_out_the_micro_batch_is_halved_and_no_result_changes(job, monkeypatch):
    from posologie.training import loop
    from posologie.training.student import Student

    recipe = {"dropout": 0.3, "effective_batch": 8, "epochs": 2}
    expected = job("whole", recipe).run(micro_batch=2)
    states = Student.predicting_states

    def with_little_memory(student, batch):
        hidden = states(student, batch)
        if len(batch.ids) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return hidden

    validate = loop._validation_sums

    def with_less(student, batch, recipe):
        if len(batch.ids) > 1:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return validate(student, batch, recipe)

    monkeypatch.setattr(Student, "predicting_states", with_little_memory)
    monkeypatch.setattr(loop, "_validation_sums", with_less)
    little = job("little", recipe).run(micro_batch=8)
    assert little.artifacts()[0] == expected.artifacts()[0]
    assert (little.facts()["micro_batch"], little.facts()["micro_batch_that_fitted"]) == (8, 2)
    for expected_row, row in zip(expected.history(), little.history(), strict=True):
        assert expected_row["loss"] == row["loss"]
        for key in ("validation_loss", "validation_answer_loss"):
            assert row[key] == (
                expected_row[key] if expected_row[key] is None else pytest.approx(expected_row[key], rel=1e-6)
            )


def test_several_nodes_are_started_by_srun_with_a_launcher_on_each(job, tmp_path, monkeypatch):
    from posologie.training import launcher

    (tmp_path / "srun").write_text(f'#!/bin/sh\nprintf "%s\\n" "$POSOLOGIE_MEETING" "$@" > {tmp_path}/said\nexit 75\n')
    (tmp_path / "srun").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.delenv("SLURM_JOB_ID", raising=False)
    with pytest.raises(InputError, match=r"nodes_per_training_job = 2: expected a SLURM job"):
        launcher.launch(["--spec", "{}"], 4, 2)
    monkeypatch.setenv("SLURM_JOB_ID", "1")
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)}
    try:
        assert launcher.launch(["--spec", "{}"], 4, 2) == 75
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    meeting, *words = (tmp_path / "said").read_text().splitlines()
    assert meeting.rpartition(":")[2].isdecimal()
    assert words[1:4] == ["--nodes=2", "--ntasks=2", "--ntasks-per-node=1"]
    assert words[-4:] == ["-m", "posologie.training", "--spec", "{}"]
    monkeypatch.setenv("SLURM_NODEID", "1")
    second = launcher._ranks(4, 2, meeting)
    assert [(environment["RANK"], environment["LOCAL_RANK"], environment["WORLD_SIZE"]) for environment in second] == [
        (str(4 + rank), str(rank), "8") for rank in range(4)
    ]


@pytest.mark.skipif("POSOLOGIE_BY_HAND" not in os.environ, reason="by hand: it starts six interpreters")
def test_several_nodes_are_started_by_srun_and_train_as_one_process(job, tmp_path, monkeypatch):
    """A stand-in for srun starts its command once for each node, with the number that SLURM gives a node."""
    from posologie.training import launcher

    (tmp_path / "srun").write_text(
        "#!/bin/sh\nwhile case $1 in --*) true;; *) false;; esac; do shift; done\n"
        'SLURM_NODEID=0 "$@" & one=$!\nSLURM_NODEID=1 "$@" & two=$!\nwait $one && wait $two\n'
    )
    (tmp_path / "srun").chmod(0o755)
    expected = job("whole").run().history()
    each = job("nodes")
    words = [f"--{name.replace('_', '-')}={value}" for name, value in vars(each.options).items() if value is not None]
    words[words.index("--nodes=1")] = "--nodes=2"
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    with monkeypatch.context() as alone:
        alone.delenv("SLURM_JOB_ID", raising=False)
        with pytest.raises(InputError, match="expected a SLURM job"):
            launcher.launch(words, 1, 2)
    monkeypatch.setenv("SLURM_JOB_ID", "1")
    ended = subprocess.run([sys.executable, "-m", "posologie.training", *words], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert each.facts()["processes"] == 2
    for expected_row, row in zip(expected, each.history(), strict=True):
        assert row["loss"] == pytest.approx(expected_row["loss"], rel=1e-4)
