"""Records become items by the templates of a task of lm-evaluation-harness."""

import json

import pytest

from posologie.sources.cleaning import Rejected
from posologie.sources.drafts import finished
from posologie.sources.lm_eval import Options, draft
from posologie.sources.shards import Place
from posologie.sources.spec import ShardSpec

SPEC = ShardSpec(source="exam", provenance="native", split="test", patterns=())
LETTERED = "{{question.strip()}}\nA. {{choices[0]}}\nB. {{choices[1]}}\nC. {{choices[2]}}\nAnswer:"
RECORD = {"question": " Which bone: is the longest? ", "choices": ["Femur", "Tibia", "Ulna"], "answer": 0}


def item(record=RECORD, output_type="multiple_choice", **templates):
    options = Options(output_type=output_type, **templates)
    return finished(draft(record, Place("f", 1), options), SPEC, set())


def test_options_behind_letters_are_taken_out_of_the_text():
    result = item(doc_to_text=LETTERED, doc_to_choice=["A", "B", "C"], doc_to_target="answer")
    assert (result.question, result.options, result.gold) == (
        "Which bone: is the longest?",
        ("Femur", "Tibia", "Ulna"),
        (0,),
    )


@pytest.mark.parametrize(
    ("target", "record"),
    [
        ("answer", {"answer": 2}),
        ("{{answer}}", {"answer": 2}),
        ("{{['A', 'B', 'C'].index(answer)}}", {"answer": "C"}),
        ("{{choices[-1]}}", {}),
        ("answer", {"answer": "Ulna"}),
        (2, {}),
        ("{{[answer]}}", {"answer": 2}),
    ],
)
def test_the_target_is_an_index_a_label_or_a_text(target, record):
    result = item(
        {**RECORD, **record},
        doc_to_text="Question: {{question}}\nRéponse :",
        doc_to_choice="choices",
        doc_to_target=target,
    )
    assert result.options[result.gold[0]] == "Ulna"
    assert result.question == "Which bone: is the longest?"


@pytest.mark.parametrize("choices", ["{{choices}}", "choices", "{{[choices[0], choices[1], choices[2]]}}"])
def test_choices_are_a_column_or_a_list_that_a_template_writes(choices):
    result = item(doc_to_text="question", doc_to_choice=choices, doc_to_target="answer")
    assert result.options == ("Femur", "Tibia", "Ulna")


def test_a_label_of_the_record_picks_one_of_fixed_choices():
    record = {"premise": "It rains.", "label": True}
    result = item(record, doc_to_text="{{premise}} True or false?", doc_to_choice=["no", "yes"], doc_to_target="label")
    assert (result.options, result.gold) == (("no", "yes"), (1,))
    assert result.question == "It rains. True or false?", "what is asked stays"


def test_open_questions_have_a_reference():
    result = item({"q": "Why?", "a": 18}, "generate_until", doc_to_text="Q: {{q}}\nA:", doc_to_target="{{a}}")
    assert (result.task, result.question, result.answer) == ("oeq", "Why?", "18")


@pytest.mark.parametrize(
    ("record", "templates", "reason"),
    [
        ({"answer": 3}, {}, "the answer is no choice"),
        ({"answer": "D"}, {}, "the answer is no choice"),
        ({"answer": [0, 1]}, {}, "several right answers"),
        ({"question": None}, {}, "a template does not fit"),
        ({}, {"doc_to_text": "{{nothing}}"}, "a template does not fit"),
        ({}, {"doc_to_text": "{{question.__class__.__mro__}}"}, "a template does not fit"),
        ({}, {"doc_to_text": "{{question}}", "doc_to_choice": ["A", "B", "C"]}, "fewer than two options"),
        ({}, {"doc_to_text": LETTERED, "doc_to_choice": ["A", "B"]}, "unreadable options"),
        ({}, {"doc_to_choice": "question"}, "unreadable options"),
    ],
)
def test_records_that_do_not_fit_are_rejected_with_a_reason(record, templates, reason):
    own = {"doc_to_text": "{{question.strip()}}", "doc_to_choice": "choices", "doc_to_target": "answer", **templates}
    with pytest.raises(Rejected) as caught:
        item({**RECORD, **record}, **own)
    assert caught.value.reason == reason


def test_text_of_a_record_is_never_a_template():
    result = item(
        {**RECORD, "question": "What is {{answer}} of {% raw %}?"},
        doc_to_text="{{question}}",
        doc_to_choice="choices",
        doc_to_target="answer",
    )
    assert result.question == "What is {{answer}} of {% raw %}?"


def test_a_shard_is_written(read):
    records = [{**RECORD, "question": f"Which bone {number}?", "answer": number % 4} for number in range(8)]
    lines = "\n".join(json.dumps(record) for record in records)
    options = {"output_type": "multiple_choice", "doc_to_text": LETTERED, "doc_to_choice": ["A", "B", "C"],
               "doc_to_target": "answer"}  # fmt: skip
    shard = read("lm_eval", {"test.jsonl": lines}, split="test", options=options)
    assert shard.reasons == {"the answer is no choice": 2}
    assert len(shard.items) == 6
