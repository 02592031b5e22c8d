"""Screen one shard: duplicates inside the source and of earlier sources, and overlap with what suites test on."""

import logging
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from posologie.records.files import read_parquet, write_json, write_parquet
from posologie.records.items import read_item_table
from posologie.running.commands import claim_devices, named_path, parser, run
from posologie.running.errors import InputError
from posologie.screening.comparison import Compared, compare
from posologie.screening.embeddings import opened
from posologie.screening.matches import match_schema, match_table
from posologie.screening.population import TWINS, Match, Population, is_duplicate, population, staying, unwanted
from posologie.screening.spec import Quality, Screening, ScreeningSpec

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
    options = arguments.parse_args(argv)
    claim_devices(options.devices)
    spec = ScreeningSpec.from_json(options.spec)

    items = read_item_table(options.items)
    head = {"source": spec.source, "split": spec.split, "mode": spec.screening.mode}
    for name in ("source", "split"):
        if foreign := set(items[name].to_pylist()) - {head[name]}:
            raise InputError(f"{options.items}: items of {name} {min(foreign)}; expected {head[name]} alone")
    if spec.screening.mode == "off":
        write_parquet(options.screened, items)
        write_parquet(options.matches, match_schema().empty_table())
        write_json(options.report, {**head, "read": items.num_rows, "kept": items.num_rows, "removed": 0})
        return

    whole = population(items, options.earlier, options.tests, spec.suites, options.compared)
    vectors = opened(spec.screening.encoder, spec.encoder_version, options.encoder)
    compared = compare(whole, spec.screening, spec.screening.scope, options.processes, vectors, spec.languages)
    if compared.guessed:
        log.warning(
            "%s %s: no language is declared for %s; that of their items is guessed",
            spec.source, spec.split, ", ".join(compared.guessed),
        )  # fmt: skip
    below, quality = set[str](), {}
    if (rated := spec.rated()) is not None:
        if options.quality is None:
            raise InputError(f"{options.items}: no ratings of source {spec.source} are given; expected --quality")
        below, quality["quality"] = below_threshold(items, options.quality, rated)
    rules = {"same_answer": spec.screening.same_answer, "same_facts": spec.screening.same_facts}
    flagged = unwanted(whole, compared.matches, below, **rules)
    removed = flagged if spec.screening.mode == "remove" else set()
    screened = items.filter(pa.array(staying(whole, removed)))
    write_parquet(options.screened, screened)
    write_parquet(options.matches, match_table(whole, compared, removed))
    counts = report(whole, compared, flagged, spec.suites, spec.screening)
    write_json(
        options.report,
        {**head, **counts, **quality, "kept": screened.num_rows, "removed": len(removed)},
    )
    log.info(
        "%s %s: %d read, %d flagged, %d removed", spec.source, spec.split, items.num_rows, len(flagged), len(removed)
    )


def report(
    whole: Population, compared: Compared, flagged: set[int], suites: Mapping[str, Any], screening: Screening
) -> dict[str, Any]:
    """Return the counts of a screened shard.

    Items are counted once per line: an item that matches three items of a suite is one leaked item.
    """
    matches = compared.matches
    sources = whole.table["source"].to_pylist()
    originals: dict[str, list[Match]] = {name: [] for name in sources[whole.tested : whole.targets.stop]}
    across: dict[str, list[Match]] = {name: [] for name in sources[whole.targets.stop : whole.screened.start]}
    for match in matches:
        if match.place == "across":
            across[sources[match.other]].append(match)
        elif match.place == "compared":
            originals[sources[match.other]].append(match)
    training = [match for match in matches if match.place in ("within", "across")]
    alike = [match for match in training if not is_duplicate(match, screening.same_answer, screening.same_facts)]
    return {
        "read": len(whole.screened),
        "flagged": len(flagged),
        "within": _by_kind(match for match in matches if match.place == "within"),
        "across": {source: _by_kind(inside) for source, inside in across.items()},
        "suites": {suite: _suite(whole, matches, suite) for suite in sorted(suites)},
        "compared": {source: _by_kind(inside) for source, inside in originals.items()},
        "same_text_other_answer": sum(match.kind == "exact" and match.same_answer is False for match in matches),
        "alike_but_different": {
            "items": len({match.item for match in alike}),
            "other_answer": len({match.item for match in alike if match.same_answer is False}),
            "other_facts": len({match.item for match in alike if match.same_facts is False}),
        },
        "crowded": compared.crowded,
        "languages": compared.languages,
        "language_guessed": compared.guessed,
    }


def _suite(whole: Population, matches: Sequence[Match], suite: str) -> dict[str, Any]:
    inside = [match for match in matches if match.place == "test" and suite in whole.suites[match.other]]
    return {
        "tested": sum(suite in names for names in whole.suites),
        "tested_matched": len({match.other for match in inside if match.kind in TWINS}),
        **_by_kind(inside),
    }


def _by_kind(matches: Iterable[Match]) -> dict[str, int]:
    """Count the items that match, whole and by kind."""
    items = {(match.kind, match.item) for match in matches}
    return {"items": len({item for _, item in items}), **Counter(kind for kind, _ in items)}


def below_threshold(
    items: pa.Table, ratings: str | os.PathLike[str], quality: Quality
) -> tuple[set[str], dict[str, Any]]:
    """Return the ids of the items whose score is below the threshold, and the counts for the report.

    An item without a score (null: the judge's reply held none) stays, and so does one whose task is not rated.

    Args:
        ratings: `quality/{judge}/{source}.parquet`, with the columns `item` and `score`, one row per item.

    Raises:
        InputError: if the file lacks a column or an item of the shard that is to be rated, or rates an item twice.
    """
    table = read_parquet(ratings)
    for name in ("item", "score"):
        if name not in table.column_names:
            raise InputError(f"{ratings}: column '{name}' is missing; expected item and score")
    if len(pc.unique(table["item"])) < table.num_rows:
        raise InputError(f"{ratings}: an item is rated twice; expected one row per item")
    scores = dict(zip(table["item"].to_pylist(), table["score"].to_pylist(), strict=True))
    rated = items.filter(pc.is_in(items["task"], value_set=pa.array(quality.tasks, pa.string())))
    ids = rated["id"].to_pylist()
    if missing := [name for name in ids if name not in scores]:
        raise InputError(f"{ratings}: no rating of {len(missing)} of {len(ids)} items, the first is {min(missing)}")
    below = {name for name in ids if scores[name] is not None and scores[name] < quality.threshold}
    unrated = sum(scores[name] is None for name in ids)
    counts = {"judge": quality.judge, "threshold": quality.threshold, "rated": len(ids) - unrated}
    counts |= {"unrated": unrated, "of_other_tasks": items.num_rows - len(ids), "below": len(below)}
    return below, counts


if __name__ == "__main__":
    run(main)
