"""Whole answers of models in ten languages (`answers.yaml`), with the reading that a careful person gives them."""

import json
from pathlib import Path

import pytest
import yaml
from readings import AMBIGUOUS, NONE, shown

from posologie.language.answer_words import KEYS, answer_words_digest
from posologie.language.languages import described_languages, language_data
from posologie.prediction.parsing import read

REALISTIC = yaml.safe_load(Path(__file__).with_name("answers.yaml").read_text(encoding="utf-8"))


MISREAD = {
    "Las opciones B y D son posibles.",
    "Ich würde A wählen.",
    "４番目の選択肢が正しい。",
    "D et E sont des os du membre inférieur ; ce sont donc les bonnes réponses.",
}


WORDED = {code for code in described_languages() if language_data(code).get("answers")}


READINGS = Path(__file__).parents[4] / "shared" / "cases" / "answers" / "readings.jsonl"


def test_what_models_write_is_read_as_a_careful_person_reads_it():
    misread = {}
    for key, entry in REALISTIC.items():
        for family, right, text in entry["answers"]:
            reading = read(text, entry["options"])
            if shown(reading) != right and not (right == NONE and reading.outcome == AMBIGUOUS):
                misread[text] = (key, family, right, shown(reading))
    assert misread.keys() == MISREAD


def test_realistic_answers_are_many_and_of_every_language_that_ships():
    texts = [text for entry in REALISTIC.values() for _, _, text in entry["answers"]]
    assert len(texts) >= 550
    assert {key.split()[0] for key in REALISTIC} == WORDED


@pytest.mark.skipif(not READINGS.is_file(), reason="no ../shared/cases beside the project")
def test_the_shared_cases_are_read_right():
    for row in map(json.loads, READINGS.read_text(encoding="utf-8").splitlines()):
        reading = read(row["text"], row["options"])
        assert [shown(reading)] == row["right"] or (not row["right"] and not reading.labels), row["text"]


def test_ten_languages_say_how_answers_are_worded():
    needed = {"nouns", "copulas", "right", "and", "or", "negation"}
    assert len(WORDED) >= 10
    assert all(needed <= set(language_data(code)["answers"]) <= set(KEYS) for code in WORDED)
    assert len(answer_words_digest()) == 16
