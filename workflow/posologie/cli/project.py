"""Print the folder of the workflow's own files: Snakefile, example studies, profiles, resources.

snakemake --snakefile "$(posologie project)/Snakefile" --configfile config/statutes.yaml -n -q rules
"""

import argparse

from posologie.cli.places import print_json
from posologie.running.installed import project


def add_arguments(arguments: argparse.ArgumentParser) -> None:
    """Add no arguments: there is one folder."""


def answer(options: argparse.Namespace) -> int:
    """Print the folder."""
    folder = project().as_posix()
    if options.json:
        print_json({"project": folder})
    else:
        print(folder)
    return 0
