"""Predict what a mix would answer, from the predictions of models of single components, without inference.

  posologie whatif --configfile config/demo.yaml --suite mcqa native=0.3 synthetic=0.7

The label probabilities of the models of single components are averaged by the shares. Beside it are the errors of the
same prediction for blends that were trained, and of deliberately wrong weights. If those predict as well, the command
says so and predicts nothing (exit code 1). Items are choice questions with one right answer, in their original order.
"""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich.table import Table

from posologie.cli.places import add_results, add_study, console, print_json, study_and_results
from posologie.cli.surface import parse_mix
from posologie.config.plan import blend
from posologie.records import layout
from posologie.records.files import read_parquet
from posologie.running.errors import InputError
from posologie.surface.runs import Array
from posologie.surface.whatif import Check, check, predicted_score

_COLUMNS = ["item", "variant", "task", "group", "option_order", "gold", "label_probabilities"]


class Answers(NamedTuple):
    """Label probabilities of one model by item, with what must be alike in all models."""

    probabilities: dict[str, list[float]]
    places: dict[str, tuple[int, str]]


def add_arguments(arguments: argparse.ArgumentParser) -> None:
    """Add the arguments of `whatif`."""
    add_study(arguments)
    add_results(arguments, "that of the study file")
    arguments.add_argument("--suite", help="the suite that is predicted (default: the only one)")
    arguments.add_argument("--backbone", help="the backbone (default: the only one)")
    arguments.add_argument(
        "shares", nargs="*", metavar="COMPONENT=SHARE", help="the mix; leave it out for the check alone"
    )


def answer(options: argparse.Namespace) -> int:
    """Print the prediction beside its error, or why there is none; the exit code is 1 then."""
    study, folder = study_and_results(options)
    suite = _chosen("--suite", options.suite, sorted(study.suites))
    backbone = _chosen("--backbone", options.backbone, sorted(study.backbones))
    blends = {mix: blend(study, mix) for mix in study.mixes}
    answers_of = {mix: _answers(folder, backbone, mix, suite) for mix in blends}
    mixes = {mix: answers for mix, answers in answers_of.items() if answers is not None}
    alone = {next(iter(blends[mix])): mix for mix in mixes if len(blends[mix]) == 1}
    mixes = {mix: answers for mix, answers in mixes.items() if blends[mix].keys() <= alone.keys()}
    if len(alone) < 2:
        raise InputError(f"{folder}: {len(alone)} models of single components on {suite}; expected two or more")
    names = list(alone)
    probabilities, gold, groups = _stacked(folder, mixes)
    shares = np.array([[blends[mix].get(name, 0.0) for name in names] for mix in mixes])
    components = probabilities[[list(mixes).index(alone[name]) for name in names]]
    checked = check(
        list(mixes), components, probabilities, shares=shares, gold=gold, groups=groups, component_names=names
    )
    new_mix = parse_mix(options.shares, names, "no model of the component '{name}' alone; available:")
    value = None if new_mix is None or checked.refused else predicted_score(checked, components, new_mix, gold)
    if options.json:
        print_json(
            {
                "refused": checked.refused, "note": checked.note, "error": checked.error, "wrong": checked.wrong,
                "p_value": checked.p_value, "blends": list(checked.blends), "items": checked.items,
                "prediction": None if value is None else dict(zip(("value", "low", "high"), value, strict=True)),
            }
        )  # fmt: skip
    else:
        _print(checked, value)
    return 1 if checked.refused else 0


def _chosen(option: str, named: str | None, known: list[str]) -> str:
    if named is None and len(known) == 1:
        return known[0]
    if named not in known:
        raise InputError(f"{option} {named or ''}: expected one of {', '.join(known)}".replace(" :", ":"))
    return named


def _answers(folder: Path, backbone: str, mix: str, suite: str) -> Answers | None:
    """Return the mean over seeds of a mix's label probabilities; None where nothing was predicted.

    Raises:
        InputError: where seeds do not answer the same items.
    """
    files = sorted((folder / "predictions" / backbone / mix).glob(f"seed-*/{Path(layout.predictions('', suite)).name}"))
    every: list[Answers] = []
    for file in files:
        probabilities, places = {}, {}
        for row in read_parquet(file, _COLUMNS).to_pylist():
            if row["variant"] == "original" and row["task"] == "mcqu" and row["label_probabilities"]:
                probabilities[row["item"]] = row["label_probabilities"]
                places[row["item"]] = (row["gold"][0], row["group"])
        every.append(Answers(probabilities, places))
    if not every or not every[0].probabilities:
        return None
    for file, other in zip(files, every, strict=True):
        if other.places != every[0].places:
            raise InputError(f"{file}: other items or gold labels than in {files[0]}; run snakemake again")
    means = {
        item: np.mean([answers.probabilities[item] for answers in every], axis=0).tolist()
        for item in every[0].probabilities
    }
    return Answers(means, every[0].places)


def _stacked(folder: Path, mixes: Mapping[str, Answers]) -> tuple[Array, Array, list[str]]:
    """Return [mix, item, label] probabilities, [item] gold places and groups; labels that an item lacks get 0.

    Raises:
        InputError: where mixes do not answer the same items.
    """
    first, *others = mixes.items()
    for name, answers in others:
        if answers.places != first[1].places:
            raise InputError(f"{folder}: {name} and {first[0]} have other items or gold labels; run snakemake again")
    items = sorted(first[1].places)
    width = max(len(labels) for labels in first[1].probabilities.values())
    stacked = np.zeros((len(mixes), len(items), width))
    for row, answers in enumerate(mixes.values()):
        for column, item in enumerate(items):
            labels = answers.probabilities[item]
            stacked[row, column, : len(labels)] = labels
    return stacked, np.array([first[1].places[item][0] for item in items], dtype=float), [
        first[1].places[item][1] for item in items
    ]  # fmt: skip


def _print(checked: Check, value: tuple[float, float, float] | None) -> None:
    out = console()
    table = Table(title=f"Error on {len(checked.blends)} trained blends, {checked.items} items", title_justify="left")
    for column in ("weights", "error of label probabilities"):
        table.add_column(column, justify="left" if column == "weights" else "right")
    rows: dict[str, Any] = {"the mix's own": checked.error, **checked.wrong}
    for name, error in rows.items():
        table.add_row(name, f"{error:.4f}")
    out.print(table)
    out.print(f"{checked.note[0].upper()}{checked.note[1:]}.", markup=False)
    if value is not None:
        out.print(
            f"Right answers: {100 * value[0]:.1f} % [{100 * value[1]:.1f}, {100 * value[2]:.1f}], the interval by the "
            f"errors on {len(checked.blends)} trained blends; it does not cover another draw of items and seeds.",
            markup=False,
        )
