"""Run a study: print the snakemake command that does it, then start it.

posologie run --profile slurm posologie run --profile slurm --dry-run mixes posologie run --cores 4 --configfile
config/own.yaml -- --quiet rules

Profiles are named after the folders in profiles/; if this folder holds no workflow, those of the installed package are
used. Everything after -- is passed to Snakemake unchanged.
"""

import argparse
import os
import shlex
import subprocess
import sys
from pathlib import Path

from posologie.cli.places import print_json
from posologie.running.errors import InputError
from posologie.running.installed import project

_SNAKEFILES = ("Snakefile", "snakefile", "workflow/Snakefile", "workflow/snakefile")
"""Where Snakemake looks for rules by itself."""


def add_arguments(arguments: argparse.ArgumentParser) -> None:
    """Add the arguments of `run`."""
    arguments.add_argument("--profile", metavar="NAME", help="where jobs run: demo, local-gpu, slurm, or your own")
    arguments.add_argument("--cores", metavar="N", help="run on this machine, on this many cores (`all`: on all)")
    arguments.add_argument("--configfile", metavar="FILE", help="the study file (default: config/config.yaml)")
    arguments.add_argument("-n", "--dry-run", action="store_true", help="list the jobs, run nothing")
    arguments.add_argument("snakemake", nargs="*", metavar="TARGET", help="such as mixes (default: the report)")


def answer(options: argparse.Namespace) -> int:
    """Print the command and run it; with --json, only print it.

    Returns:
        Snakemake's exit code.
    """
    words = command(options)
    if options.json:
        print_json({"command": words})
        return 0
    print(shlex.join(words), flush=True)
    code = subprocess.run([sys.executable, "-m", *words], check=False).returncode
    report = Path("results/demo/report/index.html")
    if options.profile == "demo" and code == 0 and not options.dry_run and not options.snakemake and report.is_file():
        print(f"The report: {report.resolve()}")
    return code


def command(options: argparse.Namespace) -> list[str]:
    """Return the Snakemake command that the arguments stand for, word by word.

    Raises:
        InputError: if a profile or study file is missing, or nothing says where jobs run.
    """
    if options.configfile and not Path(options.configfile).is_file():
        raise InputError(f"--configfile {options.configfile}: no such file")
    words = ["snakemake"]
    own_rules = any(Path(name).is_file() for name in _SNAKEFILES)
    if not own_rules:
        words += ["--snakefile", os.path.relpath(project() / "Snakefile")]
    if options.profile:
        words += ["--profile", profile(options.profile)]
    elif not options.cores and not options.dry_run:
        raise InputError("nothing says where jobs run; add --profile local-gpu, --profile slurm or --cores 2")
    if options.configfile:
        words += ["--configfile", options.configfile]
    elif options.profile == "demo" and not own_rules:  # the profile names it by its path in a checkout
        words += ["--configfile", os.path.relpath(project() / "config" / "demo.yaml")]
    if options.cores:
        words += ["--cores", options.cores]
    if options.dry_run:
        words += ["--dry-run"]
    return [*words, *options.snakemake]


def profile(name: str) -> str:
    """Return the folder of a profile: as named, in `profiles/`, or in the installed package.

    Raises:
        InputError: if there is none of that name; it lists those that exist.
    """
    folders = (Path(), Path("profiles"), project() / "profiles")
    for folder in folders:
        if any(folder.joinpath(name, file).is_file() for file in ("profile.yaml", "config.yaml", "config.v9+.yaml")):
            return os.path.relpath(folder / name)
    names = sorted({path.parent.name for folder in folders[1:] for path in folder.glob("*/profile.yaml")} - {"default"})
    raise InputError(f"--profile {name}: no such profile; choose one of: {', '.join(names)}, or a folder of your own")
