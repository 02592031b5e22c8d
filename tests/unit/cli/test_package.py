"""`posologie package`: a finished study as an RO-Crate."""

import hashlib
import json
import shutil

import pytest
import yaml

from posologie.cli import package
from posologie.config.load import load_study
from studies import REPOSITORY

SHARED = ("--configfile", REPOSITORY / "config/test.yaml", "--config", "study=simulated", "--license", "CC-BY-4.0")


@pytest.fixture
def finished_study(reported, monkeypatch):
    """The simulated study, taken for a finished one: it has no adapters, and its seals no real code."""
    whole = {"stages": [{"stage": "tables", "optional": False, "missing": []}], "stale": {}}
    monkeypatch.setattr(package, "state_of", lambda study: whole)
    monkeypatch.setattr(package, "faults_of", lambda root, seals: iter(()))
    (reported / "results/simulated/figures").mkdir()
    return whole


def crate(posologie, *arguments):
    code, printed, error = posologie("package", *SHARED, *arguments)
    assert code == 0, error
    with open("simulated-crate/ro-crate-metadata.json", encoding="utf-8") as file:
        graph = json.load(file)["@graph"]
    return {entity["@id"]: entity for entity in graph}, printed


def test_a_crate_describes_each_of_its_files_with_its_checksum(project, finished_study, posologie):
    entities, _ = crate(posologie)
    folder = project / "simulated-crate"
    for path in (path for path in folder.rglob("*") if path.is_file()):
        name = path.relative_to(folder).as_posix()
        if name != "ro-crate-metadata.json" and not name.startswith("seals/"):
            assert entities[name]["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest(), name
            assert {"@id": name} in entities["./"]["hasPart"]
    assert {"report/index.html", "tables/mcqa.csv", "study.yaml", "requirements.lock"} <= entities.keys()
    assert load_study(folder / "study.yaml").study == "simulated"


def test_every_reference_of_a_crate_leads_to_an_entity(finished_study, posologie):
    entities, _ = crate(
        posologie, "--author", "Ada Example=https://orcid.org/0000-0002-1825-0097", "--author", "B. Two"
    )

    def referred(value):
        if isinstance(value, dict) and value.keys() == {"@id"}:
            yield value["@id"]
        elif isinstance(value, (dict, list)):
            for part in value.values() if isinstance(value, dict) else value:
                yield from referred(part)

    targets = {target for entity in entities.values() for target in referred(entity)}
    elsewhere = {target for target in targets - entities.keys() if target.startswith("http")}
    assert targets - entities.keys() == elsewhere
    assert entities["./"]["mainEntity"] == entities["#run"]["instrument"] == {"@id": "workflow/Snakefile"}
    assert [entities[author["@id"]]["name"] for author in entities["./"]["author"]] == ["Ada Example", "B. Two"]
    run = entities["#run"]
    assert run["startTime"] <= run["endTime"]
    assert {"@id": "tables/mcqa.csv"} in run["result"]


def test_the_licence_of_each_source_is_stated_or_missed(project, finished_study, posologie, tmp_path):
    entities, printed = crate(posologie)
    assert entities["#source-native"]["license"] == "not stated"
    assert "warning: licenses.native: not stated" in printed
    (project / "simulated-crate").rename(tmp_path / "first")
    study = yaml.safe_load((REPOSITORY / "config/test.yaml").read_text(encoding="utf-8"))
    study["study"] = "simulated"
    study["licenses"] = {"native": "MIT", "translated": "https://example.org/terms", "synthetic": "CC0-1.0"}
    (project / "licensed.yaml").write_text(yaml.safe_dump(study))
    entities, printed = crate(posologie, "--configfile", "licensed.yaml")
    assert "warning" not in printed
    assert entities["#source-native"]["license"] == {"@id": "https://spdx.org/licenses/MIT"}
    assert entities["#source-translated"]["license"] == {"@id": "https://example.org/terms"}
    assert {"https://spdx.org/licenses/CC0-1.0", "https://spdx.org/licenses/CC-BY-4.0"} <= entities.keys()


def test_a_crate_holds_the_seals_and_what_is_asked_for(project, finished_study, posologie):
    crate(posologie, "--with", "scores")
    folder = project / "simulated-crate"
    assert list((folder / "seals/shards").rglob("*.seal.json"))
    assert list((folder / "scores").rglob("*.parquet"))
    assert not list((folder / "predictions").rglob("*.parquet"))
    assert not [path for path in folder.rglob("*.seal.json") if "seals" not in path.relative_to(folder).parts[0]]


def test_a_study_that_is_unfinished_left_behind_or_altered_is_refused(project, finished_study, monkeypatch, posologie):
    code, _, error = posologie("package", *SHARED, "--with", "score")
    assert (code, "--with score: no such folder" in error) == (2, True)
    finished_study["stale"] = {"mixes/NAT/seed-42": "spec: mix.size is 24, sealed 12"}
    assert "mixes/NAT/seed-42 is stale" in posologie("package", *SHARED)[2]
    finished_study["stages"][0]["missing"] = ["mcqa", "oeq"]
    assert "tables/mcqa and 1 more missing; run snakemake first" in posologie("package", *SHARED)[2]
    finished_study |= {"stages": [], "stale": {}}
    monkeypatch.undo()
    monkeypatch.chdir(project)
    monkeypatch.setattr(package, "state_of", lambda study: finished_study)
    table = project / "results/simulated/tables/mcqa.csv"
    table.write_text(table.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert "posologie verify lists all such files" in posologie("package", *SHARED)[2]
    assert not list(project.glob("simulated-crate*"))


ROW = ("--row", "mix=NAT", "metric=em", "decoding=constrained", "scope=all", "task=all", "variants=original")
TABLE = "simulated-crate/tables/mcqa.csv"


def test_an_archive_alone_is_enough_to_check_a_number(project, finished_study, posologie, asked, tmp_path):
    crate(posologie, "--with", "scores")
    (project / "results").rename(project / "gone")
    code, verification = asked("verify", "--results", "simulated-crate")
    assert {fault["state"] for fault in verification["faults"]} <= {"not sealed"}, "the tests' study seals no LaTeX"
    _, output, _ = posologie("verify", "--results", "simulated-crate")
    assert "artifacts are not in the archive; their seals were compared." in output
    code, shown = asked("explain", TABLE, *ROW, "aggregate=item_weighted")
    assert (code, shown["missing"], shown["not sealed"], shown["altered"]) == (0, [], [], [])
    files = []
    links = [shown["chain"]] if "chain" in shown else shown["parents"]
    while links:
        link = links.pop()
        files.append((link["kind"], link.get("state")))
        links += link["parents"]
    assert ("scores", "as sealed") in files
    assert ("mix", "not in the archive") in files


def test_an_archive_without_scores_names_what_a_number_was_made_of(project, finished_study, posologie, asked):
    crate(posologie)
    (project / "results").rename(project / "gone")
    code, output, error = posologie("explain", TABLE, *ROW, "aggregate=item_weighted")
    assert code == 0, error
    assert "not in the archive" in output
    assert "this archive holds no items" in posologie("testcase", "0", "NAT", "--results", "simulated-crate")[2]


def test_an_archive_that_was_changed_is_caught(project, finished_study, posologie, asked):
    crate(posologie, "--with", "scores")
    folder = project / "simulated-crate"
    (folder / "tables/mcqa.csv").write_text((folder / "tables/mcqa.csv").read_text().replace("62", "72"))
    (folder / "study.yaml").unlink()
    seal = folder / "seals/scores/tiny/NAT/seed-42/mcqa.parquet.seal.json"
    forged = json.loads(seal.read_text())
    forged["outputs"]["mcqa.parquet"] = "0" * 64
    seal.write_text(json.dumps(forged))
    _, verification = asked("verify", "--results", "simulated-crate")
    states = {(fault["state"], fault["file"].removeprefix("simulated-crate/")) for fault in verification["faults"]}
    assert {
        ("altered", "tables/mcqa.csv"),
        ("altered", "scores/tiny/NAT/seed-42/mcqa.parquet"),
        ("missing", "study.yaml"),
        ("outdated", "tables/mcqa.csv"),
    } <= states
    assert posologie("verify", "--results", "simulated-crate", "--fix")[0] == 2


def test_the_text_for_a_paper_is_written_from_an_archive_as_from_the_study(project, finished_study, posologie):
    crate(posologie)
    assert posologie("methods", "--output", "own")[0] == 0
    (project / "results").rename(project / "gone")
    assert (project / "simulated-crate/predictions/tiny/NAT/seed-42/mcqa.run.json").is_file()
    code, _, err = posologie("methods", "--results", "simulated-crate", "--output", "archived")
    assert (code, err) == (0, "")
    for name in ("methods.md", "methods.tex", "methods.bib"):
        assert (project / "archived" / name).read_text() == (project / "own" / name).read_text()


def test_an_archive_without_run_records_has_the_text_in_its_report(project, finished_study, posologie):
    crate(posologie)
    shutil.rmtree(project / "simulated-crate/predictions")
    code, _, err = posologie("methods", "--results", "simulated-crate")
    expected = "simulated-crate: this archive holds no run records; its report has the text under “For a paper”"
    assert (code, err) == (2, f"error: {expected}\n")


def test_an_archive_without_the_seal_of_its_report_is_refused(project, finished_study, posologie):
    crate(posologie)
    (project / "simulated-crate/seals/report/index.html.seal.json").unlink()
    code, _, err = posologie("methods", "--results", "simulated-crate")
    assert (code, err) == (2, "error: simulated-crate/report/index.html: no report with a seal; take a fresh copy\n")
