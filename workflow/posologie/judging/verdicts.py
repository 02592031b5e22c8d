"""A judge's reply becomes a verdict: the hard label, the probability of "1", or why there is none."""

import re
from collections import deque
from typing import Any

from posologie.backends.interface import Failure, LabelStep, Reply
from posologie.backends.prompts import reply_columns
from posologie.judging.spec import Judge
from posologie.running.errors import InputError


def verdict(outcome: Reply | Failure, judge: Judge, prompt_sha256: str) -> dict[str, Any]:
    """Return the columns of a verdict (`posologie.judging.schema`); a reply without verdict is a row like any other."""
    columns: dict[str, Any] = {"label": None, "probability": None, "label_mass": None, "outcome": "failed"}
    columns |= reply_columns(outcome, prompt_sha256)
    if isinstance(outcome, Failure):
        return columns
    found = last_match(judge.verdict, outcome.text)
    if found is not None and found.group(1) not in judge.labels:
        expected = " or ".join(judge.labels)
        raise InputError(f"verdict = '{judge.verdict}': its group matched '{found.group(1)}'; expected {expected}")
    step = _step(outcome, judge, found)
    if step is not None:
        columns |= {"probability": step.probabilities[1], "label_mass": step.mass}
    if found is not None:
        columns["label"] = judge.labels.index(found.group(1))
    without = "filtered" if outcome.finish == "filtered" else "unparsable"
    return {**columns, "outcome": "label" if found else without}


def last_match(pattern: str, text: str) -> re.Match[str] | None:
    """Return the last match of a pattern in a text: a reasoning judge may name both labels before it decides."""
    return next(iter(deque(re.finditer(pattern, text), maxlen=1)), None)


def _step(reply: Reply, judge: Judge, found: re.Match[str] | None) -> LabelStep | None:
    """Return the step whose probabilities count: the first token's, or that of the token which is the verdict."""
    if judge.probability_at == "first_token":
        return reply.label_steps[0] if reply.label_steps and reply.label_steps[0].offset == 0 else None
    if found is None:
        return None
    place = found.start(1)
    steps = [step for step in reply.label_steps if step.offset <= place and not reply.text[step.offset : place].strip()]
    return steps[-1] if steps else None
