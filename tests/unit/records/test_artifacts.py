"""The table of artifacts: it agrees with the rules, and with the specification of the results."""

import fnmatch
import re
from pathlib import Path

import pytest

from posologie.records import layout
from posologie.records.artifacts import KINDS, kind_of, run_records

ROOT = Path(__file__).parents[3]
RULES = sorted((ROOT / "workflow" / "rules").glob("*.smk"))
NAMES = {kind.name for kind in KINDS}

PASSING = ("generated/{generator}/{collection}.parts/", "translated/{translator}/{source}/{split}.parts/", "{made}.")
"""What rules make that is no artifact by itself: parts, which are gathered under the names of any kind of items."""


def outputs():
    """Yield each rule with a path of its output; both as written, with wildcards in braces."""
    for file in RULES:
        for block in re.split(r"\n(?=(?: {0,4})(?:rule|checkpoint)\b)", file.read_text(encoding="utf-8"))[1:]:
            name = re.search(r"(?:rule|checkpoint) (\w+):", block) or re.search(r'name:\s+f?"([^"]+)"', block)
            output = re.search(r"\n( *)output:\n(.*?)\n\1\w+:", block, re.DOTALL)
            for path in re.findall(r'<results>/([^"]+)"', output[2]) if output else ():
                yield name[1], path.replace("{{", "{").replace("}}", "}")
            for table in re.findall(r'table_csv\(("?)(\w+)', output[2]) if output else ():
                yield name[1], f"tables/{table[1]}.csv"


def test_every_output_of_every_rule_is_in_the_table():
    declared = [(rule, path) for rule, path in outputs() if not path.startswith(PASSING)]
    assert len(declared) > 40, "the rules are read"
    for rule, path in declared:
        kind = kind_of(re.sub(r"\{(\w+)\}", r"\1", path))
        assert kind is not None, (rule, path)
        named = re.sub(r"\{\w+\}", "x", rule)
        assert any(fnmatch.fnmatch(named, pattern) for pattern in kind.rules), (rule, path, kind)


def test_every_rule_of_the_table_is_there():
    text = "\n".join(file.read_text(encoding="utf-8") for file in RULES)
    for kind in KINDS:
        for rule in kind.rules:
            assert re.search(rule.replace("*", r"\{?\w+"), text), (kind.name, rule)


def test_a_kind_is_made_of_kinds_that_there_are():
    assert all(set(kind.made_of) <= NAMES for kind in KINDS)
    assert len(NAMES) == len(KINDS)


@pytest.mark.parametrize("kind", KINDS, ids=[kind.name for kind in KINDS])
def test_every_file_of_a_kind_is_known_as_such_and_its_folder_is_specified(kind):
    for path in kind.paths():
        assert kind_of(re.sub(r"\{(\w+)\}", r"\1", path.replace("{model}", "backbone/mix/seed-1"))) is kind, path
    specified = (ROOT / "results" / "README.md").read_text(encoding="utf-8")
    assert f"{kind.path.partition('/')[0]}/" in specified, kind.path


def test_the_layout_is_that_of_the_table():
    made = {
        "shard": layout.shard("s", "train"),
        "screened": layout.screened("s", "train"),
        "mix": layout.mix("m", 1, "composition"),
        "leakage": layout.leakage("m", 1, "s"),
        "adapter": layout.adapter("b/m/seed-1", "run.json"),
        "predictions": layout.predictions_run("b/m/seed-1", "s"),
        "scores": layout.scores("b/base", "s"),
        "scores_neural": layout.scores_neural("b/base", "s"),
        "judgements": layout.judgements("j", "b/base", "s"),
        "calibration": layout.calibration("j", "r"),
        "human": layout.human("r"),
        "human_scores": layout.human_scores("r"),
        "quality": layout.quality("j", "s"),
        "table": layout.table("t"),
        "look": layout.look("index"),
    }
    assert {name: kind_of(path).name for name, path in made.items()} == {name: name for name in made}


def test_other_files_have_no_kind():
    assert [kind_of(path) for path in ("registration.json", "accepted.json", "shards/a.parquet", "x/y.csv")] == [
        None
    ] * 4


def test_run_records_are_found_beside_every_kind_that_has_one_and_nowhere_else(tmp_path):
    recorded = [kind for kind in KINDS if kind.recorded]
    names = {kind.name for kind in recorded}
    assert {"adapter", "predictions", "judgements", "calibration", "quality", "translation_quality"} == names
    made = []
    for kind in recorded:
        (path,) = (path for path in kind.paths() if path.endswith("run.json"))
        path = path.replace("{model}", "backbone/mix/seed-1")
        made.append(tmp_path / re.sub(r"\{(\w+)\}", r"\1", path))
    for path in (*made, tmp_path / "adapters" / "other.run.json", tmp_path / "work" / "run.json"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("{}")
    assert run_records(tmp_path) == sorted(made)


def test_the_specification_has_a_heading_or_a_row_for_every_folder_and_for_no_other():
    specified = (ROOT / "results" / "README.md").read_text(encoding="utf-8")
    headings = "\n".join(re.findall(r"^## .*$", specified, re.MULTILINE))
    folders = {kind.folder for kind in KINDS}
    rows = "\n".join(re.findall(r"^\| `[^`]+`", specified, re.MULTILINE))
    assert folders <= set(re.findall(r"`(\w+)/", headings + rows))
    assert set(re.findall(r"`(\w+)/", headings)) <= folders
