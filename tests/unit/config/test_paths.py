"""Paths of a study file: where they begin, and which are refused."""

import pytest
from study_files import STUDY, refusal, study_file  # noqa: F401 - the fixture `write`

from posologie.config.load import load_study


def test_relative_paths_of_data_begin_in_the_folder_that_the_study_names(write, tmp_path):
    (tmp_path / "elsewhere" / "own").mkdir(parents=True)
    (tmp_path / "elsewhere" / "own" / "a.json").write_text("[]")
    source = {"component": "native", "splits": ["train", "test"], "files": {"train": ["a.json"], "test": ["b.json"]}}
    sources = {"near": {**source, "path": "own"}, "far": {**source, "path": str(tmp_path / "elsewhere" / "own")}}
    (tmp_path / "elsewhere" / "own" / "b.json").write_text("[]")
    suites = {"mcqa": {"benchmarks": {"native": {"source": "near"}}}}
    study = load_study(write(sources=sources, suites=suites, roots={"data": str(tmp_path / "elsewhere")}))
    assert {source.path for source in study.sources.values()} == {str(tmp_path / "elsewhere" / "own")}
    message = refusal(write(sources=sources, suites=suites), {"roots": {"data": "nowhere"}})
    assert "sources.near.path = 'nowhere/own': no such folder" in message


BRACES = "a path without '{', which Snakemake takes for something else; rename it"


@pytest.mark.parametrize(
    ("sections", "expected"),
    [
        ({"roots": {"work": "scratch {me}"}}, f"roots.work = 'scratch {{me}}': expected {BRACES}"),
        ({"roots": {"models": "a <work> b"}}, "roots.models = 'a <work> b': expected a path without '<work>'"),
        ({"roots": {"datasets": "a\nb"}}, r"roots.datasets = 'a\nb': expected a path without '\n'"),
        ({"roots": {"work": ""}}, "roots.work = '': expected a path that is not empty"),
        ({"roots": {"work": "-x"}}, "roots.work = '-x': expected a path that is not empty and does not begin with '-'"),
        ({"roots": {"work": "a/" + "é" * 128}}, "expected a path whose parts have at most 255 bytes"),
        ({"study": "x" * 129}, "expected a name of at most 128 characters, because it becomes a file name"),
        (
            {"sources": {"native": {"provenance": "native", "hub": "owner/{data}"}}},
            f"sources.native.hub = 'owner/{{data}}': expected {BRACES}",
        ),
        (
            {"sources": {"native": {"provenance": "native", "hub": "owner/data", "revision": "r" * 240}}},
            "expected a name and revision of at most 200 bytes together",
        ),
        ({"backbones": {"b": {"folder": "a{b}"}}}, f"backbones.b.folder = 'a{{b}}': expected {BRACES}"),
        (
            {"judges": {"j": {"backend": {"kind": "openai_endpoint", "model": "m"}, "prompt": "{p}.md"}}},
            f"judges.j.prompt = '{{p}}.md': expected {BRACES}",
        ),
        (
            {"judging": {"ratings": {"r": {"files": {"a": "{x}.csv"}, "columns": {"question": "q"}}}}},
            f"judging.ratings.r.files.a = '{{x}}.csv': expected {BRACES}",
        ),
    ],
)
def test_a_path_that_would_not_be_taken_literally_is_refused_in_one_line(write, sections, expected):
    assert expected in refusal(write(**sections))


def test_blanks_quotes_and_shell_commands_in_paths_are_no_trouble(write):
    name = "my $(touch X) `date` 'a \"b & ; é 日本"
    study = load_study(write(f"{name}.yaml", roots={"work": name, "models": f"{name}/m"}))
    assert study.roots.work == name


def local(folder):
    files = {split: [f"{split}*.json"] for split in ("train", "validation", "test")}
    return {"sources": {"native": {"provenance": "native", "path": str(folder), "files": files}}}


def test_files_that_were_found_are_looked_at_too(write, tmp_path):
    data = tmp_path / "data"
    data.mkdir()
    for split in ("train", "validation", "test"):
        (data / f"{split}.json").write_text("[]")
    load_study(write(**local(data)))
    (data / "train{1}.json").write_text("[]")
    assert f"sources.native.path: the file '{data}/train{{1}}.json': expected {BRACES}" in refusal(write(**local(data)))
    (data / "train{1}.json").unlink()
    (data / "test-2.json").symlink_to("test-3.json")
    (data / "test-3.json").symlink_to("test-2.json")
    assert "test-2.json' is a symbolic link to a missing file" in refusal(write(**local(data)))


def test_a_model_folder_with_braces_in_its_files_is_refused(write, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "a{b}.json").write_text("{}")
    assert "a{b}.json': expected" in refusal(write(backbones={"b": {"folder": str(tmp_path / "model")}}))
