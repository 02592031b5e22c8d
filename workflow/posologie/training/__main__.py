"""Train one adapter: the command behind the rule `train_adapter`."""

import os
import sys
from pathlib import Path

from posologie.running import commands
from posologie.running.commands import claim_devices
from posologie.training.spec import TrainingSpec, check_sharding


def main(argv: list[str]) -> None:
    """Train the adapter that the spec describes, in one process or in several."""
    arguments = commands.parser("posologie.training", __doc__ or "")
    arguments.add_argument("--train", required=True, type=Path, help="training items of the mix")
    arguments.add_argument("--validation", required=True, type=Path, help="validation items of the mix")
    arguments.add_argument("--backbone", required=True, type=Path, help="manifest of the backbone")
    arguments.add_argument("--weights", required=True, type=Path, help="adapter_model.safetensors to write")
    arguments.add_argument("--config", required=True, type=Path, help="adapter_config.json to write")
    arguments.add_argument("--run", required=True, type=Path, help="run.json to write")
    arguments.add_argument("--history", required=True, type=Path, help="history.parquet to write")
    arguments.add_argument("--work", required=True, type=Path, help="folder for checkpoints, tokens and progress")
    arguments.add_argument("--micro-batch", type=int, default=12, help="examples on a device at once")
    arguments.add_argument("--threads", type=int, default=1, help="torch's thread count on the CPU")
    arguments.add_argument("--processes", type=int, default=1, help="processes that train together, one per GPU")
    arguments.add_argument("--nodes", type=int, default=1, help="nodes of the SLURM job, each with so many processes")
    arguments.add_argument(
        "--shard-backbone", type=int, choices=[0, 1], default=0, help="1 divides the backbone among the processes"
    )
    arguments.add_argument("--group-minutes", type=float, default=180, help="how long processes wait for each other")
    arguments.add_argument("--checkpoint-seconds", type=float, default=600, help="least time between checkpoints")
    arguments.add_argument(
        "--report-to",
        choices=["tensorboard", "wandb"],
        default=os.environ.get("POSOLOGIE_REPORT_TO"),
        help="show losses there as well",
    )
    options = arguments.parse_args(argv)
    if "RANK" not in os.environ:  # else one of several processes, whose launcher holds the devices
        if options.shard_backbone:
            check_sharding(TrainingSpec.from_json(options.spec).recipe)
        claim_devices(options.devices)
        if options.processes * options.nodes > 1:
            from posologie.training.launcher import launch

            sys.exit(launch(argv, options.processes, options.nodes))
    from posologie.training.job import train_adapter

    train_adapter(options)


if __name__ == "__main__":
    commands.run(main)
