"""How far judges and metrics agree with people, and how judges treat each generator."""

import hashlib
from pathlib import Path

from matplotlib.figure import Figure

from posologie.records import layout
from posologie.records.files import read_parquet
from posologie.report.figures.style import new_figure, point, row_panels, x_title
from posologie.report.inputs import Inputs
from posologie.report.judges import STATISTICS, agreements
from posologie.report.names import COLOURS, INK, MUTED
from posologie.report.words import rater_name

_CORRELATIONS = ("pearson", "spearman", "kendall", "kappa")
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
                point(panel, value, y, row.number("low"), row.number("high"), colour=colour)
        panel.set_title(STATISTICS[statistic])
    x_title(figure, f"agreement with people (ratings: {sets[0]})")
    return figure


def draw_calibration(inputs: Inputs) -> Figure | None:
    """Return a scatter for each judge of the first set: what it says of each answer against what people say.

    Overlapping points are spread by a hash of the answer, so that the drawing is the same every time.
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
    given: dict[str, list[float]] = {}
    for row in read_parquet(ratings, columns=["answer", "rating"]).to_pylist():
        given.setdefault(row["answer"], []).append(row["rating"])
    figure = new_figure(2.6)
    panels = figure.subplots(1, len(names[:4]), sharex=True, sharey=True, squeeze=False)[0]
    for panel, name in zip(panels, names, strict=False):
        columns = ["answer", "excluded", "label", "probability"]
        verdicts = read_parquet(_verdicts_file(inputs, name, sets[0]), columns=columns).to_pylist()
        xs, ys = [], []
        for row in verdicts:
            said = row["label"] if row["probability"] is None else row["probability"]
            if row["answer"] in given and said is not None and not row["excluded"]:
                people = given[row["answer"]]
                xs.append(sum(people) / len(people) + _spread(row["answer"], "x"))
                ys.append(said + _spread(row["answer"], "y"))
        panel.plot(xs, ys, "o", color=INK, markersize=4, alpha=0.5, markeredgewidth=0)
        panel.set_title(f"{name.removeprefix('judge:')} (n = {len(xs):,})")
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
                point(panel, value, generators.index(row["generator"]), row.number("low"), row.number("high"))
        panel.set_title(rater_name(judge))
    x_title(figure, "judge − people (points)")
    return figure
