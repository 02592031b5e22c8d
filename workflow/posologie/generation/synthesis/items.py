"""Replies become items: what is accepted, what is to be repaired, what is rejected and why."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from posologie.generation.backends.interface import Failure, Reply
from posologie.generation.rejection import Problem
from posologie.generation.structured import MalformedError, read_reply
from posologie.generation.synthesis.checks import problem_of, right_options
from posologie.generation.synthesis.requests import Ask, document_text
from posologie.generation.synthesis.spec import SynthesisSpec
from posologie.generation.synthesis.tasks import TASKS, ChoiceQuestion, Question
from posologie.items import Item, stable_id
from posologie.lineage import document_descent
from posologie.prompting import option_order


@dataclass
class Reading:
    """What one reply holds: at each position a question or the problem that it has.

    A reply that cannot be read, is too short, or never came has its problem at every missing position.
    """

    questions: dict[int, Question] = field(default_factory=dict)
    problems: dict[int, Problem] = field(default_factory=dict)

    def described(self) -> list[str]:
        """Return the problems as the model is told of them."""
        if len(set(self.problems.values())) == 1 and not self.questions:
            return [str(next(iter(self.problems.values())))]
        return [f"question {position + 1}: {problem}" for position, problem in sorted(self.problems.items())]


def read(outcome: Reply | Failure, ask: Ask, spec: SynthesisSpec) -> Reading:
    """Return what an outcome holds of the questions that were asked for."""
    wanted = spec.generator.tasks[ask.task]
    if isinstance(outcome, Failure):
        return _nothing(Problem("failed", outcome.error), wanted)
    if outcome.finish == "filtered":
        return _nothing(Problem("withheld by the endpoint"), wanted)
    task = TASKS[ask.task]
    try:
        questions = read_reply(outcome.text, task.form).questions
    except MalformedError as error:
        cut = outcome.finish == "length"
        return _nothing(Problem("reply cut at the token limit" if cut else "malformed reply", str(error)), wanted)
    reading, document = Reading(), document_text(ask.document, spec.generator)
    seen = set()
    for position in range(wanted):
        if position >= len(questions):
            reading.problems[position] = Problem("too few questions", f"{len(questions)} of {wanted}")
            continue
        question = questions[position]
        problem = problem_of(question, task, spec.generator, document)
        if problem is None and question.question.casefold() in seen:
            problem = Problem("repeats another question")
        seen.add(question.question.casefold())
        if problem is None:
            reading.questions[position] = question
        else:
            reading.problems[position] = problem
    return reading


def merged(first: Reading, second: Reading) -> Reading:
    """Return the accepted questions of the first reply, and the repaired reply's where the first had a problem."""
    whole = Reading(dict(first.questions))
    known = {question.question.casefold() for question in first.questions.values()}
    for position in first.problems:
        question = second.questions.get(position)
        if question is None:
            whole.problems[position] = second.problems[position]
        elif question.question.casefold() in known:
            whole.problems[position] = Problem("repeats another question")
        else:
            known.add(question.question.casefold())
            whole.questions[position] = question
    return whole


def item_of(question: Question, ask: Ask, spec: SynthesisSpec, prompt_sha256: str, repaired: bool) -> Item:
    """Return the item of an accepted question, its options in an order that depends on seed and item alone.

    Models write the right option first more often than not; the order in which they wrote them is not kept.
    """
    task = TASKS[ask.task]
    options = question.texts() if isinstance(question, ChoiceQuestion) else []
    identity = stable_id("generated", spec.name, ask.document["id"], ask.task, question.question, *sorted(options))
    order = option_order(identity, len(options), "generated", spec.generator.seed)
    right = right_options(question) if isinstance(question, ChoiceQuestion) else ()
    meta: dict[str, Any] = {
        "origin": ask.document["collection"],
        "document": ask.document["id"],
        "lineage": document_descent(ask.document),
        "synthesis_task": ask.task,
        "prompt": prompt_sha256,
        "repaired": repaired,
    }
    evidence = getattr(question, "evidence", "")
    if evidence:
        meta["evidence"] = evidence
    return Item(
        id=identity,
        source=spec.name,
        provenance="synthetic",  # until a source takes it and names its component
        split="train",
        task=task.task,
        question=question.question,
        context=document_text(ask.document, spec.generator) if task.shows_document else "",
        options=tuple(options[index] for index in order),
        gold=tuple(sorted(order.index(index) for index in right)),
        answer="" if isinstance(question, ChoiceQuestion) else question.answer,
        group=ask.document["group"],
        meta=meta,
    )


def reject(ask: Ask, position: int, problem: Problem, outcome: Reply | Failure) -> Mapping[str, Any]:
    """Return the row of a rejected question."""
    return {
        "document": ask.document["id"],
        "task": ask.task,
        "position": position,
        "reason": problem.reason,
        "detail": problem.detail,
        "reply": outcome.text if isinstance(outcome, Reply) else "",
    }


def _nothing(problem: Problem, wanted: int) -> Reading:
    return Reading(problems=dict.fromkeys(range(wanted), problem))
