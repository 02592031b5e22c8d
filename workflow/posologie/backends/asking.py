"""What every command that asks a backend has in common: its options, its session, and when failures end it."""

import argparse
import importlib
import json
import logging
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from posologie.backends.cache import Cache
from posologie.backends.interface import Backend, Request, Session
from posologie.backends.spec import Running
from posologie.running.commands import Progress, claim_devices
from posologie.running.errors import InputError

log = logging.getLogger(__name__)


KINDS = ("causal", "seq2seq", "openai_endpoint", "engine")
"""Kinds of backend: each is a module of `posologie.backends` with a function `open_backend`."""


def add_backend_argument(arguments: argparse.ArgumentParser) -> None:
    """Add the option that names the backend, whose code is then behind the job (`posologie.running.code_digest`)."""
    arguments.add_argument("--backend", required=True, choices=KINDS, help="kind of the spec's backend")


def open_backend(spec: Any, options: argparse.Namespace, running: Running, manifest: Path | None) -> Backend:
    """Return the backend of a spec; `manifest` is the local model's, None for an endpoint.

    Raises:
        InputError: if the command line names another kind of backend than the spec.
    """
    if spec.kind != options.backend:
        raise InputError(f"--backend {options.backend}: the spec has a backend of kind {spec.kind}; use that")
    backend: Backend = importlib.import_module(f"posologie.backends.{spec.kind}").open_backend(spec, running, manifest)
    return backend


def add_asking_arguments(arguments: argparse.ArgumentParser) -> None:
    """Add the options of every command that asks a backend."""
    add_backend_argument(arguments)
    arguments.add_argument("--backbone", type=Path, metavar="MANIFEST", help="the local model; none for an endpoint")
    arguments.add_argument("--work", required=True, type=Path, metavar="DIR", help="folder of the response cache")
    arguments.add_argument("--running", default="{}", metavar="JSON", help="how the backend is run: changes no reply")


def cache_path(work: Path) -> Path:
    """Return the response cache of a work folder; jobs that share it share their replies and their budget."""
    return work / "responses.sqlite"


@contextmanager
def asking(backend_spec: Any, options: argparse.Namespace, what: str) -> Iterator["Asking"]:
    """Open the backend and its cache for the time of a `with` block; `what` is the artifact, for the progress."""
    running = Running.from_json(options.running)
    claim_devices(options.devices)
    backend = open_backend(backend_spec, options, running, options.backbone)
    with Cache(cache_path(options.work)) as cache, closing(Session(backend, cache)) as session:
        yield Asking(session, running, options.work, what)


class Asking:
    """An open session that counts what it asked and what failed."""

    def __init__(self, session: Session, running: Running, work: Path, what: str) -> None:
        """Take the session; progress is shown for the artifact `what`."""
        self.session, self.running, self.work, self.what = session, running, work, what
        self.asked = 0

    def complete(self, requests: Iterable[Request], total: int, step: str = "requests") -> None:
        """Ask requests until each has a reply or has failed for good."""
        self.asked += total
        log.info("%s: %d %s", self.what, total, step)
        if total:
            self.session.complete(requests, Progress(self.work / self.what, self.what, total, step))

    def reply(self, request: Request) -> Any:
        """Return the `Reply` or the `Failure` of a completed request."""
        return self.session.reply(request)

    def facts(self) -> dict[str, Any]:
        """Return what the run record should say of the backend; nothing is asked afterwards."""
        return self.session.facts(self.work, self.running)

    def described(self) -> dict[str, str]:
        """Return what a report of parts should say of an engine: as text, because numbers of parts are added up."""
        facts = self.facts()
        return {"engine": json.dumps(facts["engine"]["identity"], sort_keys=True)} if "engine" in facts else {}

    def check_failures(self, failed: Mapping[str, str]) -> None:
        """End the command if more failed than the configuration tolerates.

        Args:
            failed: what could not be answered, with its error.

        Raises:
            InputError: with the count and the first error; what was answered stays in the cache.
        """
        if len(failed) > self.running.tolerated_failures * self.asked:
            name, error = next(iter(failed.items()))
            raise InputError(
                f"{self.what}: {len(failed)} of {self.asked} requests failed, the first for {name}: {error}; run again"
                " to ask only these, or raise tolerated_failures to record them as failed"
            )
        if failed:
            log.warning("%s: %d of %d requests failed and are recorded as such", self.what, len(failed), self.asked)
