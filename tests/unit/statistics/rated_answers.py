"""A set of rated answers on disk, and the tables over it read back."""

import csv
import json
from pathlib import Path

import numpy as np
import pyarrow as pa

from posologie.judging.answers import calibration_schema, human_schema
from posologie.records import layout
from posologie.records.files import write_parquet
from posologie.scoring.rated import main as score_rated

GENERATORS = ("q/base", "q/NAT/seed-42")


class Ratings:
    """A set of 80 answers by two models to 40 questions, two raters, and judges."""

    def __init__(self, root: Path) -> None:
        numbers = np.random.default_rng(8)
        self.root, self.judges = root, []
        self.answers = [f"a{number:03d}" for number in range(80)]
        self.generator = np.array([GENERATORS[number % 2] for number in range(80)])
        self.quality = numbers.normal(size=80)
        self.people = {
            "dr-a": (self.quality + 0.3 * numbers.normal(size=80) > 0).astype(float),
            "dr-b": (self.quality + 0.3 * numbers.normal(size=80) > 0).astype(float),
        }
        self.words = numbers.integers(3, 30, size=80)
        self.weight = np.ones(80)

    def human(self) -> np.ndarray:
        return np.mean(list(self.people.values()), axis=0)

    def write(self) -> None:
        rows = [
            {
                "answer": answer,
                "item": f"i{number // 2}",
                "group": f"i{number // 2}",
                "generator": self.generator[number],
                "question": "Pourquoi ?",
                "context": "",
                "reference": "Une acidose lactique.",
                "candidate": " ".join(["acidose"] * int(self.words[number])),
                "rater": rater,
                "rating": ratings[number],
                "stratum": "",
                "weight": float(self.weight[number]),
            }
            for number, answer in enumerate(self.answers)
            for rater, ratings in self.people.items()
            if not np.isnan(ratings[number])
        ]
        file = self.root / layout.human("set")
        write_parquet(file, pa.Table.from_pylist(rows, schema=human_schema()))
        score_rated(["--spec", "{}", "--human", str(file), "--scores", str(self.root / layout.human_scores("set"))])

    def judge(self, name: str, label: np.ndarray, probability=None, excluded=(), silent=()) -> None:
        rows = [
            {
                "answer": answer,
                "item": f"i{number // 2}",
                "group": f"i{number // 2}",
                "generator": self.generator[number],
                "excluded": number in excluded,
                "triple_seen": number in excluded[:3],
                "outcome": "unparsable" if number in silent else "label",
                "label": None if number in silent else int(label[number]),
                "probability": None if probability is None else float(probability[number]),
                "label_mass": None,
                "text": "",
                "finish": "stop",
                "error": None,
                "prompt_sha256": "0",
                "prompt_tokens": 1,
                "generated_tokens": 1,
            }
            for number, answer in enumerate(self.answers)
        ]
        file = self.root / layout.calibration(name, "set")
        write_parquet(file, pa.Table.from_pylist(rows, schema=calibration_schema()))
        self.judges.append(name)

    def table(self, module, *more: str, **spec) -> list[dict[str, str]]:
        out = self.root / "tables" / "table.csv"
        statistics = {"replicates": 400} | spec.pop("statistics", {})
        fields = {"sets": ["set"], "judges": self.judges, "statistics": statistics} | spec
        module.main(["--spec", json.dumps(fields), "--results", str(self.root), "--table", str(out), *more])
        with open(out, encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
