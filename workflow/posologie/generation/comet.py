"""COMET of translated parallel text, where its package and a checkpoint are installed; otherwise a file that says so.

python -m posologie.generation.comet --spec CometSpec --sentences F.parquet [--checkpoint FILE]
    --comet OUT.parquet --facts OUT.json

COMET (Rei et al. 2020) pins its own versions of torch and transformers, and has an environment of its own
(`envs/comet.yaml`). Its checkpoints are pickles, which can run code: only the file that the user names is loaded.
`--facts` is the parquet file's name with the suffix `.json`.
"""

import importlib.metadata
from pathlib import Path
from typing import Any

import pyarrow as pa

from posologie.records.files import read_parquet, sha256_of_file, write_json, write_parquet
from posologie.records.specs import Spec
from posologie.running.commands import claim_devices, parser, run


class CometSpec(Spec):
    """What COMET scores depend on, beside sentences and checkpoint."""

    batch_size: int = 16


def comet_schema() -> pa.Schema:
    """Return the schema of `translation_quality/{translator}.comet.parquet`: one row per segment, same order.

    Without the package or the checkpoint there are no rows, and the file beside it (`.json`) says why.
    """
    return pa.schema(
        [
            pa.field("test_set", pa.string(), nullable=False),
            pa.field("id", pa.string(), nullable=False),
            pa.field("comet", pa.float64(), nullable=False),
        ]
    )


def main(argv: list[str]) -> None:
    """Score the segments, or write why not."""
    arguments = parser("posologie.generation.comet", __doc__ or "")
    arguments.add_argument("--sentences", required=True, type=Path)
    arguments.add_argument("--checkpoint", type=Path)
    arguments.add_argument("--comet", required=True, type=Path)
    arguments.add_argument("--facts", required=True, type=Path)
    options = arguments.parse_args(argv)
    claim_devices(options.devices)
    spec = CometSpec.from_json(options.spec)
    rows = read_parquet(options.sentences, ["test_set", "id", "source", "reference", "translation"]).to_pylist()
    absent = _absent(options.checkpoint)
    scores = [] if absent else _scores(rows, options.checkpoint, spec.batch_size)
    table = [
        {"test_set": row["test_set"], "id": row["id"], "comet": score}
        for row, score in zip(rows if scores else [], scores, strict=True)
    ]
    write_parquet(options.comet, pa.Table.from_pylist(table, schema=comet_schema()))
    write_json(options.facts, {"absent": absent, "signature": None if absent else _signature(options.checkpoint)})


def _absent(checkpoint: Path | None) -> str | None:
    """Return what is missing, or None."""
    try:
        importlib.metadata.version("unbabel-comet")
    except importlib.metadata.PackageNotFoundError:
        return "the package unbabel-comet is not installed"
    if checkpoint is None:
        return "no checkpoint is configured"
    if not checkpoint.is_file():
        return f"there is no checkpoint {checkpoint}"
    described = checkpoint.absolute().parents[1] / "hparams.yaml"  # where COMET looks for the model's class
    return None if described.is_file() else f"there is no {described}, which belongs to the checkpoint"


def _scores(rows: list[dict[str, Any]], checkpoint: Path, batch_size: int) -> list[float]:
    """Return the score of each segment."""
    import comet
    import torch

    model = comet.load_from_checkpoint(str(checkpoint))
    data = [{"src": row["source"], "mt": row["translation"], "ref": row["reference"]} for row in rows]
    predicted = model.predict(data, batch_size=batch_size, gpus=int(torch.cuda.is_available()), progress_bar=False)
    return [float(score) for score in predicted.scores]


def _signature(checkpoint: Path) -> str:
    version = importlib.metadata.version("unbabel-comet")
    return f"comet|version:{version}|checkpoint:{checkpoint.name}|sha256:{sha256_of_file(checkpoint)[:12]}"


if __name__ == "__main__":
    run(main)
