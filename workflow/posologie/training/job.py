"""One training job, from its inputs to its artifacts."""

import logging
import sys
from argparse import Namespace
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from posologie.models.chats import Chats
from posologie.models.load import chat_template_hash, load_tokenizer
from posologie.models.store import checked_folder, read_manifest
from posologie.records.files import write_parquet
from posologie.records.items import read_items
from posologie.records.runs import Run, peak_memory
from posologie.running.errors import InputError
from posologie.training import checkpoints, examples
from posologie.training.adapters import write_trained
from posologie.training.checkpoints import Checkpoint, Update, history_table
from posologie.training.examples import Examples
from posologie.training.loop import Hooks, total_updates, train
from posologie.training.preference import with_reference
from posologie.training.processes import Group
from posologie.training.reporting import (
    EXIT_STATUS,
    LOADING,
    InterruptionError,
    StopRequest,
    listeners,
    memory_explained,
)
from posologie.training.spec import TrainingSpec
from posologie.training.student import Student, make_student

log = logging.getLogger(__name__)


def train_adapter(options: Namespace) -> None:
    """Train the adapter of `options.spec`, going on from a checkpoint of the same spec, inputs and code.

    Exits with status 75 after a checkpoint if a signal asked to stop.

    Raises:
        InputError: for bad input, and for a training that cannot go on.
    """
    spec = TrainingSpec.from_json(options.spec)
    stop = StopRequest()
    stop.listen()
    torch.set_num_threads(options.threads)
    group = Group(options.group_minutes)
    if not group.leads:
        logging.getLogger().setLevel(logging.WARNING)
    inputs = {"train": options.train, "validation": options.validation, "backbone": options.backbone}
    run = Run("training", spec, inputs)
    key = checkpoints.checkpoint_key(
        spec.canonical_json(), *(str(fact["sha256"]) for fact in run.inputs.values()), run.code
    )
    folder = options.work / key

    with _together(group):
        backbone = checked_folder(options.backbone) if group.leads else options.backbone.parent
        tokenizer = load_tokenizer(backbone)
        if group.leads:
            for part in ("train", "validation"):
                _tokenise(inputs[part], folder / f"tokens-{part}", tokenizer, spec)
    parts = {part: examples.load(folder / f"tokens-{part}") for part in ("train", "validation")}
    training, validation = parts["train"], parts["validation"]
    if training is None or validation is None:
        raise InputError(f"{folder}: the tokenised examples are gone")
    if spec.recipe.keep == "best" and not len(validation):
        raise InputError(
            f"training.recipe.keep = 'best': {options.validation} holds no item; expected some, or keep: last"
        )
    student = _student(backbone, spec, group, folder, group.size if options.shard_backbone else 1)
    _check_tokens(student, parts)
    if spec.recipe.objective == "dpo":
        training, validation = (
            with_reference(student, items, folder / f"reference-{part}.npy", options.micro_batch, group)
            for part, items in (("train", training), ("validation", validation))
        )
    start = checkpoints.load(folder)
    total = total_updates(training, spec.recipe)
    done = 0 if start is None else len(start.history)
    if done:
        log.info("continuing after update %d of %d", done, total)
    heard = []
    if group.leads:
        name = f"{spec.backbone}/{spec.mix}/seed-{spec.seed}"
        settings = spec.model_dump(mode="json")
        heard = listeners(options.work, name, total=total, done=done, report_to=options.report_to, settings=settings)

    def updated(update: Update) -> None:
        for listener in heard:
            listener(update)

    hooks = Hooks(
        save=lambda checkpoint: checkpoints.save(folder, checkpoint) if group.leads else None,
        seconds_between=options.checkpoint_seconds,
        updated=updated,
        energy=run.energy,
        stop=stop,
    )
    try:
        final = train(
            student,
            training,
            validation,
            spec.recipe,
            seed=spec.seed,
            micro_batch=options.micro_batch,
            group=group,
            start=start,
            hooks=hooks,
        )
    except InterruptionError:
        log.info("stopped on request; a retry continues from here")
        sys.exit(EXIT_STATUS)

    memory = group.gathered(peak_memory())
    if group.leads:
        write_trained(student.model, spec, options.weights, options.config, student.start)
        write_parquet(options.history, history_table(final.history))
        facts = _facts(final, student, {"train": training, "validation": validation}, memory)
        run.write(
            options.run,
            backbone_revision=read_manifest(options.backbone).get("revision"),
            chat_template_sha256=chat_template_hash(tokenizer),
            text_before_answers=Chats(tokenizer, spec.chat).lead,
            device=str(group.device.type),
            processes=group.size,
            backbone_sharded=student.sharded,
            threads=options.threads,
            micro_batch=options.micro_batch,
            micro_batch_that_fitted=int(final.facts["micro_batch"] or 0),
            updates_of_earlier_attempts=done,
            **facts,
        )
        checkpoints.remove(folder)
    group.leave()


@contextmanager
def _together(group: Group) -> Iterator[None]:
    """Run the block in every process; if it fails in the leading one, the others leave without a word."""
    failed = True
    try:
        yield
        failed = False
    finally:
        if group.any(failed) and not failed:
            sys.exit(2)


def _student(backbone: Path, spec: TrainingSpec, group: Group, folder: Path, shards: int) -> Student:
    """Load the backbone in every process; where its weights are taken apart, the leading process does it first.

    Args:
        shards: into how many parts the backbone's weights are divided, one for each process; 1 for none.
    """
    principal = folder / "principal.safetensors" if spec.recipe.method == "pissa" else None

    def make() -> Student:
        with memory_explained(spec.backbone, LOADING):
            return make_student(backbone, spec, group.device, principal, shards)

    if principal is None:
        return make()
    student = None
    with _together(group):
        if group.leads:
            student = make()
    return make() if student is None else student


def _tokenise(path: Path, folder: Path, tokenizer: Any, spec: TrainingSpec) -> None:
    """Tokenise a file of items once for all processes and attempts."""
    if examples.load(folder) is not None:
        return
    pairs = spec.recipe.objective == "dpo"
    tokenised = examples.tokenise(
        read_items(path), tokenizer, spec.prompting, spec.recipe.max_length, spec.chat, pairs=pairs
    )
    if not len(tokenised) and folder.name == "tokens-train":
        raise InputError(f"{path}: no item to train on")
    examples.save(tokenised, folder)


def _check_tokens(student: Student, parts: dict[str, Examples | None]) -> None:
    """Check that the embedding table has a row for every token: it keeps its size."""
    rows = student.model.get_input_embeddings().weight.shape[0]
    for tokenised in parts.values():
        if tokenised is not None and len(tokenised) and int(tokenised.tokens.max()) >= rows:
            raise InputError(
                f"{student.name}: its tokenizer gave token {int(tokenised.tokens.max())}, but its embedding table has "
                f"{rows} rows; expected a tokenizer and a model that fit together"
            )


def _facts(
    final: Checkpoint, student: Student, parts: dict[str, Examples], memory: list[dict[str, int | None]]
) -> dict[str, Any]:
    """Return what the run record says about the training, beside what every run record says."""
    history = final.history
    seconds = sum(update.seconds for update in history)
    tokens = sum(update.tokens for update in history)
    validated = [update for update in history if update.validation_loss is not None]
    best = min(validated, key=lambda update: update.validation_loss or 0.0, default=None)
    gpu = [entry["gpu"] for entry in memory if entry["gpu"] is not None]
    return {
        "updates": len(history),
        "trained_parameters": sum(parameter.numel() for parameter in student.weights.values()),
        "items": {
            part: {
                "used": len(tokenised.item_ids),
                "tokens": int(tokenised.starts[-1]),
                "context_cut": list(tokenised.context_cut),
                "rejected": list(tokenised.rejected),
            }
            for part, tokenised in parts.items()
        },
        "tokens": tokens,
        "training_seconds": round(seconds, 3),
        "tokens_per_second": round(tokens / seconds, 3),
        "first_loss": history[0].loss,
        "final_loss": history[-1].loss,
        "validation_loss": history[-1].validation_loss,
        "validation_answer_loss": history[-1].validation_answer_loss,
        **(
            {}
            if history[-1].validation_preferred is None
            else {"validation_preferred": history[-1].validation_preferred}
        ),
        "best_epoch": None if best is None else best.epoch,
        "kept_epoch": best.epoch if final.best and best is not None else history[-1].epoch,
        "gpu_energy_joules": final.facts["gpu_energy_joules"],
        "peak_memory_bytes": {
            "process": max(entry["process"] or 0 for entry in memory),
            "gpu": sum(gpu) if gpu else None,
        },
    }
