import pytest

from posologie.config.language import settings_of
from posologie.sources.cleaning import Rejected
from posologie.sources.options import distinct_options, options_in_text, without_prefixes


@pytest.mark.parametrize(
    "text",
    [
        "Quel organe ?\nChoix de réponses :\n(A) Le foie\n(B) La rate",
        "Quel organe ?\n\nChoix de réponses :\n\n(A) Le foie\n\n(B) La rate",
        "Quel organe ?\nChoix de réponses:\n(A) Le foie\n(B) La rate",
        "Quel organe ?\nCHOIX DE REPONSES :\nA) Le foie\nB) La rate",
        "Quel organe ?\nChoix des réponses :\na. Le foie\nb. La rate",
        "Quel organe ?\n(A) Le foie\n(B) La rate",
        "Quel organe ?\nOptions :\nA - Le foie\nB - La rate",
    ],
)
def test_options_are_found_after_the_choices_line_and_its_near_variants(text):
    assert options_in_text(text, set()) == ("Quel organe ?", ["A", "B"], ["Le foie", "La rate"])


@pytest.mark.parametrize("language", ["ar", "de", "en", "es", "fr", "hi", "it", "ja", "pt", "zh"])
def test_options_are_found_after_the_line_that_prompts_of_each_language_have(language):
    line = settings_of(language).prompting.choices_line
    split = options_in_text(f"Quel organe ?\n{line}\nA. Le foie\nB. La rate", set())
    assert split == ("Quel organe ?", ["A", "B"], ["Le foie", "La rate"])


def test_an_option_may_run_over_several_lines():
    text = "Lequel ?\nChoix de réponses :\n(A) un\nsuite de un\n(B) deux\n(A) n'est pas une option\n(C) trois"
    _, labels, options = options_in_text(text, set())
    assert labels == ["A", "B", "C"]
    assert options == ["un\nsuite de un", "deux\nA) n'est pas une option", "trois"]


def test_a_line_that_leaps_over_a_label_still_to_come_is_part_of_an_option():
    text = "Lequel ?\nChoix de réponses :\n(A) selon :\n(C) un critère\n(B) deux\n(C) trois"
    _, labels, options = options_in_text(text, set())
    assert labels == ["A", "B", "C"]
    assert options == ["selon :\nC) un critère", "deux", "trois"]


def test_the_last_choices_line_counts():
    text = "Texte :\nChoix de réponses :\nen parlait déjà.\nLequel ?\nChoix de réponses :\n(A) un\n(B) deux"
    question, _, options = options_in_text(text, set())
    assert question.endswith("Lequel ?")
    assert options == ["un", "deux"]


def test_labels_with_a_gap_stay_as_printed_and_are_named():
    repairs = set()
    _, labels, _ = options_in_text("Lequel ?\nChoix de réponses :\n(A) un\n(B) deux\n(D) quatre", repairs)
    assert labels == ["A", "B", "D"]
    assert repairs == {"option labels with gaps"}


@pytest.mark.parametrize("text", ["Quel organe ?", "Quel organe ?\nChoix de réponses :\n(A) Le foie", "A) seul"])
def test_a_question_without_two_options_is_rejected(text):
    with pytest.raises(Rejected, match="fewer than two options"):
        options_in_text(text, set())


@pytest.mark.parametrize(
    "options",
    [["A) un", "B) deux"], ["(a) un", "(b) deux"], ["A. un", "B. deux", "", "D. quatre"], ["A - un", "B - deux"]],
)
def test_letter_prefixes_are_removed_where_every_option_carries_its_own(options):
    assert without_prefixes(options, set())[:2] == ["un", "deux"]


@pytest.mark.parametrize(
    "options", [["A. baumannii", "E. coli"], ["A-t-il", "B-t-il"], ["C. difficile", "A. fumigatus"], ["A) seul"]]
)
def test_texts_that_only_look_like_prefixes_are_kept(options):
    assert without_prefixes(options, set()) == options


def test_empty_and_repeated_options_are_dropped_and_the_gold_follows():
    repairs = set()
    distinct = distinct_options(["un", "nan", "deux", "un", "", "trois"], (2, 5), repairs)
    assert distinct == (("un", "deux", "trois"), (1, 2))
    assert repairs == {"'nan' options dropped", "duplicate options dropped", "empty options dropped"}


def test_equal_options_that_are_both_right_become_one_right_option():
    assert distinct_options(["un", "deux", "un"], (0, 2), set()) == (("un", "deux"), (0,))


@pytest.mark.parametrize(
    ("gold", "reason"), [((0,), "duplicate options with different keys"), ((1,), "gold names an empty option")]
)
def test_a_key_that_the_repair_would_make_ambiguous_is_rejected(gold, reason):
    with pytest.raises(Rejected, match=reason):
        distinct_options(["un", "nan", "un", "deux"], gold, set())
