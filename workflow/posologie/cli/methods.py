"""Write the methods text, the table of results, the checklist and the citations of a finished study for a paper.

  posologie methods --results results/demo --output paper/

writes methods.md (Pandoc), methods.tex (booktabs, natbib) and methods.bib. Everything comes from the folder of the
results, or from an archive of them; a method is cited only if the study used it. The report shows the same in its
section “For a paper”.
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path

from posologie.cli.crate import REPORT, is_crate
from posologie.cli.places import add_results, console, print_json, results_folder
from posologie.records.files import write_text
from posologie.running.errors import InputError


def add_arguments(arguments: argparse.ArgumentParser) -> None:
    """Add the arguments of `methods`."""
    add_results(arguments)
    arguments.add_argument(
        "--output", type=Path, metavar="FOLDER", help="where the files are written (default: paper/)"
    )


def answer(options: argparse.Namespace) -> int:
    """Write the files."""
    from posologie.report.effects import comparisons
    from posologie.report.inputs import Inputs
    from posologie.report.paper import paper_of
    from posologie.report.paper_text import FILES, as_latex, as_markdown, bibliography
    from posologie.report.spec import ReportSpec
    from posologie.running.seals import packed_seals, seal_of

    root = results_folder(options.results)
    page, packed = root / REPORT, is_crate(root)
    seal = next((seal for seal in packed_seals(root) if page in seal.files()), None) if packed else seal_of(page)
    if seal is None:
        raise InputError(f"{page}: no report with a seal; {'take a fresh copy' if packed else 'run snakemake first'}")
    if packed and not list(root.glob("predictions/**/*.run.json")):
        raise InputError(f"{root}: this archive holds no run records; its report has the text under “For a paper”")
    inputs = Inputs(ReportSpec.from_json(json.dumps(seal.identity.spec)), root)
    paper = paper_of(inputs, comparisons(inputs))
    folder = options.output or Path("paper")
    texts = (as_markdown(paper), as_latex(paper), bibliography(paper.keys))
    for name, text in zip(FILES, texts, strict=True):
        write_text(folder / name, text)
    if options.json:
        print_json({"files": [(folder / name).as_posix() for name in FILES], **asdict(paper), "citations": paper.keys})
    else:
        for name, text in zip(FILES, texts, strict=True):
            console().print(f"{(folder / name).as_posix()}: {len(text.encode()):,} bytes", markup=False)
        for point in paper.checklist:
            if point.open:
                console().print(f"open: {point.topic.lower()}: {point.open}", markup=False)
    return 0
