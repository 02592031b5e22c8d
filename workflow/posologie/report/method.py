"""How every number was made, and what is not the same for all of them."""

from collections.abc import Iterable
from typing import Any

from posologie.report.blocks import Block, Cell, Column, Facts, Heading, Notice, Prose, Section, Source, Table
from posologie.report.inputs import DECODINGS, Inputs, RunRecord, metric_name
from posologie.report.tables import decimal


def notices(inputs: Inputs) -> list[Notice]:
    """Return what a reader must know before any number: a demonstration, or runs that are not alike."""
    found = []
    if inputs.spec.demonstration:
        points = ("It shows that the pipeline works; with so few questions its numbers settle nothing.",)
        found.append(Notice("This is a demonstration: n is too small for any verdict.", points))
    if points := differences(inputs):
        found.append(Notice("The numbers on this page rest on runs that are not alike.", tuple(points)))
    return found


def differences(inputs: Inputs) -> list[str]:
    """Return one sentence for each library, code or template that differs between runs of one stage."""
    stages: dict[str, list[RunRecord]] = {}
    for record in inputs.runs:
        stages.setdefault(record.facts["stage"], []).append(record)
    found = []
    for stage, records in stages.items():
        libraries = sorted({name for record in records for name in record.facts.get("libraries", {})})
        for name in libraries:
            found += _different(
                inputs, stage, name, records, lambda record, name=name: record.facts["libraries"].get(name)
            )
        found += _different(inputs, stage, "the code", records, lambda record: record.facts.get("code"))
        found += _different(inputs, stage, "the kind of processor", records, _hardware)
        by_backbone: dict[str | None, list[RunRecord]] = {}
        for record in records:
            by_backbone.setdefault(record.model.backbone, []).append(record)
        for same in by_backbone.values():
            found += _different(
                inputs, stage, "the chat template", same, lambda record: record.facts.get("chat_template_sha256")
            )
    return found


def _different(inputs: Inputs, stage: str, what: str, records: list[RunRecord], value_of: Any) -> list[str]:
    groups: dict[Any, list[RunRecord]] = {}
    for record in records:
        groups.setdefault(value_of(record), []).append(record)
    if len(groups) < 2:
        return []
    told = [
        f"{_short(value)} for {_listed(dict.fromkeys(inputs.name(record.model) for record in members))}"
        for value, members in sorted(groups.items(), key=lambda entry: (-len(entry[1]), str(entry[0])))
    ]
    return [f"{stage}: {what} differs: {'; '.join(told)}."]


def _hardware(record: RunRecord) -> str:
    gpus = record.facts.get("hardware", {}).get("gpus", [])
    return ", ".join(sorted({gpu["name"] for gpu in gpus})) or "CPU"


def _short(value: Any) -> str:
    text = "unknown" if value is None else str(value)
    return text if len(text) <= 24 else f"{text[:12]}…"


def _listed(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names) if len(names) <= 6 else f"{', '.join(names[:5])} and {len(names) - 5} more"


def section(inputs: Inputs) -> Section:
    """Return the section on how the numbers were made."""
    statistics = inputs.spec.statistics
    blocks: list[Block] = [
        Prose(
            (
                "Every table is an aggregate of item scores. Intervals come from draws of whole clusters, items that share a "
                "clinical case, with replacement inside each benchmark; the same draws serve all models, so that differences "
                "are paired. Tests flip the signs of the clusters' differences; p-values are corrected by Holm's method "
                "over all comparisons of one number.",
                "“posologie explain FILE” prints the chain behind a number: scores, predictions, adapter, mix, jobs, hours.",
            )
        ),
        Facts(
            (
                ("Level of intervals", f"{decimal(100 * statistics.level, 0)} %"),
                ("Draws", f"{statistics.replicates:,}, seed {statistics.seed}"),
                ("Fewest clusters for an interval", str(statistics.minimum_clusters)),
                ("Power of the detectable difference", f"{decimal(100 * statistics.power, 0)} %"),
            )
        ),
        Heading("Metrics"),
        _signatures(inputs),
        Heading("Runs"),
        *_runs(inputs),
    ]
    return Section("method", "How every number was made", tuple(blocks))


def _signatures(inputs: Inputs) -> Table:
    found = dict.fromkeys(
        (row["metric"], row["decoding"], row["signature"]) for table in ("mcqa", "oeq") for row in inputs.rows(table)
    )
    columns = (Column("metric", heading=True), Column("decoding"), Column("name in the tables"), Column("signature"))
    rows = tuple(
        (Cell(metric_name(metric)), Cell(DECODINGS.get(decoding, decoding)), Cell(metric), Cell(signature))
        for metric, decoding, signature in found
    )
    caption = "A signature names the rule, the tokenizer and the versions that a value depends on."
    return Table("table-signatures", "Metrics and their signatures", caption, columns, rows)


def _runs(inputs: Inputs) -> list[Block]:
    import json

    blocks: list[Block] = []
    seen = set()
    for record in inputs.runs:
        stage = record.facts["stage"]
        if stage in seen:
            continue
        seen.add(stage)
        versions = record.facts.get("libraries", {})
        blocks.append(
            Facts(((f"{stage}: libraries", ", ".join(f"{name} {version}" for name, version in versions.items())),))
        )
        spec = json.dumps(record.facts["spec"], indent=1, ensure_ascii=False, sort_keys=True)
        blocks.append(Source(f"The spec of one {stage} job ({record.model.name})", spec))
    rows = tuple(
        (Cell(inputs.name(record.model)), Cell(record.facts["stage"] if record.suite is None else record.suite), Cell(record.file),
         Cell(str(record.facts.get("started", "")).replace("T", " ")),
         Cell(", ".join(f"{name} {entry['sha256'][:12]}" for name, entry in record.facts.get("outputs", {}).items())))
        for record in inputs.runs
    )  # fmt: skip
    columns = (
        Column("model", heading=True),
        Column("made"),
        Column("run record"),
        Column("started"),
        Column("sha256 of outputs"),
    )
    caption = "Each record holds the spec, the hashes of all inputs and outputs, library versions, hardware, seconds and memory."
    blocks.append(Table("table-runs", "Run records", caption, columns, rows))
    return blocks
