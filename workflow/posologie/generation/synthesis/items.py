"""Replies become items: what is accepted, what is to be repaired, what is rejected and why."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from posologie.backends.interface import Failure, Reply
from posologie.backends.texts import MalformedError, Problem, contains, read_reply, shared, words
from posologie.generation.quantities import quantities
from posologie.generation.spec import Generator, SynthesisSpec
from posologie.generation.synthesis.requests import (
    TASKS,
    Ask,
    ChoiceQuestion,
    Question,
    SupportedQuestion,
    SynthesisTask,
    document_text,
)
from posologie.language.languages import language_data, language_problem, position_dependent
from posologie.records.items import Item, document_descent, stable_id
from posologie.records.prompting import option_order
from posologie.running.errors import InputError

_LEAST_SHARED = 0.5
"""Share of an answer's content words that must occur in the document. A paraphrase keeps most of its nouns."""

_LEAST_EVIDENCE = 3
_GIVEN_AWAY = 4
"""Letters from which an answer that stands in the question gives it away: `non` and `oui` stand in many."""


def problem_of(question: Question, task: SynthesisTask, generator: Generator, document: str) -> Problem | None:
    """Return the first problem of a question, or None."""
    return next(_problems(question, task, generator, document), None)


def right_options(question: ChoiceQuestion) -> tuple[int, ...]:
    """Return the positions of the right options, ascending: those that the answers call by their labels.

    Raises:
        ValueError: naming a label that no option has, or two have.
    """
    labels = [_label(option.label) for option in question.options]
    found = set()
    for answer in question.answers:
        if labels.count(_label(answer)) != 1:
            raise ValueError(answer)
        found.add(labels.index(_label(answer)))
    return tuple(sorted(found))


def _label(text: str) -> str:
    return text.strip(" ()[].:").casefold()


def _problems(question: Question, task: SynthesisTask, generator: Generator, document: str) -> Iterator[Problem]:
    if not question.question:
        yield Problem("empty question")
    elif not any(map(str.isalpha, question.question)):
        yield Problem("no letters in the question")
    if isinstance(question, ChoiceQuestion):
        yield from _of_choices(question, task, generator)
        options = question.texts()
        right = {_label(answer) for answer in question.answers}
        answers = [option.text for option in question.options if _label(option.label) in right]
        texts = (question.question, *options)
    else:
        if not question.answer:
            yield Problem("empty answer")
        answers = [question.answer]
        texts = (question.question, question.answer)
        if _given_away(question.question, question.answer):
            yield Problem("question gives the answer away")
    if problem := language_problem(texts, generator.language):
        yield Problem("another language", problem)
    yield from _of_wording(texts, task, generator.language)
    if task.faithful:
        yield from _of_support(question, answers, document, generator.language)


def _of_choices(question: ChoiceQuestion, task: SynthesisTask, generator: Generator) -> Iterator[Problem]:
    if len(question.options) != generator.options:
        yield Problem("number of options", f"{len(question.options)}, expected {generator.options}")
    options = question.texts()
    keys = [tuple(words(option)) for option in options]
    if len(set(keys)) < len(keys) or () in keys:
        yield Problem("options repeated or empty")
    try:
        right = right_options(question)
    except ValueError as error:
        yield Problem("answer not among the options", str(error)[:80])
        return
    most = 1 if task.task == "mcqu" else len(keys) - 1
    if not 1 <= len(right) <= most:
        yield Problem("number of right answers", f"{len(right)} of {len(keys)}")
        return
    wrong_given = any(_given_away(question.question, options[one]) for one in set(range(len(keys))) - set(right))
    if not wrong_given and any(_given_away(question.question, options[one]) for one in right):
        yield Problem("question gives the answer away")
    pattern = _on_the_options(generator.language)
    if pattern is not None and pattern.search("\n".join(options)):
        yield Problem("option on the other options")


@cache
def _on_the_options(language: str) -> re.Pattern[str] | None:
    return position_dependent((language,))


def _given_away(question: str, answer: str) -> bool:
    return sum(len(word) for word in words(answer)) >= _GIVEN_AWAY and contains(words(question), words(answer))


def _of_wording(texts: tuple[str, ...], task: SynthesisTask, language: str) -> Iterator[Problem]:
    whole = "\n".join(texts).replace("’", "'")
    itself, elsewhere = _phrases(language, "speaks_of_itself"), _phrases(language, "refers_to_text")
    if itself is not None and (found := itself.search(whole)):
        yield Problem("speaks of itself", found.group())
    if elsewhere is not None and not task.shows_document and (found := elsewhere.search(whole)):
        yield Problem("refers to a text that is not shown", found.group())


@cache
def _phrases(language: str, key: str) -> re.Pattern[str] | None:
    """Return the pattern of phrases of a language, or None where it has none."""
    phrases = language_data(language).get(key)
    try:
        return re.compile("|".join(phrases), re.IGNORECASE) if phrases else None
    except re.error as error:
        raise InputError(f"resources/languages/{language}.yaml, {key}: not regular expressions ({error})") from error


def _of_support(question: Question, answers: list[str], document: str, language: str) -> Iterator[Problem]:
    """Yield what the document does not bear out: the quoted passage, numbers, most words of an open answer."""
    if isinstance(question, ChoiceQuestion | SupportedQuestion):
        whole = words(document)
        quoted = [words(part) for part in re.split(r"\[?(?:\.\.\.|…)\]?", question.evidence) if words(part)]
        if sum(map(len, quoted)) < _LEAST_EVIDENCE or not all(contains(whole, part) for part in quoted):
            yield Problem("evidence not in the document", question.evidence[:80])
    known = {reading for quantity in quantities(document, language) for reading in quantity.readings}
    for answer in answers:
        for quantity in quantities(answer, language):
            if not quantity.readings & known:
                yield Problem("number not in the document", quantity.text)
    if not isinstance(question, ChoiceQuestion) and shared(answers[0], document) < _LEAST_SHARED:
        yield Problem("answer not supported by the document", f"{shared(answers[0], document):.0%} of its words")


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
