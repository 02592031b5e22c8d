"""Ratings that people gave become `human/{set}.parquet` (schema: `posologie.judging.answers.human_schema`).

python -m posologie.judging.human --spec RatingsSpec --ratings NAME=FILE… [--key KIT.key.parquet] --human OUT.parquet
    --report OUT.json

Without a kit the files are tables of rated answers, wide (one column per rater) or long (one rating per row), and NAME
is only shown. With a kit's key each file is the filled-in sheet of the rater NAME. An empty cell is no
rating.
"""

import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from posologie.judging.answers import human_schema
from posologie.judging.spec import RatingColumns, RatingsSpec, Scale
from posologie.records.files import read_parquet, write_json, write_parquet
from posologie.records.items import stable_id
from posologie.records.tables import Row, read_rows
from posologie.running.commands import named_path, parser, run
from posologie.running.errors import InputError


def main(argv: list[str]) -> None:
    """Import a set of ratings."""
    arguments = parser("posologie.judging.human", __doc__ or "")
    arguments.add_argument("--ratings", required=True, nargs="+", type=named_path, metavar="NAME=FILE")
    arguments.add_argument("--key", type=Path)
    arguments.add_argument("--human", required=True, type=Path)
    arguments.add_argument("--report", required=True, type=Path)
    options = arguments.parse_args(argv)
    spec = RatingsSpec.from_json(options.spec)
    files = {name: Path(path) for name, path in options.ratings}
    if spec.ratings.kit is None:
        columns = {name: spec.ratings.columns_of.get(name, spec.ratings.columns) for name in files}
        rows = [
            (row, own)
            for name, path in files.items()
            if (own := columns[name]) is not None
            for row in read_rows(path, spec.ratings.sheet)
        ]
        ratings, unrated = imported(rows, spec.ratings.scale)
    elif options.key is None:
        raise InputError("--key: missing; expected the key of the rating kit whose sheets these are")
    else:
        sheets = {rater: read_rows(path, spec.ratings.sheet) for rater, path in files.items()}
        ratings, unrated = returned(sheets, read_parquet(options.key).to_pylist(), spec.ratings.scale)
    if not ratings:
        raise InputError(f"{', '.join(map(str, files.values()))}: no rating in any row; expected at least one")
    ratings.sort(key=lambda row: (row["answer"], row["rater"]))
    write_parquet(options.human, pa.Table.from_pylist(ratings, schema=human_schema()))
    raters = sorted({row["rater"] for row in ratings})
    report = {
        "set": spec.set,
        "answers": len({row["answer"] for row in ratings}),
        "questions": len({row["item"] for row in ratings}),
        "answers_without_rating": unrated,
        "ratings": {rater: sum(row["rater"] == rater for row in ratings) for rater in raters},
        "scale": spec.ratings.scale.model_dump(),
    }
    write_json(options.report, report)


def imported(rows: Sequence[tuple[Row, RatingColumns]], scale: Scale) -> tuple[list[dict[str, Any]], int]:
    """Return the ratings in rows of a table, and the number of answers that nobody rated.

    Where a row does not say which model wrote the answer, two models may have written the same: its rating is then of
    a further answer, not the same one rated again.

    Raises:
        InputError: naming file, row and column of the first cell that does not fit, a rating given twice, or an item
            with two questions or references.
    """
    ratings: dict[tuple[str, str], dict[str, Any]] = {}
    answers: set[str] = set()
    items: dict[str, tuple[Row, dict[str, Any]]] = {}
    occurrences: Counter[tuple[str, ...]] = Counter()
    for row, columns in rows:
        answer = _answer(row, columns)
        _check_same_item(row, answer, items)
        if not answer["generator"]:
            # Rows are answers where each rater has a column; else each rater's ratings of one text are counted.
            rater = row.text(columns.rater) if columns.rater is not None else ""
            number = occurrences[answer["answer"], rater]
            occurrences[answer["answer"], rater] += 1
            if number:
                answer["answer"] = stable_id("answer", answer["answer"], str(number))
        answers.add(answer["answer"])
        for rater, cell, text in _given(row, columns):
            key = (answer["answer"], rater)
            if key in ratings:
                raise InputError(f"{row.place}: rater '{rater}' rated this answer before; expected one rating each")
            ratings[key] = {**answer, "rater": rater, "rating": _number(row, cell, text, scale)}
    return list(ratings.values()), len(answers - {answer for answer, _ in ratings})


def _check_same_item(row: Row, answer: Mapping[str, Any], items: dict[str, tuple[Row, dict[str, Any]]]) -> None:
    """Check that an item has one question, context, reference and group in all rows."""
    first, known = items.setdefault(answer["item"], (row, dict(answer)))
    for name in ("question", "context", "reference", "group"):
        if answer[name] != known[name]:
            raise InputError(
                f"{row.place}: item '{answer['item']}' has the {name} '{_short(answer[name])}', and in {first.place} it"
                f" has '{_short(known[name])}'; expected one {name} an item"
            )


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."


def returned(
    sheets: Mapping[str, Sequence[Row]], key: Sequence[Mapping[str, str]], scale: Scale
) -> tuple[list[dict[str, Any]], int]:
    """Return the ratings in a kit's filled-in sheets. Texts come from the key: a spreadsheet may have altered them."""
    of_code: dict[str, list[Mapping[str, str]]] = {}
    for entry in key:
        of_code.setdefault(entry["code"], []).append(entry)
    ratings: list[dict[str, Any]] = []
    rated: set[str] = set()
    for rater, rows in sheets.items():
        codes: set[str] = set()
        for row in rows:
            code = row.filled("code")
            if code not in of_code:
                raise InputError(f"{row.place}: code '{code}' is not in the kit's key; expected a sheet of this kit")
            if code in codes:
                raise InputError(f"{row.place}: code '{code}' occurs twice; expected one row each")
            codes.add(code)
            if text := row.text("rating"):
                number = _number(row, "rating", text, scale)
                rated.add(code)
                for entry in of_code[code]:
                    answer = {name: entry[name] for name in human_schema().names if name not in ("rater", "rating")}
                    ratings.append({**answer, "rater": rater, "rating": number})
        if missing := sorted(of_code.keys() - codes):
            raise InputError(f"sheet of {rater}: {len(missing)} rows are missing, such as code '{missing[0]}'")
    return ratings, len({entry["answer"] for code in of_code.keys() - rated for entry in of_code[code]})


def read_ratings(path: str | os.PathLike[str]) -> pa.Table:
    """Read a table of ratings.

    Raises:
        InputError: naming the first column that is missing.
    """
    table = read_parquet(path)
    for name in human_schema().names:
        if name not in table.column_names:
            raise InputError(f"{path}: column '{name}' is missing; expected a table of ratings")
    return table.select(human_schema().names).cast(human_schema())


def answer_id(item: str, generator: str, candidate: str) -> str:
    """Return the id of a rated answer."""
    return stable_id("answer", item, generator, candidate)


def _answer(row: Row, columns: RatingColumns) -> dict[str, Any]:
    def optional(name: str | None) -> str:
        return row.text(name) if name is not None else ""

    question, reference = row.filled(columns.question), row.filled(columns.reference)
    context, candidate = optional(columns.context), row.text(columns.candidate)
    generator = optional(columns.generator)
    item = row.filled(columns.item) if columns.item is not None else stable_id("rated", question, context, reference)
    return {
        "answer": answer_id(item, generator, candidate),
        "item": item,
        "group": optional(columns.group) or item,
        "generator": generator,
        "question": question,
        "context": context,
        "reference": reference,
        "candidate": candidate,
        "stratum": "",
        "weight": _weight(row, columns),
    }


def _weight(row: Row, columns: RatingColumns) -> float:
    if columns.weight is None:
        return 1.0
    text = row.filled(columns.weight)
    try:
        weight = float(text.replace(",", "."))
    except ValueError:
        weight = float("nan")
    if not 0 < weight < float("inf"):
        raise InputError(f"{row.place}: column '{columns.weight}' is '{text}'; expected a number above 0")
    return weight


def _given(row: Row, columns: RatingColumns) -> Iterator[tuple[str, str, str]]:
    """Yield rater, column and text of the ratings that a row gives."""
    if columns.rater is not None and columns.rating is not None:
        if text := row.text(columns.rating):
            yield row.filled(columns.rater), columns.rating, text
        return
    for rater in columns.raters:
        if text := row.text(rater):
            yield rater, rater, text


def _number(row: Row, column: str, text: str, scale: Scale) -> float:
    if text not in scale.values:
        known = ", ".join(scale.values)
        raise InputError(f"{row.place}: column '{column}' is '{text}'; expected one of {known}, or nothing")
    return scale.values[text]


if __name__ == "__main__":
    run(main)
