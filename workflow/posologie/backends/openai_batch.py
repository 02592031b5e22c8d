"""Requests handed over as batches: files of requests that an endpoint answers within a day, at a lower price.

The form is that of OpenAI's files and batches (https://platform.openai.com/docs/guides/batch), which others copy. What
is under way is written beside the response cache before it is sent, so that a job that was interrupted, or another one
that needs the same replies, finds the batch again and nothing is paid twice. The requests of a batch are claimed in the
cache by the batch, not by the process. `posologie.generation.batches` lists and cancels them.
"""

import fcntl
import json
import logging
import os
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import openai

from posologie.backends.cache import Cache
from posologie.backends.interface import Request
from posologie.backends.openai_forms import TransientError, checked_body, request_body, usage
from posologie.backends.spec import OpenaiEndpoint, Running
from posologie.records.files import read_json, write_json
from posologie.running.commands import Progress
from posologie.running.errors import InputError

log = logging.getLogger(__name__)

_MOST_BYTES = 150_000_000
_WINDOW = "24h"
_LONGEST_LIFE = 3 * 86400.0
"""Seconds after which a batch counts as lost, its window and the time of its collection included."""

_ENDED = ("completed", "expired", "cancelled", "failed")
_NAME = "posologie"
"""Key of the metadata by which a batch is found whose id was not written down in time."""


@dataclass
class Batch:
    """A batch under way, as it is written down.

    Attributes:
        name: its own, given before the endpoint gives it an id.
        requests: for each cache key in hexadecimal, the request's canonical JSON, its characters, and the tokens and
            money that it can spend at most.
    """

    name: str
    url: str
    requests: dict[str, tuple[str, int, int, float]]
    input_file: str | None = None
    id: str | None = None

    @property
    def owner(self) -> str:
        """The name under which the batch claims its keys in the cache."""
        return f"batch:{self.name}"


def folder_of(cache: Cache) -> Path:
    """Return the folder of the batches under way."""
    return cache.path.with_name("batches")


def batches_in(folder: Path) -> list[Batch]:
    """Return the batches that are written down in a folder."""
    return [Batch(**read_json(path)) for path in sorted(folder.glob("*.json"))]


class BatchWork:
    """Brings replies into the cache by batches."""

    def __init__(
        self,
        spec: OpenaiEndpoint,
        running: Running,
        key: str,
        cache: Cache,
        progress: Progress,
        check_body: Callable[[dict[str, Any]], None] = lambda body: None,
    ) -> None:
        """Open a client; the requests come later.

        Args:
            check_body: called with each reply's body; raises what keeps the batch out of the cache, where something
                does.
        """
        self.spec, self.running, self.cache, self.progress = spec, running, cache, progress
        self.check_body = check_body
        self.folder = folder_of(cache)
        self.client = client_of(spec.url, key, running)
        self.attempts: dict[bytes, int] = {}

    def complete(self, requests: Iterator[tuple[bytes, Request]]) -> None:
        """Hand over every request that has no reply, in batches, and wait for the replies.

        Raises:
            InputError: if the endpoint has no batches, refuses one, or the budget is reached.
        """
        waiting: dict[bytes, Request] = {}
        total = 0
        for key, request in requests:
            total += 1
            if not self.cache.has(key):
                waiting[key] = request
        self.progress.advance(total - len(waiting))
        done = total - len(waiting)
        while waiting:
            self._submit(waiting)
            self._collect(waiting)
            for key in [
                key for key in waiting if self.cache.has(key) or self.attempts.get(key, 0) >= self.running.attempts
            ]:
                del waiting[key]
            self.progress.advance(total - len(waiting) - done)
            done = total - len(waiting)

    # Handing over

    def _submit(self, waiting: dict[bytes, Request]) -> None:
        """Claim what nobody asks for yet, and hand it over; what does not fit into the budget waits."""
        lines: list[str] = []
        entries: dict[str, tuple[str, int, int, float]] = {}
        size = 0
        full = False
        for key, request in waiting.items():
            prompt, generated = request.most_prompt_tokens(), request.decoding.max_new_tokens
            money = self.running.money(prompt, generated) or 0.0
            claim = self.cache.claim(key, prompt + generated, money, self.running)
            if claim == "over budget":
                full = True
                break
            if claim != "claimed":
                continue
            call = {"method": "POST", "url": "/v1/chat/completions", "body": request_body(self.spec, request)}
            line = json.dumps({"custom_id": key.hex(), **call}, ensure_ascii=False)
            if lines and (len(lines) >= self.running.batch_requests or size + len(line.encode()) > _MOST_BYTES):
                self._hand_over(entries, lines)
                entries, lines, size = {}, [], 0
            lines.append(line)
            size += len(line.encode()) + 1
            entries[key.hex()] = (request.canonical_json(), request.characters(), prompt + generated, money)
        if lines:
            self._hand_over(entries, lines)
        elif full and not batches_in(self.folder) and not self.cache.others_under_way():
            spent = self.cache.spending()
            raise InputError(
                f"budget reached: {spent.tokens} tokens and {spent.money:.4f} spent; the answers so far are kept in"
                f" {self.cache.path}"
            )

    def _hand_over(self, entries: dict[str, tuple[str, int, int, float]], lines: Iterable[str]) -> None:
        batch = Batch(secrets.token_hex(8), self.spec.url, entries)
        self._note(batch)
        self.cache.hand_over(map(bytes.fromhex, entries), batch.owner, time.time() + _LONGEST_LIFE)
        content = "\n".join(lines).encode()
        try:
            batch.input_file = self.client.files.create(file=(f"{batch.name}.jsonl", content), purpose="batch").id
            self._note(batch)
            batch.id = self.client.batches.create(
                input_file_id=batch.input_file,
                endpoint="/v1/chat/completions",
                completion_window=_WINDOW,  # type: ignore[arg-type]
                metadata={_NAME: batch.name},
            ).id
        except openai.APIStatusError as error:
            self._forget(batch)
            raise InputError(
                f"{self.spec.url}: a batch was refused, status {error.status_code}: {_said(error)}"
            ) from error
        except openai.APIConnectionError as error:
            if batch.input_file is None:  # nothing was ordered yet
                self._forget(batch)
            raise InputError(
                f"{self.spec.url}: no connection ({type(error.__cause__ or error).__name__}); run again"
            ) from error
        self._note(batch)
        log.info("batch %s: %d requests handed over", batch.id, len(entries))

    def _note(self, batch: Batch) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        write_json(self.folder / f"{batch.name}.json", asdict(batch))

    def _forget(self, batch: Batch) -> None:
        """Free the keys of a batch that was never ordered."""
        self.cache.take_over(batch.owner)
        for key in batch.requests:
            self.cache.release(bytes.fromhex(key))
        (self.folder / f"{batch.name}.json").unlink(missing_ok=True)

    # Collecting

    def _collect(self, waiting: dict[bytes, Request]) -> None:
        """Wait until one of the batches with a request that is waited for has ended, and read what it brought."""
        while True:
            ours = [
                batch
                for batch in batches_in(self.folder)
                if any(bytes.fromhex(key) in waiting for key in batch.requests)
            ]
            if not ours:
                if not any(self.cache.has(key) for key in waiting):
                    time.sleep(min(1.0, self.running.poll_seconds))  # another process asks for them, one by one
                return
            ended = False
            for batch in ours:
                with _alone(self.folder / f"{batch.name}.json") as mine:
                    ended |= mine and self._look(batch)
            if ended or any(self.cache.has(key) for key in waiting):
                return
            self.cache.beat()
            time.sleep(self.running.poll_seconds)

    def _look(self, batch: Batch) -> bool:
        """Look at a batch; once it has ended, read its files. Return whether it has ended."""
        try:
            if batch.id is None and not self._find(batch):
                return True
            state = self.client.batches.retrieve(str(batch.id))
            if state.status not in _ENDED:
                counts = state.request_counts
                if counts is not None:
                    log.info("batch %s: %s, %d of %d requests", batch.id, state.status, counts.completed, counts.total)
                return False
            files = [name for name in (state.output_file_id, state.error_file_id) if name]
            texts = [self.client.files.content(name).text for name in files]
        except openai.APIStatusError as error:
            raise InputError(
                f"{self.spec.url}: batch {batch.id}: status {error.status_code}: {_said(error)}; run again"
            ) from error
        except openai.APIConnectionError as error:
            log.warning(
                "batch %s: no connection (%s), looking again", batch.id, type(error.__cause__ or error).__name__
            )
            return False
        self._read(batch, state.status, texts)
        if state.status == "failed":
            faults = state.errors.data if state.errors is not None and state.errors.data else []
            reason = "; ".join(f"line {fault.line}: {fault.message}" for fault in faults[:3]) or "it does not say why"
            raise InputError(f"{self.spec.url}: batch {batch.id} was refused as a whole: {reason}")
        if state.status == "cancelled":
            raise InputError(
                f"{self.spec.url}: batch {batch.id} was cancelled; what it answered is kept, run again for the rest"
            )
        return True

    def _find(self, batch: Batch) -> bool:
        """Find a batch whose id was not written down, by its name; free its keys if it was never ordered."""
        for listed in self.client.batches.list(limit=100):
            if (listed.metadata or {}).get(_NAME) == batch.name:
                batch.id = listed.id
                self._note(batch)
                return True
        self._forget(batch)
        return False

    def _read(self, batch: Batch, status: str, texts: Iterable[str]) -> None:
        """Bring the replies of an ended batch into the cache; what has none is asked again, or has failed for good."""
        entries = [json.loads(line) for text in texts for line in text.splitlines() if line.strip()]
        for body in ((entry.get("response") or {}).get("body") for entry in entries):
            if isinstance(body, dict):
                self.check_body(body)  # before anything is taken: a batch that is refused can be read once more
        self.cache.take_over(batch.owner)
        left = dict(batch.requests)
        for entry in entries:
            request = left.pop(str(entry.get("custom_id")), None)
            if request is not None:
                self._settle(bytes.fromhex(entry["custom_id"]), request, entry)
        for key in left:  # expired or cancelled before their turn: neither answered nor billed
            self._missed(bytes.fromhex(key), left[key][0], f"no reply in a batch that is {status}")
        (self.folder / f"{batch.name}.json").unlink(missing_ok=True)
        log.info(
            "batch %s: %s, %d of %d requests answered",
            batch.id,
            status,
            len(batch.requests) - len(left),
            len(batch.requests),
        )

    def _settle(self, key: bytes, request: tuple[str, int, int, float], entry: dict[str, Any]) -> None:
        canonical, characters, tokens, money = request
        response = entry.get("response") or {}
        code = response.get("status_code")
        if entry.get("error") or code != 200:
            problem = entry.get("error") or (response.get("body") or {}).get("error") or {}
            message = " ".join(str(problem.get("message", problem)).split())[:300]
            if isinstance(code, int) and 400 <= code < 500 and code not in (408, 409, 425, 429):
                self.attempts[key] = self.running.attempts
                self.cache.fail(key, canonical, f"status {code}: {message}")
            else:
                self._missed(key, canonical, f"status {code}: {message}")
            return
        raw = json.dumps(response["body"], ensure_ascii=False)
        try:
            body = checked_body(raw)
        except TransientError as error:
            self.attempts[key] = self.attempts.get(key, 0) + 1
            self.cache.discard(key, str(error), raw, tokens, money)
            return
        used = usage(body)
        cost = money if used is None else self.running.money(*used) or 0.0
        self.cache.settle(key, canonical, raw, characters, used or (tokens, 0), cost)

    def _missed(self, key: bytes, canonical: str, problem: str) -> None:
        """Free a request for another batch, or give it up."""
        self.attempts[key] = self.attempts.get(key, 0) + 1
        if self.attempts[key] < self.running.attempts:
            self.cache.release(key)
        else:
            self.cache.fail(key, canonical, f"{problem} ({self.running.attempts} attempts)")


def client_of(url: str, key: str, running: Running) -> openai.OpenAI:
    """Return a client that follows no redirect: the key and the prompts are for the host that the study names."""
    return openai.OpenAI(
        api_key=key,
        base_url=url,
        timeout=max(running.timeout_seconds, 60.0),
        max_retries=running.attempts,
        http_client=openai.DefaultHttpxClient(follow_redirects=False),
    )


def _said(error: openai.APIStatusError) -> str:
    return " ".join(str(error.message).split())[:300]


@contextmanager
def _alone(path: Path) -> Iterator[bool]:
    """Hold a batch's file for as long as the block lasts; False if another process has it, or it is gone."""
    try:
        descriptor = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o644)
    except OSError:
        yield False
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield path.exists()
        if not path.exists():
            path.with_suffix(".lock").unlink(missing_ok=True)
    finally:
        os.close(descriptor)
