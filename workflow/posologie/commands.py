"""How the command behind a rule starts and ends: arguments, log lines, one clear error, the exit status."""

import argparse
import logging
import os
import sys
from collections.abc import Callable
from typing import NoReturn

from posologie.errors import InputError


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

    Log lines go to standard error. An `InputError` becomes one line on standard error and status 2. Whatever else is
    raised is a bug and keeps its traceback (status 1).
    """
    logging.basicConfig(
        stream=sys.stderr, level=os.environ.get("POSOLOGIE_LOG", "INFO"), format="%(asctime)s %(name)s: %(message)s"
    )
    logging.captureWarnings(True)
    for noisy in ("httpx", "httpx2", "httpcore", "httpcore2", "openai", "urllib3", "filelock"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    try:
        main(sys.argv[1:])
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    sys.exit(0)
