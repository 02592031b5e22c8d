"""A study that writes and translates its own items: from documents and English questions to a mix that holds both."""

import csv
import json
import re

import pyarrow.parquet as pq
import pytest
from endpoint_server import Answer, EndpointServer, completion
from generation_study import reply_to, write_study

from posologie.records.items import read_items
from studies import Project

pytestmark = pytest.mark.slow

MIX = "results/made/mixes/TRAD-SYN/seed-42/train.parquet"
QUALITY = "results/made/tables/translation_quality.csv"
RUN = ("--configfile", "config/made.yaml", "--cores", "2")


async def careful(body, before):
    return Answer(completion(reply_to(body), 400, 100))


@pytest.fixture(scope="module")
def server():
    with EndpointServer(careful) as server:
        yield server


@pytest.fixture(scope="module")
def project(tmp_path_factory, server):
    """A copy of the project with the study, before anything was run."""
    project = Project.copy_to(tmp_path_factory.mktemp("made") / "project")
    write_study(project.root, server.url)
    return project


@pytest.fixture(scope="module")
def plan(project, server):
    """What the plan printed, and how many requests it sent."""
    return project.snakemake("generation_plan", *RUN), len(server.requests)


@pytest.fixture(scope="module")
def made(project, plan, server):
    """The study's results, once the mix and the table of translation quality were made."""
    project.snakemake(MIX, QUALITY, *RUN)
    return project.root / "results/made"


def test_the_plan_prints_requests_tokens_and_money_and_asks_nothing(plan):
    output, asked = plan
    assert asked == 0
    rows = {
        line.split()[0]: line.split()
        for line in output.splitlines()
        if re.match(r"(generated|translat|judgements|all )", line)
    }
    assert {name: row[1] for name, row in rows.items()} == {
        "generated/writer/abstracts": "9",
        "translated/translator/english/train": "9",
        "translation_quality/translator": "8",
        "judgements/reader/open": "14",  # of the backbone and of the adapter
        "all": "40",
    }
    assert float(rows["all"][-1]) == pytest.approx(sum(float(row[-1]) for row in rows.values()) / 2, abs=0.02)
    assert float(rows["all"][-1]) > 0


def test_a_mix_holds_what_the_study_wrote_and_translated(made):
    items = read_items(made / "mixes/TRAD-SYN/seed-42/train.parquet")
    assert sorted(item.source for item in items) == ["french"] * 4 + ["written"] * 4
    originals = {item.id: item for item in read_items(made / "shards/english/train.parquet")}
    for item in items:
        if item.source == "french":
            original = originals[item.meta["translated_from"]]
            assert item.gold == original.gold
            assert item.options == ("Ceftriaxone", "Amoxicilline", "Morphine", "Insuline")
        else:
            assert item.options[item.gold[0]] in item.meta["evidence"]


def test_every_question_that_was_asked_for_is_an_item_or_a_reject_with_its_reason(made):
    report = json.loads((made / "generated/writer/abstracts.json").read_text())
    rejects = pq.read_table(made / "generated/writer/abstracts.rejects.parquet").to_pylist()
    kept = read_items(made / "generated/writer/abstracts.parquet")
    assert report["tasks"]["mcqu"]["asked"] == len(kept) + len(rejects) == report["documents"] == 9
    assert report["tasks"]["mcqu"]["rejected"] == {"number not in the document": 3}
    translation = json.loads((made / "translated/translator/english/train.json").read_text())
    assert translation["items"] == translation["accepted"] == 9
    assert {item.id for item in kept} == {
        item.meta["made_from"] for item in read_items(made / "shards/written/train.parquet")
    }


def test_parts_are_of_the_configured_size_and_leave_nothing_behind_but_their_seals(made):
    assert json.loads((made / "generated/writer/abstracts.parts.json").read_text()) == {"rows": 9, "parts": 3}
    assert json.loads((made / "translated/translator/english/train.parts.json").read_text()) == {"rows": 9, "parts": 2}
    left = list(made.rglob("*-of-*"))
    assert len(left) == 5
    assert all(path.name.endswith(".parquet.seal.json") for path in left), "by which a changed prompt is noticed"


def test_every_translator_has_its_scores_and_the_comet_column_says_why_it_is_empty(made):
    with (made / "tables/translation_quality.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["metric"]: row for row in csv.DictReader(file) if row["translator"] == "translator"}
    assert float(rows["bleu"]["value"]) == float(rows["chrf"]["value"]) == 100
    assert rows["bleu"]["signature"].startswith("nrefs:1|")
    assert rows["comet"]["value"] == ""
    assert "unbabel-comet is not installed" in rows["comet"]["note"]
