"""Which study is meant: by its configuration, or by the folder of its results."""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console

from posologie.cli.crate import STUDY, is_crate
from posologie.config.load import load_study
from posologie.config.study import Study
from posologie.running.errors import InputError

DEFAULT = "config/config.yaml"
_WIDE = 200  # characters of a line that goes to a file or a pipe, so that paths stay whole
FOLDERS = frozenset(
    [
        "shards",
        "documents",
        "screened_documents",
        "generated",
        "translated",
        "quality",
        "screened",
        "leakage",
        "look",
        "mixes",
        "adapters",
        "merged",
        "cards",
        "pushed",
        "predictions",
        "human",
        "judgements",
        "scores",
        "scores_neural",
        "human_scores",
        "translation_quality",
        "tables",
        "figures",
        "report",
    ]
)
"""The folders below `results/{study}/` (DESIGN, section 1)."""


def add_study(arguments: argparse.ArgumentParser) -> None:
    """Add the options that name a study file, as Snakemake has them."""
    arguments.add_argument(
        "--configfile", metavar="FILE", help=f"the study file (default: that of the last run here, or else {DEFAULT})"
    )
    arguments.add_argument(
        "--config", nargs="+", default=[], metavar="KEY=VALUE", help="values that replace those of the study file"
    )


def study_of(options: argparse.Namespace, name: str | None = None) -> Study:
    """Return the study that the options name.

    Args:
        name: of a study whose last run names the study file, where the options do not; the last run of all otherwise.

    Raises:
        InputError: if the study file is missing or does not fit.
    """
    overrides = {}
    for text in options.config:
        key, separator, value = text.partition("=")
        if not separator:
            raise InputError(f"--config {text}: expected KEY=VALUE")
        overrides[key] = yaml.safe_load(value)
    if options.configfile is None:
        options.configfile = (name and last_study(name)) or last_study() or DEFAULT
        if options.configfile != DEFAULT:
            print(f"Study file: {options.configfile} (another one: --configfile FILE)", file=sys.stderr)
    return load_study(options.configfile, overrides)


def last_study(study: str | None = None) -> str | None:
    """Return the study file of the run that was started last in this folder; None where it is gone or nothing ran.

    Args:
        study: the name of the study whose runs count; all do if left out.
    """
    folders = Path("work").glob("*") if study is None else [Path("work", study)]
    runs = sorted(
        (run for folder in folders for run in folder.glob("runs/*/study.json")),
        key=lambda path: path.stat().st_mtime_ns,
    )
    if not runs:
        return None
    origin = str(json.loads(runs[-1].read_bytes())["origin"])
    return origin if Path(origin).is_file() else None


def results_of(study: Study) -> Path:
    """Return the folder of a study's results."""
    return Path("results") / study.study


def study_and_results(options: argparse.Namespace) -> tuple[Study, Path]:
    """Return the study that the options name, and the folder of its results.

    The study file decides on the folder where `--results` is left out. The folder decides on the study file where
    `--configfile` is: an archive holds it, and the runs of a study name it.

    Raises:
        InputError: if the folder is missing, the study file does not fit, or the two belong to different studies.
    """
    if options.results is None:
        study = study_of(options)
        folder = results_of(study)
        if not folder.is_dir():
            raise InputError(f"{folder}: no such folder; run the study {study.study}, or name --results FOLDER")
        return study, folder
    folder = results_folder(options.results)
    if options.configfile is not None:
        return study_of(options), folder
    if is_crate(folder):
        options.configfile = (folder / STUDY).as_posix()
        return study_of(options), folder
    study = study_of(options, folder.absolute().name)
    if study.study != folder.absolute().name:
        named = f"{study.study} ({options.configfile})"
        raise InputError(f"--results {folder}: not of the study {named}; name its file with --configfile")
    return study, folder


def add_results(arguments: argparse.ArgumentParser, default: str = "the one in results/, if it is alone") -> None:
    """Add the option that names the folder of a study's results; the default is said in words."""
    arguments.add_argument(
        "--results",
        type=Path,
        metavar="FOLDER",
        help=f"the study's folder (default: {default})",
    )


def results_folder(folder: Path | None) -> Path:
    """Return the folder of the results that are meant.

    Raises:
        InputError: if the folder is missing, or none is given and there are several.
    """
    if folder is not None:
        if not folder.is_dir():
            raise InputError(f"--results {folder}: no such folder")
        return folder
    folders = sorted(path for path in Path("results").glob("*") if path.is_dir())
    if len(folders) != 1:
        names = ", ".join(path.as_posix() for path in folders) or "no study"
        raise InputError(f"results/ holds {names}; choose one with --results FOLDER")
    return folders[0]


def root_of(file: Path) -> Path:
    """Return the study's folder that an artifact lies in.

    Raises:
        InputError: if the file is missing or lies in no study.
    """
    if file.is_dir():
        raise InputError(f"{file}: a folder; name a file in it")
    if not file.is_file():
        raise InputError(f"{file}: no such file")
    for folder in file.absolute().parents:
        if folder.name in FOLDERS and (folder.parent / "tables").exists() | (folder.parent / "mixes").exists():
            return relative(folder.parent)
    raise InputError(f"{file}: not below results/<study>/; expected an artifact of a study")


def relative(path: Path) -> Path:
    """Return a path as seen from here, where it lies below."""
    try:
        return path.absolute().relative_to(Path.cwd())
    except ValueError:
        return path


class _Output(Console):
    def on_broken_pipe(self) -> None:
        """Leave it to the command line, which ends well: the reader of a pipe has seen enough."""
        raise BrokenPipeError


def console() -> Console:
    """Return the console of standard output: plain text where that is no terminal."""
    return _Output(file=sys.stdout, highlight=False, width=None if sys.stdout.isatty() else _WIDE)


def print_json(value: Any) -> None:
    """Print a value as JSON."""
    print(json.dumps(value, ensure_ascii=False, indent=1))


def duration(seconds: float) -> str:
    """Return a time span for reading: `42 s`, `12 min`, `3 h 20 min`, `2 d 4 h`."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes} min" if minutes else f"{hours} h"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours} h" if hours else f"{days} d"
