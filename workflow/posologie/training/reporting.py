"""What a person sees while training runs: progress, and other programs' charts when asked for."""

import atexit
import os
import sys
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from posologie.running.commands import Progress
from posologie.running.errors import InputError

if TYPE_CHECKING:
    from posologie.training.history import Update

_PROJECT = "posologie"
_KEY = "chart"
"""File in a training's work folder that holds the key of its chart, so that a retry continues it."""

Listener = Callable[["Update"], None]


def listeners(work: Path, name: str, *, total: int, done: int, report_to: str | None, settings: Any) -> list[Listener]:
    """Return what is to be called after each update.

    Args:
        work: folder of the training, where tensorboard and mlflow write unless their own variables say otherwise.
        name: of the artifact.
        total: updates of the whole training.
        done: updates done by earlier attempts, whose charts are continued.
        report_to: one of `PROGRAMS`, or None.
        settings: what was asked for, as JSON values, for those programs.

    Raises:
        InputError: if the program asked for is not installed.
    """
    progress = Progress(work, name, total, "updates")
    progress.resume_at(done)
    found: list[Listener] = [lambda update: progress.advance()]
    if sys.stderr.isatty():
        found.append(_bar(name, total, done))
    if report_to is not None:
        try:
            found.append(PROGRAMS[report_to](work, name, settings, done > 0))
        except ImportError as error:
            raise InputError(
                f"--report-to {report_to}: the package {report_to} is not installed; install it, or leave out"
                " training.report_to"
            ) from error
    return found


def _bar(name: str, total: int, done: int) -> Listener:
    from tqdm import tqdm  # type: ignore[import-untyped]

    bar = tqdm(desc=name, total=total, initial=done, unit="update", dynamic_ncols=True)

    def show(update: "Update") -> None:
        bar.set_postfix(loss=f"{update.loss:.3f}", refresh=False)
        bar.update()

    return show


def _scalars(update: "Update") -> dict[str, float]:
    """Return what charts show, by name."""
    facts = {
        "loss": update.loss,
        "learning_rate": update.learning_rate,
        "gradient_norm": update.gradient_norm,
        "tokens_per_second": update.tokens / update.seconds,
        "validation_loss": update.validation_loss,
        "validation_answer_loss": update.validation_answer_loss,
    }
    return {name: value for name, value in facts.items() if value is not None}


def _tensorboard(work: Path, name: str, settings: Any, resumed: bool) -> Listener:
    from torch.utils.tensorboard import SummaryWriter

    writer = SummaryWriter(str(work / "tensorboard"))

    def write(update: "Update") -> None:
        for scalar, value in _scalars(update).items():
            writer.add_scalar(scalar, value, update.step)
        writer.flush()

    return write


def _wandb(work: Path, name: str, settings: Any, resumed: bool) -> Listener:
    import wandb  # type: ignore[import-not-found]

    key = _key(work, resumed) or _keep_key(work, uuid.uuid4().hex[:12])
    run = wandb.init(project=_PROJECT, name=name, dir=str(work), config=settings, id=key, resume="allow")
    return lambda update: run.log(_scalars(update), step=update.step)


def _trackio(work: Path, name: str, settings: Any, resumed: bool) -> Listener:
    import trackio  # type: ignore[import-not-found]

    resume = "allow" if resumed else "never"
    run = trackio.init(project=_PROJECT, name=name, config=settings, resume=resume, embed=False)
    return lambda update: run.log(_scalars(update), step=update.step)


def _mlflow(work: Path, name: str, settings: Any, resumed: bool) -> Listener:
    from mlflow.tracking import MlflowClient  # type: ignore[import-not-found]

    place = os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{(work / 'mlflow.db').absolute()}"
    client = MlflowClient(tracking_uri=place)
    key = _key(work, resumed)
    if key is None:
        experiment = client.get_experiment_by_name(_PROJECT)
        number = experiment.experiment_id if experiment is not None else client.create_experiment(_PROJECT)
        key = _keep_key(work, client.create_run(number, run_name=name).info.run_id)
        client.log_dict(key, settings, "settings.json")

    def write(update: "Update") -> None:
        for scalar, value in _scalars(update).items():
            client.log_metric(key, scalar, value, step=update.step)

    atexit.register(client.set_terminated, key)
    return write


def _key(work: Path, resumed: bool) -> str | None:
    """Return the key of the chart that an earlier attempt of this training began; None where there is none."""
    path = work / _KEY
    return path.read_text(encoding="utf-8").strip() if resumed and path.is_file() else None


def _keep_key(work: Path, key: str) -> str:
    (work / _KEY).write_text(f"{key}\n", encoding="utf-8")
    return key


PROGRAMS: dict[str, Callable[[Path, str, Any, bool], Listener]] = {
    "tensorboard": _tensorboard,
    "wandb": _wandb,
    "trackio": _trackio,
    "mlflow": _mlflow,
}
"""The programs that can show losses while training runs, by the name of their package."""
