"""Reader of the recipe of an invented world (`reader_options.world`): it makes the items that the recipe describes."""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from posologie.running.commands import run
from posologie.running.errors import InputError
from posologie.sources import shards
from posologie.sources.drafts import Draft
from posologie.sources.records import Rows
from posologie.sources.shards import Drafting, Place
from posologie.sources.spec import ShardSpec
from posologie.sources.world_recipe import Options, Recipe, read_recipe


def draft(record: Any, place: Place, options: tuple[str, ...]) -> Draft:
    """Make a draft of one item of a world."""
    return Draft(
        question=record["question"],
        answer=record["taught"],
        task="mcqu",
        options=options,
        answer_form="text",
        native_key=f"{record['fact']}/{record['wording']}",
        group=record["fact"],
        meta={"fact": record["fact"], "wording": record["wording"], "wrong_key": record["wrong"]},
    )


def _recipe_of(files: Mapping[str, Path]) -> tuple[str, Recipe]:
    if len(files) != 1:
        raise InputError(f"{', '.join(files)}: expected one recipe of a world")
    name, path = next(iter(files.items()))
    return name, read_recipe(path)


def reader(spec: ShardSpec, files: Mapping[str, Path]) -> Drafting:
    """Return the reader with the options that all questions share."""
    return partial(draft, options=_recipe_of(files)[1].options)


def rows(files: Mapping[str, Path], spec: ShardSpec) -> Iterator[Rows]:
    """Yield the records of the part that the source's options name.

    Raises:
        InputError: if the recipe has no such part.
    """
    name, recipe = _recipe_of(files)
    try:
        records = recipe.records(shards.options_of(spec, Options).part)
    except InputError as error:
        raise InputError(f"sources.{spec.source}.options.{error}") from error
    yield Rows(name, 1, records)


def main(argv: list[str]) -> None:
    """Write a shard of an invented world."""
    shards.main(argv, "posologie.sources.world", reader, rows)


if __name__ == "__main__":
    run(main)
