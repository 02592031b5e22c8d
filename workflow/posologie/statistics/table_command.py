"""What the commands behind the tables have in common: their arguments."""

import argparse
from dataclasses import dataclass

from posologie.records.published import Comparison, comparison
from posologie.running.commands import parser
from posologie.statistics.spec import AgreementSpec, TableSpec

_PUBLISHED = "file of the published study that is compared"


@dataclass(frozen=True)
class TableCommand:
    """The arguments of a table's command."""

    spec: TableSpec
    results: str
    table: str
    published: Comparison | None


def table_arguments(module: str, description: str) -> argparse.ArgumentParser:
    """Return the arguments that every table takes: `--spec --results ROOT --table OUT.csv`."""
    arguments = parser(module, description)
    arguments.add_argument("--results", required=True, help="the study's folder, results/{study}")
    arguments.add_argument("--table", required=True, help="the CSV to write; LaTeX is written beside it")
    return arguments


def table_command(module: str, description: str, argv: list[str]) -> TableCommand:
    """Read the arguments `--spec --results ROOT --table OUT.csv [--published FILE]`."""
    arguments = table_arguments(module, description)
    arguments.add_argument("--published", help=_PUBLISHED)
    given = arguments.parse_args(argv)
    spec = TableSpec.from_json(given.spec)
    return TableCommand(spec, given.results, given.table, comparison(given.published, spec.published))


@dataclass(frozen=True)
class AgreementCommand:
    """The arguments of the command of a table over human ratings."""

    spec: AgreementSpec
    results: str
    table: str
    published: Comparison | None


def agreement_command(module: str, description: str, argv: list[str]) -> AgreementCommand:
    """Read the arguments `--spec --results ROOT --table OUT.csv [--published FILE]` of a table over human ratings."""
    arguments = table_arguments(module, description)
    arguments.add_argument("--published", help=_PUBLISHED)
    given = arguments.parse_args(argv)
    spec = AgreementSpec.from_json(given.spec)
    return AgreementCommand(spec, given.results, given.table, comparison(given.published, spec.published))
