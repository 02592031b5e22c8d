"""Fix contrasts, margin and primary measure before the first training, and show later which verdicts were registered.

  posologie register --configfile config/demo.yaml
  posologie register --configfile config/demo.yaml --check

The first writes results/{study}/registration.json: the resolved sections `statistics` and `surface`, mixes, suites and
seeds, the date and a checksum to publish. It refuses if anything is trained. --check says what was changed afterwards,
what was trained before, and for each verdict of the table of contrasts whether it was registered.
"""

import argparse
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from posologie.cli.places import add_study, console, print_json, results_of, study_of
from posologie.config.study import Study
from posologie.config.table_specs import table_spec
from posologie.records import layout
from posologie.records.files import read_rows
from posologie.running.errors import InputError
from posologie.running.seals import seals_below
from posologie.statistics.registration import FILE, Registration, doses_of, register, registration_of


def add_arguments(arguments: argparse.ArgumentParser) -> None:
    """Add the arguments of `register`."""
    add_study(arguments)
    arguments.add_argument("--check", action="store_true", help="compare with what was registered; write nothing")


def answer(options: argparse.Namespace) -> int:
    """Register, or check; the exit code is 1 if something was changed or trained before."""
    study = study_of(options)
    root = results_of(study)
    if not options.check:
        registration = register(root, study.study, sections_of(study), f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S}+00:00")
        if options.json:
            print_json({"file": str(root / FILE), "date": registration.date, "sha256": registration.checksum})
        else:
            console().print(
                f"{root / FILE}: registered on {registration.date}; SHA-256 {registration.checksum}", markup=False
            )
        return 0
    known = registration_of(root)
    if known is None:
        raise InputError(f"{root / FILE}: no such file; `posologie register` writes it before the first training")
    changes, early = known.changes(sections_of(study)), trained_before(root, known)
    verdicts = verdicts_of(root, known, study)
    if options.json:
        print_json({"date": known.date, "sha256": known.checksum, "changes": changes, "trained_before": early,
                    "verdicts": verdicts})  # fmt: skip
    else:
        out = console()
        out.print(f"Registered on {known.date}; SHA-256 {known.checksum}", markup=False)
        for text in changes or ["nothing was changed afterwards"]:
            out.print(text, markup=False)
        for path in early:
            out.print(f"{path}: trained before the registration", markup=False)
        for state, number in sorted(Counter(verdict["registered"] for verdict in verdicts).items()):
            out.print(f"{number} verdicts {state}", markup=False)
    return 1 if changes or early else 0


def sections_of(study: Study) -> dict[str, Any]:
    """Return what a registration fixes of a study."""
    table = table_spec(study)
    return {
        "statistics": study.statistics.model_dump(mode="json"),
        "surface": study.surface.model_dump(mode="json"),
        "mixes": {name: mix.model_dump(mode="json") for name, mix in study.mixes.items()},
        "doses": doses_of(table.blends, table.sizes, table.epochs),
        "suites": sorted(study.suites),
        "training_seeds": list(study.training.seeds),
    }


def trained_before(root: Path, known: Registration) -> list[str]:
    """Return the adapters whose training started before the registration, by their seals."""
    return [
        str(seal.path.parent) for seal in seals_below(root / "adapters") if str(seal.made.get("started")) < known.date
    ]


def verdicts_of(root: Path, known: Registration, study: Study) -> list[dict[str, str]]:
    """Return each comparison of the table of contrasts on the primary measures, and whether it was registered."""
    path = root / layout.table("contrasts")
    if not path.is_file():
        return []
    now = sections_of(study)
    states = {}
    for row in read_rows(path):
        key = (row["suite"], row["backbone"], row["left"], row["right"])
        states[key] = known.verdict(row["suite"], row["left"], row["right"], now["statistics"], now["doses"])
    names = ("suite", "backbone", "left", "right")
    return [{**dict(zip(names, key, strict=True)), "registered": state} for key, state in states.items()]
