"""What the program knows of languages: options that depend on their place, and which language a text is in."""

import pytest

from posologie.language.languages import (
    check_unedited,
    described_languages,
    language_data,
    language_digest,
    language_of,
    language_problem,
    macrolanguage,
    position_dependent,
)
from posologie.running.errors import InputError

TEN = {"ar", "de", "en", "es", "fr", "hi", "it", "ja", "pt", "zh"}
DEPENDENT = [
    "Toutes les réponses ci-dessus",
    "A et B",
    "All of the above",
    "None of the above.",
    "Both A and B",
    "A, B et C",
    "Toutes les propositions sont exactes",
    "Aucune de ces propositions",
    "Aucune des réponses précédentes",
    "Todas las anteriores",
    "Todas son correctas",
    "Ninguna de las anteriores",
    "Ninguna es correcta",
    "1 y 3 son correctas",
    "Alle genannten",
    "Keine der genannten Antworten",
    "Keine Antwort ist richtig",
    "Antwort A und C sind richtig",
    "Tutte le precedenti",
    "Nessuna delle precedenti",
    "Todas as anteriores",
    "Nenhuma das alternativas",
    "以上都是",
    "以上均不正确",
    "A和B",
    "上記のすべて",
    "いずれも正しい",
    "جميع ما سبق",
    "لا شيء مما سبق",
    "أ و ب",
    "उपरोक्त सभी",
    "इनमें से कोई नहीं",
    "All of these",
    "Neither A nor B",
    "A or B",
    "Options A and C only",
    "Sowohl A als auch B",
    "Ni A ni B",
    "Tous les choix",
]
INDEPENDENT = [
    "Le foie",
    "Vitamine A et D",
    "A",
    "AB",
    "Hépatite A et B",
    "Aucune douleur",
    "Tout le rein",
    "all patients with fever",
    "None",
    "Both kidneys",
    "Alle 6 Stunden",
    "Alle",
    "Nessuna alterazione",
    "Todos los días",
    "Ninguna medida",
    "Sodium et potassium",
    "以上",
    "A and P",
    "1 et 3",
    "Keine",
    "Aucun traitement",
    "Deux comprimés",
    "Toutes les heures",
    "Beide Nieren",
    "Alle drei Monate",
    "所有",
    "Toutes les 8 heures",
    "two options remain in the clinic",
    "Ningún tratamiento",
    "None of the heart valves",
    "Aucun",
]


def test_ten_languages_say_which_options_depend_on_their_place():
    assert set(described_languages()) >= TEN
    assert all(language_data(code)["position_dependent"] and language_digest(code) for code in TEN)
    assert language_digest("tlh") is None
    assert "position_dependent" not in language_data("tlh")


@pytest.mark.parametrize("option", DEPENDENT)
def test_an_option_that_speaks_of_the_others_depends_on_its_place(option):
    pattern = position_dependent(described_languages())
    assert pattern.search(f"Le foie\n{option}\nLa rate")


def test_an_option_that_only_begins_so_does_not():
    pattern = position_dependent(described_languages())
    assert [option for option in INDEPENDENT if pattern.search(option)] == []


def test_only_the_phrases_of_the_languages_named_count():
    assert position_dependent(["fr"]).search("Toutes les réponses ci-dessus")
    assert not position_dependent(["en"]).search("Toutes les réponses ci-dessus")
    assert position_dependent([]) is None
    assert position_dependent(["tlh"]) is None


def test_a_phrase_that_is_no_regular_expression_is_named(tmp_path, monkeypatch):
    (tmp_path / "resources/languages").mkdir(parents=True)
    (tmp_path / "resources/languages/xx.yaml").write_text("position_dependent: ['(']")
    (tmp_path / "resources/languages/yy.yaml").write_text("position_dependent: [")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"xx\.yaml, position_dependent: '\('"):
        position_dependent(["xx"])
    with pytest.raises(InputError, match=r"yy\.yaml: not YAML"):
        position_dependent(["yy"])


def test_a_file_that_was_edited_after_the_plan_stops_the_job(tmp_path, monkeypatch):
    (tmp_path / "resources/languages").mkdir(parents=True)
    file = tmp_path / "resources/languages/xx.yaml"
    file.write_text("position_dependent: [x]")
    monkeypatch.chdir(tmp_path)
    planned = {"xx": language_digest("xx")}
    check_unedited(planned)
    file.write_text("position_dependent: [y]")
    with pytest.raises(InputError, match=r"xx\.yaml: edited since the run was planned"):
        check_unedited(planned)


def test_a_text_that_is_too_short_has_no_language():
    assert language_of("Le foie") is None
    assert language_of("Quel organe produit la bile chez un patient adulte en bonne santé ?") == "fr"


def test_what_looks_like_a_member_of_a_macrolanguage_counts_as_that():
    text = "男，2岁。反复咳嗽2个月。胸片：右肺门阴影。PPD（+）"  # which the identifier takes for Wu Chinese
    assert language_of(text, letters=10) == "zh"
    assert language_problem((text * 3,), "zh") is None
    assert language_problem((text * 3,), "yue") is None
    assert language_problem((text * 3,), "ja") is not None
    assert [macrolanguage(code) for code in ("wuu", "arz", "nn", "fr")] == ["zh", "ar", "no", "fr"]
