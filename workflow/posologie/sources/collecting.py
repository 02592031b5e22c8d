"""Published files become a collection of documents or of parallel text, with rejects and a report."""

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

from pydantic import ValidationError

from posologie.records.files import write_json, write_parquet
from posologie.records.items import meta_json, stable_id
from posologie.records.specs import Spec, first_problem
from posologie.records.tables import document_schema, pair_schema
from posologie.running import commands
from posologie.running.errors import InputError
from posologie.sources.cleaning import Malformed, Rejected, as_text
from posologie.sources.drafts import storable
from posologie.sources.evidence import Reject, check_rejects, file_warnings, rejects_table, shown
from posologie.sources.records import Rows
from posologie.sources.shards import input_files
from posologie.sources.spec import CollectionSpec

log = logging.getLogger(__name__)

Row = dict[str, str]


class Collecting(Protocol):
    """Makes one row of the table out of a record.

    It adds the names of the repairs that were needed, and may raise `Rejected`, or the errors of a record that is not
    of its form.
    """

    def __call__(self, record: Any, spec: CollectionSpec, repairs: set[str]) -> Row:
        """Return the row, with a cell for each column of the schema."""


def main(
    argv: Sequence[str],
    module: str,
    collect: Collecting,
    rows: Callable[[Mapping[str, Path], CollectionSpec], Iterator[Rows]],
    *,
    pairs: bool = False,
) -> None:
    """Run a reader of documents as a command: `--spec --inputs --documents --rejects --report`."""
    parser = commands.parser(module, "Read published files of one form and write a collection.")
    parser.add_argument("--inputs", nargs="+", required=True, type=Path, help="published files, or a manifest.json")
    parser.add_argument("--documents", required=True, type=Path, help="the collection to write (Parquet)")
    parser.add_argument("--rejects", required=True, type=Path, help="the rejected records to write (Parquet)")
    parser.add_argument("--report", required=True, type=Path, help="the counts to write (JSON)")
    arguments = parser.parse_args(argv)
    spec = CollectionSpec.from_json(arguments.spec)
    files = input_files(arguments.inputs, spec.patterns)
    collected = _Collected()
    for batch in rows(files, spec):
        collected.add(batch, collect, spec)
    check_rejects(f"collections.{spec.collection}", spec.reject_limit, collected.read, collected.rejects)
    report = collected.report(spec, "source_text" if pairs else "text")
    for warning in report["evidence"]["warnings"]:
        log.warning("%s: %s", spec.collection, warning)
    import pyarrow

    schema = pair_schema() if pairs else document_schema()
    write_parquet(arguments.documents, pyarrow.Table.from_pylist(collected.rows, schema=schema))
    write_parquet(arguments.rejects, rejects_table(collected.rejects))
    write_json(arguments.report, report)


@dataclass(slots=True)
class _Collected:
    """The rows of a collection, its rejects, and the counts of its report.

    Attributes:
        ids: id → rows that had it as published.
        read_as: file → how it was read.
    """

    rows: list[Row] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)
    read: int = 0
    repaired: Counter[str] = field(default_factory=Counter)
    ids: Counter[str] = field(default_factory=Counter)
    read_as: dict[str, dict[str, Any]] = field(default_factory=dict)

    def add(self, batch: Rows, collect: Collecting, spec: CollectionSpec) -> None:
        """Add the records of a batch; the second row of an id gets `-2`, and so on."""
        if batch.read_as:
            self.read_as[batch.file] = batch.read_as
        for place, record in enumerate(batch.values(), batch.first):
            self.read += 1
            repairs: set[str] = set()
            try:
                row = _collected(collect, record, spec, repairs)
            except Rejected as rejected:
                self.rejects.append(Reject(batch.file, place, rejected.reason, rejected.detail, shown(record)))
                continue
            self.repaired.update(repairs)
            self.ids[row["id"]] += 1
            if (times := self.ids[row["id"]]) > 1:
                row["id"] = f"{row['id']}-{times}"
            self.rows.append(row)

    def report(self, spec: CollectionSpec, text_column: str) -> dict[str, Any]:
        """Return what was read, kept, rejected and repaired, and what is odd."""
        by_reason = Counter(reject.reason for reject in self.rejects)
        return {
            "collection": spec.collection,
            "read": self.read,
            "kept": len(self.rows),
            "rejected": {"total": len(self.rejects), "by_reason": dict(by_reason)},
            "repaired": dict(self.repaired),
            "repeated_ids": len(self.rows) - len(self.ids),
            "groups": len({row["group"] for row in self.rows}),
            "files": {name: {"read_as": facts} for name, facts in self.read_as.items()},
            "evidence": {
                "warnings": file_warnings(by_reason, self.read, self.read_as),
                "reject_limit": spec.reject_limit,
            },
            "characters": sum(len(row[text_column]) for row in self.rows),
        }


Options = TypeVar("Options", bound=Spec)


def options_of(spec: CollectionSpec, model: type[Options]) -> Options:
    """Return the reader's options as its own model of them.

    Raises:
        InputError: naming the first option that does not fit.
    """
    try:
        return model.model_validate(spec.options)
    except ValidationError as error:
        raise InputError(f"collections.{spec.collection}.options.{first_problem(error)}") from error


def document(
    spec: CollectionSpec, key: str | None, title: Any, text: Any, repairs: set[str], meta: Mapping[str, Any]
) -> Row:
    """Return the row of one document, whose id is a stable hash of collection and key, or else of its text.

    Raises:
        Rejected: if it has no text.
    """
    clean = as_text(text, "text", repairs)
    if not clean:
        raise Rejected("empty text")
    row_id = stable_id(spec.collection, "content", clean) if key is None else stable_id(spec.collection, "key", key)
    facts = {name: storable(value) for name, value in meta.items() if value not in (None, "", [])}
    if key is not None:
        facts["native_id"] = storable(key)
    return {
        "id": row_id,
        "collection": spec.collection,
        "title": as_text(title, "title", repairs),
        "text": clean,
        "group": row_id,
        "meta": meta_json(facts),
    }


def _collected(collect: Collecting, record: Any, spec: CollectionSpec, repairs: set[str]) -> Row:
    if isinstance(record, Malformed):
        raise Rejected("not a record", record.detail)
    try:
        return collect(record, spec, repairs)
    except KeyError as error:
        raise Rejected("missing field", str(error)) from error
    except (TypeError, AttributeError, IndexError, ValueError) as error:
        raise Rejected("not a record of this form", f"{error}"[:200]) from error
