"""Shards at the size of the published study, with planted near-duplicates, for the benchmarks of screening and mixes.

Words are made from syllables and drawn with Zipf's frequencies after the commonest French ones; questions share stems,
as real ones do. A share of the training items repeats a tested or an earlier training item with words changed, added or
left out, options in another order and punctuation altered; another share is made to be mistaken for such a repeat.

With `--second-language` the tests of the translated part are written in an invented second language, word by word:
common words and stems become Spanish ones, two thirds of the others become cognates by regular changes of their
letters, the rest new words; numbers stay. What repeats one of them in training is then planted as `across`. This
exercises the cross-lingual search at size; how alike two real languages are is measured by `screening_languages.py`.
"""

import argparse
import functools
import json
import random
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from posologie.records.files import write_json, write_parquet
from posologie.records.items import Item, items_to_table, stable_id

COMMON = """
de la le et les des en un une à du que dans pour est par au qui sur avec sont plus ce il ne pas chez ou aux se
cette patient traitement après jours an examen clinique douleur l'on être signes ans deux entre dose sans
bilan mg syndrome
"""
SYLLABLES = """
ca ré to mé pa li no sé do ra ti mo vé lu gi ma ne pho bi cé sté no ly xo dy hé phro cy lo the
"""
STEMS = (
    "Parmi les propositions suivantes concernant {}, laquelle est exacte ?",
    "Parmi les propositions suivantes, laquelle (lesquelles) est (sont) exacte(s) à propos de {} ?",
    "Quel est le diagnostic le plus probable devant {} ?",
    "Quelle est la conduite à tenir en cas de {} ?",
    "Concernant {}, indiquez la (les) réponse(s) juste(s) :",
    "Un patient consulte pour {}. Quel examen demandez-vous en premier ?",
    "Quel traitement proposez-vous devant {} ?",
    "Quelles affirmations sont vraies au sujet de {} ?",
)
SPANISH = """
de la el y los unos en un una a del que dentro para es por al quien sobre con son más este él no nada donde o hacia se
esta paciente tratamiento después días año examen clínica dolor uno ser signos años dos entre dosis sin
balance mg síndrome
"""
"""Spanish for the words of `COMMON`, in their order."""
SPANISH_STEMS = (
    "Entre las siguientes afirmaciones sobre {}, ¿cuál es correcta?",
    "De las siguientes afirmaciones, ¿cuál (cuáles) es (son) correcta(s) a propósito de {}?",
    "¿Cuál es el diagnóstico más probable ante {}?",
    "¿Cuál es la conducta que debe seguirse en caso de {}?",
    "En relación con {}, señale la(s) respuesta(s) correcta(s):",
    "Un paciente consulta por {}. ¿Qué prueba solicita en primer lugar?",
    "¿Qué tratamiento propone usted ante {}?",
    "¿Qué afirmaciones son verdaderas con respecto a {}?",
)
COGNATES = (("phro", "fro"), ("pho", "fo"), ("thé", "te"), ("the", "te"), ("y", "i"), ("é", "e"))
OTHER_SYLLABLES = [
    "ja",
    "llo",
    "rra",
    "ñe",
    "gue",
    "zo",
    "cia",
    "dad",
    "mien",
    "que",
    "cho",
    "ble",
    "ura",
    "tra",
    "pre",
    "sue",
]
COGNATE_SHARE = 2 / 3
SIZES = {"native": 57_563, "translated": 366_370, "synthetic": 76_506}
TESTED = {"native": 14_629, "translated": 13_293}
PUBLISHED_TRAIN = sum(SIZES.values())


@dataclass
class Words:
    """A vocabulary with Zipf's frequencies."""

    generator: np.random.Generator

    def __post_init__(self) -> None:
        made = {
            "".join(self.generator.choice(SYLLABLES.split(), size)) for size in self.generator.integers(2, 6, 30_000)
        }
        self.words = np.array([*COMMON.split(), *sorted(made)], dtype=object)
        weights = 1 / np.arange(2, len(self.words) + 2)
        self.bounds = np.cumsum(weights / weights.sum())

    def draw(self, count: int) -> list[str]:
        """Return `count` words."""
        return self.words[
            np.minimum(np.searchsorted(self.bounds, self.generator.random(count)), len(self.words) - 1)
        ].tolist()


def fresh(words: Words, source: str, split: str, number: int, case: tuple[str, str] | None, rng: random.Random) -> Item:
    """Return an item that repeats no other."""
    options = tuple(
        " ".join(words.draw(rng.randint(2, 14))).capitalize() for _ in range(rng.choice((4, 4, 5, 5, 5, 10)))
    )
    task = rng.choice(("mcqu", "mcqu", "mcqu", "mcq"))
    gold = (rng.randrange(len(options)),) if task == "mcqu" else tuple(sorted(rng.sample(range(len(options)), 2)))
    name = stable_id(source, split, str(number))
    return Item(
        id=name,
        source=source,
        provenance=source,
        split=split,
        task=task,
        question=rng.choice(STEMS).format(" ".join(words.draw(rng.randint(4, 25)))),
        context=case[1] if case else "",
        options=options,
        gold=gold,
        answer="",
        group=case[0] if case else name,
        meta={"origin": f"{source}-{number % 5}", "subject": f"subject {number % 41}"},
    )


def edited(text: str, words: Words, rng: random.Random, share: float) -> str:
    """Return the text with this share of its words changed, left out or added."""
    parts = text.split()
    count = int(len(parts) * share + rng.random())
    for _ in range(count):
        place = rng.randrange(len(parts))
        kind = rng.choice(("change", "leave out", "add"))
        if kind == "change":
            parts[place] = words.draw(1)[0]
        elif kind == "add":
            parts.insert(place, words.draw(1)[0])
        elif len(parts) > 2:
            del parts[place]
    return " ".join(parts)


def repeated(item: Item, model: Item, words: Words, rng: random.Random, share: float) -> Item:
    """Return the item with the text of its model, altered as a near-duplicate is."""
    order = rng.sample(range(len(model.options)), len(model.options))
    question = edited(model.question, words, rng, share)
    return replace(
        item,
        question=rng.choice((question, question.upper(), question.replace("?", " : ").replace("é", "e"))),
        context=edited(model.context, words, rng, share),
        options=tuple(edited(model.options[index], words, rng, share) for index in order),
        task=model.task,
        gold=tuple(sorted(order.index(index) for index in model.gold)),
    )


def mistakable(item: Item, model: Item, words: Words, rng: random.Random) -> Item:
    """Return an item close to its model that is another question: on the same case, or with half of its words."""
    if model.context and rng.random() < 0.5:
        return replace(item, context=model.context)
    return replace(
        item,
        question=edited(model.question, words, rng, 0.5),
        options=tuple(edited(text, words, rng, 0.6) for text in model.options),
        task=model.task,
        gold=model.gold,
    )


@functools.cache
def second_word(word: str) -> str:
    """Return a word in the second language: the same for the same word."""
    known = dict(zip(COMMON.split(), SPANISH.split(), strict=True))
    if word in known or not word.isalpha():
        return known.get(word, word)
    luck = random.Random(f"second language: {word}")
    if luck.random() < COGNATE_SHARE:
        for french, spanish in COGNATES:
            word = word.replace(french, spanish)
        return word + luck.choice(("", "a", "o", "ción"))
    return "".join(luck.choices(OTHER_SYLLABLES, k=luck.randint(2, 4)))


def in_second_language(item: Item) -> Item:
    """Return the item in the second language."""

    def text(words: str) -> str:
        return " ".join(second_word(word) for word in words.split())

    for french, spanish in zip(STEMS, SPANISH_STEMS, strict=True):
        before, after = french.split("{}")
        if item.question.startswith(before) and item.question.endswith(after):
            question = spanish.format(text(item.question[len(before) : len(item.question) - len(after)]))
            break
    options = tuple(text(option.lower()).capitalize() for option in item.options)
    return replace(item, question=question, context=text(item.context), options=options)


def main() -> None:
    """Write the shards and `planted.json`."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--scale", type=float, default=1.0, help="share of the published size")
    arguments.add_argument("--seed", type=int, default=7)
    arguments.add_argument(
        "--second-language", action="store_true", help="write the translated part's tests in a second language"
    )
    options = arguments.parse_args()
    rng = random.Random(options.seed)
    words = Words(np.random.default_rng(options.seed))
    planted: dict[str, list[list[str]]] = {"near": [], "across": [], "mistakable": []}
    known: list[Item] = []
    foreign: set[str] = set()
    jobs = [(source, "test", int(size * options.scale)) for source, size in TESTED.items()]
    jobs += [(source, "train", int(size * options.scale)) for source, size in SIZES.items()]
    for source, split, size in jobs:
        items: list[Item] = []
        case: tuple[str, str] | None = None
        left = 0
        for number in range(size):
            if left == 0:
                case, left = None, 1
                if rng.random() < 0.25:
                    case = (stable_id(source, split, "case", str(number)), " ".join(words.draw(rng.randint(60, 550))))
                    left = rng.choice((1, 1, 2, 4))
            left -= 1
            item = fresh(words, source, split, number, case, rng)
            luck = rng.random()
            if split == "train" and luck < 0.06 and known and case is None:
                model = rng.choice(known)
                if luck < 0.03:
                    item = repeated(item, model, words, rng, rng.uniform(0.01, 0.07))
                    planted["across" if model.id in foreign else "near"].append([item.id, model.id])
                else:
                    item = mistakable(item, model, words, rng)
                    planted["mistakable"].append([item.id, model.id])
            elif split == "test" or luck > 0.95:
                known.append(item)
            items.append(item)
        if options.second_language and (source, split) == ("translated", "test"):
            foreign = {item.id for item in items}
            items = [in_second_language(item) for item in items]
        write_parquet(options.folder / source / f"{split}.parquet", items_to_table(items))
        text = sum(len(item.question) + len(item.context) + sum(map(len, item.options)) for item in items)
        print(json.dumps({"source": source, "split": split, "items": size, "characters": text}), flush=True)
    write_json(options.folder / "planted.json", planted)


if __name__ == "__main__":
    main()
