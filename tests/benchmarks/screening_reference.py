"""Hold what screening finds against two other methods on the same files, as a table of recall and precision.

    python tests/benchmarks/screening_reference.py DATA [--scale 0.02] [--show]

- `datasketch`: MinHash and LSH of the package of that name, 128 permutations, the same shingles of 5 characters and the
  same threshold of 0.7, on lower-case words; what a bucket holds counts, and in a second row only what the signatures
  estimate to be as similar.
- `8-grams`: the rule of open-instruct's decontamination (`decontamination/README.md` there; Lambert et al., "Tülu 3",
  2024, section 3.2), written anew: a training text repeats a tested question if more than half of the question's
  words stand in n-grams of 8 words that the text has too.

Tasks, all of training items against tested ones:

- `invented`: the corpus of `screening_corpus.py` at a small scale; truth is what was planted.
- `FrenchMedMCQA`: the published training questions against the published others. Truth is a pool: the pairs that any
  method found were read, and those that ask the same are listed in `SAME`. Of the thousands that 8-grams alone found,
  by their instructions, those were read that share half of their words. Recall is relative to this pool.
- `quoted`: tested questions of FrenchMedMCQA of at least 8 words, each with its answer inside one abstract of MORFITT.
"""

import argparse
import csv
import json
import re
import subprocess
import sys
import tempfile
import time
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from datasketch import MinHash, MinHashLSH
from screening_languages import item

from posologie.records.items import Item, items_to_table, read_items
from posologie.screening.comparison import compare
from posologie.screening.population import TWINS, Population
from posologie.screening.spec import Comparing

Pairs = set[tuple[str, str]]
"""Key of a training item, and of a tested item."""

SAME: dict[str, str] = {
    "FrenchMedMCQA": "12-470 15-132 51-484 55-5 108-828 109-922 230-770 237-824 293-898 377-230 436-5 816-54 1041-69 "
    "1116-551 1118-5 1119-601 1122-36 1123-506 1124-120 1158-49 1212-286 1315-49 1650-182 1703-476 1790-796 1792-655 "
    "1930-360",
}
"""Pairs of the pool that ask the same, as numbers of records in their files: training-tested."""
THRESHOLD = Comparing().similarity or 1.0


def words(text: str) -> list[str]:
    """Return the words of a text in lower case, without accents."""
    plain = unicodedata.normalize("NFKD", text.casefold())
    return re.findall(r"\w+", "".join(sign for sign in plain if not unicodedata.combining(sign)))


def whole_text(item: Item) -> str:
    """Return all that an item shows."""
    return " ".join(words(" ".join([item.context, item.question, *sorted(item.options)])))


def ours(training: list[Item], tested: list[Item]) -> dict[str, Pairs]:
    """Return the twins that screening finds with its defaults."""
    table = items_to_table([*tested, *training])
    whole = Population(table, len(tested), 0, 0, np.arange(table.num_rows), [("suite",)] * len(tested))
    ids = table["id"].to_pylist()
    twins = (match for match in compare(whole, Comparing(), ()).matches if match.kind in TWINS)
    return {"screening": {(ids[match.item], ids[match.other]) for match in twins}}


def signature(item: Item) -> MinHash:
    """Return datasketch's signature of an item."""
    text = whole_text(item)
    made = MinHash(num_perm=128, seed=1)
    made.update_batch([text[start : start + 5].encode() for start in range(max(len(text) - 4, 1))])
    return made


def datasketch_pairs(training: list[Item], tested: list[Item]) -> dict[str, Pairs]:
    """Return what shares a bucket of datasketch's LSH, and of that what its signatures estimate to be as similar."""
    index = MinHashLSH(threshold=THRESHOLD, num_perm=128)
    signatures = {item.id: signature(item) for item in tested}
    for name, made in signatures.items():
        index.insert(name, made)
    pairs: dict[str, Pairs] = {"datasketch": set(), "datasketch, estimate ≥ 0.7": set()}
    for trained in training:
        made = signature(trained)
        for name in index.query(made):
            pairs["datasketch"].add((trained.id, name))
            if made.jaccard(signatures[name]) >= THRESHOLD:
                pairs["datasketch, estimate ≥ 0.7"].add((trained.id, name))
    return pairs


def eight_grams(training: list[Item], tested: list[Item], size: int = 8) -> dict[str, Pairs]:
    """Return the pairs in which more than half of the tested question's words are in n-grams that both have."""
    holders: dict[tuple[str, ...], set[str]] = defaultdict(set)
    questions = {item.id: words(item.question) for item in tested}
    runs = {tuple(own[start : start + size]) for own in questions.values() for start in range(len(own) - size + 1)}
    for trained in training:
        own = words(" ".join([trained.context, trained.question, *trained.options, trained.answer]))
        for start in range(len(own) - size + 1):
            gram = tuple(own[start : start + size])
            if gram in runs:
                holders[gram].add(trained.id)
    pairs: Pairs = set()
    for name, own in questions.items():
        covered: dict[str, set[int]] = defaultdict(set)
        for start in range(len(own) - size + 1):
            for holder in holders.get(tuple(own[start : start + size]), ()):
                covered[holder].update(range(start, start + size))
        pairs |= {(holder, name) for holder, places in covered.items() if len(places) > len(own) / 2}
    return {"8-grams": pairs}


def invented(folder: Path, scale: float) -> tuple[list[Item], list[Item], Pairs]:
    """Return training and tested items of the invented corpus, and the planted pairs between them."""
    corpus = Path(__file__).with_name("screening_corpus.py")
    subprocess.run([sys.executable, corpus, folder, "--scale", str(scale)], check=True, stdout=subprocess.DEVNULL)
    training = [
        item for name in ("native", "translated", "synthetic") for item in read_items(folder / name / "train.parquet")
    ]
    tested = [item for name in ("native", "translated") for item in read_items(folder / name / "test.parquet")]
    names = {item.id for item in tested}
    planted = json.loads((folder / "planted.json").read_text())["near"]
    return training, tested, {(item, model) for item, model in planted if model in names}


def french(data: Path) -> tuple[list[Item], list[Item]]:
    """Return the published training questions of FrenchMedMCQA, and the others; ids are numbers of records."""
    sides: dict[str, list[Item]] = {"train": [], "other": []}
    for split in ("train", "dev", "test"):
        side = sides["train" if split == "train" else "other"]
        for row in json.loads((data / f"frenchmedmcqa/{split}.json").read_text()):
            gold = ["abcde".index(label) for label in row["correct_answers"]]
            side.append(item(row["id"], "fr", row["question"], "", list(row["answers"].values()), gold))
    return numbered(sides["train"], "a"), numbered(sides["other"], "b")


def numbered(items: list[Item], side: str) -> list[Item]:
    """Return the items, each with its side and number as its id."""
    return [replace(item, id=f"{side}{number}", group=f"{side}{number}") for number, item in enumerate(items)]


def quoted(data: Path) -> tuple[list[Item], list[Item], Pairs]:
    """Return abstracts, every second with a tested question and its answer inside, and the tested questions."""
    _, others = french(data)
    tested = [item for item in others if len(words(item.question)) >= 8 and item.gold][:300]
    with open(data / "morfitt/train.tsv", encoding="utf-8", newline="") as file:
        abstracts = [row["abstract"] for row in csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)]
    training, planted = [], set()
    for number, abstract in enumerate(abstracts[: 2 * len(tested)]):
        own = abstract.split()
        if number % 2 == 0:
            question = tested[number // 2]
            quotation = [question.question, *(question.options[place] for place in question.gold)]
            own[len(own) // 2 : len(own) // 2] = quotation
            planted.add((f"abstract {number}", question.id))
        lesson = " ".join(own)
        training.append(
            Item(
                f"abstract {number}",
                "lessons",
                "synthetic",
                split="train",
                task="oeq",
                question=lesson,
                context="",
                options=(),
                gold=(),
                answer="–",
                group=str(number),
                meta={},
            )
        )
    return training, tested, planted


def tasks(data: Path, scale: float) -> Iterator[tuple[str, list[Item], list[Item], Pairs | None]]:
    """Yield the name, training items, tested items and planted pairs of each task; None where the pool is the truth."""
    with tempfile.TemporaryDirectory() as folder:
        yield "invented", *invented(Path(folder), scale)
    yield "FrenchMedMCQA", *french(data), None
    yield "quoted", *quoted(data)


def main() -> None:
    """Print a row for each task and method."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("data", type=Path)
    arguments.add_argument("--scale", type=float, default=0.02, help="of the invented corpus")
    arguments.add_argument("--show", action="store_true", help="print the pool with its texts, for reading")
    options = arguments.parse_args()
    columns = f"{'pairs':>6} {'found':>6} {'right':>6} {'recall':>7} {'precision':>9} {'seconds':>8}"
    print(f"{'task':15} {'method':27} {columns}")
    for task, training, tested, planted in tasks(options.data, options.scale):
        pairs_of: dict[str, Pairs] = {}
        seconds: dict[str, float] = {}
        for method in (ours, datasketch_pairs, eight_grams):
            started = time.process_time()
            made = method(training, tested)
            pairs_of |= made
            seconds |= dict.fromkeys(made, time.process_time() - started)
        truth = planted
        if truth is None:
            same = (pair.split("-") for pair in SAME.get(task, "").split())
            truth = {(f"a{first}", f"b{other}") for first, other in same}
        for name, pairs in pairs_of.items():
            right = len(pairs & truth)
            recall, precision = right / max(len(truth), 1), right / max(len(pairs), 1)
            row = f"{len(truth):6} {len(pairs):6} {right:6} {recall:7.3f} {precision:9.3f} {seconds[name]:8.1f}"
            print(f"{task:15} {name:27} {row}", flush=True)
        if options.show and planted is None:
            show(training, tested, pairs_of, truth)


def show(training: list[Item], tested: list[Item], matched: dict[str, Pairs], truth: Pairs) -> None:
    """Print every pair that a method found, with who found it."""
    sides = [{item.id: item for item in side} for side in (training, tested)]
    by = Counter(pair for pairs in matched.values() for pair in pairs)
    for pair in sorted(by, key=lambda pair: (int(pair[0][1:]), int(pair[1][1:]))):
        print(f"\n{pair[0]}-{pair[1]} {pair in truth} {[name for name, pairs in matched.items() if pair in pairs]}")
        for side, name in zip(sides, pair, strict=True):
            shown = side[name]
            print(f"   {shown.context[:200]!r} {shown.question!r} {shown.options} {shown.gold}")


if __name__ == "__main__":
    main()
