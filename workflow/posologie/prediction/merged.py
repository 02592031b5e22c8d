"""Predict with a merged model: single-component models, merged at load in the shares of a mix, answer suites."""

from pathlib import Path

import torch

from posologie.prediction.blending import WeightedModel, blend
from posologie.prediction.job import add_job_arguments, predict
from posologie.prediction.local import LocalModel
from posologie.prediction.model import load, refuse_altered
from posologie.prediction.other_specs import MergedPredictionSpec
from posologie.running.commands import claim_devices, named_path, parser, run
from posologie.running.errors import InputError


def main(argv: list[str]) -> None:
    """Answer suites with a model that is merged in this process."""
    arguments = parser("posologie.prediction.merged", __doc__ or "")
    add_job_arguments(arguments)
    arguments.add_argument("--backbone", required=True, type=Path, metavar="MANIFEST")
    arguments.add_argument("--adapters", required=True, nargs="+", type=named_path, metavar="MIX=FOLDER")
    arguments.add_argument("--threads", type=int, default=1, help="torch's thread count on the CPU")
    arguments.add_argument("--chunk-tokens", type=int, help="prompt tokens computed at once; changes no prediction")
    options = arguments.parse_args(argv)
    spec = MergedPredictionSpec.from_json(options.spec)
    folders = {name: Path(folder) for name, folder in options.adapters}
    if folders.keys() != spec.shares.keys():
        raise InputError(f"--adapters {' '.join(sorted(folders))}: expected those of {' '.join(sorted(spec.shares))}")
    models = [
        WeightedModel(
            spec.shares[name], folders[name] / "adapter_model.safetensors", folders[name] / "adapter_config.json"
        )
        for name in sorted(folders)
    ]
    claim_devices(options.devices)
    inputs = {"backbone": options.backbone}
    for name, trained in zip(sorted(folders), models, strict=True):
        inputs |= {f"weights {name}": trained.weights, f"config {name}": trained.config}

    def loaded() -> LocalModel:
        torch.set_num_threads(options.threads)
        for trained in models:
            refuse_altered(trained.weights, trained.config)
        model = load(options.backbone, spec.precision, change=lambda network: blend(network, models, spec.rank))
        return LocalModel(model, spec.prompting, options.chunk_tokens, spec.chat, spec.long_prompts)

    predict(spec, options, inputs, loaded)


if __name__ == "__main__":
    run(main)
