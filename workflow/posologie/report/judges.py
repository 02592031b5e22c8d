"""How far judges agree with people, and what else than the answer moves them."""

from posologie.records import layout
from posologie.records.files import read_parquet
from posologie.report.blocks import Block, Cell, Column, Figure, Heading, Prose, Section, Table
from posologie.report.corrections import corrections, raters_table
from posologie.report.inputs import Inputs
from posologie.report.names import counted, listed, metric_name, rater_name
from posologie.report.tables import Row, decimal, estimate, number_cell, p_cell, table

STATISTICS = {
    "pearson": "Pearson r",
    "spearman": "Spearman ρ",
    "kendall": "Kendall τ",
    "accuracy": "accuracy",
    "f1": "F1",
    "kappa": "Cohen κ",
    "auc": "area under the curve",
}
_VERBOSITY = {
    "length_human": "length and human score (Spearman)",
    "length_judge": "length and judge score (Spearman)",
    "length_judge_given_human": "length and judge score, human score held constant",
}


def agreements(inputs: Inputs, calibration_set: str) -> list[Row]:
    """Return the rows of the agreement with people, over all generators, people themselves first."""
    rows = inputs.rows("agreement", set=calibration_set, against="human", generator="pooled")
    kinds = ("human", "judge", "metric")
    return sorted(rows, key=lambda row: kinds.index(row["rater_kind"]) if row["rater_kind"] in kinds else len(kinds))


def section(inputs: Inputs, figures: dict[str, Figure]) -> Section | None:
    """Return the section; None if no judge was calibrated."""
    sets = list(dict.fromkeys(row["set"] for row in inputs.rows("agreement")))
    lengths = [_length_table(inputs, suite) for suite in inputs.suites_of("length")]
    if not sets and not lengths:
        return None
    blocks: list[Block] = [Prose((nearest(inputs, sets[0]),), "lead")] if sets else []
    for place, name in enumerate(sets):
        blocks.append(Heading(f"Agreement with people: {name}"))
        if figure := figures.pop("agreement", None):
            blocks.append(figure)
        if not place:
            blocks.append(Prose((agreement_worth(inputs),)))
        if figure := figures.pop("calibration", None):
            blocks.append(figure)
        blocks.append(_agreement_table(inputs, name))
        if rows := inputs.rows("agreement", set=name, rater_kind="human", generator="pooled"):
            blocks.append(_people_table(name, rows))
        if rows := inputs.rows("raters", set=name):
            blocks.append(raters_table(name, rows))
        if rows := inputs.rows("judge_choice", set=name):
            blocks.append(_choice_table(name, rows))
        if rows := inputs.rows("agreement_contrasts", set=name):
            blocks.append(_contrasts_table(name, rows))
        if rows := inputs.rows("verbosity", set=name):
            blocks.append(_verbosity_table(name, rows))
        if sentence := steered(inputs, name):
            blocks.append(Prose(sentence))
        if rows := inputs.rows("generator", set=name):
            if figure := figures.pop("generator", None):
                blocks.append(figure)
            blocks.append(_generator_table(inputs, name, rows))
    blocks += corrections(inputs)
    for suite in inputs.suites_of("length"):
        if steered_rows := steered_in_suite(inputs, suite):
            blocks.append(_steering_table(suite, steered_rows))
    if lengths:
        blocks += [Heading("Length of the answers, and how judges respond to it"), *lengths]
    return Section("judges", "Judges against people" if sets else "Judges", tuple(blocks))


def steered(inputs: Inputs, name: str) -> tuple[str, ...]:
    """Say which of the rated answers may steer a judge, one sentence for each judge that read such answers."""
    sentences = []
    for judge in dict.fromkeys(row["rater"] for row in inputs.rows("agreement", set=name, rater_kind="judge")):
        file = inputs.root / layout.calibration(judge.removeprefix("judge:"), name)
        if not file.is_file():
            continue
        answers = read_parquet(file, columns=["answer", "steering"]).to_pylist()
        marked = [f"{row['answer']} ({row['steering']})" for row in answers if row["steering"]]
        if marked:
            of, shown = counted(len(answers), "rated answer"), listed(marked, 3)
            sentences.append(
                f"{len(marked)} of {of} may steer {rater_name(judge)}: {shown}. They are judged as they are."
            )
    return tuple(sentences)


def steered_in_suite(inputs: Inputs, suite: str) -> list[tuple[Cell, ...]]:
    """Return the table rows of answers to a suite that may steer a judge, one for each judge and model with any."""
    metrics = dict.fromkeys(row["metric"] for row in inputs.rows("length", suite=suite))
    judges = [judge for kind, _, judge in (metric.partition(":") for metric in metrics) if kind == "judge"]
    rows: list[tuple[Cell, ...]] = []
    for judge in judges:
        for model in inputs.models:
            file = inputs.root / layout.judgements(judge, model.name, suite)
            if not file.is_file():  # the panel's verdicts are a majority of its judges' and have no file of their own
                continue
            answers = read_parquet(file, columns=["item", "steering"]).to_pylist()
            marked = [f"{row['item']} ({row['steering']})" for row in answers if row["steering"]]
            if marked:
                counts = number_cell(len(answers)), number_cell(len(marked))
                rows.append((Cell(inputs.name(model)), Cell(judge), *counts, Cell(listed(marked, 5))))
    return rows


def _steering_table(suite: str, rows: list[tuple[Cell, ...]]) -> Table:
    columns = (
        Column("model", heading=True),
        Column("judge"),
        Column("answers", number=True),
        Column("may steer", number=True),
        Column("items, and what was found"),
    )
    caption = (
        "Answers that hold a control token, a tag of the judge's prompt, a mark of a thought or an order to the judge. "
        "They are judged as they are. Column steering of the judgements lists all of them."
    )
    return table(f"steering-{suite}", f"Answers that may steer a judge, suite {suite}", caption, columns, rows)


def nearest(inputs: Inputs, name: str) -> str:
    """Say which judge agrees best with people on a set of ratings, and on how many answers."""
    rows = [row for row in agreements(inputs, name) if row["rater_kind"] == "judge"]
    for statistic in STATISTICS:
        known = [(value, row) for row in rows if row["statistic"] == statistic
                 and (value := row.number("value")) is not None]  # fmt: skip
        if known:
            value, row = max(known, key=lambda pair: pair[0])
            judges = len({other["rater"] for _, other in known})
            best = f", best of {judges} judges," if judges > 1 else ""
            shown = f"{STATISTICS[statistic]} = {decimal(value)} {estimate(row, 2).interval}".rstrip()
            rests = counted(int(row.needed("n")), "rated answer")
            return f"{rater_name(row['rater'])}{best} agrees with people with {shown} on {rests}."
    return f"No judge has given enough verdicts on {name} to be compared with people."


def mismatches(inputs: Inputs) -> list[str]:
    """Return one sentence for each set of ratings on which the rule chooses another judge than the configured one."""
    sentences = []
    for name in dict.fromkeys(row["set"] for row in inputs.rows("judge_choice")):
        rows = inputs.rows("judge_choice", set=name)
        configured = next((row["judge"] for row in rows if row["configured"] == "1"), None)
        by_rule = next((row for row in rows if row["by_rule"] == "1"), None)
        if configured is not None and by_rule is not None and by_rule["judge"] != configured:
            sentences.append(_mismatch(name, by_rule, next(row for row in rows if row["judge"] == configured)))
    return sentences


def _mismatch(name: str, by_rule: Row, configured: Row) -> str:
    """Say that the rule chooses another judge than the configured one, and by which correlation."""
    best, own = by_rule.number("value"), configured.number("value")
    judged = f"{configured['judge']} judged the answers (judging.chosen)"
    if best is not None and best == own:
        return f"On {name} {by_rule['judge']} agrees with people as well as {configured['judge']} does; {judged}."
    value = "" if best is None else f" (r = {decimal(best)})"
    return f"On {name} the judge that agrees best with people is {by_rule['judge']}{value}; {judged}."


def agreement_worth(inputs: Inputs) -> str:
    """Say what a judge's number is worth, and on how many rated answers its agreement with people rests."""
    rows = inputs.rows("agreement", against="human", generator="pooled")
    most = max((int(row.needed("n")) for row in rows), default=0)
    several = len({row["rater"] for row in rows if row["rater_kind"] == "judge"}) > 1
    worth = "A judge's score is only as good as the judge's agreement with people."
    rests = f" It rests here on {counted(most, 'rated answer')} at most, and its interval shows how much they settle"
    order = ": judges whose intervals overlap are not ordered by them." if several else "."
    return f"{worth}{rests}{order}" if most else worth


def _agreement_table(inputs: Inputs, name: str) -> Table:
    rows = agreements(inputs, name)
    statistics = [statistic for statistic in STATISTICS if any(row["statistic"] == statistic for row in rows)]
    by_rater = {(row["rater"], row["statistic"]): row for row in rows}
    raters = dict.fromkeys((row["rater"], row["rater_kind"]) for row in rows)
    columns = [Column("rater", heading=True), Column("kind"), Column("n", number=True)]
    columns += [Column("without a verdict", number=True)]
    columns += [Column(STATISTICS[statistic], number=True) for statistic in statistics]
    lines = []
    for rater, kind in raters:
        here = [by_rater.get((rater, statistic)) for statistic in statistics]
        count = max((row.needed("n") for row in here if row is not None), default=None)
        silent = next((row.number("silent") for row in here if row is not None), None)
        cells = [Cell(rater_name(rater)), Cell(kind), number_cell(count), number_cell(silent)]
        lines.append([*cells, *(estimate(row, 2) for row in here)])
    caption = (
        "Agreement of each judge and metric with the mean human rating, over all generators. A judge that gives no "
        "verdict on more than 2 % of the answers has bounds instead of an accuracy, and no other value."
    )
    return table(
        f"agreement-{name}", f"Agreement with people, {name}", caption, columns, lines, layout.table("agreement")
    )


def _people_table(name: str, rows: list[Row]) -> Table:
    statistics = [statistic for statistic in STATISTICS if any(row["statistic"] == statistic for row in rows)]
    by_pair = {(row["rater"], row["against"], row["statistic"]): row for row in rows}
    columns = [Column("rater", heading=True), Column("and"), Column("n", number=True)]
    columns += [Column(STATISTICS[statistic], number=True) for statistic in statistics]
    lines = []
    for first, second in dict.fromkeys((row["rater"], row["against"]) for row in rows):
        here = [by_pair.get((first, second, statistic)) for statistic in statistics]
        count = max((row.needed("n") for row in here if row is not None), default=None)
        lines.append(
            [Cell(rater_name(first)), Cell(rater_name(second)), number_cell(count), *(estimate(row, 2) for row in here)]
        )
    caption = "On the answers that both rated: no judge can agree with people better than they agree with each other."
    title = f"Agreement between raters, {name}"
    return table(f"raters-{name}", title, caption, columns, lines, layout.table("agreement"))


def _choice_table(name: str, rows: list[Row]) -> Table:
    columns = (
        Column("judge", heading=True),
        Column("n", number=True),
        Column("left out", number=True),
        Column("seen in training", number=True),
        Column("without a verdict", number=True),
        Column("Pearson r", number=True),
        Column("chosen, % of draws", number=True),
        Column("by the rule"),
        Column("configured"),
        Column("r, corrected for the choice", number=True),
    )
    lines = [
        (
            Cell(row["judge"]),
            number_cell(row.number("n")),
            number_cell(row.number("excluded")),
            number_cell(row.number("triples")),
            number_cell(row.number("silent")),
            estimate(row, 2),
            number_cell(row.number("chosen_share"), 1),
            Cell("yes" if row["by_rule"] == "1" else ""),
            Cell("yes" if row["configured"] == "1" else ""),
            number_cell(row.number("corrected"), 2),
        )
        for row in rows
    ]
    caption = (
        "The rule takes the judge with the highest correlation. The best of several looks better than it is: its "
        "interval allows for the choice, and the corrected value is its correlation on questions that played no part "
        "in the choice. Left out: answers to questions that one of the judges was trained on. Seen in training:"
        " rated answers "
        "that occur, with question and reference, in one record of the judge's training files."
    )
    title = f"Which judge the rule chooses, {name}"
    return table(f"judge-choice-{name}", title, caption, columns, lines, layout.table("judge_choice"))


_LENGTH = {
    "mean": "score, %",
    "at_matched_length": "at matched length, %",
    "at_equal_length": "at equal length, %",
    "length_correlation": "length and score (Pearson)",
}


def _length_table(inputs: Inputs, suite: str) -> Table:
    rows = inputs.rows("length", suite=suite, scope_kind="all")
    by_statistic = {(row["metric"], row["model"], row["statistic"]): row for row in rows}
    metrics = list(dict.fromkeys(row["metric"] for row in rows))
    columns = [Column("model", heading=True), Column("judge"), Column("without a verdict", number=True)]
    columns += [Column("n at matched length", number=True)]
    columns += [Column(title, number=True) for title in _LENGTH.values()]
    lines = [
        [
            Cell(arm.name),
            Cell(metric_name(metric)),
            number_cell(_number(by_statistic, (metric, arm.model, "mean"), "silent")),
            number_cell(_number(by_statistic, (metric, arm.model, "at_matched_length"), "n")),
            *(
                estimate(
                    by_statistic.get((metric, arm.model, statistic)), 2 if statistic == "length_correlation" else 1
                )
                for statistic in _LENGTH
            ),
        ]
        for metric in metrics
        for arm in inputs.arms
    ]
    caption = (
        "At matched length: means within fifths of the length of all answers, with the same weights for every model. "
        "At equal length: the same by regression, for models whose answers have few lengths in common. What a model"
        " loses there was due to the length of its answers."
    )
    caption += "".join(length_effect(row, len(metrics) > 1) for row in rows if row["statistic"] == "length_effect")
    title = f"Judges and length, suite {suite}"
    return table(f"length-{suite}", title, caption, columns, lines, layout.table("length"))


def length_effect(row: Row, several: bool) -> str:
    """Say what twice the words change in a judge's score; nothing where that is unknown."""
    shown = estimate(row, 1, sign=True)
    if row.number("value") is None:
        return ""
    score = f"“{metric_name(row['metric'])}”" if several else "the score"
    return f" Doubling the words changes {score} by {shown.text} points {shown.interval}".rstrip() + "."


def _number(rows: dict[tuple[str, str, str], Row], key: tuple[str, str, str], column: str) -> float | None:
    row = rows.get(key)
    return None if row is None else row.number(column)


def _contrasts_table(name: str, rows: list[Row]) -> Table:
    columns = (
        Column("left", heading=True),
        Column("right"),
        Column("statistic"),
        Column("difference", number=True),
        Column("p, corrected", number=True),
    )
    lines = [
        (
            Cell(rater_name(row["left"])),
            Cell(rater_name(row["right"])),
            Cell(STATISTICS.get(row["statistic"], row["statistic"])),
            estimate(row, 2, sign=True),
            p_cell(row.number("p_holm")),
        )
        for row in rows
        if row["generator"] == "pooled"
    ]
    caption = "Paired over the same answers; p is corrected by Holm's method."
    title = f"Is one rater closer to people than another, {name}"
    return table(f"agreement-contrasts-{name}", title, caption, columns, lines, layout.table("agreement_contrasts"))


def _verbosity_table(name: str, rows: list[Row]) -> Table:
    present = [statistic for statistic in _VERBOSITY if any(row["statistic"] == statistic for row in rows)]
    by_judge = {
        (row["judge"], row["statistic"]): row for row in rows if not row["generator"] or row["generator"] == "pooled"
    }
    columns = [Column("judge", heading=True), *(Column(_VERBOSITY[statistic], number=True) for statistic in present)]
    judges = dict.fromkeys(row["judge"] for row in rows)
    lines = [
        [Cell(rater_name(judge) or "people"), *(estimate(by_judge.get((judge, statistic)), 2) for statistic in present)]
        for judge in judges
    ]
    caption = (
        "A judge that favours longer answers beyond what people do still shows a correlation when the human score is"
        " held constant."
    )
    return table(f"verbosity-{name}", f"Length of answers, {name}", caption, columns, lines, layout.table("verbosity"))


def _generator_table(inputs: Inputs, name: str, rows: list[Row]) -> Table:
    columns = (
        Column("judge", heading=True),
        Column("answers of"),
        Column("n", number=True),
        Column("without a verdict", number=True),
        Column("people, %", number=True),
        Column("judge, %", number=True),
        Column("judge − people, points", number=True),
        Column("p, corrected", number=True),
    )
    lines = [
        (
            Cell(rater_name(row["judge"])),
            Cell(inputs.generator_name(row["generator"])),
            number_cell(row.number("n")),
            number_cell(row.number("silent")),
            number_cell(row.number("human"), 1),
            number_cell(row.number("judge_value"), 1),
            estimate(row, 1, sign=True),
            p_cell(row.number("p_holm")),
        )
        for row in rows
    ]
    caption = "A judge that favours a generator gives its answers higher scores than people do."
    return table(
        f"generator-{name}", f"Judges by generator, {name}", caption, columns, lines, layout.table("generator")
    )
