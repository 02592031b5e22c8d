"""Plan a study before using any GPU: what it can find, which mixes to train on, and what both cost.

posologie design power --items 1000 --score 40 --mixes 7 posologie design mixes --components native translated synthetic
--trainings 10 --size 33493
"""

import argparse

from posologie.cli import design_mixes, design_power


def add_arguments(arguments: argparse.ArgumentParser) -> None:
    """Add the arguments of `design`; each kind of plan is a command of its own."""
    kinds = arguments.add_subparsers(title="what to plan", metavar="KIND", required=True)
    for module, name, text in (
        (design_power, "power", "items and seeds for a difference from base"),
        (design_mixes, "mixes", "which mixes to train on, and in what order"),
    ):
        command = kinds.add_parser(
            name, help=text, description=module.__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        module.add_arguments(command)
        command.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON")
        command.set_defaults(planned=module.answer)


def answer(options: argparse.Namespace) -> int:
    """Print the kind of plan that the command names."""
    code: int = options.planned(options)
    return code
