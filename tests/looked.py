"""A study whose shards are written directly, for the tests of the pages about data."""

import random
from pathlib import Path

from posologie.config.job_specs import look_spec
from posologie.config.study import Study
from posologie.records.files import write_json, write_parquet
from posologie.records.items import Item, items_to_table, stable_id
from posologie.running.seals import Identity, write_seal
from posologie.sources.evidence import rejects_table

STARTS = ("cardio", "neuro", "hémo", "ostéo", "pneumo", "gastro", "hépato", "dermo", "rhino", "oto", "néphro", "psycho")
ENDS = ("pathie", "logie", "gramme", "tomie", "scopie", "lyse", "plastie", "thérapie", "graphie", "phobie", "trophie")
WORDS = [start + end for start in STARTS for end in ENDS]
STUDY = {
    "study": "looked",
    "language": "fr",
    "sources": {
        "native": {"provenance": "native", "hub": "someone/native"},
        "other": {"provenance": "synthetic", "hub": "someone/other", "splits": ["train"]},
    },
    "screening": {"mode": "remove", "against": ["exam"]},
    "mixes": {
        "NAT": {"shares": {"native": 1}, "size": 20},
        "BOTH": {"shares": {"native": 2, "synthetic": 1}, "size": 31},
    },
    "backbones": {"tiny": {"hub": "someone/tiny"}},
    "suites": {"exam": {"benchmarks": {"native": {"source": "native", "tasks": ["mcqu", "mcq"]}}}},
    "report": {"item_browser": False},
}


def study(**changes):
    """Return the study with some of its sections changed."""
    return Study.model_validate(STUDY | changes)


def spec(**changes):
    """Return the spec of the study's pages."""
    return look_spec(study(**changes))


def item(number, *, source="native", split="train", provenance="native", **changes):
    """Return a French choice question that is like that of no other number; the key goes round."""
    drawn = random.Random(number).choices(WORDS, k=30)
    values = {
        "id": stable_id(source, split, str(number)),
        "source": source,
        "provenance": provenance,
        "split": split,
        "task": "mcqu",
        "question": f"Quelle est la bonne réponse pour {' et '.join(drawn[:10])} dans ce service ?",
        "context": "",
        "options": tuple(f"{letter} {' '.join(drawn[10 + 5 * letter : 15 + 5 * letter])}" for letter in range(4)),
        "gold": (number % 4,),
        "answer": "",
        "group": stable_id(source, split, str(number)),
        "meta": {},
    }
    return Item(**values | changes)


def write_shard(root: Path, items, rejects=(), source="native", split="train", **report):
    """Write a shard as a reader does, with the entries of a report."""
    path = root / "shards" / source / f"{split}.parquet"
    write_parquet(path, items_to_table(items))
    write_parquet(path.with_suffix(".rejects.parquet"), rejects_table(list(rejects)))
    counts = {
        "read": len(items) + len(rejects),
        "kept": len(items),
        "rejected": {"total": len(rejects), "by_reason": {}},
        "repaired": {},
        "repeated_ids": {},
        "files": {f"{split}.jsonl": {"read": len(items) + len(rejects), "kept": len(items)}},
    }
    write_json(path.with_suffix(".json"), counts | report)
    write_seal([path, path.with_suffix(".json")], Identity("posologie.sources.columns", "code", {}), {}, {})
    return path


def write_study(root: Path):
    """Write the shards of the study, in which nothing is odd, and return the study's folder."""
    write_shard(root, [item(number) for number in range(60)])
    write_shard(root, [item(number, split="validation") for number in range(100, 120)], split="validation")
    write_shard(root, [item(number, split="test") for number in range(200, 240)], split="test")
    others = [item(number, source="other", provenance="synthetic") for number in range(300, 340)]
    write_shard(root, others, source="other")
    return root


HOSTILE = item(
    1000,
    id="0" * 20,
    question="ما هو العضو <script>document.title='owned'</script> \u202egro.live\u202c [bold red]x[/] \x1b[31mred ?",
    options=("الكبد", "<img src=x onerror=alert(1)>", "\x1b]0;title\x07\x9b2J", "]] --> {{ 7 * 7 }}"),
    gold=(1,),
    meta={"position_dependent": [1]},
)
"""An item whose texts try to be markup, a control sequence, and another reading direction."""
