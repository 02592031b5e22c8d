"""What the page and the figures read of a study: its tables, its run records, the order and names of its models."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from posologie import layout
from posologie.errors import InputError
from posologie.files import read_json
from posologie.report.names import label, ordered
from posologie.report.spec import ReportSpec
from posologie.report.tables import Row, read_rows
from posologie.statistics.spec import EvaluatedModel, Measured


@dataclass(frozen=True)
class RunRecord:
    """One `run.json`: which model it belongs to, and what it says."""

    model: EvaluatedModel
    suite: str | None
    file: str
    facts: dict[str, Any]


@dataclass
class Inputs:
    """A study as the page reads it; tables are read when first asked for."""

    spec: ReportSpec
    root: Path
    _tables: dict[str, list[Row]] = field(default_factory=dict)

    def has(self, table: str) -> bool:
        """Return whether the study has a table."""
        return table in self.spec.tables

    def rows(self, table: str, **wanted: str) -> list[Row]:
        """Return the rows of a table whose cells are as wanted, in the file's order; none if the study has no such table."""
        if not self.has(table):
            return []
        if table not in self._tables:
            self._tables[table] = read_rows(self.root, table)
        return [row for row in self._tables[table] if all(row[column] == value for column, value in wanted.items())]

    @cached_property
    def models(self) -> list[EvaluatedModel]:
        """The models in the order of the page."""
        return ordered(self.spec.models, self.spec.mixes)

    def name(self, model: EvaluatedModel) -> str:
        """Return the short name of a model."""
        return label(model, self.spec.models)

    def measured(self, rows: list[Row], measured: Measured) -> list[Row]:
        """Return the rows of one measure, its decoding, option orders and aggregate."""
        wanted = (measured.metric, measured.decoding, measured.variants, measured.aggregate)
        return [row for row in rows if (row["metric"], row["decoding"], row["variants"], row["aggregate"]) == wanted]

    def suites_of(self, table: str) -> list[str]:
        """Return the suites that a table has rows of, in the order of the study."""
        found = {row["suite"] for row in self.rows(table)}
        return [suite for suite in self.spec.suites if suite in found]

    @cached_property
    def runs(self) -> list[RunRecord]:
        """The run records of every adapter and of all predictions.

        Raises:
            InputError: if one is missing.
        """
        return list(self._runs())

    def _runs(self) -> Iterator[RunRecord]:
        for model in self.models:
            files: list[tuple[str | None, str]] = [
                (suite, layout.predictions_run(model.name, suite)) for suite in self.spec.suites
            ]
            if model.kind == "mix":
                files.insert(0, (None, layout.adapter(model.name, "run.json")))
            for suite, file in files:
                if not (self.root / file).is_file():
                    raise InputError(f"{self.root / file}: no such file; expected the run record of {model.name}")
                yield RunRecord(model, suite, file, read_json(self.root / file))


METRICS = {
    "em": "exact match",
    "hamming": "Hamming score",
    "hamming_options": "share of options judged rightly",
    "em_unmapped": "exact match against unmoved letters",
    "hamming_unmapped": "Hamming score against unmoved letters",
    "invalid": "no readable answer",
    "ambiguous": "ambiguous answer",
    "brier": "Brier score",
    "confidence": "mean probability of the chosen label",
    "right_at_first_step": "most probable label right",
    "calibration_error": "expected calibration error",
    "rouge1": "ROUGE-1",
    "rouge2": "ROUGE-2",
    "rougeL": "ROUGE-L",
    "meteor": "METEOR",
    "bleu": "sentence BLEU",
    "chrf": "sentence chrF",
    "bleu_corpus": "corpus BLEU",
    "chrf_corpus": "corpus chrF",
    "words": "words an answer",
    "reference_words": "words a reference",
    "cut_at_length": "cut at the token limit",
}
DECODINGS = {
    "greedy": "greedy decoding",
    "constrained": "constrained decoding",
    "probabilities": "label probabilities",
    "judged": "judged",
}
AGGREGATES = {
    "item_weighted": "every item counts the same",
    "mean_of_benchmarks": "every benchmark counts the same",
    "mean_of_tasks": "single- and multiple-answer questions count the same",
}


def metric_name(metric: str) -> str:
    """Return what a metric is called on the page."""
    return METRICS.get(metric, metric.replace("_", " "))


def measure_name(metric: str, decoding: str) -> str:
    """Return what a metric under one decoding is called on the page."""
    return f"{metric_name(metric)}, {DECODINGS.get(decoding, decoding)}"


def scope_title(kind: str, scope: str) -> str:
    """Return the title of a scope: all items, the items of a provenance, or a benchmark."""
    return "all items" if kind == "all" else f"{scope} items" if kind == "provenance" else scope
