"""Write a commented study file to start from, for your own language and data.

  posologie new-study spanish --language es --native data/own/native.csv --synthetic data/own/synthetic.jsonl

It is a valid study file at once; what has to be filled in is said beside each line.
"""

import argparse
import csv
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
import yaml
from pydantic import TypeAdapter, ValidationError

from posologie.cli.places import console, print_json
from posologie.config.study import Study
from posologie.errors import InputError
from posologie.files import write_text
from posologie.items import PROVENANCES
from posologie.specs import Name

LANGUAGES: dict[str, tuple[str, str, str | None]] = {
    "ar": ("خيارات الإجابة:", "السياق:", "arabic"),
    "de": ("Antwortmöglichkeiten:", "Kontext:", "german"),
    "en": ("Answer choices:", "Context:", "english"),
    "es": ("Opciones de respuesta:", "Contexto:", "spanish"),
    "fr": ("Choix de réponses :", "Contexte :", "french"),
    "it": ("Opzioni di risposta:", "Contesto:", "italian"),
    "nl": ("Antwoordopties:", "Context:", "dutch"),
    "pt": ("Opções de resposta:", "Contexto:", "portuguese"),
    "ro": ("Variante de răspuns:", "Context:", "romanian"),
    "ru": ("Варианты ответа:", "Контекст:", "russian"),
}
"""Language → the line above the options, the word before a context, and the stemmer."""

_MIX_NAMES = {"native": "NAT", "translated": "TRAD", "synthetic": "SYN"}


def add_arguments(arguments: argparse.ArgumentParser) -> None:
    """Add the arguments of `new-study`."""
    arguments.add_argument("name", metavar="NAME", help="name of the study, and of its folder below results/")
    arguments.add_argument(
        "--language", default="fr", help=f"language of the items: {', '.join(LANGUAGES)}, or another"
    )
    for provenance in PROVENANCES:
        arguments.add_argument(f"--{provenance}", type=Path, metavar="FILE", help=f"file of {provenance} items")
    arguments.add_argument("--backbone", default="Qwen/Qwen3-4B-Instruct-2507", help="model on the hub, owner/name")
    arguments.add_argument("--output", type=Path, metavar="FILE", help="default: config/NAME.yaml")
    arguments.add_argument("--force", action="store_true", help="replace a file that is there")


def answer(given: argparse.Namespace) -> int:
    """Write the study file and say what comes next."""
    try:
        name = TypeAdapter(Name).validate_python(given.name)
    except ValidationError:
        raise InputError(f"NAME = '{given.name}': expected letters, digits, '.', '_' and '-', without '..'") from None
    target = given.output or Path("config") / f"{name}.yaml"
    if target.exists() and not given.force:
        raise InputError(f"{target}: is there already; --force replaces it, --output names another")
    text = study_text(name, target, given)
    Study.model_validate(yaml.safe_load(text))
    write_text(target, text)
    if given.json:
        print_json({"study": name, "file": target.as_posix()})
    else:
        console().print(
            f"{target.as_posix()} is written. Fill in the columns of your files, then: "
            f"posologie check --configfile {target.as_posix()}",
            markup=False,
        )
    return 0


def study_text(name: str, target: Path, given: argparse.Namespace) -> str:
    """Return the text of the study file."""
    paths = {provenance: getattr(given, provenance) for provenance in PROVENANCES}
    if not any(paths.values()):
        paths = {provenance: Path("data") / name / f"{provenance}.csv" for provenance in PROVENANCES}
    if paths["native"] is None:
        raise InputError("--native FILE: missing; the tested items of a study are native ones to start with")
    sources = [
        {"provenance": provenance, "path": path.parent.as_posix(), "file": path.name, "columns": _columns(path)}
        for provenance, path in paths.items()
        if path is not None
    ]
    there = [str(source["provenance"]) for source in sources]
    pairs = [[one, other] for place, one in enumerate(there) for other in there[place + 1 :]]
    parts = [[one] for one in there] + pairs + ([there] if len(there) > 2 else [])
    mixes = [
        {"name": "ALL" if len(part) > 2 else "-".join(_MIX_NAMES[one] for one in part), "parts": part} for part in parts
    ]
    choices, context, stemmer = LANGUAGES.get(given.language, LANGUAGES["en"])
    template = (files("posologie.cli") / "templates" / "study.yaml.j2").read_text(encoding="utf-8")
    environment = jinja2.Environment(undefined=jinja2.StrictUndefined, keep_trailing_newline=True, autoescape=False)  # noqa: S701 - YAML, not HTML
    facts: dict[str, Any] = {
        "name": name,
        "title": f"The study {name}",
        "file": target.as_posix(),
        "sources": sources,
        "mixes": mixes,
        "backbone": given.backbone,
        "backbone_name": given.backbone.rpartition("/")[2].lower(),
        "words": {"choices": choices, "context": context},
        "stemmer": stemmer if given.language in LANGUAGES else None,
        "language": given.language,
    }
    return environment.from_string(template).render(facts)


def _columns(path: Path) -> str:
    """Say in one line which columns a file has, so that they need not be looked up."""
    if not path.is_file():
        return f"put the file at {path.as_posix()} and name its columns here"
    found = _first_record(path)
    return f"columns of the file: {', '.join(found)}" if found else "name the file's columns here"


def _first_record(path: Path) -> list[str]:
    """Return the column names of a CSV, TSV, JSON, JSON lines or Parquet file; none where they cannot be read."""
    if path.suffix == ".parquet":
        import pyarrow.parquet

        return list(pyarrow.parquet.read_schema(path).names)
    with open(path, encoding="utf-8-sig", newline="") as file:
        if path.suffix in (".csv", ".tsv"):
            return next(csv.reader(file, delimiter="\t" if path.suffix == ".tsv" else ","), [])
        try:
            content = json.load(file) if path.suffix == ".json" else json.loads(file.readline())
        except ValueError as error:
            raise InputError(f"{path}: not JSON ({error})") from error
    first = content[0] if isinstance(content, list) and content else content
    return list(first) if isinstance(first, dict) else []
