"""Record that a reviewed change of code changes no number, so artifacts of the old code stay valid.

  posologie accept --results results/demo
  posologie accept --results results/demo --reason "metrics are computed in one pass; the parity tests agree"

Without --reason, the changes of code since the study was made are listed and nothing is recorded. Accepted changes are
kept in `accepted.json` below the study's folder and shown in the report with its reason.
"""

import argparse
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from posologie.cli.places import add_results, console, print_json, results_folder
from posologie.running.code_digest import digest
from posologie.running.errors import InputError
from posologie.running.planning import accept, acceptances, accepted_pairs, same_code
from posologie.running.seals import seals_below


def add_arguments(arguments: argparse.ArgumentParser) -> None:
    """Add the arguments of `accept`."""
    add_results(arguments)
    arguments.add_argument("--reason", metavar="TEXT", help="why the change alters no number; recorded with it")
    arguments.add_argument(
        "--module",
        nargs="+",
        default=[],
        metavar="NAME",
        help="accept the changes of these modules only (default: of all)",
    )


def answer(options: argparse.Namespace) -> int:
    """List or record changes of code; the exit code is 1 if some are left that are not accepted."""
    root = results_folder(options.results)
    changes = changes_of(root)
    if unknown := set(options.module) - {change["module"] for change in changes}:
        known = ", ".join(sorted({change["module"] for change in changes})) or "no module"
        raise InputError(f"--module {min(unknown)}: its code has not changed; changed is {known}")
    chosen = [change for change in changes if not options.module or change["module"] in options.module]
    if options.reason is not None:
        if not options.reason.strip():
            raise InputError("--reason: empty; say why the change alters no number")
        when = datetime.now(UTC).isoformat(timespec="seconds")
        entries = [{key: change[key] for key in ("module", "old", "new")} for change in chosen]
        accept(root, [{**entry, "reason": options.reason.strip(), "when": when} for entry in entries])
    open_changes = (
        [] if options.reason is not None and len(chosen) == len(changes) else [c for c in changes if c not in chosen]
    )
    if options.json:
        print_json({"changes": changes, "accepted": len(chosen) if options.reason is not None else 0})
    else:
        _print(chosen, options.reason is not None)
    return 1 if open_changes or (changes and options.reason is None) else 0


def changes_of(root: Path) -> list[dict[str, Any]]:
    """Return, for each module whose code changed, the old and new digest and how many artifacts the old one made."""
    pairs = accepted_pairs(acceptances(root))
    sealed_counts = Counter((seal.identity.module, seal.identity.code) for seal in seals_below(root))
    changes = []
    for (module, old), count in sorted(sealed_counts.items()):
        try:
            new = digest(module)
        except ModuleNotFoundError:
            continue
        if not same_code(module, old, new, pairs):
            changes.append({"module": module, "old": old, "new": new, "artifacts": count})
    return changes


def _print(changes: list[dict[str, Any]], recorded: bool) -> None:
    out = console()
    if not changes:
        out.print("The code of every artifact is unchanged since it was made.")
    for change in changes:
        word = "accepted" if recorded else "changed"
        out.print(
            f"{word}: {change['module']} {change['old']} → {change['new']}, {change['artifacts']} artifacts",
            markup=False,
        )
    if changes and not recorded:
        out.print("Snakemake would rebuild them. --reason TEXT records that the change alters no number.")
