"""What the statistics of a study name is checked when the study is read, before anything is trained."""

import pytest

from posologie.config.check import check_references
from posologie.config.study import Study
from posologie.running.errors import InputError
from posologie.scoring.metrics import METRICS, metric

STUDY = {
    "study": "mine",
    "sources": {"native": {"provenance": "native", "hub": "owner/data"}},
    "suites": {
        "mcqa": {"permutations": 1, "benchmarks": {"exams": {"source": "native", "tasks": ["mcqu"]}}},
        "oeq": {"benchmarks": {"cases": {"source": "native", "tasks": ["oeq"]}}},
    },
    "mixes": {name: {"shares": {"native": 1}, "size": 10} for name in ("NAT", "SYN")},
    "backbones": {"b": {"hub": "owner/model"}},
}
EM = {"metric": "em", "decoding": "constrained"}


def family(**changes):
    return {"families": {"main": {"suites": ["mcqa"], "measured": EM, **changes}}}


@pytest.mark.parametrize(
    ("statistics", "expected"),
    [
        ({"primary_choice": {"metric": "emm"}}, ("statistics.primary_choice.metric", "'emm'", "did you mean 'em'")),
        ({"primary_choice": {"metric": "em", "decoding": "judged"}}, ("decoding = 'judged'", "greedy or constrained")),
        ({"primary_choice": {"metric": "rouge2"}}, ("not a metric of choice questions", "em, hamming")),
        ({"primary_choice": {"metric": "calibration_error", "decoding": "probabilities"}}, ("cannot be tested",)),
        ({"primary_choice": {**EM, "aggregate": "mean_of_tasks"}}, ("mean_of_tasks", "mcqa")),
        ({"primary_text": {"metric": "rouge2", "variants": "permuted"}}, ("variants = 'permuted'", "oeq")),
        ({"primary_text": {"metric": "bertscore"}}, ("scoring.encoder",)),
        ({"primary_text": {"metric": "judge:nobody", "decoding": "judged"}}, ("judge = 'nobody'", "none")),
        ({"primary_text": {"metric": "judge", "decoding": "judged"}}, ("'judge'", "judge:JUDGE")),
        ({"contrasts": [["NAT", "SIN"]]}, ("statistics.contrasts[0] = 'SIN'", "did you mean 'SYN'")),
        ({"contrasts": [["NAT", "NAT"]]}, ("statistics.contrasts[0]", "twice")),
        (family(suites=["mcq"]), ("statistics.families.main.suites = 'mcq'", "did you mean 'mcqa'")),
        (family(scopes=["exam"]), ("statistics.families.main.scopes = 'exam'", "did you mean 'exams'")),
        (family(scopes=["provenance:translated"]), ("'translated'", "native")),
        (family(contrasts=[["NAT", "bse"]]), ("statistics.families.main.contrasts[0] = 'bse'", "'base'")),
        (family(measured={"metric": "rouge2"}), ("none of its suites has open questions",)),
        ({"sweeps": {"dose": {"NTA": 1}}}, ("statistics.sweeps.dose = 'NTA'", "did you mean 'NAT'")),
    ],
)
def test_a_number_or_comparison_that_cannot_exist_is_refused_in_one_line(statistics, expected):
    with pytest.raises(InputError) as caught:
        check_references(Study.model_validate({**STUDY, "statistics": statistics}))
    assert "\n" not in str(caught.value)
    for part in expected:
        assert part in str(caught.value)


@pytest.mark.parametrize(
    "statistics",
    [
        {},
        {"primary_choice": {**EM, "variants": "permuted"}, "contrasts": [["NAT", "SYN"], ["SYN", "base"]]},
        family(scopes=["all", "native", "benchmark:exams"], contrasts=[["NAT", "SYN"]]),
        {"sweeps": {"dose": {"base": 0, "NAT": 10}}},
    ],
)
def test_what_can_exist_passes(statistics):
    check_references(Study.model_validate({**STUDY, "statistics": statistics}))


def test_a_study_without_open_questions_may_leave_the_default_text_metric():
    suites = {"mcqa": STUDY["suites"]["mcqa"]}
    check_references(Study.model_validate({**STUDY, "suites": suites}))


@pytest.mark.parametrize("name", ["emm", "judge", "judge:", "em:judge", ""])
def test_a_metric_outside_the_registry_is_refused(name):
    with pytest.raises(InputError, match="not in the registry"):
        metric(name)


def test_a_metric_says_how_it_is_read():
    assert metric("judge:a") is METRICS["judge"]
    assert {name for name, entry in METRICS.items() if entry.direction == 1} == {
        "em", "hamming", "hamming_options",
        "bleu", "chrf", "rouge1", "rouge2", "rougeL", "meteor", "bertscore", "judge",
    }  # fmt: skip
    assert {name for name, entry in METRICS.items() if entry.unit != "%"} == {"brier", "words", "reference_words"}
