"""Small studies on disk: score files of a few models on a few items."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from study_tables import two_benchmarks, write_models

from posologie.records import layout
from posologie.records.files import write_parquet
from posologie.scoring.spec import score_schema


class StudyOnDisk:
    """Writes score files below a folder, and the spec of the tables over them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.models: dict[str, dict[str, Any]] = {}
        self.suites: dict[str, dict[str, Any]] = {}

    def scores(
        self,
        model: str,
        suite: str,
        items: Sequence[Mapping[str, Any]],
        values: Mapping[tuple[str, str], Mapping[str, Sequence[float | None]]],
    ) -> None:
        """Write one scores file: (metric, decoding) → variant → one value an item."""
        rows = []
        for (metric, decoding), by_variant in values.items():
            for variant, column in by_variant.items():
                for item, value in zip(items, column, strict=True):
                    keys = {"variant": variant, "metric": metric, "decoding": decoding, "signature": "test"}
                    rows.append({**item, **keys, "value": value})
        rows.sort(key=lambda row: [row[key] for key in ("decoding", "metric", "benchmark", "item", "variant")])
        write_parquet(self.root / layout.scores(model, suite), pa.Table.from_pylist(rows, schema=score_schema()))
        backbone, *rest = model.split("/")
        self.models[model] = {"name": model, "kind": "base", "backbone": backbone}
        if rest != ["base"]:
            trained = {"kind": "mix", "mix": rest[0], "seed": int(rest[1].removeprefix("seed-"))}
            self.models[model] |= trained
        self.suites[suite] = {"benchmarks": {}}

    def spec(self, **more: Any) -> str:
        """Return the tables' spec over everything written so far."""
        statistics = {"replicates": 500} | more.pop("statistics", {})
        return json.dumps(
            {"models": list(self.models.values()), "suites": self.suites, "statistics": statistics} | more
        )


def item(
    number: int, benchmark: str = "b", task: str = "mcqu", provenance: str = "native", group: str = ""
) -> dict[str, str]:
    """Return the keys of an item."""
    name = f"{benchmark}-{number:04d}"
    return {"item": name, "benchmark": benchmark, "provenance": provenance, "task": task, "group": group or name}


@pytest.fixture
def study(tmp_path: Path) -> StudyOnDisk:
    return StudyOnDisk(tmp_path / "results")


@pytest.fixture
def make_item():
    return item


@pytest.fixture
def small(study, make_item):
    items = two_benchmarks(make_item)
    # base: half of nat, none of trad's mcq, all of trad's mcqu. NAT: ten more of nat.
    base = [1.0] * 30 + [0.0] * 30 + [0.0] * 20 + [1.0] * 20
    nat = [1.0] * 40 + [0.0] * 20 + [0.0] * 20 + [1.0] * 20
    write_models(study, items, {"q/base": base, "q/NAT/seed-42": nat})
    return study
