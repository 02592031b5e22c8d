"""`posologie compare`: what differs between two runs, in settings and in numbers."""

import csv
import json
import shutil

import pytest


@pytest.fixture
def two(project):
    """Two studies that are the same so far."""
    shutil.copytree("results/simulated", "results/other")
    return project


def change_record(path, **change):
    """Change a run record."""
    path.write_text(json.dumps(json.loads(path.read_text()) | change))


def test_a_study_is_the_same_as_its_copy(two, asked, posologie):
    code, found = asked("compare", "results/simulated", "results/other")
    assert code == 0
    assert found["settings"] == []
    assert {table["table"]: table["changed"] for table in found["tables"]} == {
        "composition": 0,
        "contrasts": 0,
        "mcqa": 0,
    }
    _, out, _ = posologie("compare", "results/simulated", "results/other")
    assert "Specs, code and versions are the same." in out


def test_a_changed_setting_is_named_with_both_values_and_where(two, asked):
    for mix in ("NAT", "SYN"):
        path = two / f"results/other/adapters/tiny/{mix}/seed-42/run.json"
        change_record(
            path, spec={"model": f"tiny/{mix}/seed-42", "stage": "training", "recipe": {"learning_rate": 2e-4}}
        )
    code, found = asked("compare", "results/simulated", "results/other")
    assert code == 1
    assert found["settings"] == [
        {
            "setting": "spec.recipe.learning_rate",
            "a": "0.0001",
            "b": "0.0002",
            "in": ["adapters/tiny/NAT/seed-42/run.json", "adapters/tiny/SYN/seed-42/run.json"],
        }
    ]


def test_changed_numbers_come_first_and_largest_first(two, asked, posologie):
    path = two / "results/other/tables/contrasts.csv"
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    rows[0]["value"] = str(float(rows[0]["value"]) + 1)
    rows[1]["value"] = str(float(rows[1]["value"]) - 5)
    rows[2]["note"] = "another"
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows[:-1])
    code, found = asked("compare", "results/simulated", "results/other")
    table = next(one for one in found["tables"] if one["table"] == "contrasts")
    assert code == 1
    assert (table["changed"], table["only_a"], table["only_b"]) == (3, 1, 0)
    assert [(change["column"], change["change"]) for change in table["changes"]] == [
        ("value", pytest.approx(-5)), ("value", pytest.approx(1)), ("note", None),
    ]  # fmt: skip
    _, out, _ = posologie("compare", "results/simulated", "results/other", "--most", "1")
    assert "… and 2 more changed cells" in out


def test_two_run_records_are_compared_whole(two, asked):
    records = [f"results/simulated/adapters/tiny/{mix}/seed-42/run.json" for mix in ("NAT", "SYN")]
    code, found = asked("compare", *records)
    assert code == 1
    assert {"spec.model", "seconds"} <= {one["setting"] for one in found["settings"]} | {"seconds"}
    assert any(one["setting"].startswith("inputs.") for one in found["settings"])


def test_a_model_that_only_one_study_has_is_told(two, asked):
    shutil.rmtree("results/other/adapters/tiny/ALL")
    _, found = asked("compare", "results/simulated", "results/other")
    assert {
        "setting": "run record",
        "a": "there",
        "b": "absent",
        "in": ["adapters/tiny/ALL/seed-42/run.json"],
    } in found["settings"]


def test_a_folder_without_records_is_refused(project, posologie):
    (project / "empty").mkdir()
    code, _, err = posologie("compare", "results/simulated", "empty")
    assert code == 2
    assert "empty: holds no run record" in err
    code, _, err = posologie("compare", "results/simulated", "nowhere")
    assert code == 2
    assert "nowhere: expected the folder of a study's results" in err
