"""Write the report of a study: one page that needs no network and no other file."""

from pathlib import Path

from posologie.commands import parser, run
from posologie.files import write_text
from posologie.report.page import render, sections
from posologie.report.spec import ReportSpec


def main(argv: list[str]) -> None:
    """Write the report."""
    arguments = parser("posologie.report", __doc__ or "")
    arguments.add_argument("--results", required=True, type=Path, help="the study's folder")
    arguments.add_argument("--report", required=True, type=Path, help="the page to write")
    given = arguments.parse_args(argv)
    spec = ReportSpec.from_json(given.spec)
    write_text(given.report, render(spec, sections(spec, given.results), ()))


if __name__ == "__main__":
    run(main)
