"""A document and a task become a request, and a faulty reply becomes the request to repair it."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from posologie.errors import InputError
from posologie.generation.backends.interface import Reply, Request
from posologie.generation.prompts import Prompt
from posologie.generation.sentences import packed
from posologie.generation.structured import json_schema
from posologie.generation.synthesis.spec import Generator, TaskName
from posologie.generation.synthesis.tasks import TASKS


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
