"""Figures of models: scores, training curves, judges."""

import hashlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from posologie.records import layout
from posologie.records.files import read_parquet
from posologie.report.figures.style import (
    Mark,
    legend_above,
    legend_columns,
    name_rows,
    new_figure,
    point,
    row_panels,
    x_title,
)
from posologie.report.inputs import Inputs
from posologie.report.judges import STATISTICS, agreements
from posologie.report.names import COLOURS, INK, MUTED, line_style, metric_name, rater_name, scope_title, scopes
from posologie.report.scores import drawn_choices, drawn_texts
from posologie.report.tables import Row, decimal, interval
from posologie.report.training import curves

_LEAST = 10.0
"""Percentage points that an axis shows at least: a difference of half a point shall not fill a panel."""


def draw_choices(inputs: Inputs) -> Figure | None:
    """Return exact match of every arm, under both decodings, on all items and on those of each component."""
    suites = inputs.suites_of("mcqa")
    if not suites:
        return None
    rows = drawn_choices(inputs)
    here = scopes(((row["scope_kind"], row["scope"]) for row in rows), inputs.spec.components)
    figure, panels = _panels(inputs, len(here), extra=1.1)
    for panel, (kind, scope) in zip(panels, here, strict=True):
        of_scope = [row for row in rows if (row["scope_kind"], row["scope"]) == (kind, scope)]
        for decoding, shift, marker, colour in (("constrained", -0.14, "o", INK), ("greedy", 0.14, "s", MUTED)):
            _points(
                inputs,
                panel,
                (row for row in of_scope if row["decoding"] == decoding),
                shift=shift,
                marker=marker,
                colour=colour,
                name=decoding,
            )
        panel.set_title(f"{scope_title(kind, scope, inputs.spec.components)} (n = {int(of_scope[0].needed('n')):,})")
    legend_above(figure, panels[0], 2)
    x_title(figure, "exact match, original order of options (%)")
    return figure


def draw_texts(inputs: Inputs) -> Figure | None:
    """Return what judges and text metrics say of every arm's open answers."""
    suites = inputs.suites_of("oeq")
    if not suites:
        return None
    rows = drawn_texts(inputs)
    measures = list(dict.fromkeys((row["metric"], row["decoding"]) for row in rows))
    figure, panels = _panels(inputs, len(measures), sharex=False)
    for panel, (metric, decoding) in zip(panels, measures, strict=True):
        here = [row for row in rows if (row["metric"], row["decoding"]) == (metric, decoding)]
        _points(
            inputs=inputs, panel=panel, rows=here, shift=0, marker="o", colour=INK, name=None, what=metric_name(metric)
        )
        panel.set_title(metric_name(metric).replace(" by ", "\nby "))
        panel.margins(x=0.08)
        low, high = panel.get_xlim()
        if here and here[0]["unit"] == "%" and high - low < _LEAST:
            middle = min(max((low + high) / 2, _LEAST / 2), 100 - _LEAST / 2)
            panel.set_xlim(middle - 0.54 * _LEAST, middle + 0.54 * _LEAST)  # so that no point at 0 is cut
    x_title(figure, f"open questions (n = {int(rows[0].needed('n')):,}), %")
    return figure


def draw_position(inputs: Inputs) -> Figure | None:
    """Return exact match in the original order, permuted, and permuted but scored against the letters of before."""
    suites = inputs.suites_of("mcqa")
    rows = [
        row
        for row in inputs.rows("mcqa", scope_kind="all", task="all", decoding="constrained")
        if row["suite"] in suites[:1] and row["aggregate"] == "item_weighted"
    ]
    if not any(row["variants"] == "permuted" for row in rows):
        return None
    figure, panels = _panels(inputs, 1, extra=1.1)
    for metric, variants, shift, marker, colour, name in (
        ("em", "original", -0.22, "o", INK, "original order"),
        ("em", "permuted", 0.0, "D", COLOURS["blue"], "permuted, gold follows its option"),
        ("em_unmapped", "permuted", 0.22, "X", COLOURS["vermillion"], "permuted, scored on old letters"),
    ):
        here = (row for row in rows if (row["metric"], row["variants"]) == (metric, variants))
        _points(inputs, panels[0], here, shift=shift, marker=marker, colour=colour, name=name)
    legend_above(figure, panels[0], 3)
    x_title(figure, "exact match, constrained decoding (%)")
    return figure


def _panels(inputs: Inputs, count: int, *, sharex: bool = True, extra: float = 0.9) -> tuple[Figure, list[Axes]]:
    """Return panels whose rows are the arms."""
    figure, panels = row_panels([arm.name for arm in inputs.arms], count, sharex=sharex, extra=extra)
    name_rows(panels[0], [Mark(arm.name, arm.name, inputs.components_of(arm.arm)) for arm in inputs.arms])
    return figure, panels


def _points(
    inputs: Inputs, panel: Axes, rows: Iterable[Row], shift: float, marker: str, colour: str, name: str | None,
    what: str = "",
) -> None:  # fmt: skip
    """Draw one value and interval for each arm."""
    place = {arm.model: number for number, arm in enumerate(inputs.arms)}
    for row in rows:
        value = row.number("value")
        if row["model"] in place and value is not None:
            low, high = row.number("low"), row.number("high")
            y = place[row["model"]]
            arm = inputs.arms[y]
            shown = f"{decimal(value, 1)} {row['unit']}".rstrip()
            text = f"{arm.name}, {name or what}: {shown} {interval(low, high, 1)}".rstrip()
            mark = Mark(text, arm.name, inputs.components_of(arm.arm), value)
            point(panel, value, y + shift, low, high, colour=colour, marker=marker, name=name, mark=mark)


def draw_training(inputs: Inputs) -> Figure | None:
    """Return the training loss at every update and the validation loss after every epoch, of every adapter.

    After a single epoch the validation losses are a row of values.
    """
    training_curves = curves(inputs)
    if not training_curves:
        return None
    columns = min(8, legend_columns([curve.name for curve in training_curves]))
    lines = -(-len(training_curves) // columns)
    once = all(len(curve.validation) < 2 for curve in training_curves)
    figure = new_figure(max(2.9, (0.9 + 0.16 * len(training_curves)) * once) + 0.2 * lines)
    left, right = figure.subplots(1, 2)
    for place, curve in enumerate(training_curves):
        colour, dash = line_style(place)
        ends = f"from {decimal(curve.loss[0])} to {decimal(curve.loss[-1])} nats" if curve.loss else "no updates"
        mark = Mark(
            f"{curve.name}: {ends} in {len(curve.steps):,} updates", curve.name, inputs.components_of(curve.mix)
        )
        left.plot(curve.steps, curve.loss, color=colour, linestyle=dash, linewidth=1.2, label=curve.name, gid=mark.gid)
        steps, losses = ([point[at] for point in curve.validation] for at in (0, 1))
        where = [place] * len(losses) if once else steps
        pairs = (losses, where) if once else (where, losses)
        least = f"{curve.name}: lowest validation loss {decimal(min(losses), 3)} nats" if losses else curve.name
        right.plot(
            *pairs, color=colour, linestyle=dash, linewidth=1.2, marker="o", markersize=4 if once else 3,
            gid=Mark(least, curve.name, inputs.components_of(curve.mix)).gid,
        )  # fmt: skip
    left.set_title("training loss")
    right.set_title("validation loss after the only epoch" if once else "validation loss")
    left.set_ylabel("cross-entropy (nats)")
    for panel in (left, right):
        panel.grid(axis="y")
        panel.set_xlabel("update")
    if once:  # a row for each adapter: one value is no curve
        right.set_yticks(range(len(training_curves)), [curve.name for curve in training_curves])
        right.set_ylim(len(training_curves) - 0.4, -0.6)
        right.set_xlabel("cross-entropy (nats)")
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=columns)
    return figure


_CORRELATIONS = ("pearson", "spearman", "kendall", "kappa")
_MOST_MARKED = 1000
"""Answers of a judge up to which each dot says which one it is: more would add megabytes and hide each other."""
_KINDS = {"human": COLOURS["green"], "judge": INK, "metric": MUTED}


def draw_agreement(inputs: Inputs) -> Figure | None:
    """Return the agreement of every rater with people, with intervals, on the first calibration set."""
    sets = list(dict.fromkeys(row["set"] for row in inputs.rows("agreement")))
    if not sets:
        return None
    rows = agreements(inputs, sets[0])
    shown = [name for name in _CORRELATIONS if any(row["statistic"] == name for row in rows)]
    raters = list(dict.fromkeys(row["rater"] for row in rows if row["statistic"] in shown))
    if not raters:
        return None
    figure, panels = row_panels([rater_name(rater) for rater in raters], len(shown))
    for panel, statistic in zip(panels, shown, strict=True):
        panel.axvline(0, color=MUTED, linewidth=1)
        for row in (row for row in rows if row["statistic"] == statistic):
            value = row.number("value")
            if value is not None:
                colour = _KINDS.get(row["rater_kind"], INK)
                y = raters.index(row["rater"])
                low, high = row.number("low"), row.number("high")
                text = f"{rater_name(row['rater'])}: {decimal(value)} {interval(low, high, 2)}".rstrip()
                point(panel, value, y, low, high, colour=colour, mark=Mark(text, row["rater"], (), value))
        panel.set_title(STATISTICS[statistic])
    x_title(figure, f"agreement with people (ratings: {sets[0]})")
    return figure


def draw_calibration(inputs: Inputs) -> Figure | None:
    """Return a scatter for each judge of the first set: what it says of each answer against what people say.

    Overlapping points are spread by a hash of the answer, so that the drawing is the same every time. A dot names its
    answer and leads to the same answer of the other judges.
    """
    sets = list(dict.fromkeys(row["set"] for row in inputs.rows("agreement")))
    if not sets:
        return None
    rows = inputs.rows("agreement", set=sets[0], rater_kind="judge")
    names = [
        name for name in dict.fromkeys(row["rater"] for row in rows) if _verdicts_file(inputs, name, sets[0]).is_file()
    ]
    ratings = inputs.root / layout.human(sets[0])
    if not names or not ratings.is_file():
        return None
    ratings_of: dict[str, list[float]] = {}
    for row in read_parquet(ratings, columns=["answer", "rating"]).to_pylist():
        ratings_of.setdefault(row["answer"], []).append(row["rating"])
    figure = new_figure(2.6)
    panels = figure.subplots(1, len(names[:4]), sharex=True, sharey=True, squeeze=False)[0]
    for panel, name in zip(panels, names, strict=False):
        columns = ["answer", "excluded", "label", "probability"]
        verdicts = read_parquet(_verdicts_file(inputs, name, sets[0]), columns=columns).to_pylist()
        judge = name.removeprefix("judge:")
        xs, ys, marks = [], [], []
        for row in verdicts:
            verdict = row["label"] if row["probability"] is None else row["probability"]
            if row["answer"] in ratings_of and verdict is not None and not row["excluded"]:
                people = sum(ratings_of[row["answer"]]) / len(ratings_of[row["answer"]])
                xs.append(people + _spread(row["answer"], "x"))
                ys.append(verdict + _spread(row["answer"], "y"))
                text = f"{row['answer']}: people {decimal(people)}, {judge} {decimal(verdict)}"
                marks.append(Mark(text, row["answer"]).gid)
        dot: dict[str, Any] = {"color": INK, "markersize": 4, "alpha": 0.5, "markeredgewidth": 0}
        if len(marks) > _MOST_MARKED:
            panel.plot(xs, ys, "o", **dot)
        else:
            for x, y, gid in zip(xs, ys, marks, strict=True):
                panel.plot(x, y, "o", gid=gid, **dot)
        panel.set_title(f"{judge} (n = {len(xs):,})")
        panel.grid()
    panels[0].set_ylabel("judge")
    x_title(figure, f"mean human rating (ratings: {sets[0]})")
    return figure


def _verdicts_file(inputs: Inputs, judge: str, name: str) -> Path:
    return inputs.root / layout.calibration(judge.removeprefix("judge:"), name)


def _spread(answer: str, axis: str) -> float:
    """Return a number between −0.03 and 0.03 that depends on the answer and axis alone."""
    return (int.from_bytes(hashlib.sha256(f"{axis}{answer}".encode()).digest()[:2]) / 65535 - 0.5) * 0.06


def draw_generator(inputs: Inputs) -> Figure | None:
    """Return what each judge gives every generator's answers beyond what people give them."""
    sets = list(dict.fromkeys(row["set"] for row in inputs.rows("generator")))
    if not sets:
        return None
    rows = inputs.rows("generator", set=sets[0])
    judges = list(dict.fromkeys(row["judge"] for row in rows))[:4]
    generators = list(dict.fromkeys(row["generator"] for row in rows))
    figure, panels = row_panels([inputs.generator_name(name) for name in generators], len(judges))
    for panel, judge in zip(panels, judges, strict=True):
        panel.axvline(0, color=MUTED, linewidth=1)
        for row in (row for row in rows if row["judge"] == judge):
            value = row.number("value")
            if value is not None:
                low, high = row.number("low"), row.number("high")
                name = inputs.generator_name(row["generator"])
                text = f"{name}: {decimal(value, 1, sign=True)} points {interval(low, high, 1, sign=True)}".rstrip()
                mark = Mark(text, name, (), value)
                point(panel, value, generators.index(row["generator"]), low, high, mark=mark)
        panel.set_title(rater_name(judge))
    x_title(figure, "judge − people (points)")
    return figure
