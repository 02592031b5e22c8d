"""Train one adapter (the command behind the rule `train_adapter`)."""

import logging
import sys
from pathlib import Path

import torch

from posologie import commands
from posologie.code_digest import digest
from posologie.errors import InputError
from posologie.files import sha256_of_file, write_parquet
from posologie.items import read_items
from posologie.models.load import chat_template_hash, load_model, load_tokenizer
from posologie.models.store import checked_folder, read_manifest
from posologie.progress import Progress
from posologie.runs import Run
from posologie.training import checkpoints
from posologie.training.adapters import attach, trainable, write_adapter
from posologie.training.attention import PACKED
from posologie.training.examples import tokenise
from posologie.training.history import history_table
from posologie.training.interruption import EXIT_STATUS, InterruptionError, StopRequest
from posologie.training.loop import Hooks, Student, total_updates, train
from posologie.training.loss import check_output_layer
from posologie.training.processes import Group
from posologie.training.spec import TrainingSpec

log = logging.getLogger(__name__)


def main(argv: list[str]) -> None:
    """Train the adapter that the spec describes."""
    arguments = commands.parser("posologie.training", "Train one adapter.")
    arguments.add_argument("--train", required=True, type=Path, help="training items of the mix")
    arguments.add_argument("--validation", required=True, type=Path, help="validation items of the mix")
    arguments.add_argument("--backbone", required=True, type=Path, help="manifest of the backbone")
    arguments.add_argument("--weights", required=True, type=Path, help="adapter_model.safetensors to write")
    arguments.add_argument("--config", required=True, type=Path, help="adapter_config.json to write")
    arguments.add_argument("--run", required=True, type=Path, help="run.json to write")
    arguments.add_argument("--history", required=True, type=Path, help="history.parquet to write")
    arguments.add_argument("--work", required=True, type=Path, help="folder for checkpoints and progress")
    arguments.add_argument(
        "--micro-batch", type=int, default=12, help="examples on a device at once; changes no result"
    )
    arguments.add_argument("--processes", type=int, default=1, help="processes that train together, one per GPU")
    arguments.add_argument("--checkpoint-seconds", type=float, default=600, help="time between checkpoints")
    options = arguments.parse_args(argv)
    spec = TrainingSpec.from_json(options.spec)
    recipe = spec.recipe

    stop = StopRequest()
    stop.listen()
    torch.set_num_threads(spec.threads)
    group = Group()
    inputs = {"train": options.train, "validation": options.validation, "backbone": options.backbone}
    run = Run("training", spec, inputs)
    folder = options.work / checkpoints.checkpoint_key(
        spec.canonical_json(), *(sha256_of_file(path) for path in inputs.values()), digest("posologie.training")
    )

    backbone = checked_folder(options.backbone)
    tokenizer = load_tokenizer(backbone)
    examples, validation = (
        tokenise(read_items(path), tokenizer, spec.prompting, recipe.max_length)
        for path in (options.train, options.validation)
    )
    if not len(examples):
        raise InputError(f"{options.train}: no item to train on")
    model = load_model(backbone, precision=recipe.precision, device=str(group.device), attn_implementation=PACKED)
    check_output_layer(model, spec.backbone)
    decoder, head = model.get_decoder(), model.get_output_embeddings()
    if recipe.gradient_checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False, "preserve_rng_state": False})  # masks are keyed
    adapted, masks = attach(model, recipe, backbone=spec.backbone, seed=spec.seed)
    student = Student(adapted, decoder, head, trainable(adapted), masks)

    start = checkpoints.load(folder)
    total = total_updates(examples, recipe)
    progress = Progress(options.work, f"{spec.backbone}/{spec.mix}/seed-{spec.seed}", total, "updates")
    if start is not None:
        log.info("going on after update %d of %d", len(start.history), total)
        progress.resume_at(len(start.history))
    hooks = Hooks(
        save=lambda checkpoint: checkpoints.save(folder, checkpoint),
        seconds_between=options.checkpoint_seconds,
        updated=lambda update: progress.advance(),
        stop=stop,
    )
    try:
        history = train(
            student,
            examples,
            validation,
            recipe,
            seed=spec.seed,
            micro_batch=options.micro_batch,
            group=group,
            start=start,
            hooks=hooks,
        )
    except InterruptionError:
        log.info("stopped on request; a retry goes on from here")
        sys.exit(EXIT_STATUS)

    write_adapter(adapted, spec.backbone, options.weights, options.config)
    write_parquet(options.history, history_table(history))
    seconds = sum(update.seconds for update in history)
    tokens = sum(update.tokens for update in history)
    run.write(
        options.run,
        {"weights": options.weights, "config": options.config, "history": options.history},
        backbone_revision=read_manifest(options.backbone).get("revision"),
        chat_template_sha256=chat_template_hash(tokenizer),
        device=str(group.device),
        processes=group.size,
        micro_batch=options.micro_batch,
        updates=len(history),
        trained_parameters=sum(parameter.numel() for parameter in student.weights.values()),
        items={
            part: {
                "used": len(found),
                "tokens": int(found.starts[-1]),
                "context_cut": list(found.context_cut),
                "rejected": list(found.rejected),
            }
            for part, found in (("train", examples), ("validation", validation))
        },
        tokens=tokens,
        training_seconds=round(seconds, 3),
        tokens_per_second=round(tokens / seconds, 3),
        final_loss=history[-1].loss,
        validation_loss=history[-1].validation_loss,
        validation_answer_loss=history[-1].validation_answer_loss,
    )
    checkpoints.remove(folder)
    group.leave()


if __name__ == "__main__":
    commands.run(main)
