"""What a running Snakemake shows: stages, jobs, the time left and the last problem, in one view that is redrawn.

Snakemake finds this handler through `snakemake_logger_plugin_posologie` (`logger: posologie` in a profile). Where
standard error is no terminal, a line is printed for each stage that is complete. Everything else stands in Snakemake's
own log file. A dry run, `--printshellcmds` and `--verbose` are shown as Snakemake shows them.
"""

import contextlib
import json
import logging
import re
import sys
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text
from snakemake.logging import ColorizingTextHandler, DefaultFormatter
from snakemake_interface_logger_plugins.base import LogHandlerBase
from snakemake_interface_logger_plugins.common import LogEvent

from posologie.cli.places import duration
from posologie.cli.running import reason_in

STAGES = {
    "sources": ("fetch_dataset", "read_", "collect_", "import_ratings"),
    "models": ("fetch_model_",),
    "generation": (
        "generate_", "generation_plan", "count_parts", "gather_parts", "translate_", "score_translations",
        "screen_documents",
    ),
    "screening": ("screen_shard", "rate_items_"),
    "look": ("look_",),
    "mixes": ("draw_mix",),
    "training": ("train_", "merge_adapter"),
    "prediction": ("predict_", "ask_", "import_answers_"),
    "judging": ("judge_", "calibrate_", "make_kit_"),
    "scoring": ("score_", "audit_"),
    "tables": ("tabulate_",),
    "report": ("draw_figures", "browse_items", "write_report"),
    "release": ("write_card", "push_model"),
}  # fmt: skip
"""How the rules of each stage begin, in the order of the data flow; the longest beginning counts."""

BETWEEN = 600.0
"""Seconds after which a run without a terminal says how far it is, even if no stage is complete."""

REDRAWN = 0.5
"""Seconds between two drawings of the view on a terminal."""

_ROUTINE = (
    "Assuming unrestricted", "Building DAG", "Using shell", "Provided ", "Rules claiming", "Conda environments: ig",
    "Singularity", "Select jobs", "Removing temporary", "Updating checkpoint", "Touching output", "Processed ",
    "DAG of ", "Job ", "Loading ", "Execute ", "Elapsed time", "Exiting because", "RuleException",
    "WorkflowError:\nAt least one job",
)  # fmt: skip
"""How Snakemake's words begin that stand in its log file alone."""

_SECONDS = Path(".snakemake/posologie-seconds.json")


def stage_of(rule: str) -> str:
    """Return the stage of a rule; empty for a target, which only gathers."""
    fitting = [(len(start), stage) for stage, starts in STAGES.items() for start in starts if rule.startswith(start)]
    return max(fitting)[1] if fitting else ""


@dataclass
class Running:
    """A job under way."""

    rule: str
    label: str
    log: tuple[str, ...] = ()
    started: float = field(default_factory=time.monotonic)


class Board:
    """The state of a run: how many jobs of each rule are planned, running, done and failed."""

    def __init__(self, seconds: Mapping[str, float] | None = None) -> None:
        """Begin with nothing planned; `seconds` says how long jobs of each rule took in earlier runs."""
        self.planned: Counter[str] = Counter()
        self.done: Counter[str] = Counter()
        self.jobs: dict[int, Running] = {}
        self.failed: dict[int, str] = {}  # job → rule; one that is tried again has not failed
        self.total = 0
        self.problem = ""
        self.began = time.monotonic()
        self.took: dict[str, list[float]] = {}
        self._earlier = dict(seconds or {})
        self._widest = 1

    def plan(self, counts: Mapping[str, int]) -> None:
        """Take the number of jobs by rule."""
        self.planned = Counter({rule: count for rule, count in counts.items() if rule != "total"})
        self.total = self.planned.total()

    def start(self, job: int, rule: str, label: str, log: tuple[str, ...] = ()) -> None:
        """Take note of a job that starts."""
        self.failed.pop(job, None)
        self.jobs[job] = Running(rule, label, log)
        self._widest = max(self._widest, len(self.jobs))

    def finish(self, job: int, rule: str = "") -> str:
        """Take note of a job that is done, and return its stage if that is complete by now, else nothing."""
        running = self.jobs.pop(job, None)
        rule = running.rule if running is not None else rule
        self.done[rule] += 1
        if running is not None:
            self.took.setdefault(rule, []).append(time.monotonic() - running.started)
        stage = stage_of(rule)
        return stage if stage and self.of_stage(stage)[0] >= self.of_stage(stage)[1] else ""

    def fail(self, job: int, rule: str, log: tuple[str, ...]) -> str:
        """Take note of a job that failed, and return the message to print: its label, the reason and its log."""
        running = self.jobs.pop(job, None)
        self.failed[job] = rule
        label = running.label if running is not None else rule
        where = f" ({log[0]})" if log else ""
        self.problem = f"{label}: {reason_in(log)}{where}"
        return self.problem

    def of_stage(self, stage: str) -> tuple[int, int]:
        """Return how many jobs of a stage are done, and how many there are."""
        rules = [rule for rule in {*self.planned, *self.done} if stage_of(rule) == stage]
        done = sum(self.done[rule] for rule in rules)
        return done, max(done, sum(self.planned[rule] for rule in rules))

    def stages(self) -> list[str]:
        """Return the stages that have jobs, in the order of the data flow."""
        return [stage for stage in STAGES if self.of_stage(stage)[1]]

    def seconds(self) -> dict[str, float]:
        """Return how long a job of each rule takes: the mean of this run, or else that of earlier ones."""
        return self._earlier | {rule: sum(took) / len(took) for rule, took in self.took.items() if stage_of(rule)}

    def seconds_left(self) -> tuple[float, bool]:
        """Return the seconds left at the width that the run has had, and whether every rule is known."""
        means, total, known = self.seconds(), 0.0, True
        under_way = [*(job.rule for job in self.jobs.values()), *self.failed.values()]
        waiting = self.planned - self.done - Counter(under_way)
        for rule, count in waiting.items():
            if stage_of(rule):
                known &= rule in means
                total += count * means.get(rule, 0.0)
        now = time.monotonic()
        for job in self.jobs.values():
            known &= job.rule in means
            total += max(0.0, means.get(job.rule, 0.0) - (now - job.started))
        return total / self._widest, known

    def headline(self) -> str:
        """Return how many jobs are done, running and waiting, and how long it still takes."""
        done, running, failed = self.done.total(), len(self.jobs), len(self.failed)
        waiting = max(0, self.total - done - running - failed)
        if not waiting and not running and not failed:
            return f"{done} jobs done"
        counts = {"running": running, "waiting": waiting, "failed": failed}
        texts = [f"{done} of {self.total} jobs done", *(f"{count} {what}" for what, count in counts.items() if count)]
        seconds, known = self.seconds_left()
        if seconds >= 1 and done and running:
            texts.append(f"{'about' if known else 'at least'} {duration(seconds)} left")
        return ", ".join(texts)

    def __rich__(self) -> Group:
        """Return the view."""
        table = Table(box=None, pad_edge=False, show_header=False)
        table.add_column(no_wrap=True)
        table.add_column(no_wrap=True, min_width=20)
        table.add_column(no_wrap=True, justify="right")
        table.add_column(no_wrap=True, overflow="ellipsis")
        for stage in self.stages():
            done, total = self.of_stage(stage)
            under_way = ", ".join(job.label for job in [*self.jobs.values()] if stage_of(job.rule) == stage)
            style = "dim" if done >= total else "bold" if under_way else ""
            bar = ProgressBar(total=total, completed=done, width=20)
            table.add_row(Text(stage, style=style), bar, f"{done} of {total}", Text(under_way))
        rest = [Text(self.problem, style="red", no_wrap=True, overflow="ellipsis")] if self.problem else []
        return Group(table, Text(self.headline(), style="bold"), *rest)


class LogHandler(LogHandlerBase):  # type: ignore[misc]
    """Snakemake's log records as one view."""

    def __post_init__(self) -> None:
        """Choose how to show: as Snakemake does, as a live view, or as lines."""
        settings = self.common_settings
        plain = settings.dryrun or settings.printshellcmds or settings.verbose or settings.debug_dag
        stream = sys.stdout if settings.stdout else sys.stderr
        self.plain = None
        if plain:
            formatter = DefaultFormatter(settings.quiet, settings.show_failed_logs)
            self.plain = ColorizingTextHandler(nocolor=settings.nocolor, stream=stream, formatter=formatter)
        self.console = Console(file=stream, highlight=False, no_color=settings.nocolor or None)
        self.board = Board(_remembered())
        self.live: Live | None = None
        self._said = time.monotonic()
        self._shown = threading.Lock()
        self._is_broken = False
        self._ended = threading.Event()

    def emit(self, record: logging.LogRecord) -> None:
        """Show one record."""
        if self.plain is not None:
            self.plain.emit(record)
            return
        with self._shown:
            if self._is_broken:
                return
            try:
                self._take(record)
            except Exception as error:  # noqa: BLE001 - a view must not end a run
                self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        """Say once why the view broke, and show nothing from then on; Snakemake and its log file are not affected."""
        self._is_broken = True
        live, self.live = self.live, None
        if live is not None:
            with contextlib.suppress(Exception):  # what broke the view may also break its end
                live.stop()
        text = " ".join(f"{type(error).__name__}: {error}".split())
        with contextlib.suppress(OSError, ValueError):  # standard error may be gone or closed
            print(
                f"warning: the live view broke ({text}); the run goes on, and its log is the newest file in "
                ".snakemake/log. To see the log as it is written, run Snakemake with --verbose",
                file=sys.stderr,
            )

    def _take(self, record: logging.LogRecord) -> None:
        facts, board = record.__dict__, self.board
        event = facts.get("event")
        if event == LogEvent.RUN_INFO:
            board.plan(facts["stats"])
            self._begin()
        elif event == LogEvent.JOB_INFO:
            wildcards = " ".join(str(value) for value in dict(facts["wildcards"] or {}).values())
            label = facts["rule_msg"] or f"{facts['rule_name']} {wildcards}".strip()
            board.start(facts["jobid"], facts["rule_name"], label, tuple(facts["log"]))
        elif event == LogEvent.JOB_FINISHED:
            rule = re.search(r"\(Rule: (\w+)\)", str(facts["msg"]))
            if (stage := board.finish(facts["job_id"], rule[1] if rule else "")) and self.live is None:
                self._say(f"{stage}: all {board.of_stage(stage)[1]} done; {board.headline()}")
        elif event == LogEvent.PROGRESS:
            board.total = facts["total"]
        elif event == LogEvent.JOB_ERROR:
            self._print(board.fail(facts["jobid"], facts["rule_name"], tuple(facts["log"])), "red")
        elif event == LogEvent.GROUP_ERROR:
            for error in facts["job_error_info"]:
                self._print(board.fail(error["jobid"], error["rule_name"], tuple(error["log"])), "red")
        elif event in (None, LogEvent.ERROR) and _is_worth_saying(record):
            self._print(record.getMessage(), "red" if record.levelno >= logging.ERROR else "")
        if self.live is None and board.total and time.monotonic() - self._said > BETWEEN:
            self._say(board.headline())

    def _begin(self) -> None:
        if self.console.is_terminal and self.live is None:
            # An error in rich's own thread would end that thread alone: the view would stand still.
            self.live = Live(
                console=self.console, auto_refresh=False, transient=True, get_renderable=self.board.__rich__
            )
            self.live.start()
            threading.Thread(target=self._redraw, daemon=True).start()
        elif self.live is None:
            self._say(self.board.headline())

    def _redraw(self) -> None:
        """Draw the view again and again, until it breaks or the run ends."""
        while not self._ended.wait(REDRAWN):
            with self._shown:
                if self.live is None:
                    return
                try:
                    self.live.refresh()
                except Exception as error:  # noqa: BLE001 - a view must not end a run
                    self._give_up(error)

    def _say(self, text: str) -> None:
        self._said = time.monotonic()
        self._print(f"[{duration(self._said - self.board.began)}] {text}")

    def _print(self, text: str, style: str = "") -> None:
        """Print above the view, where lines stay."""
        self.console.print(Text(text, style=style), soft_wrap=True)

    def close(self) -> None:
        """End the view with how the run went, and remember how long its jobs took."""
        self._ended.set()
        with self._shown:
            if self.board.took:
                _remember(self.board.seconds())
            if self.plain is None and not self._is_broken:
                try:
                    self._end()
                except Exception as error:  # noqa: BLE001 - a view must not end a run
                    self._give_up(error)
        super().close()

    def _end(self) -> None:
        if self.live is not None:
            self.live.stop()
            self.live = None
        if self.board.took:
            self._print(f"{self.board.headline()} ({duration(time.monotonic() - self.board.began)})")
            self.board.took = {}

    @property
    def writes_to_stream(self) -> bool:
        """It writes to standard error, so Snakemake's own handler is not added."""
        return True

    @property
    def writes_to_file(self) -> bool:
        """It writes no log file: Snakemake's own has everything."""
        return False

    @property
    def has_filter(self) -> bool:
        """It takes Snakemake's filter, which follows `--quiet`."""
        return False

    @property
    def has_formatter(self) -> bool:
        """It formats records itself."""
        return True

    @property
    def needs_rulegraph(self) -> bool:
        """It needs no graph of rules."""
        return False


def _is_worth_saying(record: logging.LogRecord) -> bool:
    text = record.getMessage()
    return bool(text) and text != "None" and not text.strip().startswith(_ROUTINE)


def _remembered() -> dict[str, float]:
    """Return how long jobs of each rule took in earlier runs in this folder; nothing where that cannot be read."""
    with contextlib.suppress(OSError, ValueError, TypeError):
        return {str(rule): float(seconds) for rule, seconds in json.loads(_SECONDS.read_bytes()).items()}
    return {}


def _remember(seconds: Mapping[str, float]) -> None:
    with contextlib.suppress(OSError):
        rounded = {rule: round(value, 2) for rule, value in sorted(seconds.items())}
        partial = _SECONDS.with_suffix(".partial")
        partial.write_text(json.dumps(rounded, indent=1), encoding="utf-8")
        partial.replace(_SECONDS)
