"""Predict with a model behind an OpenAI-compatible endpoint, or behind an engine that the job starts.

    python -m posologie.prediction.served --backend KIND --spec JSON --items SOURCE=SHARD… --predictions SUITE=OUT…
        --run SUITE=OUT… --work DIR [--running JSON] [--backbone MANIFEST]

KIND is openai_endpoint, or engine with the manifest of the model that it serves.

The greedy answer is the reply's text. Label probabilities are those of the first token where the endpoint offers
log-probabilities and names a label among its likeliest tokens; the likeliest label is then the constrained answer to a
single-answer question. Otherwise, and for several answers, labels are asked for once more: under a grammar of the
automaton's own language where the endpoint takes one, else under a JSON schema if it knows structured output, else
there is no constrained answer (null). A reply that was cut is asked once more with more room. One that does not keep to
the schema is an answer without labels (an empty list, which counts as wrong); one that does not keep to a grammar ends
the job, because the server ignores it. The run record counts which answers came about how. Replies stay in a cache in
the work folder.
"""

import functools
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

from posologie.backends import interface
from posologie.backends.asking import add_backend_argument, open_backend
from posologie.backends.cache import Cache
from posologie.backends.interface import Failure, LabelLanguage, LabelStep, Reply, Session
from posologie.backends.openai_forms import takes_grammar
from posologie.backends.spec import Decoding, Engine, Running
from posologie.prediction.job import add_job_arguments, predict
from posologie.prediction.other_specs import EndpointPredictionSpec
from posologie.prediction.requests import Answer, Request
from posologie.records.items import LABELS
from posologie.records.prompting import chat
from posologie.running.commands import Progress, claim_devices, parser, run
from posologie.running.errors import InputError


def main(argv: list[str]) -> None:
    """Answer suites with a served model: one behind an endpoint, or behind an engine that this job starts."""
    arguments = parser("posologie.prediction.served", __doc__ or "")
    add_job_arguments(arguments)
    add_backend_argument(arguments)
    arguments.add_argument("--backbone", type=Path, metavar="MANIFEST", help="the model that an engine serves")
    arguments.add_argument("--running", default="{}", metavar="JSON", help="how requests are sent: changes no reply")
    options = arguments.parse_args(argv)
    spec = EndpointPredictionSpec.from_json(options.spec)
    published = [name for name, suite in spec.suites.items() if suite.protocol == "published"]
    if published:
        raise InputError(f"suites.{published[0]}.protocol = 'published': expected automaton; masks need a local model")
    running = Running.from_json(options.running)
    claim_devices(options.devices)
    with ExitStack() as stack:
        cache = stack.enter_context(Cache(options.work / "responses.sqlite"))

        def make_answerer() -> ServedModel:
            session = Session(open_backend(spec.backend, options, running, options.backbone), cache)
            return ServedModel(spec, stack.enter_context(closing(session)), running, options.work)

        predict(spec, options, {"backbone": options.backbone} if options.backbone else {}, make_answerer)


class ServedModel:
    """Answers windows of requests through an endpoint."""

    def __init__(self, spec: EndpointPredictionSpec, session: Session, running: Running, work: Path) -> None:
        """Take an open session; `work` is where progress is shown."""
        self.spec, self.session, self.running, self.work = spec, session, running, work
        self.constraint = "grammar" if isinstance(spec.backend, Engine) else spec.backend.structured
        if takes_grammar(self.constraint):
            self.constraint = "grammar"
        self.counts: Counter[str] = Counter()
        self._of_backend: dict[str, Any] | None = None

    def check(self, requests: Iterator[Request]) -> None:
        """Do nothing: what the model cannot be asked is known from its answers."""

    def facts(self) -> Mapping[str, Any]:
        """Return what the run record should say."""
        if self._of_backend is None:
            self._of_backend = self.session.facts(self.work, self.running)
        return {
            "backend": self.spec.backend.model_dump(mode="json"),
            "asked_again_under_schema": self.counts["under constraint"],
            "constrained_answers": {
                name: self.counts[name]
                for name in ("first_token", "grammar", "json_schema", "none")
                if self.counts[name]
            },
            "cut_and_asked_again": self.counts["cut"],
            "cut_all_the_same": self.counts["still cut"],
            "labels_beyond_top_logprobs": self.counts["beyond top"],
            **self._of_backend,
        }

    def answers(self, requests: Sequence[Request], done: frozenset[int]) -> Iterator[list[Answer]]:
        """Answer a window.

        Raises:
            InputError: if requests failed for good; the answers so far are kept, and a further run asks only the rest.
        """
        waiting = [request for request in requests if request.place not in done]
        replies = self._replies(waiting, self._greedy)
        again = [request for request in waiting if self._needs_constraint(request, replies[request.place])]
        self.counts["under constraint"] += len(again)
        constrained = self._replies(again, self._constrained)
        cut = [request for request in again if constrained[request.place].finish == "length"]
        self.counts["cut"] += len(cut)
        constrained |= self._replies(cut, functools.partial(self._constrained, times=_MORE_ROOM))
        self.counts["still cut"] += sum(constrained[request.place].finish == "length" for request in cut)
        yield [self._answer(request, replies[request.place], constrained.get(request.place)) for request in waiting]

    def _replies(
        self, requests: Sequence[Request], asked_as: Callable[[Request], interface.Request]
    ) -> dict[int, Reply]:
        """Return the reply to each request by its place."""
        if not requests:
            return {}
        progress = Progress(self.work / "requests", f"{self.spec.model} (requests)", len(requests), "requests")
        self.session.complete(map(asked_as, requests), progress)
        outcomes = [(request, self.session.reply(asked_as(request))) for request in requests]
        failed = [(request.item.id, outcome.error) for request, outcome in outcomes if isinstance(outcome, Failure)]
        if failed:
            item, error = failed[0]
            problem = f"{len(failed)} of {len(requests)} requests failed, the first for item '{item}': {error}"
            raise InputError(f"{self._place()}: {problem}; the answers so far are kept, run again for the rest")
        return {request.place: outcome for request, outcome in outcomes if isinstance(outcome, Reply)}

    def _place(self) -> str:
        backend = self.spec.backend
        return backend.engine if isinstance(backend, Engine) else self.running.url or backend.url

    def _request(self, request: Request, most: int, **options: Any) -> interface.Request:
        turns = chat(request.item, request.order, self.spec.prompting)
        decoding = Decoding(max_new_tokens=most, temperature=self.spec.temperature, seed=self.spec.seed)
        return interface.Request(tuple((turn["role"], turn["content"]) for turn in turns), decoding, **options)

    def _limit(self, request: Request) -> int:
        if request.item.options and self.spec.choice_new_tokens is not None:
            return self.spec.choice_new_tokens
        return request.new_tokens

    def _greedy(self, request: Request) -> interface.Request:
        labels = tuple(LABELS[: len(request.order)]) if request.item.options else ()
        return self._request(request, self._limit(request), labels=labels)

    def _constrained(self, request: Request, times: int = 1) -> interface.Request:
        several = request.item.task == "mcq"
        most = times * max(self._limit(request), 8 + 6 * len(request.order))
        if self.constraint == "grammar":
            return self._request(request, most, language=self._language(request))
        return self._request(request, most, schema=labels_schema(len(request.order), several))

    def _language(self, request: Request) -> LabelLanguage:
        separator = self.spec.prompting.label_separator
        return LabelLanguage(tuple(LABELS[: len(request.order)]), request.item.task == "mcq", separator)

    def _needs_constraint(self, request: Request, reply: Reply) -> bool:
        if not request.item.options or self.constraint not in ("json_schema", "grammar"):
            return False
        return request.item.task == "mcq" or first_step(reply) is None

    def _labels(self, request: Request, reply: Reply) -> tuple[int, ...]:
        """Return the labels in a constrained reply: none where it was cut, or does not keep to the schema.

        Raises:
            InputError: if a server does not keep to a grammar.
        """
        if self.constraint != "grammar":
            return labels_in(reply.text, len(request.order), request.item.task == "mcq") or ()
        labels = self._language(request).read(reply.text)
        if labels is None and reply.finish == "stop":
            raise InputError(
                f"{self._place()}: item '{request.item.id}': the reply {reply.text[:40]!r} is outside the grammar"
                " that was sent; expected a server that keeps to one: see `structured`"
            )
        return labels or ()

    def _answer(self, request: Request, reply: Reply, constrained: Reply | None) -> Answer:
        first = first_step(reply) if request.item.options else None
        labels: tuple[int, ...] | None = None
        procedure: str | None = None
        if constrained is not None:
            labels, procedure = self._labels(request, constrained), self.constraint
            self.counts[self.constraint] += 1
        elif first is not None and request.item.task == "mcqu":
            labels, procedure = (max(range(len(request.order)), key=first.probabilities.__getitem__),), "first_token"
            self.counts["first_token"] += 1
        elif request.item.options:
            self.counts["none"] += 1
        self.counts["beyond top"] += first is not None and 0.0 in first.probabilities
        return Answer(
            place=request.place,
            greedy_text=reply.text,
            prompt_tokens=reply.prompt_tokens,
            generated_tokens=reply.generated_tokens - reply.thought_tokens,
            finish=reply.finish,
            constrained_labels=labels,
            label_probabilities=None if first is None else first.probabilities,
            label_mass=None if first is None else first.mass,
            constrained_by=procedure,
            thoughts=reply.thoughts,
            thought_tokens=reply.thought_tokens,
        )


_MORE_ROOM = 4
"""A constrained reply that was cut is asked once more with so many times the tokens."""


def first_step(reply: Reply) -> LabelStep | None:
    """Return the probabilities of the labels at the first token, if the endpoint gave them."""
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
        value = json.loads(text)["labels"]
    except (ValueError, LookupError, TypeError):
        return None
    letters = value if several and isinstance(value, list) else [value]
    if not letters or any(letter not in list(LABELS[:options]) for letter in letters):
        return None
    return tuple(sorted({LABELS.index(letter) for letter in letters}))


if __name__ == "__main__":
    run(main)
