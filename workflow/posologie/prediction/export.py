"""Export a predictions file as lm-evaluation-harness's samples (`--log_samples`, version 0.4) or as Inspect's logs.

    python -m posologie.prediction.export --predictions F.parquet --run F.run.json --items SOURCE=SHARD… --out FOLDER
        [--form inspect]

One JSONL file for each benchmark, variant and way of answering: `…_labels` (multiple choice by likelihood of the
labels, single answers only), `…_greedy` and `…_constrained` (generated text). With `--form inspect`, one log for each
benchmark, variant and way of writing. The predictions file itself needs no export to be loaded:
`datasets.load_dataset("parquet", data_files="….parquet")`.
"""

import argparse
import hashlib
import json
import math
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from posologie.prediction.export_inspect import Asked, log
from posologie.prediction.other_specs import EndpointPredictionSpec, MergedPredictionSpec
from posologie.prediction.spec import PredictionSpec, Questions
from posologie.records.files import read_json, write_text
from posologie.records.items import LABELS, Item, read_items
from posologie.records.prompting import chat, user_turn
from posologie.running.commands import named_path, run
from posologie.running.errors import InputError

INVALID = "[invalid]"
"""What the harness's filters give for a text without an answer."""

Row = dict[str, Any]


def main(argv: list[str]) -> None:
    """Write the samples of one predictions file."""
    arguments = argparse.ArgumentParser(prog="python -m posologie.prediction.export", description=__doc__)
    arguments.add_argument("--predictions", required=True, type=Path)
    arguments.add_argument("--run", required=True, type=Path, help="the run record beside the predictions")
    arguments.add_argument("--items", required=True, nargs="+", type=named_path, metavar="SOURCE=SHARD")
    arguments.add_argument("--backbone", type=Path, help="manifest: prompts are then written in its chat template")
    arguments.add_argument("--out", required=True, type=Path)
    arguments.add_argument("--form", choices=["lm_eval", "inspect"], default="lm_eval")
    options = arguments.parse_args(argv)
    record = read_json(options.run)
    kinds: dict[str, type[Questions]] = {"backend": EndpointPredictionSpec, "shares": MergedPredictionSpec}
    kind = next((kinds[key] for key in kinds if key in record["spec"]), PredictionSpec)
    spec: Questions = kind.model_validate(record["spec"])
    items = {(source, item.id): item for source, path in options.items for item in read_items(path)}
    prompt = _prompt_writer(spec, options.backbone)
    rows = pq.read_table(options.predictions).to_pylist()
    date = record["started"].split("+")[0].replace(":", "-")
    new_tokens = spec.suites[record["suite"]].max_new_tokens
    options.out.mkdir(parents=True, exist_ok=True)
    if options.form == "inspect":
        for task, log in _logs(rows, items, prompt, new_tokens, record, options.predictions):
            name = f"{date}_{task.replace('_', '-')}_{log['eval']['task_id']}.json"
            write_text(options.out / name, json.dumps(log, ensure_ascii=False, indent=1) + "\n")
        return
    for task, samples in _tasks(rows, items, prompt, new_tokens, options.predictions):
        lines = [json.dumps(sample, ensure_ascii=False) for sample in samples]
        write_text(options.out / f"samples_{task}_{date}.jsonl", "\n".join(lines) + "\n")


def _prompt_writer(spec: Questions, backbone: Path | None) -> Callable[[Item, list[int]], str]:
    """Return what writes a prompt: in the model's chat template, or the user's turn alone."""
    if backbone is None:
        return lambda item, order: user_turn(item, order, spec.prompting)
    from posologie.models.chats import Chats
    from posologie.models.load import load_tokenizer
    from posologie.models.store import checked_folder

    chats = Chats(load_tokenizer(checked_folder(backbone)), spec.chat)

    def written(item: Item, order: list[int]) -> str:
        return chats.shown(chats.prompt(chat(item, order, spec.prompting)))

    return written


def _logs(
    rows: list[Row],
    items: dict[tuple[str, str], Item],
    prompt: Callable[[Item, list[int]], str],
    new_tokens: int,
    record: Row,
    predictions: Path,
) -> Iterator[tuple[str, Row]]:
    """Yield the name and Inspect's log of each benchmark, variant and way of writing an answer."""
    for benchmark, variant in dict.fromkeys((row["benchmark"], row["variant"]) for row in rows):
        mine = [row for row in rows if (row["benchmark"], row["variant"]) == (benchmark, variant)]
        questions = []
        for row in mine:
            item = _item(row, items, predictions)
            questions.append(Asked(row, item, prompt(item, row["option_order"])))
        constrained = [question for question in questions if question.row["constrained_labels"] is not None]
        for way, answered in (("greedy", questions), ("constrained", constrained)):
            if answered:
                yield f"{benchmark}_{variant}_{way}", log(benchmark, variant, way, answered, record, new_tokens)


def _item(row: Row, items: dict[tuple[str, str], Item], predictions: Path) -> Item:
    item = items.get((row["source"], row["item"]))
    if item is None:
        raise InputError(f"{predictions}: item '{row['item']}' is in none of the shards given (--items)")
    return item


def _tasks(
    rows: list[Row],
    items: dict[tuple[str, str], Item],
    prompt: Callable[[Item, list[int]], str],
    new_tokens: int,
    predictions: Path,
) -> Iterator[tuple[str, list[Row]]]:
    """Yield the name of each task and its samples: a task asks in one way, as in the harness."""
    names = dict.fromkeys((row["benchmark"], row["variant"]) for row in rows)
    for benchmark, variant in names:
        mine = [row for row in rows if (row["benchmark"], row["variant"]) == (benchmark, variant)]
        ways: dict[str, list[Row]] = {}
        for number, row in enumerate(mine):
            item = _item(row, items, predictions)
            text = prompt(item, row["option_order"])
            limit = new_tokens if row["task"] == "oeq" else row["generated_tokens"]
            for way, sample in _samples(row, item, text, limit):
                ways.setdefault(way, []).append({"doc_id": number, **sample})
        for way, samples in ways.items():
            yield f"{benchmark}_{variant}_{way}", samples


def _samples(row: Row, item: Item, prompt: str, limit: int) -> Iterator[tuple[str, Row]]:
    doc = {
        "id": item.id,
        "variant": row["variant"],
        "question": item.question,
        "context": item.context,
        "choices": [item.options[index] for index in row["option_order"]],
        "gold": [LABELS[label] for label in row["gold"]],
        "answer": item.answer,
        "group": item.group,
        "provenance": item.provenance,
        "source": item.source,
    }
    settings = {"until": [], "do_sample": False, "temperature": 0.0, "max_gen_toks": limit}
    if row["task"] == "oeq":
        yield (
            "greedy",
            _sample(doc, item.answer, [(prompt, settings)], [[row["greedy_text"]]], [row["greedy_text"]], {}),
        )
        return
    target = ",".join(doc["gold"])
    if row["task"] == "mcqu" and row["label_probabilities"] is not None:
        yield "labels", _likelihoods(doc, row, prompt)
    greedy = _joined(row["greedy_labels"])
    metrics = {"exact_match": float(greedy == target)}
    yield "greedy", _sample(doc, target, [(prompt, settings)], [[row["greedy_text"]]], [greedy], metrics)
    if row["constrained_labels"] is not None:
        labels = _joined(row["constrained_labels"])
        metrics = {"exact_match": float(labels == target)}
        yield "constrained", _sample(doc, target, [(prompt, settings)], [[labels]], [labels], metrics)


def _likelihoods(doc: Row, row: Row, prompt: str) -> Row:
    """Return a sample of multiple choice: for each label a request, its log-likelihood and whether it is greedy."""
    replies = []
    for label, share in enumerate(row["label_probabilities"]):
        joint = share * row["label_mass"]
        likelihood = math.log(joint) if joint > 0 else -math.inf
        greedy = re.match(rf"\s*{LABELS[label]}(?!\w)", row["greedy_text"]) is not None
        replies.append([str(likelihood), str(greedy)])
    likeliest = max(range(len(replies)), key=row["label_probabilities"].__getitem__)
    requests = [(prompt, LABELS[label]) for label in range(len(replies))]
    metrics = {"acc": float(likeliest in row["gold"])}
    return _sample(doc, str(row["gold"][0]), requests, [[reply] for reply in replies], replies, metrics)


def _sample(
    doc: Row, target: str, requests: list[tuple[Any, ...]], replies: list[Any], filtered: list[Any], metrics: Row
) -> Row:
    arguments = {
        f"gen_args_{number}": {f"arg_{place}": argument for place, argument in enumerate(request)}
        for number, request in enumerate(requests)
    }
    return {
        "doc": doc,
        "target": target,
        "arguments": arguments,
        "resps": replies,
        "filtered_resps": filtered,
        "filter": "none",
        "metrics": list(metrics),
        "doc_hash": _hash(json.dumps(doc, indent=2, ensure_ascii=False)),
        "prompt_hash": _hash(requests[0][0]),
        "target_hash": _hash(target),
        **metrics,
    }


def _joined(labels: list[int] | None) -> str:
    return ",".join(LABELS[label] for label in labels) if labels else INVALID


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


if __name__ == "__main__":
    run(main)
