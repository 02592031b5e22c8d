"""What judges and people say of single open answers, beside the text metrics of the item browser."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from posologie.records import layout
from posologie.records.files import read_parquet
from posologie.report.spec import BrowserSpec
from posologie.running.errors import InputError

PEOPLE, JUDGE = "people", "judge "
Values = dict[str, float]


def judged(spec: BrowserSpec, root: Path, model: str, suite: str) -> dict[tuple[str, str], Values]:
    """Return the verdict of each judge on each of a model's answers, by benchmark and item; no verdict is no value.

    Raises:
        InputError: if a judge of the spec has not judged the model.
    """
    found: dict[tuple[str, str], Values] = {}
    for judge in spec.judges:
        file = root / layout.judgements(judge, model, suite)
        if not file.is_file():
            raise InputError(f"{file}: no such file; expected the verdicts of judge {judge} on {model}")
        for row in read_parquet(file, columns=["benchmark", "item", "label"]).to_pylist():
            if row["label"] is not None:
                found.setdefault((row["benchmark"], row["item"]), {})[JUDGE + judge] = float(row["label"])
    return found


def rated(spec: BrowserSpec, root: Path) -> dict[tuple[str, str], tuple[float, float]]:
    """Return the mean rating of each rated answer and the rating from which it counts as right, by model and item.

    Answers of generators that are no models of the study, or to questions of others, are there too and match nothing.
    """
    ratings: dict[tuple[str, str], list[float]] = {}
    threshold_of: dict[tuple[str, str], float] = {}
    for name, threshold in spec.ratings.items():
        for row in read_parquet(root / layout.human(name), columns=["item", "generator", "rating"]).to_pylist():
            key = (row["generator"], row["item"])
            ratings.setdefault(key, []).append(row["rating"])
            threshold_of.setdefault(key, threshold)
    return {key: (sum(values) / len(values), threshold_of[key]) for key, values in ratings.items()}


def with_people(values: Mapping[str, float] | None, rating: tuple[float, float] | None) -> tuple[Values | None, bool]:
    """Return an answer's values with the mean rating among them, and whether a judge decided otherwise than people."""
    if rating is None:
        return (None if values is None else dict(values)), False
    mean, threshold = rating
    verdicts = list(_verdicts(values or {}))
    differs = any((verdict >= 0.5) != (mean >= threshold) for verdict in verdicts)
    return {**(values or {}), PEOPLE: round(mean, 3)}, differs


def _verdicts(values: Mapping[str, float]) -> Iterator[float]:
    return (value for name, value in values.items() if name.startswith(JUDGE))
