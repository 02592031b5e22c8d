"""Translations of known quality, and the table of translation quality that they give."""

import csv
import json
from pathlib import Path

import pyarrow as pa

from posologie.generation import translation_quality_table as table
from posologie.generation.translation_quality_spec import sentence_schema
from posologie.records.files import write_parquet

ROOT = Path(__file__).parents[3]
REFERENCES = [
    f"La patiente numéro {number} a reçu {number * 2} mg de {drug} pendant trois jours avec un bon résultat clinique."
    for number in range(15)
    for drug in ("paracétamol", "ceftriaxone", "morphine")
]


def worse(text, share):
    """Drop words so that a translation is worse, always in the same way."""
    words = text.split()
    return " ".join(word for place, word in enumerate(words) if (place * 7 + len(text)) % 10 >= share)


def sentences(folder, name, translations, test_set="made"):
    rows = [
        {
            **{"test_set": test_set, "id": f"{number:03}", "group": f"doc{number // 3}", "source": "s"},
            **{"reference": reference, "translation": translation, "finish": "stop"},
            **{"prompt_tokens": 1, "generated_tokens": 1},
        }
        for number, (reference, translation) in enumerate(zip(REFERENCES, translations, strict=True))
    ]
    write_parquet(folder / f"{name}.parquet", pa.Table.from_pylist(rows, schema=sentence_schema()))
    return f"{name}={folder / name}.parquet"


def made_table(folder, named, *more, names=None, **quality):
    table.main(
        [
            *("--spec", json.dumps({"quality": quality, "published": names}), "--table", str(folder / "quality.csv")),
            *("--sentences", *named, *more),
        ]
    )
    with (folder / "quality.csv").open(newline="") as file:
        return list(csv.DictReader(file))
