"""Write a finished study to a folder for an archive: an RO-Crate with study file, seals, tables and report.

  posologie package --configfile config/demo.yaml --license CC-BY-4.0
  posologie package --license CC-BY-4.0 --author "Ada Example=https://orcid.org/0000-0002-1825-0097" --with scores

The folder is a crate of RO-Crate 1.1 with the profile Workflow Run Crate. Items, predictions, adapters and models are
left out unless --with names their folders: their licences may not allow you to pass them on. The report shows the texts
of items if `report.item_browser` is on. A study that is not finished, or whose files were altered, is refused.
"""

import argparse
import shutil
from collections.abc import Sequence
from pathlib import Path

import yaml

from posologie.cli.crate import METADATA, README, STUDY, Author, metadata, readme, unlicensed
from posologie.cli.places import FOLDERS, add_study, console, print_json, relative, results_of, study_of
from posologie.cli.status import state_of
from posologie.cli.verify import faults_of
from posologie.config.study import Study
from posologie.records.files import write_json, write_text
from posologie.running.errors import InputError
from posologie.running.installed import project
from posologie.running.seals import PACKED, SUFFIX, Seal, seals_below

_ALWAYS = ("tables", "figures", "report")
_RECORDS = ("registration.json", "accepted.json")
_RUNS = ("adapters/**/run.json", "predictions/**/*.run.json")
"""Run records, which say how models were trained and asked: they hold no item, answer or weight."""


def add_arguments(arguments: argparse.ArgumentParser) -> None:
    """Add the arguments of `package`."""
    add_study(arguments)
    arguments.add_argument("--license", required=True, metavar="ID", help="of the crate, such as CC-BY-4.0")
    arguments.add_argument("--author", action="append", default=[], metavar="NAME[=ORCID]", help="may be repeated")
    arguments.add_argument("--with", dest="others", nargs="+", default=[], metavar="FOLDER", help="such as scores")
    arguments.add_argument("--out", type=Path, metavar="FOLDER", help="where to write (default: {study}-crate)")


def answer(options: argparse.Namespace) -> int:
    """Write the crate and say where it is and what it leaves open."""
    study = study_of(options)
    if unknown := sorted(set(options.others) - FOLDERS):
        raise InputError(f"--with {unknown[0]}: no such folder of a study; choose one of {', '.join(sorted(FOLDERS))}")
    seals = _checked(study)
    out: Path = options.out or Path(f"{study.study}-crate")
    if out.exists():
        raise InputError(f"--out {out}: it exists; delete it, or choose another folder")
    named = [text.partition("=") for text in options.author]
    authors = [Author(name.strip(), address or None) for name, _, address in named]
    open_licences = write_crate(study, seals, out, licence=options.license, authors=authors, others=options.others)
    files = sum(path.is_file() for path in out.rglob("*"))
    if options.json:
        print_json({"crate": str(out), "files": files, "licence_not_stated": open_licences})
        return 0
    for name in open_licences:
        text = f"warning: licenses.{name}: not stated; name the licence of its data in the study file"
        console().print(text, markup=False)
    text = f"{relative(out)}: {files} files. Read the report and the licences before you publish it."
    console().print(text, markup=False)
    return 0


def _checked(study: Study) -> list[Seal]:
    """Return the seals of a finished study, after checking that every file is unaltered.

    Raises:
        InputError: naming the first thing that is missing, left behind or altered.
    """
    root = results_of(study)
    state = state_of(study)
    needed = [stage for stage in state["stages"] if not stage["optional"]]
    missing = [f"{stage['stage']}/{name}" for stage in needed for name in stage["missing"]]
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise InputError(f"{root}: {missing[0]}{more} missing; run snakemake first")
    if state["stale"]:
        name, reason = next(iter(state["stale"].items()))
        raise InputError(f"{root}: {name} is stale ({reason}); run snakemake first")
    seals = list(seals_below(root))
    for fault in faults_of(root, seals):
        raise InputError(f"{fault.file}: {fault.state} ({fault.why}); posologie verify lists all such files")
    return seals


def write_crate(
    study: Study, seals: Sequence[Seal], out: Path, *, licence: str, authors: Sequence[Author], others: Sequence[str]
) -> list[str]:
    """Write the crate of a study.

    Args:
        seals: those of the study's artifacts.
        out: the folder to make; it appears when it is whole.
        licence: of the crate's own files.
        others: further folders of the study to include.

    Returns:
        The names of the sources whose licence is not stated.
    """
    root = results_of(study)
    partial = out.with_name(f"{out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    for name in dict.fromkeys((*_ALWAYS, *others)):
        if (root / name).is_dir():
            shutil.copytree(root / name, partial / name, ignore=shutil.ignore_patterns(f"*{SUFFIX}", ".*"))
    for seal in seals:
        target = partial / PACKED / seal.path.relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(seal.path, target)
    records = [root / name for name in _RECORDS if (root / name).is_file()]
    for path in (*records, *(path for runs in _RUNS for path in sorted(root.glob(runs)))):
        target = partial / path.relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    shipped = project()
    for path in (shipped / "workflow" / "Snakefile", *sorted((shipped / "workflow" / "rules").rglob("*.smk"))):
        target = partial / path.relative_to(shipped)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    shutil.copyfile(shipped / "envs" / "requirements.lock", partial / "requirements.lock")
    resolved = study.model_dump(mode="json", by_alias=True, exclude_none=True)
    write_text(partial / STUDY, yaml.safe_dump(resolved, sort_keys=False, allow_unicode=True))
    write_text(partial / README, readme(study))
    crate = metadata(study, partial, seals, licence=licence, authors=authors)
    write_json(partial / METADATA, crate)
    partial.rename(out)
    return unlicensed(crate)
