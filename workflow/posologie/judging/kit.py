"""The rating kit: which answers people rate, a blinded sheet for each rater, and the key that the study keeps."""

import csv
import hashlib
import io
import math
import re
import zipfile
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE
from openpyxl.styles import Alignment, Font
from openpyxl.utils import get_column_letter

from posologie.judging.answers import human_schema, open_answers
from posologie.judging.human import answer_id
from posologie.judging.spec import Kit, KitSpec
from posologie.records.files import read_parquet, without_formula, write_parquet, write_text
from posologie.running.commands import named_path, parser, run
from posologie.running.errors import InputError
from posologie.running.whole_files import whole_file

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
        rank: the place of a question in the order of the draw, the same for every model.

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
                f" {len(models) * min(len(of_model) for of_model in answers.values())}"
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
    spreads = {}
    for name in sorted(strata):
        chances = [_probability(verdicts[question]) for question in strata[name]]
        mean = sum(chances) / len(chances)
        spreads[name] = len(chances) * max(_LEAST_SPREAD, math.sqrt(mean * (1 - mean)))
    numbers = {name: min(_FEWEST, len(strata[name])) for name in spreads}
    while sum(numbers.values()) > count:  # more strata than ratings: the smallest ones are drawn once
        numbers[min((name for name in numbers if numbers[name] > 1), key=lambda name: spreads[name])] -= 1
    while sum(numbers.values()) < count:
        open_strata = [name for name in spreads if numbers[name] < len(strata[name])]
        # Highest averages (Sainte-Laguë), as everywhere else: a larger count contains a smaller one.
        best = max(open_strata, key=lambda name: (spreads[name] / (2 * numbers[name] + 1), name))
        numbers[best] += 1
    return numbers


def _probability(verdict: Mapping[str, Any]) -> float:
    if verdict["probability"] is not None:
        return float(verdict["probability"])
    return 0.5 if verdict["label"] is None else 0.1 + 0.8 * verdict["label"]


SHOWN = ("code", "question", "context", "reference", "candidate", "rating", "comment")
_WIDTHS = (14, 50, 50, 50, 50, 10, 30)
_EPOCH = datetime(1980, 1, 1)


def main(argv: list[str]) -> None:
    """Write the sheets and the key."""
    arguments = parser("posologie.judging.kit", __doc__ or "")
    arguments.add_argument("--predictions", required=True, nargs="+", type=named_path, metavar="MODEL=F")
    arguments.add_argument("--items", required=True, nargs="+", type=named_path, metavar="SOURCE=SHARD")
    arguments.add_argument("--judgements", nargs="+", type=named_path, default=[], metavar="MODEL=F")
    arguments.add_argument("--sheets", required=True, nargs="+", type=named_path, metavar="RATER=OUT")
    arguments.add_argument("--key", required=True, type=Path)
    options = arguments.parse_args(argv)
    spec = KitSpec.from_json(options.spec)
    answers = {model: open_answers(Path(path), dict(options.items)) for model, path in options.predictions}
    if spec.kit.judge is None:
        key = kit_key(answers, spec.kit)
    else:
        key = judged_key(answers, {model: Path(path) for model, path in options.judgements}, spec.kit)
    for rater, path in options.sheets:
        write_sheet(Path(path), sheet_rows(key, rater, spec.kit.seed))
    write_parquet(options.key, pa.Table.from_pylist(key, schema=key_schema()))


def key_schema() -> pa.Schema:
    """Return the schema of a kit's key: the code of a row, and all that `human/{set}.parquet` says of an answer."""
    fields = [field for field in human_schema() if field.name not in ("rater", "rating")]
    return pa.schema([pa.field("code", pa.string(), nullable=False), *fields])


def kit_key(answers: Mapping[str, Sequence[Mapping[str, Any]]], kit: Kit) -> list[dict[str, Any]]:
    """Return the key: one row per question and model, by code and model.

    The questions are those with the smallest seeded hash, of those that every model answered.

    Raises:
        InputError: if there are fewer questions than the kit asks for.
    """
    of_model = {model: {(row["source"], row["item"]): row for row in rows} for model, rows in answers.items()}
    common = set.intersection(*(set(rows) for rows in of_model.values()))
    if len(common) < kit.questions:
        raise InputError(f"questions = {kit.questions}: expected at most {len(common)}, which all models answered")
    chosen = sorted(common, key=lambda question: _rank(kit.seed, "question", *question))[: kit.questions]
    weight = len(common) / len(chosen)
    key = [
        _entry(model, question, rows[question], kit.seed, "", weight)
        for question in chosen
        for model, rows in of_model.items()
    ]
    key.sort(key=lambda row: (row["code"], row["generator"]))
    return key


def judged_key(
    answers: Mapping[str, Sequence[Mapping[str, Any]]], judgements: Mapping[str, Path], kit: Kit
) -> list[dict[str, Any]]:
    """Return the key of a kit whose answers are drawn by what a judge says of them (`posologie.judging.kit`).

    Raises:
        InputError: if an answer has no judgement, or a model has too few answers.
    """
    of_model = {model: {(row["source"], row["item"]): row for row in rows} for model, rows in answers.items()}
    verdicts = {}
    for model, rows in of_model.items():
        if model not in judgements:
            raise InputError(f"--judgements: those of {model} are missing; expected one file for each model")
        table = read_parquet(judgements[model], columns=["source", "item", "label", "probability"])
        known = {(row["source"], row["item"]): row for row in table.to_pylist()}
        if missing := [item for source, item in rows if (source, item) not in known]:
            raise InputError(f"{judgements[model]}: no judgement of item {missing[0]}; expected one per answer")
        verdicts[model] = {question: known[question] for question in rows}
    chosen = drawn(verdicts, kit.answers or 0, lambda question: _rank(kit.seed, "question", *question))
    key = [
        _entry(model, question, of_model[model][question], kit.seed, stratum, weight)
        for (model, question), (stratum, weight) in chosen.items()
    ]
    key.sort(key=lambda row: (row["code"], row["generator"]))
    return key


def _entry(
    model: str, question: tuple[str, str], row: Mapping[str, Any], seed: int, stratum: str, weight: float
) -> dict[str, Any]:
    texts = {name: row[name] for name in ("item", "group", "question", "context", "reference", "candidate")}
    code = _rank(seed, "code", *question, row["candidate"])[:10]
    answer = answer_id(row["item"], model, row["candidate"])
    return {"code": code, "answer": answer, "generator": model, **texts, "stratum": stratum, "weight": weight}


def sheet_rows(key: Sequence[Mapping[str, Any]], rater: str, seed: int) -> list[dict[str, str]]:
    """Return the rows of a rater's sheet, in an order that depends on seed, rater and code alone."""
    rows = {row["code"]: {name: str(row.get(name, "")) for name in SHOWN} for row in key}
    return [rows[code] for code in sorted(rows, key=lambda code: _rank(seed, "order", rater, code))]


def write_sheet(path: Path, rows: Sequence[Mapping[str, str]]) -> None:
    """Write a sheet as XLSX or CSV, by its suffix; equal rows give equal bytes.

    Raises:
        InputError: if the suffix is another.
    """
    if path.suffix == ".csv":
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\r\n")
        writer.writerow(SHOWN)
        writer.writerows([[without_formula(row[name]) for name in SHOWN] for row in rows])
        write_text(path, "\ufeff" + text.getvalue())  # spreadsheets take UTF-8 for UTF-8 only with this mark
    elif path.suffix == ".xlsx":
        with whole_file(path) as partial:
            _write_xlsx(partial, rows)
    else:
        raise InputError(f"{path}: expected a sheet .xlsx or .csv")


def _write_xlsx(path: Path, rows: Sequence[Mapping[str, str]]) -> None:
    book = openpyxl.Workbook()
    book.properties.created = book.properties.modified = _EPOCH
    sheet = book.active
    sheet.title = "ratings"
    sheet.freeze_panes = "B2"
    sheet.append(SHOWN)
    for number, row in enumerate(rows, 2):
        for column, name in enumerate(SHOWN, 1):
            cell = sheet.cell(number, column)
            cell.alignment = Alignment(wrap_text=True, vertical="top")
            if row[name]:  # as text, whatever it begins with: "= 3 g" is no formula
                cell.value = ILLEGAL_CHARACTERS_RE.sub(" ", row[name])
                cell.data_type = "s"
                cell.quotePrefix = True  # so that it stays text when a rater edits the cell
    for column, width in enumerate(_WIDTHS, 1):
        sheet.column_dimensions[get_column_letter(column)].width = width
        sheet.cell(1, column).font = Font(bold=True)
    written = io.BytesIO()
    book.save(written)
    # The archive's entries carry the time at which they were written: equal sheets would have unequal bytes.
    with zipfile.ZipFile(written) as made, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as rewritten:
        for name in made.namelist():
            content = made.read(name)
            if name == "docProps/core.xml":
                content = _without_time(content)
            rewritten.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content, zipfile.ZIP_DEFLATED)


def _without_time(core: bytes) -> bytes:
    """Return the document's properties with the time of saving replaced."""
    return re.sub(rb"(<dcterms:modified[^>]*>)[^<]*", rb"\g<1>1980-01-01T00:00:00Z", core)


def _rank(seed: int, *parts: str) -> str:
    return hashlib.blake2b(
        "\x1f".join((str(seed), *parts)).encode("utf-8", "surrogatepass"), digest_size=16
    ).hexdigest()


if __name__ == "__main__":
    run(main)
