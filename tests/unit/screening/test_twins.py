"""Twins, not duplicates: what counts as the same question against a test, and what does not inside training."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
from screening_made import ASPIRIN, CASE, OPTIONS, PARALLEL, STATINS, item

from posologie.records.items import items_to_table, text_hash
from posologie.screening import across, shingles
from posologie.screening.across import cross_lingual_matches
from posologie.screening.population import Population

CASES = Path(os.environ.get("POSOLOGIE_CASES", Path(__file__).parents[4] / "shared" / "cases")) / "screening"

DIFFERENT = [
    ("sign", "Quel T-score définit l'ostéoporose ?", ("À −2,5 DS", "À −1 DS", "À −3 DS"), 0,
     "Quel T-score définit l'ostéoporose ?", ("À 2,5 DS", "À 1 DS", "À 3 DS"), 0),
    ("hyphen as sign", "Quel T-score définit l'ostéoporose ?", ("-2,5 DS", "-1 DS"), 0,
     "Quel T-score définit l'ostéoporose ?", ("2,5 DS", "1 DS"), 0),
    ("negation", "Which of these drugs inhibits the proton pump of parietal cells?", ("Omeprazole", "Ranitidine"), 0,
     "Which of these drugs does not inhibit the proton pump of parietal cells?", ("Omeprazole", "Ranitidine"), 1),
    ("exception", "Todas las siguientes son causas de hipopotasemia, excepto:", ("Vómitos", "Furosemida"), 0,
     "Todas las siguientes son causas de hipopotasemia, como:", ("Vómitos", "Furosemida"), 0),
    ("measure", "Comment calcule-t-on la sensibilité d'un test à partir d'un tableau de contingence ?", ("A", "B"), 0,
     "Comment calcule-t-on la spécificité d'un test à partir d'un tableau de contingence ?", ("A", "B"), 0),
    ("code", "Quelle apolipoprotéine est portée par les VLDL du plasma ?", ("A1", "B100"), 0,
     "Quelle apolipoprotéine est portée par les HDL du plasma ?", ("A1", "B100"), 0),
    ("number", "Un test positif dans un pays de 10 millions d'habitants : combien de malades ?", ("Dix", "Cent"), 0,
     "Un test positif dans un pays de 40 millions d'habitants : combien de malades ?", ("Dix", "Cent"), 0),
    ("answer", ASPIRIN, OPTIONS, 0, ASPIRIN.replace("faible", "petite"), OPTIONS, 2),
]  # fmt: skip


def rows_of(name):
    path = CASES / name
    if not path.is_file():
        pytest.skip(f"{path}: the shared cases are not here")
    return [json.loads(line) for line in path.read_text().splitlines()]


def made(key, side, **facts):
    return item(key, side["question"], context=side["context"], options=side["options"], gold=(side["gold"],), **facts)


@pytest.mark.parametrize("different", DIFFERENT, ids=[case[0] for case in DIFFERENT])
def test_different_questions_both_stay_in_a_source_however_alike(screen, different):
    _, question, options, gold, other, other_options, other_gold = different
    pair = [
        item("a", question, options=options, gold=(gold,)),
        item("b", other, options=other_options, gold=(other_gold,)),
    ]
    result = screen(pair)
    assert result.items == pair
    assert not any(row["removed"] for row in result.matches)


def test_the_different_questions_of_the_shared_cases_both_stay(screen):
    for number, row in enumerate(rows_of("different_questions.jsonl")):
        pair = [made("a", row["first"]), made("b", row["second"])]
        assert screen(pair, folder=str(number)).items == pair, row["why"]


@pytest.mark.parametrize(("rule", "kept"), [({}, 2), ({"same_answer": False}, 1)])
def test_each_rule_is_a_setting(screen, rule, kept):
    pair = [
        item("a", ASPIRIN, options=OPTIONS),
        item("b", ASPIRIN.replace("faible", "petite"), options=OPTIONS, gold=(2,)),
    ]
    result = screen(pair, **rule)
    assert len(result.items) == kept
    numbers = [item("a", ASPIRIN + " 10 mg", options=OPTIONS), item("b", ASPIRIN + " 40 mg", options=OPTIONS)]
    assert len(screen(numbers, folder="b").items) == 2
    assert len(screen(numbers, folder="c", same_facts=False).items) == 1


def test_what_is_alike_but_different_is_counted(screen):
    pair = [item("a", ASPIRIN, options=OPTIONS), item("b", ASPIRIN, options=OPTIONS, gold=(2,))]
    report = screen(pair).report
    assert report["alike_but_different"] == {"items": 1, "other_answer": 1, "other_facts": 0}
    assert report["same_text_other_answer"] == 1


def test_of_copies_with_two_answers_one_of_each_stays(screen):
    copies = [item(str(number), ASPIRIN, options=OPTIONS, gold=(number % 2,)) for number in range(6)]
    kept = screen(copies).items
    assert sorted(item.gold for item in kept) == [(0,), (1,)]


def test_a_training_item_goes_that_differs_from_a_tested_one_only_in_a_fact(screen):
    tested = item("t", ASPIRIN, options=OPTIONS, source="test-source", split="test")
    result = screen([item("a", ASPIRIN.replace("faible", "petite") + " 10 mg", options=OPTIONS)], tests=[tested])
    assert result.items == []
    assert result.pairs("kind", "same_facts") == [("near", False)]


REWORDED = (
    "Hémoptysies depuis 21 jours chez un tabagique de soixante ans : quelle imagerie de première intention ?",
    "Un homme de 60 ans fumeur tousse du sang depuis trois semaines. Quel examen demander d'abord ?",
)
EXAMS = ("Radiographie du thorax", "Échographie", "Fibroscopie gastrique", "Aucun")


def test_a_reworded_question_with_the_same_options_is_found_against_a_test(screen):
    tested = item("t", REWORDED[0], options=EXAMS, source="test-source", split="test")
    result = screen([item("a", REWORDED[1], options=EXAMS[::-1], gold=(3,))], tests=[tested])
    assert result.pairs("kind", "same_answer") == [("options", True)]
    assert result.items == []
    other_key = item("b", REWORDED[1], options=EXAMS, gold=(1,))
    assert screen([other_key], tests=[tested], folder="b").matches == []
    assert screen([item("a", REWORDED[1], options=EXAMS)], tests=[tested], folder="c", same_options=False).matches == []


def test_options_that_different_questions_share_tell_no_question(screen):
    bacteria = ("Staphylocoque doré", "Streptocoque A", "Colibacille", "Listeria")
    stems = (
        "Quel germe est le plus souvent en cause dans un impétigo de l'enfant d'âge préscolaire en été ?",
        "Une angine érythémateuse avec une éruption scarlatiniforme fait évoquer quelle bactérie en premier lieu ?",
        "Devant une pyélonéphrite aiguë simple chez une femme jeune, quelle bactérie est habituelle ?",
        "Quelle bactérie redouter dans la méningite d'un sujet âgé qui consomme du fromage au lait cru ?",
    )
    tested = [
        item(str(number), stem, options=bacteria, gold=(number,), source="test-source", split="test")
        for number, stem in enumerate(stems)
    ]
    stranger = item("a", "Agent habituel d'un panaris de la main chez un maraîcher qui se blesse ?", options=bacteria)
    assert screen([stranger], tests=tested).matches == []
    yes_no = item("t", "La Terre tourne-t-elle ?", options=("Oui", "Non"), source="test-source", split="test")
    assert screen([item("a", "Faut-il opérer ?", options=("Oui", "Non"))], tests=[yes_no], folder="b").matches == []


QUOTED = "Quel est le traitement de première intention de la polyarthrite rhumatoïde débutante ?"
DRUGS = ("Méthotrexate", "Colchicine", "Allopurinol")


def test_a_question_inside_a_longer_text_is_found_against_a_test(screen):
    tested = item("t", QUOTED, options=DRUGS, source="test-source", split="test")
    lesson = (
        f"Cours de rhumatologie. La goutte se traite par la colchicine. {QUOTED} Il faut penser à la contraception."
    )
    result = screen([item("a", lesson * 2, answer="Le méthotrexate.")], tests=[tested])
    assert result.pairs("kind", "similarity") == [("containment", 1.0)]
    assert screen([item("b", lesson, answer="Rien.")], tests=[tested], folder="b").matches == []
    assert (
        screen([item("a", lesson * 2, answer="Le méthotrexate.")], tests=[tested], folder="c", containment=None).matches
        == []
    )


@pytest.mark.parametrize(
    ("question", "options", "answer"),
    [
        ("初发类风湿关节炎的首选治疗药物是哪一种？", ("甲氨蝶呤", "秋水仙碱"), "首选甲氨蝶呤。"),
        ("ยาใดเป็นตัวเลือกแรกในการรักษา", ("เมโธเทรกเซท", "โคลชิซีน"), "ใช้เมโธเทรกเซท"),
    ],
)
def test_a_question_inside_a_text_without_spaces_is_found(screen, question, options, answer):
    tested = item("t", question, options=options, source="test-source", split="test")
    lesson = f"痛风用别的药治疗{question}应注意避孕" * 6
    result = screen([item("a", lesson, answer=answer)], tests=[tested])
    assert result.pairs("kind", "similarity") == [("containment", 1.0)]
    assert screen([item("b", lesson, answer="。")], tests=[tested], folder="b").matches == []


def test_a_long_question_is_quoted_by_its_n_grams_without_its_answer(screen):
    tested = item("t", f"{CASE} Quel examen demandez-vous ?", options=OPTIONS, source="test-source", split="test")
    words = tested.question.split()
    quoting = item(
        "a", "Voici une observation. " + " ".join(words[5:60]) + " Commentez " + "ce qui suit " * 40, answer="x"
    )
    short = item(
        "b", "Voici une observation. " + " ".join(words[:14]) + " Commentez " + "ce qui suit " * 40, answer="x"
    )
    result = screen([quoting, short], tests=[tested])
    [(name, kind, similarity)] = result.pairs("item", "kind", "similarity")
    assert (name, kind) == (quoting.id, "containment")
    assert 0.5 <= similarity < 1


def test_an_instruction_that_many_tested_questions_share_is_no_quotation(screen):
    stem = (
        "Parmi les propositions suivantes concernant la prise en charge en ville, laquelle ou lesquelles est ou sont "
        "exactes à propos de"
    )
    tested = [
        item(str(number), f"{stem} {word} ?", options=("Oui", "Non", word), source="test-source", split="test")
        for number, word in enumerate(("asthme", "diabète", "goutte", "migraine", "eczéma", "anémie", "otite"))
    ]
    assert screen([item("a", f"{stem} zona ?", answer="Oui " * 60)], tests=tested, similarity=None).matches == []


def test_look_alike_letters_hide_no_copy(screen):
    tested = item("t", ASPIRIN, options=OPTIONS, source="test-source", split="test")
    hidden = ASPIRIN.replace("a", "\u0430").replace("e", "\u0435").replace("o", "\u043e")
    assert screen([item("a", hidden, options=OPTIONS)], tests=[tested]).pairs("kind") == [("exact",)]


def test_nothing_is_cut_where_a_test_is_concerned(screen):
    tested = item("t", ASPIRIN, options=OPTIONS, source="test-source", split="test")
    variants = [item(str(n), ASPIRIN.replace("faible dose", f"dose {n}"), options=OPTIONS) for n in range(200)]
    result = screen(variants, tests=[tested])
    assert {row["item"] for row in result.matches if row["place"] == "test"} == {variant.id for variant in variants}


def test_items_made_from_a_tested_item_are_its_twins(screen):
    tested = item("t", ASPIRIN, options=OPTIONS, source="test-source", split="test")
    translated = item("a", "Una pregunta traducida", options=("Sí", "No"), meta={"translated_from": tested.id})
    by_hash = item(
        "b", "Noch eine Frage", options=("Ja", "Nein"),
        meta={"lineage": [{"text_hash": text_hash(tested.question, tested.context, tested.options)}]},
    )  # fmt: skip
    stranger = item("c", STATINS, options=("Crampes", "Toux"), meta={"translated_from": "elsewhere"})
    result = screen([translated, by_hash, stranger], tests=[tested])
    assert sorted(result.pairs("item", "kind")) == sorted([(translated.id, "lineage"), (by_hash.id, "lineage")])
    assert result.items == [stranger]
    assert screen([translated], tests=[tested], folder="b", lineage=False).matches == []


def test_two_translations_of_one_original_are_twins(screen):
    tested = item("t", ASPIRIN, options=OPTIONS, source="test-source", split="test", meta={"translated_from": "o-1"})
    sibling = item("a", "Una pregunta traducida", options=("Sí", "No"), meta={"lineage": ["o-1"]})
    assert screen([sibling], tests=[tested]).pairs("kind", "suite") == [("lineage", "suite")]


def test_a_copy_of_an_original_that_is_only_compared_leads_to_its_test(screen):
    english = ("Which drug irreversibly inhibits platelet cyclo-oxygenase at a low dose?", ("Aspirin", "Heparin"))
    original = item("o", english[0], options=english[1], source="original", split="test")
    tested = item(
        "t", ASPIRIN, options=OPTIONS, source="test-source", split="test", meta={"translated_from": original.id}
    )
    copy = item("a", english[0].replace("irreversibly ", ""), options=english[1])
    lonely = item("o2", STATINS, options=("Crampes", "Toux"), source="original", split="test")
    stray = item("b", STATINS, options=("Crampes", "Toux"))
    result = screen([copy, stray], tests=[tested], compared=[original, lonely])
    assert sorted(result.pairs("item", "place", "kind", "suite")) == sorted(
        [
            (copy.id, "compared", "near", None),
            (copy.id, "test", "lineage", "suite"),
            (stray.id, "compared", "exact", None),
        ],
        key=lambda row: (row[0], row[1]),
    )
    assert result.items == []
    assert result.report["compared"] == {"original": {"items": 2, "near": 1, "exact": 1}}


def test_a_translation_of_a_tested_question_is_found_without_a_model(screen):
    tested = [
        item(f"t{number}", question, options=options, gold=(gold,), source="test-source", split="test")
        for number, (question, options, gold, *_) in enumerate(PARALLEL)
    ]
    french = [
        item(str(n), question, options=options, gold=(gold,))
        for n, (*_, question, options, gold) in enumerate(PARALLEL)
    ]
    other = item(
        "x", "Quel antibiotique donne une coloration orangée des larmes et des urines pendant le traitement ?",
        options=("Rifampicine", "Linézolide", "Doxycycline", "Ciprofloxacine"),
    )  # fmt: skip
    result = screen([*french, other], tests=tested)
    assert sorted(result.pairs("item", "matched", "kind", "same_answer")) == sorted(
        (item.id, other.id, "cross_lingual", True) for item, other in zip(french, tested, strict=True)
    )
    assert result.items == [other]
    assert result.report["languages"] == {"items": {"fr": 4}, "targets": {"en": 3}}
    assert result.report["language_guessed"] == ["test-source", "train-source"]
    assert screen(french, tests=tested, folder="b", across_languages="off").matches == []


def test_the_declared_language_of_a_source_counts_and_not_the_one_it_looks_like(screen, caplog):
    english, options, gold, *_ = PARALLEL[2]
    tested = item("t", english, options=options, gold=(gold,), source="test-source", split="test")
    latin = item("a", "Érythromycine 50S ?", options=PARALLEL[2][4], gold=(0,))  # letters too few to tell
    declared = {"train-source": "pt-BR", "test-source": "en"}
    result = screen([latin], tests=[tested], languages=declared)
    assert result.report["languages"] == {"items": {"pt": 1}, "targets": {"en": 1}}
    assert result.report["language_guessed"] == []
    assert "guessed" not in caplog.text
    (*_, question, names, _) = PARALLEL[2]
    french = item("b", question, options=names)
    assert screen([french], tests=[tested], folder="b").pairs("kind") == [("cross_lingual",)]
    assert "no language is declared for test-source, train-source" in caplog.text
    same = screen([french], tests=[tested], folder="c", languages={**declared, "train-source": "en"})
    assert same.matches == []


def test_the_number_of_processes_changes_no_match_across_languages(monkeypatch):
    sides = [
        item(f"t{number}", question, options=options, gold=(gold,), source="test-source", split="test")
        for number, (question, options, gold, *_) in enumerate(PARALLEL)
    ]
    sides += [
        item(str(number), question, options=options, gold=(gold,))
        for number, (*_, question, options, gold) in enumerate(PARALLEL)
    ]
    whole = Population(items_to_table(sides), 3, 0, 0, np.arange(6), [("suite",)] * 3)
    spoken = ["en"] * 3 + ["fr"] * 3
    alone = cross_lingual_matches(whole, spoken)
    monkeypatch.setattr(shingles, "_WORTH_PROCESSES", 1)
    monkeypatch.setattr(across, "_ITEMS_AT_ONCE", 2)
    assert cross_lingual_matches(whole, spoken, processes=2) == alone
    assert [(match.item, match.other) for match in alone] == [(3, 0), (4, 1), (5, 2)]


def test_all_same_questions_of_the_shared_cases_are_found_against_a_test(screen):
    missed = []
    for number, row in enumerate(rows_of("same_questions.jsonl")):
        tested = made("t", row["first"], source="test-source", split="test")
        if not screen([made("a", row["second"])], tests=[tested], folder=str(number)).matches:
            missed.append(row["why"])
    assert missed == []
