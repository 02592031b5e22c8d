"""Generated questions in other scripts than Latin."""

import pytest

from posologie.generation.spec import Generator
from posologie.generation.synthesis.items import problem_of
from posologie.generation.synthesis.requests import TASKS, SupportedQuestion

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
