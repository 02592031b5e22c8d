"""How every number was computed, and what is not the same for all of them."""

import hashlib
import json
from collections.abc import Callable

from posologie.report import bias
from posologie.report.blocks import Block, Cell, Column, Facts, Heading, Notice, Prose, Section, Source, Table
from posologie.report.inputs import Inputs, RunRecord
from posologie.report.judges import mismatches
from posologie.report.names import DECODINGS, listed, metric_name
from posologie.report.tables import decimal, table
from posologie.running.planning import acceptances
from posologie.running.seals import seal_of


def notices(inputs: Inputs) -> list[Notice]:
    """Return what a reader must know before any number: a demonstration, or runs that are not alike."""
    all_notices = []
    if inputs.spec.demonstration:
        points = ("It shows that the pipeline works; with so few questions its numbers settle nothing.",)
        all_notices.append(Notice("Demonstration: n too small for any verdict.", points))
    if differs := differences(inputs):
        all_notices.append(Notice("The tables on this page rest on runs that differ from each other.", tuple(differs)))
    if others := mismatches(inputs):
        all_notices.append(Notice("The configured judge is not the one that the rule chooses.", tuple(others)))
    return all_notices


def differences(inputs: Inputs) -> list[str]:
    """Return one sentence for each library, code, processor or template that differs between the runs of one stage."""
    stages: dict[str, list[RunRecord]] = {}
    for record in inputs.runs:
        stages.setdefault(record.facts["stage"], []).append(record)
    sentences = []
    for stage, records in stages.items():
        for name in sorted({name for record in records for name in record.facts.get("libraries", {})}):
            sentences += _different(inputs, stage, name, records, _library(name))
        sentences += _different(inputs, stage, "the code", records, lambda record: record.facts.get("code"))
        for suite in dict.fromkeys(record.suite for record in records):  # suites have settings of their own
            same = [record for record in records if record.suite == suite]
            sentences += _different(inputs, stage, "the recipe", same, _recipe)
        sentences += _different(inputs, stage, "the processor", records, _processor)
        for backbone in dict.fromkeys(record.model.backbone for record in records):
            same = [record for record in records if record.model.backbone == backbone]
            sentences += _different(inputs, stage, "the chat template", same, _template)
    return list(dict.fromkeys(sentences))


def _different(
    inputs: Inputs, stage: str, what: str, records: list[RunRecord], value_of: Callable[[RunRecord], str | None]
) -> list[str]:
    groups: dict[str | None, list[RunRecord]] = {}
    for record in records:
        groups.setdefault(value_of(record), []).append(record)
    if len(groups) < 2:
        return []
    values = []
    for value, members in sorted(groups.items(), key=lambda entry: (-len(entry[1]), str(entry[0]))):
        shown = "not recorded" if value is None else value if len(value) <= 24 else f"{value[:12]}…"
        values.append(f"{shown} for {listed(dict.fromkeys(inputs.name(record.model) for record in members))}")
    return [f"{stage}: {what} differs: {'; '.join(values)}."]


def _library(name: str) -> Callable[[RunRecord], str | None]:
    def version(record: RunRecord) -> str | None:
        recorded: str | None = record.facts.get("libraries", {}).get(name)
        return recorded

    return version


def _processor(record: RunRecord) -> str:
    gpus = record.facts.get("hardware", {}).get("gpus", [])
    return ", ".join(sorted({gpu["name"] for gpu in gpus})) or "CPU"


def _recipe(record: RunRecord) -> str | None:
    """Return a short checksum of the settings that the models of a stage share: all but model, mix and seed."""
    own = {"model", "mix", "seed", "backbone", "adapter"}
    shared = {key: value for key, value in record.facts.get("spec", {}).items() if key not in own}
    return hashlib.sha256(json.dumps(shared, sort_keys=True).encode()).hexdigest()[:12]


def _template(record: RunRecord) -> str | None:
    checksum: str | None = record.facts.get("chat_template_sha256")
    return checksum


def section(inputs: Inputs) -> Section:
    """Return the section on how the numbers were made."""
    statistics = inputs.spec.statistics
    blocks: list[Block] = [
        Prose(
            (
                "Every table is an aggregate of item scores. Means, differences and what components add come from one "
                "crossed model for each number: items in their groups (of one case or text), mixes, training seeds. "
                "Its variance of seeds is net of what items contribute, and pooled over mixes. Corpus scores, spreads "
                "and correlations have no such model: their intervals come from draws of whole clusters inside each "
                "benchmark. Verdicts, corrected p-values and simultaneous intervals hold for all comparisons of a "
                "number at once.",
                "In the project's folder, “posologie explain FILE --row … --column …” prints the chain behind a "
                "number: scores, predictions, adapter, mix, jobs, hours and hashes.",
            )
        ),
        Facts(
            (
                ("Level of the intervals", f"{decimal(100 * statistics.level, 0)} %"),
                ("Draws", f"{statistics.replicates:,}, seed {statistics.seed}"),
                ("Fewest clusters that are not marked as too few", str(statistics.minimum_clusters)),
                ("Margin of equivalence", "none" if statistics.margin is None else decimal(statistics.margin, 1)),
                ("Power of the detectable difference", f"{decimal(100 * statistics.power, 0)} %"),
            )
        ),
        Heading("Metrics"),
        _signatures(inputs),
        Heading("Predictions and batches"),
        bias.flipped_labels(inputs),
        Heading("Runs"),
        *_runs(inputs),
        *_accepted(inputs),
        *_registered(inputs),
    ]
    return Section("method", "How every number was computed", tuple(blocks))


def _signatures(inputs: Inputs) -> Table:
    signatures = dict.fromkeys(
        (row["metric"], row["decoding"], row["signature"]) for name in ("mcqa", "oeq") for row in inputs.rows(name)
    )
    columns = (Column("metric", heading=True), Column("decoding"), Column("name in the files"), Column("signature"))
    lines = [
        (Cell(metric_name(metric)), Cell(DECODINGS.get(decoding, decoding)), Cell(metric), Cell(signature))
        for metric, decoding, signature in signatures
    ]
    caption = "A signature names the rule, the tokenizer and the versions that a value depends on."
    return table("signatures", "Metrics and their signatures", caption, columns, lines)


def _runs(inputs: Inputs) -> list[Block]:
    blocks: list[Block] = []
    first: dict[str, RunRecord] = {}
    for record in inputs.runs:
        first.setdefault(record.facts["stage"], record)
    for stage, record in first.items():
        versions = ", ".join(f"{name} {version}" for name, version in record.facts.get("libraries", {}).items())
        blocks.append(Facts(((f"Libraries of {stage}", versions),)))
        spec = json.dumps(record.facts["spec"], indent=1, ensure_ascii=False, sort_keys=True)
        blocks.append(Source(f"The spec of one {stage} job ({record.model.name})", spec))
    lines = []
    for record in inputs.runs:
        seal = seal_of(inputs.root / record.file)
        hashes = "" if seal is None else ", ".join(f"{name} {sha[:12]}" for name, sha in seal.outputs.items())
        started = str(record.facts.get("started", "")).replace("T", " ")
        lines.append((Cell(inputs.name(record.model)), Cell(record.file), Cell(started), Cell(hashes)))
    columns = (
        Column("model", heading=True),
        Column("run record"),
        Column("started"),
        Column("sha256 of the outputs"),
    )
    caption = (
        "Each record holds the spec, versions, hardware, seconds, memory and energy; the seal beside it holds the"
        " hashes of inputs and outputs. posologie verify compares every file with its seal."
    )
    blocks.append(table("runs", "Run records", caption, columns, lines))
    return blocks


def _accepted(inputs: Inputs) -> list[Block]:
    """Return the code changes that a person found to change no number, with the reasons."""
    entries = acceptances(inputs.root)
    if not entries:
        return []
    columns = (Column("module", heading=True), Column("from"), Column("to"), Column("accepted"), Column("reason"))
    lines = [tuple(Cell(str(entry[key])) for key in ("module", "old", "new", "when", "reason")) for entry in entries]
    caption = "Artifacts that the old code made were kept, because a person judged that the change alters no number."
    return [Heading("Accepted changes of code"), table("accepted", "Accepted changes of code", caption, columns, lines)]


def _registered(inputs: Inputs) -> list[Block]:
    """Return what was fixed before the first training, and what was changed afterwards."""
    known = inputs.registration
    if known is None:
        return []
    changes = known.changes({"statistics": inputs.spec.statistics.model_dump(mode="json")})
    sentences = (
        f"Contrasts, margin and primary measure were registered on {known.date}, before anything was trained (SHA-256 "
        f"{known.checksum}).",
        "Nothing in them was changed afterwards." if not changes else f"Changed afterwards: {'; '.join(changes)}.",
    )
    return [Heading("Registration"), Prose(sentences)]
