"""Which answers people rate: drawn by what a judge says of them, with the weights that undo the draw.

People's ratings correct a judge's score (`posologie.statistics.prediction_powered`), and do so best where the judge may
be wrong. Each model's answers are divided by the judge's probability of "1" into strata; a stratum gets ratings in
proportion to its size and to the spread of a right-or-wrong with that probability (Neyman 1934; Zrnic and Candès 2024,
section 4). Answers are ranked by a hash of their question that is the same for all models, so that the same questions
are drawn of several models where the strata allow it (permanent random numbers: Ohlsson 1995): their contrasts are then
paired.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from posologie.running.errors import InputError

_EDGES = (0.05, 0.35, 0.65, 0.95)
_NAMES = ("below 0.05", "0.05 to 0.35", "0.35 to 0.65", "0.65 to 0.95", "above 0.95")
_LEAST_SPREAD = 0.2
"""Of a right-or-wrong, however sure the judge is: sure judges err too, and every stratum must show its errors."""
_FEWEST = 2
"""Answers that are drawn of every stratum, as a spread within it needs."""

Question = tuple[str, str]
"""Source and item."""


def drawn(
    answers: Mapping[str, Mapping[Question, Mapping[str, Any]]], count: int, rank: Callable[[Question], str]
) -> dict[tuple[str, Question], tuple[str, float]]:
    """Return the drawn answers by model and question, each with its stratum and weight.

    Args:
        answers: model → question → the judge's verdict: `label` and `probability`, either of which may be null.
        count: answers that are drawn, shared out evenly among the models.
        rank: the place of a question in the order of the draw, whatever the model.

    Raises:
        InputError: if a model has fewer answers than are drawn of it.
    """
    chosen: dict[tuple[str, Question], tuple[str, float]] = {}
    models = sorted(answers)
    for place, model in enumerate(models):
        share = count // len(models) + (place < count % len(models))
        if share > len(answers[model]):
            raise InputError(
                f"answers = {count}: {share} of {model}, which has {len(answers[model])}; expected at most"
                f" {len(models) * min(len(one) for one in answers.values())}"
            )
        strata: dict[str, list[Question]] = {}
        for question, verdict in answers[model].items():
            strata.setdefault(stratum(verdict), []).append(question)
        for name, number in allocation(strata, answers[model], share).items():
            ordered = sorted(strata[name], key=rank)
            for question in ordered[:number]:
                chosen[model, question] = (f"{model}, {name}", len(ordered) / number)
    return chosen


def stratum(verdict: Mapping[str, Any]) -> str:
    """Return the stratum of an answer: by the judge's probability, else by its verdict."""
    if verdict["probability"] is not None:
        return _NAMES[sum(verdict["probability"] >= edge for edge in _EDGES)]
    return "no verdict" if verdict["label"] is None else f"verdict {verdict['label']}"


def allocation(
    strata: Mapping[str, Sequence[Question]], verdicts: Mapping[Question, Mapping[str, Any]], count: int
) -> dict[str, int]:
    """Return how many answers are drawn of each stratum: at least two, at most all, `count` together."""
    wanted = {}
    for name in sorted(strata):
        chances = [_probability(verdicts[question]) for question in strata[name]]
        mean = sum(chances) / len(chances)
        wanted[name] = len(chances) * max(_LEAST_SPREAD, math.sqrt(mean * (1 - mean)))
    numbers = {name: min(_FEWEST, len(strata[name])) for name in wanted}
    while sum(numbers.values()) > count:  # more strata than ratings: the smallest ones are drawn once
        numbers[min((name for name in numbers if numbers[name] > 1), key=lambda name: wanted[name])] -= 1
    while sum(numbers.values()) < count:
        open_strata = [name for name in wanted if numbers[name] < len(strata[name])]
        # Highest averages (Sainte-Laguë), as everywhere else: a larger count contains a smaller one.
        best = max(open_strata, key=lambda name: (wanted[name] / (2 * numbers[name] + 1), name))
        numbers[best] += 1
    return numbers


def _probability(verdict: Mapping[str, Any]) -> float:
    if verdict["probability"] is not None:
        return float(verdict["probability"])
    return 0.5 if verdict["label"] is None else 0.1 + 0.8 * verdict["label"]
