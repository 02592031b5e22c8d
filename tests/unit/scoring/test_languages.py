"""Answers in twelve languages and more, each with the value that it must have, worked out by hand."""

import typing
from importlib.metadata import version

import pyarrow as pa
import pytest
import sacrebleu
from rouge_score.rouge_scorer import RougeScorer
from sacrebleu.metrics.bleu import _TOKENIZERS

from posologie.config.language import settings_of
from posologie.running.errors import InputError
from posologie.scoring.__main__ import text_scores
from posologie.scoring.spec import BleuTokenizer, ScoringSpec, TextMetrics
from posologie.scoring.text import text_scorer, text_signatures, word_splitter

# language, answer, reference, metric, value. METEOR of one word that matches by its stem is 1 - 0.5 * 1 = 0.5.
PAIRS = [
    ("fr", "L'œdème n'est pas évident.", "x", "words", 6),  # l œdème n est pas évident
    ("fr", "pêche", "péché", "rouge1", 0),
    ("fr", "l'œdème", "un œdème", "rouge1", 1 / 2),
    ("fr", "le foie produit la bile", "le foie sécrète la bile", "rouge2", 2 / 4),
    ("fr", "traités", "traité", "meteor", 1 / 2),
    ("en", "The patient's fever is 39.5.", "x", "words", 7),  # the patient s fever is 39 5, as rouge-score has it
    ("en", "liver", "lever", "rouge1", 0),
    ("en", "the liver makes bile", "the liver stores bile", "rouge2", 1 / 3),
    ("en", "patients treated", "patient treats", "meteor", 1 - 0.5 * (1 / 2) ** 3),
    ("en", "H2O", "x", "words", 1),
    ("es", "La fiebre sube a 39,5 °C.", "x", "words", 6),  # 39,5 is one word
    ("es", "año", "ano", "rouge1", 0),
    ("es", "dosis de 0,5 mg", "dosis de 5,0 mg", "rouge1", 3 / 4),
    ("es", "el hígado produce bilis", "el hígado secreta bilis", "rouge2", 1 / 3),
    ("es", "pacientes tratados", "paciente tratado", "meteor", 1 - 0.5 * (1 / 2) ** 3),
    ("de", "Die Dosis beträgt 1,5 mg/kg.", "x", "words", 6),
    ("de", "Übelkeit", "übelkeit", "rouge1", 1),
    ("de", "schöner Tag", "schoner Tag", "rouge1", 1 / 2),
    ("de", "die Leber bildet Galle", "die Leber speichert Galle", "rouge2", 1 / 3),
    ("de", "Patienten", "Patient", "meteor", 1 / 2),
    ("it", "l'edema dell'arto", "x", "words", 4),
    ("it", "l'edema", "un edema", "rouge1", 1 / 2),
    ("it", "però", "pero", "rouge1", 0),
    ("it", "il fegato produce bile", "il fegato secerne bile", "rouge2", 1 / 3),
    ("it", "pazienti", "paziente", "meteor", 1 / 2),
    ("pt", "O coração bate 72 vezes.", "x", "words", 5),
    ("pt", "avó", "avô", "rouge1", 0),
    ("pt", "fígado e rim", "fígado e baço", "rouge1", 2 / 3),
    ("pt", "o fígado produz bile", "o fígado secreta bile", "rouge2", 1 / 3),
    ("pt", "pacientes", "paciente", "meteor", 1 / 2),
    # 13 characters each; the two that differ spoil 3 of 12 pairs. With the marks, BLEU counts 15 of them.
    ("zh", "患者的血压很高，需要立即治疗。", "患者的血压很高，需要马上治疗。", "rouge2", 9 / 12),
    (
        "zh",
        "患者的血压很高，需要立即治疗。",
        "患者的血压很高，需要马上治疗。",
        "bleu",
        (13 / 15 * 11 / 14 * 9 / 13 * 7 / 12) ** (1 / 4),
    ),
    ("zh", "血压150/90", "x", "words", 4),  # 血 压 150 90
    ("zh", "肝", "肾", "rouge1", 0),
    ("zh", "ＣＲＰ升高", "CRP升高", "rouge1", 1),
    ("zh", "右肾结石", "左肾结石", "rouge1", 3 / 4),
    # 17 characters each; the two in a row that differ (直ち against すぐ) spoil 3 of 16 pairs.
    (
        "ja",
        "患者は高血圧であり、直ちに治療が必要である。",
        "患者は高血圧であり、すぐに治療が必要である。",
        "rouge2",
        16 / 19,
    ),
    ("ja", "コレステロールが高い", "x", "words", 4),  # コレステロール が 高 い
    ("ja", "はし", "はな", "rouge1", 1 / 2),
    ("ja", "ｶﾞﾝ", "ガン", "rouge1", 1),
    ("ja", "かん", "がん", "rouge1", 1 / 2),
    ("ja", "か\u3099ん", "がん", "rouge1", 1),
    ("ar", "ارتفاع ضغط الدم", "ارتفاع ضغط الدم", "rouge1", 1),
    ("ar", "ارتفاع ضغط الدم", "x", "words", 3),
    ("ar", "عِلْم", "عَلَم", "rouge1", 0),
    ("ar", "مُحَمَّد", "x", "words", 1),
    ("ar", "ضغط الدم مرتفع", "ضغط الدم منخفض", "rouge1", 2 / 3),
    ("ar", "ضغط الدم مرتفع", "ضغط الدم منخفض", "rouge2", 1 / 2),
    ("ar", "الكبد", "كبد", "meteor", 1 / 2),
    ("hi", "दान", "दिन", "rouge1", 0),
    ("hi", "दिन में दो बार दवा लें।", "x", "words", 6),
    ("hi", "उच्च रक्तचाप", "निम्न रक्तचाप", "rouge1", 1 / 2),
    ("hi", "रोगी को बुखार है", "रोगी को दर्द है", "rouge2", 1 / 3),
    ("hi", "दिल", "दाल", "rouge1", 0),
    ("hi", "पेट", "पीठ", "rouge1", 0),
    ("th", "ไข่", "ไข้", "rouge1", 0),
    ("th", "ไข้", "x", "words", 1),
    ("th", "ไข้ต่ำ", "ไข้สูง", "rouge1", 2 * 1 / (2 + 3)),  # ไข้ ต่ำ, and ไข้ สู ง
    ("th", "กา", "กี", "rouge1", 0),
    ("th", "ไข้ 39.5", "x", "words", 2),
    ("th", "เ", "x", "words", 1),
    ("th", "เ - ก", "x", "words", 2),
    ("he", "שָׁלוֹם", "x", "words", 1),
    ("he", "צה״ל", "x", "words", 1),
    ("ta", "நாய்", "நோய்", "rouge1", 0),
    ("bn", "দান", "দিন", "rouge1", 0),
    ("fa", "می\u200cخواهم", "x", "words", 1),
    ("ko", "환자는 고혈압이다", "환자는 저혈압이다", "rouge1", 1 / 2),
]
LONGER = [pair[1:3] for pair in PAIRS if pair[2] != "x"]


@pytest.mark.parametrize(("language", "answer", "reference", "metric", "value"), PAIRS)
def test_answers_have_the_value_worked_out_by_hand(language, answer, reference, metric, value):
    scores = text_scorer(settings_of(language).scoring)(answer, reference)
    assert scores[metric] == pytest.approx(value, abs=1e-12)


def test_the_configured_tokenizers_are_all_of_sacrebleus():
    assert set(typing.get_args(BleuTokenizer)) == set(_TOKENIZERS)


@pytest.mark.parametrize("tokenizer", ["13a", "intl", "char", "zh", "none"])
def test_bleu_is_sacrebleus_with_its_tokenizer(tokenizer):
    score = text_scorer(TextMetrics(bleu_tokenizer=tokenizer))
    for answer, reference in LONGER:
        expected = sacrebleu.sentence_bleu(answer, [reference], tokenize=tokenizer, use_effective_order=True).score
        assert score(answer, reference)["bleu"] == pytest.approx(expected / 100, abs=1e-12)


def test_rouge_of_plain_english_is_rouge_scores():
    texts = ["The liver stores bile; it isn't 39.5 degrees.", "It's the liver that makes bile.", "H2O (water) and NaCl"]
    score = text_scorer(settings_of("en").scoring)
    theirs = RougeScorer(["rouge1", "rouge2", "rougeL"])
    for answer in texts:
        for reference in texts:
            for name, parts in theirs.score(reference, answer).items():
                assert score(answer, reference)[name] == pytest.approx(parts.fmeasure, abs=1e-12)


def test_ten_to_the_sixth_is_not_a_hundred_and_six():
    assert word_splitter("unicode", "width")("10⁶") != word_splitter("unicode", "width")("106")


def test_signatures_name_tokenizer_library_and_version():
    regex = f"regex:{version('regex')}"
    for code, start in (("fr", "words:runs|"), ("es", "words:unicode,no-dictionary|")):
        signatures = text_signatures(settings_of(code).scoring, ["rouge2", "meteor", "words", "bleu"])
        assert signatures["words"] == f"{start}{regex}"
        assert signatures["rouge2"] == f"f1|{start}{regex}|rouge-score:{version('rouge-score')}"
        assert start + regex in signatures["meteor"]
    chinese = text_signatures(settings_of("zh").scoring, ["bleu", "meteor"])
    assert "|tok:zh|" in chinese["bleu"]
    assert chinese["meteor"].startswith("words:unicode,no-dictionary|form:width|")
    assert "|stem:none|" in chinese["meteor"]


def test_words_by_a_dictionary_that_is_not_installed_are_one_line(monkeypatch):
    monkeypatch.setattr("sacrebleu.tokenizers.tokenizer_ja_mecab.MeCab", None)
    monkeypatch.setattr("posologie.scoring.spec.DICTIONARIES", {"ja-mecab": ("no_such_module",)})
    word_splitter.cache_clear()
    with pytest.raises(InputError, match=r"scoring\.text\.words = 'ja-mecab': needs no_such_module; install them with"):
        word_splitter("ja-mecab", "NFC")


def test_answers_to_questions_of_a_source_in_another_language_are_scored_by_its_words():
    benchmarks = {name: {"source": name, "tasks": ["oeq"]} for name in ("chinese", "english")}
    texts = {"text": settings_of("zh").scoring, "sources": {"english": settings_of("en").scoring}}
    spec = ScoringSpec.model_validate({"suite": {"benchmarks": benchmarks}, **texts})
    rows = {"benchmark": ["chinese", "english"], "item": ["1", "2"], "greedy_text": ["右肾结石", "patients treated"]}
    table = pa.table({**rows, "finish": ["stop", "stop"]})
    scores = text_scores(table, {("chinese", "1"): "左肾结石", ("english", "2"): "patient treats"}, spec)
    by_metric = {score.metric: score for score in scores}
    assert by_metric["meteor"].values[1] == pytest.approx(1 - 0.5 * (1 / 2) ** 3), "by the stems of English words"
    assert by_metric["rouge1"].values.tolist() == [3 / 4, 0]
    assert by_metric["words"].signature == (
        f"words:unicode,no-dictionary|form:width|regex:{version('regex')}; english: words:runs|regex:{version('regex')}"
    )
    assert ";" not in by_metric["chrf"].signature, "one way for both"
