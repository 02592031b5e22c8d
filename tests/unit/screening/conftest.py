import json

import pytest

from posologie.records.files import read_json, read_parquet, write_parquet
from posologie.records.items import items_to_table, read_items
from posologie.screening.__main__ import main


class Screened:
    """What one run of the command wrote."""

    def __init__(self, folder):
        self.folder = folder
        self.items = read_items(folder / "screened.parquet")
        self.matches = read_parquet(folder / "matches.parquet").to_pylist()
        self.report = read_json(folder / "report.json")

    def pairs(self, *columns):
        return [tuple(row[column] for column in columns) for row in self.matches]


@pytest.fixture
def screen(tmp_path):
    """Run the command on lists of items."""

    def run(
        items, *, tests=(), earlier=(), compared=(), mode="remove", suites=None, split="train", folder="out",
        languages=(), **settings
    ):  # fmt: skip
        folder = tmp_path / folder
        write_parquet(folder / "items.parquet", items_to_table(items))
        arguments = {"earlier": [], "tests": [], "compared": []}
        for name, members in (("earlier", earlier), ("tests", tests), ("compared", compared)):
            for source in dict.fromkeys(item.source for item in members):
                path = folder / name / f"{source}.parquet"
                write_parquet(path, items_to_table([item for item in members if item.source == source]))
                arguments[name].append(f"{source}={path}")
        if suites is None:
            parts = sorted({(item.source, item.split) for item in tests})
            suites = {
                "suite": [{"source": source, "split": part, "tasks": ["mcqu", "mcq", "oeq"]} for source, part in parts]
            }
        source = items[0].source if items else "train-source"
        spec = {"source": source, "split": split, "screening": {"mode": mode, **settings}, "suites": suites}
        spec["languages"] = dict(languages)
        main(
            [
                *("--spec", json.dumps(spec), "--items", str(folder / "items.parquet")),
                *("--earlier", *arguments["earlier"], "--tests", *arguments["tests"]),
                *("--compared", *arguments["compared"]),
                *("--screened", str(folder / "screened.parquet"), "--report", str(folder / "report.json")),
                *("--matches", str(folder / "matches.parquet")),
            ]
        )
        return Screened(folder)

    return run
