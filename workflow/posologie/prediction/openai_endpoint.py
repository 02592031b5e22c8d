"""Predict with a model behind an OpenAI-compatible endpoint.

    python -m posologie.prediction.openai_endpoint --spec JSON --items SOURCE=SHARD… --predictions SUITE=OUT…
        --run SUITE=OUT… --work DIR [--running JSON]

The greedy answer is the reply's text. Label probabilities are those of the first token where the endpoint offers
log-probabilities and names a label among its likeliest tokens; the likeliest label is then the constrained answer to a
single-answer question. Otherwise, and for several answers, labels are asked for once more under a JSON schema, if the
endpoint knows structured output; without it there is no constrained answer (null), and a reply that does not keep to
the schema is one without labels (an empty list, which counts as wrong). Replies stay in a cache in the work folder.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from posologie.commands import parser, run
from posologie.errors import InputError
from posologie.generation.backends import interface
from posologie.generation.backends.cache import Cache
from posologie.generation.backends.interface import Failure, LabelStep, Reply, Session
from posologie.generation.backends.openai_endpoint import open_backend
from posologie.generation.backends.spec import Decoding, Running
from posologie.items import LABELS
from posologie.prediction.endpoint_spec import EndpointPredictionSpec
from posologie.prediction.job import add_job_arguments, predict
from posologie.prediction.requests import Answer, Request
from posologie.progress import Progress
from posologie.prompting import chat


def main(argv: list[str]) -> None:
    """Answer suites with a served model."""
    arguments = parser("posologie.prediction.openai_endpoint", __doc__ or "")
    add_job_arguments(arguments)
    arguments.add_argument(
        "--running", default="{}", metavar="JSON", help="how the endpoint is asked: changes no reply"
    )
    options = arguments.parse_args(argv)
    spec = EndpointPredictionSpec.from_json(options.spec)
    published = [name for name, suite in spec.suites.items() if suite.protocol == "published"]
    if published:
        raise InputError(f"suites.{published[0]}.protocol = 'published': expected automaton; masks need a local model")
    running = Running.from_json(options.running)
    with Cache(options.work / "responses.sqlite") as cache:
        session = Session(open_backend(spec.backend, running), cache)
        predict(spec, options, {}, lambda: ServedModel(spec, session, options.work))


class ServedModel:
    """Answers windows of requests through an endpoint."""

    def __init__(self, spec: EndpointPredictionSpec, session: Session, work: Path) -> None:
        """Take an open session; `work` is where progress is shown."""
        self.spec, self.session, self.work = spec, session, work
        self.asked_again = 0

    def check(self, requests: Iterator[Request]) -> None:
        """Do nothing: what the model cannot be asked is known from its answers."""

    def facts(self) -> Mapping[str, Any]:
        """Return what the run record should say."""
        return {"backend": self.spec.backend.model_dump(mode="json"), "asked_again_under_schema": self.asked_again}

    def answers(self, requests: Sequence[Request], done: frozenset[int]) -> Iterator[list[Answer]]:
        """Answer a window.

        Raises:
            InputError: if requests failed for good; what was answered is kept, and a further run asks only the rest.
        """
        waiting = [request for request in requests if request.place not in done]
        replies = self._replies({request.place: self._greedy(request) for request in waiting})
        again = [request for request in waiting if self._needs_schema(request, replies[request.place])]
        self.asked_again += len(again)
        constrained = self._replies({request.place: self._under_schema(request) for request in again})
        yield [self._answer(request, replies[request.place], constrained.get(request.place)) for request in waiting]

    def _replies(self, asked: dict[int, interface.Request]) -> dict[int, Reply]:
        if not asked:
            return {}
        progress = Progress(self.work / "requests", f"{self.spec.model} (requests)", len(asked), "requests")
        self.session.complete(asked.values(), progress)
        outcomes = {place: self.session.reply(request) for place, request in asked.items()}
        failures = [outcome for outcome in outcomes.values() if isinstance(outcome, Failure)]
        if failures:
            found = f"{len(failures)} of {len(asked)} requests failed, the first: {failures[0].error}"
            raise InputError(f"{self.spec.backend.url}: {found}; what was answered is kept, run again for the rest")
        return {place: outcome for place, outcome in outcomes.items() if isinstance(outcome, Reply)}

    def _request(self, request: Request, labels: bool, schema: str | None = None) -> interface.Request:
        turns = chat(request.item, request.order, self.spec.prompting)
        limit = request.new_tokens
        if request.item.options and self.spec.choice_new_tokens is not None:
            limit = self.spec.choice_new_tokens
        decoding = Decoding(
            max_new_tokens=limit if schema is None else max(limit, 8 + 6 * len(request.order)),
            temperature=self.spec.temperature,
            seed=self.spec.seed,
        )
        wanted = tuple(LABELS[: len(request.order)]) if labels else ()
        pairs = tuple((turn["role"], turn["content"]) for turn in turns)
        return interface.Request(pairs, decoding, labels=wanted, schema=schema)

    def _greedy(self, request: Request) -> interface.Request:
        return self._request(request, labels=bool(request.item.options))

    def _under_schema(self, request: Request) -> interface.Request:
        return self._request(
            request, labels=False, schema=labels_schema(len(request.order), request.item.task == "mcq")
        )

    def _needs_schema(self, request: Request, reply: Reply) -> bool:
        if not request.item.options or self.spec.backend.structured != "json_schema":
            return False
        return request.item.task == "mcq" or first_step(reply) is None

    def _answer(self, request: Request, reply: Reply, constrained: Reply | None) -> Answer:
        first = first_step(reply) if request.item.options else None
        labels = None
        if constrained is not None:  # an endpoint that did not keep to the schema named no label, which is an answer
            labels = labels_in(constrained.text, len(request.order), request.item.task == "mcq") or ()
        elif first is not None and request.item.task == "mcqu":
            labels = (max(range(len(request.order)), key=first.probabilities.__getitem__),)
        return Answer(
            place=request.place,
            greedy_text=reply.text,
            prompt_tokens=reply.prompt_tokens,
            generated_tokens=reply.generated_tokens - reply.thought_tokens,
            finish=reply.finish,
            constrained_labels=labels,
            label_probabilities=None if first is None else first.probabilities,
            label_mass=None if first is None else first.mass,
            thoughts=reply.thoughts,
            thought_tokens=reply.thought_tokens,
        )


def first_step(reply: Reply) -> LabelStep | None:
    """Return the probabilities of the labels at the first token, if the endpoint told them."""
    return next((step for step in reply.label_steps if step.offset == 0), None)


def labels_schema(options: int, several: bool) -> str:
    """Return the JSON schema of an answer: one label, or a list of labels."""
    label = {"type": "string", "enum": list(LABELS[:options])}
    value = {"type": "array", "items": label, "minItems": 1, "maxItems": options} if several else label
    schema = {"type": "object", "properties": {"labels": value}, "required": ["labels"], "additionalProperties": False}
    return json.dumps(schema, sort_keys=True)


def labels_in(text: str, options: int, several: bool) -> tuple[int, ...] | None:
    """Return the labels in a reply under the schema, or None if the endpoint did not keep to it."""
    try:
        found = json.loads(text)["labels"]
    except (ValueError, LookupError, TypeError):
        return None
    letters = found if several and isinstance(found, list) else [found]
    if not letters or any(letter not in list(LABELS[:options]) for letter in letters):
        return None
    return tuple(sorted({LABELS.index(letter) for letter in letters}))


if __name__ == "__main__":
    run(main)
