import json

import pytest

from posologie.backends.texts import MalformedError, json_schema, read_reply
from posologie.generation.questions import ChoiceReply, OpenReply

GOOD = '{"questions": [{"question": "Q ?", "answer": "A"}]}'


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        f"  {GOOD}\n",
        f"```json\n{GOOD}\n```",
        f"Voici la réponse :\n```\n{GOOD}\n```\nBonne journée.",
        f"Bien sûr. {GOOD} Voilà.",
        '{"questions": [{"question": "Q ?", "answer": "A\n"}]}',
    ],
)
def test_the_object_is_found_in_what_surrounds_it(text):
    assert read_reply(text, OpenReply).questions[0].question == "Q ?"


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "no JSON object"),
        ("[1, 2]", "no JSON object"),
        ('{"questions": [', "not JSON"),
        ('{"questions": [{"question": "Q ?"}]}', r"questions\.0\.answer: missing"),
        ('{"questions": [{"question": "Q ?", "answer": 3}]}', r"questions\.0\.answer = 3: expected"),
        ('{"questions": [], "note": "x"}', "note: unknown key"),
    ],
)
def test_what_does_not_fit_is_said_in_one_line(text, problem):
    with pytest.raises(MalformedError, match=problem) as error:
        read_reply(text, OpenReply)
    assert "\n" not in str(error.value)


def test_the_schema_is_closed_and_requires_everything_as_strict_endpoints_want():
    schema = json.loads(json_schema(ChoiceReply))
    for part in (schema, *schema["$defs"].values()):
        assert part["additionalProperties"] is False
        assert sorted(part["required"]) == sorted(part["properties"])
