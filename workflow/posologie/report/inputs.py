"""What the page and the figures read of a study: its tables, its run records, the order and names of its models."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from posologie.records import layout
from posologie.records.components import in_order
from posologie.records.files import read_json
from posologie.report.names import label, ordered
from posologie.report.spec import ReportSpec
from posologie.report.tables import Row, read_rows
from posologie.running.errors import InputError
from posologie.statistics.entries import arm_entries
from posologie.statistics.registration import Registration, registration_of
from posologie.statistics.spec import EvaluatedModel, Measured


@dataclass(frozen=True)
class Arm:
    """What a table or figure has one row for: a base model, a mix with its training seeds together, a published model.

    Attributes:
        model: what the tables call it.
        backbone: empty for a merged published model.
        arm: the mix's name, `base`, or the published model's name: what the contrasts call it.
        name: what the page calls it.
    """

    model: str
    backbone: str
    arm: str
    name: str


@dataclass(frozen=True)
class RunRecord:
    """One `run.json`: which model and suite it belongs to (no suite: its training), and what it says."""

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
    _indexes: dict[tuple[str, ...], dict[tuple[str, ...], list[Row]]] = field(default_factory=dict)

    def has(self, table: str) -> bool:
        """Return whether the study has a table."""
        return table in self.spec.tables

    def rows(self, table: str, **cells: str) -> list[Row]:
        """Return the rows of a table whose cells are as wanted, in the file's order; none if there is no such table.

        Raises:
            InputError: if the study has the table and its file is missing or broken.
        """
        if not self.has(table):
            return []
        if table not in self._tables:
            self._tables[table] = read_rows(self.root, table)
        return list(self._index(table, *cells).get(tuple(cells.values()), ()))

    def _index(self, table: str, *columns: str) -> dict[tuple[str, ...], list[Row]]:
        """Return the rows of a table by their cells in some columns: a page asks for the same columns many times."""
        key = (table, *columns)
        if key not in self._indexes:
            index = self._indexes[key] = {}
            for row in self._tables[table]:
                index.setdefault(tuple(row[column] for column in columns), []).append(row)
        return self._indexes[key]

    def measured(self, rows: list[Row], measured: Measured) -> list[Row]:
        """Return the rows of one measure, its decoding, option orders and aggregate."""
        key = (measured.metric, measured.decoding, measured.variants, measured.aggregate)
        return [row for row in rows if (row["metric"], row["decoding"], row["variants"], row["aggregate"]) == key]

    def suites_of(self, table: str) -> list[str]:
        """Return the suites that a table has rows of, in the order of the study."""
        return [suite for suite in self.spec.suites if self.rows(table, suite=suite)]

    @cached_property
    def registration(self) -> Registration | None:
        """What was registered before the first training; None where nothing was."""
        return registration_of(self.root)

    @cached_property
    def models(self) -> list[EvaluatedModel]:
        """The models in the order of the page."""
        return ordered(self.spec.models, self.spec.mixes)

    @cached_property
    def arms(self) -> list[Arm]:
        """The arms in the order of the page."""
        backbones = {model.backbone for model in self.models if model.backbone}
        return [
            Arm(
                entry.model,
                entry.backbone,
                entry.label,
                f"{entry.label} ({entry.backbone})" if len(backbones) > 1 and entry.backbone else entry.label,
            )
            for entry in arm_entries(self.models)
        ]

    @cached_property
    def shares(self) -> dict[str, dict[str, float]]:
        """Share of each component in each mix, by its training items; none without a table of compositions."""
        items: dict[str, dict[str, float]] = {}
        for row in self.rows("composition", part="train", by="all"):
            if row["mix"] and row["provenance"] != "all":
                items.setdefault(row["mix"], {}).setdefault(row["provenance"], row.needed("items"))
        totals = {mix: sum(held.values()) for mix, held in items.items()}
        return {
            mix: {name: count / totals[mix] for name, count in held.items() if count}
            for mix, held in items.items()
            if totals[mix]
        }

    def components_of(self, mix: str | None) -> tuple[str, ...]:
        """Return the components that a mix holds, in the order of the study; none for the base model."""
        held = self.shares.get(mix or "", {})
        return tuple(name for name in in_order(held, (component.name for component in self.spec.components)))

    def name(self, model: EvaluatedModel) -> str:
        """Return the short name of a single model, with its seed where the study has several."""
        return label(model, self.spec.models)

    def generator_name(self, generator: str) -> str:
        """Return the short name of the model that wrote rated answers; another generator's as it is."""
        return next((self.name(model) for model in self.models if model.name == generator), generator)

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
            if model.kind == "mix" and not model.published:
                files.insert(0, (None, layout.adapter(model.name, "run.json")))
            for suite, file in files:
                if not (self.root / file).is_file():
                    raise InputError(f"{self.root / file}: no such file; expected the run record of {model.name}")
                yield RunRecord(model, suite, file, read_json(self.root / file))
