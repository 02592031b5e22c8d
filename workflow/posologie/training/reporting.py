"""What a person sees while training runs: progress, and other programs' charts when asked for."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from posologie.running.commands import Progress
from posologie.running.errors import InputError

if TYPE_CHECKING:
    from posologie.training.history import Update

Listener = Callable[["Update"], None]


def listeners(work: Path, name: str, *, total: int, done: int, report_to: str | None, settings: Any) -> list[Listener]:
    """Return what is to be called after each update.

    Args:
        name: of the artifact.
        total: updates of the whole training.
        done: updates done by earlier attempts.
        report_to: `tensorboard`, `wandb` or None.
        settings: what was asked for, as JSON values, for those programs.

    Raises:
        InputError: if the program asked for is not installed.
    """
    progress = Progress(work, name, total, "updates")
    progress.resume_at(done)
    found: list[Listener] = [lambda update: progress.advance()]
    if sys.stderr.isatty():
        found.append(_bar(name, total, done))
    if report_to == "tensorboard":
        found.append(_tensorboard(work))
    if report_to == "wandb":
        found.append(_wandb(work, name, settings))
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


def _tensorboard(work: Path) -> Listener:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise InputError("--report-to tensorboard: the package tensorboard is not installed") from error
    writer = SummaryWriter(str(work / "tensorboard"))

    def write(update: "Update") -> None:
        for name, value in _scalars(update).items():
            writer.add_scalar(name, value, update.step)
        writer.flush()

    return write


def _wandb(work: Path, name: str, settings: Any) -> Listener:
    try:
        import wandb  # type: ignore[import-not-found]
    except ImportError as error:
        raise InputError("--report-to wandb: the package wandb is not installed") from error
    run = wandb.init(project="posologie", name=name, dir=str(work), config=settings, resume="allow")
    return lambda update: run.log(_scalars(update), step=update.step)
