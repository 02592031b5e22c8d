"""Losses in other programs' charts, with stand-ins for these programs; a retry continues the chart."""

import sys
from types import ModuleType, SimpleNamespace
from typing import get_args

import pytest

from posologie.config.study import Training
from posologie.running.errors import InputError
from posologie.training.checkpoints import Update
from posologie.training.reporting import PROGRAMS, listeners

UPDATE = Update(
    step=3, epoch=1, loss=0.5, learning_rate=1e-4, gradient_norm=1.0, examples=4, tokens=100, targets=10,
    validation_loss=None, validation_answer_loss=None, seconds=0.5,
)  # fmt: skip
SHOWN = {"loss": 0.5, "learning_rate": 1e-4, "gradient_norm": 1.0, "tokens_per_second": 200.0}


def stand_in(monkeypatch, name, **attributes):
    module = ModuleType(name)
    vars(module).update(attributes)
    monkeypatch.setitem(sys.modules, name, module)


def show(work, program, done=0):
    for listener in listeners(work, "b/NAT/seed-42", total=4, done=done, report_to=program, settings={"lr": 1}):
        listener(UPDATE)


@pytest.fixture
def runs(monkeypatch):
    """How each program was asked to begin a chart, and what was logged there."""
    begun, logged = [], []

    def init(**options):
        begun.append(options)
        return SimpleNamespace(log=lambda values, step: logged.append((step, values)))

    for program in ("wandb", "trackio"):
        stand_in(monkeypatch, program, init=init)
    return begun, logged


@pytest.mark.parametrize("program", ["wandb", "trackio"])
def test_losses_are_shown_under_the_name_of_the_adapter(program, runs, tmp_path):
    begun, logged = runs
    show(tmp_path, program)
    assert begun[0]["name"] == "b/NAT/seed-42"
    assert begun[0]["config"] == {"lr": 1}
    assert logged == [(3, SHOWN)]


def test_a_retry_continues_its_chart_and_a_new_training_begins_one(runs, tmp_path):
    begun, _ = runs
    for done in (0, 2, 0):
        show(tmp_path, "wandb", done)
        show(tmp_path, "trackio", done)
    first, retry, again = (options["id"] for options in begun[::2])
    assert first == retry != again
    assert [options["resume"] for options in begun[1::2]] == ["never", "allow", "never"]


def test_mlflow_writes_beside_the_training_unless_a_server_is_named(monkeypatch, tmp_path):
    places, logged = [], []

    def client(tracking_uri):
        places.append(tracking_uri)
        return SimpleNamespace(
            get_experiment_by_name=lambda name: None,
            create_experiment=lambda name: "1",
            create_run=lambda experiment, run_name: SimpleNamespace(info=SimpleNamespace(run_id=f"key-{len(places)}")),
            log_dict=lambda *values: None,
            log_metric=lambda key, name, value, step: logged.append((key, name)),
            set_terminated=lambda key: None,
        )

    stand_in(monkeypatch, "mlflow")
    stand_in(monkeypatch, "mlflow.tracking", MlflowClient=client)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    show(tmp_path, "mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://localhost:5000")
    show(tmp_path, "mlflow", done=2)
    assert places == [f"sqlite:///{tmp_path}/mlflow.db", "http://localhost:5000"]
    assert logged == [("key-1", name) for name in SHOWN] * 2


def test_a_program_that_is_not_installed_is_one_line(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "trackio", None)
    with pytest.raises(InputError, match="--report-to trackio: the package trackio is not installed; install it"):
        show(tmp_path, "trackio")


def test_every_program_that_a_study_may_name_can_be_shown():
    assert set(get_args(get_args(Training.model_fields["report_to"].annotation)[0])) == set(PROGRAMS)
