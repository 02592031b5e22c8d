"""Screen the documents that items are generated from: which ones quote a tested question.

A document quotes a question as a training text does (`posologie.screening.quoting`). In mode `remove` it is left out
before anything is generated from it. In mode `report` it stays and its `meta` names the tested items, so that whatever
is generated from it is their twin by lineage.
"""

import json
import logging
from collections import defaultdict

import numpy as np
import pyarrow as pa

from posologie.records.files import write_json, write_parquet
from posologie.records.items import QUOTED, Item, items_to_table, meta_json, text_hash
from posologie.records.tables import TableRows, document_schema, read_documents
from posologie.running.commands import named_path, parser, run
from posologie.screening.comparison import Compared
from posologie.screening.matches import match_table
from posologie.screening.population import Match, Population, population
from posologie.screening.quoting import quotable, quotes, quoting_matches
from posologie.screening.spec import DocumentsSpec
from posologie.screening.text import texts

log = logging.getLogger("posologie.screening")

_DOCUMENTS_AT_ONCE = 1024
_COLUMNS = ["question", "context", "answer", "options", "gold"]


def main(argv: list[str]) -> None:
    """Screen one collection of documents."""
    arguments = parser("posologie.screening.documents", __doc__ or "")
    arguments.add_argument("--documents", required=True, help="documents/{collection}.parquet")
    arguments.add_argument("--tests", nargs="*", type=named_path, default=[], metavar="SOURCE=FILE")
    arguments.add_argument("--compared", nargs="*", type=named_path, default=[], metavar="SOURCE=FILE")
    for output in ("screened", "report", "matches"):
        arguments.add_argument(f"--{output}", required=True)
    options = arguments.parse_args(argv)
    spec = DocumentsSpec.from_json(options.spec)
    documents = read_documents(options.documents)
    whole = population(as_items(documents, spec.collection), [], options.tests, spec.suites, options.compared)
    matches = quoting_documents(whole, spec)
    quoted: dict[int, list[int]] = defaultdict(list)
    for match in matches:
        quoted[match.item - whole.screened.start].append(match.other)
    removed = {match.item for match in matches} if spec.mode == "remove" else set()
    compared = Compared(matches, [], 0, {}, [])
    write_parquet(options.screened, screened(documents, whole, quoted, remove=spec.mode == "remove"))
    write_parquet(options.matches, match_table(whole, compared, removed))
    suites = {
        suite: len({match.item for match in matches if match.place == "test" and suite in whole.suites[match.other]})
        for suite in sorted(spec.suites)
    }
    counts = {"read": documents.num_rows, "kept": documents.num_rows - len(removed), "removed": len(removed)}
    places = {"compared": len({match.item for match in matches if match.place == "compared"}), "suites": suites}
    write_json(
        options.report,
        {"collection": spec.collection, "mode": spec.mode, **counts, "quoting": len(quoted), **places},
    )
    log.info("%s: %d documents, %d quote a tested question", spec.collection, documents.num_rows, len(quoted))


def as_items(documents: pa.Table, collection: str) -> pa.Table:
    """Return the documents as items without an answer, so that they can be compared with items."""
    return items_to_table(
        Item(
            id=row["id"],
            source=collection,
            provenance="synthetic",
            split="train",
            task="oeq",
            question=row["title"],
            context=row["text"],
            options=(),
            gold=(),
            answer="",
            group=row["group"],
            meta={},
        )
        for row in documents.select(["id", "title", "text", "group"]).to_pylist()
    )


def quoting_documents(whole: Population, spec: DocumentsSpec) -> list[Match]:
    """Return the pairs of a document and a tested or only compared item that it quotes."""
    grams = quotable(whole, spec.containment)
    table = grams.table()
    rows = TableRows(whole.table.select(_COLUMNS))
    hits = [np.empty((0, 2), dtype=np.int64)]
    for first in range(whole.screened.start, whole.screened.stop, _DOCUMENTS_AT_ONCE):
        positions = np.arange(first, min(first + _DOCUMENTS_AT_ONCE, whole.screened.stop))
        lines = [" ".join(field for field in text.fields if field) for text in texts(rows.at(positions))]
        hits.append(quotes(lines, grams, table) + np.array([first, 0]))
    return quoting_matches(whole, grams, np.concatenate(hits), spec.containment, spec.containment_share)


def screened(documents: pa.Table, whole: Population, quoted: dict[int, list[int]], *, remove: bool) -> pa.Table:
    """Return the documents without those that quote, or with the names of what they quote in their `meta`."""
    if remove:
        return documents.filter(pa.array([row not in quoted for row in range(documents.num_rows)], pa.bool_()))
    meta = documents["meta"].to_pylist()
    for row, others in quoted.items():
        tested = whole.table.take(sorted(others, key=lambda position: int(whole.rank[position]))).to_pylist()
        names = [
            {"source": item["source"], "id": item["id"],
             "text_hash": text_hash(item["question"], item["context"], item["options"])}
            for item in tested
        ]  # fmt: skip
        meta[row] = meta_json({**json.loads(meta[row]), QUOTED: names})
    place = document_schema().names.index("meta")
    return documents.set_column(place, document_schema().field("meta"), pa.array(meta, pa.string()))


if __name__ == "__main__":
    run(main)
