"""Scores of the answers that people rated, so that every metric can be held against them."""

import numpy as np
import pyarrow as pa

from posologie.models.store import check_version
from posologie.records.files import read_parquet, write_parquet
from posologie.running.commands import parser, run
from posologie.running.errors import InputError
from posologie.scoring.spec import Encoder, RatedSpec
from posologie.scoring.text import text_scorer, text_signatures

_COLUMNS = ("answer", "candidate", "reference")


def rated_schema() -> pa.Schema:
    """Return the schema of `human_scores/{set}.parquet`: one row per rated answer and metric, by metric and answer."""
    return pa.schema(
        [
            pa.field("answer", pa.string(), nullable=False),
            pa.field("metric", pa.string(), nullable=False),
            pa.field("signature", pa.string(), nullable=False),
            pa.field("value", pa.float64(), nullable=False),
        ]
    )


def main(argv: list[str]) -> None:
    """Score the answers of one set of human ratings."""
    arguments = parser("posologie.scoring.rated", __doc__ or "")
    arguments.add_argument("--human", required=True, help="human/{set}.parquet")
    arguments.add_argument("--encoder", metavar="MANIFEST", help="manifest of an encoder from the hub")
    arguments.add_argument("--scores", required=True)
    arguments.add_argument("--threads", type=int, default=1, help="torch's thread count on the CPU")
    options = arguments.parse_args(argv)
    spec = RatedSpec.from_json(options.spec)
    table = read_parquet(options.human)
    if missing := [name for name in _COLUMNS if name not in table.column_names]:
        raise InputError(f"{options.human}: column '{missing[0]}' is missing; expected a table of human ratings")
    answers = {row["answer"]: row for row in table.select(list(_COLUMNS)).to_pylist()}
    ordered = [answers[answer] for answer in sorted(answers)]
    score = text_scorer(spec.text)
    scored = [score(row["candidate"], row["reference"]) for row in ordered]
    columns = {metric: np.array([values[metric] for values in scored], dtype=float) for metric in scored[0]}
    signatures = text_signatures(spec.text, columns)
    if spec.encoder is not None:
        check_version("scoring.encoder.package", spec.encoder.package, spec.package_version)
        columns["bertscore"], signatures["bertscore"] = _bertscore(
            spec.encoder, ordered, options.encoder, options.threads
        )
    rows = [
        {"answer": row["answer"], "metric": metric, "signature": signatures[metric], "value": float(value)}
        for metric in sorted(columns)
        for row, value in zip(ordered, columns[metric], strict=True)
    ]
    write_parquet(options.scores, pa.Table.from_pylist(rows, schema=rated_schema()))


def _bertscore(
    encoder: Encoder, rows: list[dict[str, str]], manifest: str | None, threads: int
) -> tuple[np.ndarray, str]:
    # torch takes seconds to import, which a set without an encoder need not spend.
    from posologie.scoring.neural import bertscores

    answers, references = ([row[name] for row in rows] for name in ("candidate", "reference"))
    return bertscores(answers, references, encoder, manifest, threads=threads)


if __name__ == "__main__":
    run(main)
