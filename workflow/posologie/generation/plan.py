"""What generating or translating would ask and cost, before anything is asked: requests, tokens, money.

python -m posologie.generation.plan generated --spec SynthesisSpec --documents DOCUMENTS.parquet --prompts TASK=FILE…
python -m posologie.generation.plan translated --spec TranslationSpec --source SHARD.parquet [--prompt FILE]
python -m posologie.generation.plan translation_quality --spec QualitySpec --pairs TEST_SET=PAIRS.parquet…
    [--prompt FILE]

each with --work DIR [--running JSON] [--plan OUT.json]. `posologie.judging.plan_study` does so for a whole study.
"""

import argparse
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from posologie.backends.asking import cache_path
from posologie.backends.cache import Cache
from posologie.backends.interface import Request, Session
from posologie.backends.openai_endpoint import OpenaiEndpointBackend
from posologie.backends.prompts import Prompt, read_prompt
from posologie.backends.spec import OpenaiEndpoint, Running
from posologie.generation.questions import asks, check_prompts
from posologie.generation.spec import SynthesisSpec, TranslationSpec
from posologie.generation.translation import ChatTranslation, manner_of
from posologie.generation.translation_checks import fields_of
from posologie.generation.translation_quality import parallel_rows, prompt_of, request_for
from posologie.generation.translation_quality_spec import QualitySpec
from posologie.records.files import write_json
from posologie.records.items import Item, read_item_table, table_to_items
from posologie.records.tables import read_documents
from posologie.running.commands import named_path, parser, run

_ENOUGH_REPLIES = 20
"""Replies from which on the estimate rests on what they used instead of on assumptions."""


@dataclass(frozen=True)
class Estimate:
    """What a run would ask.

    Attributes:
        answered: requests whose reply is in the cache already; only known for endpoints, where they cost money.
        most_tokens: upper bound: every byte of a prompt a token, every reply as long as it may be.
        money: None without prices.
        basis: what the estimate rests on. Retries and repairs come on top; replies that are shorter than assumed save.
    """

    requests: int
    answered: int
    prompt_tokens: int
    generated_tokens: int
    most_tokens: int
    money: float | None
    basis: str

    def lines(self) -> str:
        """Return the estimate as people read it."""
        money = "no price configured" if self.money is None else f"{self.money:,.2f}"
        return "\n".join(
            (
                f"requests             {self.requests:,} ({self.answered:,} answered already)",
                f"prompt tokens        {self.prompt_tokens:,} (estimated)",
                f"generated tokens     {self.generated_tokens:,} (estimated)",
                f"tokens at most       {self.most_tokens:,}",
                f"money                {money} (estimated)",
                f"estimated            {self.basis}",
            )
        )


def add_estimate_arguments(arguments: argparse.ArgumentParser) -> None:
    """Add the options of every estimate."""
    arguments.add_argument("--work", required=True, type=Path, metavar="DIR", help="folder of the response cache")
    arguments.add_argument("--running", default="{}", metavar="JSON")
    arguments.add_argument("--plan", type=Path, help="write the estimate as JSON too")


def show(estimate: Estimate, options: Namespace) -> None:
    """Print an estimate, and write it where that is wanted."""
    print(estimate.lines())
    if options.plan is not None:
        write_json(options.plan, asdict(estimate))


def as_long_as_the_text(prompt: Prompt | None) -> Callable[[Request], int]:
    """Return what takes a reply to be as long as the text in its request, without the prompt's own words."""
    instructions = len(prompt.sections["user"]) if prompt is not None else 0
    return lambda request: max(1, len(request.turns[-1][1]) - instructions)


def estimate_of(
    requests: Iterable[Request], backend: Any, options: Namespace, reply_characters: Callable[[Request], int]
) -> Estimate:
    """Return the estimate for requests; nothing is held in memory.

    Args:
        backend: the spec of the backend.
        reply_characters: assumed length of a reply, used until enough replies are known.
    """
    running = Running.from_json(options.running)
    path = cache_path(options.work)
    if not path.is_file():
        return _counted(requests, None, running, reply_characters)
    with Cache(path) as cache:
        session = None
        if isinstance(backend, OpenaiEndpoint):
            session = Session(OpenaiEndpointBackend(backend, running), cache)
        return _counted(requests, cache, running, reply_characters, session)


def _counted(
    requests: Iterable[Request],
    cache: Cache | None,
    running: Running,
    reply_characters: Callable[[Request], int],
    session: Session | None = None,
) -> Estimate:
    total = answered = characters = most = replies = 0
    for request in requests:
        total += 1
        if session is not None and session.has(request):
            answered += 1
            continue
        characters += request.characters()
        replies += min(reply_characters(request), int(request.decoding.max_new_tokens * running.characters_per_token))
        most += request.most_prompt_tokens() + request.decoding.max_new_tokens
    per_token = running.characters_per_token
    prompt_tokens, generated_tokens = characters / per_token, replies / per_token
    basis = f"assuming {per_token:g} characters a token and replies of the assumed length"
    observed = cache.observed() if cache is not None else None
    if observed is not None and observed.replies >= _ENOUGH_REPLIES and observed.prompt_characters:
        prompt_tokens = characters * observed.prompt_tokens / observed.prompt_characters
        generated_tokens = (total - answered) * observed.generated_tokens / observed.replies
        basis = f"from {observed.replies:,} replies in {cache.path if cache else ''}"
    prompt, generated = round(prompt_tokens), round(generated_tokens)
    return Estimate(
        total,
        answered,
        prompt,
        generated_tokens=generated,
        most_tokens=most,
        money=running.money(prompt, generated),
        basis=basis,
    )


def estimate_synthesis(options: Namespace) -> Estimate:
    """Return the estimate of a synthesis; `options` are those of `main`."""
    generator = SynthesisSpec.from_json(options.spec).generator
    prompts = {task: read_prompt(path) for task, path in options.prompts}
    check_prompts(generator, prompts)
    table = read_documents(options.documents)
    documents = (row for batch in table.to_batches(max_chunksize=1000) for row in batch.to_pylist())
    requests = (ask.request for document in documents for ask in asks([document], generator, prompts))
    longest = int(generator.decoding.max_new_tokens * 1e6)  # nothing is known of a reply's length but its limit
    return estimate_of(requests, generator.backend, options, lambda request: longest)


def estimate_translation(options: Namespace) -> Estimate:
    """Return the estimate of a translation of items; `options` are those of `main`."""
    translator = TranslationSpec.from_json(options.spec).translator
    manner = manner_of(translator, options)
    pieces = (piece for item in _items(options.source) for piece in manner.pieces(fields_of(item)))
    requests = (request for piece in pieces for request in manner.requests(piece))
    prompt = manner.prompt if isinstance(manner, ChatTranslation) else None
    return estimate_of(requests, translator.backend, options, as_long_as_the_text(prompt))


def _items(path: Path) -> Iterator[Item]:
    for batch in read_item_table(path).to_batches(max_chunksize=1000):
        yield from table_to_items(pa.Table.from_batches([batch]))


def estimate_quality(options: Namespace) -> Estimate:
    """Return the estimate of a translation of parallel text; `options` are those of `main`."""
    translator = QualitySpec.from_json(options.spec).translator
    prompt = prompt_of(translator, options)
    rows = parallel_rows(dict(options.pairs), translator)
    requests = (request_for(row["source"], translator, prompt) for row in rows)
    return estimate_of(requests, translator.backend, options, as_long_as_the_text(prompt))


ESTIMATES: Mapping[str, tuple[Callable[[Namespace], Estimate], tuple[str, ...]]] = {
    "generated": (estimate_synthesis, ("documents", "prompts")),
    "translated": (estimate_translation, ("source",)),
    "translation_quality": (estimate_quality, ("pairs",)),
}
"""Kind of artifact → the function that estimates it, and the options of `main` that it needs."""


def main(argv: list[str]) -> None:
    """Print the estimate of one artifact."""
    arguments = parser("posologie.generation.plan", __doc__ or "")
    arguments.add_argument("kind", choices=ESTIMATES)
    add_estimate_arguments(arguments)
    arguments.add_argument("--documents", type=Path)
    arguments.add_argument("--source", type=Path)
    arguments.add_argument("--pairs", nargs="+", type=named_path, metavar="TEST_SET=PAIRS")
    arguments.add_argument("--prompts", nargs="+", type=named_path, metavar="TASK=FILE")
    arguments.add_argument("--prompt", type=Path)
    options = arguments.parse_args(argv)
    estimate, needed = ESTIMATES[options.kind]
    if missing := [name for name in needed if getattr(options, name) is None]:
        arguments.error(f"{options.kind} needs --{missing[0]}")
    show(estimate(options), options)


if __name__ == "__main__":
    run(main)
