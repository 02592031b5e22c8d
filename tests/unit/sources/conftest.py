"""Runs a reader as the rules do and gives back what it wrote."""

import importlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from posologie.records.files import read_json, read_parquet
from posologie.records.items import read_items


@dataclass
class Shard:
    items: list
    rejects: list
    report: dict
    folder: Path

    @property
    def reasons(self):
        return self.report["rejected"]["by_reason"]

    @property
    def repaired(self):
        return self.report["repaired"]


def accounts_for_every_record(report, items, rejects):
    assert report["read"] == report["kept"] + report["rejected"]["total"]
    assert report["kept"] == len(items)
    assert report["rejected"]["total"] == len(rejects) == sum(report["rejected"]["by_reason"].values())
    assert len({(reject["file"], reject["row"]) for reject in rejects}) == len(rejects)


@pytest.fixture
def read(tmp_path):
    """Write files, run the reader on them, and check that every record is accounted for."""
    calls = 0

    def run(reader, files, split="train", source="essai", provenance="native", options=None, processes=1, **described):
        nonlocal calls
        calls += 1
        inputs = []
        for name, content in files.items():
            path = tmp_path / "published" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            write_as_published(path, content)
            inputs.append(str(path))
        out = tmp_path / f"out-{calls}"
        spec = {
            "source": source,
            "provenance": provenance,
            "split": split,
            "patterns": [],
            "options": options or {},
            "reject_limit": 1.0,  # few records, most of them bad: what stops a shard has tests of its own
            **described,
        }
        arguments = ["--spec", json.dumps(spec), "--inputs", *inputs, "--processes", str(processes)]
        arguments += ["--items", str(out / "items.parquet"), "--rejects", str(out / "rejects.parquet")]
        importlib.import_module(f"posologie.sources.{reader}").main([*arguments, "--report", str(out / "report.json")])
        items = read_items(out / "items.parquet")
        rejects = read_parquet(out / "rejects.parquet").to_pylist()
        report = read_json(out / "report.json")
        accounts_for_every_record(report, items, rejects)
        assert len({item.id for item in items}) == len(items)
        for item in items:
            assert item.problem() is None
            assert (item.source, item.provenance, item.split) == (source, provenance, split)
        return Shard(items, rejects, report, out)

    return run


@pytest.fixture
def collect(tmp_path):
    """Write files, run a reader of documents on them, and check that every record is accounted for."""

    def run(reader, files, options=None, reject_limit=1.0):
        inputs = []
        for name, content in files.items():
            path = tmp_path / "published" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            write_as_published(path, content)
            inputs.append(str(path))
        out = tmp_path / "documents"
        spec = json.dumps({"collection": "essai", "options": options or {}, "reject_limit": reject_limit})
        arguments = ["--spec", spec, "--inputs", *inputs, "--documents", str(out / "documents.parquet")]
        arguments += ["--rejects", str(out / "rejects.parquet"), "--report", str(out / "report.json")]
        importlib.import_module(f"posologie.sources.{reader}").main(arguments)
        rows = read_parquet(out / "documents.parquet").to_pylist()
        rejects = read_parquet(out / "rejects.parquet").to_pylist()
        report = read_json(out / "report.json")
        accounts_for_every_record(report, rows, rejects)
        assert len({row["id"] for row in rows}) == len(rows)
        return Shard(rows, rejects, report, out)

    return run


def write_as_published(path, content):
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif isinstance(content, str):
        path.write_bytes(content.encode("utf-8", "surrogatepass"))
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(record) + "\n" for record in content))
    else:
        path.write_text(json.dumps(content))


@pytest.fixture
def real_data():
    """The public data beside the project, which are never copied into it."""
    default = Path(__file__).resolve().parents[4] / "shared" / "data"
    folder = Path(os.environ.get("POSOLOGIE_REAL_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}; set POSOLOGIE_REAL_DATA to a folder that holds them")
    return folder
