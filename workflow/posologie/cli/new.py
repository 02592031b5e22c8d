"""Write a module and its test to start from, for a metric, a table or a reader of your own.

  posologie new metric brevity --kind open --direction higher --title "brevity of an answer"
  posologie new table silence --title "questions that no model answers"
  posologie new reader exams

It works in a clone. The module runs and its test passes as written; comments say what to replace. The command prints
the other places where the module must be registered, with the line to add to each; tests/workflow/test_registries.py
names one that is missing. A reader needs no other place.
"""

import argparse
import keyword
import re
from importlib.resources import files
from pathlib import Path

import jinja2

from posologie.cli.places import console, print_json
from posologie.config.tables import TABLES
from posologie.records.files import write_text
from posologie.running.errors import InputError
from posologie.running.installed import project
from posologie.scoring.metrics import METRICS

_PACKAGES = {"metric": "scoring", "table": "statistics", "reader": "sources"}
_DIRECTIONS = {"higher": 1, "lower": -1, "neither": 0}
_DECODINGS = {"choice": "BOTH", "open": "GREEDY"}


def add_arguments(arguments: argparse.ArgumentParser) -> None:
    """Add the arguments of `new`."""
    arguments.add_argument("what", choices=_PACKAGES, help="what to start")
    arguments.add_argument("name", metavar="NAME", help="its name: small letters, digits and _")
    arguments.add_argument("--title", help="its name in the report (default: the name)")
    arguments.add_argument("--kind", choices=_DECODINGS, help="for a metric, required: the questions that it scores")
    arguments.add_argument("--direction", choices=_DIRECTIONS, help="for a metric, required: which values are better")
    arguments.add_argument("--clone", type=Path, metavar="FOLDER", help="where to write (default: this clone)")


def answer(options: argparse.Namespace) -> int:
    """Write the two files and print the places."""
    _check(options)
    clone = options.clone or project()
    package = _PACKAGES[options.what]
    module = clone / "workflow" / "posologie" / package / f"{options.name}.py"
    test = clone / "tests" / "unit" / package / f"test_{options.name}.py"
    for folder in (module.parent, test.parent):
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder; run this in a clone of the project, or name one with --clone")
    for file in (module, test):
        if file.exists():
            raise InputError(f"{file}: already exists; choose another name")
    facts = {"name": options.name, "title": options.title or options.name.replace("_", " "), "kind": options.kind}
    for file, template in ((module, options.what), (test, f"{options.what}_test")):
        write_text(file, _rendered(template, facts))
    places = _places(options, str(facts["title"]))
    written = [file.relative_to(clone).as_posix() for file in (module, test)]
    if options.json:
        print_json({"written": written, "places": [{"file": file, "add": line} for file, line in places]})
        return 0
    out = console()
    for file in written:
        out.print(f"{file} is written.", markup=False, highlight=False)
    for file, line in places:
        out.print(f"\n{file}:\n  {line}", markup=False, highlight=False, soft_wrap=True)
    check = "" if options.what == "reader" else " tests/workflow/test_registries.py"
    out.print(f"\nThen: pytest {written[1]}{check}", markup=False, highlight=False, soft_wrap=True)
    return 0


def _check(options: argparse.Namespace) -> None:
    """Check the name and the options.

    Raises:
        InputError: naming the argument that does not fit.
    """
    name = options.name
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name):
        raise InputError(f"NAME = '{name}': expected small letters, digits and _, beginning with a letter")
    registered = {"metric": METRICS.keys(), "table": TABLES.keys()}
    if name in registered.get(options.what, ()):
        raise InputError(f"NAME = '{name}': the {options.what} is registered already; choose another name")
    if options.title is not None and not re.fullmatch(r"[^\"\\\r\n|`]+", options.title):
        raise InputError("--title: expected one line without quotation marks, backslashes, backticks and |")
    for option in ("kind", "direction"):
        if (getattr(options, option) is None) == (options.what == "metric"):
            problem = "missing; a metric needs it" if options.what == "metric" else "only a metric has one"
            raise InputError(f"--{option}: {problem}")


def _rendered(template: str, facts: dict[str, str | None]) -> str:
    text = (files("posologie.cli") / "templates" / f"{template}.py.j2").read_text(encoding="utf-8")
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True, autoescape=False)  # noqa: S701 - Python, not HTML
    return environment.from_string(text).render(facts)


def _places(options: argparse.Namespace, title: str) -> list[tuple[str, str]]:
    """Return each other place where the new thing is entered: file and line."""
    name, package = options.name, "workflow/posologie"
    if options.what == "reader":
        default = f'"{name}": {{"train": ("train.jsonl",), "test": ("test.jsonl",)}},'
        return [(f"{package}/sources/layouts.py, LAYOUTS, if its files always have the same names", default)]
    if options.what == "table":
        entry = f'"{name}": Table("{title}", "statistics.{name}", lambda study: bool(study.suites)),'
        heading = f"## `{name}`: {title}"
        return [
            (f"{package}/config/tables.py, TABLES, where the report shall show it", entry),
            (f"{package}/statistics/TABLES.md, with its columns", heading),
        ]
    decodings, direction = _DECODINGS[options.kind], _DIRECTIONS[options.direction]
    entry = f'"{name}": Metric("{title}", "{options.kind}", {decodings}, {direction}, "%"),'
    if options.kind == "choice":
        computed = [
            (f"{package}/scoring/choices.py, metrics of choice_scores", f'"{name}": {name}(gold, predicted, options),')
        ]
    else:
        computed = [
            (f"{package}/scoring/text.py, score of text_scorer", f'values["{name}"] = {name}(answer, reference)'),
            (f"{package}/scoring/text.py, of_family of text_signatures", f'"{name}": "{name}|v1",'),
        ]
    return [
        *computed,
        (f"{package}/scoring/metrics.py, METRICS; `shown=` adds it to the report's tables", entry),
        (f"{package}/statistics/TABLES.md, metrics of {'mcqa' if options.kind == 'choice' else 'oeq'}", f"`{name}`"),
        ("docs/method.md, scores", f"| `{name}` | {title} | where it is from |"),
    ]
