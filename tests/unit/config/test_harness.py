"""Suites that are tasks of lm-evaluation-harness."""

import pytest
import yaml
from study_files import STUDY, refusal, study_file  # noqa: F401 - the fixture `write`

from posologie.config import job_specs
from posologie.config.load import load_study, study_from
from posologie.prediction.spec import Suite
from posologie.statistics.spec import TableSpec

BASE = """
dataset_path: owner/exam
test_split: test
validation_split: dev
output_type: multiple_choice
doc_to_text: "Question: {{question.strip()}}\\nA. {{choices[0]}}\\nB. {{choices[1]}}\\nAnswer:"
doc_to_choice: [A, B]
doc_to_target: answer
metric_list:
  - metric: !function utils.accuracy
"""
FILES = {
    "_base.yaml": BASE,
    "bones.yaml": "include: _base.yaml\ntask: exam_bones\ndataset_name: bones\ntag: exam_parts\n",
    "skin.yaml": "include: [_base.yaml]\ntask: exam_skin\ndataset_name: skin\ntag: [exam_parts]\n",
    "group.yaml": "group: exam\ntask: [exam_parts, {task: exam_bones, dataset_name: marrow}]\n",
    "open.yaml": "task: exam_open\ndataset_path: json\ndataset_kwargs: {data_files: {test: open.jsonl}}\n"
    "test_split: test\ndoc_to_text: '{{q}}'\ndoc_to_target: '{{a}}'\n",
    "code.yaml": "include: _base.yaml\ntask: exam_code\nprocess_docs: !function u.clean\ndoc_to_text: !function u.t\n",
    "loss.yaml": "include: _base.yaml\ntask: exam_loss\noutput_type: loglikelihood_rolling\n",
    "sliced.yaml": "include: _base.yaml\ntask: exam_sliced\ntest_split: test[:100]\n",
    "script.yaml": "include: _base.yaml\ntask: exam_script\ndataset_kwargs: {trust_remote_code: true}\n",
}


@pytest.fixture
def tasks(tmp_path):
    """A folder of task files in the harness's form."""
    folder = tmp_path / "tasks"
    folder.mkdir()
    for name, text in FILES.items():
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "open.jsonl").write_text('{"q": "Why?", "a": "So."}\n', encoding="utf-8")
    return folder


def suites(**suite):
    return {"suites": {"exam-fr": {key: str(value) if key == "lm_eval" else value for key, value in suite.items()}}}


def test_a_task_becomes_a_source_and_a_benchmark(write, tasks):
    study = load_study(write(**suites(lm_eval=tasks / "bones.yaml", permutations=2)))
    suite, source = study.suites["exam-fr"], study.sources["exam-fr"]
    assert suite.permutations == 2
    assert {
        name: (benchmark.source, benchmark.split, benchmark.tasks) for name, benchmark in suite.benchmarks.items()
    } == {"exam_bones": ("exam-fr", "test", ("mcqu",))}
    assert (source.hub, source.reader, source.provenance, source.splits) == (
        "owner/exam",
        "lm_eval",
        "native",
        ("test",),
    )
    assert source.files["test"][0] == "bones/test-*.parquet"
    assert source.options["doc_to_choice"] == ["A", "B"]
    assert source.options["subject"] == "bones"
    spec = job_specs.shard_spec(study, "exam-fr", "test")
    assert spec.options == source.options


def test_a_group_stands_for_its_tasks_and_those_of_its_tags(write, tasks):
    study = load_study(write(**suites(lm_eval=tasks / "group.yaml", component="synthetic")))
    assert list(study.suites["exam-fr"].benchmarks) == ["exam_bones", "exam_skin"], (
        "the group's own settings count last"
    )
    source = study.sources["exam-fr-exam_bones"]
    assert (source.provenance, source.options["subject"]) == ("synthetic", "marrow")


def test_open_questions_from_files_beside_the_task(write, tasks):
    study = load_study(write(**suites(lm_eval=tasks / "open.yaml")))
    source = study.sources["exam-fr"]
    assert (source.path, source.files["test"], source.options["output_type"]) == (
        tasks.as_posix(),
        ("open.jsonl",),
        "generate_until",
    )
    assert study.suites["exam-fr"].benchmarks["exam_open"].tasks == ("oeq",)


def test_own_files_take_the_place_of_the_hub(write, tasks):
    (tasks / "bones-test.csv").write_text("question,answer\n")
    own = {"path": str(tasks), "files": ["{name}-{split}.csv"]}
    source = load_study(write(**suites(lm_eval=tasks / "bones.yaml", **own))).sources["exam-fr"]
    assert (source.hub, source.path, source.files) == (None, str(tasks), {"test": ("bones-test.csv",)})
    own["files"] = ["bones-{split}.csv"]
    assert load_study(write(**suites(lm_eval=tasks / "script.yaml", **own))).sources["exam-fr"].path == str(tasks)


def test_the_study_of_a_run_is_read_again_without_the_task_files(write, tasks):
    study = load_study(write(**suites(lm_eval=tasks / "bones.yaml")))
    for file in tasks.iterdir():
        file.unlink()
    again = study_from(yaml.safe_load(study.model_dump_json(by_alias=True)), "frozen")
    assert again.model_dump_json() == study.model_dump_json()


def test_a_suite_of_benchmarks_is_identified_as_before(write):
    suites = load_study(write()).suites
    spec = TableSpec(models=[{"name": "b/base", "kind": "base", "backbone": "b"}], suites=suites)
    plain = {name: Suite(benchmarks=suite.benchmarks) for name, suite in suites.items()}
    assert spec.canonical_json() == TableSpec(models=spec.models, suites=plain).canonical_json()


@pytest.mark.parametrize(
    ("file", "words"),
    [
        ("code.yaml", "exam_code: process_docs calls Python (u.clean); doc_to_text calls Python (u.t)"),
        ("loss.yaml", "exam_loss: output_type loglikelihood_rolling; only multiple_choice and generate_until"),
        ("sliced.yaml", "split 'test[:100]': only whole splits are read"),
        ("script.yaml", "dataset_kwargs.trust_remote_code: data that Python code makes"),
        ("nothing.yaml", "nothing.yaml: no such task file"),
        ("", "tasks cannot be imported: "),
    ],
)
def test_what_cannot_be_imported_is_named(write, tasks, file, words):
    assert words in refusal(write(**suites(lm_eval=tasks / file)))


def test_a_name_needs_the_package(write, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert "mmlu_fr: no such file; a task's name needs the package lm-eval installed" in refusal(
        write(**suites(lm_eval="mmlu_fr"))
    )


@pytest.mark.parametrize(
    ("suite", "words"),
    [
        ({"lm_eval": "x.yaml", "benchmarks": {"n": {"source": "native"}}}, "exactly one of benchmarks and lm_eval"),
        ({}, "exactly one of benchmarks and lm_eval"),
        ({"benchmarks": {"n": {"source": "native"}}, "path": "data"}, "component, path and files only with lm_eval"),
    ],
)
def test_a_suite_has_one_origin(write, suite, words):
    assert words in refusal(write(suites={"s": suite}))


def test_the_source_of_a_task_takes_no_name_that_is_there(write, tasks):
    study = {"suites": {"native": {"lm_eval": str(tasks / "bones.yaml")}}, "sources": STUDY["sources"]}
    assert "suites.native.lm_eval: makes a source 'native', which already exists" in refusal(write(**study))
