"""Text metrics of open answers."""

import random
import time
import unicodedata
from importlib.metadata import version

import pytest
import sacrebleu
from rouge_score.rouge_scorer import RougeScorer

from posologie.running.errors import InputError
from posologie.scoring.spec import TextMetrics
from posologie.scoring.text import text_scorer, text_signatures, word_splitter

REFERENCE = "La metformine s'accumule et expose à une acidose lactique."
ANSWER = "La metformine, éliminée par le rein, expose à l'acidose lactique."
SIGNED = ("bleu", "bleu:match_1", "chrf", "chrf:answer_2", "meteor", "words", "reference_words")
SIGNED += ("rouge1", "rouge2", "rougeL")
FRENCH = TextMetrics(stemmer="french")
PAIRS = [
    (ANSWER, REFERENCE),
    ("", REFERENCE),
    ("Acidose", REFERENCE),
    (REFERENCE, REFERENCE),
    ("Alerter le 15 et masser le thorax.", "Alerter le 15, masser le thorax et poser un défibrillateur."),
]


@pytest.fixture(autouse=True)
def _a_scorer_of_its_own():
    """Let each test make its scorer: mutation tests ask which tests reach which function."""
    text_scorer.cache_clear()


words = word_splitter("runs", "NFC")


def test_words_keep_accents_and_split_elisions():
    tokens = words("L'œdème n’est pas évident à 37,5 °C.")
    assert tokens == ["l", "œdème", "n", "est", "pas", "évident", "à", "37", "5", "c"]


def test_words_of_composed_and_decomposed_accents_are_the_same():
    assert words(unicodedata.normalize("NFD", "hémorragie")) == words("hémorragie") == ["hémorragie"]


def test_sentence_scores_are_sacrebleus():
    for answer, reference in PAIRS:
        values = text_scorer(TextMetrics())(answer, reference)
        bleu = sacrebleu.sentence_bleu(answer, [reference]).score / 100
        assert values["bleu"] == pytest.approx(bleu, abs=1e-12)
        assert values["chrf"] == pytest.approx(sacrebleu.sentence_chrf(answer, [reference]).score / 100, abs=1e-12)


def test_rouge_sees_accented_words():
    values = text_scorer(TextMetrics())("hémorragie méningée", "hémorragie")
    assert values["rouge1"] == pytest.approx(2 / 3)
    default = RougeScorer(["rouge1"]).score("hémorragie", "hématome")["rouge1"].fmeasure
    assert default > 0, "rouge-score's own tokenizer finds 'h' in both"
    assert text_scorer(TextMetrics())("hématome", "hémorragie")["rouge1"] == 0


def test_rouge_by_hand():
    # answer: la metformine éliminée par le rein expose à l acidose lactique (11 words); reference: 10 words;
    # shared: la metformine expose à acidose lactique; shared pairs: "la metformine", "expose à", "acidose lactique".
    values = text_scorer(TextMetrics())(ANSWER, REFERENCE)
    assert values["words"] == 11
    assert values["reference_words"] == 10
    assert values["rouge1"] == pytest.approx(2 * 6 / (11 + 10))
    assert values["rouge2"] == pytest.approx(2 * 3 / (10 + 9))
    assert values["rougeL"] == pytest.approx(2 * 6 / (11 + 10))


def test_rouge_l_is_rouge_scores():
    numbers = random.Random(5)
    for _ in range(200):
        answer, reference = (" ".join(numbers.choices("abcdefgh", k=numbers.randrange(30))) for _ in range(2))
        own = text_scorer(TextMetrics())(answer, reference)["rougeL"]
        assert own == RougeScorer(["rougeL"]).score(reference, answer)["rougeL"].fmeasure


def test_long_texts_without_a_common_word_take_no_time_that_grows_with_its_square():
    answer, reference = (" ".join(f"{letter}{number}" for number in range(6000)) for letter in "ab")
    start = time.process_time()
    values = text_scorer(TextMetrics())(answer, reference)
    assert (values["meteor"], values["rougeL"]) == (0, 0)
    assert time.process_time() - start < 2, "6,000 × 6,000 steps of Python take more than five seconds"


def test_meteor_by_hand_matches_stems_and_no_synonym():
    # "patients traités" ~ "patient traité" by stem: 2 matches of 2 words in one chunk, 1 - 0.5 (1/2)^3.
    values = text_scorer(FRENCH)("patients traités", "patient traité")
    assert values["meteor"] == pytest.approx(1 - 0.5 * (1 / 2) ** 3)
    assert text_scorer(FRENCH)("voiture", "automobile")["meteor"] == 0


def test_an_empty_answer_scores_nothing():
    values = text_scorer(TextMetrics())("", REFERENCE)
    for metric in ("bleu", "chrf", "rouge1", "rouge2", "rougeL", "meteor", "words"):
        assert values[metric] == 0


def test_every_metric_carries_its_signature():
    values = text_scorer(TextMetrics())(ANSWER, REFERENCE)
    signatures = text_signatures(FRENCH, values)
    assert signatures.keys() == values.keys()
    assert "tok:13a" in signatures["bleu"]
    assert "version:" in signatures["bleu:match_1"]
    assert "stem:french" in signatures["meteor"]
    assert "synonyms:none" in signatures["meteor"]
    assert text_signatures(TextMetrics(bleu_tokenizer="intl"), ["bleu"])["bleu"] != signatures["bleu"]


def test_signatures_say_exactly_how_each_metric_was_computed():
    sacre, rouge, nltk = (version(name) for name in ("sacrebleu", "rouge-score", "nltk"))
    bleu = f"nrefs:1|case:mixed|eff:yes|tok:13a|smooth:exp|version:{sacre}"
    chrf = f"nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|version:{sacre}"
    runs = f"words:runs|regex:{version('regex')}"
    assert text_signatures(FRENCH, SIGNED) == {
        "bleu": f"sentence|{bleu}",
        "bleu:match_1": f"sums|{bleu}",
        "chrf": f"sentence|{chrf}",
        "chrf:answer_2": f"sums|{chrf}",
        "meteor": f"{runs}|stem:french|synonyms:none|nltk:{nltk}",
        "words": runs,
        "reference_words": runs,
        "rouge1": f"f1|{runs}|rouge-score:{rouge}",
        "rouge2": f"f1|{runs}|rouge-score:{rouge}",
        "rougeL": f"f1|{runs}|rouge-score:{rouge}",
    }
    english = text_signatures(TextMetrics(stemmer="english", wordnet="some/folder"), ["meteor"])["meteor"]
    assert english == f"{runs}|stem:english|synonyms:english|nltk:{nltk}"


def test_a_folder_without_wordnet_is_one_line(tmp_path):
    with pytest.raises(InputError, match=r"text\.wordnet = .*: expected a folder with the files of English WordNet 3"):
        text_scorer(TextMetrics(wordnet=str(tmp_path)))


def test_short_answers_have_the_bleu_of_the_orders_that_they_have():
    values = text_scorer(TextMetrics())("acidose lactique", "acidose lactique")
    assert values["bleu"] == pytest.approx(1), "two words have no three in a row, which is no fault (effective order)"


def test_the_bleu_tokenizer_is_the_configured_one():
    text, reference = "37,5 °C“", "37,5 °C”"
    scorers = [text_scorer(TextMetrics(bleu_tokenizer=name)) for name in ("13a", "intl")]
    default, international = (score(text, reference) for score in scorers)
    assert default["bleu"] != international["bleu"]
