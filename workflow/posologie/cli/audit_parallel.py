r"""Compare a benchmark with its translation, item by item: exchanged options, lost negations, changed numbers.

A and B are the original and the translation: two files or folders in a published form, two shards (Parquet), or two
sources of a study whose shards were made. Files of two folders are paired by name, items by id or row:

  posologie audit-parallel data/mmlu_en data/mmlu_es --reader mmlu --languages en es
  posologie audit-parallel en.jsonl fr.jsonl --reader casimedicos --split train --id-pattern '(\w+-\d+)$'
  posologie audit-parallel en.jsonl fr.jsonl --options '{"question": "q", "options": "choices", "answer": "key"}'
  posologie audit-parallel english french --results results/own --split test --languages en fr

The exit code is 1 if a pair is damaged. Read the findings: some are legitimate choices of the translator.
"""

import argparse
import csv
import importlib
import io
import json
import re
import tempfile
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, get_args

from rich.table import Table
from rich.text import Text

from posologie.cli.places import console, print_json, results_folder
from posologie.generation.translation_audit import Audit, By, Entry, Finding, audited
from posologie.generation.translation_checks import Languages
from posologie.language.languages import known_languages
from posologie.records.files import read_json, read_parquet, write_text
from posologie.records.items import SPLITS, read_items
from posologie.running.errors import InputError
from posologie.sources.layouts import LAYOUTS

_READ = (".json", ".jsonl", ".ndjson", ".csv", ".tsv", ".xlsx", ".parquet")


def add_arguments(arguments: argparse.ArgumentParser) -> None:
    """Add the arguments of `audit-parallel`."""
    arguments.add_argument("a", metavar="A", help="the original: file, folder, shard, or source of a study")
    arguments.add_argument("b", metavar="B", help="the translation, in the same form")
    arguments.add_argument(
        "--languages", nargs=2, default=("en", "fr"), metavar=("A", "B"), help="two-letter codes (default: en fr)"
    )
    arguments.add_argument(
        "--reader", default="columns", choices=sorted(LAYOUTS), metavar="FORM", help="published form (default: columns)"
    )
    arguments.add_argument("--options", default="{}", metavar="JSON", help="options of the reader, for both sides")
    arguments.add_argument("--options-b", metavar="JSON", help="options of the reader for B, if they differ")
    arguments.add_argument("--split", default="test", choices=SPLITS, help="split that is read (default: test)")
    arguments.add_argument(
        "--by",
        default="auto",
        choices=get_args(By),
        help="pair items by id or by row (default: by id if they share any)",
    )
    arguments.add_argument(
        "--id-pattern",
        metavar="REGEX",
        help=r"its one group is the part of an id that A and B share, such as (\d+)$ for en-17, fr-17",
    )
    arguments.add_argument(
        "--results", type=Path, metavar="FOLDER", help="results of the study whose sources A and B are"
    )
    arguments.add_argument("--output", type=Path, metavar="FILE", help="write all findings as .csv or .json")
    arguments.add_argument("--most", type=int, default=20, metavar="N", help="findings to show (default: 20)")


def answer(options: argparse.Namespace) -> int:
    """Print what is damaged; the exit code is 1 if anything is."""
    for language in options.languages:
        if language not in known_languages():
            raise InputError(f"--languages {language}: unknown; expected two-letter codes such as en, fr, es")
    if options.output is not None and options.output.suffix not in (".csv", ".json"):
        raise InputError(f"--output {options.output}: expected a name that ends in .csv or .json")
    languages = Languages(*options.languages)
    pattern = _pattern(options.id_pattern)
    audits = []
    for name, a, b in _sides(options):
        sides = _entries(a, options, options.options), _entries(b, options, options.options_b or options.options)
        audits.append((name, audited(*sides, languages, options.by, pattern)))
    content = _content(audits)
    if options.output is not None:
        write_text(options.output, _csv(audits) if options.output.suffix == ".csv" else _json(content))
    if options.json:
        print_json(content)
    else:
        _print(audits, options.most)
    return 1 if any(audit.findings for _, audit in audits) else 0


def _pattern(text: str | None) -> re.Pattern[str] | None:
    if text is None:
        return None
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise InputError(f"--id-pattern {text}: not a regular expression ({error})") from None
    if pattern.groups != 1:
        raise InputError(f"--id-pattern {text}: has {pattern.groups} groups; expected one")
    return pattern


def _sides(options: argparse.Namespace) -> list[tuple[str, Path, Path]]:
    """Return the files to compare: name, of A, of B.

    Raises:
        InputError: if there are none.
    """
    if options.results is not None:
        shards = [
            results_folder(options.results) / "shards" / side / f"{options.split}.parquet"
            for side in (options.a, options.b)
        ]
        for shard in shards:
            if not shard.is_file():
                raise InputError(f"{shard}: no such shard; run snakemake for it, or give files without --results")
        return [("", *shards)]
    a, b = Path(options.a), Path(options.b)
    for path in (a, b):
        if not path.exists():
            raise InputError(f"{path}: no such file or folder; for a source of a study, add --results results/STUDY")
    if a.is_dir() != b.is_dir():
        raise InputError(f"{a} and {b}: expected two files or two folders")
    if not a.is_dir():
        return [("", a, b)]
    names = [
        {path.relative_to(side).as_posix() for path in side.rglob("*") if path.suffix.lower() in _READ}
        for side in (a, b)
    ]
    both = sorted(names[0] & names[1])
    if not both:
        raise InputError(f"{a} and {b}: no file has the same name in both; expected such files, or two files")
    return [(name, a / name, b / name) for name in both]


def _entries(path: Path, options: argparse.Namespace, settings_text: str) -> list[Entry]:
    """Return the items of a file, with their rows.

    Raises:
        InputError: if the file does not fit the reader, or the options are no JSON object.
    """
    if options.results is not None or (path.suffix == ".parquet" and _is_shard(path)):
        return [Entry(item, item.id, row) for row, item in enumerate(read_items(path), start=1)]
    try:
        reader_options = json.loads(settings_text)
    except json.JSONDecodeError as error:
        raise InputError(f"--options {settings_text}: not JSON ({error.msg}, character {error.pos})") from None
    spec = {
        "source": "audit",
        "provenance": "native",
        "split": options.split,
        "patterns": ["*"],
        "options": reader_options,
    }
    with tempfile.TemporaryDirectory() as folder:
        outputs = {name: Path(folder) / f"{name}.{kind}" for name, kind in _OUTPUTS}
        arguments = [f"--{name}={file}" for name, file in outputs.items()]
        reader = importlib.import_module(f"posologie.sources.{options.reader}")
        reader.main(["--spec", json.dumps(spec), "--inputs", str(path), "--processes", "1", *arguments])
        items = read_items(outputs["items"])
        rejected = set(read_parquet(outputs["rejects"])["row"].to_pylist())
        read = read_json(outputs["report"])["read"]
    if not items:
        raise InputError(
            f"{path}: no row became an item with --reader {options.reader}; expected its form and --options"
        )
    accepted = (row for row in range(1, read + 1) if row not in rejected)
    return [Entry(item, f"{path.name}:{row}", row) for item, row in zip(items, accepted, strict=True)]


_OUTPUTS = (("items", "parquet"), ("rejects", "parquet"), ("report", "json"))


def _is_shard(path: Path) -> bool:
    from posologie.records.files import parquet_schema
    from posologie.records.items import item_schema

    return set(item_schema().names) <= set(parquet_schema(path).names)


def _content(audits: list[tuple[str, Audit]]) -> dict[str, Any]:
    return {
        "pairs": sum(audit.pairs for _, audit in audits),
        "damaged": _damaged(audits),
        "files": [
            {
                "file": name,
                "by": audit.by,
                "pairs": audit.pairs,
                "damaged": audit.damaged(),
                "only_a": list(audit.only_a),
                "only_b": list(audit.only_b),
                "findings": [asdict(finding) for finding in audit.findings],
            }
            for name, audit in audits
        ],
    }


def _damaged(audits: list[tuple[str, Audit]]) -> dict[str, int]:
    counts: dict[str, int] = {}
    for _, audit in audits:
        for severity, count in audit.damaged().items():
            counts[severity] = counts.get(severity, 0) + count
    return counts


def _json(content: dict[str, Any]) -> str:
    return json.dumps(content, ensure_ascii=False, indent=1) + "\n"


def _csv(audits: list[tuple[str, Audit]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("file", *(field.name for field in fields(Finding))))
    for name, audit in audits:
        writer.writerows((name, *asdict(finding).values()) for finding in audit.findings)
    return text.getvalue()


def _print(audits: list[tuple[str, Audit]], most: int) -> None:
    out = console()
    pairs, damaged = sum(audit.pairs for _, audit in audits), _damaged(audits)
    counts = ", ".join(f"{count:,} {severity}" for severity, count in damaged.items())
    out.print(f"{pairs:,} pairs, {sum(damaged.values()):,} damaged: {counts}", markup=False)
    for name, audit in audits:
        for side, only in (("A", audit.only_a), ("B", audit.only_b)):
            if only:
                shown = ", ".join(only[:5]) + (", …" if len(only) > 5 else "")
                out.print(f"{name or 'file'}: {len(only):,} items only in {side}: {shown}", markup=False)
    order = {severity: rank for rank, severity in enumerate(damaged)}
    findings = [finding for _, audit in audits for finding in audit.findings]
    findings.sort(key=lambda finding: order[finding.severity])
    if findings:
        table = Table(box=None, pad_edge=False)
        for title in ("item", "severity", "reason", "detail"):
            table.add_column(title, overflow="fold")
        for finding in findings[:most]:
            table.add_row(*(Text(text) for text in (finding.a, finding.severity, finding.reason, finding.detail)))
        out.print(table)
    if len(findings) > most:
        out.print(f"… and {len(findings) - most:,} more findings (--most N, --output FILE)")
