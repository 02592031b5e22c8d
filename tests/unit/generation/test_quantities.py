from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from posologie.generation.quantities import problems, quantities

KEPT = [
    ("Give 2.5 mg/kg per day.", "Donnez 2,5 mg/kg par jour."),
    ("1,000 mL of saline", "1 000 mL de sérum salé"),
    ("1,000 mL of saline", "1000 mL de sérum salé"),
    ("12,500 patients", "12.500 patients"),
    ("p = .005 and 0.05", "p = 0,005 et 0,05"),
    ("two tablets for 3 days", "2 comprimés pendant trois jours"),
    ("type 2 diabetes, grade 4", "diabète de type II, grade IV"),
    ("twice daily", "2 fois par jour"),
    ("the 1st and the 22nd week", "la 1re et la 22e semaine"),
    ("5 or 10 mg", "5 mg ou 10 mg"),
    ("between 5 mg and 10 mg", "entre 5 et 10 mg"),
    ("500 mcg, 20 IU", "500 µg, 20 UI"),
    ("5 cc of 37 °C water", "5 mL d'eau à 37 °C"),
    ("120/80 mm Hg", "120/80 mmHg"),
    ("10⁹/L and 10^9/L", "10^9/L et 10⁹/L"),
    ("a fall of (-12.5 to -3)", "une baisse (−12,5 à −3)"),
    ("over the past 50 years", "au cours des 50 dernières années"),
    ("vitamin B12, CD4, IL-6", "vitamine B12, CD4, IL-6"),
    ("39 065 persons", "39 065 personnes"),
    ("99 percent", "99 %"),
    ("Hb 8.5 g/dl in a 30-year-old woman", "Hb 8,5 g/dL chez une femme de 30 ans"),
    ("vaccination of the over-65s", "vaccination des plus de 65 ans"),
    ("inositol 1,4,5-trisphosphate", "1,4,5-trisphosphate d'inositol"),
    ("1,25-dihydroxycholecalciferol", "1,25-dihydroxycholécalciférol"),
    ("a temperature of 38 °C (100.4 °F)", "une température de 38 °C"),
    ("weighs 70 kg (154 lb)", "pèse 70 kg"),
    ("brought in at 7 pm", "amené à 19 heures"),
    ("CD4 lymphocytes 550 cells", "lymphocytes CD4 550 cellules"),
    ("the C282Y mutation", "la mutation C282Y"),
    ("SatO2 95% on room air", "SatO2 95 % à l'air ambiant"),
    ("20 mg daily", "20 mg/jour"),
    ("a count of 10,000 cells", "un compte de 10,000 cellules"),
    ("-2.5 SD", "−2,5 DS"),
]

SPANISH = [
    ("between 15 and 20 mmol/l", "entre 15 y 20 mmol/l"),
    ("1 mg/kg/day", "1 mg/kg/día"),
    ("100 mg per day", "100 mg al día"),
    ("20 mg/day", "20 mg diarios"),
    ("a 1-year-old boy", "un niño de un año"),
    ("at 3 weeks, 3 times", "3 veces, a las 3 semanas"),
    ("150/80 mm Hg", "150/80 mm de Hg"),
]

LANGUAGES = {
    "de": [
        ("two tablets for 3 days", "2 Tabletten für drei Tage"),
        ("21 patients, twice daily", "einundzwanzig Patienten, zweimal täglich"),
        ("5 micrograms per kg", "5 Mikrogramm pro kg"),
        ("a 7-year-old girl with one kidney", "ein siebenjähriges Mädchen mit einer Niere"),
        ("100 units", "100 Einheiten"),
    ],
    "it": [
        ("two tablets for 3 days", "2 compresse per tre giorni"),
        ("20 mg daily", "20 mg/die"),
        ("5 micrograms", "5 microgrammi"),
        ("for 12 months", "per dodici mesi"),
        ("90 percent of 21 women", "il 90 per cento di ventuno donne"),
    ],
    "pt": [
        ("two tablets for 3 days", "duas pastilhas por 3 dias"),
        ("100 mg per day", "100 mg ao dia"),
        ("16 weeks", "dezesseis semanas"),
        ("5 micrograms", "5 microgramas"),
        ("a 1-year-old girl", "uma menina de um ano"),
    ],
    "zh": [
        ("Give 5 mg of aspirin for 3 days", "给予阿司匹林5毫克，共三天"),
        ("2.5 mg/kg twice daily", "每公斤2.5毫克，每天两次"),
        ("a 65-year-old man", "男性，65岁"),
        ("21 patients", "二十一名患者"),
        ("120/80 mmHg, 37 °C", "120/80毫米汞柱，37摄氏度"),
        ("5 mg every 8 hours", "５ｍｇ，每8小时一次"),
    ],
    "ja": [
        ("5 mg for 3 days", "5mgを3日間"),
        ("a 65-year-old man", "65歳の男性"),
        ("two tumours in the last three months", "この3か月で2つの腫瘍"),
        ("10 ml twice daily", "１０ミリリットルを1日二回"),
        ("21 patients", "二十一人の患者"),
    ],
    "ar": [
        ("2.5 mg for 3 days", "٢٫٥ ملغ لمدة ٣ أيام"),
        ("two tablets for 3 days", "قرصين لمدة ثلاثة أيام"),
        ("5 mg per kg", "5 ملغ لكل كغ"),
        ("20 mg daily", "20 ملغ يوميا"),
        ("a 45-year-old man with 3 stones", "رجل عمره خمسة وأربعون عامًا لديه ثلاث حصوات"),
    ],
    "hi": [
        ("5 mg for 2 days", "5 मि.ग्रा. दो दिन तक"),
        ("a 45-year-old man", "पैंतालीस वर्षीय पुरुष"),
        ("5 mg per kg", "5 मिलीग्राम प्रति किलोग्राम"),
        ("twice daily for 3 weeks", "प्रतिदिन २ बार तीन सप्ताह तक"),
        ("28 tablets", "अट्ठाईस गोलियाँ"),
    ],
}
"""English texts and faithful translations, by language."""

UNFAITHFUL = [
    ("de", "7 days", "siebzig Tage", "7 days is missing"),
    ("de", "5 mg", "5 Mikrogramm", "is now µg"),
    ("it", "3 days", "3 settimane", "is now wk"),
    ("pt", "20 mg", "20 microgramas", "is now µg"),
    ("es", "0 cases of 3", "ningún caso de 3", "0 is missing"),
    ("zh", "5 mg", "5微克", "is now µg"),
    ("zh", "3 days", "3周", "is now wk"),
    ("zh", "12 patients", "三十二名患者", "12 is missing"),
    ("zh", "2 patients", "十二名患者", "2 is missing"),
    ("ja", "3 days", "3週間", "is now wk"),
    ("ja", "5 mg", "50mg", "5 mg is missing"),
    ("ar", "3 days", "ثلاثون يوما", "3 days is missing"),
    ("ar", "5 mg", "5 غرام", "is now g"),
    ("hi", "2 days", "तीन दिन", "2 days is missing"),
    ("hi", "3 days", "3 सप्ताह", "is now wk"),
]

CHANGED = [
    ("Give 2.5 mg/kg.", "Donnez 25 mg/kg.", "2.5 mg/kg is missing"),
    ("Give 2.5 mg.", "Donnez 2,5 g.", "unit of 2.5 mg is now g"),
    ("Give 500 mg.", "Donnez 500.", "unit of 500 mg is now missing"),
    ("0.5 mg", "0,5 µg", "is now µg"),
    ("after 3 days", "après 3 semaines", "is now wk"),
    ("1,000 mL", "1,000 mL", "1,000 mL is missing"),
    ("A dose of 5 mg", "Une dose", "5 mg is missing"),
    ("A dose", "Une dose de 5 mg", "5 mg was added"),
    ("10 mg then 10 mg", "10 mg", "10 mg is missing"),
    ("a change of (-5 to 5)", "une variation (5 à 5)", "-5 is missing"),
    ("2 mg/kg/day", "2 mg/kg", "is now mg/kg"),
    ("98.6 °F", "98,6 °C", "is now °c"),
    ("-2.5 SD", "2,5 DS", "-2.5 SD is missing"),
    ("temperature of 38 °C (100.4 °F)", "température de 39 °C", "38 °C is missing"),
]


@pytest.mark.parametrize(("source", "translation"), KEPT)
def test_what_a_faithful_translation_keeps_is_no_problem(source, translation):
    assert problems(source, translation, "en", "fr") == []


@pytest.mark.parametrize(("source", "translation"), SPANISH)
def test_units_of_time_are_read_in_the_words_of_each_language(source, translation):
    assert problems(source, translation, "en", "es") == []
    assert problems(translation, source, "es", "en") == []


@pytest.mark.parametrize(
    ("language", "source", "translation"), [(code, *pair) for code, pairs in LANGUAGES.items() for pair in pairs]
)
def test_numbers_in_words_and_units_are_read_in_the_words_of_each_language(language, source, translation):
    assert problems(source, translation, "en", language) == []
    assert problems(translation, source, language, "en") == []


@pytest.mark.parametrize(("language", "source", "translation", "difference"), UNFAITHFUL)
def test_a_changed_number_or_unit_is_found_in_each_language(language, source, translation, difference):
    assert any(difference in problem for problem in problems(source, translation, "en", language))


@pytest.mark.parametrize(("source", "translation", "difference"), CHANGED)
def test_a_changed_dose_is_found(source, translation, difference):
    assert any(difference in problem for problem in problems(source, translation, "en", "fr"))


def test_a_number_can_have_two_readings_where_the_mark_is_ambiguous():
    (number,) = quantities("1.000 cas", "fr")
    assert {str(reading) for reading in number.readings} == {"1E+3", "1"}
    (number,) = quantities("1.000 cases", "en")
    assert {str(reading) for reading in number.readings} == {"1"}


def test_names_of_units_that_the_table_does_not_know_are_no_problem_in_other_languages():
    assert problems("after 3 days", "después de 3 días", "en", "es") == []
    assert problems("after 3 days", "después de 3 mg", "en", "es") != []


@given(st.text(alphabet="019.,  -–/%mg²(x", max_size=30), st.sampled_from(("en", "fr")))
def test_every_text_can_be_read_and_agrees_with_itself(text, language):
    assert problems(text, text, language, language) == []


PARALLEL = Path(__file__).parents[4] / "shared" / "data" / "wmt_biomed"


@pytest.mark.real_data
@pytest.mark.skipif(not PARALLEL.is_dir(), reason="no ../shared/data beside the project")
def test_of_professional_translations_nine_in_ten_with_numbers_pass_and_shuffled_ones_do_not():
    pairs = []
    for year in ("19", "20"):
        left, right = ((PARALLEL / f"medline{year}_en2fr.{end}").read_text().splitlines() for end in ("en", "fr"))
        pairs += [pair for pair in zip(left, right, strict=True) if quantities(pair[0], "en")]
    flagged = sum(bool(problems(*pair, "en", "fr")) for pair in pairs)
    swapped = [(pairs[number][0], pairs[number - 1][1]) for number in range(len(pairs))]
    caught = sum(bool(problems(*pair, "en", "fr")) for pair in swapped)
    assert len(pairs) > 300
    assert flagged / len(pairs) < 0.1, "most of what is flagged there was really changed or moved by the translator"
    assert caught / len(pairs) > 0.95
