"""What a person sees of a training, and asks of it: progress, advice when memory runs out, a request to stop."""

import atexit
import logging
import os
import signal
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from posologie.running.commands import Progress
from posologie.running.errors import InputError

if TYPE_CHECKING:
    from posologie.training.checkpoints import Update

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
    called: list[Listener] = [lambda update: progress.advance()]
    if sys.stderr.isatty():
        called.append(_bar(name, total, done))
    if report_to is not None:
        try:
            called.append(PROGRAMS[report_to](work, name, settings, done > 0))
        except ImportError as error:
            raise InputError(
                f"--report-to {report_to}: the package {report_to} is not installed; install it, or leave out"
                " training.report_to"
            ) from error
    return called


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


_SIGNS = ("out of memory", "not enough memory", "can't allocate memory")

LOADING = (
    "for its weights; take a device with more memory, or set training.recipe.quantization, or devices.shard_backbone "
    "with several GPUs"
)

MOMENTS = (
    "for AdamW's moments; lower training.recipe.rank, or train an adapter (training.recipe.method dora or lora) "
    "instead of all weights, or take a device with more memory"
)


class OutOfMemoryError(InputError):
    """Memory ran out, and this says for what."""


def of_batch(*, examples: int, tokens: int, longest: int, micro_batch: int) -> str:
    """Return what there was no memory for where a micro-batch did not fit, and what to lower.

    Args:
        examples: examples in the micro-batch.
        tokens: their tokens together.
        longest: tokens of the longest one.
        micro_batch: the setting.
    """
    smaller = "" if micro_batch == 1 else f"devices.training_micro_batch (now {micro_batch}; it changes no result), or "
    return (
        f"with {examples} examples of {tokens} tokens in a micro-batch, the longest of {longest}; lower "
        f"{smaller}training.recipe.max_length, or turn on training.recipe.gradient_checkpointing"
    )


@contextmanager
def memory_explained(when: str, what: str) -> Iterator[None]:
    """Turn an error about memory in the block into one line; other errors stay what they are.

    Args:
        when: such as `update 3`.
        what: what there was no memory for, and what to lower.

    Raises:
        OutOfMemoryError: if memory ran out.
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        # by name, because torch computes, and this module must not import what does
        certain = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
        if not certain and not any(sign in str(error) for sign in _SIGNS):
            raise
        raise OutOfMemoryError(f"{when}: out of memory {what}") from error


log = logging.getLogger(__name__)

EXIT_STATUS = 75
"""`EX_TEMPFAIL` of sysexits.h: the job failed, and a retry goes on where it stopped."""


class InterruptionError(Exception):
    """Training stopped on request, with a checkpoint."""


LAUNCHER = "POSOLOGIE_LAUNCHER"
"""Environment variable with the process id of the launcher, where there is one."""


class StopRequest:
    """Becomes true at the first SIGTERM, SIGUSR1 or SIGINT; a second SIGINT acts as usual.

    It is true, too, once the launcher of this process is gone: killed, it cannot stop what it has started.
    """

    def __init__(self) -> None:
        self._received = False
        launcher = os.environ.get(LAUNCHER)
        self._launcher = int(launcher) if launcher is not None else None

    @property
    def requested(self) -> bool:
        """Whether training is to stop."""
        return self._received or (self._launcher is not None and os.getppid() != self._launcher)

    def listen(self) -> None:
        """Install the signal handlers; only the main thread may."""
        for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT):
            signal.signal(number, self._receive)

    def _receive(self, number: int, frame: FrameType | None) -> None:
        log.info("%s: stopping after a checkpoint", signal.Signals(number).name)
        self._received = True
        if number == signal.SIGINT:
            signal.signal(number, signal.default_int_handler)
