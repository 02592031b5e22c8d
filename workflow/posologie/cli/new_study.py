"""Write a commented study file to start from, for your own language and data.

  posologie new-study spanish --language es --folder data/own
  posologie new-study spanish --language es --native data/own/native.csv --synthetic data/own/synthetic.jsonl
  posologie new-study law --language en --component textbook=data/books.csv --component exam=data/exams.jsonl

The command looks at the files, guesses from values and names which columns hold the question, the options and the
answer, tries the guess with the reader, and shows it. The result is a valid study file; comments beside the lines say
what to confirm.
"""

import argparse
import itertools
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
import yaml
from pydantic import TypeAdapter, ValidationError

from posologie.cli.found_sources import FoundSource, as_yaml, source_of_files, sources_of_folder
from posologie.cli.places import console, print_json
from posologie.config.study import Study
from posologie.language.languages import described_languages
from posologie.records.components import DEFAULT, RESERVED
from posologie.records.files import write_text
from posologie.records.specs import Name
from posologie.running.errors import InputError

_MIX_NAMES = {"native": "NAT", "translated": "TRAD", "synthetic": "SYN"}
"""Short names of the kinds in the names of mixes; a mix of another component is named after it."""

_MOST_WITH_PAIRS = 3


def add_arguments(arguments: argparse.ArgumentParser) -> None:
    """Add the arguments of `new-study`."""
    arguments.add_argument("name", metavar="NAME", help="name of the study, and of its folder below results/")
    arguments.add_argument("--language", default="en", help="language of the items (ISO 639 code); default: en")
    arguments.add_argument(
        "--folder", type=Path, metavar="FOLDER", help="folder whose files are looked at; each becomes a component"
    )
    for kind in DEFAULT:
        arguments.add_argument(f"--{kind}", type=Path, metavar="FILE", help=f"file of {kind} items")
    arguments.add_argument(
        "--component", action="append", default=[], metavar="NAME=FILE",
        help="a component of your own and the file of its items; repeat it for each component; the first one is tested",
    )  # fmt: skip
    arguments.add_argument("--backbone", default="Qwen/Qwen3-4B-Instruct-2507", help="model on the hub, owner/name")
    arguments.add_argument("--output", type=Path, metavar="FILE", help="default: config/NAME.yaml")
    arguments.add_argument("--force", action="store_true", help="replace an existing file")


def answer(options: argparse.Namespace) -> int:
    """Write the study file and say what comes next."""
    try:
        name = TypeAdapter(Name).validate_python(options.name)
    except ValidationError:
        raise InputError(f"NAME = '{options.name}': expected letters, digits, '.', '_' and '-', without '..'") from None
    if not re.fullmatch(r"[a-z]{2,3}", options.language):
        raise InputError(
            f"--language {options.language}: expected a code of two or three letters (ISO 639), such as "
            f"{', '.join(described_languages())}"
        )
    target = options.output or Path("config") / f"{name}.yaml"
    if target.exists() and not options.force:
        raise InputError(f"{target}: already exists; --force replaces it, --output names another")
    sources = component_sources(name, options)
    text = study_text(name, target, options, sources)
    Study.model_validate(yaml.safe_load(text))
    write_text(target, text)
    if options.json:
        guessed = {source.component: source.guess.options for source in sources if source.guess is not None}
        print_json({"study": name, "file": target.as_posix(), "guessed": guessed})
    else:
        for source in sources:
            for line in source.describe():
                console().print(line, markup=False, highlight=False)
        console().print(
            f"{target.as_posix()} is written. Confirm the guesses about your files, then: "
            f"posologie check --configfile {target.as_posix()}",
            markup=False,
        )
    return 0


def study_text(name: str, target: Path, options: argparse.Namespace, sources: list[FoundSource]) -> str:
    """Return the text of the study file."""
    template = (files("posologie.cli") / "templates" / "study.yaml.j2").read_text(encoding="utf-8")
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True, autoescape=False)  # noqa: S701 - YAML, not HTML
    environment.filters["yaml"] = as_yaml
    components = [source.component for source in sources]
    suites = {
        "exam": [source.component for source in sources if "test" in source.splits and not source.is_open],
        "open": [source.component for source in sources if "test" in source.splits and source.is_open],
    }
    facts: dict[str, Any] = {
        "name": name,
        "title": name,
        "file": target.as_posix(),
        "sources": sources,
        "mixes": [{"name": mix, "parts": parts} for mix, parts in _mixes(components).items()],
        "own_components": not set(components) <= set(DEFAULT),
        "kinds": list(DEFAULT),
        "suites": {suite: tested for suite, tested in suites.items() if tested},
        "validated": [source.component for source in sources if "validation" in source.splits],
        "backbone": options.backbone,
        "backbone_name": options.backbone.rpartition("/")[2].lower(),
        "language": options.language,
    }
    return environment.from_string(template).render(facts)


def component_sources(study: str, options: argparse.Namespace) -> list[FoundSource]:
    """Return a source for each component: of the folder, or of the files that were named.

    Raises:
        InputError: for a folder without questions, a component without name or file, or one given twice.
    """
    if options.folder is not None:
        if options.component or any(getattr(options, kind) is not None for kind in DEFAULT):
            raise InputError("--folder: the files of the folder are the components; leave out the other files")
        return sources_of_folder(options.folder)
    return [
        source_of_files(component, {None: [path]}, tested=place == 0)
        for place, (component, path) in enumerate(_files(study, options).items())
    ]


def _files(study: str, options: argparse.Namespace) -> dict[str, Path]:
    """Return the file of each component, the tested one first.

    Raises:
        InputError: for a component without name or file, or one given twice.
    """
    file_of: dict[str, Path] = {}
    for text in options.component:
        name, _, file = text.partition("=")
        try:
            TypeAdapter(Name).validate_python(name)
        except ValidationError:
            file = ""
        if not file:
            raise InputError(f"--component {text}: expected NAME=FILE, such as textbook=data/textbook.csv")
        if name in file_of or name.lower() in RESERVED:
            taken = "given twice" if name in file_of else "a name that the tables use"
            raise InputError(f"--component {text}: '{name}' is {taken}; choose another name")
        file_of[name] = Path(file)
    kinds = {kind: getattr(options, kind) for kind in DEFAULT if getattr(options, kind) is not None}
    for name, file in (*file_of.items(), *kinds.items()):
        if not file.is_file():
            option = f"--{name} {file}" if name in kinds else f"--component {name}={file}"
            raise InputError(f"{option}: no such file; leave the option out to fill in the file's place later")
    if not file_of and not kinds:
        return {kind: Path("data") / study / f"{kind}.csv" for kind in DEFAULT}
    if not file_of and next(iter(DEFAULT)) not in kinds:
        raise InputError("--native FILE: missing; the tested items of a study are native ones to start with")
    if twice := file_of.keys() & kinds.keys():
        raise InputError(f"--component {min(twice)}=…: --{min(twice)} is given too; expected one of them")
    return file_of | kinds


def _mixes(components: list[str]) -> dict[str, list[str]]:
    """Return mixes to start with, in equal shares.

    Every coalition of up to three components. Of more, each alone, all without each, and all: enough for a linear
    surface and a look at whether it fits.
    """
    if len(components) <= _MOST_WITH_PAIRS:
        sizes = range(1, len(components) + 1)
        coalitions = [list(chosen) for size in sizes for chosen in itertools.combinations(components, size)]
    else:
        without = [[component for component in components if component != other] for other in components]
        coalitions = [*([component] for component in components), *without, components]
    mixes: dict[str, list[str]] = {}
    for chosen in coalitions:
        if len(chosen) == len(components) > 2:
            name = "ALL"
        elif len(chosen) > 2:
            name = f"without-{next(component for component in components if component not in chosen)}"
        else:
            name = "-".join(_MIX_NAMES.get(component, component) for component in chosen)
        while name in mixes:  # components called a, b and a-b
            name += "-"
        mixes[name] = chosen
    return mixes
