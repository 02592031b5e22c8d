"""A judge rates training items, with any backend: the ratings that the quality screen reads.

    python -m posologie.screening.rating --backend KIND --spec JSON --prompt FILE --items SHARD
        --ratings OUT.parquet --run OUT.json --work DIR [--running JSON] [--backbone MANIFEST]

KIND is causal, openai_endpoint or engine: that of the judge's backend. `--running` changes no rating.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from posologie.backends.asking import add_asking_arguments, asking
from posologie.backends.interface import Failure, Reply, Request
from posologie.backends.prompts import Prompt, read_prompt, reply_columns, reply_fields
from posologie.records.files import write_parquet
from posologie.records.items import LABELS, Item, read_item_table, table_to_items
from posologie.records.runs import Run
from posologie.running.commands import parser, run
from posologie.running.errors import InputError
from posologie.screening.spec import Rating, RatingSpec


def rating_schema() -> pa.Schema:
    """Return the schema of `quality/{judge}/{source}.parquet`: one row per training item that is rated, in file order.

    `outcome` is `score`; `unparsable` (a reply without a score); `filtered` (withheld by the endpoint); or `failed` (no
    reply at all).
    """
    return pa.schema(
        [
            pa.field("item", pa.string(), nullable=False),
            pa.field("task", pa.string(), nullable=False),
            pa.field("score", pa.float64()),  # as the prompt's scale has it; null unless the outcome is "score"
            pa.field("outcome", pa.string(), nullable=False),
            *reply_fields(),
        ]
    )


_AT_ONCE = 2048


def main(argv: list[str]) -> None:
    """Rate the training items of one source."""
    arguments = parser("posologie.screening.rating", __doc__ or "")
    add_asking_arguments(arguments)
    arguments.add_argument("--prompt", required=True, type=Path)
    arguments.add_argument("--items", required=True, type=Path, metavar="SHARD")
    arguments.add_argument("--ratings", required=True, type=Path)
    arguments.add_argument("--run", required=True, type=Path)
    options = arguments.parse_args(argv)
    spec = RatingSpec.from_json(options.spec)
    inputs = {"items": options.items, "prompt": options.prompt}
    run = Run("screening.rating", spec, inputs | ({"backbone": options.backbone} if options.backbone else {}))
    prompt = read_prompt(options.prompt)
    items = rated_items(options.items, spec)
    rows: list[dict[str, Any]] = []
    with asking(spec.backend, options, f"{spec.judge}/{spec.source}") as session:
        session.complete((request for _, request in requests(items, spec.rating, prompt)), items.num_rows, "items")
        for item, request in requests(items, spec.rating, prompt):
            identity = {"item": item.id, "task": item.task}
            rows.append(identity | rated(session.reply(request), spec.rating, prompt.sha256))
        session.check_failures({row["item"]: row["error"] for row in rows if row["outcome"] == "failed"})
        of_backend = session.facts()
    write_parquet(options.ratings, pa.Table.from_pylist(rows, schema=rating_schema()))
    outcomes = [row["outcome"] for row in rows]
    run.write(
        options.run,
        items=len(rows),
        outcomes={name: outcomes.count(name) for name in sorted(set(outcomes))},
        prompt={"name": prompt.name, "version": prompt.version, "sha256": prompt.sha256},
        prompt_tokens=sum(row["prompt_tokens"] for row in rows),
        generated_tokens=sum(row["generated_tokens"] for row in rows),
        **of_backend,
    )


def rated_items(shard: Path, spec: RatingSpec) -> pa.Table:
    """Return the items of a shard that are rated: those of the spec's tasks, in file order.

    Raises:
        InputError: if the shard holds items of another source.
    """
    items = read_item_table(shard)
    if foreign := set(pc.unique(items["source"]).to_pylist()) - {spec.source}:
        raise InputError(f"{shard}: items of source {min(foreign)}; expected {spec.source} alone")
    return items.filter(pc.is_in(items["task"], value_set=pa.array(spec.tasks, pa.string())))


def requests(items: pa.Table, rating: Rating, prompt: Prompt) -> Iterator[tuple[Item, Request]]:
    """Yield each item with its request; few of them are in memory at a time."""
    for first in range(0, items.num_rows, _AT_ONCE):
        for item in table_to_items(items.slice(first, _AT_ONCE)):
            yield item, Request(prompt.turns(places(item)), rating.decoding)


def places(item: Item) -> dict[str, str]:
    """Return what the places of a prompt are filled with: question (with its context), options, and right answer."""
    lines = [f"({LABELS[index]}) {option}" for index, option in enumerate(item.options)]
    return {
        "question": f"{item.question}\n\n{item.context}" if item.context else item.question,
        "options": "\n".join(lines),
        "answer": "\n".join(lines[index] for index in item.gold) if lines else item.answer,
    }


def rated(outcome: Reply | Failure, rating: Rating, prompt_sha256: str) -> dict[str, Any]:
    """Return what became of one request: the score, or why there is none (`rating_schema`)."""
    columns = {"score": None, "outcome": "failed", **reply_columns(outcome, prompt_sha256)}
    if isinstance(outcome, Failure):
        return columns
    score = rating.score_in(outcome.text)
    without = "filtered" if outcome.finish == "filtered" else "unparsable"
    return {**columns, "score": score, "outcome": without if score is None else "score"}


if __name__ == "__main__":
    run(main)
