"""The questions of synthesis: what each task asks for, the form of its reply, and what makes a question acceptable."""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from pydantic import BaseModel, ConfigDict

from posologie.backends.interface import Reply, Request
from posologie.backends.prompts import Prompt
from posologie.backends.texts import Problem, contains, json_schema, packed, shared, words
from posologie.generation.quantities import quantities
from posologie.generation.spec import Generator, TaskName
from posologie.language.languages import language_data, language_problem, position_dependent
from posologie.records.items import Task
from posologie.running.errors import InputError


class _Form(BaseModel):
    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)


class LabelledOption(_Form):
    """An option and the label that it is called by."""

    label: str
    text: str


class ChoiceQuestion(_Form):
    """A question with labelled options; `answers` are the labels of the right ones, `evidence` quotes the document."""

    question: str
    options: list[LabelledOption]
    answers: list[str]
    evidence: str

    def texts(self) -> list[str]:
        """Return the texts of the options."""
        return [option.text for option in self.options]


class SupportedQuestion(_Form):
    """An open question whose answer stands in the document; `evidence` quotes it."""

    question: str
    answer: str
    evidence: str


class OpenQuestion(_Form):
    """An open question on the document."""

    question: str
    answer: str


class ChoiceReply(_Form):
    """The reply to a choice task."""

    questions: list[ChoiceQuestion]


class SupportedReply(_Form):
    """The reply to an extractive open task."""

    questions: list[SupportedQuestion]


class OpenReply(_Form):
    """The reply to any other open task."""

    questions: list[OpenQuestion]


Question = ChoiceQuestion | SupportedQuestion | OpenQuestion


@dataclass(frozen=True)
class SynthesisTask:
    """What one task makes.

    Attributes:
        task: the items' task.
        form: the form of the reply.
        shows_document: whether the items carry the document as their context; otherwise a question must stand alone.
        faithful: whether the document must bear the answer out: a quoted passage where the form has one, and in any
            case its numbers and, of an open answer, half of its words of content.
    """

    task: Task
    form: type[ChoiceReply] | type[SupportedReply] | type[OpenReply]
    shows_document: bool
    faithful: bool


TASKS: Mapping[TaskName, SynthesisTask] = {
    "mcqu": SynthesisTask("mcqu", ChoiceReply, shows_document=False, faithful=True),
    "mcq": SynthesisTask("mcq", ChoiceReply, shows_document=False, faithful=True),
    "factual": SynthesisTask("oeq", SupportedReply, shows_document=False, faithful=True),
    "summary": SynthesisTask("oeq", OpenReply, shows_document=True, faithful=True),
    "differential": SynthesisTask("oeq", OpenReply, shows_document=True, faithful=False),
    "treatment": SynthesisTask("oeq", OpenReply, shows_document=True, faithful=False),
    "results": SynthesisTask("oeq", OpenReply, shows_document=True, faithful=False),
    "patient": SynthesisTask("oeq", OpenReply, shows_document=True, faithful=False),
    "mechanism": SynthesisTask("oeq", OpenReply, shows_document=True, faithful=False),
    "followup": SynthesisTask("oeq", OpenReply, shows_document=True, faithful=False),
}


@dataclass(frozen=True)
class Ask:
    """One task put to one document."""

    document: Mapping[str, str]
    task: TaskName
    request: Request


def asks(documents: Sequence[Mapping[str, str]], generator: Generator, prompts: Mapping[str, Prompt]) -> Iterator[Ask]:
    """Yield the requests for documents, by document and task."""
    for document in documents:
        for task in sorted(generator.tasks):
            yield Ask(document, task, _request(document, task, generator, prompts[task]))


def check_prompts(generator: Generator, prompts: Mapping[str, Prompt]) -> None:
    """Check that every task has a prompt in the right language, with a section for the repair.

    Raises:
        InputError: naming the first task whose prompt does not fit.
    """
    for task in sorted(generator.tasks):
        if task not in prompts:
            raise InputError(f"task '{task}': no prompt; expected --prompts {task}=FILE")
        if "repair" not in prompts[task].sections:
            raise InputError(f"prompt {prompts[task].name}: no section '== repair'; expected one")
        if prompts[task].language != generator.language:
            raise InputError(
                f"prompt {prompts[task].name}: language '{prompts[task].language}'; expected '{generator.language}'"
            )


def document_text(document: Mapping[str, str], generator: Generator) -> str:
    """Return what is shown of a document: title and text, cut at a sentence border where it is too long."""
    text = f"{document['title']}\n\n{document['text']}" if document["title"] else document["text"]
    return next(packed(text, len, generator.longest_document), "").strip()


def repair_request(ask: Ask, reply: Reply, problems: Sequence[str], prompt: Prompt) -> Request:
    """Return the request that shows a model its reply and what is wrong with it."""
    listed = "\n".join(f"- {problem}" for problem in problems)
    turns = (
        *ask.request.turns,
        ("assistant", reply.text or "{}"),
        ("user", prompt.filled("repair", {"problems": listed})),
    )
    return Request(turns, ask.request.decoding, schema=ask.request.schema, attempt=1)


def _request(document: Mapping[str, str], task: TaskName, generator: Generator, prompt: Prompt) -> Request:
    places = {
        "document": document_text(document, generator),
        "count": str(generator.tasks[task]),
        "options": str(generator.options),
    }
    # A seed of its own for every document and task: with one for all, an endpoint may draw alike everywhere.
    own = hashlib.blake2b(f"{generator.decoding.seed}\x1f{document['id']}\x1f{task}".encode(), digest_size=4).digest()
    decoding = generator.decoding.model_copy(update={"seed": int.from_bytes(own, "big") >> 1})
    return Request(prompt.turns(places), decoding, schema=json_schema(TASKS[task].form))


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
    positions = set()
    for answer in question.answers:
        if labels.count(_label(answer)) != 1:
            raise ValueError(answer)
        positions.add(labels.index(_label(answer)))
    return tuple(sorted(positions))


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
    wrong_given = any(_given_away(question.question, options[place]) for place in set(range(len(keys))) - set(right))
    if not wrong_given and any(_given_away(question.question, options[place]) for place in right):
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
    if itself is not None and (match := itself.search(whole)):
        yield Problem("speaks of itself", match.group())
    if elsewhere is not None and not task.shows_document and (match := elsewhere.search(whole)):
        yield Problem("refers to a text that is not shown", match.group())


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
