"""Print what a finished study found, in a few lines; for an invented world, also whether the answers are right.

  posologie findings --configfile config/demo.yaml
  posologie findings --results demo-crate

Read from the tables `best`, `contrasts`, `attribution` and `surface`: the first suite under its primary measure, on the
first backbone. Only the comparison with the truth is computed, if the study names a file of it (`truth`): scores of the
mixes of a lattice, each the mean of several trainings with other seeds. The exit code is 1 if an answer is wrong.
"""

import argparse
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import comb
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import yaml
from pydantic import Field, ValidationError
from rich.table import Table

from posologie.cli.places import add_results, add_study, console, print_json, study_and_results
from posologie.config.study import Study
from posologie.records import layout
from posologie.records.files import read_text, sha256_of_file
from posologie.records.specs import Name, Spec, first_problem
from posologie.report.surface import mix_of
from posologie.report.tables import Row, decimal, p_text, read_rows
from posologie.running.errors import InputError
from posologie.running.installed import project, shipped
from posologie.surface.answer import NEVER, mix_text
from posologie.surface.fit import CUBIC
from posologie.surface.forms import scheffe_terms
from posologie.surface.simplex import centroids, lattice

_TABLES = ("best", "contrasts", "surface")
_SAME = ("suite", "backbone", "metric", "decoding", "variants", "aggregate")
_SHAPLEY = ("shapley", "shapley_linear")
_CLOSE = 1e-3  # shares of tables are rounded
_STEPS = 12  # of the mixes among which the truly best is sought

Share = Annotated[float, Field(ge=0, le=1)]


class TrueMix(Spec):
    """One mix whose score is known."""

    shares: dict[Name, Share] = Field(min_length=2, description="share of every component, summing to 1")
    score: float = Field(description="mean over its trainings, in points")
    standard_error: float = Field(ge=0, description="of that mean, in points")
    trainings: int = Field(ge=1)


class Truth(Spec):
    """True scores of the mixes of a lattice, and what they were measured of."""

    size: int = Field(ge=1, description="items of each mix")
    mixes: tuple[TrueMix, ...] = Field(min_length=4)
    measured_of: dict[str, Any] = Field(description="what determines scores, apart from the mixes (`measured_of`)")


@dataclass(frozen=True)
class Check:
    """One thing that the study says, held against the truth.

    Attributes:
        right: whether the truth agrees.
        text: what is true, in words, with the errors of the truth itself.
    """

    right: bool
    text: str


def add_arguments(arguments: argparse.ArgumentParser) -> None:
    """Add the options that name the study and its results."""
    add_study(arguments)
    add_results(arguments, "that of the study file")


def answer(options: argparse.Namespace) -> int:
    """Print the findings; the exit code is 1 if the truth is known and another one."""
    study, folder = study_and_results(options)
    summary = findings(study, folder)
    if options.json:
        print_json(summary)
    else:
        _print(study, summary)
    return 0 if all(check["right"] for check in summary["checks"]) else 1


def findings(study: Study, root: Path) -> dict[str, Any]:
    """Return what a study found, as JSON values.

    Args:
        root: the folder of its results, or an archive of it.

    Raises:
        InputError: if the study is not finished, has no surface, or its truth is that of something else.
    """
    if missing := [name for name in _TABLES if not (root / layout.table(name)).is_file()]:
        raise InputError(f"{root / layout.table(missing[0])}: no such table; a study has findings when it is finished")
    surface = read_rows(root, "surface")
    optimum = next((row for row in surface if row["row"] == "optimum"), None)
    if optimum is None:
        raise InputError(f"{root / layout.table('surface')}: no surface; expected three different mixes or more")
    surface = _of(surface, optimum)
    overall = {"scope_kind": "all", "task": "all"}
    best = _of(read_rows(root, "best"), optimum, overall)
    contrasts = _of(read_rows(root, "contrasts"), optimum, overall)
    attribution = root / layout.table("attribution")
    contributions = _of(read_rows(root, "attribution"), optimum, overall) if attribution.is_file() else []
    checks = _checks(truth_of(study), best, contributions, surface) if study.truth is not None else []
    model = next(row for row in surface if row["row"] == "model" and row["chosen"] == "1")
    return {
        "study": study.study,
        "measure": {name: optimum[name] for name in _SAME} | {"unit": optimum["unit"]},
        "n": int(optimum.needed("n")),
        "mixes": len(best),
        "supported": model["supported"] == "1",
        "best_set": [row["mix"] for row in best if row["in_set"] == "1"],
        "first": _first(best, contrasts),
        "components": [_estimate(row, "term") for row in contributions if row["method"] in _SHAPLEY],
        "dose": {"shares": mix_of(optimum), **_estimate(optimum), "most_regret": optimum.number("most_regret")},
        "region": {row["name"]: [row.number("low"), row.number("high")] for row in surface if row["row"] == "share"},
        "checks": [vars(check) for check in checks],
        "report": (root / "report/index.html").as_posix(),
    }


def _of(rows: Iterable[Row], optimum: Row, more: Mapping[str, str] | None = None) -> list[Row]:
    """Return the rows of the measure that the surface is of."""
    cells = {name: optimum[name] for name in _SAME} | dict(more or {})
    return [row for row in rows if all(row[name] == value for name, value in cells.items())]


def _estimate(row: Row, name: str | None = None) -> dict[str, Any]:
    named = {} if name is None else {name: row[name]}
    return {**named, **{column: row.number(column) for column in ("value", "low", "high")}}


def _first(best: Iterable[Row], contrasts: Iterable[Row]) -> dict[str, Any] | None:
    """Return the mix that came out first, its score, and what it gains over the base model."""
    row = next((row for row in best if row["chosen"] == "1"), None)
    if row is None:
        return None
    beside = next(
        (contrast for contrast in contrasts if contrast["left"] == row["mix"] and contrast["right"] == "base"), None
    )
    first = {"mix": row["mix"], "value": row.number("value"), "at_most_worse": -(row.number("low") or 0.0)}
    if beside is None:
        return first
    corrected = row.number("gain_corrected")
    gain = _estimate(beside)
    if corrected is not None:  # the best of several looks better than it is
        gain = {"value": corrected, "low": row.number("gain_low"), "high": row.number("gain_high")}
    return {**first, "gain": gain, "corrected": corrected is not None, "p": beside.number("p_adjusted")}


def measured_of(study: Study) -> dict[str, Any]:
    """Return what decides about the scores of a study's mixes, beside their shares, size and seeds.

    Files that ship have the name that study files call them by, wherever they are installed.
    """
    worlds = [source.path for source in study.sources.values() if source.reader == "world" and source.path]
    files = [Path(path) / "recipe.yaml" for path in worlds]
    measured = {
        "worlds": {file.as_posix(): sha256_of_file(file) for file in dict.fromkeys(files)},
        "sources": {name: dict(source.options) for name, source in study.sources.items()},
        "backbones": {name: backbone.model_dump(mode="json") for name, backbone in study.backbones.items()},
        "prompting": study.prompting.model_dump(mode="json"),
        "recipe": study.training.recipe.model_dump(mode="json"),
        "suites": {name: suite.model_dump(mode="json") for name, suite in study.suites.items()},
    }
    named: dict[str, Any] = _as_named(measured)
    return named


def _as_named(value: Any) -> Any:
    """Return a value in which the paths of files that ship are those of study files (`posologie.running.installed`)."""
    if isinstance(value, dict):
        return {_as_named(key): _as_named(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_as_named(entry) for entry in value]
    return value.removeprefix(os.path.relpath(project()) + os.sep) if isinstance(value, str) else value


def truth_of(study: Study) -> Truth:
    """Return the truth that a study names.

    Raises:
        InputError: if the file is no truth, or that of another world, recipe, size or component than the study's.
    """
    file = shipped(str(study.truth))
    try:
        truth = Truth.model_validate(yaml.safe_load(read_text(file)))
    except yaml.YAMLError as error:
        raise InputError(f"{file}: not YAML ({str(error).splitlines()[0]})") from error
    except ValidationError as error:
        raise InputError(f"{file}: {first_problem(error)}") from error
    if differing := _difference(truth.measured_of, measured_of(study)):
        raise InputError(f"{file}: the truth of another study: {differing}; leave out `truth`, or measure it again")
    sizes = {mix.size for mix in study.mixes.values()}
    if sizes != {truth.size}:
        raise InputError(
            f"{file}: the truth of mixes of {truth.size} items; the study's have {sorted(map(str, sizes))}"
        )
    return truth


def _difference(known: Any, here: Any, where: str = "") -> str:
    """Name the first value in which the study differs from what the truth was measured of; empty where none does."""
    if isinstance(known, dict) and isinstance(here, dict):
        for name in dict.fromkeys((*known, *here)):
            if difference := _difference(known.get(name), here.get(name), f"{where}.{name}" if where else name):
                return difference
        return ""
    return "" if known == here else f"{where} was {known}, and is {here}"


class Scale:
    """True scores at any mix: Scheffé's special cubic through all mixes whose score is known (Scheffé 1963).

    The mean of a few trainings is itself uncertain; the surface through all of them is much less so. What it misses
    counts as its error: the variance is that of the residuals, and at least that of the scores.
    """

    def __init__(self, truth: Truth, components: Sequence[str]) -> None:
        """Fit the known scores.

        Raises:
            InputError: if the components are not those of the surface, or the mixes are too few to determine it.
        """
        if strange := set(truth.mixes[0].shares) ^ set(components):
            raise InputError(f"truth: component '{sorted(strange)[0]}' is not in both the truth and the study")
        points = np.array([[mix.shares[name] for name in components] for mix in truth.mixes])
        scores = np.array([mix.score for mix in truth.mixes])
        terms = scheffe_terms(points, CUBIC.degree)
        free = len(terms) - terms.shape[1]
        if free < 1 or np.linalg.matrix_rank(terms) < terms.shape[1]:
            raise InputError(f"truth: {len(points)} mixes do not determine a surface of {len(components)} components")
        self.trainings = sum(mix.trainings for mix in truth.mixes)
        self._terms = np.linalg.lstsq(terms, scores, rcond=None)[0]
        residual = float(np.sum((scores - terms @ self._terms) ** 2)) / free
        known = float(np.mean([mix.standard_error**2 for mix in truth.mixes]))
        self._covariance = max(residual, known) * np.linalg.inv(terms.T @ terms)
        candidates = lattice(len(components), _STEPS)
        self.best = candidates[int(np.argmax(scheffe_terms(candidates, CUBIC.degree) @ self._terms))]

    def at(self, shares: Any) -> tuple[float, float]:
        """Return the true score of a mix and its standard error, in points."""
        return self._value(scheffe_terms(np.asarray(shares, dtype=float), CUBIC.degree))

    def lost(self, shares: Any) -> tuple[float, float]:
        """Return how far a mix falls short of the best, and the standard error of that."""
        best, other = (scheffe_terms(np.asarray(mix, dtype=float), CUBIC.degree) for mix in (self.best, shares))
        return self._value(best - other)

    def _value(self, terms: Any) -> tuple[float, float]:
        return float(terms @ self._terms), float(np.sqrt(terms @ self._covariance @ terms))

    def shapley(self) -> Any:
        """Return [component], Shapley values of equal shares up to a constant: base's score cancels in their order."""
        width = len(self.best)
        values = np.zeros(width)
        for mix in centroids(width):
            score, some, size = self.at(mix)[0], np.flatnonzero(mix), np.count_nonzero(mix)
            for component in range(width):
                others = size - 1 if component in some else size
                values[component] += (score if component in some else -score) / (width * comb(width - 1, others))
        return values


def _checks(truth: Truth, best: list[Row], contributions: list[Row], surface: list[Row]) -> list[Check]:
    """Return what the study says of the dose, the best set, the region and the components, beside the truth.

    The truth is known with an error: where two standard errors of it could make the study right, it counts as right.
    """
    optimum = next(row for row in surface if row["row"] == "optimum")
    names = list(mix_of(optimum))
    scale = Scale(truth, names)
    dose_shares = list(mix_of(optimum).values())
    score, error = scale.at(dose_shares)
    lost, unsure = scale.lost(dose_shares)
    top = mix_text({name: share for name, share in zip(names, scale.best.tolist(), strict=True) if share >= NEVER})
    dose = (
        f"the dose truly scores {decimal(score, 1)} ± {decimal(2 * error, 1)}, {decimal(max(0.0, lost), 1)} less than "
        f"the best, {top}"
    )
    checks = [Check(lost - 2 * unsure <= optimum.needed("most_regret"), dose)]

    runs = {row["name"]: list(mix_of(row).values()) for row in surface if row["row"] == "run"}
    first = max(runs, key=lambda name: scale.at(runs[name])[0])
    inside = [row["mix"] for row in best if row["in_set"] == "1"]
    behind = [scale.at(runs[first])[0] - scale.at(runs[name])[0] for name in inside]
    spread = 2 * scale.at(runs[first])[1]
    listed = f"of the mixes trained {first} is truly the best, and it is {_whether(first in inside)} the best set"
    checks.append(Check(bool(behind) and min(behind) <= spread, listed))

    predicted = [row for row in surface if row["row"] == "prediction" and row["in_region"]]
    at_best = [row for row in predicted if _is_mix(row, names, scale.best)]
    if at_best:
        within = at_best[0]["in_region"] == "1"
        statement = f"the truly best mix is {_whether(within)} the region of those as good"
        checks.append(Check(within or lost <= 2 * unsure, statement))

    shares = {row["term"]: row.needed("value") for row in contributions if row["method"] in _SHAPLEY}
    if set(shares) == set(names):
        true = [names[place] for place in np.argsort(-scale.shapley(), kind="stable")]
        order = sorted(names, key=lambda name: -shares[name])
        checks.append(Check(order == true, f"what components add truly ranks {', '.join(true)}"))
    return checks


def _whether(inside: bool) -> str:
    return "in" if inside else "not in"


def _is_mix(row: Row, names: list[str], point: Any) -> bool:
    mix = mix_of(row)
    return all(abs(mix[name] - share) < _CLOSE for name, share in zip(names, point, strict=True))


def _print(study: Study, summary: Mapping[str, Any]) -> None:
    """Print the findings, a line each."""
    titles = {name: component.title or name for name, component in study.components.items()}
    unit = "points" if summary["measure"]["unit"] == "%" else summary["measure"]["unit"]
    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True, style="bold")
    table.add_column()
    for name, text in _lines(summary, titles, unit):
        table.add_row(name, text)
    console().print(table)


def _lines(summary: Mapping[str, Any], titles: Mapping[str, str], unit: str) -> Iterable[tuple[str, str]]:
    first = summary["first"]
    if first is not None:
        alike = [name for name in summary["best_set"] if name != first["mix"]]
        beside = (
            f"; not distinguished from it: {', '.join(alike)}" if alike else f", the best of {summary['mixes']} mixes"
        )
        score = f"{first['mix']}, {decimal(first['value'], 1)} over {summary['n']:,} questions"
        yield "best", f"{score}{beside}"
        if "gain" in first:
            p_value = p_text(first["p"]) if first["p"] is not None else ""
            sure = f"; p {p_value if p_value.startswith('<') else f'= {p_value}'}" if p_value else ""
            chosen = ", corrected for the choice" if first["corrected"] else ""
            yield "against base", f"{_between(first['gain'], sign=True)} {unit}{chosen}{sure}"
    if summary["components"]:
        texts = [
            f"{titles.get(estimate['term'], estimate['term'])} {_between(estimate, sign=True)}"
            for estimate in summary["components"]
        ]
        yield "each adds", f"{'; '.join(texts)} {unit}"
    dose = summary["dose"]
    shown = mix_text({titles.get(name, name): share for name, share in dose["shares"].items() if share >= NEVER})
    support = "" if summary["supported"] else " (these runs do not support a surface: a reading, not a result)"
    yield "dose", f"{shown}: expected score {_between(dose)}{support}"
    ranges = [
        f"{titles.get(name, name)} {decimal(100 * low, 0)} to {decimal(100 * high, 0)} %"
        for name, (low, high) in summary["region"].items()
        if low is not None and high is not None
    ]
    if ranges:
        yield "as good", ", ".join(ranges)
    for place, check in enumerate(summary["checks"]):
        yield "" if place else "truth", f"{'right' if check['right'] else 'WRONG'}: {check['text']}"
    yield "report", Path(summary["report"]).absolute().as_posix()


def _between(estimate: Mapping[str, Any], *, sign: bool = False) -> str:
    low, high = estimate["low"], estimate["high"]
    ends = "" if low is None or high is None else f" ({decimal(low, 1, sign)} to {decimal(high, 1, sign)})"
    return f"{decimal(estimate['value'], 1, sign)}{ends}"
