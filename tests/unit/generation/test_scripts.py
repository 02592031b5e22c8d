"""Generated questions in other scripts than Latin."""

import pytest

from posologie.generation.questions import TASKS, SupportedQuestion, problem_of
from posologie.generation.spec import Generator
from posologie.generation.translation_checks import Fields, Languages, matched, problems_of
from posologie.generation.vocabulary import words_of

CHINESE = "患者女，32岁，因发热3天就诊。尿试纸显示白细胞和亚硝酸盐。诊断为急性肾盂肾炎，给予头孢曲松每日1克治疗。"


@pytest.mark.parametrize(
    ("language", "document", "question", "answer", "evidence", "reason"),
    [
        ("zh", CHINESE, "急性肾盂肾炎可用何种抗生素？", "头孢曲松每日1克", "给予头孢曲松每日1克治疗", None),
        (
            "zh",
            CHINESE,
            "急性肾盂肾炎可用何种抗生素？",
            "头孢曲松",
            "给予头孢他啶每日1克治疗",
            "evidence not in the document",
        ),
        (
            "zh",
            CHINESE,
            "根据本文，应使用何种抗生素？",
            "头孢曲松",
            "给予头孢曲松每日1克",
            "refers to a text that is not shown",
        ),
        (
            "zh",
            CHINESE,
            "为何使用头孢曲松治疗肾盂肾炎？",
            "头孢曲松",
            "给予头孢曲松每日1克",
            "question gives the answer away",
        ),
        (
            "hi",
            "रोगी को तीन दिन से बुखार है और उसे दिल की बीमारी नहीं है।",
            "बुखार कितने दिन से है?",
            "तीन दिन",
            "रोगी को तीन दान से बुखार",
            "evidence not in the document",
        ),
        (
            "ar",
            "يعاني المريض من حمى منذ ثلاثة أيام وشُخّص بالتهاب الكلية.",
            "في النص، ما مرض المريض؟",
            "التهاب الكلية",
            "شخص بالتهاب الكلية",
            "refers to a text that is not shown",
        ),
    ],
)
def test_questions_of_other_scripts_are_checked_by_their_own_words(
    language, document, question, answer, evidence, reason
):
    backend = {"kind": "openai_endpoint", "model": "m", "url": "http://localhost"}
    generator = Generator.model_validate({"backend": backend, "tasks": {"factual": 1}, "language": language})
    asked = SupportedQuestion(question=question, answer=answer, evidence=evidence)
    problem = problem_of(asked, TASKS["factual"], generator, document)
    assert (problem and problem.reason) == reason


ENGLISH = Fields(
    "A 65-year-old man presents to the emergency department with crushing chest pain radiating to the left arm for two "
    "hours. What is the most likely diagnosis?",
    options=("Acute myocardial infarction", "Pulmonary embolism", "Aortic dissection", "Pneumothorax"),
)
TRANSLATED = {
    "zh": Fields(
        "一名65岁男性因压榨性胸痛放射至左臂两小时到急诊就诊。最可能的诊断是什么？",
        options=("急性心肌梗死", "肺栓塞", "主动脉夹层", "气胸"),
    ),
    "ja": Fields(
        "65歳の男性が、2時間前からの左腕に放散する圧迫性の胸痛を主訴に救急外来を受診した。最も考えられる診断はどれか。",
        options=("急性心筋梗塞", "肺塞栓症", "大動脈解離", "気胸"),
    ),
    "ar": Fields(
        "رجل عمره 65 عامًا حضر إلى قسم الطوارئ بألم صدري ساحق ينتشر إلى الذراع اليسرى منذ ساعتين. "
        "ما هو التشخيص الأكثر احتمالًا؟",
        options=("احتشاء عضلة القلب الحاد", "الانصمام الرئوي", "تسلخ الأبهر", "استرواح الصدر"),
    ),
    "hi": Fields(
        "एक 65 वर्षीय पुरुष दो घंटे से बाईं बांह तक फैलने वाले तीव्र सीने के दर्द के साथ आपातकालीन विभाग में आता है। "
        "सबसे संभावित निदान क्या है?",
        options=("तीव्र रोधगलन", "फुफ्फुसीय अंतःशल्यता", "महाधमनी विच्छेदन", "वातिलवक्ष"),
    ),
}


@pytest.mark.parametrize("code", TRANSLATED)
def test_a_faithful_translation_into_another_script_has_no_problem_either_way(code):
    translated = TRANSLATED[code]
    assert list(problems_of(ENGLISH, translated, Languages("en", code))) == []
    assert list(problems_of(translated, ENGLISH, Languages(code, "en"))) == []
    half = Fields(translated.question[: len(translated.question) // 3], options=translated.options)
    assert "length" in {problem.reason for problem in problems_of(ENGLISH, half, Languages("en", code))}


@pytest.mark.parametrize(
    ("word", "code", "number"),
    [
        ("तीन", "hi", "3"),
        ("चालीस", "hi", "40"),
        ("三十", "zh", "30"),
        ("九十九", "zh", "99"),
        ("三十", "ja", "30"),
        ("trois", "fr", "3"),
    ],
)
def test_a_number_in_words_is_one_in_every_language_that_has_words_for_numbers(word, code, number):
    assert [word_read.number for word_read in words_of(word, code)] == [number]


@pytest.mark.parametrize(
    ("code", "options"), [("hi", ("तीन दिन", "पाँच दिन", "नौ दिन")), ("zh", ("三天", "五天", "九天"))]
)
def test_exchanged_options_are_found_by_their_numbers_in_words(code, options):
    english = ("3 days", "5 days", "9 days")
    assert matched(english, options, "en", code).order == (0, 1, 2)
    assert matched(english, (options[1], options[0], options[2]), "en", code).order == (1, 0, 2)
