"""Any OpenAI-compatible endpoint: bounded concurrency, back-off with jitter, a budget, and no reply paid twice."""

import asyncio
import functools
import itertools
import logging
import random
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import aiohttp
import httpx2
import openai

from posologie.backends.cache import Cache
from posologie.backends.interface import Reply, Request
from posologie.backends.openai_forms import (
    TransientError,
    asked_wait,
    checked_body,
    finish,
    label_steps,
    request_body,
    usage,
)
from posologie.backends.served import WhoAnswers, check_weights, key_of, refuse_redirects, unanswered, warn_in_the_clear
from posologie.backends.spec import OpenaiEndpoint, Running
from posologie.language.marks import part
from posologie.running.commands import Progress
from posologie.running.errors import InputError

log = logging.getLogger(__name__)

_REASONING = ("reasoning_content", "reasoning")
"""Fields of a message in which servers give the thoughts that they keep apart."""
_HEARTBEAT = 20.0
_POLL = 0.25
_FIRST_WAIT = 0.5
_PLATFORM_HEADERS = ("Lang", "Package-Version", "OS", "Arch", "Runtime", "Runtime-Version", "Async")
"""What the client says about the machine with each request, after `X-Stainless-`; headers cost time at every layer."""


class _RefusedError(Exception):
    """A request that the endpoint will never answer: too long, against its policy, malformed."""


class OpenaiEndpointBackend:
    """The backend of `OpenaiEndpoint`."""

    def __init__(
        self,
        spec: OpenaiEndpoint,
        running: Running,
        key: str | None = None,
        check: Callable[[], None] = lambda: None,
    ) -> None:
        """Take an endpoint; its key is read when the first request is sent.

        Args:
            key: the endpoint's key, where it is in no environment variable.
            check: called when a connection fails; raises what explains it, where something does.
        """
        self.spec = spec if running.url is None else spec.model_copy(update={"url": running.url})
        self.running, self.key, self.check = running, key, check
        self.answered_by: Counter[tuple[str, str]] = Counter()
        self._who: WhoAnswers | None = None

    def identity(self) -> dict[str, Any]:
        """Return what a reply depends on beside the request: not where the model answers, nor who pays for it."""
        return self.spec.model_dump(exclude={"key_variable", "tokens_field", "send_seed"})

    def former_identity(self) -> dict[str, Any]:
        """Return the identity of earlier versions, with the URL: what was paid for under it is not asked again."""
        return {**self.identity(), "url": self.spec.url.rstrip("/")}

    def facts(self, session_reply: Callable[[Request], Any], work: Path) -> dict[str, Any]:
        """Return who answered, in the server's own words, with the number of replies that were read."""
        if len({model for model, _ in self.answered_by}) > 1:
            log.warning("%s: replies of several models: %s", self.spec.url, sorted(self.answered_by))
        counted = sorted(self.answered_by.items())
        answered = [
            {"model": name, "system_fingerprint": print_, "replies": count} for (name, print_), count in counted
        ]
        return {"asked_at": self.spec.url, "answered_by": answered}

    def close(self) -> None:
        """Do nothing: someone else's server keeps running."""

    def complete(self, requests: Iterator[tuple[bytes, Request]], cache: Cache, progress: Progress) -> None:
        """Ask every request that has no reply yet.

        Raises:
            InputError: if there is no key, the key is refused, the budget is reached, only refusals come back, or the
                server has other weights under this name than those that answered before.
        """
        missing = unanswered(requests, cache, progress)
        first = next(missing, None)
        if first is None:
            return
        key = self.key or key_of(self.spec)
        if self.key is None:  # else it is this job's own server, whose weights are known
            known = cache.path.with_name("served.json")
            check_weights(self.spec.url, self.spec.model, key, known)
            self._who = self._who or WhoAnswers(self.spec, self.running, known)
        requests = itertools.chain([first], missing)
        if self.running.mode == "batch":
            from posologie.backends.openai_batch import BatchWork  # which reads replies as this module does

            warn_in_the_clear(self.spec.url, self.spec.key_variable)
            work = BatchWork(self.spec, self.running, key, cache, progress, self._check_body)
            ask = functools.partial(work.complete, requests)
        else:
            ask = functools.partial(asyncio.run, self._complete(requests, cache, progress))
        try:
            ask()
        finally:
            if self._who is not None:
                self._who.keep()

    def _check_body(self, body: dict[str, Any]) -> None:
        if self._who is not None:
            self._who.check(body)

    def read(self, request: Request, raw: str) -> Reply:
        """Return the reply in a response body, with the steps at which a label could have been generated."""
        body = checked_body(raw)
        choice = body["choices"][0]
        self.answered_by[str(body.get("model") or ""), str(body.get("system_fingerprint") or "")] += 1
        message = choice["message"]
        parted = part(message.get("content") or "")
        reasoning = next((message[name] for name in _REASONING if isinstance(message.get(name), str)), "")
        details = (body.get("usage") or {}).get("completion_tokens_details") or {}
        hidden = details.get("reasoning_tokens")
        return Reply(
            parted.answer,
            finish(choice),
            *(usage(body) or (0, 0)),
            tuple(
                label_steps(choice, request.labels, parted.answer, thought=bool(reasoning or parted.thoughts or hidden))
            ),
            thoughts="\n".join(filter(None, (reasoning, parted.thoughts))),
            thought_tokens=hidden if isinstance(hidden, int) else 0,
        )

    async def _complete(self, requests: Iterator[tuple[bytes, Request]], cache: Cache, progress: Progress) -> None:
        warn_in_the_clear(self.spec.url, self.spec.key_variable)
        async with openai.AsyncOpenAI(
            api_key=self.key or key_of(self.spec),
            base_url=self.spec.url,
            timeout=self.running.timeout_seconds,
            max_retries=0,
            default_headers={f"X-Stainless-{name}": openai.Omit() for name in _PLATFORM_HEADERS},
            http_client=openai.DefaultAioHttpClient(  # half the processor time of the default transport
                event_hooks={"response": [refuse_redirects(self.spec.url)]}
            ),
        ) as client:
            work = _Work(
                spec=self.spec,
                running=self.running,
                client=client,
                requests=requests,
                cache=cache,
                progress=progress,
                check=self.check,
                check_body=self._check_body,
            )
            heart = asyncio.create_task(_beat(cache))
            try:
                async with asyncio.TaskGroup() as group:
                    for _ in range(self.running.concurrency):
                        group.create_task(work.worker())
            except BaseExceptionGroup as errors:  # `except*` would wrap what is raised here, before Python 3.11.4
                refused, others = errors.split(InputError)
                if refused is None or others is not None:
                    raise
                raise refused.exceptions[0] from None
            finally:
                heart.cancel()


class _Work:
    """What the workers of one run share."""

    def __init__(
        self,
        spec: OpenaiEndpoint,
        running: Running,
        client: openai.AsyncOpenAI,
        requests: Iterator[tuple[bytes, Request]],
        cache: Cache,
        progress: Progress,
        check: Callable[[], None],
        check_body: Callable[[dict[str, Any]], None],
    ) -> None:
        self.spec, self.running, self.client = spec, running, client
        self.check, self.check_body = check, check_body
        self.requests, self.cache, self.progress = requests, cache, progress
        self.address = f"{spec.url.rstrip('/')}/chat/completions"  # whole, so that no request puts it together again
        self.under_way = 0
        self.refused_in_a_row = self.unreached_in_a_row = 0
        self.settled = asyncio.Event()

    async def worker(self) -> None:
        """Take requests off the common iterator until none is left."""
        for key, request in self.requests:
            if self.cache.has(key):
                await asyncio.sleep(0)  # a long row of hits must not hold up the replies that are coming in
            else:
                await self._ask(key, request)
            self.progress.advance()

    async def _claimed(self, key: bytes, tokens: int, money: float) -> bool:
        """Claim a request, waiting for room in the budget; False if a reply came from elsewhere in the meantime."""
        while True:
            match self.cache.claim(key, tokens, money, self.running):
                case "claimed":
                    return True
                case "answered":
                    return False
                case "over budget" if not self.under_way and not self.cache.others_under_way():
                    spent = self.cache.spending()
                    raise InputError(
                        f"budget reached: {spent.tokens} tokens and {spent.money:.4f} spent, and the next request may"
                        f" need {tokens} tokens and {money:.4f}; the answers so far are kept in {self.cache.path}"
                    )
            self.settled.clear()
            try:
                await asyncio.wait_for(self.settled.wait(), _POLL)
            except TimeoutError:
                continue

    def _bound(self, request: Request) -> tuple[int, float]:
        """Return what one attempt can spend at most, in tokens and money."""
        prompt, generated = request.most_prompt_tokens(), request.decoding.max_new_tokens
        return prompt + generated, self.running.money(prompt, generated) or 0.0

    async def _ask(self, key: bytes, request: Request) -> None:
        try:
            await self._attempts(key, request)
        except TransientError as error:
            self.cache.fail(key, request.canonical_json(), f"{error} ({self.running.attempts} attempts)")
            log.warning("request %s failed: %s", key.hex()[:12], error)
        except _RefusedError as error:
            self.cache.fail(key, request.canonical_json(), str(error))
            log.warning("request %s refused: %s", key.hex()[:12], error)
            self.refused_in_a_row += 1
            if self.refused_in_a_row >= max(20, self.running.concurrency):
                raise InputError(
                    f"{self.spec.url}: {self.refused_in_a_row} refusals in a row, the last: {error}"
                ) from None

    async def _attempts(self, key: bytes, request: Request) -> None:
        """Attempt a request until it has a reply; raise what the last attempt met."""
        for number in range(self.running.attempts - 1):
            try:
                await self._attempt(key, request)
                return
            except TransientError as error:
                wait = self._wait(number, error)
            await asyncio.sleep(wait)
        await self._attempt(key, request)

    def _wait(self, number: int, error: TransientError) -> float:
        """Exponential back-off with full jitter; never less than what the endpoint asked for."""
        longest = self.running.longest_wait_seconds
        jitter = random.uniform(0.0, min(_FIRST_WAIT * 2 ** min(number, 32), longest))  # noqa: S311 - no secret
        return min(error.wait or 0.0, longest) + jitter

    async def _attempt(self, key: bytes, request: Request) -> None:
        tokens, money = self._bound(request)
        if not await self._claimed(key, tokens, money):
            return
        self.under_way += 1
        try:
            raw = await self._send(request)
            body = checked_body(raw)
        except TransientError as error:
            self._count_unreached(error)
            if error.paid:
                self.cache.discard(key, str(error), error.raw, tokens, money)
            else:
                self.cache.release(key)
            raise
        except InputError:  # the key or the address is wrong: nothing was answered, so nothing was spent
            self.cache.release(key)
            raise
        finally:
            self.under_way -= 1
            self.settled.set()
        used = usage(body)
        try:
            self.check_body(body)
        except InputError as error:  # it was paid, and its reply must not stand beside those of another model
            spent = used or (tokens, 0)
            self.cache.discard(key, str(error), raw, sum(spent), self.running.money(*spent) or 0.0)
            raise
        if used is None:
            generated = request.decoding.max_new_tokens
            used, cost = (tokens - generated, generated), money
        else:
            cost = self.running.money(*used) or 0.0
        self.cache.settle(key, request.canonical_json(), raw, request.characters(), used, cost)
        self.refused_in_a_row = self.unreached_in_a_row = 0

    def _count_unreached(self, error: TransientError) -> None:
        """End the run where nobody listens: so many attempts in a row, of whatever request, met no connection."""
        self.unreached_in_a_row = self.unreached_in_a_row + 1 if error.unreached else 0
        most = max(20, 2 * self.running.concurrency)
        if self.unreached_in_a_row >= most:
            raise InputError(
                f"{self.spec.url}: no connection in {self.unreached_in_a_row} attempts in a row, the last: {error};"
                " the answers so far are kept: start the server, or correct the address, and run again"
            )

    async def _send(self, request: Request) -> str:
        """Send one attempt and return the body as received."""
        try:
            # The client's typed method takes another millisecond to look at every field, and hides the raw body.
            response = await self.client.post(
                self.address, cast_to=httpx2.Response, body=request_body(self.spec, request)
            )
            return str(response.text)
        except openai.APIStatusError as error:
            raise self._of_status(error) from error
        except openai.APIConnectionError as error:  # timeouts included; the request may have arrived
            first = _first_cause(error)
            if isinstance(first, InputError):  # a redirect
                raise first from None
            unreached = isinstance(first, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError)
            await asyncio.to_thread(self.check)
            problem = f"no whole reply ({type(first).__name__})"
            raise TransientError(problem, paid=not unreached, unreached=unreached) from error
        except UnicodeDecodeError as error:
            raise TransientError("reply is not UTF-8", paid=True) from error

    def _of_status(self, error: openai.APIStatusError) -> Exception:
        # A server may repeat the key in its complaint, and messages end up in logs and in the cache.
        message = " ".join(str(error.message).replace(self.client.api_key, "(key)").split())[:300]
        status = error.status_code
        if status in (401, 403, 404) or error.code == "insufficient_quota":
            return InputError(f"{self.spec.url}: status {status}: {message}")
        if status in (408, 409, 425, 429) or status >= 500:
            return TransientError(f"status {status}: {message}", paid=False, wait=asked_wait(error.response.headers))
        return _RefusedError(f"status {status}: {message}")


async def _beat(cache: Cache) -> None:
    cache.leave_checkpoints_to_others()  # a disk that is busy would hold up every reply that is coming in
    while True:
        await asyncio.sleep(_HEARTBEAT)
        cache.beat()
        await asyncio.to_thread(cache.checkpoint)


def _first_cause(error: BaseException) -> BaseException:
    """Return what an error goes back to; the layers between call every failed connection a timeout."""
    while error.__cause__ is not None and not isinstance(error, aiohttp.ClientError):
        error = error.__cause__
    return error


def open_backend(spec: OpenaiEndpoint, running: Running, manifest: Path | None = None) -> OpenaiEndpointBackend:
    """Return the backend; an endpoint has no manifest."""
    return OpenaiEndpointBackend(spec, running)
