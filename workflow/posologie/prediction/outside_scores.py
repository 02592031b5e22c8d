"""Scores that other programs gave their answers: lm-evaluation-harness's samples, Inspect's logs, tables.

An evaluation is a file, or a folder with the files of one model:

- `samples_{task}_{date}.jsonl`, as lm-evaluation-harness writes them with `--log_samples`. Of several files of a task
  the newest counts, and of several filters the first, or the one that is asked for.
- Inspect's logs as JSON, with the scores of each scorer (C, P, I and N are 1, 0.5, 0 and 0), averaged over epochs.
- CSV, TSV or XLSX with a row per item: columns `item` and `score`, and, if there are any, `task`, `group`, and the
  letters `gold` and `answer` of choice questions.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from posologie.prediction.outside_files import parsed_json, records, value_at
from posologie.records.files import read_json
from posologie.records.items import LABELS
from posologie.records.tables import read_rows
from posologie.running.errors import InputError

_SAMPLES = re.compile(r"^samples_(?P<task>.+?)_(?P<date>\d{4}-\d{2}-\d{2}T[\d.:-]+)\.jsonl?$")
_KNOWN = frozenset(
    ("doc_id", "doc", "target", "arguments", "resps", "filtered_resps", "filter", "metrics", "doc_hash", "prompt_hash",
     "target_hash")
)  # fmt: skip
"""Keys of a sample that are no metric."""
_LETTERS = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0}
"""Inspect's letters: correct, partially correct, incorrect, no answer."""
_TABLES = (".csv", ".tsv", ".xlsx")


@dataclass(frozen=True)
class ScoredAnswer:
    """One answer with its scores.

    Attributes:
        place: file and row, as errors name them.
        task: the task that the item belongs to.
        item: its id within the task.
        question: a fingerprint of the item; empty where the file has none.
        prompt: a fingerprint of the prompt; empty where the file has none.
        group: the case that it shares with other items; the item's own id without one.
        scores: value by metric.
        gold, chosen: places of the right and of the chosen option, from 0; None where the file does not say.
    """

    place: str
    task: str
    item: str
    question: str
    prompt: str
    group: str
    scores: dict[str, float]
    gold: int | None = None
    chosen: int | None = None


@dataclass(frozen=True)
class Evaluation:
    """One model's scored answers.

    Attributes:
        name: of the file or folder.
        tasks: task → item → answer.
        files: those that were read.
        notes: what was left aside, in sentences.
        falling: metrics where lower is better, by task, where a file says so.
    """

    name: str
    tasks: dict[str, dict[str, ScoredAnswer]]
    files: tuple[Path, ...]
    notes: tuple[str, ...]
    falling: frozenset[tuple[str, str]]


def read_evaluation(path: Path, *, chosen_filter: str | None = None, group: str | None = None) -> Evaluation:
    """Read the scored answers of one model.

    Args:
        path: a file, or a folder; its folders are searched too.
        chosen_filter: which of the harness's filters counts; the first in each file if left out.
        group: where a sample says which case it belongs to, such as `doc.passage_id`.

    Raises:
        InputError: if nothing can be read, or the folder holds the same task of several models.
    """
    notes: list[str] = []
    files = [path] if path.is_file() else _files_of(path, notes)
    tasks: dict[str, dict[str, ScoredAnswer]] = {}
    for file in files:
        for answer in _answers(file, chosen_filter, group, notes):
            task = tasks.setdefault(answer.task, {})
            if answer.item in task:
                raise InputError(
                    f"{answer.place}: item {answer.item} of {answer.task} a second time, after"
                    f" {task[answer.item].place}"
                )
            task[answer.item] = answer
    if not tasks:
        raise InputError(f"{path}: no scored answer; expected {_expected()}")
    return Evaluation(path.name or str(path), tasks, tuple(files), tuple(notes), frozenset(_falling(files)))


def _expected() -> str:
    return "samples_TASK_DATE.jsonl (lm_eval --log_samples), Inspect's logs as JSON, or tables with item and score"


def _files_of(folder: Path, notes: list[str]) -> list[Path]:
    """Return the files of a folder: the newest of each task of the harness, or all logs, or all tables."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such file or folder")
    samples: dict[str, list[tuple[str, Path]]] = {}
    others = []
    for file in sorted(path for path in folder.rglob("*") if path.is_file()):
        match = _SAMPLES.match(file.name)
        if match is not None:
            samples.setdefault(match["task"], []).append((match["date"], file))
        elif file.suffix in (*_TABLES, ".json") and not file.name.startswith("results_"):
            others.append(file)
    if not samples:
        logs = [file for file in others if file.suffix == ".json"]
        return logs or others
    newest = []
    for task, dated in sorted(samples.items()):
        places = {file.parent for _, file in dated}
        if len(places) > 1:
            where = ", ".join(sorted(place.as_posix() for place in places))
            raise InputError(f"{folder}: task {task} lies in {where}; give the folder of one model")
        newest.append(max(dated)[1])
        if len(dated) > 1:
            notes.append(f"{task}: {len(dated)} files; the newest, {newest[-1].name}, counts")
    return newest


def _answers(file: Path, chosen_filter: str | None, group: str | None, notes: list[str]) -> Iterator[ScoredAnswer]:
    if file.suffix in _TABLES:
        yield from _of_table(file)
        return
    if file.suffix == ".json":
        document = parsed_json(file, file.read_text(encoding="utf-8"))
        if isinstance(document, dict):
            yield from _of_inspect(file, document, group)
            return
    elif file.suffix != ".jsonl":
        raise InputError(f"{file}: unknown form; expected {_expected()}")
    yield from _of_harness(file, chosen_filter, group, notes)


def _of_harness(file: Path, chosen_filter: str | None, group: str | None, notes: list[str]) -> Iterator[ScoredAnswer]:
    named = _SAMPLES.match(file.name)
    task = named["task"] if named else file.stem
    samples = list(records(file))
    filters = list(dict.fromkeys(str(sample.get("filter", "none")) for _, sample in samples))
    if chosen_filter is not None and chosen_filter not in filters:
        if len(filters) > 1:
            raise InputError(f"{file}: no filter '{chosen_filter}'; choose one of {', '.join(filters)}")
        chosen_filter = None
    filter_name = chosen_filter or (filters[0] if filters else "none")
    if len(filters) > 1 and chosen_filter is None:
        notes.append(f"{task}: filter {filter_name} counts, of {', '.join(filters)}")
    for place, sample in samples:
        if str(sample.get("filter", "none")) == filter_name:
            yield _sample(place, task, sample, group)


def _sample(place: str, task: str, sample: dict[str, Any], group: str | None) -> ScoredAnswer:
    item = sample.get("doc_id")
    if item is None:
        raise InputError(f"{place}: no 'doc_id'; expected a sample that lm-evaluation-harness logged")
    names = sample.get("metrics")
    names = [name for name in sample if name not in _KNOWN] if not isinstance(names, list) else names
    scores = {str(name): float(sample[name]) for name in names if isinstance(sample.get(name), int | float)}
    gold, chosen = _places(sample)
    if gold is not None and "acc" in scores and (gold == chosen) != bool(scores["acc"]):
        gold = chosen = None  # scored by something else than the likeliest option
    return ScoredAnswer(
        place=place,
        task=task,
        item=str(item),
        question=str(sample.get("doc_hash") or ""),
        prompt=str(sample.get("prompt_hash") or ""),
        group=_group_of(sample, group, str(item), place),
        scores=scores,
        gold=gold,
        chosen=chosen,
    )


def _places(sample: dict[str, Any]) -> tuple[int | None, int | None]:
    """Return the places of the right and of the likeliest option of a multiple-choice sample; None where unknown."""
    replies, arguments = sample.get("resps"), sample.get("arguments")
    try:
        likelihoods = [float(reply[0][0]) for reply in replies or () if not isinstance(reply[0], str)]
    except (TypeError, ValueError, IndexError):
        return None, None
    requests = (
        list(arguments.values()) if isinstance(arguments, dict) else arguments if isinstance(arguments, list) else []
    )
    if not 2 <= len(likelihoods) <= len(LABELS) or len(requests) != len(likelihoods):
        return None, None
    target = sample.get("target")
    if isinstance(target, int) or (isinstance(target, str) and target.strip().isdigit()):
        gold: int | None = int(target)
    else:
        sent = [request.get("arg_1") if isinstance(request, dict) else list(request)[-1] for request in requests]
        texts = [text.strip() if isinstance(text, str) else None for text in sent]
        gold = texts.index(target.strip()) if isinstance(target, str) and texts.count(target.strip()) == 1 else None
    if gold is None or not 0 <= gold < len(likelihoods):
        return None, None
    return gold, max(range(len(likelihoods)), key=likelihoods.__getitem__)


def _of_inspect(file: Path, document: dict[str, Any], group: str | None) -> Iterator[ScoredAnswer]:
    samples = document.get("samples")
    if not isinstance(samples, list):
        raise InputError(f"{file}: no 'samples'; expected an Inspect log as JSON")
    task = str(value_at(document, "eval.task") or file.stem).rpartition("/")[2]
    by_item: dict[str, list[ScoredAnswer]] = {}
    for number, sample in enumerate(samples):
        place = f"{file}, sample {number}"
        if not isinstance(sample, dict) or sample.get("id") is None:
            raise InputError(f"{place}: no 'id'; expected a sample of an Inspect log")
        item, score_map = str(sample["id"]), sample.get("scores")
        if not isinstance(score_map, dict) or not score_map:
            raise InputError(f"{place}: no 'scores'; expected a log that was scored")
        scores = {str(name): _inspect_value(score, f"{place}, scorer {name}") for name, score in score_map.items()}
        answer = str(value_at(sample, "scores.choice.answer") or "") if sample.get("choices") else ""
        gold, chosen = _letter(str(sample.get("target"))), _letter(answer)
        if gold is None or chosen is None:
            gold = chosen = None
        where = _group_of(sample, group, item, place)
        by_item.setdefault(item, []).append(
            ScoredAnswer(
                place=place,
                task=task,
                item=item,
                question="",
                prompt="",
                group=where,
                scores=scores,
                gold=gold,
                chosen=chosen,
            )
        )
    for epochs in by_item.values():
        names = epochs[0].scores
        mean = {name: sum(epoch.scores.get(name, 0.0) for epoch in epochs) / len(epochs) for name in names}
        alone = len(epochs) == 1
        yield epochs[0] if alone else replace(epochs[0], scores=mean, gold=None, chosen=None)


def _inspect_value(score: Any, place: str) -> float:
    value = score.get("value") if isinstance(score, dict) else None
    if isinstance(value, str) and value in _LETTERS:
        return _LETTERS[value]
    if isinstance(value, int | float):
        return float(value)
    raise InputError(f"{place}: value {value!r}; expected C, P, I, N or a number")


def _letter(text: str) -> int | None:
    return LABELS.index(text) if len(text) == 1 and text in LABELS else None


def _of_table(file: Path) -> Iterator[ScoredAnswer]:
    for row in read_rows(file):
        item, score = row.filled("item"), row.filled("score")
        try:
            value = float(score)
        except ValueError:
            raise InputError(f"{row.place}: score '{score}'; expected a number") from None
        task, gold, chosen = row.cells.get("task") or file.stem, row.cells.get("gold", ""), row.cells.get("answer", "")
        places = (_letter(gold.upper()), _letter(chosen.upper()))
        known = places if None not in places else (None, None)
        yield ScoredAnswer(row.place, task, item, "", "", row.cells.get("group") or item, {"score": value}, *known)


def _group_of(sample: dict[str, Any], group: str | None, item: str, place: str) -> str:
    if group is None:
        return item
    value = value_at(sample, group)
    if value is None or str(value) == "":
        raise InputError(f"{place}: no '{group}'; --group names where a sample says which case it belongs to")
    return str(value)


def _falling(files: Sequence[Path]) -> Iterator[tuple[str, str]]:
    """Yield the task and name of each metric where lower is better by the results beside the samples."""
    for folder in dict.fromkeys(file.parent for file in files):
        for path in sorted(folder.glob("results_*.json")):
            stated = value_at(read_json(path), "higher_is_better")
            for task, metrics in (stated or {}).items() if isinstance(stated, dict) else ():
                if isinstance(metrics, dict):
                    yield from ((task, name) for name, higher in metrics.items() if higher is False)
