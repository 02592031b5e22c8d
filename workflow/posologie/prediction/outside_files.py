"""Answers that other programs wrote: tables, lm-evaluation-harness's samples, Inspect's logs."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from posologie.prediction.other_specs import Layout
from posologie.records.tables import read_rows
from posologie.running.errors import InputError


@dataclass(frozen=True)
class Found:
    """One answer in a file.

    Attributes:
        place: file and row, as errors name them.
        key: the item's id, or the question's text.
        variant: `original`, or another option order.
        text: what the model wrote; None where there are likelihoods alone.
        likelihoods: the log-likelihood of each option, in the displayed order; None where there are none.
        of_labels: whether the likelihoods are those of the labels, so that they are probabilities at the first step.
        finish: stop | length.
    """

    place: str
    key: str
    variant: str
    text: str | None
    likelihoods: tuple[float, ...] | None = None
    of_labels: bool = False
    finish: str = "stop"


def read_answers(path: Path, layout: Layout) -> Iterator[Found]:
    """Yield the answers in a file, in its order.

    Raises:
        InputError: naming the file and the first record that is not of the layout's form.
    """
    readers = {"table": _table, "lm_eval": _lm_eval, "inspect": _inspect}
    yield from readers[layout.form](path, layout)


def _table(path: Path, layout: Layout) -> Iterator[Found]:
    for row in read_rows(path):
        key = row.filled(layout.question or layout.item or "item")
        variant = row.text(layout.variant) if layout.variant is not None else ""
        yield Found(row.place, key, variant or "original", row.text(layout.answer))


def _lm_eval(path: Path, layout: Layout) -> Iterator[Found]:
    """Yield the samples of one task: a text, or for each option its log-likelihood and whether it is greedy."""
    for place, sample in records(path):
        key = _key(sample, layout, "doc.id", place)
        variant = _variant(sample, layout, "doc.variant", place)
        replies = sample.get("resps")
        if not isinstance(replies, list) or not replies or not isinstance(replies[0], list) or not replies[0]:
            raise InputError(f"{place}: no 'resps'; expected a sample that lm-evaluation-harness logged")
        first = replies[0][0]
        if isinstance(first, str):
            yield Found(place, key, variant, first)
            continue
        try:
            likelihoods = tuple(float(reply[0][0]) for reply in replies)
        except (TypeError, ValueError, IndexError) as error:
            raise InputError(f"{place}: 'resps' hold neither a text nor log-likelihoods") from error
        yield Found(place, key, variant, None, likelihoods, _asks_for_labels(sample, len(likelihoods)))


def _asks_for_labels(sample: dict[str, Any], options: int) -> bool:
    """Say whether the options of a sample were asked for by their letters."""
    requests = sample.get("arguments")
    arguments = (
        list(requests.values()) if isinstance(requests, dict) else requests if isinstance(requests, list) else []
    )
    texts = [request.get("arg_1") if isinstance(request, dict) else list(request)[-1] for request in arguments]
    letters = [chr(ord("A") + place) for place in range(options)]
    return [text.strip() if isinstance(text, str) else text for text in texts] == letters


def _inspect(path: Path, layout: Layout) -> Iterator[Found]:
    document = parsed_json(path, path.read_text(encoding="utf-8"))
    samples = document.get("samples") if isinstance(document, dict) else None
    if not isinstance(samples, list):
        raise InputError(
            f"{path}: no 'samples'; expected an Inspect log as JSON (`inspect log convert --to json` makes one)"
        )
    for number, sample in enumerate(samples):
        place = f"{path}, sample {number}"
        if not isinstance(sample, dict):
            raise InputError(f"{place}: expected an object, found {type(sample).__name__}")
        key = _key(sample, layout, "id", place)
        variant = _variant(sample, layout, "metadata.variant", place)
        output = sample.get("output")
        if not isinstance(output, dict):
            raise InputError(f"{place}: no 'output'; expected the model's answer")
        choices = output.get("choices") or [{}]
        text = output.get("completion")
        if text is None:
            text = _content(choices[0].get("message", {}).get("content", ""))
        finish = "length" if choices[0].get("stop_reason") in ("max_tokens", "model_length") else "stop"
        yield Found(place, key, variant, str(text), finish=finish)


def _content(content: Any) -> str:
    """Return the text of a message: a text, or a list of parts; reasoning is not part of the answer."""
    if isinstance(content, list):
        return "".join(str(part.get("text", "")) for part in content if part.get("type") == "text")
    return str(content)


def _key(record: dict[str, Any], layout: Layout, default: str, place: str) -> str:
    where = layout.question or layout.item or default
    value = value_at(record, where)
    if layout.question is not None and isinstance(value, list):  # an input of several messages: the last one asks
        value = _content(value[-1].get("content", "")) if value and isinstance(value[-1], dict) else None
    if value is None or str(value) == "":
        raise InputError(
            f"{place}: no '{where}'; say where the item's id is (item), or the question's text (question), such as"
            " doc.question"
        )
    return str(value)


def _variant(record: dict[str, Any], layout: Layout, default: str, place: str) -> str:
    value = value_at(record, layout.variant or default)
    if value is None and layout.variant is not None:
        raise InputError(f"{place}: no '{layout.variant}'; expected the name of an option order")
    return "original" if value is None else str(value)


def value_at(record: Any, path: str) -> Any:
    """Return what a path with points names in nested maps; None where there is nothing."""
    for name in path.split("."):
        if not isinstance(record, dict):
            return None
        record = record.get(name)
    return record


def records(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the records of a JSONL file, or of a JSON list, with their places."""
    text = path.read_text(encoding="utf-8")
    if path.suffix.lower() == ".json":
        document = parsed_json(path, text)
        if not isinstance(document, list):
            raise InputError(f"{path}: expected a list of samples, found {type(document).__name__}")
        numbered = [(f"{path}, record {number}", record) for number, record in enumerate(document)]
    else:
        lines = ((f"{path}, line {number}", line) for number, line in enumerate(text.split("\n"), 1) if line.strip())
        numbered = [(place, parsed_json(place, line)) for place, line in lines]
    for place, record in numbered:
        if not isinstance(record, dict):
            raise InputError(f"{place}: expected an object, found {type(record).__name__}")
        yield place, record


def parsed_json(place: Path | str, text: str) -> Any:
    """Return JSON as values.

    Raises:
        InputError: naming the place of what is not JSON.
    """
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise InputError(f"{place}: not JSON ({error.msg})") from error
