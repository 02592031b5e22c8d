"""The tasks of synthesis: what each one asks for, and the form of its reply."""

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from posologie.generation.synthesis.spec import TaskName
from posologie.items import Task


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
