"""Verdicts of a judge that was asked elsewhere: they come from files.

    python -m posologie.judging.outside --spec JSON --verdicts FILE… --judgements OUT.parquet --run OUT.json
        and either --predictions F --items SOURCE=SHARD…     a model's answers to a suite (spec: JudgingSpec)
        or         --human F [--trained-on FILE…]            a set of human ratings (spec: CalibrationSpec)

A row of a file is the verdict on one answer: of a model to an item, or on a rated answer by its id (column `answer` of
`human/{set}.parquet`) in the place of the item's. What the verdict says is read as a reply of any judge is. An answer
without a verdict, or with two different ones, ends the command and is named; verdicts on other answers are counted.
"""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from posologie.backends.interface import Reply
from posologie.judging.answers import calibration_schema, judgement_schema, open_answers
from posologie.judging.command import facts_of, mark_overlap
from posologie.judging.human import read_ratings
from posologie.judging.overlap import training_files
from posologie.judging.spec import CalibrationSpec, Judge, JudgingSpec, OutsideVerdicts
from posologie.judging.verdicts import verdict
from posologie.records.files import write_parquet
from posologie.records.runs import Run
from posologie.records.tables import Row, read_rows
from posologie.running.commands import named_path, parser, run
from posologie.running.errors import InputError

_SHOWN = 5
Key = tuple[str, str]
"""A model and an item; no model and the id of a rated answer."""


def main(argv: list[str]) -> None:
    """Make judgements of verdicts from outside."""
    arguments = parser("posologie.judging.outside", __doc__ or "")
    arguments.add_argument("--verdicts", required=True, nargs="+", type=Path)
    arguments.add_argument("--predictions", type=Path)
    arguments.add_argument("--items", nargs="+", type=named_path, default=[], metavar="SOURCE=SHARD")
    arguments.add_argument("--human", type=Path)
    arguments.add_argument("--trained-on", nargs="+", type=Path, default=[])
    arguments.add_argument("--judgements", required=True, type=Path)
    arguments.add_argument("--run", required=True, type=Path)
    options = arguments.parse_args(argv)
    if (options.predictions is None) == (options.human is None):
        arguments.error("either --predictions with --items, or --human")
    files = {f"verdicts {number}": path for number, path in enumerate(options.verdicts)}
    if options.human is None:
        spec = JudgingSpec.from_json(options.spec)
        record = Run("judging", spec, {"predictions": options.predictions, **dict(options.items), **files})
        rows = open_answers(options.predictions, dict(options.items))
        table, facts = judged(rows, spec.judge, options.verdicts, lambda row: [(spec.model, row["item"])])
        schema = judgement_schema()
    else:
        calibration = CalibrationSpec.from_json(options.spec)
        training = {f"trained_on {n}": path for n, path in enumerate(training_files(options.trained_on))}
        record = Run("judging", calibration, {"human": options.human, **training, **files})
        answers = {row["answer"]: row for row in read_ratings(options.human).to_pylist()}
        rows = [answers[answer] for answer in sorted(answers)]
        table, facts = judged(
            rows,
            calibration.judge,
            options.verdicts,
            lambda row: [("", row["answer"]), (row["generator"], row["item"]), (row["generator"], row["answer"])],
        )
        facts |= mark_overlap(table, options.trained_on)
        schema = calibration_schema()
    write_parquet(options.judgements, pa.Table.from_pylist(table, schema=schema))
    record.write(options.run, **facts)


def judged(
    rows: Sequence[dict[str, Any]], judge: Judge, files: Sequence[Path], keys_of: Any
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return every row with its verdict, and what the run record says of them.

    Args:
        keys_of: the keys that the verdict on a row may have; the first one present counts.

    Raises:
        InputError: naming the answers without a verdict.
    """
    backend = judge.backend
    if not isinstance(backend, OutsideVerdicts):
        raise InputError(f"judge.backend.kind = '{backend.kind}': expected outside")
    verdicts = read_verdicts((row for path in files for row in read_rows(path)), backend)
    matched = [(row, next((key for key in keys_of(row) if key in verdicts), None)) for row in rows]
    missing = [str(row.get("answer", row["item"])) for row, key in matched if key is None]
    if missing:
        more = f" and {len(missing) - _SHOWN} more" if len(missing) > _SHOWN else ""
        raise InputError(
            f"{', '.join(map(str, files))}: no verdict on {', '.join(missing[:_SHOWN])}{more}; expected one per answer"
        )
    table = [{**row, **_verdict(verdicts[key], backend, judge)} for row, key in matched if key is not None]
    unmatched = len(verdicts.keys() - {key for _, key in matched})
    return table, {**facts_of(table), "unmatched": unmatched}


def read_verdicts(rows: Iterable[Row], layout: OutsideVerdicts) -> Mapping[Key, Row]:
    """Return the verdicts by model and item.

    Raises:
        InputError: if two rows of one answer say different things.
    """
    by_key: dict[Key, Row] = {}
    for row in rows:
        key = row.text(layout.model) if layout.model in row.cells else "", row.filled(layout.item)
        first = by_key.setdefault(key, row)
        if first is not row and first.text(layout.verdict) != row.text(layout.verdict):
            raise InputError(f"{row.place}: not the verdict on '{key[1]}' of {first.place}; expected one each")
    return by_key


def _verdict(row: Row, layout: OutsideVerdicts, judge: Judge) -> dict[str, Any]:
    columns = verdict(Reply(row.text(layout.verdict), "stop", 0, 0), judge, "")
    if layout.probability is not None and (text := row.text(layout.probability)):
        try:
            probability = float(text.replace(",", "."))
        except ValueError:
            probability = -1.0
        if not 0 <= probability <= 1:
            raise InputError(f"{row.place}: column '{layout.probability}' is '{text}'; expected a number from 0 to 1")
        columns["probability"] = probability
    return columns


if __name__ == "__main__":
    run(main)
