"""The open answers in a predictions file, and the tables of judgements and of human ratings."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from posologie.backends.prompts import reply_fields
from posologie.records.files import read_parquet
from posologie.records.items import read_item_table
from posologie.running.errors import InputError
from posologie.running.seals import check_seal

if TYPE_CHECKING:
    import pyarrow


def open_answers(
    predictions: Path, shards: Mapping[str, Path | str] | Sequence[tuple[str, Path | str]]
) -> list[dict[str, Any]]:
    """Return the open questions of a predictions file with their texts, in file order.

    Args:
        predictions: the file.
        shards: source and file of the shards that the questions are in.

    Raises:
        InputError: naming the first item whose question is in none of the shards.
    """
    columns = ["item", "benchmark", "variant", "source", "provenance", "group", "task", "greedy_text"]
    check_seal(predictions)
    table = read_parquet(predictions)
    for name in columns:
        if name not in table.column_names:
            raise InputError(f"{predictions}: column '{name}' is missing; expected a table of predictions")
    answers = [row for row in table.select(columns).to_pylist() if row["task"] == "oeq"]
    judged = {(row["source"], row["item"]) for row in answers}
    texts: dict[tuple[str, str], dict[str, str]] = {}
    for source, shard in shards.items() if isinstance(shards, Mapping) else shards:
        items = read_item_table(shard, ["id", "question", "context", "answer"])
        texts |= {(source, row["id"]): row for row in items.to_pylist() if (source, row["id"]) in judged}
    for row in answers:
        item = texts.get((row["source"], row["item"]))
        if item is None:
            raise InputError(f"{predictions}: item {row['item']} of source '{row['source']}' is in none of the shards")
        row |= {"question": item["question"], "context": item["context"], "reference": item["answer"]}
        row["candidate"] = row["greedy_text"]
    return answers


OUTCOMES = ("label", "unparsable", "filtered", "failed")
"""label: a verdict; unparsable: a reply without one; filtered: withheld by the endpoint; failed: no reply at all."""


def _verdict_fields() -> list["pyarrow.Field"]:
    import pyarrow as pa

    return [
        pa.field("outcome", pa.string(), nullable=False),  # one of OUTCOMES
        pa.field("label", pa.int8()),  # the hard verdict, 0 or 1; null unless the outcome is "label"
        pa.field("probability", pa.float64()),  # of "1" among the two labels; null where the backend gives none
        pa.field("label_mass", pa.float64()),  # probability of both labels together under the full vocabulary
        *reply_fields(),
        pa.field("steering", pa.string()),  # what in the answer may steer a judge; null where nothing does
    ]


def judgement_schema() -> "pyarrow.Schema":
    """Return the schema of `judgements/{judge}/{model}/{suite}.parquet`: one row per open answer, as predicted."""
    import pyarrow as pa

    identity = ("item", "benchmark", "variant", "source", "provenance", "group")
    return pa.schema([*(pa.field(name, pa.string(), nullable=False) for name in identity), *_verdict_fields()])


def calibration_schema() -> "pyarrow.Schema":
    """Return the schema of `judgements/{judge}/calibration/{set}.parquet`: one row per rated answer, by answer id.

    Every rated answer is judged, also those that the judge was trained on: they are marked in `excluded`, so that
    so an agreement can leave them out and say how many they are.
    """
    import pyarrow as pa

    identity = ("answer", "item", "group", "generator")
    return pa.schema(
        [
            *(pa.field(name, pa.string(), nullable=False) for name in identity),
            pa.field("excluded", pa.bool_(), nullable=False),  # the question occurs in the judge's training files
            pa.field("triple_seen", pa.bool_(), nullable=False),  # question, reference and answer occur in one record
            *_verdict_fields(),
        ]
    )


def human_schema() -> "pyarrow.Schema":
    """Return the schema of `human/{set}.parquet`: one row per rated answer and rater, by answer id and rater.

    `answer` identifies question and candidate answer; `group` is the question's cluster (answers to one question, and
    questions on one case, share it); `generator` is the model that wrote the candidate (empty where unknown). `weight`
    is how many of the model's answers a rated one stands for, by the draw of the kit or by the file; `stratum` is the
    part of the answers that it was drawn from (empty where all were alike).
    """
    import pyarrow as pa

    identity = ("answer", "item", "group", "generator")
    texts = ("question", "context", "reference", "candidate", "rater", "stratum")
    return pa.schema(
        [
            *(pa.field(name, pa.string(), nullable=False) for name in (*identity, *texts)),
            pa.field("weight", pa.float64(), nullable=False),
            pa.field("rating", pa.float64(), nullable=False),  # binary: 0 or 1; ordinal: the scale's own numbers
        ]
    )
