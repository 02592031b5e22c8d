"""Facts of a question: what one sign or word reverses."""

from decimal import Decimal

import pytest

from posologie.language.facts import facts, facts_differ, facts_differ_across
from posologie.language.languages import described_languages, language_data
from posologie.language.numbers import numbers, spelled, values_in_words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("À −2,5 DS", [("-2.5", "")]),
        ("À 2,5 DS", [("2.5", "")]),
        ("-5 mg", [("-5", "mg")]),
        ("T-score < -2.5", [("-2.5", "")]),
        ("de 5-10 ans", [("5", ""), ("10", "y")]),
        ("5 – 10 %", [("5", ""), ("10", "%")]),
        ("vitamine B12 et IL-6", []),
        ("1,4,5-triphosphate", [("1", ""), ("4", ""), ("5", "")]),
        ("1.234,5 g", [("1234.5", "g")]),
        ("12 000 UI", [("12000", "iu")]),
        ("10⁵ par ml", [("10", ""), ("5", "")]),
        ("38,5°C", [("38.5", "°c")]),
        ("65s", [("65", "s")]),
        ("٢٫٥", [("2.5", "")]),
    ],
)
def test_numbers_have_their_sign_and_unit(text, expected):
    assert [(str(number.value), number.unit) for number in numbers(text)] == expected


def test_a_mark_before_three_digits_has_two_readings():
    (number,) = numbers("1,500")
    assert {number.value, number.thousands} == {Decimal("1.500"), Decimal(1500)}


@pytest.mark.parametrize(
    ("first", "other", "kinds"),
    [
        ("À −2,5 DS", "À 2,5 DS", ("numbers",)),
        ("10 mg", "10 g", ("numbers",)),
        ("10 jours", "10 semaines", ("numbers",)),
        ("Quel médicament inhibe la pompe ?", "Quel médicament n'inhibe pas la pompe ?", ("negation",)),
        ("laquelle est exacte ?", "laquelle est fausse ?", ("polarity",)),
        ("Le syndrome comporte :", "Indiquez les propositions exactes : le syndrome comporte", ()),
        ("Tous, SAUF un", "Tous, dont un", ("exception",)),
        ("les VLDL", "les HDL", ("codes",)),
        ("Quelle est la sensibilité ?", "Quelle est la spécificité ?", ("polarity",)),
        ("Quel organe sécrète la bile ?", "QUEL ORGANE SECRETE LA BILE", ()),
        ("Which drug does not act?", "Which drug acts?", ("negation",)),
        ("1 500 mg", "1500 mg", ()),
        ("2.5 mg", "2,5 mg", ()),
    ],
)
def test_texts_differ_in_the_facts_that_one_word_reverses(first, other, kinds):
    assert facts_differ(first, other) == kinds
    assert facts_differ(other, first) == kinds


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("fr", "Ce signe n'est pas un critère"),
        ("en", "This sign isn't a criterion"),
        ("es", "Este signo no es ningún criterio"),
        ("de", "Dieses Zeichen ist kein Kriterium"),
        ("it", "Questo segno non è un criterio"),
        ("pt", "Este sinal não é um critério"),
        ("zh", "这不是标准"),
        ("ar", "هذه العلامة ليست معيارا"),
    ],
)
def test_each_language_knows_one_negation_as_one(language, text):
    assert facts(text, language).negations == 1


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("fr", "Tous sont vrais, sauf :"),
        ("en", "All are true, EXCEPT:"),
        ("es", "Todas son ciertas, excepto:"),
        ("de", "Alle treffen zu, außer:"),
        ("it", "Tutti sono veri, tranne:"),
        ("pt", "Todas são verdadeiras, exceto:"),
        ("zh", "除下列哪项外"),
        ("ar", "كل ما يلي صحيح ما عدا"),
    ],
)
def test_each_language_knows_an_exception(language, text):
    assert facts(text, language).exception


@pytest.mark.parametrize(
    ("first", "language", "other", "other_language", "kinds"),
    [
        ("Which drug does not act?", "en", "Quel médicament n'agit pas ?", "fr", ()),
        ("Which drug does not act?", "en", "Quel médicament agit ?", "fr", ("negation",)),
        ("All EXCEPT", "en", "Toutes sauf", "fr", ()),
        ("All EXCEPT", "en", "Toutes dont", "fr", ("exception",)),
        ("a dose of 1,500 mg", "en", "una dosis de 1.500 mg", "es", ()),
        ("after two hours and 2.5 mg", "en", "après 2 heures et 2,5 mg", "fr", ()),
        ("2.5 mg", "en", "25 mg", "fr", ("numbers",)),
        ("Which is false?", "en", "Laquelle est exacte ?", "fr", ("polarity",)),
        ("Which is not so?", "en", "Tlamalli 3", "nah", ("numbers",)),
    ],
)
def test_facts_are_compared_across_languages(first, language, other, other_language, kinds):
    assert facts_differ_across(first, language, other, other_language) == kinds


@pytest.mark.parametrize("language", ["ar", "de", "en", "es", "fr", "hi", "it", "ja", "pt", "zh"])
def test_every_number_up_to_a_hundred_is_read_in_the_words_of_ten_languages(language):
    for number in range(101):
        words = spelled(number, language)
        assert words, number
        assert all(number in values_in_words(word, language) for word in words), number
    assert values_in_words("7 + 8", language) == frozenset()


@pytest.mark.parametrize(
    ("text", "language", "values"),
    [
        ("twenty-one or thirty women", "en", {21, 30}),
        ("seventy, not seven", "en", {70, 7}),
        ("under", "en", set()),
        ("vingt-et-un ou quatre-vingts", "fr", {21, 80}),
        ("veinte y nueve", "es", {20, 9}),
        ("dreimal, dreizehn", "de", {3, 13}),
        ("ventitré", "it", {23}),
        ("患者三十二人，其中两名", "zh", {32, 2}),
        ("第一", "zh", {1}),
        ("三百", "zh", set()),
        ("والثلاثة عشر", "ar", {13}),
        ("दोनों और तीस", "hi", {2, 30}),
        ("दोष", "hi", set()),
    ],
)
def test_a_number_word_is_read_as_long_as_it_goes(text, language, values):
    assert values_in_words(text, language) == values


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("给予阿司匹林5毫克，每8小时一次", [("5", "mg"), ("8", "h")]),
        ("体温38.5℃、第3天、IL-6", [("38.5", ""), ("3", "d")]),
        ("５ｍｇを3日間", [("5", "mg"), ("3", "d")]),
        ("٥ ملغ لمدة ٣ أيام", [("5", "mg"), ("3", "d")]),
        ("5 मिलीग्राम 2 दिन", [("5", "mg"), ("2", "d")]),
    ],
)
def test_units_are_read_in_every_script(text, expected):
    assert [(str(number.value), number.unit) for number in numbers(text)] == expected


def test_language_data_of_an_unknown_language_are_empty():
    assert language_data("tlh").get("negation", []) == []
    assert language_data("../fr") == {}


def test_a_region_reads_the_file_of_its_language():
    assert language_data("pt-BR") == language_data("pt")


def test_the_languages_of_the_issue_have_data():
    assert {"ar", "de", "en", "es", "fr", "it", "pt", "zh"} <= set(described_languages())
