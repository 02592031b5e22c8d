"""One prediction job, for any kind of model: items selected, windows answered and kept on disk, files written."""

import argparse
import hashlib
import logging
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from posologie.language.answer_words import answer_words_digest
from posologie.language.marks import part
from posologie.prediction.automaton import read_published
from posologie.prediction.parsing import read
from posologie.prediction.readings import Reading
from posologie.prediction.requests import Answer, Answerer, Request, Selection, requests_for, select
from posologie.prediction.spec import Questions, prediction_schema
from posologie.records.files import read_parquet, write_parquet
from posologie.records.prompting import displayed_gold
from posologie.records.runs import Run
from posologie.running.commands import Progress, named_path
from posologie.running.errors import InputError
from posologie.running.whole_files import whole_file


def part_schema() -> pa.Schema:
    """Return the schema of a part: a prediction, its suite and its place in the window."""
    return pa.schema(
        [
            pa.field("place", pa.int32(), nullable=False),
            pa.field("suite", pa.string(), nullable=False),
            *prediction_schema(),
        ]
    )


class Parts:
    """The finished answers of one job, below a folder that is keyed by spec, inputs and code."""

    def __init__(self, folder: Path) -> None:
        """Use `folder`, which is made if it is not there."""
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def whole(self, window: int) -> Path:
        """Return the path of a finished window."""
        return self.folder / f"window-{window:06d}.parquet"

    def pieces(self, window: int) -> list[Path]:
        """Return the pieces of a window that is not finished."""
        return sorted(self.folder.glob(f"window-{window:06d}-piece-*.parquet"))

    def done(self, window: int) -> frozenset[int]:
        """Return the places of a window that have been answered."""
        places: set[int] = set()
        for path in self.pieces(window):
            places.update(read_parquet(path, columns=["place"])["place"].to_pylist())
        return frozenset(places)

    def add(self, window: int, rows: Sequence[dict[str, Any]]) -> None:
        """Save some answers of a window."""
        first = min(row["place"] for row in rows)
        path = self.folder / f"window-{window:06d}-piece-{first:06d}.parquet"
        write_parquet(path, pa.Table.from_pylist(list(rows), schema=part_schema()))

    def close(self, window: int) -> None:
        """Make the pieces of a window, which has now been answered, one file ordered by place."""
        pieces = self.pieces(window)
        write_parquet(self.whole(window), pa.concat_tables(map(read_parquet, pieces)).sort_by("place"))
        for path in pieces:
            path.unlink()

    def write(self, suite: str, windows: int, output: Path) -> None:
        """Write the declared file of a suite from the finished windows, one row group for each window."""
        schema = prediction_schema()
        with whole_file(output) as partial, pq.ParquetWriter(partial, schema, compression="zstd") as out:
            for table in self._of_suite(suite, windows):
                out.write_table(table.select(schema.names).cast(schema))

    def _of_suite(self, suite: str, windows: int) -> Iterator[pa.Table]:
        for window in range(windows):
            table = read_parquet(self.whole(window))
            mine = table.filter(pa.compute.equal(table["suite"], suite))
            if mine.num_rows:
                yield mine

    def remove(self) -> None:
        """Delete the folder: the declared files are in place."""
        shutil.rmtree(self.folder, ignore_errors=True)


log = logging.getLogger(__name__)

WINDOW = 1024
"""Items that are read, answered and written together: what is held in memory does not grow with a suite."""

LEAST_LABEL_MASS = 0.05
"""Mean probability of all labels together below which a job warns; the report shows it beside the scores."""

_CUT = ("mcqu", "none", "length")


def add_job_arguments(arguments: argparse.ArgumentParser) -> None:
    """Add the options of every command that predicts."""
    arguments.add_argument("--items", required=True, nargs="+", type=named_path, metavar="SOURCE=SHARD")
    arguments.add_argument("--predictions", required=True, nargs="+", type=named_path, metavar="SUITE=OUT")
    arguments.add_argument("--run", required=True, nargs="+", type=named_path, metavar="SUITE=OUT")
    arguments.add_argument("--work", required=True, type=Path, help="folder for what survives a kill")


def predict(
    spec: Questions,
    options: argparse.Namespace,
    inputs: Mapping[str, Path],
    make_answerer: Callable[[], Answerer],
) -> None:
    """Answer the suites and write one predictions file and one run record for each.

    Args:
        options: the arguments of `add_job_arguments`.
        inputs: what the answers depend on beside the items: model, adapter.
        make_answerer: called once the items are known to be there, because loading a model takes long.

    Raises:
        InputError: if an input is missing or the outputs are not those of the spec's suites.
    """
    if spec.answer_words not in ("", answer_words_digest()):
        raise InputError("resources/languages/*.yaml, answers: edited since the run was planned; start the run again")
    outputs, records = dict(options.predictions), dict(options.run)
    for key, of_suites in (("--predictions", outputs), ("--run", records)):
        if set(of_suites) != set(spec.suites):
            raise InputError(
                f"{key} {' '.join(sorted(of_suites))}: expected the suites {' '.join(sorted(spec.suites))}"
            )
    shards: dict[str, list[Path]] = {}
    for source, path in options.items:
        shards.setdefault(source, []).append(Path(path))
    files = {f"items {source} {number}": path for source, paths in shards.items() for number, path in enumerate(paths)}
    files |= inputs
    for path in files.values():
        if not path.is_file():
            raise InputError(f"{path}: no such file")
    record = Run("prediction", spec, files)
    parts = Parts(options.work / _key(spec, record))
    selections = _selections(spec, shards, parts.folder)
    answerer = make_answerer()
    answerer.check(request for requests in _windows(spec, selections) for request in requests)
    windows = _answer(spec, selections, answerer, parts, options.work)
    for suite in sorted(spec.suites):
        parts.write(suite, windows, Path(outputs[suite]))
        counted = counts(Path(outputs[suite]))
        _warn(suite, spec.model, counted)
        record.write(records[suite], suite=suite, **counted, **answerer.facts())
    parts.remove()


def _key(spec: Questions, record: Run) -> str:
    """Return the name of the folder that holds the answers to this spec, by these inputs and this code."""
    total = hashlib.sha256(spec.canonical_json().encode())
    for name, entry in sorted(record.inputs.items()):
        total.update(f"\x00{name}\x00{entry['sha256']}".encode())
    total.update(record.code.encode())
    return total.hexdigest()[:16]


Named = tuple[str, str, Selection]
"""A suite, a benchmark and its items."""


def _selections(spec: Questions, shards: Mapping[str, Sequence[Path]], folder: Path) -> list[Named]:
    return [
        (suite, name, select(name, benchmark, shards, spec.seed, folder / f"{suite}.{name}.items.arrow"))
        for suite in sorted(spec.suites)
        for name, benchmark in sorted(spec.suites[suite].benchmarks.items())
    ]


def _windows(spec: Questions, selections: Sequence[Named]) -> Iterator[list[Request]]:
    """Yield the requests in the order of the tables, for so many items at a time."""
    requests: list[Request] = []
    room = WINDOW
    for suite, name, selection in selections:
        start = 0
        while start < len(selection):
            stop = min(start + room, len(selection))
            items = selection.items(start, stop)
            requests += requests_for(items, suite, name, spec.suites[suite], spec, len(requests))
            room -= stop - start
            start = stop
            if not room:
                yield requests
                requests, room = [], WINDOW
    if requests:
        yield requests


def _answer(spec: Questions, selections: Sequence[Named], answerer: Answerer, parts: Parts, work: Path) -> int:
    """Answer everything that is not answered yet, and return the number of windows."""
    window = -1
    total = sum(selection.prompts(spec.suites[suite].permutations) for suite, _, selection in selections)
    progress = Progress(work, spec.model, total, "prompts")
    for window, requests in enumerate(_windows(spec, selections)):
        if not parts.whole(window).exists():
            done = parts.done(window)
            by_place = {request.place: request for request in requests}
            progress.resume_at(progress.done + len(done))
            for answers in answerer.answers(requests, done):
                parts.add(
                    window, [_row(by_place[answer.place], answer, spec.prompting.label_separator) for answer in answers]
                )
                progress.advance(len(answers))
            parts.close(window)
        else:
            progress.resume_at(progress.done + len(requests))
    return window + 1


def counts(predictions: Path) -> dict[str, Any]:
    """Return what the run record says of a predictions file.

    Rows and tokens; how often a greedy text was read how; of the single-answer questions, how many greedy texts ran out
    of tokens before labels could be read, and the mean probability of all labels together.
    """
    totals = dict.fromkeys(("rows", "prompt_tokens", "generated_tokens", "thought_tokens"), 0)
    outcomes: Counter[str] = Counter()
    finishes: Counter[str] = Counter()
    single = unread = 0
    masses: list[float] = []
    columns = ["task", "greedy_outcome", "label_mass", "finish", *list(totals)[1:]]
    for batch in pq.ParquetFile(predictions).iter_batches(columns=columns):
        rows = {name: batch[name].to_pylist() for name in columns}
        outcomes.update(outcome for outcome in rows["greedy_outcome"] if outcome is not None)
        finishes.update(rows["finish"])
        totals["rows"] += batch.num_rows
        for name in list(totals)[1:]:
            totals[name] += sum(count or 0 for count in rows[name])
        single += rows["task"].count("mcqu")
        unread += list(zip(rows["task"], rows["greedy_outcome"], rows["finish"], strict=True)).count(_CUT)
        masses += [mass for task, mass in zip(rows["task"], rows["label_mass"], strict=True) if task == "mcqu" and mass]
    return {
        **totals,
        "greedy_outcomes": dict(outcomes),
        "finishes": dict(finishes),
        "single_answer_questions": {
            "rows": single,
            "cut_before_labels_were_read": unread,
            "mean_label_mass": sum(masses) / len(masses) if masses else None,
        },
    }


def _warn(suite: str, model: str, counted: Mapping[str, Any]) -> None:
    """Warn where a score says more about the form of the answers than about the model."""
    single = counted["single_answer_questions"]
    if 2 * single["cut_before_labels_were_read"] > single["rows"]:
        log.warning(
            "%s, suite %s: %d of %d greedy answers ran out of tokens before they named a label: they begin an answer"
            " but do not finish it; raise suites.%s.mcqu_new_tokens",
            *(model, suite, single["cut_before_labels_were_read"], single["rows"], suite),
        )
    mass = single["mean_label_mass"]
    if mass is not None and mass < LEAST_LABEL_MASS:
        log.warning(
            "%s, suite %s: all labels together have %.1f %% of the probability: the model expects something else here,"
            " and constrained answers rest on the small remainder; see answer_prefix and template_options",
            *(model, suite, 100 * mass),
        )


def _row(request: Request, answer: Answer, separator: str) -> dict[str, Any]:
    item = request.item
    choice = bool(item.options)
    parted = part(answer.greedy_text)
    thoughts = answer.thoughts or parted.thoughts
    reading = _reading(request, answer.greedy_text, separator) if choice else None
    return {
        "place": request.place,
        "suite": request.suite,
        "item": item.id,
        "benchmark": request.benchmark,
        "variant": request.variant,
        "source": item.source,
        "provenance": item.provenance,
        "task": item.task,
        "group": item.group,
        "option_order": list(request.order),
        "gold": list(displayed_gold(item.gold, request.order)),
        "position_dependent": bool(item.meta.get("position_dependent")) if choice else None,
        "greedy_text": parted.answer,
        "thoughts": thoughts or None,
        "greedy_outcome": reading.outcome if reading else None,
        "greedy_labels": list(reading.labels) if reading and reading.outcome == "labels" else None,
        "constrained_labels": list(answer.constrained_labels) if answer.constrained_labels is not None else None,
        "constrained_by": answer.constrained_by if answer.constrained_labels is not None else None,
        "label_probabilities": list(answer.label_probabilities) if answer.label_probabilities is not None else None,
        "label_mass": answer.label_mass,
        "prompt_tokens": answer.prompt_tokens,
        "generated_tokens": answer.generated_tokens,
        "thought_tokens": answer.thought_tokens,
        "finish": answer.finish,
    }


def _reading(request: Request, text: str, separator: str) -> Reading:
    displayed = [request.item.options[index] for index in request.order]
    if request.protocol == "published":
        return read_published(text, displayed)
    return read(text, displayed, separator)
