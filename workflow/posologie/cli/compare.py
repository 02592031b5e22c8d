"""Show what differs between two runs: specs, inputs, versions, and every table.

RUN is the folder of a study's results (results/demo, or a copy that was kept), or a single run record (run.json):

  posologie compare results/demo results/demo-3-epochs
  posologie compare results/demo results/demo-3-epochs --html compared.html
  posologie compare results/demo/predictions/scratch/{NAT,SYN}/seed-1/mcqa.run.json
"""

import argparse
from pathlib import Path
from typing import Any

import yaml
from rich.table import Table
from rich.text import Text

from posologie.cli.comparison import paired_tables, records, settings, study_document
from posologie.cli.places import console, print_json
from posologie.records.files import read_json, read_text, write_text
from posologie.running.errors import InputError


def add_arguments(arguments: argparse.ArgumentParser) -> None:
    """Add the arguments of `compare`."""
    for name in ("a", "b"):
        arguments.add_argument(name, type=Path, metavar=f"RUN_{name.upper()}", help="folder of results, or run.json")
    arguments.add_argument("--most", type=int, default=10, metavar="N", help="rows of a table to show (default: 10)")
    arguments.add_argument("--html", type=Path, metavar="FILE", help="write a page that links into the two reports")
    arguments.add_argument(
        "--studies",
        nargs=2,
        type=Path,
        metavar="FILE",
        help="study files of A and B, if the records of their last runs are gone",
    )


def answer(options: argparse.Namespace) -> int:
    """Print what differs, and write the page; the exit code is 1 if anything differs."""
    if options.a.is_file() and options.b.is_file():
        if options.html is not None:
            raise InputError("--html: expected the folders of two studies, not two run records")
        differences = {
            "settings": settings({"run": read_json(options.a)}, {"run": read_json(options.b)}, whole=True),
            "tables": [],
        }
    else:
        for folder in (options.a, options.b):
            if not folder.is_dir():
                raise InputError(f"{folder}: expected the folder of a study's results, or two run records")
        differing = settings(records(options.a), records(options.b))
        tables = paired_tables(options.a, options.b)
        differences = {"settings": differing, "tables": [table.summary for table in tables]}
        if options.html is not None:
            from posologie.cli.comparison_page import comparison_page

            files = options.studies or (None, None)
            documents = (_document(options.a, files[0]), _document(options.b, files[1]))
            write_text(options.html, comparison_page(options.a, options.b, differing, tables, documents, options.html))
    if options.json:
        print_json(differences)
    else:
        _print(differences, options.most)
        if options.html is not None:
            console().print(f"\n{options.html.as_posix()}: both studies side by side", markup=False)
    changed = any(
        table["changed"] or table["only_a"] or table["only_b"] for table in differences["tables"] if table["counts"]
    )
    return 1 if differences["settings"] or changed else 0


def _document(root: Path, file: Path | None) -> tuple[dict[str, Any], str] | None:
    """Return the study file of a study, and where it lies: the one that is named, else that of its last run."""
    if file is None:
        return study_document(root)
    try:
        document = yaml.safe_load(read_text(file))
    except yaml.YAMLError as error:
        raise InputError(f"{file}: not YAML ({' '.join(str(error).split())})") from None
    if not isinstance(document, dict):
        raise InputError(f"{file}: expected a study file, a map of keys")
    return document, file.as_posix()


def _print(differences: dict[str, Any], most: int) -> None:
    out = console()
    if differences["settings"]:
        table = Table(title="Settings, inputs, versions", title_justify="left", box=None, pad_edge=False)
        for title in ("setting", "A", "B", "in"):
            table.add_column(title, overflow="fold")
        for entry in differences["settings"]:
            names = entry["in"]
            where = names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"
            table.add_row(*(Text(text) for text in (entry["setting"], entry["a"], entry["b"], where)))
        out.print(table)
    else:
        out.print("Specs, code and versions are the same.")
    for entry in differences["tables"]:
        only = (
            f", {entry['only_a']} only in A, {entry['only_b']} only in B" if entry["only_a"] or entry["only_b"] else ""
        )
        out.print(
            f"\n{entry['table']}: {entry['same']:,} rows the same, {entry['changed']:,} changed{only}", markup=False
        )
        if entry["changes"]:
            table = Table(box=None, pad_edge=False)
            for title in ("row", "column", "A", "B", "change"):
                table.add_column(title, overflow="fold", justify="left" if title in ("row", "column") else "right")
            for change in entry["changes"][:most]:
                row = " ".join(value for value in change["row"].values() if value)
                shown = "" if change["change"] is None else f"{change['change']:+.4g}"
                table.add_row(*(Text(text) for text in (row, change["column"], change["a"], change["b"], shown)))
            out.print(table)
            if len(entry["changes"]) > most:
                out.print(f"… and {len(entry['changes']) - most:,} more changed cells (--most N, --json)")
