"""The view of a running Snakemake: what it counts, what it says, and Snakemake with it."""

import json
import logging
import re
import subprocess
import sys
import time
from io import StringIO
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console
from snakemake_interface_logger_plugins.common import LogEvent

from posologie.cli import live
from posologie.cli.live import Board, LogHandler, stage_of

SETTINGS = {
    "dryrun": False, "printshellcmds": False, "verbose": False, "debug_dag": False, "stdout": False, "nocolor": True,
    "quiet": set(), "show_failed_logs": True,
}  # fmt: skip
WORKFLOW = """
rule all:
    input: expand("score_{i}", i=["a", "b"])
rule train_adapter:
    output: "train_{i}"
    message: "Train mix {wildcards.i}"
    shell: "touch {output}"
rule score_predictions:
    input: "train_{i}"
    output: "score_{i}"
    log: "score_{i}.log"
    shell: "(if [ {wildcards.i} = b ]; then echo 'error: gold.csv: row 3: no answer' >&2; exit 2; fi; touch {output}) 2> {log}"
"""  # noqa: E501


@pytest.fixture
def board():
    """Two trainings, one done after 4 s and one running, and two predictions to come."""
    board = Board({"predict_mcqa": 10.0})
    board.plan({"train_adapter": 2, "predict_mcqa": 2, "all": 1, "total": 5})
    board.start(1, "train_adapter", "Train NAT")
    board.start(2, "train_adapter", "Train SYN")
    board.jobs[1].started -= 4
    board.finish(1)
    return board


def test_a_stage_counts_the_jobs_of_its_rules(board):
    assert board.of_stage("training") == (1, 2)
    assert board.of_stage("prediction") == (0, 2)
    assert board.stages() == ["training", "prediction"]


def test_the_time_left_is_that_of_the_jobs_left_shared_by_those_that_run_at_once(board):
    seconds, known = board.seconds_left()
    assert seconds == pytest.approx((4 + 2 * 10) / 2, abs=0.1)
    assert known
    assert board.headline() == "1 of 5 jobs done, 1 running, 3 waiting, about 12 s left"


def test_jobs_of_a_rule_without_a_record_make_the_time_left_a_least_one():
    board = Board()
    board.plan({"train_adapter": 1, "predict_mcqa": 2, "total": 3})
    board.start(1, "train_adapter", "Train NAT")
    board.jobs[1].started -= 4
    board.finish(1)
    board.start(2, "predict_mcqa", "Predict")
    assert board.seconds_left() == (0.0, False)


def test_the_last_job_of_a_stage_completes_it(board):
    assert board.finish(2) == "training"
    board.start(3, "predict_mcqa", "Predict NAT")
    assert board.finish(3) == ""


def test_a_failed_job_says_its_reason_in_one_line(board, tmp_path):
    log = tmp_path / "train.log"
    log.write_text("started\nerror: data.csv: row 3: no gold\nended\n")
    assert board.fail(2, "train_adapter", (str(log),)) == f"Train SYN: error: data.csv: row 3: no gold ({log})"
    assert board.headline() == "1 of 5 jobs done, 3 waiting, 1 failed"


def test_a_job_without_a_log_that_failed_is_still_named(board):
    assert board.fail(9, "train_adapter", ()) == "train_adapter: failed without a message"


def test_the_longest_beginning_decides_on_the_stage():
    assert (stage_of("screen_documents"), stage_of("screen_shard"), stage_of("all")) == ("generation", "screening", "")


def started(job, rule, message):
    """Return the facts of a job that starts."""
    return {
        "event": LogEvent.JOB_INFO, "jobid": job, "rule_name": rule, "rule_msg": message, "wildcards": {}, "log": [],
    }  # fmt: skip


def shown(monkeypatch, tmp_path, capsys, *records, **settings):
    """Return what a handler prints of some records."""
    monkeypatch.chdir(tmp_path)
    handler = LogHandler(SimpleNamespace(**SETTINGS | settings), None)
    for level, text, facts in records:
        record = logging.LogRecord("snakemake", level, "", 0, text, (), None)
        record.__dict__.update(facts)
        handler.emit(record)
    handler.close()
    return capsys.readouterr().err.splitlines()


def test_routine_is_left_to_the_log_file_and_the_rest_is_printed(monkeypatch, tmp_path, capsys):
    lines = shown(
        monkeypatch, tmp_path, capsys,
        (logging.INFO, "Building DAG of jobs...", {}),
        (logging.WARNING, "SLURM holds job 3", {}),
        (logging.INFO, "Unlocked working directory.", {}),
    )  # fmt: skip
    assert lines == ["SLURM holds job 3", "Unlocked working directory."]


def test_a_long_run_without_a_terminal_says_how_far_it_is(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(live, "BETWEEN", 0.0)
    lines = shown(
        monkeypatch, tmp_path, capsys,
        (logging.INFO, "", {"event": LogEvent.RUN_INFO, "stats": {"train_adapter": 1, "predict_mcqa": 1}}),
        (logging.INFO, "", started(1, "train_adapter", "Train NAT")),
    )  # fmt: skip
    assert lines[-1] == "[0 s] 0 of 2 jobs done, 1 running, 1 waiting"


def test_a_terminal_sees_one_view_that_is_redrawn(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    handler = LogHandler(SimpleNamespace(**SETTINGS), None)
    handler.console = Console(file=StringIO(), force_terminal=True, width=90)
    for text, facts in (
        ("", {"event": LogEvent.RUN_INFO, "stats": {"train_adapter": 2, "total": 2}}),
        ("", started(1, "train_adapter", "Train NAT")),
        ("Finished jobid: 1 (Rule: train_adapter)", {"event": LogEvent.JOB_FINISHED, "job_id": 1}),
        ("", started(2, "train_adapter", "Train SYN")),
    ):
        record = logging.LogRecord("snakemake", logging.INFO, "", 0, text, (), None)
        record.__dict__.update(facts)
        handler.emit(record)
    handler.live.refresh()
    view = handler.console.file.getvalue()
    handler.close()
    assert "1 of 2" in view
    assert "Train SYN" in view
    assert "1 of 2 jobs done, 1 running" in view


def test_a_view_that_breaks_says_so_once_and_leaves_the_rest_to_the_log_file(monkeypatch, tmp_path, capsys):
    lines = shown(
        monkeypatch, tmp_path, capsys,
        (logging.WARNING, "before", {}),
        (logging.INFO, "", {"event": LogEvent.RUN_INFO, "stats": "no\ncounts"}),
        (logging.INFO, "", {"event": LogEvent.RUN_INFO, "stats": None}),
        (logging.WARNING, "after", {}),
    )  # fmt: skip
    before, broken = lines
    assert before == "before"
    assert broken.startswith("warning: the live view broke (AttributeError: 'str' object has no attribute 'items')")
    assert ".snakemake/log" in broken
    assert "--verbose" in broken


def test_a_view_that_breaks_on_a_terminal_gives_the_terminal_back(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    handler = LogHandler(SimpleNamespace(**SETTINGS), None)
    handler.console = Console(file=StringIO(), force_terminal=True, width=90)
    for facts in ({"stats": {"train_adapter": 1}}, {"stats": None}):
        record = logging.LogRecord("snakemake", logging.INFO, "", 0, "", (), None)
        record.__dict__.update(facts, event=LogEvent.RUN_INFO)
        handler.emit(record)
    assert handler.live is None
    assert "\x1b[?25h" in handler.console.file.getvalue(), "the cursor is shown again"
    handler.close()
    assert capsys.readouterr().err.count("the live view broke") == 1


def emitted(handler, facts):
    """Hand a record with some facts to a handler."""
    record = logging.LogRecord("snakemake", logging.INFO, "", 0, "", (), None)
    record.__dict__.update(facts)
    handler.emit(record)


@pytest.fixture
def on_terminal(monkeypatch, tmp_path):
    """A function that begins a view on a terminal and returns its handler and a list: drawing raises an error in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(live, "REDRAWN", 0.01)
    errors = []
    draw = Board.__rich__

    def draw_or_fail(board):
        if errors:
            raise errors[0]
        return draw(board)

    monkeypatch.setattr(Board, "__rich__", draw_or_fail)

    def begin():
        handler = LogHandler(SimpleNamespace(**SETTINGS), None)
        handler.console = Console(file=StringIO(), force_terminal=True, width=90)
        emitted(handler, {"event": LogEvent.RUN_INFO, "stats": {"train_adapter": 2, "total": 2}})
        return handler, errors

    return begin


def test_the_view_is_redrawn_between_records(on_terminal):
    handler, _ = on_terminal()
    emitted(handler, started(1, "train_adapter", "Train NAT"))
    end = time.monotonic() + 20
    while "Train NAT" not in handler.console.file.getvalue() and time.monotonic() < end:
        time.sleep(0.01)
    assert "Train NAT" in handler.console.file.getvalue()
    handler.close()


def test_a_view_that_breaks_while_it_is_redrawn_says_so_once_and_gives_the_terminal_back(on_terminal, capsys):
    handler, errors = on_terminal()
    errors.append(RuntimeError("dictionary changed size"))
    end = time.monotonic() + 20
    while not handler._is_broken and time.monotonic() < end:
        time.sleep(0.01)
    emitted(handler, started(1, "train_adapter", "Train NAT"))
    handler.close()
    err = capsys.readouterr().err
    assert err.count("the live view broke (RuntimeError: dictionary changed size)") == 1
    assert "Traceback" not in err
    assert "\x1b[?25h" in handler.console.file.getvalue(), "the cursor is shown again"


def test_a_view_that_breaks_at_its_end_says_so_and_remembers_how_long_jobs_took(on_terminal, monkeypatch, capsys):
    handler, errors = on_terminal()
    monkeypatch.setattr(live, "REDRAWN", 60.0)
    Path(".snakemake").mkdir()
    emitted(handler, started(1, "train_adapter", "Train NAT"))
    emitted(handler, {"event": LogEvent.JOB_FINISHED, "job_id": 1, "msg": "Finished jobid: 1 (Rule: train_adapter)"})
    errors.append(OSError(5, "Input/output error"))
    handler.close()
    assert "the live view broke (OSError: [Errno 5] Input/output error)" in capsys.readouterr().err
    assert json.loads(live._SECONDS.read_text()).keys() == {"train_adapter"}


def test_a_terminal_that_is_gone_does_not_end_the_run(on_terminal, monkeypatch):
    closed = StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)
    handler, _ = on_terminal()
    emitted(handler, {"event": LogEvent.RUN_INFO, "stats": "no counts"})
    handler.close()
    assert handler._is_broken


def test_snakemake_goes_on_when_the_view_breaks(tmp_path):
    (tmp_path / "Snakefile").write_text(WORKFLOW.replace("exit 2; ", ""))
    break_view = "from posologie.cli import live; live.Board.start = lambda *facts: 1 / 0; "
    command = [
        sys.executable,
        "-c",
        break_view + "from snakemake.cli import main; main()",
        "--cores",
        "1",
        "--logger",
        "posologie",
    ]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stderr.count("the live view broke (ZeroDivisionError: division by zero)") == 1
    assert (tmp_path / "score_b").exists()


def test_snakemake_prints_a_line_for_each_stage_and_one_for_what_fails(tmp_path):
    (tmp_path / "Snakefile").write_text(WORKFLOW)
    command = [sys.executable, "-m", "snakemake", "--cores", "1", "--logger", "posologie", "-k"]
    lines = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False).stderr.splitlines()
    assert lines[0].endswith("] 0 of 5 jobs done, 5 waiting")
    assert any("training: all 2 done; " in line for line in lines)
    assert "score_predictions b: error: gold.csv: row 3: no answer (score_b.log)" in lines
    assert lines[-1].startswith("3 of 5 jobs done, 1 waiting, 1 failed (")
    (log,) = (tmp_path / ".snakemake/log").glob("*.log")
    assert "Error in rule score_predictions" in log.read_text()
    assert json.loads((tmp_path / live._SECONDS).read_text()).keys() == {"train_adapter", "score_predictions"}


def test_every_rule_that_makes_something_has_a_stage(repository):
    texts = [file.read_text(encoding="utf-8") for file in sorted((repository / "workflow/rules").glob("*.smk"))]
    named = [name for text in texts for name in re.findall(r"^ *(?:rule|checkpoint) (\w+):$", text, re.MULTILINE)]
    built = [name for text in texts for name in re.findall(r'^ +name:\s+f?"(\w+)', text, re.MULTILINE)]
    assert {"train_adapter", "tabulate_", "fetch_model_"} <= {*named, *built}
    assert not [name for name in (*named, *built) if not stage_of(name)]
