"""How the command behind a rule starts and ends: arguments, log lines, one clear error, the exit status."""

import argparse
import logging
import os
import shlex
import sys
from collections.abc import Callable
from typing import NoReturn

from posologie.code_digest import digest
from posologie.errors import InputError, machine_error
from posologie.running.sealing import make, taken_out


def parser(module: str, description: str) -> argparse.ArgumentParser:
    """Return the argument parser of a stage's command, with what every stage takes: `--spec`, `--devices`."""
    arguments = argparse.ArgumentParser(prog=f"python -m {module}", description=description)
    arguments.add_argument("--spec", required=True, help="the spec as JSON, or @FILE that holds it")
    arguments.add_argument("--devices", type=int, default=0, help="GPUs to claim where no scheduler gives any")
    return arguments


def named_path(text: str) -> tuple[str, str]:
    """Split an argument NAME=PATH."""
    name, separator, path = text.partition("=")
    if not separator or not name or not path:
        raise argparse.ArgumentTypeError(f"'{text}': expected NAME=PATH")
    return name, path


def run(main: Callable[[list[str]], None]) -> NoReturn:
    """Run `main` on the command line's arguments and exit.

    A command that a rule starts with `--sealing` makes an artifact and seals it (`posologie.running.sealing`).

    Log lines go to standard error. An `InputError`, or an error of the machine such as a full disk, becomes one line on
    standard error and status 2. Whatever else is raised is a bug and keeps its traceback (status 1).
    """
    logging.basicConfig(
        stream=sys.stderr, level=os.environ.get("POSOLOGIE_LOG", "INFO"), format="%(asctime)s %(name)s: %(message)s"
    )
    logging.captureWarnings(True)
    for noisy in ("httpx", "httpx2", "httpcore", "httpcore2", "openai", "urllib3", "filelock"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    try:
        _started(main)
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except Exception as error:
        line = machine_error(error)
        if line is None:
            raise
        print(f"error: {line}", file=sys.stderr)
        sys.exit(2)
    sys.exit(0)


def _started(main: Callable[[list[str]], None]) -> None:
    """Run `main`; where a rule started the command, make and seal its artifact."""
    argv, request = taken_out(sys.argv[1:])
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    if spec is None:
        main(argv)
        return
    module = spec.name.removesuffix(".__main__")
    logging.getLogger("posologie").info("started %s %s", digest(module), shlex.join([module, *argv]))
    if request is None:
        main(argv)
    else:
        make(module, digest, argv, request, main)
