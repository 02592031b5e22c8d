"""A judge's reply becomes a verdict, and answers that try to steer their judge."""

import re
from collections import deque
from typing import Any

from posologie.backends.interface import Failure, LabelStep, Reply
from posologie.backends.prompts import Prompt, reply_columns, tag_in, tags_of
from posologie.judging.spec import Judge
from posologie.language.marks import control_marks, has_mark
from posologie.running.errors import InputError


def verdict(outcome: Reply | Failure, judge: Judge, prompt_sha256: str) -> dict[str, Any]:
    """Return the columns of a verdict (`posologie.judging.answers`); a reply without verdict is a row too."""
    columns: dict[str, Any] = {"label": None, "probability": None, "label_mass": None, "outcome": "failed"}
    columns |= reply_columns(outcome, prompt_sha256)
    if isinstance(outcome, Failure):
        return columns
    match = last_match(judge.verdict, outcome.text)
    if match is not None and match.group(1) not in judge.labels:
        expected = " or ".join(judge.labels)
        raise InputError(f"verdict = '{judge.verdict}': its group matched '{match.group(1)}'; expected {expected}")
    step = _step(outcome, judge, match)
    if step is not None:
        columns |= {"probability": step.probabilities[1], "label_mass": step.mass}
    if match is not None:
        columns["label"] = judge.labels.index(match.group(1))
    without = "filtered" if outcome.finish == "filtered" else "unparsable"
    return {**columns, "outcome": "label" if match else without}


def last_match(pattern: str, text: str) -> re.Match[str] | None:
    """Return the last match of a pattern in a text: a reasoning judge may name both labels before it decides."""
    return next(iter(deque(re.finditer(pattern, text), maxlen=1)), None)


def _step(reply: Reply, judge: Judge, match: re.Match[str] | None) -> LabelStep | None:
    """Return the step whose probabilities count: the first token's, or that of the token which is the verdict."""
    if judge.probability_at == "first_token":
        return reply.label_steps[0] if reply.label_steps and reply.label_steps[0].offset == 0 else None
    if match is None:
        return None
    place = match.start(1)
    steps = [step for step in reply.label_steps if step.offset <= place and not reply.text[step.offset : place].strip()]
    return steps[-1] if steps else None


_ORDER = re.compile(
    r"\b(?:ignore|disregard|forget|ignorez?|oublie[zr]?|ignoriere|vergiss|ignora|olvida|ignore[rm]?|desconsidere)\b"
    r"[^.!?\n]{0,40}\b(?:instructions?|consignes?|prompts?|anweisung\w*|instrucci\w+|istruzion\w+|instruç\w+|above|"
    r"ci-dessus|précédent\w*|previous|earlier)\b|"
    r"\b(?:as an? (?:judge|grader|evaluator)|to the (?:judge|grader)|en tant que (?:juge|correcteur|correctrice))\b|"
    r"\b(?:answer|reply|respond|output|return|répond(?:s|ez)|antworte|responde|rispondi)\b[^.!?\n]{0,30}"
    r"\b(?:with|only|par|avec|mit|con|com)\b[^.!?\n]{0,20}[\"'«“(]?\s?(?:1|0)\b|"
    r"\bverdict\s*[:=]\s*[01]\b|"
    r"\b(?:this|the candidate'?s?|la|cette|le candidat) (?:answer|response|réponse)[^.!?\n]{0,30}\b(?:is|est) "
    r"(?:equivalent|équivalente|fully correct|parfaitement (?:juste|exacte))",
    re.IGNORECASE,
)
"""What addresses a judge, in the languages whose models do it most."""


def steering(candidate: str, prompt: Prompt) -> str | None:
    """Return what in an answer may steer its judge, or None."""
    if marks := control_marks(candidate):
        return f"control token {marks[0]}"
    if has_mark(candidate):
        return "mark of a thought"
    if match := tag_in(candidate, tags_of(prompt.sections.get("user", ""))):
        return f"tag {match[0][:80]}"
    order = _ORDER.search(candidate)
    return None if order is None else f"order: {order[0][:80]}"
