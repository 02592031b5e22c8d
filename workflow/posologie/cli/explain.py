r"""Print the chain behind a number or a file.

FILE is any artifact of a study. In a table, --row and --column select the number:

  posologie explain results/demo/tables/mcqa.csv --row mix=NAT seed=1 metric=em decoding=constrained \
      scope=all task=all variants=original aggregate=item_weighted
  posologie explain results/demo/tables/contrasts.csv --row left=NAT scope=all --column p_adjusted
  posologie explain results/demo/predictions/scratch/NAT/seed-1/mcqa.parquet

Every file of the chain is hashed and compared with its seal; a mean is computed again from the item scores.
"""

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rich.tree import Tree

from posologie.cli.chain import Chains, Link
from posologie.cli.numbers import MEASURED, Number, items_behind, models_behind, models_of_row, number_of, scores_file
from posologie.cli.places import console, duration, print_json, relative, root_of
from posologie.records import layout
from posologie.running.seals import seal_of

_SHOWN = 10
_WRONG = ("altered", "outdated", "not sealed", "missing")
_ROUNDED = 1e-6
"""Tables print six decimals."""


def add_arguments(arguments: argparse.ArgumentParser) -> None:
    """Add the arguments of `explain`."""
    arguments.add_argument("file", type=Path, metavar="FILE", help="a file below results/<study>/")
    arguments.add_argument("--row", nargs="+", default=[], metavar="KEY=VALUE", help="cells that identify the row")
    arguments.add_argument("--column", default="value", help="column of the number (default: value)")


def answer(options: argparse.Namespace) -> int:
    """Print the chain; the exit code is 1 if a file is not as it was made, or the table prints another mean."""
    root = root_of(options.file)
    chains = Chains(root)
    number = None
    if relative(options.file).suffix in (".csv", ".tex") and options.file.parent.name == "tables":
        number = number_of(options.file.with_suffix(".csv"), options.row, options.column)
        whole = chains.of(relative(options.file.with_suffix(".csv")))
        link = Link("table", whole.file, whole.facts, state=whole.state)
        link.parents = _behind(chains, number) or whole.parents
    else:
        link = chains.of(relative(options.file))
    shown = _as_json(root, link, number)
    if options.json:
        print_json(shown)
    else:
        _print(link, number, shown)
    return 1 if any(shown[state] for state in _WRONG) or shown.get("differs") else 0


def _behind(chains: Chains, number: Number) -> list[Link]:
    """Return what the rows of a number were made from; nothing where they name no model, mix or source."""
    if number.table == "composition":
        drawn = [chains.below(layout.mix(row["mix"], int(row["seed"]), "train")) for row in number.rows if row["mix"]]
        shards = [(row["source"], row["part"]) for row in number.rows if row["subject"] == "source"]
        return _once([*drawn, *(chains.below(layout.shard(source, split)) for source, split in shards)])
    if number.table in ("screening", "topics"):
        shards = [(row["source"], row.get("split") or "train") for row in number.rows]
        return _once(chains.below(layout.screened(source, split)) for source, split in shards)
    if "set" in number.rows[0]:
        return _once(chains.below(path) for row in number.rows for path in _rated_files(chains.root, number, row))
    links: list[Link] = []
    stages = {row.get("stage", "prediction") for row in number.rows}
    for model, suites in models_behind(chains.root, number).items():
        if "training" in stages and (chains.root / layout.adapter(model, "run.json")).is_file():
            links.append(chains.below(layout.adapter(model, "adapter_model.safetensors")))
        if number.table == "compute" and stages == {"training"}:
            continue
        if number.table in ("compute", "position"):
            links += [chains.below(layout.predictions(model, suite)) for suite in suites]
        else:
            metrics = dict.fromkeys(row.get("metric", "") for row in number.rows)
            links += [chains.below(scores_file(model, suite, metric)) for suite in suites for metric in metrics]
    return _once(links)


def _rated_files(root: Path, number: Number, row: dict[str, str]) -> list[str]:
    """Return the files, below the study's folder, behind a row over human ratings.

    Args:
        row: of the table of corrected scores, or of one of the tables over rated answers.
    """
    seal = seal_of(root / layout.table(number.table))
    spec = {} if seal is None else seal.identity.spec
    judges = _judges_of(row, spec.get("judges", ()), spec.get("panel", ()))
    files = [layout.human(row["set"])]
    if number.table == "corrected":
        for model in models_of_row(root, row, ("model", "against")):
            files += [layout.predictions(model, row["suite"])]
            files += [layout.judgements(judge, model, row["suite"]) for judge in judges]
        return files
    if number.table == "verbosity" or _is_about_metrics(row):
        files.append(layout.human_scores(row["set"]))
    return files + [layout.calibration(judge, row["set"]) for judge in judges]


def _is_about_metrics(row: dict[str, str]) -> bool:
    """Whether a row over rated answers names a metric of theirs, and not only judges or people."""
    if "raters_kind" in row or row.get("rater_kind") == "human":
        return False
    return any(row.get(key) and not row[key].startswith("judge") for key in ("rater", "left", "right"))


def _judges_of(row: dict[str, str], everyone: Sequence[str], panel: Sequence[str]) -> list[str]:
    """Return the judges that a row is about, those of the panel in the panel's place.

    Args:
        row: names judges in a column of their own, as metrics `judge…:{name}`, or as a kind of raters.
        everyone: all judges of the study.
        panel: those of the panel.
    """
    from posologie.statistics.judged import PANEL

    if "raters_kind" in row:
        return list({"judges": everyone, PANEL: panel}.get(row["raters_kind"], ()))
    names = [row[key] for key in ("judge", "left_judge", "right_judge") if row.get(key)]
    metrics = [value for key, value in row.items() if key not in MEASURED and value.startswith("judge")]
    names += [value.partition(":")[2] for value in metrics if ":" in value]
    plain = [name.rpartition(":")[2] for name in names]
    return list(dict.fromkeys(judge for name in plain for judge in (panel if name == PANEL else (name,))))


def _once(links: Iterable[Link]) -> list[Link]:
    return list({link.file: link for link in links}.values())


def _as_json(root: Path, link: Link, number: Number | None) -> dict[str, Any]:
    links = list(link.walk())
    jobs = [job for job in links if "seconds" in job.facts]
    shown: dict[str, Any] = {"chain": link.as_json()}
    if number is not None:
        items = items_behind(root, number)
        shown = {"number": number.as_json(), "items": items, **shown, "differs": _differs(number, items["recomputed"])}
    return shown | {
        "jobs": len(jobs),
        "hours": round(sum(job.facts.get("seconds", 0) for job in jobs) / 3600, 4),
        **{state: [wrong_link.file for wrong_link in links if wrong_link.state == state] for state in _WRONG},
    }


def _differs(number: Number, recomputed: float | None) -> bool:
    """Whether a mean, computed again, is not what the table prints."""
    if recomputed is None or number.column != "value":
        return False
    try:
        return abs(float(number.rows[0]["value"]) - recomputed) > _ROUNDED
    except ValueError:
        return True


def _print(link: Link, number: Number | None, shown: dict[str, Any]) -> None:
    out = console()
    if number is not None:
        for line in number.describe():
            out.print(line, markup=False)
        items = shown["items"]
        if items["count"]:
            ids = ", ".join(items["ids"][:_SHOWN])
            more = f" and {items['count'] - _SHOWN:,} more (--json lists all)" if items["count"] > _SHOWN else ""
            out.print(f"{items['count']:,} items: {ids}{more}", markup=False)
        if items["recomputed"] is not None:
            out.print(f"Mean of the item scores, computed again from the scores file: {items['recomputed']:.6f}")
        if shown["differs"]:
            out.print("The table prints a different value: it was not made from these scores.", style="red")
    out.print(_tree(link, set()))
    out.print(f"{shown['jobs']} job{'' if shown['jobs'] == 1 else 's'}, {duration(3600 * shown['hours'])} in all.")
    for state in _WRONG:
        for file in shown[state]:
            out.print(f"{state}: {file}", style="red", markup=False)


def _tree(link: Link, shown_files: set[str]) -> Tree:
    """Return a chain for reading; what stands further up is named only."""
    colour = "red" if link.state in _WRONG else "green" if link.state == "as sealed" else "default"
    state = f"  [{colour}]{link.state}[/]" if link.state else ""
    tree = Tree(f"[bold]{link.kind}[/] {_plain(link.file)}{state}")
    if link.file in shown_files:
        tree.add("(above)")
        return tree
    shown_files.add(link.file)
    for line in _facts(link):
        tree.add(_plain(line))
    for parent in link.parents:
        tree.add(_tree(parent, shown_files))
    return tree


def _facts(link: Link) -> list[str]:
    facts = dict(link.facts)
    lines = []
    if "seconds" in facts:
        lines.append(f"{facts.pop('started', '?')}, {duration(facts.pop('seconds'))}, on {facts.pop('on', '?')}")
    libraries = facts.pop("libraries", {})
    if libraries:
        lines.append(", ".join(f"{name} {version}" for name, version in libraries.items()))
    rest = ", ".join(f"{name} {_short(value)}" for name, value in facts.items() if value not in (None, {}, []))
    return [*lines, rest] if rest else lines


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return "(" + ", ".join(f"{name} {count}" for name, count in value.items()) + ")"
    text = f"{value:,}" if isinstance(value, int) else str(value)
    return f"{text[:16]}…" if len(text) > 60 else text


def _plain(text: str) -> str:
    return text.replace("[", r"\[")
