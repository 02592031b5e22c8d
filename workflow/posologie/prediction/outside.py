"""Predictions of a model that is not here: its answers come from files.

    python -m posologie.prediction.outside --spec OutsidePredictionSpec --items SOURCE=SHARD… --answers FILE…
        --predictions SUITE=OUT… --run SUITE=OUT… --work DIR

Answers are matched to items by their ids, or by the questions' texts. An item without an answer, or with two different
ones, ends the command and is named; answers to no item of the suites are counted in the run record. A text is read by
this project's own parser. Labels under constraint are what a file has log-likelihoods for; where it has none, they are
the labels that the text names, and none (an empty list, which counts as wrong) where it names none. There are label
probabilities where the log-likelihoods are those of the labels' letters.
"""

import math
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from posologie.prediction.job import add_job_arguments, predict
from posologie.prediction.other_specs import OutsidePredictionSpec
from posologie.prediction.outside_files import Found, read_answers
from posologie.prediction.parsing import read
from posologie.prediction.requests import Answer, Request
from posologie.records.items import LABELS
from posologie.running.commands import parser, run
from posologie.running.errors import InputError

_SHOWN = 5


def main(argv: list[str]) -> None:
    """Make predictions of answers from outside."""
    arguments = parser("posologie.prediction.outside", __doc__ or "")
    add_job_arguments(arguments)
    arguments.add_argument("--answers", required=True, nargs="+", type=Path, metavar="FILE")
    options = arguments.parse_args(argv)
    spec = OutsidePredictionSpec.from_json(options.spec)
    inputs = {f"answers {number}": path for number, path in enumerate(options.answers)}
    predict(spec, options, inputs, lambda: OutsideModel(spec, options.answers))


class OutsideModel:
    """Answers requests from files."""

    def __init__(self, spec: OutsidePredictionSpec, files: Sequence[Path]) -> None:
        """Read all answers.

        Raises:
            InputError: if a file is not of its form, or gives two different answers to one question.
        """
        self.spec = spec
        self.found: dict[tuple[str, str], list[Found]] = {}
        for path in files:
            for answer in read_answers(path, spec):
                self.found.setdefault((_normal(answer.key), answer.variant), []).append(answer)
        for answers in self.found.values():
            for other in answers[1:]:
                _check_same(answers[0], other)
        self.used: set[tuple[str, str]] = set()
        self.asked: dict[str, str] = {}

    def check(self, requests: Iterator[Request]) -> None:
        """Do nothing: what the model cannot be asked is known from its answers."""

    def facts(self) -> Mapping[str, Any]:
        """Return what the run record should say."""
        left = sorted({answers[0].key for key, answers in self.found.items() if key not in self.used})
        return {
            "answers": "from files",
            "constrained": "by log-likelihoods where there are some, else the labels read from the text",
            "unmatched": {"count": len(self.found) - len(self.used), "first": left[:_SHOWN]},
        }

    def answers(self, requests: Sequence[Request], done: frozenset[int]) -> Iterator[list[Answer]]:
        """Answer a window.

        Raises:
            InputError: naming the items that no file answers, or one whose likelihoods are of other options.
        """
        missing = [request for request in requests if self._key(request) not in self.found]
        if missing:
            self._refuse(missing)
        self.used.update(map(self._key, requests))
        yield [self._answer(request) for request in requests if request.place not in done]

    def _key(self, request: Request) -> tuple[str, str]:
        if self.spec.question is None:
            return request.item.id, request.variant
        question = _normal(request.item.question)
        first = self.asked.setdefault(question, request.item.id)
        if first != request.item.id:
            raise InputError(
                f"items {first} and {request.item.id} ask the same question; expected files with the items' ids"
            )
        return question, request.variant

    def _refuse(self, missing: Sequence[Request]) -> None:
        if all(request.variant != "original" for request in missing):
            raise InputError(
                f"suite {missing[0].suite}: no answer in the option order {missing[0].variant}; expected files that"
                " name the order (variant), or a suite without permutations"
            )
        items = list(dict.fromkeys(request.item.id for request in missing))
        more = f" and {len(items) - _SHOWN} more" if len(items) > _SHOWN else ""
        where = ", ".join(sorted({answers[0].place.partition(", ")[0] for answers in self.found.values()}))
        raise InputError(
            f"{where}: no answer to item{'s' if len(items) > 1 else ''} {', '.join(items[:_SHOWN])}{more} of suite"
            f" {missing[0].suite}; expected one each"
        )

    def _answer(self, request: Request) -> Answer:
        answers = self.found[self._key(request)]
        text = next((answer for answer in answers if answer.text is not None), None)
        scored = next((answer for answer in answers if answer.likelihoods is not None), None)
        count = len(request.order)
        labels: tuple[int, ...] | None = None
        probabilities, mass = None, None
        if scored is not None and scored.likelihoods is not None and count:
            if len(scored.likelihoods) != count:
                raise InputError(
                    f"{scored.place}: {len(scored.likelihoods)} log-likelihoods; expected {count}, the options of item"
                    f" {request.item.id}"
                )
            labels = (max(range(count), key=scored.likelihoods.__getitem__),)
            if scored.of_labels and request.item.task == "mcqu":
                shares = [math.exp(value) for value in scored.likelihoods]
                mass = sum(shares)
                probabilities = tuple(share / mass for share in shares) if mass > 0 else None
        written = text.text if text is not None and text.text is not None else ""
        if text is None and labels is not None:
            written = LABELS[labels[0]]
        procedure = None if labels is None else "likelihoods"
        if count and labels is None:
            procedure = "text"
            options = [request.item.options[index] for index in request.order]
            reading = read(written, options, self.spec.prompting.label_separator)
            labels = reading.labels if reading.outcome == "labels" else ()
        return Answer(
            place=request.place,
            greedy_text=written,
            prompt_tokens=0,
            generated_tokens=0,
            finish=answers[0].finish if text is None else text.finish,
            constrained_labels=labels,
            label_probabilities=probabilities,
            label_mass=None if probabilities is None else min(1.0, mass or 0.0),
            constrained_by=procedure,
        )


def _check_same(first: Found, other: Found) -> None:
    """Check that two answers to one question are the same, or of two kinds: a text, and likelihoods."""
    texts = {answer.text for answer in (first, other) if answer.text is not None}
    likelihoods = {answer.likelihoods for answer in (first, other) if answer.likelihoods is not None}
    if len(texts) > 1 or len(likelihoods) > 1:
        raise InputError(f"{other.place}: not the answer to '{other.key[:60]}' of {first.place}; expected one each")


def _normal(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())


if __name__ == "__main__":
    run(main)
