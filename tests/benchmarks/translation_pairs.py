"""Public parallel questions: MMLU in English and Spanish, CasiMedicos in English, French and Spanish.

Both are read as their sources publish them; pairs that are known to be damaged there are listed and left out.
"""

import csv
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_FEVER = "a sentence on a fever of 37.5 °C stands in one language only"
DAMAGED: dict[str, str] = {
    "anatomy:34": "two options have changed places",
    "casimedicos:en-fr:train:12": "an option was not translated and has lost its negation",
    "casimedicos:en-fr:train:60": "a weight keeps the English mark of thousands",
    "casimedicos:en-fr:train:73": "three cases of pneumonia became one",
    "casimedicos:en-fr:train:92": "a negation in an option was not translated",
    "casimedicos:en-fr:train:105": "a stray number inside a word",
    "casimedicos:en-fr:train:222": _FEVER,
    "casimedicos:en-fr:train:223": _FEVER,
    "casimedicos:en-fr:train:238": "`without` became `with` in an option",
    "casimedicos:en-fr:train:338": "half of a sentence is missing",
    "casimedicos:en-fr:dev:17": "an option was not translated",
    "casimedicos:en-es:dev:11": "a value is broken in two",
    "casimedicos:en-es:dev:19": "the sign of degrees is broken",
    "casimedicos:en-es:test:75": "a unit is broken",
    "casimedicos:en-es:train:31": "ST elevation in one language, depression in the other",
    "casimedicos:en-es:train:51": "a unit is broken",
    "casimedicos:en-es:train:105": "a stray number inside a word",
    "casimedicos:en-es:train:214": "an age without its unit",
    "casimedicos:en-es:train:222": _FEVER,
    "casimedicos:en-es:train:223": _FEVER,
    "casimedicos:en-es:train:338": "half of a sentence is missing",
    "casimedicos:es-fr:dev:11": "a value is broken in two",
    "casimedicos:es-fr:train:12": "an option was not translated and has lost its negation",
    "casimedicos:es-fr:train:31": "ST depression in one language, elevation in the other",
    "casimedicos:es-fr:train:37": "an option was not translated",
    "casimedicos:es-fr:train:53": "an option was not translated",
    "casimedicos:es-fr:train:54": "an option was not translated",
    "casimedicos:es-fr:train:73": "three cases of pneumonia became one",
    "casimedicos:es-fr:train:176": "an option was not translated",
    "casimedicos:es-fr:train:238": "`without` became `with` in an option",
}
"""Pairs that are damaged as published: the checks flagged them, and reading both texts confirmed it. Left out of every
count. Damage that no check flagged is unknown and counts as right."""


@dataclass(frozen=True)
class Texts:
    """The texts of one item."""

    question: str
    context: str
    options: tuple[str, ...]
    answer: str = ""


@dataclass(frozen=True)
class Pair:
    """An item and its translation; `part` says whether the checks were tuned on it."""

    key: str
    part: str
    languages: tuple[str, str]
    source: Texts
    translation: Texts


def mmlu_pairs(data: Path) -> Iterator[Pair]:
    """Yield the pairs of MMLU, English and Spanish, by row."""
    for subject in ("anatomy", "medical_genetics"):
        sides = []
        for folder in ("mmlu_en", "mmlu_es"):
            with open(data / folder / f"{subject}_test.csv", encoding="utf-8", newline="") as file:
                sides.append([Texts(row[0], "", tuple(row[1:-1])) for row in csv.reader(file)])
        for number, (source, translation) in enumerate(zip(*sides, strict=True), start=1):
            yield Pair(f"{subject}:{number}", "MMLU en-es (tuned)", ("en", "es"), source, translation)


def casimedicos_pairs(data: Path, source: str, target: str) -> Iterator[Pair]:
    """Yield the pairs of CasiMedicos in two languages."""
    sides: list[dict[str, Texts]] = []
    for language in (source, target):
        lines = (data / "casimedicos" / f"reconstructed_{language}_mcqu.jsonl").read_text("utf-8").splitlines()
        side = {}
        for record in map(json.loads, lines):
            options = tuple(option for option in record["options"] if option != "nan")
            side[f"{record['split']}:{record['idx']}"] = Texts(
                record["question"] or "", record["clinical_case"] or "", options
            )
        sides.append(side)
    for key in sorted(sides[0].keys() & sides[1].keys()):
        before, after = sides[0][key], sides[1][key]
        if len(before.options) == len(after.options) > 1:
            tuned = "train, tuned" if key.startswith("train") else "dev and test, held out"
            part = f"CasiMedicos {source}-{target} ({tuned})"
            yield Pair(f"casimedicos:{source}-{target}:{key}", part, (source, target), before, after)


def all_pairs(data: Path) -> list[Pair]:
    """Return the pairs that are not known to be damaged."""
    pairs = list(mmlu_pairs(data))
    for source, target in (("en", "fr"), ("en", "es"), ("es", "fr")):
        pairs += casimedicos_pairs(data, source, target)
    return [pair for pair in pairs if pair.key not in DAMAGED]
