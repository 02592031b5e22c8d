"""`posologie look`: what the shards hold, in the terminal."""

import json
from pathlib import Path

import pytest
import yaml

from looked import STUDY, item, write_shard, write_study
from posologie.config.job_specs import look_spec
from posologie.config.load import load_study
from posologie.look.__main__ import main as write_pages


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A project with the shards of a study; `config/config.yaml` is its study file."""
    monkeypatch.chdir(tmp_path)
    Path("config").mkdir()
    Path("config/config.yaml").write_text(yaml.safe_dump(STUDY, sort_keys=False), encoding="utf-8")
    write_study(Path("results/looked"))
    return tmp_path


def test_a_look_says_what_every_source_holds_and_nothing_is_written(folder, posologie):
    code, out, err = posologie("look")
    assert (code, err.strip()) == (0, "")
    assert "A look at the data of study looked" in out
    assert "What each mix takes of each source" in out
    assert sorted(path.name for path in (folder / "results/looked").iterdir()) == ["shards"]


def test_a_look_at_one_source_shows_its_items_with_the_gold_marked(folder, posologie):
    code, out, _ = posologie("look", "other")
    shown = item(339, source="other")
    assert code == 0
    assert "A look at other" in out
    assert out.count("▶ ") == 5
    assert out.count(" ✓") == 5
    assert "Choix de réponses" in out
    assert shown.source in out


def test_what_has_to_be_put_right_is_exit_code_one(folder, posologie):
    rejects = [("train.jsonl", row, "empty question", "", "{}") for row in range(60)]
    write_shard(Path("results/looked"), [item(number) for number in range(40)], rejects)
    assert posologie("look", "native")[0] == 1
    code, out, _ = posologie("look")
    assert code == 1
    assert "60 of 100 records of the train split (60 %) were rejected" in out
    assert posologie("look", "other")[0] == 0


def test_json_is_the_facts_of_the_page(folder, asked):
    code, facts = asked("look")
    assert code == 0
    assert list(facts["sources"]) == ["native", "other"]
    assert asked("look", "other")[1] == facts["sources"]["other"]


def test_pages_are_written_where_they_are_wanted(folder, posologie):
    code, out, _ = posologie("look", "--html", "pages")
    assert code == 0
    assert sorted(path.name for path in Path("pages").iterdir()) == ["index.html", "native.html", "other.html"]
    assert "The page: pages/index.html" in out


def test_facts_that_snakemake_wrote_are_read_while_nothing_has_changed(folder, posologie, monkeypatch):
    facts = Path("results/looked/look/facts.json")
    spec = look_spec(load_study("config/config.yaml")).canonical_json()
    write_pages(["--spec", spec, "--results", "results/looked", "--facts", str(facts)])
    marked = json.loads(facts.read_text(encoding="utf-8")) | {"title": "read from the file"}
    facts.write_text(json.dumps(marked), encoding="utf-8")
    assert "read from the file" in posologie("look")[1]
    assert "The page: results/looked/look/native.html" in posologie("look", "native")[1]
    write_shard(Path("results/looked"), [item(number) for number in range(59)])
    assert "read from the file" not in posologie("look")[1]


def test_what_cannot_be_looked_at_is_one_line(folder, posologie):
    code, _, err = posologie("look", "nativ")
    assert (code, err) == (2, "error: nativ: no such source; choose one of: native, other\n")
    (folder / "results/looked/shards").rename(folder / "elsewhere")
    code, _, err = posologie("look")
    assert (code, err) == (2, "error: results/looked/shards: no shard yet; `snakemake shards` reads the sources\n")


def test_a_source_may_not_have_the_name_of_the_page_about_all(folder, posologie):
    study = STUDY | {"sources": STUDY["sources"] | {"index": STUDY["sources"]["other"]}}
    Path("config/config.yaml").write_text(yaml.safe_dump(study, sort_keys=False), encoding="utf-8")
    code, _, err = posologie("look")
    assert code == 2
    assert err.startswith("error: sources.index: its page would be the one about all sources")
