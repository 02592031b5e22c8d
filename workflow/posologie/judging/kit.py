"""The rating kit: a blinded, shuffled sheet for each rater, and the key that only the study keeps.

python -m posologie.judging.kit --spec KitSpec --predictions MODEL=F… --items SOURCE=SHARD… --sheets RATER=OUT…
    --key OUT.parquet [--judgements MODEL=F…]

A sheet (.xlsx or .csv) shows code, question, context, reference and candidate, and leaves `rating` and `comment` empty.
It names no model, and its order is another for each rater. Answers of equal text to one question are one row. The
filled-in sheets come back through `posologie.judging.human`.
"""

import csv
import hashlib
import io
import re
import zipfile
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE
from openpyxl.styles import Alignment, Font
from openpyxl.utils import get_column_letter

from posologie.judging.answers import open_answers
from posologie.judging.draw import drawn
from posologie.judging.human import answer_id
from posologie.judging.schema import human_schema
from posologie.judging.spec import Kit, KitSpec
from posologie.records.files import read_parquet, without_formula, write_parquet, write_text
from posologie.running.commands import named_path, parser, run
from posologie.running.errors import InputError
from posologie.running.whole_files import whole_file

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
    """Return the key of a kit whose answers are drawn by what a judge says of them (`posologie.judging.draw`).

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
            raise InputError(f"{judgements[model]}: no judgement of item {missing[0]}; expected one an answer")
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
    with zipfile.ZipFile(written) as made, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as kept:
        for name in made.namelist():
            content = made.read(name)
            if name == "docProps/core.xml":
                content = _without_time(content)
            kept.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content, zipfile.ZIP_DEFLATED)


def _without_time(core: bytes) -> bytes:
    """Return the document's properties with the time of saving replaced."""
    return re.sub(rb"(<dcterms:modified[^>]*>)[^<]*", rb"\g<1>1980-01-01T00:00:00Z", core)


def _rank(seed: int, *parts: str) -> str:
    return hashlib.blake2b(
        "\x1f".join((str(seed), *parts)).encode("utf-8", "surrogatepass"), digest_size=16
    ).hexdigest()


if __name__ == "__main__":
    run(main)
