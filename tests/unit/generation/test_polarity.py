import pytest

from posologie.backends.texts import aligned
from posologie.generation.vocabulary import polarity_problems, untranslated_options

SAME = [
    ("Which is not a symptom?", "Lequel n'est pas un symptôme ?", "fr"),
    ("Which is NOT a symptom?", "¿Cuál NO es un síntoma?", "es"),
    ("All are true EXCEPT:", "Toutes sont exactes sauf :", "fr"),
    ("All are true except:", "¿Cuál de las siguientes no es cierta?", "es"),
    ("Which statement is false?", "Laquelle n'est pas vraie ?", "fr"),
    ("Point out the WRONG answer:", "Cochez la MAUVAISE réponse :", "fr"),
    ("She is unable to walk.", "Elle ne peut pas marcher.", "fr"),
    ("He denies heart or lung disease.", "Niega enfermedad cardiaca ni pulmonar.", "es"),
    ("No fever, cough or dyspnoea.", "Pas de fièvre, ni de toux, ni de dyspnée.", "fr"),
    ("Evaluate the response to a gluten-free diet.", "Évaluer la réponse à un régime sans gluten.", "fr"),
    ("She had a spontaneous abortion.", "Elle a fait une fausse couche.", "fr"),
    ("Colitis is only seen in smokers.", "La colite ne se voit que chez les fumeurs.", "fr"),
    ("However, she improved.", "Sin embargo, mejoró.", "es"),
    ("Vaccinate at birth.", "Vacunar nada más nacer.", "es"),
    ("A child born at term.", "Un enfant né à terme.", "fr"),
    ("Nonsteroidal anti-inflammatory drugs", "Antiinflamatorios no esteroideos", "es"),
    ("A pacemaker was implanted for the block.", "Un stimulateur cardiaque a été posé pour le bloc.", "fr"),
    ("Welche Aussage ist nicht richtig?", "Quelle affirmation n'est pas exacte ?", "de-fr"),
    ("Quale non è un sintomo?", "Qual não é um sintoma?", "it-pt"),
]
TURNED = [
    ("Which is not a symptom?", "Lequel est un symptôme ?", "fr", "is missing"),
    ("Which is a symptom?", "¿Cuál no es un síntoma?", "es", "was added"),
    ("All are true EXCEPT:", "Toutes sont exactes :", "fr", "is missing"),
    ("All are true:", "Todas son ciertas excepto:", "es", "was added"),
    ("Mark the FALSE answer:", "Señale la respuesta verdadera:", "es", "is missing"),
    ("Total hysterectomy without adnexectomy.", "Hystérectomie totale avec annexectomie.", "fr", "is missing"),
    ("ST-segment elevation and a flat T wave.", "Descenso del ST y onda T plana.", "es", "became 'decrease'"),
    ("It inhibits the enzyme.", "Elle active l'enzyme.", "fr", "became 'activate'"),
    ("Pain in the left arm.", "Dolor en el brazo derecho.", "es", "'left' became 'right'"),
    ("It is treated. It is not rare. It heals.", "On la traite. Elle est rare. Elle guérit.", "fr", "is missing"),
    ("Welche Aussage ist nicht richtig?", "Quelle affirmation est exacte ?", "de-fr", "is missing"),
]


def languages(code):
    return code.split("-") if "-" in code else ("en", code)


@pytest.mark.parametrize(("source", "translation", "code"), SAME)
def test_other_words_for_a_negation_say_the_same(source, translation, code):
    assert polarity_problems(source, translation, *languages(code)) == []


@pytest.mark.parametrize(("source", "translation", "code", "difference"), TURNED)
def test_what_says_the_opposite_is_found_in_either_direction(source, translation, code, difference):
    problems = polarity_problems(source, translation, *languages(code))
    assert len(problems) == 1
    assert difference in problems[0]


def test_a_language_without_words_for_negation_is_not_judged():
    assert polarity_problems("Which is not a symptom?", "Mikä on oire?", "en", "fi") == []


def test_sentences_stand_beside_their_translations_where_one_became_two():
    source = ["It hurts when she walks, and it burns when she sleeps. ", "No fever."]
    translation = ["Elle a mal en marchant. ", "Cela brûle quand elle dort. ", "Pas de fièvre."]
    assert aligned(source, translation) == [
        (source[0], "".join(translation[:2])),
        (source[1], translation[2]),
    ]
    assert aligned([], []) == []
    assert aligned(["A."], []) == [("A.", "")]
    assert aligned(["A. ", "B. ", "C. ", "D."], ["E."]) == [("A. B. C. D.", "E.")]


@pytest.mark.parametrize(
    ("source", "translation", "places"),
    [
        (("Kidney", "Liver", "Heart"), ("Rein", "Liver", "Cœur"), [1]),
        (("Testicle and epididymis", "Ovary"), ("Testicle and epididymis", "Ovaire"), [0]),
        (("Candida albicans", "Ringworm", "Lice"), ("Candida albicans", "Teigne", "Poux"), []),
        (("MRI", "CT", "Colon"), ("MRI", "CT", "Côlon"), []),
        (("Amoxicillin 1 g", "Ceftriaxone 1 g"), ("Amoxicilline 1 g", "Ceftriaxone 1 g"), []),
        (("46,XX", "5 mg", "None"), ("46,XX", "5 mg", "Aucun"), []),
    ],
)
def test_an_option_that_stayed_in_the_other_language_is_told_from_a_name(source, translation, places):
    assert untranslated_options(source, translation, "en", "fr") == places
