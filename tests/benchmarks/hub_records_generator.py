"""Generates hub-form records at the size of the study: realistic lengths, defects, near-duplicates that are known.

    python tests/benchmarks/hub_records_generator.py FOLDER [--fraction 0.25] [--seed 0]

writes `FOLDER/{native,translated,synthetic}/data/{split}-00000-of-00001.parquet`, the columns being those of the
published records, and `FOLDER/planted.parquet`: which row is a near-duplicate of which (source, split, row from 0, and
the same for the original). Nothing here is medicine: words are drawn from a made-up vocabulary.
"""

import argparse
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

SIZES = {
    ("native", "train"): 57_563,
    ("native", "validation"): 5_055,
    ("native", "test"): 14_629,
    ("synthetic", "train"): 76_506,
    ("translated", "train"): 366_370,
    ("translated", "validation"): 38_011,
    ("translated", "test"): 13_302,
}
"""Records per source and split: 571,436 in all (PAPER, section 1; the test splits sum to the printed 27,931)."""

TASK_SHARES = {"native": (0.62, 0.24, 0.14), "synthetic": (0.0, 0.44, 0.56), "translated": (0.93, 0.04, 0.03)}
"""mcqu, mcq, oeq."""

CONTEXTS = {"train": (0.7, 13.5), "validation": (0.2, 1.4), "test": (0.6, 7.8)}
"""Share of records with a context and its mean number of sentences, chosen so that the splits weigh about what the
published ones weigh (1,398, 332 and 855 bytes a record; 738 MB in all)."""

DEFECT_SHARE = 0.02
DUPLICATE_SHARE = 0.03
ORIGINS = {
    "native": ("MediQAl", "FrenchMedMCQA", "FrBMedQA", "S-Editions"),
    "synthetic": ("DEFT-2021", "DIAMED", "MORFITT"),
    "translated": ("MedQA", "MedMCQA", "PubMedQA", "MMLU", "MedXpertQA"),
}
_SYLLABLES = """a al an ar bi bo ca car cé chi co cri da dé di do é en er fi for ga gé gly go hé hy i in ka la lé lo lu
    ma mé mi mo na né ni no nu o op or pa pé phi plo po pro ra ré ri ro sa scé sé si so su ta té thé ti to tra tri u ul
    va vé vi xi"""
_ENDINGS = "ite ose ie ine ique al elle tion gramme ment eur ance isme ée er ant if oïde"
_SMALL = """le la les un une des de du et ou à au en dans par pour sur avec sans est sont qui que ne pas plus après"""


def vocabulary(generator: np.random.Generator, words: int = 9000) -> np.ndarray:
    """Return distinct words; those at the front are the small words of French."""
    small = dict.fromkeys(_SMALL.split())
    while len(small) < words:
        stem = "".join(generator.choice(_SYLLABLES.split(), size=generator.integers(1, 4)))
        small[stem + str(generator.choice(_ENDINGS.split()))] = None
    return np.array(list(small), dtype=object)


class Writer:
    """Draws words, sentences and options from one vocabulary with one random generator."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.words = vocabulary(self.random)
        ranks = np.arange(1, len(self.words) + 1)
        self.weights = np.cumsum(1 / (ranks + 8.0))
        self.weights /= self.weights[-1]
        self.sentences = self.texts(60_000, 8, 20, capital=True, end=".")

    def texts(self, count: int, fewest: int, most: int, *, capital: bool = False, end: str = "") -> list[str]:
        """Return texts of `fewest` to `most` words."""
        lengths = self.random.integers(fewest, most + 1, size=count)
        drawn = self.words[np.searchsorted(self.weights, self.random.random(int(lengths.sum())))].tolist()
        texts, start = [], 0
        for length in lengths.tolist():
            text = " ".join(drawn[start : start + length]) + end
            texts.append(text[0].upper() + text[1:] if capital else text)
            start += length
        return texts


def records(writer: Writer, source: str, split: str, count: int) -> list[list[str]]:
    """Return the columns instruction, context, answer, type, origin."""
    random = writer.random
    tasks = random.choice(["mcqu", "mcq", "oeq"], p=TASK_SHARES[source], size=count).tolist()
    questions = writer.texts(count, 8, 22, capital=True, end=" ?")
    option_counts = random.integers(4, 6, size=count).tolist()
    options = iter(writer.texts(5 * count, 2, 6, capital=True))
    answers = iter(writer.texts(count, 12, 60, capital=True, end="."))
    share, mean = CONTEXTS[split]
    sentences = np.where(random.random(count) < share, random.geometric(1 / mean, size=count), 0).tolist()
    origins = random.choice(ORIGINS[source], size=count).tolist()
    instructions, contexts, gold = [], [], []
    for row in range(count):
        chosen = random.integers(0, len(writer.sentences), size=sentences[row]).tolist()
        contexts.append(" ".join([writer.sentences[index] for index in chosen]))
        if tasks[row] == "oeq":
            instructions.append(questions[row])
            gold.append(next(answers))
            continue
        letters = "ABCDE"[: option_counts[row]]
        lines = [f"({letter}) {next(options)}" for letter in letters]
        instructions.append("\n".join([questions[row], "Choix de réponses :", *lines]))
        several = 1 if tasks[row] == "mcqu" else int(random.integers(2, len(letters)))
        right = sorted(random.choice(len(letters), size=several, replace=False).tolist())
        gold.append(",".join(letters[index] for index in right))
    return [instructions, contexts, gold, tasks, origins]


def damage(writer: Writer, columns: list[list[str]]) -> None:
    """Give a share of the records one defect each: half of the kinds can be repaired, the others not."""
    instructions, contexts, gold, tasks, _ = columns
    for row in np.flatnonzero(writer.random.random(len(gold)) < DEFECT_SHARE).tolist():
        kind = int(writer.random.integers(0, 10))
        if kind == 0:
            instructions[row] = instructions[row].replace(" ", "\u00a0", 2)
        elif kind == 1:
            contexts[row] = f"<p>{contexts[row]}</p>"
        elif kind == 2:
            instructions[row] = instructions[row].replace("é", "e\u0301")
        elif kind == 3:
            contexts[row] = contexts[row].replace(" et ", " &amp; ") + "\r\n"
        elif kind == 4:
            tasks[row] = tasks[row].upper()
        elif kind == 5:
            tasks[row] = "autre"
        elif kind == 6:
            gold[row] = ""
        elif kind == 7:
            contexts[row] += " \ufffd"
        elif kind == 8:
            gold[row] = "Z" if tasks[row] != "oeq" else " "
        else:
            instructions[row] = instructions[row].partition("\n")[0] if tasks[row] != "oeq" else ""


def near_duplicate(writer: Writer, columns: list[list[str]], row: int) -> list[str]:
    """Return a copy of a record with one word of its question changed."""
    copy = [column[row] for column in columns]
    question, line, rest = copy[0].partition("\n")
    words = question.split(" ")
    words[int(writer.random.integers(1, max(len(words) - 1, 2))) % len(words)] = writer.texts(1, 1, 1)[0]
    copy[0] = " ".join(words) + line + rest
    return copy


def generate(folder: Path, fraction: float = 1.0, seed: int = 0) -> None:
    """Write the records of all sources and splits, scaled by `fraction`."""
    writer = Writer(seed)
    made = {
        (source, split): records(writer, source, split, round(count * fraction))
        for (source, split), count in SIZES.items()
    }
    originals = [key for key in made if key[1] != "validation"]
    planted = []
    for source, split in made:
        columns = made[source, split]
        if split != "train":
            continue
        rows = np.flatnonzero(writer.random.random(len(columns[0])) < DUPLICATE_SHARE).tolist()
        for row in rows:
            of = originals[int(writer.random.integers(0, len(originals)))]
            other = int(writer.random.integers(0, len(made[of][0])))
            for column, value in zip(columns, near_duplicate(writer, made[of], other), strict=True):
                column[row] = value
            columns[4][row] = ORIGINS[source][0]
            planted.append((source, split, row, *of, other))
    for (source, split), columns in made.items():
        damage(writer, columns)
        path = folder / source / "data" / f"{split}-00000-of-00001.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        names = ["instruction", "context", "answer", "type", "origin"]
        pq.write_table(pa.table(dict(zip(names, columns, strict=True))), path)
    names = ["source", "split", "row", "of_source", "of_split", "of_row"]
    pq.write_table(
        pa.table(dict(zip(names, map(list, zip(*planted, strict=True)), strict=True))), folder / "planted.parquet"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--fraction", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    generate(arguments.folder, arguments.fraction, arguments.seed)


if __name__ == "__main__":
    main()
