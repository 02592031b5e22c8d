"""One number of a table: which row and column is meant, which models, suites and items it rests on."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from posologie.records import layout
from posologie.records.files import read_rows
from posologie.running.errors import InputError
from posologie.scoring.metrics import METRICS
from posologie.scoring.spec import read_scores

_LISTED = 6
MEASURED = frozenset(
    [
        "value",
        "low",
        "high",
        "level",
        "interval",
        "note",
        "n",
        "clusters",
        "unit",
        "published",
        "published_aggregate",
        "difference",
        "signature",
        "p_value",
        "p_mcnemar",
        "p_holm",
        "p_adjusted",
        "p_equivalent",
        "p_noninferior",
        "simultaneous_low",
        "simultaneous_high",
        "df",
        "correction",
        "margin",
        "about",
        "seed_sd",
        "seed_df",
        "undone_by_seed_sd",
        "settles_at_seeds",
        "settles_at_items",
        "chosen",
        "in_set",
        "set_size",
        "corrected_low",
        "corrected_high",
        "gain",
        "gain_corrected",
        "gain_low",
        "gain_high",
        "p_bootstrap",
        "p_steiger",
        "zou_low",
        "zou_high",
        "family",
        "family_size",
        "test",
        "detectable",
        "verdict",
        "registered",
        "left_value",
        "right_value",
        "items",
        "share",
        "characters",
        "length",
        "best_share",
        "excluded",
        "triples",
        "silent",
        "silent_left",
        "silent_right",
        "support",
        "rated",
        "stale",
        "naive",
        "naive_low",
        "naive_high",
        "tuning",
        "rogan_gladen",
        "rogan_gladen_low",
        "rogan_gladen_high",
        "worth",
        "more_ratings",
        "raters",
        "ratings",
        "by_rule",
        "chosen_share",
        "corrected",
        "human",
        "judge_value",
        "mixes",
        "kendall_tau",
        "signs_equal",
        "signs_compared",
        "mean_difference",
        "hours",
        "gpus",
        "gpu_hours",
        "peak_memory_gb",
        "peak_gpu_memory_gb",
        "energy_kwh",
        "prompt_tokens",
        "generated_tokens",
        "trained_tokens",
        "processor",
        "cpus",
        "gpu",
    ]
)
"""Columns that say what was found; all others say what a row is about."""


@dataclass(frozen=True)
class Number:
    """The number to explain: rows of a table, and a column."""

    table: str
    rows: tuple[dict[str, str], ...]
    column: str

    def as_json(self) -> dict[str, Any]:
        """Return the rows as JSON values."""
        return {"table": self.table, "column": self.column, "rows": list(self.rows)}

    def describe(self) -> list[str]:
        """Return what the rows say, for reading."""
        if len(self.rows) > 1:
            return [
                f"{len(self.rows):,} rows match; --row KEY=VALUE … narrows them to one. They differ in:",
                *self._apart(),
            ]
        row = self.rows[0]
        about = ", ".join(f"{key} {value}" for key, value in row.items() if key not in MEASURED and value)
        unit = row.get("unit", "")
        interval = ""
        if self.column == "value" and row.get("low") and row.get("high"):
            interval = f" [{row['low']}, {row['high']}], {row.get('interval', '')} at level {row.get('level', '?')}"
        lines = [f"{self.table}: {about}", f"{self.column} = {row[self.column] or 'nothing'} {unit}{interval}".rstrip()]
        if row.get("n"):
            of = "answers" if "set" in row else "items"
            rated = f", {row['rated']} rated," if row.get("rated") else ""
            lines.append(f"n = {row['n']} {of}{rated} in {row.get('clusters', '?')} clusters")
        lines += [f"{key}: {row[key]}" for key in ("test", "family", "signature", "note") if row.get(key)]
        return lines

    def _apart(self) -> list[str]:
        lines = []
        for key in self.rows[0]:
            values = list(dict.fromkeys(row[key] for row in self.rows))
            if key not in MEASURED and len(values) > 1:
                lines.append(f"  {key}: {_listed(values)}")
        return lines


def number_of(file: Path, cells: Sequence[str], column: str) -> Number:
    """Return the rows of a table that have the wanted cells.

    Raises:
        InputError: if the table is missing, or a column or value of it is unknown.
    """
    if not file.is_file():
        raise InputError(f"{file}: no such table")
    rows = read_rows(file)
    if not rows:
        raise InputError(f"{file}: holds no rows")
    if column not in rows[0] and column != "value":
        raise InputError(f"{file}: --column {column}: expected one of {', '.join(rows[0])}")
    for text in cells:
        key, separator, value = text.partition("=")
        if not separator or key not in rows[0]:
            raise InputError(f"{file}: --row {text}: expected KEY=VALUE with a KEY of {', '.join(rows[0])}")
        matching = [row for row in rows if row[key] == value]
        if not matching:
            values = _listed(list(dict.fromkeys(row[key] for row in rows)))
            raise InputError(f"{file}: no such row has {key} = '{value}'; found {values}")
        rows = matching
    if column not in rows[0]:
        column = next((name for name in ("items", "hours", "share") if name in rows[0]), list(rows[0])[-1])
    return Number(file.stem, tuple(rows), column)


def models_behind(root: Path, number: Number) -> dict[str, list[str]]:
    """Return the models that a number rests on, each with its suites."""
    suites_of_model: dict[str, list[str]] = {}
    for row in number.rows:
        suites = _suites_of(row)
        for model in models_of_row(root, row):
            known = suites_of_model.setdefault(model, [])
            known += [suite for suite in suites if suite not in known]
    return suites_of_model


def models_of_row(
    root: Path, row: Mapping[str, str], columns: Sequence[str] = ("model", "left_model", "right_model")
) -> list[str]:
    """Return the models that a row rests on; all of its backbone, or of the study, where it names none.

    Args:
        columns: those that name models, or mixes over their seeds.
    """
    names = [row[key] for key in columns if row.get(key)]
    if not names and row.get("backbone"):
        names = [row["backbone"]]
    models = (model for name in names or [""] for model in _expanded(root, name, _suites_of(row)))
    return list(dict.fromkeys(models))


def scores_file(model: str, suite: str, metric: str) -> str:
    """Return the path of the file that holds a model's scores of a metric: those of the encoder lie apart."""
    return (layout.scores_neural if metric in METRICS and METRICS[metric].of_encoder else layout.scores)(model, suite)


def _suites_of(row: Mapping[str, str]) -> list[str]:
    suites = row["suites"].split("+") if "suites" in row else [row.get("suite", "")]
    return [suite for suite in suites if suite]


def items_behind(root: Path, number: Number) -> dict[str, Any]:
    """Return the ids of the items that a number of one row rests on, and its value again where it is a mean."""
    nothing: dict[str, Any] = {"count": 0, "ids": [], "recomputed": None}
    row = number.rows[0]
    if len(number.rows) > 1 or "metric" not in row or "scope_kind" not in row:
        return nothing
    models = [
        model
        for model in models_behind(root, number)
        if (root / scores_file(model, row["suite"], row["metric"])).is_file()
    ]
    if not models:
        return nothing
    tables = {model: _scores(root, model, row) for model in models}
    first = tables[models[0]]
    ids = sorted({item for _, item in first})
    recomputed = None
    if number.table in ("mcqa", "oeq") and row["aggregate"] == "item_weighted" and first:
        means = [sum(by_item.values()) / len(by_item) for by_item in tables.values()]
        scale = 100 if row["unit"] == "%" else 1
        recomputed = scale * sum(means) / len(means)
    return {"count": len(ids), "ids": ids, "recomputed": recomputed}


def _scores(root: Path, model: str, row: dict[str, str]) -> dict[tuple[str, str], float]:
    """Return the item scores behind a row for one model, each the mean over the row's variants."""
    import pyarrow as pa
    import pyarrow.compute as pc

    table = read_scores(root / scores_file(model, row["suite"], row["metric"]))
    cells = {"metric": row["metric"], "decoding": row["decoding"]}
    if row["task"] != "all":
        cells["task"] = row["task"]
    if row["scope_kind"] != "all":
        cells[row["scope_kind"]] = row["scope"]
    for key, value in cells.items():
        table = table.filter(pc.equal(table[key].cast(pa.string()), value))
    if row["variants"] != "all":
        original = pc.equal(table["variant"].cast(pa.string()), "original")
        table = table.filter(original if row["variants"] == "original" else pc.invert(original))
    sums: dict[tuple[str, str], list[float]] = {}
    for benchmark, item, value in zip(
        *(table[name].to_pylist() for name in ("benchmark", "item", "value")), strict=True
    ):
        if value is not None:
            sums.setdefault((benchmark, item), []).append(value)
    return {key: sum(values) / len(values) for key, values in sums.items()}


def _expanded(root: Path, name: str, suites: Sequence[str]) -> list[str]:
    """Return the models that a name stands for: itself, all seeds of a mix, or all models of a backbone."""
    folder = root / "predictions" / name
    below = sorted(path.parent.relative_to(root / "predictions").as_posix() for path in folder.rglob("*.run.json"))
    if not below:
        return [name] if name else []
    if name and any((folder / f"{suite}.parquet").is_file() for suite in suites):
        return [name]
    return list(dict.fromkeys(below))


def _listed(values: Sequence[str]) -> str:
    shown = [value or "(empty)" for value in values]
    return ", ".join(shown[:_LISTED]) + (f" … ({len(shown)} in all)" if len(shown) > _LISTED else "")
