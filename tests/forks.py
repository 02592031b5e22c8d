"""Programs of a copy of the project as forks of one process that has imported their packages.

Most of the time of a small job is the import of torch and its like. A server imports what its forks imported, except
what is under test: each fork imports `posologie` anew, from the copy that its PYTHONPATH names, because tests edit it.
A job that Snakemake starts in a shell is a fork too: `python` is then a program that asks the server. There are two
servers with hash seeds of their own, one for dry runs and one for runs, so what depends on the order of a set differs
between a run and the dry run after it, as it does between processes.
"""

import atexit
import contextlib
import gc
import importlib
import json
import os
import runpy
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from functools import cache
from pathlib import Path
from typing import Any

ADDRESS = "POSOLOGIE_TEST_FORKS"
UNDER_TEST = ("posologie", "snakemake_logger_plugin_posologie", "__main__", "__mp_main__")
CLIENT = """#!{python} -IS
import os, sys
address = os.environ.get("{variable}")
if not address or sys.argv[1:2] != ["-m"]:
    os.execv("{python}", ["{python}", *sys.argv[1:]])
import json, signal, socket
body = json.dumps({{"words": sys.argv[2:], "folder": os.getcwd(), "environment": dict(os.environ)}}).encode()
with socket.socket(socket.AF_UNIX) as asked:
    asked.connect(address)
    socket.send_fds(asked, [len(body).to_bytes(8, "big")], [0, 1, 2])
    asked.sendall(body)
    status = int(asked.recv(16) or b"1")
if status < 0:
    signal.signal(-status, signal.SIG_DFL)
    os.kill(os.getpid(), -status)
sys.exit(status)
"""


class Server:
    """The process that imports and forks: it runs modules on request until its standard input ends."""

    def __init__(self, folder: Path, kind: str) -> None:
        self.python = str(folder / "python")
        self.listening = socket.socket(socket.AF_UNIX)
        self.listening.bind(str(folder / "socket"))
        self.listening.listen(64)
        self.waiting = selectors.DefaultSelector()
        self.seen: set[str] = set()
        self.own_path = [path for path in sys.path if path != str(Path(__file__).parent)]
        import snakemake.api
        import snakemake.cli
        import snakemake.rules
        import snakemake.workflow

        if kind == "dry":
            # The words of a rule's message would stand in place of its name, inputs, resources and wildcards.
            snakemake.rules.Rule.message = property(lambda rule: None, lambda rule, text: None)

    def serve(self) -> None:
        """Start a fork for each request, and answer it with the fork's exit status."""
        self.waiting.register(self.listening, selectors.EVENT_READ, self.start)
        self.waiting.register(sys.stdin, selectors.EVENT_READ, sys.exit)
        print("ready", flush=True)
        while True:
            for key, _ in self.waiting.select():
                if key.fd in self.waiting.get_map():
                    key.data()

    def start(self) -> None:
        """Fork for the next request."""
        asking, _ = self.listening.accept()
        header, streams, _, _ = socket.recv_fds(asking, 8, 3)
        with asking.makefile("rb") as body:
            request = json.loads(body.read(int.from_bytes(header, "big")))
        imported = os.memfd_create("imported")
        gc.freeze()
        child = os.fork()
        if child == 0:
            self.listening.close()
            self.waiting.close()
            asking.close()
            for own, stream in enumerate(streams):
                os.dup2(stream, own)
            run(request, self.own_path, self.python, imported)
        for stream in streams:
            os.close(stream)
        ended = os.pidfd_open(child)

        def finish() -> None:
            for descriptor in (ended, asking):
                self.waiting.unregister(descriptor)
            status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            self.learn(imported)
            os.close(ended)
            with asking, contextlib.suppress(OSError):
                asking.sendall(str(status).encode())

        def kill() -> None:  # the process that asked has ended, or gives up
            os.kill(child, signal.SIGKILL)
            finish()

        self.waiting.register(ended, selectors.EVENT_READ, finish)
        self.waiting.register(asking, selectors.EVENT_READ, kill)

    def learn(self, imported: int) -> None:
        """Import what a fork imported, so that the next one has it."""
        with os.fdopen(imported, "rb") as file:
            file.seek(0)
            names = json.loads(file.read() or b"[]")
        for name in names:
            if name not in self.seen and name not in sys.modules:
                self.seen.add(name)
                with contextlib.suppress(Exception):
                    importlib.import_module(name)


def run(request: dict[str, Any], own_path: list[str], python: str, imported: int) -> None:
    """Run a module as `python -m` does, and end."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.executable = python
    paths = [path for path in os.environ.get("PYTHONPATH", "").split(os.pathsep) if path]
    sys.path[:] = [request["folder"], *paths, *own_path]
    sys.argv = list(request["words"])
    time.tzset()
    status = 0
    try:
        runpy.run_module(request["words"][0], run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 (as Python itself: whatever ends the module is printed)
        traceback.print_exc()
        status = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    with os.fdopen(imported, "wb") as file:
        file.write(json.dumps([name for name, module in list(sys.modules.items()) if is_kept(name, module)]).encode())
    os._exit(status)


def is_kept(name: str, module: object) -> bool:
    """Whether a module is one of an installed package, and not of what is under test."""
    place = str(getattr(getattr(module, "__spec__", None), "origin", None))
    return name.partition(".")[0] not in UNDER_TEST and place.startswith((sys.prefix, sys.base_prefix))


@cache
def address_of(kind: str) -> Path:
    """Return the socket of this process's server of a kind, and start it first where there is none yet."""
    folder = Path(tempfile.mkdtemp(prefix="forks-"))  # in a short path, as a socket's must be
    client = folder / "python"
    client.write_text(CLIENT.format(python=sys.executable, variable=ADDRESS), encoding="utf-8")
    client.chmod(0o755)
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM", "HF_TOKEN"))}
    environment |= {"HF_HUB_OFFLINE": "1", "XDG_CACHE_HOME": str(folder / "cache")}
    server = subprocess.Popen(
        [sys.executable, __file__, str(folder), kind],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=folder,
    )
    assert server.stdin is not None
    assert server.stdout is not None

    def stop() -> None:
        server.stdin.close()
        server.wait()
        subprocess.run(["rm", "-rf", folder], check=True)

    atexit.register(stop)
    assert server.stdout.readline() == b"ready\n"
    return folder / "socket"


def forked(
    kind: str, words: list[str], folder: Path, environment: dict[str, str], timeout: float = 600
) -> tuple[int, str]:
    """Run `python -m` with these words as a fork; return its exit status and all that it wrote."""
    address = address_of(kind)
    if kind != "dry":
        environment = {**environment, ADDRESS: str(address)}
    body = json.dumps({"words": words, "folder": str(folder), "environment": environment}).encode()
    with tempfile.TemporaryFile("w+") as log, open(os.devnull) as nothing, socket.socket(socket.AF_UNIX) as asking:
        asking.settimeout(timeout)
        asking.connect(str(address))
        socket.send_fds(asking, [len(body).to_bytes(8, "big")], [nothing.fileno(), log.fileno(), log.fileno()])
        asking.sendall(body)
        status = int(asking.recv(16))
        log.seek(0)
        return status, log.read()


if __name__ == "__main__":
    Server(Path(sys.argv[1]), sys.argv[2]).serve()
