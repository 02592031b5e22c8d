"""The small studies whose histories `short_histories.py` makes: their configurations, and the calm runs of each."""

import csv
import hashlib
import io
import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from studies import REPOSITORY, Project

FILE = "config/small.yaml"
RESULTS = "results/small"
READ = "resources/demo/native/Train/mcqu/mcqu_train.json"
CODE = "workflow/posologie/scoring/choices.py"
ANSWERED = "resources/demo/native/Test/mcqu/mcqu_test.json"
ANSWERS = "data/answers.csv"
INPUT = {READ: ("Quel territoire myocardique", "Quel grand territoire myocardique")}
INVERTED = {CODE: ('"em": (predicted == gold)', '"em": 1 - (predicted == gold)')}
STUDY: dict[str, Any] = {
    "extends": "test.yaml",
    "study": "small",
    "mixes": {"NAT": {"shares": {"native": 1}, "size": 24}},
    "sources": {"native": {"provenance": "native", "path": "resources/demo/native"}},
    "suites": {"mcqa": {"benchmarks": {"native-mcqu": {"source": "native", "tasks": ["mcqu"]}}}},
    "statistics": {"replicates": 200},
    # the cluster has stand-ins for GPUs: the scheduler counts them, torch does not find them
    "devices": {
        "training_micro_batch": 8,
        "prediction_chunk_tokens": 8192,
        "gpus_per_training_job": 1,
        "gpus_per_prediction_job": 1,
    },
}
"""One mix, one suite."""


@dataclass(frozen=True)
class Kind:
    """A study whose histories are made: what it adds to `STUDY`, what is asked of it, how its configurations differ.

    A configuration has values of the study file (`study`) or one text in another file.
    """

    study: dict[str, Any]
    targets: tuple[str, ...]
    configurations: dict[str, dict[str, Any]]


KINDS = {
    # shards, screened shards, the mix, the adapter, predictions, scores, tables
    "trained": Kind(
        {},
        (f"{RESULTS}/tables/mcqa.csv", f"{RESULTS}/tables/composition.csv"),
        {
            "first": {},
            "learning rate": {"study": {"training": {"recipe": {"learning_rate": 0.01}}}},
            "prompt": {"study": {"prompting": {"choices_line": "Options :"}}},
            "table": {"study": {"statistics": {"replicates": 300}}},
            "input": INPUT,
            "code": INVERTED,
        },
    ),
    # the same without a model, so that a history takes a minute: answers come as a file
    "answered": Kind(
        {"published_models": {"first": {"answers": {"files": [ANSWERS], "question": "question"}}}},
        (f"{RESULTS}/scores/published/first/mcqa.parquet", f"{RESULTS}/tables/composition.csv"),
        {
            "first": {},
            "size": {"study": {"mixes": {"NAT": {"size": 20}}}},
            "screening": {"study": {"screening": {"similarity": 0.8}}},
            "items": {"study": {"suites": {"mcqa": {"benchmarks": {"native-mcqu": {"limit": 10}}}}}},
            "input": INPUT,
            "code": INVERTED,
        },
    ),
}


def configure(root: Path, kind: Kind, name: str) -> None:
    """Put the files of a configuration into a copy of the project; those that have its text already are left alone."""
    changes = kind.configurations[name]
    texts = {
        FILE: yaml.safe_dump(_merged(_merged(STUDY, kind.study), changes.get("study", {}))),
        ANSWERS: answers(),
    }
    for file in (READ, CODE):
        text = (REPOSITORY / file).read_text(encoding="utf-8")
        old, new = changes.get(file, ("", ""))
        assert old in text, f"{file}: the text of the edit '{name}' is not in it"
        texts[file] = text.replace(old, new, 1) if old else text
    for file, text in texts.items():
        path = root / file
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.parent.mkdir(exist_ok=True)
            path.write_text(text, encoding="utf-8")


def answers() -> str:
    """Return a table that answers each question of the demo's test file with B."""
    items = json.loads((REPOSITORY / ANSWERED).read_text(encoding="utf-8"))
    table = io.StringIO()
    rows = csv.writer(table)
    rows.writerow(["question", "answer"])
    rows.writerows([item["instruction"].split("\n")[0], "B"] for item in items)
    return table.getvalue()


def _merged(values: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    merged = dict(values)
    for key, value in changes.items():
        merged[key] = _merged(merged.get(key, {}), value) if isinstance(value, dict) else value
    return merged


def calm_studies(work: Path, kind: Kind) -> dict[str, Path]:
    """Return a finished study for each configuration, made on this machine unless the folder has it.

    The first is made from nothing; the others from a copy of it, in which the edit re-makes what rests on it.
    """
    code = hashlib.sha256()
    for path in sorted((REPOSITORY / "workflow").rglob("*.py")):
        code.update(path.read_bytes())
    folders: dict[str, Path] = {}
    for number, name in enumerate(kind.configurations):
        root = work / f"calm-{number}"
        done = root / "calm.txt"
        if not done.exists() or done.read_text() != code.hexdigest():
            shutil.rmtree(root, ignore_errors=True)
            project = Project(folders["first"]).clone(root) if folders else Project.copy_to(root)
            done.unlink(missing_ok=True)
            configure(root, kind, name)
            project.snakemake("--cores", "1", *kind.targets, "--configfile", FILE, timeout=3600)
            done.write_text(code.hexdigest())
        folders[name] = root
    return folders
