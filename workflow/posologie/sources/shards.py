"""Records become a shard: items, rejects and a report, with kept + rejected = read."""

import argparse
import gc
import json
import logging
import multiprocessing
import os
import re
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import ValidationError

from posologie.language.languages import check_unedited, position_dependent
from posologie.records.files import read_json, sha256_of_file, write_json, write_parquet
from posologie.records.items import Item, item_schema, items_to_table
from posologie.records.specs import Spec, first_problem
from posologie.running import commands
from posologie.running.errors import InputError
from posologie.running.whole_files import whole_file
from posologie.sources.cleaning import Elsewhere, Malformed, Rejected
from posologie.sources.drafts import Draft, finished
from posologie.sources.evidence import (
    Observations,
    Reject,
    check_counting,
    check_rejects,
    evidence_of,
    ids_of_other_content,
    rejects_table,
    shown,
)
from posologie.sources.records import Rows, read_rows
from posologie.sources.spec import ShardSpec, chosen

if TYPE_CHECKING:
    import pyarrow

log = logging.getLogger(__name__)

_ROW_GROUP = 1 << 16
_WORTH_PROCESSES = 1 << 25
"""Bytes of input from which starting further processes pays."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a record stands: the file as shown in reports, and the row counted from 1."""

    file: str
    row: int


Drafting = Callable[[Any, Place], Draft]
"""What a reader is: one record and its place to a draft. It may raise `Rejected`, `KeyError`, `TypeError`,
`AttributeError`, `IndexError` or `ValueError` on a record that is not of its form."""


@dataclass(slots=True)
class Part:
    """What became of consecutive records of one file."""

    file: str
    read: int
    table: "pyarrow.Table"
    rejects: list[Reject]
    repaired: Counter[str] = field(default_factory=Counter)
    tasks: Counter[str] = field(default_factory=Counter)
    origins: Counter[str] = field(default_factory=Counter)
    options: Counter[int] = field(default_factory=Counter)
    elsewhere: int = 0
    observed: Observations = field(default_factory=Observations)


def read_plainly(files: Mapping[str, Path], _: ShardSpec) -> Iterator[Rows]:
    """Yield the records of files whose form says all."""
    return read_rows(files)


def main(
    argv: Sequence[str],
    module: str,
    reader: Callable[[ShardSpec, Mapping[str, Path]], Drafting],
    rows: Callable[[Mapping[str, Path], ShardSpec], Iterator[Rows]] = read_plainly,
) -> None:
    """Run a reader as a command: `--spec --inputs --items --rejects --report`."""
    parser = commands.parser(module, "Read published files of one form and write a shard.")
    parser.add_argument("--inputs", nargs="+", required=True, type=Path, help="published files, or a manifest.json")
    parser.add_argument("--items", required=True, type=Path, help="the shard to write (Parquet)")
    parser.add_argument("--rejects", required=True, type=Path, help="the rejected records to write (Parquet)")
    parser.add_argument("--report", required=True, type=Path, help="the counts to write (JSON)")
    parser.add_argument("--processes", type=int, default=len(os.sched_getaffinity(0)), help="changes no result")
    arguments = parser.parse_args(argv)
    spec = ShardSpec.from_json(arguments.spec)
    files = input_files(arguments.inputs, spec.patterns)
    write_shard(spec, rows(files, spec), reader(spec, files), files, arguments)


def input_files(inputs: Sequence[Path], patterns: Sequence[str]) -> dict[str, Path]:
    """Return name as shown → path of the files to read, in the order given; those of a manifest by pattern.

    Raises:
        InputError: if a manifest lists no file that fits, or a file is not the one whose checksum it recorded.
    """
    files: dict[str, Path] = {}
    for source in inputs:
        if source.name != "manifest.json":
            files[source.as_posix()] = source
            continue
        checksums = read_json(source)["files"]
        names = chosen(checksums, patterns)
        if not names:
            listed = ", ".join(sorted(checksums)[:8])
            raise InputError(f"{source}: no file fits {' or '.join(patterns)}; it lists {listed}, …")
        for name in names:
            path = source.parent / name
            if not path.is_file():
                raise InputError(f"{path}: missing, though {source} lists it; delete the manifest to fetch it again")
            if sha256_of_file(path) != checksums[name]:
                raise InputError(f"{path}: not the file whose checksum {source} records; delete both to fetch it again")
            files[name] = path
    return files


def write_shard(
    spec: ShardSpec, rows: Iterator[Rows], draft: Drafting, files: Mapping[str, Path], outputs: argparse.Namespace
) -> None:
    """Write the three files of a shard. The result does not depend on the number of processes.

    Ids are made unique: the second item of an id gets `-2`, and so on, in the order of files and rows. The group keeps
    the plain id, so screening and resampling never treat copies of one item as different.

    Raises:
        InputError: if a file counts its keys from elsewhere than is said, or too many records were rejected.
    """
    counts = Counts(files)
    check_unedited(spec.phrases)
    depends = position_dependent(spec.phrases)
    rejects: list[Reject] = []
    large = sum(path.stat().st_size for path in files.values() if path.is_file()) >= _WORTH_PROCESSES
    work = partial(_part, draft=draft, spec=spec, depends=depends)
    parts = _parts(counts.noted(rows), work, outputs.processes if large else 1)
    with whole_file(outputs.items) as partial_path, _Writer(partial_path) as writer:
        for part in parts:
            check_counting(spec.source, part.file, part.observed)
            counts.add(part)
            rejects.extend(part.rejects)
            writer.write(_with_unique_ids(part.table, counts))
        check_rejects(f"sources.{spec.source}, {spec.split}", spec.reject_limit, counts.read.total(), rejects)
    report = counts.report(spec, ids_of_other_content(outputs.items, counts.copies))
    for warning in report["evidence"]["warnings"]:
        log.warning("%s, %s: %s", spec.source, spec.split, warning)
    write_parquet(outputs.rejects, rejects_table(rejects))
    write_json(outputs.report, report)


def _part(rows: Rows, draft: Drafting, spec: ShardSpec, depends: re.Pattern[str] | None) -> Part:
    part = Part(rows.file, 0, item_schema().empty_table(), [])
    # The items of a part make no cycles, and the collector would look through all of them again and again.
    collecting = gc.isenabled()
    gc.disable()
    try:
        items = list(_kept(rows, draft, spec, part, depends))
        part.observed.look_at_all(items)
        part.table = items_to_table(items)
    finally:
        if collecting:
            gc.enable()
    return part


def _kept(rows: Rows, draft: Drafting, spec: ShardSpec, part: Part, depends: re.Pattern[str] | None) -> Iterator[Item]:
    for row, record, plain in zip(count(rows.first), rows.values(), rows.plain(), strict=False):
        part.read += 1
        repairs: set[str] = set()
        try:
            if isinstance(record, Malformed):
                raise Rejected("not a record", record.detail)
            drafted = _drafted(draft, record, Place(rows.file, row))
            if drafted.answer_form in ("index0", "index1") and isinstance(drafted.options, list | tuple):
                part.observed.look_at_key(row, drafted.answer, drafted.answer_form, len(drafted.options))
            item = finished(drafted, spec, repairs, plain=plain, depends=depends)
        except Elsewhere:
            part.read -= 1
            part.elsewhere += 1
            continue
        except Rejected as rejected:
            part.rejects.append(Reject(rows.file, row, rejected.reason, rejected.detail, shown(record)))
            continue
        if repairs:
            part.repaired.update(repairs)
        part.tasks[item.task] += 1
        part.origins[str(item.meta.get("origin", ""))] += 1
        if item.options:
            part.options[len(item.options)] += 1
        part.observed.look_at(item)
        yield item


def _drafted(draft: Drafting, record: Any, place: Place) -> Draft:
    try:
        return draft(record, place)
    except KeyError as error:
        raise Rejected("missing field", str(error)) from error
    except (TypeError, AttributeError, IndexError, ValueError) as error:
        raise Rejected("not a record of this form", f"{error}"[:200]) from error


def _parts(rows: Iterator[Rows], work: Callable[[Rows], Part], processes: int) -> Iterator[Part]:
    """Yield the parts in the order of the rows.

    This process works as well: it takes a batch itself whenever the others have enough, so that half of the data never
    goes through a pipe.
    """
    if processes < 2:
        yield from map(work, rows)
        return
    others = processes - 1
    with ProcessPoolExecutor(others, mp_context=multiprocessing.get_context("spawn")) as pool:
        waiting: deque[Future[Part] | Part] = deque()
        for batch in rows:
            busy = sum(isinstance(part, Future) and not part.done() for part in waiting)
            waiting.append(pool.submit(work, batch) if busy < 2 * others else work(batch))
            while waiting and (not isinstance(waiting[0], Future) or waiting[0].done()):
                yield _finished(waiting.popleft())
        yield from map(_finished, waiting)


def _finished(part: Future[Part] | Part) -> Part:
    return part.result() if isinstance(part, Future) else part


class _Writer:
    """Writes tables as Parquet in row groups of one size, whatever the sizes in which they come."""

    def __init__(self, path: Path) -> None:
        import pyarrow.parquet

        self.file = pyarrow.parquet.ParquetWriter(path, item_schema(), compression="zstd")
        self.waiting: list[pyarrow.Table] = []
        self.rows = 0

    def __enter__(self) -> "_Writer":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self._flush(self.rows)
        self.file.close()

    def write(self, table: "pyarrow.Table") -> None:
        self.waiting.append(table)
        self.rows += table.num_rows
        if self.rows >= _ROW_GROUP:
            self._flush(_ROW_GROUP * (self.rows // _ROW_GROUP))

    def _flush(self, rows: int) -> None:
        if self.waiting:
            import pyarrow

            table = pyarrow.concat_tables(self.waiting)
            self.file.write_table(table.slice(0, rows), row_group_size=_ROW_GROUP)
            self.waiting = [table.slice(rows)]
            self.rows -= rows


@dataclass(slots=True)
class Counts:
    """What a shard's report says, added up part by part."""

    files: Mapping[str, Path]
    read: Counter[str] = field(default_factory=Counter)
    kept: Counter[str] = field(default_factory=Counter)
    rejected: Counter[str] = field(default_factory=Counter)
    repaired: Counter[str] = field(default_factory=Counter)
    tasks: Counter[str] = field(default_factory=Counter)
    origins: Counter[str] = field(default_factory=Counter)
    options: Counter[int] = field(default_factory=Counter)
    ids: set[str] = field(default_factory=set)
    copies: Counter[str] = field(default_factory=Counter)
    repeated: Counter[str] = field(default_factory=Counter)
    groups: "list[pyarrow.ChunkedArray]" = field(default_factory=list)
    elsewhere: int = 0
    observed: Observations = field(default_factory=Observations)
    read_as: dict[str, dict[str, Any]] = field(default_factory=dict)

    def noted(self, rows: Iterator[Rows]) -> Iterator[Rows]:
        """Pass the rows on and note how each file was read, which its last batch completes."""
        for batch in rows:
            if batch.read_as:
                self.read_as[batch.file] = batch.read_as
            yield batch

    def add(self, part: Part) -> None:
        """Add the counts of a part."""
        self.read[part.file] += part.read
        self.kept[part.file] += part.table.num_rows
        self.rejected.update(reject.reason for reject in part.rejects)
        self.repaired.update(part.repaired)
        self.tasks.update(part.tasks)
        self.origins.update(part.origins)
        self.options.update(part.options)
        self.elsewhere += part.elsewhere
        self.observed.add(part.observed)
        self.groups.extend(part.table["group"].chunks)

    def report(self, spec: ShardSpec, duplicates: Mapping[str, Any]) -> dict[str, Any]:
        """Return the report: what was read, kept, rejected and repaired, what the kept items are, and what is odd."""
        import pyarrow.compute

        groups = pyarrow.chunked_array(self.groups, pyarrow.string())
        sizes = pyarrow.compute.value_counts(groups).field("counts").to_pylist()
        read, kept, rejected = self.read.total(), self.kept.total(), self.rejected.total()
        if read != kept + rejected:
            raise AssertionError(f"{spec.source}: read {read}, kept {kept}, rejected {rejected}")
        return {
            "source": spec.source,
            "provenance": spec.provenance,
            "split": spec.split,
            "read": read,
            "of_other_splits": self.elsewhere,
            "kept": kept,
            "rejected": {"total": rejected, "by_reason": dict(self.rejected)},
            "repaired": dict(self.repaired),
            "repeated_ids": dict(self.repeated),
            "tasks": dict(self.tasks),
            "origins": dict(self.origins),
            "options": {str(count): items for count, items in self.options.items()},
            "groups": {
                "groups": len(sizes),
                "items_in_shared_groups": sum(size for size in sizes if size > 1),
                "largest": max(sizes, default=0),
            },
            "files": {
                name: {
                    "read": self.read[name],
                    "kept": self.kept[name],
                    **({"read_as": self.read_as[name]} if name in self.read_as else {}),
                }
                for name in self.files
            },
            "evidence": evidence_of(
                spec,
                self.observed,
                read=read,
                elsewhere=self.elsewhere,
                rejected=self.rejected,
                read_as=self.read_as,
                groups=sizes,
                duplicates=duplicates,
            ),
        }


def _with_unique_ids(table: "pyarrow.Table", counts: Counts) -> "pyarrow.Table":
    import pyarrow

    ids = table["id"].to_pylist()
    new = set(ids)
    if len(new) == len(ids) and counts.ids.isdisjoint(new):
        counts.ids |= new
        return table
    for index, item_id in enumerate(ids):
        if item_id not in counts.ids:
            counts.ids.add(item_id)
            continue
        counts.copies[item_id] += 1
        ids[index] = f"{item_id}-{counts.copies[item_id] + 1}"
        native = "native_id" in json.loads(table["meta"][index].as_py())
        counts.repeated["same native id" if native else "same content"] += 1
    return table.set_column(0, item_schema().field("id"), [pyarrow.array(ids)])


Options = TypeVar("Options", bound=Spec)


def options_of(spec: ShardSpec, model: type[Options]) -> Options:
    """Return the reader's options as its own model of them; `Spec` itself stands for a reader without options.

    Raises:
        InputError: naming the first option that does not fit.
    """
    try:
        return model.model_validate(spec.options)
    except ValidationError as error:
        raise InputError(f"sources.{spec.source}.options.{first_problem(error)}") from error
