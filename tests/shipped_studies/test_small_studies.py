"""The small Spanish and Chinese studies, whole from the published files to the report: `make test-studies`.

They read the public data that `POSOLOGIE_REAL_DATA` names, and are skipped where these are absent.
"""

import csv
import json
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from posologie.config.load import load_study
from posologie.config.study import Study
from posologie.records.items import read_items
from posologie.records.prompting import chat, option_order
from public_forms import FRENCH, published_numbers, texts_of
from studies import REPOSITORY, Project

pytestmark = [pytest.mark.real_data, pytest.mark.slow, pytest.mark.timeout(3600)]

TESTED = {
    "spanish-medicine-small": {"exams": 24, "cases": 4, "translated": 4},
    "chinese-medicine-small": {"exam": 64},
}
"""Questions of each suite."""
SIZE = {"spanish-medicine-small": 16, "chinese-medicine-small": 32}
"""Questions of each mix."""
SPANISH_TOO = {"es": {"les", "une"}, "zh": set()}
"""Words of French that Spanish questions have too: a pronoun, and a form of `unir`."""
READ = {"spanish-medicine-small": 4027, "chinese-medicine-small": 3426}
KEPT = {"spanish-medicine-small": 3959, "chinese-medicine-small": 3425}
"""Questions of all shards, and those that are no rejects."""
SCREENED = {
    "spanish-medicine-small": {
        "biology/train": (228, 223), "chemistry/train": (231, 226), "medicine/train": (200, 200),
        "nursing/train": (223, 222), "pharmacology/train": (228, 227), "psychology/train": (230, 229),
        "cases/train": (379, 292), "cases/validation": (55, 50), "mmlu-spanish/train": (265, 262),
    },
    "chinese-medicine-small": {
        "past-exams/train": (484, 480), "past-exams/validation": (63, 63),
        "basic/train": (527, 519), "basic/validation": (61, 60),
        "clinical/train": (955, 937), "clinical/validation": (161, 158),
        "society/train": (128, 122), "society/validation": (26, 26),
    },
}  # fmt: skip
"""Training and validation questions that are read, and those that stay after screening."""


@dataclass(frozen=True)
class Finished:
    """A study that has run, its arguments for Snakemake, and its results."""

    name: str
    project: Project
    arguments: tuple[str, ...]
    study: Study
    results: Path

    def table(self, name):
        with (self.results / f"tables/{name}.csv").open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))


@pytest.fixture(scope="module", params=list(TESTED))
def finished(request, tmp_path_factory, real_data):
    name = request.param
    project = Project.copy_to(tmp_path_factory.mktemp(name) / "project")
    with_tiny_model(project.root / f"config/studies/{name}.yaml")
    arguments = ("--configfile", f"config/studies/{name}.yaml", "--config", f'roots={{"data": "{real_data}"}}')
    project.snakemake("--cores", "2", *arguments, timeout=3300)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(REPOSITORY)
        study = load_study(project.root / f"config/studies/{name}.yaml", {"roots": {"data": str(real_data)}})
    return Finished(name, project, arguments, study, project.root / "results" / name)


def with_tiny_model(file):
    """Replace the backbones of a study file by an untrained one: what is tested is the data's way, not the model."""
    study = yaml.safe_load(file.read_text(encoding="utf-8"))
    prompts = f"resources/prompts/{'es' if study['study'].startswith('spanish') else 'zh'}"
    corpus = [f"{prompts}/synthesis/mcqu.md", f"{prompts}/translation/item.md"]
    study["backbones"] = {"tiny": {"untrained": {"corpus": corpus}}}
    file.write_text(yaml.safe_dump(study, allow_unicode=True, sort_keys=False), encoding="utf-8")


def reports_of(finished, folder):
    """Return the reports of a folder's shards."""
    paths = sorted(finished.results.glob(f"{folder}/*/*.json"))
    return [json.loads(path.read_text()) for path in paths if not path.name.endswith(".seal.json")]


def test_a_second_run_has_nothing_to_do(finished):
    assert "Nothing to be done" in finished.project.dry("-n", *finished.arguments)


def test_every_question_is_read_and_kept_or_rejected(finished):
    reports = reports_of(finished, "shards")
    assert sum(report["read"] for report in reports) == READ[finished.name]
    assert sum(report["kept"] for report in reports) == KEPT[finished.name]
    for shard_report in reports:
        assert shard_report["kept"] + shard_report["rejected"]["total"] == shard_report["read"]


def test_screening_reads_and_keeps_exact_counts_in_the_declared_language(finished):
    counts = {}
    for report in reports_of(finished, "screened"):
        counts[f"{report['source']}/{report['split']}"] = (report["read"], report["kept"])
        assert report["kept"] + report["removed"] == report["read"]
        assert report["language_guessed"] == []
        assert set(report["languages"]["items"]) == {finished.study.language}
    assert counts == SCREENED[finished.name]


def test_every_mix_has_its_size_and_no_tested_question(finished):
    tested = {
        (item.question, item.context)
        for suite in finished.study.suites.values()
        for benchmark in suite.benchmarks.values()
        for item in read_items(finished.results / f"shards/{benchmark.source}/{benchmark.split}.parquet")
    }
    for mix in finished.study.mixes:
        items = read_items(finished.results / f"mixes/{mix}/seed-{mix_seed(finished, mix)}/train.parquet")
        assert len(items) == SIZE[finished.name]
        assert not tested & {(item.question, item.context) for item in items}


def mix_seed(finished, mix):
    (folder,) = (finished.results / f"mixes/{mix}").iterdir()
    return folder.name.removeprefix("seed-")


def test_every_model_answers_every_question_in_every_option_order(finished):
    models = [path.parent for path in finished.results.glob("predictions/*/base/*.parquet")]
    models += [path.parent for path in finished.results.glob("predictions/*/*/seed-*/*.parquet")]
    assert len(set(models)) == 1 + len(finished.study.mixes)
    for folder in set(models):
        for suite, questions in TESTED[finished.name].items():
            rows = pq.read_table(folder / f"{suite}.parquet").to_pylist()
            orders = Counter(row["item"] for row in rows)
            assert len(orders) == questions
            assert set(orders.values()) == {1 + finished.study.suites[suite].permutations}
            assert all(row["constrained_labels"] for row in rows)


def test_the_main_table_and_the_report_have_every_model_and_component(finished):
    rows = [row for row in finished.table("mcqa") if (row["metric"], row["scope"], row["task"]) == ("em", "all", "all")]
    assert {int(row["n"]) for row in rows if row["variants"] == "original"} == set(TESTED[finished.name].values())
    assert len({row["model"] for row in rows}) == 1 + len(finished.study.mixes)
    page = (finished.results / "report/index.html").read_text(encoding="utf-8")
    assert "demonstration: n too small" in page
    assert not re.search(r'(?:src|href)="http(?!s://arxiv\.org)', page)
    for component in finished.study.components.values():
        assert component.title in page


def test_no_french_word_and_no_published_number_is_in_report_tables_or_prompts(finished):
    texts = texts_of(finished.results)
    items = [item for path in finished.results.glob("mixes/*/*/train.parquet") for item in read_items(path)]
    texts["prompts"] = " ".join(
        turn["content"]
        for item in items
        for turn in chat(item, option_order(item.id, len(item.options), "original", 0), finished.study.prompting)
    )
    assert {"es": "Opciones de respuesta:", "zh": "选项"}[finished.study.language] in texts["prompts"]
    number = published_numbers()
    for name, text in texts.items():
        assert {word.casefold() for word in FRENCH.findall(text)} <= SPANISH_TOO[finished.study.language], name
        assert number.findall(text) == [], name
        assert not re.search(r"\bpublished\b|\bthe paper\b", text), name
    assert not list(finished.results.glob("tables/paper*"))
