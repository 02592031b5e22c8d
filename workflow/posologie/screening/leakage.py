"""Audit one mix against one suite: which training items match a tested item. The mix stays as it is."""

import logging

from posologie.records.files import write_parquet
from posologie.records.items import read_item_table
from posologie.running.commands import claim_devices, named_path, parser, run
from posologie.screening.comparison import compare
from posologie.screening.embeddings import opened
from posologie.screening.matches import match_table
from posologie.screening.population import leaking, population
from posologie.screening.spec import LeakageSpec

log = logging.getLogger("posologie.screening")


def main(argv: list[str]) -> None:
    """Write the matches of a mix's training items with the items of a suite (`match_schema`)."""
    arguments = parser("posologie.screening.leakage", __doc__ or "")
    arguments.add_argument("--mix", required=True, help="the mix's train.parquet")
    arguments.add_argument("--tests", nargs="+", type=named_path, required=True, metavar="SOURCE=FILE")
    arguments.add_argument("--compared", nargs="*", type=named_path, default=[], metavar="SOURCE=FILE")
    arguments.add_argument("--encoder", metavar="MANIFEST", help="manifest of a sentence encoder from the hub")
    arguments.add_argument("--leakage", required=True)
    options = arguments.parse_args(argv)
    claim_devices(options.devices)
    spec = LeakageSpec.from_json(options.spec)
    items = read_item_table(options.mix)
    whole = population(items, [], options.tests, {spec.suite: spec.tested}, options.compared)
    vectors = opened(spec.encoder, spec.encoder_version, options.encoder)
    compared = compare(whole, spec, scope=(), vectors=vectors, declared=spec.languages)
    write_parquet(options.leakage, match_table(whole, compared, removed=set()))
    leaked = len(leaking(compared.matches))
    log.info("mix %s: %d of %d items match an item of suite %s", spec.mix, leaked, items.num_rows, spec.suite)


if __name__ == "__main__":
    run(main)
