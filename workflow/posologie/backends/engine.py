"""An inference engine on this job's own machine: started when the first reply is missing, asked, stopped with the job.

The server listens on a free port of the loopback, under a key and a name that nobody else has: what answers there is
known to be the one that was started. The key travels in the environment, or in a file that only this user can read,
and is never logged.
"""

import contextlib
import heapq
import importlib.util
import itertools
import json
import logging
import os
import re
import secrets
import shutil
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch

from posologie.backends.cache import Cache
from posologie.backends.engine_kinds import KINDS, compare
from posologie.backends.interface import Reply, Request, weights_identity
from posologie.backends.openai_endpoint import OpenaiEndpointBackend
from posologie.backends.served import unanswered
from posologie.backends.spec import Causal, Engine, OpenaiEndpoint, Running
from posologie.models.store import checked_folder, read_manifest
from posologie.records.files import sha256_of_file
from posologie.running.commands import Progress
from posologie.running.errors import InputError
from posologie.running.serving import Server, free_port

log = logging.getLogger(__name__)

_PORTS_TRIED = 3
_PORT_TAKEN = re.compile(r"address already in use|errno 98|couldn't bind|EADDRINUSE", re.IGNORECASE)
_OUT_OF_MEMORY = re.compile(r"out of memory|OutOfMemory|failed to allocate|No available memory", re.IGNORECASE)


class EngineBackend:
    """The backend of `Engine`."""

    def __init__(self, spec: Engine, running: Running, manifest: Path) -> None:
        """Take a model by its manifest; nothing is started yet."""
        self.spec, self.running, self.manifest = spec, running, manifest
        self.kind = KINDS[spec.engine]
        self.version = spec.version
        self._weights: dict[str, str] | None = None
        self._server: Server | None = None
        self._endpoint: OpenaiEndpointBackend | None = None
        self._key, self._name = secrets.token_urlsafe(24), f"{spec.model}-{secrets.token_hex(4)}"
        self._url = ""
        self._sample: list[tuple[int, Request]] = []
        self._compared: dict[str, Any] | None = None
        self._started_in = 0.0

    # What every backend has

    def identity(self) -> dict[str, Any]:
        """Return what the replies depend on: engine, version, arguments, weights, how it is asked.

        The version is the engine's own word: where the study does not pin it, the engine is started to say it.
        """
        if self.version is None:
            self._start()
        described = self.spec.model_dump(mode="json", exclude={"model", "version", "label_probabilities", "gguf_file"})
        return {**described, "version": self.version, "weights": self._files()}

    def read(self, request: Request, raw: str) -> Reply:
        """Return the reply in a response body."""
        return OpenaiEndpointBackend(self._described("http://127.0.0.1"), self.running).read(request, raw)

    def complete(self, requests: Iterator[tuple[bytes, Request]], cache: Cache, progress: Progress) -> None:
        """Ask every request that has no reply yet; the engine is started for the first of them.

        Raises:
            InputError: if the engine does not start, ends in the meantime, or is not the version that the study names.
        """
        missing = unanswered(self._noted(requests), cache, progress)
        first = next(missing, None)
        if first is None:
            return
        self._start()
        assert self._endpoint is not None  # noqa: S101 - it was just started
        self._endpoint.complete(itertools.chain([first], missing), cache, progress)

    def facts(self, session_reply: Callable[[Request], Any], work: Path) -> dict[str, Any]:
        """Stop the engine and return what the run record should say: what answered, and how far it agrees with us.

        Args:
            session_reply: gives the outcome of a request that was asked.
            work: folder for the replies of the comparison.
        """
        identity = self.identity()
        self.close()
        if self._compared is None:
            sample = [request for _, request in sorted(self._sample, key=lambda pair: -pair[0])]
            self._compared = compare(sample, session_reply, self._own(), self.manifest, self.running, work)
        started = {"identity": identity, "seconds_to_start": self._started_in}
        return {"engine": started, "agreement_with_own_engine": self._compared}

    def _own(self) -> Causal:
        """Return the same model as one that this program runs itself."""
        return Causal(
            backbone=self.spec.model,
            precision="bfloat16" if torch.cuda.is_available() else "float32",
            template_options=self.spec.template_options,
            threads=len(os.sched_getaffinity(0)),
        )

    def close(self) -> None:
        """Stop the engine, if it runs."""
        if self._server is not None:
            self._server.stop()
        self._server = self._endpoint = None

    # The server

    def _noted(self, requests: Iterator[tuple[bytes, Request]]) -> Iterator[tuple[bytes, Request]]:
        """Pass requests on, and note which ones are compared: those of the smallest keys."""
        for key, request in requests:
            if request.labels and self.running.compared_items:
                entry = (-int.from_bytes(key[:8], "big"), request)
                if entry not in self._sample:
                    add = heapq.heappush if len(self._sample) < self.running.compared_items else heapq.heappushpop
                    add(self._sample, entry)
            yield key, request

    def _start(self) -> None:
        """Start the engine, on another port if the first was taken, and check that it is the intended one."""
        if self._server is not None:
            return
        command = self.running.command or self.kind.command
        if shutil.which(command[0]) is None:
            raise InputError(
                f"{self.spec.engine}: no program '{command[0]}' here; expected what starts it in running.command"
            )
        model = self._model_file()
        for attempt in range(_PORTS_TRIED):
            port = free_port()
            self._url = f"http://127.0.0.1:{port}"
            with self._key_given() as (environment, options):
                self._server = Server(
                    self.spec.engine, [*command, *self._arguments(model, port), *options], environment, self._key
                )
                begun = time.monotonic()
                try:
                    self._server.wait_until(self._ready, self.running.start_seconds)
                    self._started_in = round(time.monotonic() - begun, 1)
                    break
                except InputError as error:
                    lines = "\n".join(self._server.lines())
                    self.close()
                    if attempt + 1 < _PORTS_TRIED and _PORT_TAKEN.search(lines):
                        log.info("port %d was taken in the meantime; trying another", port)
                        continue
                    raise InputError(f"{error}{_advice(lines)}") from None
                except BaseException:
                    self.close()
                    raise
        self._check_version()
        self._endpoint = OpenaiEndpointBackend(
            self._described(f"{self._url}/v1"), self.running, self._key, self._check_alive
        )
        _no_proxy_for_the_loopback()

    def _arguments(self, model: Path, port: int) -> list[str]:
        places = {"model": str(model), "name": self._name, "port": port, "gpus": self.spec.tensor_parallel}
        words = [word.format(**places) for word in self.kind.arguments]
        if self.spec.engine == "vllm" and self.spec.top_logprobs > 20:
            words += ["--max-logprobs", str(self.spec.top_logprobs)]
        if self.spec.engine == "llama_cpp_python" and self.spec.label_probabilities:
            words += ["--logits_all", "true"]
        return [*words, *self.spec.arguments]

    @contextlib.contextmanager
    def _key_given(self) -> Iterator[tuple[dict[str, str], list[str]]]:
        """Give the key to the engine while it starts, as environment or as a file of options for this user alone."""
        quiet = {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1", "PYTHONUNBUFFERED": "1"}
        if self.kind.key_variable is not None:
            yield {**quiet, self.kind.key_variable: self._key}, []
            return
        with tempfile.NamedTemporaryFile("w", suffix=".yaml", encoding="utf-8") as file:  # mode 0600
            file.write(f"api-key: {self._key}\n")
            file.flush()
            yield quiet, ["--config", file.name]

    def _ready(self) -> bool:
        """Return whether the server that was just started is ready, and not another one on its port."""
        try:
            if self.kind.health is not None:
                self._get(self.kind.health)
            entries = self._get("/v1/models").get("data") or []
        except (OSError, ValueError, AttributeError):  # not there yet, still loading, or someone else's
            return False
        return any(isinstance(entry, dict) and entry.get("id") == self._name for entry in entries)

    def _get(self, path: str) -> Any:
        """Return what the server answers as JSON; nothing for an empty answer."""
        headers = {"Authorization": f"Bearer {self._key}"}
        request = urllib.request.Request(f"{self._url}{path}", headers=headers)  # noqa: S310 - our own http address
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=10) as answer:
            body = answer.read()
        return json.loads(body) if body.strip() else {}

    def _check_version(self) -> None:
        path, *keys = self.kind.version
        version: Any = None
        with contextlib.suppress(OSError, ValueError, LookupError, TypeError):
            version = self._get(path)
            for key in keys:
                version = version[key]
        version = str(version) if version else "unknown"
        if self.version is not None and version != self.version:
            self.close()
            raise InputError(
                f"{self.spec.engine}: found version {version}, but the study asks for {self.version}; install"
                " that one, or change the version in the study"
            )
        self.version = version

    def _check_alive(self) -> None:
        """Explain failed connections, if the engine has ended."""
        if self._server is not None and (status := self._server.status()) is not None:
            lines = self._server.lines()
            raise InputError(
                f"{self.spec.engine}: ended with status {status} while it was answering; the answers so far are"
                f" kept, run"
                f" again for the rest; its last lines: {self._server.said()}{_advice(' '.join(lines))}"
            )

    def _described(self, url: str) -> OpenaiEndpoint:
        """Return how the server is asked."""
        structured = self.kind.structured
        if self.spec.engine == "vllm" and _number(self.version) < (0, 11):
            structured = "guided"
        options = {"chat_template_kwargs": self.spec.template_options} if self.spec.template_options else {}
        return OpenaiEndpoint.model_validate(
            {
                "url": url,
                "model": self._name,
                "key_variable": None,
                "tokens_field": "max_tokens",
                "label_probabilities": self.spec.label_probabilities,
                "top_logprobs": self.spec.top_logprobs,
                "structured": structured,
                "extra_body": {**self.kind.neutral, **options},
            }
        )

    # The model's files

    def _model_file(self) -> Path:
        """Return what the engine loads: the model's folder, or for llama.cpp its GGUF file."""
        folder = checked_folder(self.manifest)
        if not self.spec.engine.startswith("llama_cpp"):
            return folder
        return self._gguf(folder)

    def _gguf(self, folder: Path) -> Path:
        named = self.spec.gguf_file
        candidates = [folder / named] if named else sorted(folder.glob("*.gguf"))
        package = read_manifest(self.manifest).get("package")
        module = importlib.util.find_spec(str(package)) if package else None
        if module is not None and module.origin is not None:
            below = Path(module.origin).parent
            candidates += [below / named] if named else sorted(below.glob("*.gguf"))
        existing = [path for path in candidates if path.is_file()]
        if len(existing) != 1:
            what = ", ".join(path.name for path in existing) or "none"
            raise InputError(f"{folder}: GGUF files: {what}; expected one, or gguf_file that names it")
        return existing[0]

    def _files(self) -> dict[str, str]:
        """Return the hashes of what the engine loads."""
        if self._weights is None:
            self._weights = {"model": weights_identity(self.manifest)}
            if self.spec.engine.startswith("llama_cpp"):
                file = self._gguf(self.manifest.parent)
                self._weights[file.name] = sha256_of_file(file)
        return self._weights


def _number(version: str | None) -> tuple[int, ...]:
    """Return the first two numbers of a version; of an unknown one, large ones."""
    match = re.match(r"v?(\d+)\.(\d+)", version or "")
    return (int(match[1]), int(match[2])) if match else (10**6, 0)


def _advice(lines: str) -> str:
    if _OUT_OF_MEMORY.search(lines):
        return (
            " (out of memory: raise tensor_parallel, or lower the context length or the share of memory in arguments)"
        )
    return ""


def _no_proxy_for_the_loopback() -> None:
    """Keep a site's proxy out of the way between the job and its own server."""
    for name in ("NO_PROXY", "no_proxy"):
        hosts = [host for host in os.environ.get(name, "").split(",") if host]
        if "127.0.0.1" not in hosts:
            os.environ[name] = ",".join([*hosts, "127.0.0.1"])


def open_backend(spec: Engine, running: Running, manifest: Path | None) -> EngineBackend:
    """Return the backend.

    Raises:
        InputError: if no model is given.
    """
    if manifest is None:
        raise InputError("--backbone: missing; expected the manifest of the engine's model")
    return EngineBackend(spec, running, manifest)
