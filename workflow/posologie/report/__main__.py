"""Write the report of a study: one page that needs no network and no other file."""

from pathlib import Path

from posologie.records.files import write_text
from posologie.report.inputs import Inputs
from posologie.report.method import notices
from posologie.report.page import render, sections
from posologie.report.spec import ReportSpec
from posologie.running.commands import parser, run


def main(argv: list[str]) -> None:
    """Write the report."""
    arguments = parser("posologie.report", __doc__ or "")
    arguments.add_argument("--results", required=True, type=Path, help="the study's folder")
    arguments.add_argument("--report", required=True, type=Path, help="the page to write")
    options = arguments.parse_args(argv)
    inputs = Inputs(ReportSpec.from_json(options.spec), options.results)
    write_text(options.report, render(inputs, sections(inputs), notices(inputs)))


if __name__ == "__main__":
    run(main)
