"""Run the demonstration study to its report, on the CPU.

The command that runs it is printed first. In an empty folder, the rules, the corpus and the profile are those of the
installed package; results/ and models/ are written here.
"""

import argparse

from posologie.cli.run import answer

__all__ = ["add_arguments", "answer"]


def add_arguments(arguments: argparse.ArgumentParser) -> None:
    """Add the arguments of `demo`, which is `run` with the profile of the demonstration."""
    arguments.add_argument("-n", "--dry-run", action="store_true", help="list the jobs, run nothing")
    arguments.set_defaults(profile="demo", cores=None, configfile=None, snakemake=[])
