"""The tasks of synthesis: what each asks for, the form of its reply, and the request to repair a faulty one."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from posologie.backends.interface import Reply, Request
from posologie.backends.prompts import Prompt
from posologie.backends.texts import json_schema, packed
from posologie.generation.spec import Generator, TaskName
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
