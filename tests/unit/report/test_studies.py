"""The Spanish and the Chinese study: their data as published in small, and nothing of the published French study.

What the studies count in the public files themselves is checked where these are at hand.
"""

import importlib
import json
import re
from collections import Counter

import pytest

from posologie.config import job_specs, plan
from posologie.config.load import load_study
from posologie.records.items import read_items
from posologie.records.prompting import chat, option_order
from posologie.report import __main__ as report
from posologie.report.browser import write_browser
from posologie.report.figures import __main__ as figures
from posologie.sources.layouts import local_files
from public_forms import FRENCH, STUDIES, chinese_files, published_numbers, spanish_files, texts_of
from simulated import make_study

pytestmark = pytest.mark.slow


def shard(study, source, split, folder):
    """Read one split of a source as its job does; gives the path of the items and the report."""
    module = importlib.import_module(f"posologie.sources.{study.sources[source].reader}")
    outputs = {name: folder / f"{source}-{split}.{name}" for name in ("items", "rejects", "report")}
    words = [word for name, path in outputs.items() for word in (f"--{name}", str(path))]
    spec = job_specs.shard_spec(study, source, split).canonical_json()
    module.main(["--spec", spec, "--inputs", *local_files(study.sources[source], split), *words])
    return outputs["items"], json.loads(outputs["report"].read_text())


@pytest.fixture(scope="module", params=[("spanish-medicine", spanish_files), ("chinese-medicine", chinese_files)])
def made(request, tmp_path_factory, repository):
    """A study of the small files, its items, and the folder of its tables and report; answers are simulated."""
    name, write = request.param
    data, root = (tmp_path_factory.mktemp(part) for part in ("data", "study"))
    write(data)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(repository)
        study = load_study(STUDIES / f"{name}.yaml", {"roots": {"data": str(data)}})
        asked = [benchmark.source for suite in study.suites.values() for benchmark in suite.benchmarks.values()]
        items = [item for source in asked for item in read_items(shard(study, source, "test", data)[0])]
        mixes = {mix: plan.blend(study, mix) for mix in list(study.mixes)[-3:]}
        simulated = make_study(
            root, tables=("composition", "mcqa", "contrasts"), mixes=mixes, questions=items,
            tested={source: study.sources[source].provenance for source in asked}, language=study.language,
            components=plan.components(study), open_questions=0,
        )  # fmt: skip
        results = ["--results", str(root)]
        figures.main(["--spec", simulated.report.canonical_json(), *results, "--figures", str(root / "figures")])
        page = str(root / "report" / "index.html")
        report.main(["--spec", simulated.report.canonical_json(), *results, "--report", page])
        write_browser(simulated.browser, root, [path.split("=")[1] for path in simulated.shards], root / "items.js")
    return study, items, root


def test_no_french_word_is_in_the_report_the_tables_or_the_prompts(made):
    study, items, root = made
    texts = texts_of(root)
    texts["prompts"] = " ".join(
        turn["content"]
        for item in items
        for turn in chat(item, option_order(item.id, len(item.options), "original", 0), study.prompting)
    )
    assert {"es": "Opciones de respuesta:", "zh": "选项"}[study.language] in texts["prompts"]
    assert {name: FRENCH.findall(text) for name, text in texts.items() if FRENCH.search(text)} == {}


def test_no_number_of_the_published_study_and_no_mention_of_one(made):
    _, _, root = made
    number = published_numbers()
    for name, text in texts_of(root).items():
        assert not number.search(text), name
        assert not re.search(r"\bpublished\b|\bthe paper\b|37\.31", text), name


@pytest.mark.real_data
def test_the_spanish_study_reads_every_question_and_rejects_those_with_images_by_name(
    repository, real_data, tmp_path, monkeypatch
):
    monkeypatch.chdir(repository)
    study = load_study(STUDIES / "spanish-medicine.yaml", {"roots": {"data": str(real_data)}})
    reports = {
        (source, split): shard(study, source, split, tmp_path)[1]
        for source in study.sources
        for split in study.sources[source].splits
    }
    exams = [
        report for (source, _), report in reports.items() if source not in ("cases", "mmlu-spanish", "mmlu-english")
    ]
    rejected = sum((Counter(report["rejected"]["by_reason"]) for report in exams), Counter())
    assert (sum(report["read"] for report in exams), rejected) == (2742, {"not for readers of text": 67})
    kept = {name: report["kept"] for name, report in reports.items()}
    assert kept == {
        ("biology", "train"): 228, ("biology", "test"): 226, ("chemistry", "train"): 231, ("chemistry", "test"): 227,
        ("medicine", "train"): 200, ("medicine", "test"): 196, ("nursing", "train"): 223, ("nursing", "test"): 232,
        ("pharmacology", "train"): 228, ("pharmacology", "test"): 229,
        ("psychology", "train"): 230, ("psychology", "test"): 225,
        ("cases", "train"): 379, ("cases", "validation"): 55, ("cases", "test"): 115,
        ("mmlu-spanish", "train"): 265, ("mmlu-spanish", "test"): 235, ("mmlu-english", "test"): 235,
    }  # fmt: skip


@pytest.mark.real_data
def test_the_chinese_study_has_every_question_once(repository, real_data, tmp_path, monkeypatch):
    monkeypatch.chdir(repository)
    study = load_study(STUDIES / "chinese-medicine.yaml", {"roots": {"data": str(real_data)}})
    read, rejected = Counter(), Counter()
    for source in study.sources:
        for split in study.sources[source].splits:
            report = shard(study, source, split, tmp_path)[1]
            read[source] += report["read"]
            rejected += Counter(report["rejected"]["by_reason"])
    assert read == {"past-exams": 790, "basic": 866, "clinical": 1544, "society": 226}
    assert read.total() == 3426
    assert rejected == {"answers disagree": 1}
