"""Inspect's logs (version 2 of its format, as JSON: inspect.aisi.org.uk/eval-logs.html) from a predictions file."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from posologie.records.items import LABELS, Item
from posologie.running.installed import __version__

FORMAT = 2
CORRECT, INCORRECT = "C", "I"
_STOPS = {"stop": "stop", "length": "max_tokens", "filtered": "content_filter"}

Row = dict[str, Any]


@dataclass(frozen=True)
class Asked:
    """One question as it was put to the model, and its answer.

    Attributes:
        row: of the predictions file.
        prompt: the text that the model read.
    """

    row: Row
    item: Item
    prompt: str


def log(
    benchmark: str, variant: str, way: str, questions: Sequence[Asked], record: Mapping[str, Any], tokens: int
) -> Row:
    """Return the log of one task: the questions of a benchmark in one order of the options, answered in one way.

    Args:
        way: `greedy` (text) or `constrained` (one of the labels).
        record: the run record beside the predictions.
        tokens: the limit of new tokens.

    Returns:
        The value of the log as JSON. Only choice questions have scores; an open answer is judged elsewhere.
    """
    model = str(record["spec"]["model"])
    task = f"{benchmark}_{variant}_{way}"
    key = hashlib.sha256(f"{model}\x1f{task}\x1f{record['started']}".encode()).hexdigest()[:22]
    samples = [_sample(question, way, model) for question in questions]
    ended = datetime.fromisoformat(record["started"]) + timedelta(seconds=float(record.get("seconds") or 0))
    usage = {name: sum(sample["output"]["usage"][name] for sample in samples) for name in _USAGE}
    return {
        "version": FORMAT,
        "status": "success",
        "eval": {
            "eval_id": key,
            "run_id": key,
            "task_id": key,
            "created": record["started"],
            "task": task,
            "task_args": {"benchmark": benchmark, "variant": variant, "way": way},
            "dataset": {
                "name": benchmark,
                "samples": len(samples),
                "sample_ids": [sample["id"] for sample in samples],
                "shuffled": False,
            },
            "model": model,
            "config": {"epochs": 1},
            "packages": {"posologie": __version__},
            "metadata": {"suite": record["suite"], "code": record.get("code")},
        },
        "plan": {
            "name": "plan",
            "steps": [{"solver": "generate", "params": {}}],
            "config": {"temperature": 0.0, "max_tokens": tokens},
        },
        "results": _results(samples),
        "stats": {
            "started_at": record["started"],
            "completed_at": ended.isoformat(),
            "model_usage": {model: usage},
        },
        "samples": samples,
    }


_USAGE = ("input_tokens", "output_tokens", "total_tokens")
_SCORER = "exact_match"


def _sample(question: Asked, way: str, model: str) -> Row:
    row, item = question.row, question.item
    labels = row["greedy_labels" if way == "greedy" else "constrained_labels"]
    answer = ",".join(LABELS[label] for label in labels or ())
    text = row["greedy_text"] if way == "greedy" else answer
    content: Any = text
    if way == "greedy" and row["thoughts"]:
        content = [{"type": "reasoning", "reasoning": row["thoughts"]}, {"type": "text", "text": text}]
    message = {"role": "assistant", "content": content, "source": "generate", "model": model}
    written = row["generated_tokens"] + (row["thought_tokens"] or 0) if way == "greedy" else len(labels or ())
    sample: Row = {
        "id": item.id,
        "epoch": 1,
        "input": question.prompt,
        "target": item.answer if row["task"] == "oeq" else [LABELS[label] for label in row["gold"]],
        "messages": [{"role": "user", "content": question.prompt, "source": "input"}, message],
        "output": {
            "model": model,
            "choices": [{"message": message, "stop_reason": _STOPS[row["finish"]] if way == "greedy" else "stop"}],
            "completion": text,
            "usage": dict(zip(_USAGE, (row["prompt_tokens"], written, row["prompt_tokens"] + written), strict=True)),
        },
        "metadata": {
            "variant": row["variant"],
            "task": row["task"],
            "source": item.source,
            "provenance": item.provenance,
            "group": item.group,
            "question": item.question,
            "context": item.context,
        },
    }
    if row["task"] != "oeq":
        sample["choices"] = [item.options[index] for index in row["option_order"]]
        sample["metadata"] |= {"label_probabilities": row["label_probabilities"], "label_mass": row["label_mass"]}
        value = CORRECT if labels == row["gold"] else INCORRECT
        sample["scores"] = {_SCORER: {"value": value, "answer": answer or None}}
    return sample


def _results(samples: Sequence[Row]) -> Row:
    scored = [sample["scores"][_SCORER]["value"] for sample in samples if "scores" in sample]
    metric = {"name": "accuracy", "value": scored.count(CORRECT) / len(scored), "params": {}} if scored else None
    score = {
        "name": _SCORER,
        "scorer": _SCORER,
        "scored_samples": len(scored),
        "unscored_samples": len(samples) - len(scored),
        "params": {},
        "metrics": {"accuracy": metric},
    }
    return {
        "total_samples": len(samples),
        "completed_samples": len(samples),
        "scores": [score] if scored else [],
    }
