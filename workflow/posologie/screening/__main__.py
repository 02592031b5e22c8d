"""Screen one shard: duplicates inside the source and of earlier sources, and overlap with what suites test on."""

import logging

import pyarrow as pa

from posologie.records.files import write_json, write_parquet
from posologie.records.items import read_item_table
from posologie.running.commands import claim_devices, named_path, parser, run
from posologie.running.errors import InputError
from posologie.screening.comparison import compare
from posologie.screening.embeddings import opened
from posologie.screening.population import kept, population, unwanted
from posologie.screening.report import below_threshold, match_schema, match_table, report
from posologie.screening.spec import ScreeningSpec

log = logging.getLogger("posologie.screening")


def main(argv: list[str]) -> None:
    """Screen one shard."""
    arguments = parser("posologie.screening", __doc__ or "")
    arguments.add_argument("--items", required=True)
    arguments.add_argument("--earlier", nargs="*", type=named_path, default=[], metavar="SOURCE=FILE")
    arguments.add_argument("--tests", nargs="*", type=named_path, default=[], metavar="SOURCE=FILE")
    arguments.add_argument("--compared", nargs="*", type=named_path, default=[], metavar="SOURCE=FILE")
    for output in ("screened", "report", "matches"):
        arguments.add_argument(f"--{output}", required=True)
    arguments.add_argument("--quality", help="ratings of the items, where the spec has a quality screen")
    arguments.add_argument("--encoder", metavar="MANIFEST", help="manifest of a sentence encoder from the hub")
    arguments.add_argument("--processes", type=int, default=1, help="changes no result")
    given = arguments.parse_args(argv)
    claim_devices(given.devices)
    spec = ScreeningSpec.from_json(given.spec)

    items = read_item_table(given.items)
    head = {"source": spec.source, "split": spec.split, "mode": spec.screening.mode}
    for name in ("source", "split"):
        if foreign := set(items[name].to_pylist()) - {head[name]}:
            raise InputError(f"{given.items}: items of {name} {min(foreign)}; expected {head[name]} alone")
    if spec.screening.mode == "off":
        write_parquet(given.screened, items)
        write_parquet(given.matches, match_schema().empty_table())
        write_json(given.report, {**head, "read": items.num_rows, "kept": items.num_rows, "removed": 0})
        return

    whole = population(items, given.earlier, given.tests, spec.suites, given.compared)
    vectors = opened(spec.screening.encoder, spec.encoder_version, given.encoder)
    compared = compare(whole, spec.screening, spec.screening.scope, given.processes, vectors)
    below, quality = set[str](), {}
    if (wanted := spec.rated()) is not None:
        if given.quality is None:
            raise InputError(f"{given.items}: no ratings of source {spec.source} are given; expected --quality")
        below, quality["quality"] = below_threshold(items, given.quality, wanted)
    rules = {"same_answer": spec.screening.same_answer, "same_facts": spec.screening.same_facts}
    flagged = unwanted(whole, compared.found, below, **rules)
    removed = flagged if spec.screening.mode == "remove" else set()
    screened = items.filter(pa.array(kept(whole, removed)))
    write_parquet(given.screened, screened)
    write_parquet(given.matches, match_table(whole, compared, removed))
    counts = report(whole, compared, flagged, spec.suites, spec.screening)
    write_json(
        given.report,
        {**head, **counts, **quality, "kept": screened.num_rows, "removed": len(removed)},
    )
    log.info(
        "%s %s: %d read, %d flagged, %d removed", spec.source, spec.split, items.num_rows, len(flagged), len(removed)
    )


if __name__ == "__main__":
    run(main)
