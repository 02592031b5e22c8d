"""How far scores depend on batching, the order of options and the way of scoring."""

import math

from posologie.records import layout
from posologie.report.blocks import Block, Cell, Column, Figure, Heading, Prose, Section, Table
from posologie.report.inputs import Inputs
from posologie.report.names import counted
from posologie.report.tables import Row, decimal, estimate, interval, number_cell, table
from posologie.scoring.choices import BY


def section(inputs: Inputs, figures: dict[str, Figure]) -> Section | None:
    """Return the section; None if no suite has permuted options."""
    blocks: list[Block] = []
    for suite in inputs.suites_of("position"):
        blocks.append(Heading(f"Order of the options: {suite}"))
        if lead := " ".join([*_drop(inputs, suite), *_tau(inputs, suite)]):
            blocks.append(Prose((lead,), "lead"))
        if figure := figures.pop("position", None):
            blocks.append(figure)
        blocks.append(
            Prose(
                (
                    "The same questions with their options shuffled. With correct scoring, the gold answer "
                    "follows its option, and any drop is the model's own preference for positions. Scored against"
                    " the letters of "
                    "the original order, a right answer counts as wrong if its letter moved: that "
                    "drop is an artefact of the scoring.",
                )
            )
        )
        blocks.append(_order_table(inputs, suite))
        blocks.append(_places_table(inputs, suite))
    return Section("bias", "Bias audits", tuple(blocks)) if blocks else None


def _drop(inputs: Inputs, suite: str) -> list[str]:
    """Say how much shuffling the options moves the models' scores."""
    rows = inputs.rows("position", suite=suite, scope_kind="all", decoding="constrained", statistic="em_drop", label="")
    names = {arm.model: arm.name for arm in inputs.arms}
    known = [(value, names[row["model"]]) for row in rows
             if row["model"] in names and (value := row.number("value")) is not None]  # fmt: skip
    if not known:
        return []
    value, name = max(known, key=lambda pair: abs(pair[0]))
    if not any(value for value, _ in known):
        return ["Shuffling the options changes no model's score."]
    moved = f"{decimal(abs(value), 1)} points {'lower' if value > 0 else 'higher'}"
    return [f"Shuffling the options affects {name} most: it then scores {moved}."]


def _tau(inputs: Inputs, suite: str) -> list[str]:
    rows = inputs.rows("position", suite=suite, scope_kind="all", decoding="constrained", statistic="ranking_tau")
    return [ranking_kept(row) for row in rows[:1]]


def ranking_kept(row: Row) -> str:
    """Say whether the models keep their ranking when the options are shuffled."""
    value, low, high = (row.number(column) for column in ("value", "low", "high"))
    if value is None or math.isnan(value):
        return (
            "It cannot be said whether the models keep their ranking under permutation: in one of the two orders "
            "all of them score the same, so Kendall's τ is undefined."
        )
    tau = f"(Kendall's τ = {' '.join(text for text in (decimal(value), interval(low, high, 2)) if text)})"
    if value == 1:
        return f"The models keep their ranking under permutation {tau}."
    if low is not None and low > 0:
        return f"Models that score higher in the original order also tend to score higher under permutation {tau}."
    if high is not None and high < 0:
        return f"Models that score higher in the original order tend to score lower under permutation {tau}."
    return f"The models are not shown to keep their ranking under permutation {tau}."


_ORDER = (
    ("em_mapped", "original", "original order"),
    ("em_mapped", "permuted", "permuted, gold follows"),
    ("em_drop", "permuted", "drop"),
    ("em_unmapped", "permuted", "permuted, old letters"),
    ("em_drop_unmapped", "permuted", "drop on old letters"),
    ("consistency", "all", "same options in every run"),
    ("recall_spread", "original", "spread of recall over labels"),
)


def _order_table(inputs: Inputs, suite: str) -> Table:
    rows = inputs.rows("position", suite=suite, scope_kind="all", decoding="constrained", label="")
    by_column = {(row["model"], row["statistic"], row["variants"]): row for row in rows}
    present = [column for column in _ORDER if any(key[1:] == column[:2] for key in by_column)]
    columns = [Column("model", heading=True), *(Column(title, number=True) for _, _, title in present)]
    lines = []
    for arm in inputs.arms:
        cells = [Cell(arm.name)]
        for statistic, variants, _ in present:
            cells.append(estimate(by_column.get((arm.model, statistic, variants)), 1, sign="drop" in statistic))
        lines.append(cells)
    return table(
        f"position-{suite}",
        f"What the order of options changes, suite {suite}",
        "Exact match under constrained decoding, in %; a drop is the original order minus the permuted, in points.",
        columns,
        lines,
        layout.table("position"),
    )


def _places_table(inputs: Inputs, suite: str) -> Table:
    rows = [
        row
        for row in inputs.rows("position", suite=suite, scope_kind="all", decoding="constrained", variants="original")
        if row["label"] and row["statistic"] in ("recall", "predicted_share", "gold_share")
    ]
    labels = sorted({row["label"] for row in rows})
    columns = [Column("model", heading=True), Column("share of questions")]
    columns += [Column(label, number=True) for label in labels]
    by_column = {(row["model"], row["statistic"], row["label"]): row for row in rows}
    rows_shown = [("", "all questions", "gold_share", "right label")]
    for arm in inputs.arms:
        rows_shown.append((arm.model, arm.name, "predicted_share", "chosen label"))
        rows_shown.append((arm.model, arm.name, "recall", "answered right, by right label"))
    lines = []
    for model, name, statistic, title in rows_shown:
        values = [by_column.get((model, statistic, label)) for label in labels]
        cells = [number_cell(None if row is None else row.number("value"), 1) for row in values]
        lines.append([Cell(name), Cell(title), *cells])
    return table(
        f"places-{suite}",
        f"Positions of the options, suite {suite}",
        "In %, original order: how often each label is right, how often each model chooses it, and how often it "
        "is right when the right answer is there (single-answer questions).",
        columns,
        lines,
        layout.table("position"),
    )


_PROCEDURES = {
    "first_token": "the most probable label of the first token",
    "grammar": "a grammar",
    "json_schema": "a JSON schema",
    "likelihoods": "the log-likelihoods of labels or options",
    "published masks": "the published study's masks",
    "text": "the labels in the text",
    "none": "no constrained answer",
}
"""How constrained answers that are not a local model's are made, by the names in predictions and run records."""


def procedures(inputs: Inputs) -> str:
    """Say which models' constrained answers do not come from the automaton, so that columns are not read as alike."""
    of_models: dict[str, list[str]] = {}
    for record in inputs.runs:
        for name in record.facts.get("constrained_answers", {}):
            of_models.setdefault(inputs.name(record.model), []).append(_PROCEDURES.get(name, name))
    arms = {arm.model: arm.name for arm in inputs.arms}
    for row in inputs.rows("mcqa", decoding="constrained"):
        if row["model"] in arms and (names := procedures_of(row)):
            of_models.setdefault(arms[row["model"]], []).extend(names)
    if not of_models:
        return ""
    models = "; ".join(f"{model} by {' or '.join(dict.fromkeys(names))}" for model, names in of_models.items())
    return f"Not all constrained answers come from the automaton of local models: {models}."


def procedures_of(row: Row) -> list[str]:
    """Return what the labels behind a value come from, in words; nothing where it is the automaton of local models."""
    named = row["signature"].partition(BY)[2]
    return [_PROCEDURES.get(name, name) for name in named.split(", ")] if named else []


def flipped_labels(inputs: Inputs) -> Prose:
    """Say how many of the prompts computed again on their own had a different most probable label.

    In float32 none is computed again: the labels are those of decoding one by one. The run records of one job's suites
    state the whole job, so each job counts once.
    """
    jobs = {
        (record.model.name, record.facts.get("started")): record.facts
        for record in inputs.runs
        if record.facts["stage"] == "prediction"
    }
    audits = [audit for facts in jobs.values() if (audit := facts.get("recomputed_alone")) and audit["prompts"]]
    prompts = sum(audit["prompts"] for audit in audits)
    flipped = sum(audit["likeliest_label_flipped"] for audit in audits)
    halved = [halvings for facts in jobs.values() if (halvings := facts.get("chunk_halvings", 0))]
    sentences = []
    if prompts:
        again = (
            f"Where models answered in bfloat16, {counted(prompts, 'prompt')} of {counted(len(audits), 'job')} "
            f"{'was' if prompts == 1 else 'were'} computed again without a batch"
        )
        share = f"({decimal(100 * flipped / prompts, 1)} %)"
        sentences.append(
            f"{again}: {flipped:,} had a different most probable label than in the batch {share}: near-ties, which"
            f" rounding "
            "decides."
            if flipped
            else f"{again}: none had a different most probable label than in the batch."
        )
    else:
        sentences.append(
            "No prompt was computed again on its own: models answered in float32, where batches change no label, "
            "or behind an endpoint."
        )
    if halved:
        sentences.append(
            f"Memory ran out in {len(halved)} of {counted(len(jobs), 'prediction job')}; chunks were halved "
            f"{counted(sum(halved), 'time')} in all, which affects only near-ties."
        )
    return Prose(tuple(filter(None, (" ".join(sentences), procedures(inputs)))))
