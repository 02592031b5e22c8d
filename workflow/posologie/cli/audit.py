"""Compare two evaluations by other programs item by item: paired intervals, verdicts, power, position of the gold.

A and B are folders or files of one model each: samples of lm-evaluation-harness (`--log_samples`), Inspect's logs as
JSON, or tables with the columns item and score (and task, group, gold, answer):

  posologie audit output/base output/tuned
  posologie audit output/base output/tuned --metric acc_norm --metric exact_match --output audit.html
  posologie audit before.csv after.csv --margin 2 --output audit.csv

Differences are B − A in points. Tasks are one family, corrected by Holm. With --output NAME.csv the positions of the
right options are written to NAME.positions.csv.
"""

import argparse
from dataclasses import asdict
from fnmatch import fnmatch
from pathlib import Path

from rich.table import Table
from rich.text import Text

from posologie.cli.places import console, print_json
from posologie.prediction.outside_scores import Evaluation, read_evaluation
from posologie.records.files import write_csv, write_text
from posologie.report.audit import doubts, page_of, sentences, title_of
from posologie.report.tables import p_text
from posologie.running.errors import InputError
from posologie.statistics.audit import DIFFERENCES, POSITIONS, PREFERRED, Audit, audited
from posologie.statistics.spec import Statistics


def add_arguments(arguments: argparse.ArgumentParser) -> None:
    """Add the arguments of `audit`."""
    arguments.add_argument("a", type=Path, metavar="A", help="folder or file of the first model")
    arguments.add_argument("b", type=Path, metavar="B", help="folder or file of the second model")
    arguments.add_argument(
        "--metric", action="append", default=[], metavar="NAME", help="metric to compare, the first that a task has;"
        f" may be repeated (default: {', '.join(PREFERRED)}, then the first that the file names)",
    )  # fmt: skip
    arguments.add_argument("--tasks", nargs="+", metavar="PATTERN", help="tasks to compare, such as 'mmlu_*'")
    arguments.add_argument("--filter", metavar="NAME", help="filter of the harness to use (default: the first)")
    arguments.add_argument(
        "--group", metavar="PATH", help="field that names the case a sample shares with others, such as doc.passage"
    )
    arguments.add_argument(
        "--margin", type=float, metavar="POINTS", help="difference up to which A and B count as equal"
    )
    arguments.add_argument("--level", type=float, default=0.95, help="of the intervals (default: 0.95)")
    arguments.add_argument("--output", type=Path, metavar="FILE", help="write the audit as .csv or .html")


def answer(options: argparse.Namespace) -> int:
    """Print the audit."""
    if options.output is not None and options.output.suffix not in (".csv", ".html"):
        raise InputError(f"--output {options.output}: expected a name that ends in .csv or .html")
    if not 0.5 < options.level < 1:
        raise InputError(f"--level {options.level:g}: expected a number between 0.5 and 1, such as 0.95")
    if options.margin is not None and not options.margin > 0:
        raise InputError(f"--margin {options.margin:g}: expected a positive number of points")
    a, b = _named_apart(_read(options.a, options), _read(options.b, options), options)
    audit = audited(a, b, Statistics(level=options.level, margin=options.margin), options.metric)
    if options.output is not None:
        _write(options.output, audit, a, b)
    if options.json:
        print_json({"answer": sentences(audit, a, b), "doubts": doubts(audit, a, b), **asdict(audit)})
    else:
        _print(audit, a, b)
    return 0


def _read(path: Path, options: argparse.Namespace) -> Evaluation:
    evaluation = read_evaluation(path, chosen_filter=options.filter, group=options.group)
    if options.tasks is None:
        return evaluation
    tasks = {
        name: items
        for name, items in evaluation.tasks.items()
        if any(fnmatch(name, pattern) for pattern in options.tasks)
    }
    if not tasks:
        raise InputError(f"{path}: no task fits --tasks; choose one of {', '.join(sorted(evaluation.tasks))}")
    return Evaluation(evaluation.name, tasks, evaluation.files, evaluation.notes, evaluation.falling)


def _named_apart(a: Evaluation, b: Evaluation, options: argparse.Namespace) -> tuple[Evaluation, Evaluation]:
    """Return the evaluations, named by their whole paths where the last parts are the same."""
    if a.name != b.name:
        return a, b
    named = (Evaluation(str(path), *(getattr(evaluation, key) for key in ("tasks", "files", "notes", "falling")))
             for path, evaluation in ((options.a, a), (options.b, b)))  # fmt: skip
    first, second = named
    return first, second


def _write(output: Path, audit: Audit, a: Evaluation, b: Evaluation) -> None:
    if output.suffix == ".html":
        write_text(output, page_of(audit, a, b))
        return
    write_csv(output, DIFFERENCES, audit.differences)
    write_csv(output.with_suffix(".positions.csv"), POSITIONS, audit.positions)


def _print(audit: Audit, a: Evaluation, b: Evaluation) -> None:
    out = console()
    for text in sentences(audit, a, b):
        out.print(text, markup=False)
    out.print()
    table = Table(box=None, pad_edge=False)
    for title in ("task", "metric", "items", "A, %", "B, %", "B − A", "simultaneous", "p", "detectable", "verdict"):
        table.add_column(title, justify="left" if title in ("task", "metric", "verdict") else "right")
    for row in audit.differences:
        bounds = row["simultaneous_low"], row["simultaneous_high"]
        cells = (
            title_of(row), row["metric"], f"{row['n']:,}", f"{row['a']:.1f}", f"{row['b']:.1f}", f"{row['value']:+.1f}",
            "" if None in bounds else f"{bounds[0]:+.1f} to {bounds[1]:+.1f}", p_text(row["p_adjusted"]),
            "" if row["detectable"] is None else f"{row['detectable']:.1f}", row["verdict"],
        )  # fmt: skip
        table.add_row(*map(Text, cells))
    out.print(table)
    noted = doubts(audit, a, b)
    if noted:
        out.print()
    for text in noted:
        out.print(text, markup=False)
