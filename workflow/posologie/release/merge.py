"""Merge an adapter into its backbone: a model that needs nothing but transformers.

    python -m posologie.release.merge --spec MergeSpec --backbone MANIFEST --adapter-weights F --adapter-config F
        --manifest OUT/manifest.json

The backbone is read and written one tensor at a time, in its own shards and its own precision; the sum itself is taken
in float32. Merging needs no GPU and no more memory than one shard. Where transformers loads tensors under other names
than their files have (Gemma 3 with its vision tower), its own renamings say which is which. Where it makes one tensor
of several (the experts of some mixtures), the whole model is loaded, merged and written by transformers: that takes the
memory of the model.
"""

import logging
import shutil
import tempfile
from pathlib import Path

import safetensors
import safetensors.torch
import torch
from transformers.conversion_mapping import get_model_conversion_mapping
from transformers.core_model_loading import WeightConverter, WeightRenaming, rename_source_key

from posologie.models.load import load_model, unloaded_model
from posologie.models.store import checked_folder, read_manifest, write_manifest
from posologie.records.files import sha256_of_file
from posologie.release.spec import MergeSpec
from posologie.running import commands
from posologie.training.trained_weights import Change, applied, change_of, refuse_left

log = logging.getLogger(__name__)


def main(argv: list[str]) -> None:
    """Merge an adapter into its backbone."""
    arguments = commands.parser("posologie.release.merge", __doc__ or "")
    arguments.add_argument("--backbone", required=True, type=Path, help="manifest of the backbone")
    arguments.add_argument("--adapter-weights", required=True, type=Path)
    arguments.add_argument("--adapter-config", required=True, type=Path)
    arguments.add_argument("--manifest", required=True, type=Path, help="manifest.json of the merged model")
    options = arguments.parse_args(argv)
    spec = MergeSpec.from_json(options.spec)
    source, target = checked_folder(options.backbone), options.manifest.parent
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{target.name}.", dir=target.parent) as temporary:
        folder = Path(temporary) / "model"
        folder.mkdir()
        merge(source, options.adapter_weights, options.adapter_config, folder)
        stated = read_manifest(options.backbone)
        facts = {
            "name": spec.model,
            "kind": "merged",
            "requested_revision": None,
            "revision": None,
            "trust_remote_code": stated.get("trust_remote_code", False),
            "merged_from": {
                "backbone": stated.get("name"),
                "backbone_revision": stated.get("revision"),
                "adapter_sha256": sha256_of_file(options.adapter_weights),
            },
        }
        write_manifest(folder, facts, folder.iterdir())
        shutil.rmtree(target, ignore_errors=True)
        folder.replace(target)
    log.info("%s: merged", target)


def merge(source: Path, weights: Path, config: Path, target: Path) -> None:
    """Write the files of a merged model to `target`.

    Args:
        source: folder of the backbone.
        weights: `adapter_model.safetensors`, or all weights of a fully trained backbone.
        config: `adapter_config.json`.
        target: an empty folder.

    Raises:
        InputError: if the adapter does not fit the backbone, or is of a kind that this does not merge.
    """
    change = change_of(weights, config)
    places = _places(source, change)
    if places is None:
        _merge_loaded(change, source, target)
        refuse_left(change, weights, source.name)
        return
    for path in sorted(source.iterdir()):
        if path.suffix == ".safetensors":
            with safetensors.safe_open(path, "pt") as shard:
                merged = {
                    name: applied(change, places.get(name, name), shard.get_tensor(name))
                    for name in shard.keys()  # noqa: SIM118
                }
                metadata = shard.metadata()
            safetensors.torch.save_file(merged, target / path.name, metadata=metadata)
        elif path.is_file() and path.name not in ("manifest.json", "README.md"):  # the card is the merged model's own
            shutil.copyfile(path, target / path.name)
    refuse_left(change, weights, source.name)


def _places(source: Path, change: Change) -> dict[str, str] | None:
    """Return the loaded model's name of each tensor of a model folder that has another one there.

    None where a trained tensor is made of several on disk, as of the experts of some mixtures.
    """
    on_disk: set[str] = set()
    for path in source.glob("*.safetensors"):
        with safetensors.safe_open(path, "pt") as shard:
            on_disk |= set(shard.keys())
    if change.trained() <= on_disk:
        return {}
    with torch.device("meta"):
        network = unloaded_model(source)
    state = network.state_dict()
    mapping = get_model_conversion_mapping(network)
    renamings = [entry for entry in mapping if isinstance(entry, WeightRenaming)]
    converters = [entry for entry in mapping if isinstance(entry, WeightConverter)]
    places = {}
    for name in on_disk:
        place, converter = rename_source_key(name, renamings, converters, network.base_model_prefix, state)
        if converter is None:
            places[name] = place
    return places if change.trained() & state.keys() <= set(places.values()) else None


@torch.no_grad()  # type: ignore[untyped-decorator]
def _merge_loaded(change: Change, source: Path, target: Path) -> None:
    """Merge in the loaded model, and let transformers write it."""
    network = load_model(source, precision="auto", device="cpu")
    for name, parameter in network.named_parameters():
        parameter.copy_(applied(change, name, parameter))
    network.save_pretrained(target)
    for path in sorted(source.iterdir()):
        weight_file = path.suffix == ".safetensors" or path.name.endswith(".index.json")
        if path.is_file() and not weight_file and path.name not in ("manifest.json", "README.md"):
            shutil.copyfile(path, target / path.name)


if __name__ == "__main__":
    commands.run(main)
