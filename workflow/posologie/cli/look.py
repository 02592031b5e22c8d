"""Look at the data before anything is trained: how they were read, what they hold, and what is suspicious.

Prints the page about all sources, or about one, from the shards that exist (`snakemake shards` makes them). The pages
themselves are made by `snakemake look`, or into a folder of your own with --html.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from posologie.cli.places import add_study, console, print_json, results_of, study_of
from posologie.config import plan
from posologie.config.job_specs import look_spec
from posologie.config.study import Study
from posologie.records import layout
from posologie.records.files import read_json
from posologie.running.errors import InputError


def add_arguments(arguments: argparse.ArgumentParser) -> None:
    """Add the arguments of `look`."""
    arguments.add_argument("source", nargs="?", metavar="SOURCE", help="one source (default: a summary of all)")
    add_study(arguments)
    arguments.add_argument("--html", type=Path, metavar="FOLDER", help="write the pages into this folder")


def answer(options: argparse.Namespace) -> int:
    """Print a page; the exit code is 1 if a doubt is a problem."""
    study = study_of(options)
    if options.source is not None and options.source not in study.sources:
        raise InputError(f"{options.source}: no such source; choose one of: {', '.join(study.sources)}")
    facts = facts_of(study)
    if options.html is not None:
        from posologie.look.__main__ import write_pages

        write_pages(facts, options.html)
    if options.json:
        print_json(facts if options.source is None else facts["sources"][options.source])
    else:
        _print(study, facts, options.source, options.html)
    doubts = facts["doubts"] if options.source is None else []
    sources = facts["sources"] if options.source is None else {options.source: facts["sources"][options.source]}
    doubts = doubts + [doubt for source in sources.values() for doubt in source["doubts"]]
    return 1 if any(doubt["state"] == "problem" for doubt in doubts) else 0


def _print(study: Study, facts: dict[str, Any], source: str | None, folder: Path | None) -> None:
    from posologie.look.page import index_page, source_page
    from posologie.look.terminal import as_renderable

    page = index_page(facts) if source is None else source_page(facts, source)
    file = (folder or results_of(study) / "look") / page.file
    console().print(as_renderable(page))
    where = f"The page: {file}" if file.is_file() else "The same as pages: `snakemake look`, or --html FOLDER."
    console().print(Text(where, style="dim"))


def facts_of(study: Study) -> dict[str, Any]:
    """Return the facts of a study's data: those that `snakemake look` wrote if nothing changed since, else new ones.

    Raises:
        InputError: if no shard is made yet.
    """
    from posologie.look.facts import identity, look

    root, spec = results_of(study), look_spec(study)
    shards = [layout.shard(name, split) for name, source in study.sources.items() for split in source.splits]
    if not any((root / shard).is_file() for shard in shards):
        raise InputError(f"{root}/shards: no shard yet; `snakemake shards` reads the sources")
    screened = [
        file
        for name, splits in plan.screened_splits(study).items()
        for split in splits
        if (file := root / layout.screened(name, split)).is_file()
    ]
    manifest = Path(study.roots.models) / next(iter(study.backbones.values())).folder_name() / "manifest.json"
    backbone = manifest if manifest.is_file() else None
    written = root / "look" / "facts.json"
    if written.is_file():
        facts: dict[str, Any] = read_json(written)
        if facts.get("identity") == identity(spec, root, screened, backbone):
            return facts
    with Console(file=sys.stderr).status("Looking at the shards …"):
        return look(spec, root, screened, backbone)
