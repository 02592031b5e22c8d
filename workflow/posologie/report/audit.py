"""The audit of two evaluations in words, and as a page of its own."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from posologie.prediction.outside_scores import Evaluation
from posologie.report.blocks import Block, Cell, Column, Facts, Notice, Page, Prose, Section, Table
from posologie.report.html import as_html
from posologie.report.names import listed
from posologie.report.tables import decimal, interval, number_cell, p_cell, p_text
from posologie.running.installed import __version__
from posologie.statistics.audit import TOGETHER, Audit

Row = Mapping[str, Any]

_AGGREGATES = {"items": "all items", "tasks": "mean of the tasks", "": ""}


def title_of(row: Row) -> str:
    """Return what a row of differences is about."""
    return _AGGREGATES[row["aggregate"]] or str(row["task"])


def sentences(audit: Audit, a: Evaluation, b: Evaluation) -> list[str]:
    """Return the answer in a few sentences: all tasks together, single tasks, what could have been found."""
    together = [row for row in audit.differences if row["task"] == TOGETHER]
    tasks = [row for row in audit.differences if row["task"] != TOGETHER]
    texts = [f"A is {a.name}, B is {b.name}; differences are B − A."]
    texts += [_verdict(row) for row in (together[:1] or tasks)]
    if len(tasks) > 1:
        clear = [row for row in tasks if row["verdict"] in ("better", "worse")]
        words = [f"{row['task']} ({row['value']:+.1f})" for row in clear]
        texts.append(
            f"B differs from A on {len(clear)} of {len(tasks)} tasks after Holm's correction"
            + (f": {listed(words)} points." if clear else ".")
        )
        open_tasks = [row for row in tasks if row["verdict"] == "not settled" and row["detectable"] is not None]
        if open_tasks:
            least = min(open_tasks, key=lambda row: float(row["detectable"]))
            most = max(open_tasks, key=lambda row: float(row["detectable"]))
            texts.append(
                f"On the others, differences below {least['detectable']:.1f} ({least['task']}) to"
                f" {most['detectable']:.1f} points ({most['task']}) would usually go undetected."
            )
    elif tasks and tasks[0]["verdict"] == "not settled" and tasks[0]["detectable"] is not None:
        row = tasks[0]
        more = ""
        if row["settles_at_items"] is not None:
            more = f"; {abs(row['value']):.1f} points would need about {row['settles_at_items']:,} items"
        texts.append(f"Differences below {row['detectable']:.1f} points would usually go undetected{more}.")
    return texts


def _verdict(row: Row) -> str:
    words = {
        "better": "B is better",
        "worse": "B is worse",
        "equivalent": "A and B are equivalent within the margin",
        "not settled": "no clear difference",
    }[row["verdict"]]
    where = f"{title_of(row)} ({row['n']:,} items)"
    return (
        f"{where[0].upper()}{where[1:]}: {words}; {row['a']:.1f} % and {row['b']:.1f} %, difference"
        f" {decimal(row['value'], 1, sign=True)} points{_bounds(row)}, p {_equals(row['p_adjusted'])}."
    )


def _equals(value: float) -> str:
    text = p_text(value)
    return text if text.startswith("<") else f"= {text}"


def _bounds(row: Row) -> str:
    if row["low"] is None:
        return ""
    return f" ({100 * row['level']:g} % interval {interval(row['low'], row['high'], 1, sign=True)})"


def doubts(audit: Audit, a: Evaluation, b: Evaluation) -> list[str]:
    """Return what a reader has to know beside the numbers."""
    tasks = [row for row in audit.differences if row["task"] != TOGETHER]
    texts = [f"Not compared: {name}: {reason}." for name, reason in sorted(audit.left_out.items())]
    for row in tasks:
        if row["only_a"] or row["only_b"]:
            texts.append(
                f"{row['task']}: {row['only_a']:,} items only in A and {row['only_b']:,} only in B are left out;"
                f" {row['n']:,} are compared."
            )
        if row["other_prompts"]:
            texts.append(
                f"{row['task']}: the prompts differ on {row['other_prompts']:,} of {row['n']:,} items, so the"
                " difference is one of models and prompts together."
            )
    texts += [f"{side}: {note}." for side, evaluation in (("A", a), ("B", b)) for note in evaluation.notes]
    texts += list(_one_sided(audit))
    if audit.unplaced:
        texts.append(f"The position of the right option is not known for {listed(audit.unplaced)}.")
    return texts


def _one_sided(audit: Audit) -> Iterator[str]:
    """Yield, for each task, the model that does no better than always answering the commonest place of the gold."""
    shares: dict[str, list[Row]] = {}
    for row in audit.positions:
        if row["statistic"] == "gold_share":
            shares.setdefault(str(row["task"]), []).append(row)
    values = {row["task"]: row for row in audit.differences if row["task"] != TOGETHER}
    for task, rows in shares.items():
        if task not in values:
            continue
        commonest = max(rows, key=lambda row: float(row["value"]))
        for side in ("a", "b"):
            if values[task][side] <= commonest["value"]:
                yield (
                    f"{task}: {side.upper()} scores {values[task][side]:.1f} %, no more than always answering"
                    f" {commonest['label']} would ({commonest['value']:.1f} %)."
                )


def page_of(audit: Audit, a: Evaluation, b: Evaluation) -> str:
    """Return the page as HTML."""
    noted = doubts(audit, a, b)
    blocks: tuple[Block, ...] = (Prose(tuple(sentences(audit, a, b)), kind="answer"), _differences(audit))
    page_sections = [Section("differences", "Differences", blocks)]
    if audit.positions:
        page_sections.append(Section("positions", "Position of the right option", (_positions(audit),)))
    level = 100 * audit.differences[0]["level"]
    page_sections.append(Section("method", "How this was computed", (Prose((
        "Both models answered the same items, so the variance is that of the paired differences, over clusters of items"
        f" within tasks. Intervals hold {level:g} % each; the simultaneous ones and the corrected p-values (Holm)"
        " cover all tasks together. McNemar's exact test is added where every score is 0 or 1.",
    )),)))  # fmt: skip
    files = tuple((side, path.as_posix()) for side, evaluation in (("A", a), ("B", b)) for path in evaluation.files)
    page_sections.append(Section("files", "Files", (Facts(files),)))
    return as_html(
        Page(
            title=f"{b.name} against {a.name}",
            subtitle="Two evaluations compared item by item",
            sections=tuple(page_sections),
            notices=(Notice("What to know before these numbers are used", tuple(noted)),) if noted else (),
            footer=f"Made by posologie {__version__}; nothing is loaded.",
        )
    )


def _differences(audit: Audit) -> Table:
    columns = (
        Column("task", heading=True), Column("metric"), Column("items", number=True), Column("A, %", number=True),
        Column("B, %", number=True), Column("B − A", number=True), Column("verdict"),
        Column("p, corrected", number=True), Column("simultaneous interval"), Column("detectable", number=True),
        Column("McNemar's p", number=True),
    )  # fmt: skip
    rows = tuple(
        (
            Cell(title_of(row)),
            Cell(row["metric"]),
            number_cell(row["n"]),
            number_cell(row["a"], 1),
            number_cell(row["b"], 1),
            Cell(
                decimal(row["value"], 1, sign=True),
                sort=row["value"],
                interval=interval(row["low"], row["high"], 1, sign=True),
            ),
            Cell(row["verdict"], note=row["note"]),
            p_cell(row["p_adjusted"]),
            Cell(interval(row["simultaneous_low"], row["simultaneous_high"], 1, sign=True)),
            number_cell(row["detectable"], 1),
            p_cell(row["p_mcnemar"]),
        )
        for row in audit.differences
    )
    caption = (
        "Points. The tasks are one family, corrected by Holm; the rows of all tasks are tests of their own. Detectable:"
        " smallest true difference that would be found with 80 % power."
    )
    return Table("table-differences", "B against A", caption, columns, rows)


def _positions(audit: Audit) -> Table:
    """Return a row for each task and option place: share of gold, of each model's answers, and recall."""
    cells: dict[tuple[str, str], dict[tuple[str, str], Row]] = {}
    for row in audit.positions:
        cells.setdefault((row["task"], row["label"]), {})[row["statistic"], row["model"]] = row
    shown: Sequence[tuple[str, str, str]] = (
        ("gold_share", "", "gold, %"), ("predicted_share", "A", "A answers, %"),
        ("predicted_share", "B", "B answers, %"),
        ("recall", "A", "A right, %"), ("recall", "B", "B right, %"),
    )  # fmt: skip
    columns = (Column("task", heading=True), Column("option"), *(Column(title, number=True) for _, _, title in shown))
    rows = tuple(
        (Cell(task), Cell(label), *(_estimate(statistics.get((statistic, model))) for statistic, model, _ in shown))
        for (task, label), statistics in cells.items()
        if label
    )
    spreads = [
        f"{task}: {model} {row['value']:.1f}{_bounds(row)}"
        for (task, label), statistics in cells.items()
        for (statistic, model), row in statistics.items()
        if statistic == "recall_spread" and not label
    ]
    caption = (
        "How often each position holds the right option, how often a model chooses it, and how often the model is"
        " right there."
    )
    if spreads:
        caption += f" Largest minus smallest share right over the positions, in points: {'; '.join(spreads)}."
    return Table("table-positions", "Position of the right option", caption, columns, rows)


def _estimate(row: Row | None) -> Cell:
    if row is None or row["value"] is None:
        return Cell("–")
    return Cell(decimal(row["value"], 1), sort=row["value"], interval=interval(row["low"], row["high"], 1))
