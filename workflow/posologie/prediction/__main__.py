"""Predict: one model answers every item and variant of one or several suites."""

from pathlib import Path

import torch

from posologie.prediction.job import add_job_arguments, predict
from posologie.prediction.local import LocalModel
from posologie.prediction.model import load
from posologie.prediction.spec import PredictionSpec
from posologie.running.commands import claim_devices, parser, run
from posologie.running.errors import InputError


def main(argv: list[str]) -> None:
    """Answer suites with a model in this process."""
    arguments = parser("posologie.prediction", __doc__ or "")
    add_job_arguments(arguments)
    arguments.add_argument("--backbone", required=True, type=Path, metavar="MANIFEST")
    arguments.add_argument("--adapter-weights", type=Path)
    arguments.add_argument("--adapter-config", type=Path)
    arguments.add_argument("--threads", type=int, default=1, help="torch's thread count on the CPU")
    arguments.add_argument("--chunk-tokens", type=int, help="prompt tokens computed at once; changes no prediction")
    options = arguments.parse_args(argv)
    spec = PredictionSpec.from_json(options.spec)
    if (options.adapter_weights is None) != (options.adapter_config is None):
        raise InputError("--adapter-weights and --adapter-config: expected both or neither")
    if options.chunk_tokens is not None and options.chunk_tokens < 1:
        raise InputError(f"--chunk-tokens {options.chunk_tokens}: expected at least 1")
    claim_devices(options.devices)
    inputs = {"backbone": options.backbone}
    if options.adapter_weights is not None:
        inputs |= {"adapter_weights": options.adapter_weights, "adapter_config": options.adapter_config}

    def loaded() -> LocalModel:
        torch.set_num_threads(options.threads)
        model = load(options.backbone, spec.precision, options.adapter_weights, options.adapter_config)
        return LocalModel(model, spec.prompting, options.chunk_tokens, spec.chat, spec.long_prompts)

    predict(spec, options, inputs, loaded)


if __name__ == "__main__":
    run(main)
