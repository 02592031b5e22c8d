"""Write the pages about a study's data, before anything is trained."""

import json
from pathlib import Path

from posologie.look.facts import look
from posologie.look.page import pages
from posologie.look.spec import LookSpec
from posologie.records.files import write_text
from posologie.report.html import as_html
from posologie.running.commands import parser, run


def main(argv: list[str]) -> None:
    """Write the page about all sources, one for each source beside it, and the facts that they show."""
    arguments = parser("posologie.look", __doc__ or "")
    arguments.add_argument("--results", required=True, type=Path, help="the study's folder")
    arguments.add_argument("--screened", nargs="*", type=Path, default=[], help="screened shards that exist")
    arguments.add_argument("--backbone", type=Path, help="manifest of the backbone whose chat template is shown")
    arguments.add_argument("--facts", required=True, type=Path, help="facts.json; the pages are written beside it")
    arguments.add_argument("--processes", type=int, default=1, help="changes no result")
    options = arguments.parse_args(argv)
    facts = look(
        LookSpec.from_json(options.spec), options.results, options.screened, options.backbone, options.processes
    )
    write_pages(facts, options.facts.parent)
    # The order of sources, mixes and languages says something, so the keys are not sorted.
    write_text(options.facts, json.dumps(facts, ensure_ascii=False, indent=1, allow_nan=False) + "\n")


def write_pages(facts: dict[str, object], folder: Path) -> None:
    """Write all pages into a folder."""
    for page in pages(facts):
        write_text(folder / page.file, as_html(page))


if __name__ == "__main__":
    run(main)
