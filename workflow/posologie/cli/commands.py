"""The sub-commands of `posologie`, and how each ends."""

import argparse
import ast
import importlib
import inspect
import os
import sys
import tokenize
from collections.abc import Sequence
from pathlib import Path

from posologie.running.errors import InputError, machine_error
from posologie.running.installed import __version__

EXIT_CODES = """exit codes:
  0  done, and nothing is wrong
  1  done, and something is: runs differ, a check failed, a file does not match its record
  2  the arguments or files do not fit; one line on standard error says which
"""

COMMANDS = (
    "demo",
    "findings",
    "run",
    "explain",
    "status",
    "graph",
    "why",
    "look",
    "compare",
    "methods",
    "verify",
    "package",
    "accept",
    "new-study",
    "new",
    "check",
    "design",
    "prescribe",
    "register",
    "plan",
    "partitions",
    "surface",
    "whatif",
    "project",
    "testcase",
    "audit",
    "audit-parallel",
)
"""The commands in the order of the help.

Each is a module of `posologie.cli` with its description as docstring, and with `add_arguments` and `answer`.
"""


def parser(command: str | None = None) -> argparse.ArgumentParser:
    """Return the parser of the command line.

    Args:
        command: the only command whose arguments are wanted: the modules of the others are not imported, which takes
            most of the time of a start. All are wanted if left out.
    """
    whole = argparse.ArgumentParser(
        prog="posologie",
        description="Run a study and ask questions about it. Snakemake runs the jobs (snakemake --help).",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    whole.add_argument("--version", action="version", version=f"posologie {__version__}")
    commands = whole.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name in COMMANDS:
        text = _description(name)
        sub = commands.add_parser(
            name,
            help=text.splitlines()[0].rstrip("."),
            description=text,
            epilog=EXIT_CODES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        if command in (None, name):
            module = importlib.import_module(f"posologie.cli.{_module(name)}")
            module.add_arguments(sub)
            sub.add_argument("--json", action="store_true", help="print JSON to standard output, for other programs")
            sub.set_defaults(answer=module.answer)
    return whole


def main(argv: Sequence[str] | None = None) -> int:
    """Answer one question and return the exit code."""
    words = sys.argv[1:] if argv is None else list(argv)
    options = parser(words[0] if words else "").parse_args(words)
    try:
        code: int = options.answer(options)
        sys.stdout.flush()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader of a pipe, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        line = machine_error(error)
        if line is None:
            raise
        print(f"error: {line}", file=sys.stderr)
        return 2
    return code


def _module(command: str) -> str:
    return command.replace("-", "_")


def _description(command: str) -> str:
    """Return the docstring of a command's module, which is read and not imported."""
    with open(Path(__file__).with_name(f"{_module(command)}.py"), "rb") as source:
        # The docstring is a module's first token; parsing all modules would take most of the time of a start.
        docstring = next(token for token in tokenize.tokenize(source.readline) if token.type == tokenize.STRING)
    return inspect.cleandoc(ast.literal_eval(docstring.string)).strip()
