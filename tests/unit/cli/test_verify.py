"""`posologie verify` finds whatever is not as it was made; `posologie accept` records reviewed changes of code."""

import json

import pytest

from posologie.running.code_digest import digest
from posologie.running.seals import read_seal

SCORES = "results/simulated/scores/tiny/NAT/seed-42/mcqa.parquet"


@pytest.fixture
def study(project):
    return project / "results/simulated"


def states(verification):
    return {(fault["state"], fault["file"]) for fault in verification["faults"]}


def test_a_study_as_it_was_made_has_no_fault_but_files_without_a_seal(study, asked):
    code, verification = asked("verify")
    assert code == 1
    assert {state for state, _ in states(verification)} == {"not sealed"}
    assert {file.rpartition(".")[2] for _, file in states(verification)} == {"tex"}, "the tests' study seals no LaTeX"


def test_a_folder_without_seals_is_no_study(project, posologie):
    (project / "my notes").mkdir()
    code, out, err = posologie("verify", "--results", "my notes")
    assert (code, out) == (2, "")
    assert err == "error: --results my notes: no seals in it; expected the results of a study, or an archive of them\n"


def test_altered_missing_and_outdated_files_are_named(project, study, asked):
    (project / SCORES).write_bytes(b"other scores")
    (study / "predictions/tiny/base/mcqa.parquet").unlink()
    _, verification = asked("verify")
    assert ("altered", SCORES) in states(verification)
    assert ("missing", "results/simulated/predictions/tiny/base/mcqa.parquet") in states(verification)
    assert ("outdated", "results/simulated/tables/mcqa.csv") in states(verification), "made of scores that were changed"


def test_fix_moves_altered_files_aside_and_loses_nothing(project, study, asked):
    (project / SCORES).write_bytes(b"by hand")
    code, verification = asked("verify", "--fix")
    aside = study / "set-aside/scores/tiny/NAT/seed-42/mcqa.parquet"
    assert (code, verification["moved"]) == (1, [aside.relative_to(project).as_posix()])
    assert aside.read_bytes() == b"by hand"
    assert not (project / SCORES).exists()


def test_changes_of_code_are_listed_and_accepted_with_a_reason(study, asked):
    code, changes = asked("accept")
    changed = {change["module"]: change for change in changes["changes"]}
    assert code == 1
    assert changed["posologie.scoring"]["old"] == "0123456789abcdef"
    assert changed["posologie.scoring"]["new"] == digest("posologie.scoring")
    assert changed["posologie.scoring"]["artifacts"] == 16
    assert not (study / "accepted.json").exists()
    code, _ = asked("accept", "--module", "posologie.scoring", "--reason", "only faster")
    assert code == 1, "other changes are left"
    code, changes = asked("accept", "--reason", "reviewed")
    assert (code, asked("accept")[1]["changes"]) == (0, [])
    kept = json.loads((study / "accepted.json").read_text())
    assert {entry["reason"] for entry in kept} == {"only faster", "reviewed"}
    assert read_seal(study / "scores/tiny/NAT/seed-42/mcqa.parquet.seal.json").identity.code == "0123456789abcdef"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("accept", "--reason", " "), "--reason: empty; say why the change alters no number"),
        (
            ("accept", "--module", "posologie.none"),
            "--module posologie.none: its code has not changed; changed is posologie.",
        ),
        (("verify", "--results", "results/other"), "--results results/other: no such folder"),
    ],
)
def test_a_question_that_does_not_fit_is_one_line(study, posologie, words, message):
    code, out, err = posologie(*words)
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
