"""Interruptions of the command leave no trace: kills at any moment, signals, lost launchers."""

import os
import random
import signal
from dataclasses import replace

import pytest
import safetensors.torch
import torch
from training_made import some_items

from posologie.training import checkpoints
from posologie.training.job import train_adapter  # noqa: F401 - imported before forks, which then start quickly
from posologie.training.reporting import EXIT_STATUS, LAUNCHER, StopRequest

pytestmark = pytest.mark.slow


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

        backward, calls = loop.backward, []

        def third(*args):
            calls.append(1)
            if len(calls) == 6:  # in the midst of the fourth update
                os.kill(os.getpid(), number)
            return backward(*args)

        loop.backward = third

    assert stopped.outcome(stopped.fork(prepare)) == EXIT_STATUS == 75
    assert not stopped.options.weights.exists()
    [folder] = [path for path in stopped.options.work.iterdir() if path.is_dir()]
    assert len(checkpoints.load(folder).history) == 3
    stopped.run()
    assert stopped.artifacts() == expected
    assert stopped.facts()["updates_of_earlier_attempts"] == 3


def test_a_retry_with_other_threads_goes_on_and_the_record_names_them(job):
    expected = job("whole", {"epochs": 3}).run()
    assert "threads" not in expected.facts()["spec"]
    assert expected.facts()["threads"] == 1
    stopped = job("stopped", {"epochs": 3})

    def prepare():
        from posologie.training import loop

        backward, calls = loop.backward, []

        def stopping(*args):
            calls.append(1)
            if len(calls) == 6:
                os.kill(os.getpid(), signal.SIGTERM)
            return backward(*args)

        loop.backward = stopping

    assert stopped.outcome(stopped.fork(prepare)) == EXIT_STATUS
    assert stopped.spawn(threads=2, micro_batch=3) == 0
    assert stopped.facts()["updates_of_earlier_attempts"] == 3
    assert stopped.facts()["threads"] == 2
    for row, expected_row in zip(stopped.history(), expected.history(), strict=True):
        assert row["loss"] == pytest.approx(expected_row["loss"], rel=1e-5)


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
