"""What a free text answers: a table of texts with the reading that a careful person gives them."""

import time

import pytest
from readings import AMBIGUOUS, NONE, shown

from posologie.prediction.parsing import is_bare_label, read

OPTIONS = ("Paracétamol", "Ibuprofène", "Vitamine C", "Amoxicilline", "L'aspirine")

# text → letters, or none, or ambiguous; five options as above.
CASES = [
    # a label alone
    ("A", "A"),
    ("B.", "B"),
    ("(A)", "A"),
    ("A)", "A"),
    ("[D]", "D"),
    ("A.", "A"),
    ("**A**", "A"),
    ("**(B)**", "B"),
    ("*C*", "C"),
    ("`D`", "D"),
    ("__E__", "E"),
    (" A", "A"),
    ("A\n", "A"),
    ("A !", "A"),
    ("« A »", "A"),
    ('"B"', "B"),
    ("\\boxed{C}", "C"),
    ("$\\boxed{\\text{D}}$", "D"),
    ("<b>B</b>", "B"),
    ("<answer>E</answer>", "E"),
    ("Ｂ", "B"),
    ("b", "B"),
    ("(c)", "C"),
    ("d)", "D"),
    ("<think>A ou B ?</think>C", "C"),
    ("F", NONE),
    ("Z.", NONE),
    # lists
    ("A,C", "AC"),
    ("A, C", "AC"),
    ("C,A", "AC"),
    ("A;C", "AC"),
    ("A; C; E", "ACE"),
    ("A et C", "AC"),
    ("A and C", "AC"),
    ("A, B et D", "ABD"),
    ("A, B, and D", "ABD"),
    ("A/C", "AC"),
    ("A + C", "AC"),
    ("A & C", "AC"),
    ("A C E", "ACE"),
    ("A\nC", "AC"),
    ("(A), (C)", "AC"),
    ("(A) et (C)", "AC"),
    ("(A)(C)", "AC"),
    ("A) et C)", "AC"),
    ("**A**, **C**", "AC"),
    ("A., C.", "AC"),
    ("A-C-E", "ACE"),
    ("A ainsi que D", "AD"),
    ("a, c", "AC"),
    ("b et d", "BD"),
    ("A,A", "A"),
    ("A, C.", "AC"),
    ("Réponses A et C", "AC"),
    ("Options B, D", "BD"),
    ("La A et la C", "AC"),
    ("Les options A, C et E", "ACE"),
    ("l'option A et l'option C", "AC"),
    ("A, F", AMBIGUOUS),
    ("A-C", AMBIGUOUS),
    ("A à C", "ABC"),
    ("Réponses A à D", "ABCD"),
    ("A to C", "ABC"),
    ("A.C.E", "ACE"),
    ("A. C.", "AC"),
    ('"A" et "C"', "AC"),
    ("[A, C]", "AC"),
    ('["A", "C"]', "AC"),
    ("{A}", "A"),
    ("<A>", "A"),
    ("A seulement", "A"),
    ("B et C uniquement.", "BC"),
    ("Only D", "D"),
    ("Probablement B.", "B"),
    ("A,C,", "AC"),
    ("A, C, et", "AC"),
    ("(A", "A"),
    ("Only (A", "A"),
    ("Réponse: (B", "B"),
    ("[d]", "D"),
    ("a/c", "AC"),
    ("1) A, C", "AC"),
    ("Question 1 : B", "B"),
    # letters that run together
    ("AC", "AC"),
    ("ACE", "ACE"),
    ("BD.", "BD"),
    ("ABCDE", "ABCDE"),
    ("BAC", NONE),
    ("CA", NONE),
    ("AAB", NONE),
    ("AIDS", NONE),
    ("ADN", NONE),
    ("DEF", NONE),
    # announced in French
    ("Réponse : A", "A"),
    ("Réponse: (B)", "B"),
    ("Réponse A", "A"),
    ("réponse : C", "C"),
    ("RÉPONSE : D", "D"),
    ("**Réponse :** B", "B"),
    ("Réponse : A et C", "AC"),
    ("Réponse : A,C", "AC"),
    ("Réponses : A, C, E", "ACE"),
    ("La réponse est A", "A"),
    ("La réponse est A.", "A"),
    ("La bonne réponse est B", "B"),
    ("La bonne réponse est la B.", "B"),
    ("La bonne réponse est : (D)", "D"),
    ("La réponse correcte est C.", "C"),
    ("La réponse exacte est la réponse E.", "E"),
    ("Les bonnes réponses sont A et C", "AC"),
    ("Les bonnes réponses sont : A, B et D.", "ABD"),
    ("Les réponses correctes sont (A) et (C).", "AC"),
    ("Les propositions exactes sont A, D et E", "ADE"),
    ("Je choisis B", "B"),
    ("Je choisis la réponse B.", "B"),
    ("J'opte pour la proposition D", "D"),
    ("C'est B", "B"),
    ("C'est la C.", "C"),
    ("Il s'agit de la réponse C.", "C"),
    ("Je pense que la réponse est B, car elle calme la douleur.", "B"),
    ("La réponse est B car l'ibuprofène est un anti-inflammatoire.", "B"),
    ("La réponse est A car elle est sûre.", "A"),
    ("Option C", "C"),
    ("Choix D.", "D"),
    ("Lettre E", "E"),
    ("B est la bonne réponse.", "B"),
    ("B est correcte.", "B"),
    ("A et C sont vraies.", "AC"),
    ("A et C sont exactes", "AC"),
    ("Seule B est juste.", "B"),
    ("La réponse la plus appropriée est D", "D"),
    ("La réponse n'est pas A, la bonne réponse est B.", "B"),
    ("Réponse finale : B", "B"),
    ("La réponse est A. Non, je me trompe. Réponse finale : C", "C"),
    ("La réponse est A. La réponse est B.", AMBIGUOUS),
    ("La réponse est A. Donc la réponse est A.", "A"),
    ("Le diagnostic le plus probable est B.", "B"),
    ("Réponse : B) Ibuprofène", "B"),
    ("La bonne réponse est l'ibuprofène (B).", "B"),
    ("Les réponses A et B sont fausses, C est vraie.", "C"),
    ("La réponse est D'après moi évidente.", NONE),
    # announced in English
    ("Answer: B", "B"),
    ('{"answer": "B"}', "B"),
    ("Answer A is wrong; answer B is right.", "B"),
    ("Answer: (B)", "B"),
    ("The answer is C", "C"),
    ("The correct answer is B.", "B"),
    ("The correct answer is (D) Amoxicilline.", "D"),
    ("The correct answers are A and C.", "AC"),
    ("The correct options are A, C and D", "ACD"),
    ("The best answer is E", "E"),
    ("I choose B", "B"),
    ("I think it is C", "C"),
    ("I would go with option D", "D"),
    ("Final answer: A", "A"),
    ("B is correct.", "B"),
    ("A and C are true.", "AC"),
    ("It's B.", "B"),
    # a label and a text
    ("A. Paracétamol", "A"),
    ("(B) Ibuprofène", "B"),
    ("C) Vitamine C", "C"),
    ("D : Amoxicilline", "D"),
    ("D - Amoxicilline", "D"),
    ("B Ibuprofène", "B"),
    ("A. Paracétamol\nC. Vitamine C", "AC"),
    ("(A) Paracétamol\n(C) Vitamine C", "AC"),
    ("- A. Paracétamol\n- D. Amoxicilline", "AD"),
    ("(A) Paracétamol et (C) Vitamine C", "AC"),
    ("B\nExplication : il calme la douleur.", "B"),
    ("B, car il calme la douleur", "B"),
    ("B. Il calme la douleur.", "B"),
    ("(A) Paracétamol\n(B) Ibuprofène\n(C) Vitamine C\n(D) Amoxicilline\n(E) L'aspirine", AMBIGUOUS),
    ("A. Ibuprofène", AMBIGUOUS),
    ("(D) Paracétamol", AMBIGUOUS),
    # the text of an option in place of its label
    ("Paracétamol", "A"),
    ("paracétamol", "A"),
    ("Le paracétamol.", "A"),
    ("PARACÉTAMOL", "A"),
    ("L’aspirine", "E"),
    ("aspirine", "E"),
    ("Vitamine C", "C"),
    ("Paracétamol et ibuprofène", "AB"),
    ("Paracétamol, amoxicilline", "AD"),
    ("Paracétamol\nVitamine C", "AC"),
    ("La réponse est le paracétamol.", "A"),
    ("Il faut donner de la vitamine C au patient.", "C"),
    ("Il faut choisir entre le paracétamol et l'ibuprofène.", AMBIGUOUS),
    ("Il ne faut pas donner de paracétamol.", AMBIGUOUS),
    # all, none, all but some; verdicts
    ("Toutes les réponses sont exactes.", "ABCDE"),
    ("Toutes les propositions", "ABCDE"),
    ("Toutes", "ABCDE"),
    ("All of the above", "ABCDE"),
    ("Toutes sauf B", "ACDE"),
    ("Toutes les réponses sauf B et D", "ACE"),
    ("All except C", "ABDE"),
    ("Aucune", NONE),
    ("Aucune des réponses n'est correcte.", NONE),
    ("None of the above", NONE),
    ("A : vrai, B : faux, C : vrai", "AC"),
    ("A. Vrai\nB. Faux\nC. Faux\nD. Vrai\nE. Faux", "AD"),
    ("A = faux ; B = faux", NONE),
    ("(A) True (B) False (C) True", "AC"),
    # alternatives
    ("A ou B", AMBIGUOUS),
    ("A or C", AMBIGUOUS),
    ("Soit A, soit B", AMBIGUOUS),
    ("A et/ou C", AMBIGUOUS),
    ("La réponse est A ou B.", AMBIGUOUS),
    ("Ni A ni B", NONE),
    # words that are not labels
    ("D'après le texte, il faut attendre.", NONE),
    ("D'", NONE),
    ("L'", NONE),
    ("C'est une question difficile.", NONE),
    ("A noter que le patient est âgé.", NONE),
    ("A priori, aucune.", NONE),
    ("A l'examen, le patient est fébrile.", NONE),
    ("A patient with fever should rest.", NONE),
    ("Le patient a une hépatite B.", NONE),
    ("Il s'agit d'une hépatite de type B chronique.", NONE),
    ("La carence en vitamine D est fréquente.", NONE),
    ("Le groupe sanguin A est fréquent.", NONE),
    ("Ce", NONE),
    ("Ale", NONE),
    ("La", NONE),
    ("(", NONE),
    ("", NONE),
    ("   ", NONE),
    ("…", NONE),
    ("1", NONE),
    ("La réponse est difficile à donner.", NONE),
    ("La réponse n'est pas A.", NONE),
    ("A est fausse.", NONE),
    ("(A) est fausse.", AMBIGUOUS),
    ("(A) et (B) sont fausses.", AMBIGUOUS),
    ("A, mais pas B", NONE),
    ("B n'est pas correcte.", NONE),
    ("<think>La réponse est B", NONE),
    # refusals
    ("Je ne peux pas répondre à cette question.", NONE),
    ("Je ne sais pas.", NONE),
    ("Je ne peux pas choisir entre A et B.", NONE),
    ("Désolé, je ne peux pas donner de conseil médical.", NONE),
    ("En tant qu'assistant, je ne peux pas poser de diagnostic : consultez un médecin.", NONE),
    ("I cannot answer this question.", NONE),
    ("I'm sorry, but I can't help with that.", NONE),
    ("As an AI, I cannot choose between A and B.", NONE),
    ("I don't know.", NONE),
    # lists with bullets, glosses and reasons
    ("1. A\n2. C", "AC"),
    ("- A\n- C", "AC"),
    ("• A\n• C", "AC"),
    ("A (Paracétamol), C (Vitamine C)", "AC"),
    ("A (Ibuprofène)", AMBIGUOUS),
    ("A) Paracétamol; C) Vitamine C", "AC"),
    ("A) Paracétamol, C) Vitamine C", "AC"),
    ("(B) Ibuprofène, car (A) est faux", "B"),
    ("A, C\n\nJustification : B est faux.", "AC"),
    ("Explication : il calme la douleur.\n\nC", "C"),
    ("A est vraie. B est fausse. C est vraie.", "AC"),
    ("La réponse A est correcte. La réponse C est correcte.", "AC"),
    ("A et B sont vraies, C est fausse, D est fausse", "AB"),
    ("Les propositions exactes : ABD", "ABD"),
    ("Les propositions exactes : BAC", NONE),
    ("La réponse est : toutes", "ABCDE"),
    ("Je répondrais C.", "C"),
    ("N/A", NONE),
    # species are no labels
    ("E. coli", NONE),
    ("C. difficile est en cause.", NONE),
    ("La réponse est E. coli", NONE),
    ("S. aureus et E. coli", NONE),
    ("D. amoxicilline", "D"),
    ("B. il calme la douleur", "B"),
    # labels in brackets inside a sentence
    ("Le traitement est (B).", "B"),
    ("Il faut retenir (A) et (C).", "AC"),
    ("Le traitement (A) est meilleur que le traitement (B).", AMBIGUOUS),
]


@pytest.mark.parametrize(("text", "expected"), CASES, ids=[text[:40] for text, _ in CASES])
def test_a_text_is_read_as_a_careful_person_reads_it(text, expected):
    reading = read(text, OPTIONS)
    assert shown(reading) == expected
    assert (reading.outcome == "labels") == bool(reading.labels)


def test_the_table_is_large_and_names_no_text_twice():
    texts = [text for text, _ in CASES]
    assert len(texts) >= 120
    assert len(set(texts)) == len(texts)


@pytest.mark.parametrize(
    ("text", "options", "expected"),
    [
        ("B12", ("Vitamine B", "Vitamine B12"), NONE),
        ("Vitamine B12", ("Vitamine B", "Vitamine B12"), "B"),
        ("Il faut de la vitamine B12.", ("Vitamine B", "Vitamine B12"), "B"),
        ("Oui", ("Oui", "Non"), "A"),
        ("oui", ("Oui", "Non", "Peut-être"), "A"),
        ("Non.", ("Oui", "Non"), "B"),
        ("Aucune de ces réponses", ("Rougeole", "Aucune de ces réponses"), "B"),
        ("Toutes les réponses", ("Rougeole", "Rubéole", "Toutes les réponses"), "C"),
        ("12 mg", ("10 mg", "12 mg"), "B"),
        ("Rougeole", ("Rougeole", "Rougeole", "Rubéole"), AMBIGUOUS),
        ("J", tuple("abcdefghij"), "J"),
        ("I", tuple(f"option {n}" for n in range(10)), "I"),
        ("I think the answer is J", tuple(f"option {n}" for n in range(10)), "J"),
        ("Z", tuple(f"option {n}" for n in range(26)), "Z"),
        ("C", ("x", "y"), NONE),
        ("L'angine d'effort", ("La goutte", "L’angine d’effort"), "B"),
        ("Rougeole grave", ("Rubéole", "Rougeole \n grave"), "B"),
        ("E. coli", ("S. aureus", "E. coli"), "B"),
        ("A. E. coli", ("E. coli", "S. aureus"), "A"),
    ],
)
def test_other_options_change_what_a_text_means(text, options, expected):
    assert shown(read(text, options)) == expected


@pytest.mark.parametrize(("text", "separator"), [("A et C", " et "), ("A # C", "#"), ("A|C", "|"), ("A C", " ")])
def test_the_separator_of_the_training_format_is_read_beside_the_usual_ones(text, separator):
    assert shown(read(text, OPTIONS, separator)) == "AC"


@pytest.mark.parametrize(
    ("text", "bare"),
    [("D", True), ("(D", True), ("Réponse : D", True), ("D'", False), ("AD", False), ("F", False), ("", False)],
)
def test_a_text_that_ends_on_a_bare_label_may_yet_become_a_word(text, bare):
    assert is_bare_label(text, 5) is bare


@pytest.mark.parametrize(
    "text", ["Among the options A to D, no choice is possible.", "Options A-D are drugs.", "A to D", "(A)–(D)"]
)
def test_a_range_of_all_options_is_no_answer(text):
    assert not read(text, ("w", "x", "y", "z")).labels


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("the answer is the " * 800, NONE),
        ("答案是" * 1500, NONE),
        ("The answer is B. " * 300, "B"),
        ("A or B " * 800, AMBIGUOUS),
        ("la le les " * 1500, NONE),
    ],
)
def test_a_text_that_repeats_itself_is_read_in_little_time(text, right):
    started = time.process_time()
    assert shown(read(text, OPTIONS)) == right
    assert time.process_time() - started < 2
