"""Fit the score as a function of the dose to runs made elsewhere, without a study.

  posologie surface --ratios ratios.csv --metrics metrics.csv --metric accuracy
  posologie surface --ratios … --metrics … --metric loss_en=0.7 loss_fr=0.3 --lower loss_en loss_fr --figure s.svg

ratios.csv has a row for each run and a column for each component, whose shares sum to 1; metrics.csv a row for each run
and a column for each metric; METRIC_se is its standard error. The first column names the runs if it is called run,
index, name, mix or id. Rows with equal shares are repeated runs of a mix. --items has scores by item (columns run,
item, score and, if any, group).

Models are compared by predicting each mix from the others. The command says so if none is better than the mean. With
--proxy-ratios and --proxy-metrics, runs of a cheaper kind are a second fidelity, weighted by how well they agree with
the trained ones. The next mixes worth training come last; `posologie prescribe` also handles bounds, floors and prices.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from posologie.cli.places import console, print_json
from posologie.cli.prescribe import best_beside_mean, degree_of, proposals_table
from posologie.records.files import write_csv
from posologie.report.names import INK, MUTED, line_style
from posologie.running.errors import InputError
from posologie.running.whole_files import whole_file
from posologie.surface.answer import mix_text, mixes_yaml, new_names
from posologie.surface.choice import Choice, choose
from posologie.surface.fidelity import WithProxy, with_proxy
from posologie.surface.fit import FORMS, MEAN, Fitted
from posologie.surface.next_runs import Prescription, item_noise, offers_of, prescribe, saturated
from posologie.surface.optimum import Region, candidates_of, region_of
from posologie.surface.runs import Array, Runs, metrics_in, read_runs
from posologie.surface.simplex import whole_simplex

COLUMNS = (
    "row", "name", "shares", "size", "value", "predicted", "low", "high", "in_region", "rmse", "log_density", "note",
)  # fmt: skip
_FORMS = {form.name: form for form in FORMS}
_TRACES = 7


def add_arguments(arguments: argparse.ArgumentParser) -> None:
    """Add the arguments of `surface`."""
    runs = arguments.add_argument_group("runs")
    runs.add_argument("--ratios", type=Path, required=True, metavar="CSV", help="shares of the components in each run")
    runs.add_argument("--metrics", type=Path, required=True, metavar="CSV", help="scores of each run")
    runs.add_argument(
        "--metric", nargs="+", default=[], metavar="NAME[=WEIGHT]", help="what to maximise; several are summed"
    )
    runs.add_argument("--lower", nargs="*", metavar="NAME", help="metrics where lower is better (no name: all)")
    runs.add_argument("--items", type=Path, metavar="CSV", help="scores by item, of one metric")
    runs.add_argument("--proxy-ratios", type=Path, metavar="CSV", help="shares of runs of a cheaper kind")
    runs.add_argument("--proxy-metrics", type=Path, metavar="CSV", help="their scores, by the same metrics")
    choice = arguments.add_argument_group("surface")
    choice.add_argument("--model", choices=list(_FORMS), help="model (default: chosen by left-out mixes)")
    choice.add_argument("--at", nargs="+", default=[], metavar="NAME=SHARE", help="predict this mix")
    choice.add_argument("--size", type=float, metavar="N", help="items of predicted mixes (default: the largest size)")
    choice.add_argument("--mixes", type=int, default=4, metavar="N", help="most mixes to propose (default: 4)")
    choice.add_argument("--table", type=Path, metavar="CSV", help="write models, runs and predictions")
    choice.add_argument("--figure", type=Path, metavar="SVG", help="draw left-out predictions and traces")


def answer(options: argparse.Namespace) -> int:
    """Print the choice of the model, predictions and the region of the optimum."""
    if options.mixes < 1:
        raise InputError(f"--mixes {options.mixes}: expected a whole number from 1")
    weights = _weights(options)
    runs = _runs(options, options.ratios, options.metrics, weights, options.items)
    forms = [_FORMS[options.model]] if options.model else FORMS
    at = parse_mix(options.at, runs.components, "--at: unknown component '{name}'; choose one of")
    proxied: WithProxy | None = None
    if options.proxy_ratios is not None or options.proxy_metrics is not None:
        if options.proxy_ratios is None or options.proxy_metrics is None:
            raise InputError("--proxy-ratios, --proxy-metrics: expected both")
        proxied = with_proxy(runs, _runs(options, options.proxy_ratios, options.proxy_metrics, weights, None))
        choice = proxied.plain
    else:
        choice = choose(runs, forms)
    surface = _surface(options, choice) if proxied is None or proxied.weight == 0 else proxied.surface
    region = optimum(surface, runs, options.size)
    proposed = next_mixes(runs, choice, surface, region, options)
    names = new_names(runs.components, proposed, runs.names)
    rows = _rows(runs, choice, surface, region, at, options.size)
    rows += _next_rows(runs, proposed, names, region)
    notes = [*choice.notes, *(proxied.notes if proxied else ())]
    if options.table is not None:
        write_csv(options.table, COLUMNS, rows)
    if options.figure is not None:
        draw(options.figure, runs, choice, surface, region)
    if options.json:
        print_json({"model": surface.form.name, "supported": choice.supported, "notes": notes, "rows": rows,
                    "next": {"stop": proposed.stop, "reason": proposed.reason}})  # fmt: skip
        return 0
    _print(runs, choice, surface, rows, notes)
    if not proposed.proposals:
        console().print(f"Stop: {proposed.reason}.", markup=False)
        return 0
    console().print(proposals_table(runs.components, proposed, names))
    console().print(mixes_yaml(runs.components, proposed, names, region.candidates.size), markup=False)
    return 0


def optimum(surface: Fitted, runs: Runs, size: float | None) -> Region:
    """Return the mixes that cannot be distinguished from the best, over the whole simplex."""
    sizes = None if surface.reference_size is None else size or surface.reference_size
    return region_of(surface, candidates_of(surface, whole_simplex(len(runs.components)), runs.shares, size=sizes))


def next_mixes(
    runs: Runs, choice: Choice, surface: Fitted, region: Region, options: argparse.Namespace
) -> Prescription:  # fmt: skip
    """Return the mixes whose training is expected to improve the choice most.

    Where the mean predicts best, the best of the other models is asked, as `posologie prescribe` does.
    """
    if surface.form == MEAN and options.model is None:
        surface = best_beside_mean(choice)
        region = optimum(surface, runs, options.size)
    here = runs.shares if runs.sizes is None else runs.shares[runs.sizes == region.candidates.size]
    offers = offers_of(whole_simplex(len(runs.components)), here)
    return prescribe(
        surface,
        region,
        offers,
        tested=here,
        most=options.mixes,
        own_noise=item_noise(runs),
        interior_first=saturated(runs, degree_of(choice)),
    )


def _next_rows(runs: Runs, proposed: Prescription, names: Sequence[str], region: Region) -> list[dict[str, Any]]:
    return [
        {
            **dict.fromkeys(COLUMNS), "row": "next", "name": name, "shares": _mix(runs, proposal.shares),
            "size": region.candidates.size, "value": proposal.gain,
            "note": "shows whether the surface fits" if proposal.reason == "interior"
            else "points it is expected to add",
        }
        for name, proposal in zip(names, proposed.proposals, strict=True)
    ]  # fmt: skip


def _weights(options: argparse.Namespace) -> dict[str, float]:
    named = options.metric or metrics_in(options.metrics)
    if not options.metric and len(named) > 1:
        raise InputError(f"--metric: {options.metrics} has several; name one or more of {', '.join(named)}")
    weights = {}
    for text in named:
        name, separator, weight = text.rpartition("=")
        try:
            weights[name if separator else text] = float(weight) if separator else 1.0
        except ValueError:
            raise InputError(f"--metric {text}: expected NAME or NAME=WEIGHT") from None
    return weights


def _runs(
    options: argparse.Namespace, ratios: Path, metrics: Path, weights: dict[str, float], items: Path | None
) -> Runs:  # fmt: skip
    every = options.lower is not None and not options.lower
    return read_runs(ratios, metrics, weights, lower_is_better=every, lower=options.lower or (), items=items)


def _surface(options: argparse.Namespace, choice: Choice) -> Fitted:
    """Return the surface of the model that was named, or the chosen one."""
    if options.model is None:
        return choice.surface
    return next(candidate.fitted for candidate in choice.candidates if candidate.fitted.form.name == options.model)


def _mix(runs: Runs, shares: Array) -> str:
    return mix_text(dict(zip(runs.components, shares.tolist(), strict=True)))


def parse_mix(texts: Sequence[str], components: Sequence[str], unknown: str) -> Array | None:
    """Return [component], the shares that NAME=SHARE texts give; None without texts.

    Args:
        unknown: message for a name that is no component, with `{name}` in it; the list of components follows it.

    Raises:
        InputError: for an unknown name, a share that is no number, or shares that do not sum to 1.
    """
    if not texts:
        return None
    shares = dict.fromkeys(components, 0.0)
    for text in texts:
        name, separator, value = text.rpartition("=")
        if not separator:
            raise InputError(f"{text}: expected NAME=SHARE")
        if name not in shares:
            raise InputError(f"{text}: {unknown.format(name=name)} {', '.join(components)}")
        try:
            shares[name] = float(value)
        except ValueError:
            raise InputError(f"{text}: expected NAME=SHARE") from None
    total = sum(shares.values())
    if not np.isclose(total, 1, rtol=0, atol=1e-6) or min(shares.values()) < 0:
        raise InputError(f"{' '.join(texts)}: shares sum to {total:g}; expected 1, and none below 0")
    return np.array(list(shares.values()))


def _rows(
    runs: Runs, choice: Choice, surface: Fitted, region: Region, at: Array | None, at_size: float | None
) -> list[dict[str, Any]]:  # fmt: skip
    """Return the rows of the table: models, runs, the best mix, mixes of its region, and the one asked for."""
    empty: dict[str, Any] = dict.fromkeys(COLUMNS)
    rows = [
        {
            **empty, "row": "model", "name": candidate.fitted.form.name, "rmse": candidate.rmse,
            "log_density": candidate.log_density, "note": "chosen" if candidate is choice.chosen else "",
        }
        for candidate in choice.candidates
    ]  # fmt: skip
    left_out = choice.chosen.left_out
    half = 1.96 * left_out.sd
    for place, name in enumerate(runs.names):
        rows.append(
            {
                **empty, "row": "run", "name": name, "shares": _mix(runs, runs.shares[place]),
                "size": None if runs.sizes is None else float(runs.sizes[place]), "value": float(runs.score[place]),
                "predicted": float(left_out.mean[place]), "low": float(left_out.mean[place] - half[place]),
                "high": float(left_out.mean[place] + half[place]), "note": "predicted from the other mixes",
            }
        )  # fmt: skip
    points = [("best", region.candidates.shares[region.chosen])]
    points += [("region", mix) for mix in region.representatives()[1:]]
    points += [] if at is None else [("asked", at)]
    shares = np.array([mix for _, mix in points])
    size = None if surface.reference_size is None else at_size or surface.reference_size
    interval = surface.interval(shares, None if size is None else np.full(len(shares), size))
    for place, (kind, mix) in enumerate(points):
        rows.append(
            {
                **empty, "row": kind, "shares": _mix(runs, mix), "size": size,
                "predicted": float(interval.mean[place]), "low": float(interval.low[place]),
                "high": float(interval.high[place]), "in_region": None if kind == "asked" else 1,
                "note": "expected score of the mix" if choice.supported else "the runs do not support a surface",
            }
        )  # fmt: skip
    return rows


def _print(runs: Runs, choice: Choice, surface: Fitted, rows: list[dict[str, Any]], notes: list[str]) -> None:
    out = console()
    models = Table(title=f"Models, by {len(choice.chosen.left_out.groups)} left-out mixes", title_justify="left")
    for column in (
        "model",
        "RMSE",
        "log density",
        "± against the chosen",
        "smaller errors than the mean's by",
        "in 95 %",
    ):
        models.add_column(column, justify="left" if column == "model" else "right")
    for candidate in choice.candidates:
        low = "" if candidate.gain_low is None else f"{candidate.gain:.3g} (from {candidate.gain_low:.3g})"
        mark = " (chosen)" if candidate is choice.chosen else ""
        models.add_row(
            f"{candidate.fitted.form.name}{mark}", f"{candidate.rmse:.3g}", f"{candidate.log_density:.1f}",
            f"{candidate.log_density_se:.1f}", low, f"{100 * candidate.coverage:.0f} %",
        )  # fmt: skip
    out.print(models)
    for note in notes:
        out.print(f"Note: {note}.", markup=False)
    table = Table(title=f"Expected scores ({surface.form.name}), with 95 % intervals", title_justify="left")
    for column in ("mix", "shares", "predicted", "low", "high"):
        table.add_column(column, justify="left" if column in ("mix", "shares") else "right")
    for row in rows:
        if row["row"] in ("best", "region", "asked"):
            name = {"best": "best", "region": "as good as the best", "asked": "asked for"}[row["row"]]
            table.add_row(name, row["shares"], *(f"{row[key]:.4g}" for key in ("predicted", "low", "high")))
    out.print(table)


def draw(path: Path, runs: Runs, choice: Choice, surface: Fitted, region: Region) -> None:
    """Draw measured against left-out predictions, and the score along each component from the best mix.

    A trace moves one component's share and keeps the others' shares in proportion (Cox 1971).
    """
    import matplotlib as mpl  # takes a second to load

    from posologie.report.figures.style import SETTINGS, new_figure

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(SETTINGS)
        figure = new_figure(3.4)
        left, right = figure.subplots(1, 2)
        left_out = choice.chosen.left_out
        left.errorbar(
            left_out.mean,
            runs.score,
            xerr=1.96 * left_out.sd,
            fmt="o",
            color=INK,
            ecolor=MUTED,
            elinewidth=0.8,
            markersize=3.5,
        )
        ends = [min(left_out.mean.min(), runs.score.min()), max(left_out.mean.max(), runs.score.max())]
        left.plot(ends, ends, color=MUTED, linewidth=0.8, linestyle="--")
        left.set_xlabel("predicted from the other mixes, 95 %")
        left.set_ylabel("measured")
        best = region.candidates.shares[region.chosen]
        moved = np.linspace(0, 1, 41)
        traces = []
        for place, name in enumerate(runs.components):
            others = np.delete(best, place)
            others = others / others.sum() if others.sum() > 0 else np.full(len(others), 1 / len(others))
            shares = np.insert((1 - moved)[:, None] * others, place, moved, axis=1)
            traces.append((name, surface.interval(shares)))
        spans = [float(np.ptp(interval.mean)) for _, interval in traces]
        shown = sorted(sorted(range(len(traces)), key=lambda place: -spans[place])[:_TRACES])
        for number, place in enumerate(shown):
            name, interval = traces[place]
            colour, dash = line_style(number)
            right.fill_between(100 * moved, interval.low, interval.high, color=colour, alpha=0.1, linewidth=0)
            right.plot(100 * moved, interval.mean, color=colour, linestyle=dash, label=name)
            right.plot([100 * best[place]], [region.mean[region.chosen]], "o", color=colour, markersize=4)
        right.set_xlabel("share (%), others in proportion to the best mix")
        right.set_ylabel("expected score, 95 %")
        right.legend()
        with whole_file(path) as partial:
            figure.savefig(
                partial, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None}
            )
