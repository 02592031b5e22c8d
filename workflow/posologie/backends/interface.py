"""The interface of every backend: a batch of chats in; texts, token counts and probabilities of chosen labels out."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, TypeVar, runtime_checkable

from posologie.backends.cache import Cache
from posologie.backends.spec import Decoding, Running
from posologie.models.store import read_manifest
from posologie.running.commands import Progress

_OVERHEAD = 16
"""Tokens that a chat template may add to a turn."""

Turn = tuple[str, str]
"""Role (system, user, assistant) and content."""


@dataclass(frozen=True, slots=True)
class LabelLanguage:
    """The answers that are labels: one label, or labels with a separator between them, none twice, in any order.

    This is the language of `posologie.prediction.automaton`, for servers that take a grammar.
    """

    labels: tuple[str, ...]
    several: bool
    separator: str

    def grammar(self) -> str:
        """Return the language as a grammar in GBNF, which llama.cpp and XGrammar (vLLM, SGLang) read.

        There is one rule for each set of labels that are taken. With more than `_ANY_ORDER` labels there would be too
        many, so that labels must be ascending: in the order of nearly all answers.
        """
        texts = [f'" "? {json.dumps(label)}' for label in self.labels]
        if not self.several:
            return f"root ::= {' | '.join(texts)}\n"
        any_order = len(texts) <= _ANY_ORDER
        rules: dict[int, str] = {}
        waiting = [0]
        while waiting:
            taken = waiting.pop()  # a set of labels as bits; where labels ascend, the last one identifies all
            if taken in rules:
                continue
            alternatives = []
            for label in self._following(taken, any_order):
                after = taken | 1 << label if any_order else 1 << label
                then = ""
                if self._following(after, any_order):
                    then = f" ({json.dumps(self.separator)} {_rule(after)})?"
                    waiting.append(after)
                alternatives.append(f"{texts[label]}{then}")
            rules[taken] = " | ".join(alternatives)
        return "".join(f"{_rule(taken)} ::= {rules[taken]}\n" for taken in sorted(rules))

    def _following(self, taken: int, any_order: bool) -> list[int]:
        lowest = 0 if any_order else taken.bit_length()
        return [label for label in range(lowest, len(self.labels)) if not taken >> label & 1]

    def read(self, text: str) -> tuple[int, ...] | None:
        """Return the places of the labels in a text, ascending; None for a text outside the language."""
        pieces = text.split(self.separator) if self.several else [text]
        named = [piece.removeprefix(" ") for piece in pieces]
        if any(name not in self.labels for name in named) or len(set(named)) < len(named):
            return None
        return tuple(sorted(self.labels.index(name) for name in named))


_ANY_ORDER = 8
"""Up to so many labels, a grammar takes them in any order: 255 rules."""


def _rule(taken: int) -> str:
    return f"after-{taken:x}" if taken else "root"


@dataclass(frozen=True, slots=True)
class Request:
    """One chat to be answered.

    Attributes:
        labels: texts of one token whose probabilities are wanted.
        schema: JSON schema of the reply as canonical JSON text, for backends that can constrain their output.
        attempt: 0, or the number of the retry: it makes the same prompt another request.
        language: what the reply may be, for backends that constrain their output by a grammar.
    """

    turns: tuple[Turn, ...]
    decoding: Decoding
    labels: tuple[str, ...] = ()
    schema: str | None = None
    attempt: int = 0
    language: LabelLanguage | None = None

    def canonical_json(self) -> str:
        """Return everything that the reply depends on, beside the backend, as one line of JSON with sorted keys."""
        fields = {name: getattr(self, name) for name in ("turns", "labels", "schema", "attempt")}
        if self.language is not None:  # a request without one keeps the key that it always had
            fields["language"] = asdict(self.language)
        return json.dumps({**fields, "decoding": self.decoding.model_dump()}, sort_keys=True, ensure_ascii=False)

    def characters(self) -> int:
        """Return the number of characters of the prompt."""
        return sum(len(content) for _, content in self.turns)

    def most_prompt_tokens(self) -> int:
        """Return what the prompt can be billed as at most: a token for each byte of turns and schema, and the template.

        No byte-level tokenizer makes more tokens than bytes.
        """
        texts = [content for _, content in self.turns] + ([self.schema] if self.schema is not None else [])
        return sum(len(text.encode("utf-8", "surrogatepass")) for text in texts) + _OVERHEAD * (len(self.turns) + 1)


@dataclass(frozen=True, slots=True)
class LabelStep:
    """Probabilities of the labels at one generated token.

    Attributes:
        offset: number of characters of the reply before this token.
        probabilities: of each label among the labels; they sum to 1.
        mass: probability of all labels together under the full vocabulary.
    """

    offset: int
    probabilities: tuple[float, ...]
    mass: float


@dataclass(frozen=True, slots=True)
class Reply:
    """What a backend answered.

    Attributes:
        finish: `stop`; `length` when cut at the limit of new tokens; `filtered` when the endpoint withheld the text.
        text: the answer, without the thoughts before it.
        generated_tokens: all that was written, thoughts included.
        label_steps: the answer's first token, and each that is itself a label; empty where the backend gives none.
        thoughts: what was thought before the answer, if the backend reports it.
        thought_tokens: how many of the generated tokens were thoughts, as far as the backend reports it.
    """

    text: str
    finish: Literal["stop", "length", "filtered"]
    prompt_tokens: int
    generated_tokens: int
    label_steps: tuple[LabelStep, ...] = ()
    thoughts: str = ""
    thought_tokens: int = 0

    def to_json(self) -> str:
        """Return the reply as one line of JSON: what local backends keep in the cache."""
        return json.dumps(asdict(self), sort_keys=True, ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> "Reply":
        """Read what `to_json` wrote."""
        fields = json.loads(text)
        steps = (LabelStep(**{**step, "probabilities": tuple(step["probabilities"])}) for step in fields["label_steps"])
        return cls(**{**fields, "label_steps": tuple(steps)})


@dataclass(frozen=True, slots=True)
class Failure:
    """A request that got no reply: what the last attempt met."""

    error: str


def cache_entry(request: Request, reply: Reply) -> tuple[str, str, int, int, int]:
    """Return what `Cache.put` takes after the key, for a reply that a local backend made."""
    return request.canonical_json(), reply.to_json(), request.characters(), reply.prompt_tokens, reply.generated_tokens


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


class Backend(Protocol):
    """A backend answers requests into a cache, and reads replies out of what it stored there."""

    def identity(self) -> dict[str, Any]:
        """Return what the replies depend on beside the requests: kind, model, precision."""

    def complete(self, requests: Iterator[tuple[bytes, Request]], cache: Cache, progress: Progress) -> None:
        """Bring a reply or a failure for every request into the cache. What is there already is not asked again.

        Args:
            requests: cache key and request; read once, and never held in memory as a whole.
        """

    def read(self, request: Request, raw: str) -> Reply:
        """Return the reply in a raw response from the cache."""


@runtime_checkable
class Started(Protocol):
    """A backend that starts something of its own, which ends with the session."""

    def facts(self, session_reply: Callable[[Request], Reply | Failure], work: Path) -> dict[str, Any]:
        """Return what a run record should say of it; nothing is asked any more."""

    def close(self) -> None:
        """End what was started."""


def _digest(identity: str, request: Request) -> bytes:
    return hashlib.sha256(f"{identity}\n{request.canonical_json()}".encode("utf-8", "surrogatepass")).digest()


class Session:
    """A backend and its cache: every stage asks through it, and reads replies back in any order."""

    def __init__(self, backend: Backend, cache: Cache) -> None:
        """Open a session; the cache keys cover the backend's identity."""
        self.backend, self.cache = backend, cache
        self._identity = json.dumps(backend.identity(), sort_keys=True, ensure_ascii=False)
        former = getattr(backend, "former_identity", None)
        self._former = None if former is None else json.dumps(former(), sort_keys=True, ensure_ascii=False)

    def key(self, request: Request) -> bytes:
        """Return the cache key of a request: SHA-256 over backend, model, prompt and decoding."""
        return _digest(self._identity, request)

    def has(self, request: Request) -> bool:
        """Return whether there is a reply; one that an earlier version stored gets the key of this one."""
        key = self.key(request)
        if self.cache.has(key):
            return True
        return self._former is not None and self.cache.adopt(_digest(self._former, request), key)

    def complete(self, requests: Iterable[Request], progress: Progress) -> None:
        """Ask everything that has no reply yet; afterwards `reply` knows the outcome of each of them."""

        def with_keys() -> Iterator[tuple[bytes, Request]]:
            for request in requests:
                self.has(request)
                yield self.key(request), request

        self.backend.complete(with_keys(), self.cache, progress)

    def reply(self, request: Request) -> Reply | Failure:
        """Return the outcome of a completed request.

        Raises:
            InputError: if what the cache holds is no reply: the file is damaged.
        """
        key = self.key(request)
        raw = self.cache.reply(key)
        if raw is not None:
            try:
                return self.backend.read(request, raw)
            except Exception as error:
                if _is_json(raw):
                    raise
                raise self.cache.found_damaged(f"the reply {key.hex()[:12]} is not JSON") from error
        return Failure(self.cache.failure(key) or "was never asked")

    def facts(self, work: Path, running: Running) -> dict[str, Any]:
        """Return what a run record should say of the backend and of what this run spent; nothing is asked afterwards.

        Replies that were in the cache already were paid for by an earlier run. Without prices, money is null.
        """
        counted, wasted = self.cache.counted, self.cache.wasted
        spent: dict[str, Any]
        spent = {"requests": counted.requests, "tokens": counted.tokens, "wasted_tokens": wasted.tokens}
        priced = running.money(0, 0) is not None
        spent |= {"money": counted.money if priced else None, "wasted_money": wasted.money if priced else None}
        return {"spending": spent} | (self.backend.facts(self.reply, work) if isinstance(self.backend, Started) else {})

    def close(self) -> None:
        """End what the backend started."""
        if isinstance(self.backend, Started):
            self.backend.close()


Entry = TypeVar("Entry")


def weights_identity(manifest: Path) -> str:
    """Return a hash over the checksums of a model's files: the same for the same files, wherever they came from."""
    files = read_manifest(manifest)["files"]
    return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()


def batches(
    entries: Sequence[Entry], length: Callable[[Entry], int], alike: Callable[[Entry], object], most_tokens: int
) -> Iterator[list[Entry]]:
    """Yield runs of neighbouring entries that are alike, each at most `most_tokens` wide × high, padding included.

    Args:
        entries: sorted so that the longest of each kind comes first.
    """
    batch: list[Entry] = []
    for entry in entries:
        full = bool(batch) and length(batch[0]) * (len(batch) + 1) > most_tokens
        if batch and (full or alike(batch[0]) != alike(entry)):
            yield batch
            batch = []
        batch.append(entry)
    if batch:
        yield batch
