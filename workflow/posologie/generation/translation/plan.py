"""What a translation would ask and cost.

python -m posologie.generation.translation.plan --spec TranslationSpec --source SHARD.parquet [--prompt FILE] --work DIR
    [--running JSON] [--plan OUT.json]
"""

from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from posologie.backends.interface import Request
from posologie.generation.plan import Plan, add_plan_arguments, as_long_as_the_text, plan_of, show
from posologie.generation.spec import TranslationSpec
from posologie.generation.translation.command import manner_of
from posologie.generation.translation.requests import ChatTranslation, TextTranslation, fields_of
from posologie.records.items import Item, read_item_table, table_to_items
from posologie.running.commands import parser, run


def main(argv: list[str]) -> None:
    """Print the plan."""
    arguments = parser("posologie.generation.translation.plan", __doc__ or "")
    add_plan_arguments(arguments)
    arguments.add_argument("--source", required=True, type=Path)
    arguments.add_argument("--prompt", type=Path)
    options = arguments.parse_args(argv)
    show(planned(options), options)


def planned(options: Namespace) -> Plan:
    """Return the plan: `options` are those of `main`."""
    translator = TranslationSpec.from_json(options.spec).translator
    manner = manner_of(translator, options)
    requests = (request for item in _items(options.source) for request in _requests(item, manner))
    prompt = manner.prompt if isinstance(manner, ChatTranslation) else None
    return plan_of(requests, translator.backend, options, as_long_as_the_text(prompt))


def _items(path: Path) -> Iterator[Item]:
    table = read_item_table(path)
    for batch in table.to_batches(max_chunksize=1000):
        yield from table_to_items(pa.Table.from_batches([batch]))


def _requests(item: Item, manner: ChatTranslation | TextTranslation) -> Iterator[Request]:
    """Yield an item's requests."""
    for part in manner.parts(fields_of(item)):
        yield from manner.requests(part)


if __name__ == "__main__":
    run(main)
