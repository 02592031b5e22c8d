"""The sub-commands of `posologie`, and how each ends."""

import argparse
import os
import sys
from collections.abc import Sequence

from posologie.cli import (
    accept,
    audit,
    audit_parallel,
    check,
    compare,
    design,
    explain,
    look,
    new_study,
    partitions,
    plan,
    prescribe,
    project,
    register,
    status,
    surface,
    testcase,
    verify,
    whatif,
)
from posologie.running.errors import InputError, machine_error
from posologie.running.installed import __version__

EXIT_CODES = """exit codes:
  0  done, and nothing is wrong
  1  done, and something is: runs differ, a check failed, a file is not as its record says
  2  the arguments or files do not fit; one line on standard error says which
"""


def parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    whole = argparse.ArgumentParser(
        prog="posologie",
        description="What a person asks about a study; Snakemake runs it (snakemake --help).",
        epilog=EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    whole.add_argument("--version", action="version", version=f"posologie {__version__}")
    commands = whole.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for module in (
        explain,
        status,
        look,
        compare,
        verify,
        accept,
        new_study,
        check,
        design,
        prescribe,
        register,
        plan,
        partitions,
        surface,
        whatif,
        project,
        testcase,
        audit,
        audit_parallel,
    ):
        name = module.__name__.rpartition(".")[2].replace("_", "-")
        text = (module.__doc__ or "").strip()
        one = commands.add_parser(
            name,
            help=text.splitlines()[0].rstrip("."),
            description=text,
            epilog=EXIT_CODES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(one)
        one.add_argument("--json", action="store_true", help="print JSON to standard output, for other programs")
        one.set_defaults(answer=module.answer)
    return whole


def main(argv: Sequence[str] | None = None) -> int:
    """Answer one question and return the exit code."""
    given = parser().parse_args(argv)
    try:
        code: int = given.answer(given)
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
