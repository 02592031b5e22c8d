"""Jobs of a frozen run: they make what their run planned, and refuse what changed or what another run plans."""

import json

import pytest
from sealing_bench import MODULE, enter, sealing_bench  # noqa: F401 - the fixture `bench`

from posologie.running import sealing
from posologie.running.errors import InputError
from posologie.running.planning import freeze, frozen_study, rules_digest
from posologie.running.sealing import Request


def test_a_job_on_another_node_reads_the_study_in_the_order_in_which_it_was_written(bench, monkeypatch):
    document = {"sources": {"native": {}, "translated": {}, "synthetic": {}}, "mixes": {"b": {}, "a": {}}}
    enter(monkeypatch, freeze("work", "run-1", {"document": document}, {}, {}, {}))
    study_read = frozen_study()["document"]
    assert [list(study_read), *map(list, study_read.values())] == [
        ["sources", "mixes"], ["native", "translated", "synthetic"], ["b", "a"]
    ]  # fmt: skip


def test_a_job_of_a_frozen_run_refuses_other_code(bench, monkeypatch):
    enter(monkeypatch, freeze("work", "run-1", {"study": "s"}, {MODULE: "c0de"}, {}, {}))
    bench.make()
    bench.code = "edited"
    with pytest.raises(InputError, match=r"its code changed after run run-1 was planned \(c0de then, edited now\)"):
        bench.make("other")
    assert bench.runs == 1


def test_the_digest_of_the_rules_is_of_their_words_and_not_of_their_comments(bench):
    (bench.root / "rules/functions").mkdir(parents=True)
    (bench.root / "Snakefile").write_text('include: "rules/a.smk"\n')
    file = bench.root / "rules/functions/a.smk"
    texts = ["a = 1\n", "# a comment\na = 1\n\n", "    # another\na = 1", "a = 2\n", "a = 1\n", "    a = 1\n"]
    digests = []
    for text in texts:
        file.write_text(text)
        digests.append(rules_digest(bench.root))
    assert digests[0] == digests[1] == digests[2] == digests[4]
    assert len(set(digests)) == 3
    (bench.root / "Snakefile").write_text("")
    assert rules_digest(bench.root) not in digests


def test_a_job_refuses_an_input_of_another_identity_than_its_run_planned(bench, monkeypatch):
    bench.make("old")
    plan = {"out.txt": bench.identity("new")}
    request = Request(("out.txt",), ("next.txt",))

    def copy(argv):
        (bench.root / "next.txt").write_text("made")

    enter(monkeypatch, freeze("work", "run-1", {}, {}, plan, {}))
    with pytest.raises(InputError, match=r"out\.txt: made with other settings or code than run run-1 planned"):
        sealing.make(MODULE, lambda module: "c", [], request, copy)
    enter(monkeypatch, freeze("work", "run-2", {}, {}, {"out.txt": bench.identity("old")}, {}))
    sealing.make(MODULE, lambda module: "c", [], request, copy)
    assert (bench.root / "next.txt.seal.json").exists()


def test_a_job_of_a_run_that_is_over_makes_nothing_that_a_later_run_plans_otherwise(bench, monkeypatch):
    first = freeze("work", "run-1", {}, {}, {"out.txt": bench.identity("old")}, {})
    second = freeze("work", "run-2", {}, {}, {"out.txt": bench.identity("new")}, {})
    enter(monkeypatch, first)
    with pytest.raises(
        InputError, match="run run-2 plans it differently from run run-1, which has ended; nothing was made"
    ):
        bench.make("old")
    enter(monkeypatch, second)
    bench.make("new")
    assert bench.runs == 1


def test_runs_follow_each_other_as_they_were_planned_whatever_the_clocks_say(bench, monkeypatch):
    first = freeze("work", "run-b", {}, {}, {"out.txt": bench.identity("old")}, {})
    facts = json.loads((first / "run.json").read_text())
    (first / "run.json").write_text(json.dumps({**facts, "started": "9999-01-01T00:00:00.000+00:00"}))
    second = freeze("work", "run-a", {}, {}, {"out.txt": bench.identity("new")}, {})
    enter(monkeypatch, first)
    with pytest.raises(InputError, match="run run-a plans it differently from run run-b, which has ended"):
        bench.make("old")
    enter(monkeypatch, second)
    bench.make("new")
    assert bench.runs == 1


def test_a_job_refuses_to_make_what_its_own_run_did_not_plan(bench, monkeypatch):
    enter(monkeypatch, freeze("work", "run-1", {}, {}, {"out.txt": bench.identity("planned")}, {}))
    with pytest.raises(InputError, match=r"out\.txt: not what run run-1 planned: the rules of the workflow"):
        bench.make("other words of the rule")
    assert bench.runs == 0
    bench.make("planned")
    assert bench.runs == 1


def test_a_job_makes_what_the_last_run_plans_again_though_a_run_between_them_did_not(bench, monkeypatch):
    runs = [freeze("work", f"run-{name}", {}, {}, {"out.txt": bench.identity(name)}, {}) for name in ("old", "new")]
    runs += [freeze("work", "run-back", {}, {}, {"out.txt": bench.identity("old")}, {})]
    runs += [freeze("work", "run-elsewhere", {}, {}, {"other.txt": bench.identity("new")}, {})]
    enter(monkeypatch, runs[0])
    bench.make("old")
    enter(monkeypatch, runs[1])
    with pytest.raises(InputError, match="run run-back plans it differently from run run-new, which has ended"):
        bench.make("new")
    assert bench.runs == 1


def test_a_run_whose_folder_is_gone_stops_its_jobs(bench, monkeypatch):
    enter(monkeypatch, bench.root / "work/runs/none")
    with pytest.raises(InputError, match="the run that this job belongs to is gone"):
        bench.make()
