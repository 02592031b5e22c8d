"""A tiny model to train, and a way to run the command that can be killed: fixtures of `training` and `release`."""

import json
import multiprocessing
import os
import signal
import traceback
from argparse import Namespace
from pathlib import Path

import pytest
import torch
from training_made import some_items

from posologie.models.spec import Untrained
from posologie.models.store import write_manifest
from posologie.models.untrained import make_untrained
from posologie.records.files import write_parquet
from posologie.records.items import items_to_table
from posologie.records.prompting import Prompting
from posologie.training.spec import Recipe, TrainingSpec

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def backbone(tmp_path_factory):
    """The manifest of a two-layer Qwen3 with random weights."""
    folder = tmp_path_factory.mktemp("backbone") / "tiny@none"
    folder.mkdir()
    corpus = folder.parent / "corpus.json"
    texts = [f"{item.question}\nChoix de réponses :\n(A) {item.options[0]}" for item in some_items(40)]
    corpus.write_text(json.dumps([{"instruction": text} for text in texts]), encoding="utf-8")
    make_untrained(Untrained(corpus=(str(corpus),), vocabulary=400, layers=2, hidden=32), folder)
    return write_manifest(folder, {"name": "tiny", "kind": "untrained", "revision": "none"}, folder.iterdir())


class Job:
    """One training job in a folder of its own."""

    def __init__(
        self, folder: Path, backbone: Path, recipe: dict, items=None, validation=None, seed=42, prompting=None
    ):
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.spec = TrainingSpec(
            backbone="tiny",
            mix="NAT",
            seed=seed,
            recipe=Recipe.model_validate(
                {"precision": "float32", "rank": 4, "effective_batch": 4, "epochs": 1, **recipe}
            ),
            prompting=prompting or Prompting(),
        )
        write_parquet(folder / "train.parquet", items_to_table(some_items(10) if items is None else items))
        held_out = some_items(4, 500) if validation is None else validation
        write_parquet(folder / "validation.parquet", items_to_table(held_out))
        self.options = Namespace(
            spec=self.spec.canonical_json(),
            train=folder / "train.parquet",
            validation=folder / "validation.parquet",
            backbone=backbone,
            weights=folder / "adapter_model.safetensors",
            config=folder / "adapter_config.json",
            run=folder / "run.json",
            history=folder / "history.parquet",
            work=folder / "work",
            micro_batch=2,
            threads=1,
            processes=1,
            nodes=1,
            shard_backbone=0,
            group_minutes=2.0,
            checkpoint_seconds=600.0,
            report_to=None,
        )

    def run(self, **options):
        """Train here, in this process."""
        from posologie.training.job import train_adapter

        handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)}
        try:
            train_adapter(Namespace(**{**vars(self.options), **options}))
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)
        return self

    def fork(self, prepare=lambda: None, environment=None, **options):
        """Start training in a child process and return its id; `prepare` runs there first."""
        child = os.fork()
        if child:
            return child
        status = 1
        try:
            os.environ.update(environment or {})
            descriptor = os.open(self.folder / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
            os.dup2(descriptor, 2)
            prepare()
            self.run(**options)
            status = 0
        except SystemExit as stop:
            status = stop.code
        except BaseException:  # noqa: BLE001 - it goes to the child's log
            traceback.print_exc()
        finally:
            os._exit(status)

    def spawn(self, **options):
        """Train in a process of its own and return its exit status: pools of several threads do not survive a fork."""
        from posologie.training.job import train_adapter

        arguments = Namespace(**{**vars(self.options), **options})
        child = multiprocessing.get_context("spawn").Process(target=train_adapter, args=(arguments,))
        child.start()
        child.join()
        return child.exitcode

    @staticmethod
    def outcome(child):
        """Wait for a child; return its exit status, or minus the signal that killed it."""
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    def artifacts(self):
        """Return what must not depend on interruptions: the adapter's bytes, and the history without measured time."""
        import pyarrow.parquet

        history = pyarrow.parquet.read_table(self.options.history).drop_columns(["seconds"])
        return self.options.weights.read_bytes(), self.options.config.read_bytes(), history.to_pylist()

    def history(self):
        import pyarrow.parquet

        return pyarrow.parquet.read_table(self.options.history).to_pylist()

    def log(self):
        return (self.folder / "log.txt").read_text(encoding="utf-8")

    def facts(self):
        return json.loads(self.options.run.read_text(encoding="utf-8"))


@pytest.fixture
def job(tmp_path, backbone):
    """Make jobs: `job("name", {recipe}, items=…)`."""

    def make(name="job", recipe=None, **changes):
        return Job(tmp_path / name, changes.pop("backbone", backbone), recipe or {}, **changes)

    return make
