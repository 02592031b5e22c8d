"""Options of the reader of instruction pairs."""

from pydantic import Field

from posologie.records.specs import Spec


class Options(Spec):
    """Options of the reader: the names of the fields, the first that a record has being taken."""

    question: tuple[str, ...] = Field(
        default=("instruction", "question", "Question", "prompt"), description="fields of the question"
    )
    context: tuple[str, ...] = Field(
        default=("input", "context", "clinical_case", "Contexte"), description="fields of the context"
    )
    answer: tuple[str, ...] = Field(
        default=("output", "answer", "response", "Réponse", "Reponse"), description="fields of the answer"
    )
    subject: tuple[str, ...] = Field(
        default=("subject", "specialty", "Spécialité", "Specialite"), description="fields of the subject"
    )
    id: str | None = Field(default=None, description="field of the record's own identifier")
    group: tuple[str, ...] = Field(default=(), description="fields that together name what belongs to one case")
    origin: str | None = Field(default=None, description="name of the origin; the name of the source if left out")
