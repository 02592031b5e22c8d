"""A study of six questions and two models with known answers, for the item browser's data: made in a blink."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from posologie.prediction.spec import prediction_schema
from posologie.records import layout
from posologie.records.files import write_parquet
from posologie.records.items import Item, items_to_table
from posologie.report.browser import write_browser
from posologie.report.spec import BrowserSpec, PromptForm
from posologie.scoring.spec import score_schema
from posologie.screening.matches import match_schema
from posologie.statistics.spec import EvaluatedModel

BASE, NAT = "tiny/base", "tiny/NAT/seed-42"
LONG = "Un très long énoncé. " * 8
"""168 characters, of which the index shows 160."""
ORDER = [2, 0, 1]
"""The options of every choice question as the permuted variant displays them."""


def question(name, source="native", task="mcqu", gold=(0,), **texts):
    """Return a tested item; a choice question has three options."""
    values = {"question": f"Question {name} ?", "context": "", "answer": "", "group": name, "provenance": source}
    options = () if task == "oeq" else ("à droite", "à gauche", "au centre")
    values |= {"options": options, "gold": () if task == "oeq" else gold, "split": "test"}
    return Item(id=name, source=source, task=task, **{**values, **texts})


QUESTIONS = [
    question("c1", question=" Où se\n trouve  le FOIE ?", context="Un homme de 40 ans.", group="case"),
    question("c2", task="mcq", gold=(0, 2), question=LONG),
    question("c3", source="translated", gold=(1,), question="é" * 160, provenance="english"),
    question("c4", source="translated", question="é" * 161),
    question("o1", task="oeq", answer="Du repos, et du Repos."),
    question("o2", task="oeq", answer="Rien."),
]
TRAINED = [question(f"t{number}", source="stock", split="train", gold=(number % 3,)) for number in range(8)]

CHOSEN = {
    # What each model chose of an item under its own order and the permuted one, as displayed.
    "c1": {BASE: [[0], [1]], NAT: [[1], [2]]},  # the same option each: right, wrong
    "c2": {BASE: [[0, 2], [0, 1]], NAT: [[0, 2], [0, 1]]},  # both right under every order
    "c3": {BASE: [[0], [0]], NAT: [[2], [0]]},  # the base model flips
    "c4": {BASE: [[0], [0]], NAT: [[1], None]},  # right at first; no answer is read from NAT's permuted one
}
SHARES = {BASE: [0.8, 0.1, 0.1], NAT: [0.1, 0.8, 0.1]}
TOKENS = {"c1": [26, 99], "c2": [45, 45], "c3": [14, 14], "c4": [14, 98], "o1": [3], "o2": [97]}
"""Recorded tokens of the prompts of NAT; its backbone counts 26, 45, 14, 14, 3 and 3 of them now (`WordCounter`)."""
TEXTS = {BASE: "Du repos.", NAT: "Rien du tout."}


def answer_rows(model, items):
    """Return the rows of predictions on some items, by benchmark, item and variant."""
    rows = []
    for item in items:
        for place, variant in enumerate(["original"] if item.task == "oeq" else ["original", "permuted-1"]):
            order = [] if item.task == "oeq" else [[0, 1, 2], ORDER][place]
            row = {"item": item.id, "variant": variant, "source": item.source, "provenance": item.provenance}
            row |= {"benchmark": "open" if item.task == "oeq" else item.source, "task": item.task, "group": item.group}
            row |= {"option_order": order, "gold": sorted(order.index(label) for label in item.gold)}
            row |= {"prompt_tokens": TOKENS[item.id][place] if model == NAT else 1, "generated_tokens": 1}
            row |= {"greedy_text": TEXTS[model], "finish": "stop"}
            if item.task != "oeq":
                chosen = CHOSEN[item.id][model][place]
                row["greedy_text"] = f"Réponse {place}"
                row |= {"greedy_labels": [place], "constrained_labels": chosen, "label_probabilities": SHARES[model]}
            rows.append(row)
    return sorted(rows, key=lambda row: (row["benchmark"], row["item"], row["variant"]))


def match_row(suite, matched, item, **change):
    """Return a match of a training item with a tested one."""
    row = {"item": item, "source": "stock", "split": "train", "place": "test", "kind": "near", "suite": suite}
    row |= {"matched": matched, "matched_source": "native", "matched_split": "test", "similarity": 0.9}
    return row | {"same_answer": True, "same_facts": True, "removed": False, **change}


def score_row(model, item, metric, value, **change):
    """Return a row of scores of an open answer."""
    row = {"item": item, "benchmark": "open", "variant": "original", "provenance": "native", "task": "oeq"}
    row |= {"group": item, "metric": metric, "decoding": "greedy", "signature": "s", "value": value}
    return row | change


SCORES = {
    BASE: [
        score_row(BASE, "o1", "rouge2", 0.123456),
        score_row(BASE, "o1", "meteor", 0.5),
        score_row(BASE, "o1", "bleu:total_1", 7.0),  # a sum behind a corpus score
        score_row(BASE, "o1", "rouge1", None),  # undefined
        score_row(BASE, "o1", "rougeL", 0.9, variant="permuted-1"),
        score_row(BASE, "o1", "rougeL", 0.8, task="mcqu"),
        score_row(BASE, "o2", "rouge2", 0.25),
    ],
    NAT: [score_row(NAT, "o1", "rouge2", 0.75)],
}
SPEC = BrowserSpec(
    study="small",
    models=(
        EvaluatedModel(name=BASE, kind="base", backbone="tiny"),
        EvaluatedModel(name=NAT, kind="mix", backbone="tiny", mix="NAT", seed=42),
    ),
    suites=("exam", "letters"),
    judges=("strict", "second"),
    ratings={"physicians": 0.6},
    languages={"translated": "en"},
    mixes={"NAT": (42, 43), "SYN": (42,)},
    forms=(PromptForm(models=(BASE, "tiny/elsewhere")), PromptForm(models=(NAT,), backbone="tiny@none")),
).model_copy(update={"items_per_file": 2})


def make_study(root: Path) -> list[str]:
    """Write all that the browser reads below `root`; return the shards of the tested items."""
    suites = {
        "exam": [item for item in QUESTIONS if item.task != "oeq"],
        "letters": [item for item in QUESTIONS if item.task == "oeq"],
    }
    shards = []
    for source in ("native", "translated"):
        shards.append(str(root / layout.shard(source, "test")))
        write_parquet(shards[-1], items_to_table(item for item in QUESTIONS if item.source == source))
    write_parquet(root / layout.shard("stock", "train"), items_to_table(TRAINED))
    for model in (BASE, NAT):
        for suite, items in suites.items():
            table = pa.Table.from_pylist(answer_rows(model, items), prediction_schema())
            write_parquet(root / layout.predictions(model, suite), table)
        # Only a suite with open questions has scores and verdicts that the browser shows.
        write_parquet(root / layout.scores(model, "letters"), pa.Table.from_pylist(SCORES[model], score_schema()))
        verdicts = {"strict": 1, "second": 0 if model == BASE else None}
        for judge, verdict in verdicts.items():
            rows = [{"item": item.id, "benchmark": "open", "label": verdict} for item in suites["letters"]]
            schema = pa.schema([("item", pa.string()), ("benchmark", pa.string()), ("label", pa.int32())])
            write_parquet(root / layout.judgements(judge, model, "letters"), pa.Table.from_pylist(rows, schema))
    ratings = [("o1", BASE, 0.5), ("o1", BASE, 0.25), ("o2", NAT, 1.0), ("o2", "people", 0.0)]
    rated = [{"item": item, "generator": generator, "rating": rating} for item, generator, rating in ratings]
    write_parquet(root / layout.human("physicians"), pa.Table.from_pylist(rated))
    audited = {("NAT", 42): ["t0", "t1", "t2", "t3", "t4", "t5"], ("NAT", 43): ["t0"], ("SYN", 42): []}
    for (mix, seed), held in audited.items():
        rows = [match_row("exam", "c1", item, similarity=0.9 - int(item[1]) / 100) for item in held]
        for suite in suites:
            matches = pa.Table.from_pylist(rows if suite == "exam" else [], match_schema())
            write_parquet(root / layout.leakage(mix, seed, suite), matches)
    left_out = [match_row("exam", "c2", "t6", kind="exact", similarity=1.0, removed=True)]
    write_parquet(root / "screened/stock/train.matches.parquet", pa.Table.from_pylist(left_out, match_schema()))
    return shards


MANIFESTS = {"tiny@none": "manifest.json"}


def write(written: tuple[Path, Sequence[str]], target: Path, **change: Any) -> None:
    """Write the browser's data of a study below `target`."""
    root, shards = written
    write_browser(
        SPEC.model_copy(update=change),
        root,
        shards,
        target / "index.js",
        trained=[root / "shards/stock/train.parquet"],
        matches=[root / "screened/stock/train.matches.parquet"],
        manifests=MANIFESTS,
    )


def handed(path: Path, function: str) -> list[Any]:
    """Return the values that a script hands to a function of the page."""
    text = path.read_text(encoding="utf-8")
    assert text.startswith(f"posologie.{function}("), text[:40]
    assert text.endswith(");\n"), text[-9:]
    return json.loads(f"[{text[len(function) + 11 : -3]}]")


def entries(target: Path, count: int = 3) -> dict[str, dict[str, Any]]:
    """Return the items of all data files by id."""
    return {entry["id"]: entry for number in range(count) for entry in handed(target / f"{number}.js", "page")[1]}


class WordCounter:
    """Stands for a backbone's tokenizer and chat template: a prompt is its user turn, and a word is a token."""

    tokenizer = None

    def prompt(self, turns: Sequence[Mapping[str, str]]) -> str:
        """Return the text that the model is sent."""
        return turns[-1]["content"]

    def tokens(self, prompts: Sequence[str]) -> list[tuple[list[str], None, None]]:
        """Return the tokens of each prompt."""
        return [(prompt.split(), None, None) for prompt in prompts]

    def shown(self, prompt: str) -> str:
        """Return the text of a prompt as it is shown."""
        return prompt
