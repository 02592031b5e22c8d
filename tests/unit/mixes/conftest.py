import json

import pytest
from mixes_made import PROVENANCE_OF, made_items

from posologie.mixes.__main__ import main
from posologie.records.files import write_parquet
from posologie.records.items import items_to_table


@pytest.fixture
def shards(tmp_path):
    """Shards of three sources: files by source, and how to write another."""

    class Shards(dict):
        def add(self, source, items):
            path = tmp_path / f"{source}.parquet"
            write_parquet(path, items_to_table(items))
            self[source] = path
            return path

    shards = Shards()
    shards.add("nat", made_items("nat", "native", 60))
    shards.add("trad", made_items("trad", "translated", 200))
    shards.add("syn", made_items("syn", "synthetic", 47, tasks=("mcq",)))
    return shards


@pytest.fixture
def make_mix(tmp_path, shards):
    """Run the command; gives the three outputs."""

    def make(mix, *, name="m", seed=42, validation=None, train=None, validation_spec=None, folder="out"):
        spec = {
            "name": name,
            "mix": mix,
            "seed": seed,
            "provenance_of": PROVENANCE_OF,
            "validation": validation_spec or {},
        }
        out = tmp_path / folder / name / str(seed)
        train = train or dict(shards)
        main(
            [
                "--spec",
                json.dumps(spec),
                "--train",
                *(f"{source}={path}" for source, path in train.items()),
                "--validation",
                *(f"{source}={path}" for source, path in (validation or {}).items()),
                "--out-train",
                str(out / "train.parquet"),
                "--out-validation",
                str(out / "validation.parquet"),
                "--composition",
                str(out / "composition.json"),
            ]
        )
        return out

    return make
