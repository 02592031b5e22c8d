"""JSON in a model's reply: found, parsed, and checked against its model."""

import json
import re
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from posologie.specs import first_problem

Reply = TypeVar("Reply", bound=BaseModel)

_FENCED = re.compile(r"```(?:json)?\s*\n(.*?)\n?\s*```", re.DOTALL)


class MalformedError(Exception):
    """A reply that is not the JSON that was asked for; the message says how."""


def json_schema(model: type[BaseModel]) -> str:
    """Return a model's JSON schema as canonical text: closed objects, every field required."""
    return json.dumps(model.model_json_schema(), sort_keys=True, ensure_ascii=False)


def read_reply(text: str, model: type[Reply]) -> Reply:
    """Return the object in a reply: the whole text, a fenced block, or what lies between the outermost braces.

    Raises:
        MalformedError: if there is no JSON object, or it does not fit the model.
    """
    try:
        return model.model_validate(_object(text))
    except ValidationError as error:
        raise MalformedError(first_problem(error)) from error


def _object(text: str) -> Any:
    fenced = _FENCED.search(text)
    candidates = [text.strip(), fenced.group(1) if fenced else "", text[text.find("{") : text.rfind("}") + 1]]
    problem = "no JSON object"
    for candidate in filter(None, candidates):
        try:
            value = json.loads(candidate, strict=False)  # line breaks inside texts are forgiven
        except json.JSONDecodeError as error:
            problem = f"not JSON ({error.msg}, character {error.pos})"
            continue
        if isinstance(value, dict):
            return value
    raise MalformedError(problem)
