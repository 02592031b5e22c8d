"""Duplicates and leakage: what screening found, what is left in the mixes, and how far sources are from the suites."""

from posologie.records import layout
from posologie.records.files import read_parquet
from posologie.report.blocks import Block, Cell, Column, Figure, Prose, Section, Table
from posologie.report.inputs import Inputs
from posologie.report.names import counted, listed
from posologie.report.tables import NOTHING, decimal, interval, number_cell, table
from posologie.running.errors import InputError
from posologie.screening.population import KINDS

_PLACES = {"within": "itself", "earlier": "source", "suite": "suite"}


def section(inputs: Inputs, figures: dict[str, Figure]) -> Section | None:
    """Return the section; None if nothing was screened or audited."""
    blocks: list[Block] = []
    if inputs.rows("screening"):
        blocks.append(_screening_table(inputs))
    audit = _audit_table(inputs)
    if audit:
        blocks.append(audit)
    if inputs.rows("leakage"):
        blocks.append(_scores_table(inputs))
    if inputs.rows("topics"):
        blocks.append(_topics_table(inputs))
    if not blocks:
        return None
    intro = Prose(
        (
            "A training item that repeats a tested one lets a model recall instead of reason. Exact: the same "
            "normalised question, context and options; near: verified to share most of their word sequences; options: "
            "the same options and right answer; containment: the item quotes the tested question; lineage: both come "
            "from one item; cross-lingual: the same question in another language; embedding: the same, found by a "
            "sentence encoder; case: another question on the same case; group: shares its case with an item "
            "that leaks.",
        )
    )
    drawn = [figure for name in ("leakage", "screening") if (figure := figures.get(name))]
    return Section("leakage", "Duplicates and leakage", (Prose((_lead(inputs),), "lead"), *drawn, intro, *blocks))


def _lead(inputs: Inputs) -> str:
    """Say what screening left out, and what is left in the mixes."""
    rows = inputs.rows("screening")
    removed = [row for row in rows if row["mode"] == "remove" and row["against"] != "within"]
    worst = max(removed, key=lambda row: row.number("share") or 0.0, default=None)
    if worst is None or not worst.number("share"):
        return contamination(inputs)
    share = decimal(worst.number("share"), 1)
    return (
        f"{contamination(inputs)} Before the mixes were drawn, up to {share} % of a source matched "
        f"({worst['source']}, against {worst['name']}) and was left out."
    )


def _screening_table(inputs: Inputs) -> Table:
    columns = [Column("source", heading=True), Column("split"), Column("against"), Column("items", number=True)]
    columns += [Column(kind.replace("_", "-"), number=True) for kind in KINDS]
    columns += [Column("matched, %", number=True), Column("found matches are")]
    lines = []
    for row in inputs.rows("screening"):
        share = Cell(
            decimal(row.number("share"), 1),
            row.number("share"),
            interval=interval(row.number("low"), row.number("high"), 1),
        )
        against = (
            "itself" if row["against"] == "within" else f"{_PLACES.get(row['against'], row['against'])} {row['name']}"
        )
        mode = {"remove": "left out", "report": "left in"}.get(row["mode"], row["mode"])
        counts = [number_cell(row.number(kind)) for kind in KINDS]
        lines.append(
            [
                Cell(row["source"]),
                Cell(row["split"]),
                Cell(against),
                number_cell(row.number("items")),
                *counts,
                share,
                Cell(mode),
            ]
        )
    caption = "Items of each source that match another item, by the closest kind of match, before the mixes were drawn."
    return table("screening", "What screening found", caption, columns, lines, layout.table("screening"))


def audited(inputs: Inputs) -> dict[tuple[str, str], dict[str, int]]:
    """Return how many training items of each drawn mix (mix, seed) match a tested item, by suite; none without audits.

    Raises:
        InputError: if one of the audits is missing.
    """
    drawn = list(dict.fromkeys((row["mix"], row["seed"]) for row in inputs.rows("composition", part="train", by="all")))
    if not (inputs.root / "leakage").is_dir():
        return {}
    matches: dict[tuple[str, str], dict[str, int]] = {}
    for mix, seed in drawn:
        counts = matches.setdefault((mix, seed), {})
        for suite in inputs.spec.suites:
            file = inputs.root / "leakage" / mix / f"seed-{seed}" / f"{suite}.parquet"
            if not file.is_file():
                raise InputError(f"{file}: no such file; expected the audit of mix {mix} against suite {suite}")
            counts[suite] = len(set(read_parquet(file, columns=["item"])["item"].to_pylist()))
    return matches


def contamination(inputs: Inputs) -> str:
    """Say how many training items match tested ones, and which verdicts rest on that."""
    moved = moved_verdicts(inputs)
    matches = audited(inputs)
    if not matches:
        return moved or "Not audited: whether training items repeat tested ones is not known."
    most: dict[tuple[str, str], int] = {}
    for (mix, _), counts in matches.items():
        for suite, count in counts.items():
            most[mix, suite] = max(count, most.get((mix, suite), 0))
    leaky = [f"{count:,} of {mix} ({suite})" for (mix, suite), count in most.items() if count]
    if not leaky:
        return f"No training item matches a tested one, in {counted(len({mix for mix, _ in matches}), 'mix')}."
    return f"Training items that match tested ones: {listed(leaky)}.{f' {moved}' if moved else ''}"


def _audit_table(inputs: Inputs) -> Table | None:
    """Return how many training items of each mix match a tested item, from the audits; None if there are none."""
    matches = audited(inputs)
    if not matches:
        return None
    several = len({seed for _, seed in matches}) > 1
    columns = [Column("mix", heading=True), *(Column(f"suite {suite}", number=True) for suite in inputs.spec.suites)]
    lines = [
        [Cell(f"{mix}, seed {seed}" if several else mix), *(number_cell(count) for count in counts.values())]
        for (mix, seed), counts in matches.items()
    ]
    caption = (
        "Training items of each mix that match an item of a suite in any way; audited after the draw, also for suites "
        "that were not screened against."
    )
    return table("leakage", "What remains in the mixes", caption, columns, lines)


_ITEMS = {"all": "all items", "without_leaked": "without leaked", "leaked": "leaked alone", "difference": "difference"}


def _scores_table(inputs: Inputs) -> Table:
    """Return the scores of each model on all items, without leaked ones, on those alone, and the difference."""
    rows = [row for row in inputs.rows("leakage") if row["statistic"] == "score"]
    by_items = {(row["suite"], row["tasks"], row["model"], row["items"]): row for row in rows}
    columns = [Column("model", heading=True), Column("suite"), Column("tasks"), Column("leaked items", number=True)]
    columns += [Column(name, number=True) for name in _ITEMS.values()]
    lines = []
    for suite, tasks, model in dict.fromkeys(key[:3] for key in by_items):
        own = [by_items[suite, tasks, model, items] for items in _ITEMS]
        line = [Cell(model), Cell(suite), Cell(tasks), number_cell(own[2].number("n"))]
        for row in own:
            value = row.number("value")
            between = interval(row.number("low"), row.number("high"), 1)
            line.append(
                NOTHING if value is None else Cell(decimal(value, 1), value, interval=between, note=row["note"])
            )
        lines.append(line)
    caption = (
        "Scores in percent with their intervals; the difference, in points, is what the leaked items add. Leaked items "
        "are tested items that have a twin in the mix."
    )
    return table(
        "leakage-scores", "How the leaked items affect the scores", caption, columns, lines, layout.table("leakage")
    )


def moved_verdicts(inputs: Inputs) -> str:
    """Return a sentence on the models whose gain over base is settled only with, or only without, the leaked items."""
    if not inputs.rows("leakage"):
        return ""
    sides: dict[tuple[str, str, str], dict[str, int]] = {}
    for row in inputs.rows("leakage", statistic="gain"):
        if row["items"] in ("all", "without_leaked"):
            low, high = row.number("low"), row.number("high")
            sign = 0 if low is None or high is None else int(low > 0) - int(high < 0)
            sides.setdefault((row["suite"], row["tasks"], row["model"]), {})[row["items"]] = sign
    moved = [key for key, side in sides.items() if side.get("all") != side.get("without_leaked")]
    if not moved:
        return ""
    listed_models = ", ".join(f"{model} on {suite} ({tasks})" for suite, tasks, model in moved)
    return (
        "Leaving out the tested items that a mix trained on changes whether the interval of its gain "
        f"over base excludes 0: {listed_models}."
    )


def _topics_table(inputs: Inputs) -> Table:
    columns = (
        Column("source", heading=True),
        Column("suite"),
        Column("aspect"),
        Column("distance", number=True),
        Column("if alike", number=True),
    )
    lines = []
    for row in inputs.rows("topics"):
        value = row.number("value")
        distance = NOTHING
        if value is not None:
            between = interval(row.number("low"), row.number("high"), 2)
            distance = Cell(decimal(value), value, interval=between, note=row["note"])
        lines.append(
            (Cell(row["source"]), Cell(row["suite"]), Cell(row["aspect"]), distance, number_cell(row.number("same"), 2))
        )
    caption = (
        "Distance from 0 (equal) to 1 between training source and suite, in subjects, lengths and vocabulary; beside "
        "it the mean distance of two samples of one population of these sizes."
    )
    return table("topics", "How far the sources are from the suites", caption, columns, lines, layout.table("topics"))
