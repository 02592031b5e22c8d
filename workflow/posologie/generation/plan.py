"""What a run would ask and cost, before anything is asked: requests, estimated tokens, estimated money."""

import argparse
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from posologie.backends.asking import cache_path
from posologie.backends.cache import Cache
from posologie.backends.interface import Request, Session
from posologie.backends.openai_endpoint import OpenaiEndpointBackend
from posologie.backends.prompts import Prompt
from posologie.backends.spec import OpenaiEndpoint, Running
from posologie.records.files import write_json

_ENOUGH_REPLIES = 20
"""Replies from which on the estimate rests on what they used instead of on assumptions."""


@dataclass(frozen=True)
class Plan:
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
        """Return the plan as people read it."""
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


def add_plan_arguments(arguments: argparse.ArgumentParser) -> None:
    """Add the options of every plan."""
    arguments.add_argument("--work", required=True, type=Path, metavar="DIR", help="folder of the response cache")
    arguments.add_argument("--running", default="{}", metavar="JSON")
    arguments.add_argument("--plan", type=Path, help="write the plan as JSON too")


def show(plan: Plan, options: argparse.Namespace) -> None:
    """Print a plan, and write it where that is wanted."""
    print(plan.lines())
    if options.plan is not None:
        write_json(options.plan, asdict(plan))


def as_long_as_the_text(prompt: Prompt | None) -> Callable[[Request], int]:
    """Return what takes a reply to be as long as the text in its request, without the prompt's own words."""
    instructions = len(prompt.sections["user"]) if prompt is not None else 0
    return lambda request: max(1, len(request.turns[-1][1]) - instructions)


def plan_of(
    requests: Iterable[Request], backend: Any, options: argparse.Namespace, reply_characters: Callable[[Request], int]
) -> Plan:
    """Return the plan for requests; nothing is held in memory.

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
) -> Plan:
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
    return Plan(total, answered, prompt, generated, most, running.money(prompt, generated), basis)
