"""Gather the reports of all screened shards into one table: each source against itself, other sources and suites."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from statsmodels.stats.proportion import proportion_confint

from posologie.records import layout
from posologie.records.files import read_json, write_csv
from posologie.running.commands import parser, run
from posologie.screening.population import KINDS
from posologie.screening.spec import MatrixSpec

PLACE = ("source", "split", "mode", "against", "name", "items")
COLUMNS = (*PLACE, *KINDS, "matched", "share", "low", "high", "tested", "tested_matched")
"""`against` is `suite`, `earlier` or `within`, and `name` the suite or source; the kinds count items that match so;
`share` is `matched` in percent of `items`, with Wilson's 95 % interval; `tested` and `tested_matched` count the suite's
items, and those that an item of the source repeats (exact or near)."""


def main(argv: list[str]) -> None:
    """Write the table."""
    arguments = parser("posologie.screening.matrix", __doc__ or "")
    arguments.add_argument("--results", required=True, help="the study's folder, results/{study}")
    arguments.add_argument("--table", required=True, help="the CSV to write")
    options = arguments.parse_args(argv)
    spec = MatrixSpec.from_json(options.spec)
    reports = [
        read_json(Path(options.results) / layout.beside(layout.screened(source, split), ".json"))
        for source, splits in spec.screened.items()
        for split in splits
    ]
    write_csv(options.table, COLUMNS, [row for report in reports for row in rows(report)])


def rows(report: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield the rows of one screened shard; none where it was not screened."""
    if report["mode"] == "off":
        return
    places = [("within", report["source"], report["within"])]
    places += [("earlier", source, counts) for source, counts in report["across"].items()]
    places += [("suite", suite, counts) for suite, counts in report["suites"].items()]
    for against, name, counts in places:
        matched = counts["items"]
        low, high = proportion_confint(matched, report["read"], method="wilson") if report["read"] else (None, None)
        yield {
            **{"source": report["source"], "split": report["split"], "mode": report["mode"]},
            **{"against": against, "name": name, "items": report["read"]},
            **{kind: counts.get(kind, 0) for kind in KINDS},
            "matched": matched,
            "share": 100 * matched / report["read"] if report["read"] else None,
            "low": None if low is None else 100 * float(low),
            "high": None if high is None else 100 * float(high),
            "tested": counts.get("tested"),
            "tested_matched": counts.get("tested_matched"),
        }


if __name__ == "__main__":
    run(main)
