"""What to give: the dose, the mixes that cannot be told from it, exchange rates, prices, and what to train next."""

from collections.abc import Sequence
from dataclasses import dataclass

from posologie import layout
from posologie.mixes.spec import lowest_terms
from posologie.report.blocks import Block, Cell, Column, Figure, Prose, Section, Source, Table
from posologie.report.inputs import Inputs
from posologie.report.tables import Row, decimal, estimate, number_cell, p_text, table
from posologie.report.words import measure_name, sentence, unit_name

OBJECTIVE = "objective"
_NEVER = 0.005
"""Shares below half a percent are none."""


@dataclass(frozen=True)
class Told:
    """The rows of one surface: of the weighted objective, or else of the first suite, on the first backbone."""

    suite: str
    every: tuple[Row, ...]
    titles: tuple[tuple[str, str], ...] = ()

    def title(self, component: str) -> str:
        """Return what the page calls a component."""
        return dict(self.titles).get(component, component)

    def mix(self, row: Row) -> str:
        """Return a row's mix in words: `57 % native, 43 % translated, no synthetic`."""
        shares = {self.title(name): share for name, share in mix_of(row).items()}
        given = [f"{decimal(100 * share, 0)} % {name}" for name, share in shares.items() if share >= _NEVER]
        none = [f"no {name}" for name, share in shares.items() if share < _NEVER]
        return ", ".join([*given, *none])

    def rows(self, kind: str) -> list[Row]:
        """Return the rows of a kind."""
        return [row for row in self.every if row["row"] == kind]

    def one(self, kind: str) -> Row:
        """Return the only row of a kind."""
        return self.rows(kind)[0]

    @property
    def components(self) -> list[str]:
        """Names of the components, in the order of the study."""
        return list(mix_of(self.one("optimum")))

    @property
    def model(self) -> Row:
        """The model that was chosen."""
        return next(row for row in self.rows("model") if row["chosen"] == "1")

    @property
    def supported(self) -> bool:
        """Whether it predicts left-out mixes better than their mean does."""
        return self.model["supported"] == "1"

    @property
    def unit(self) -> str:
        """What differences are counted in."""
        return unit_name(self.one("optimum")["unit"]) or "units"

    @property
    def what(self) -> str:
        """What is measured, in words."""
        row = self.one("optimum")
        return "the weighted objective" if self.suite == OBJECTIVE else measure_name(row["metric"], row["decoding"])

    @property
    def axis(self) -> str:
        """Title of an axis of scores."""
        unit = self.one("optimum")["unit"]
        return f"{self.what} ({unit})" if unit else self.what

    @property
    def level(self) -> str:
        """Level of the intervals in percent."""
        return decimal(100 * self.one("optimum").needed("level"), 0)


def told_of(inputs: Inputs) -> Told | None:
    """Return the surface that the page opens with; None without one."""
    rows = inputs.rows("surface")
    suites = [name for name in (OBJECTIVE, *inputs.spec.suites) if any(row["suite"] == name for row in rows)]
    every = [row for row in rows if suites and row["suite"] == suites[0]]
    best = [row for row in every if row["row"] == "optimum"]
    if not best:
        return None
    same = ("backbone", "metric", "decoding", "variants", "aggregate")
    titles = tuple((one.name, one.title) for one in inputs.spec.components)
    return Told(suites[0], tuple(row for row in every if all(row[key] == best[0][key] for key in same)), titles)


def mix_of(row: Row) -> dict[str, float]:
    """Return the share of each component in a row's mix."""
    pairs = (part.split("=") for part in row["shares"].split(";"))
    return {name: float(share) for name, share in pairs}


def section(inputs: Inputs, figure: Figure | None) -> Section | None:
    """Return the section that opens the page; None without a table of surfaces."""
    told = told_of(inputs)
    if told is None:
        return None
    sentences = (
        support(told),
        dose(told),
        region(told),
        floors(told),
        rates(told),
        price(told),
        change_of_mind(told),
    )
    notes = "; ".join(dict.fromkeys(part for part in told.one("optimum")["note"].split("; ") if part))
    blocks: list[Block] = [Prose(tuple(one for one in sentences if one), "answer", notes)]
    blocks += [Source("The next mixes, to paste into the study", pasted)] if (pasted := to_paste(inputs, told)) else []
    blocks += [figure] if figure else []
    blocks += [_models(told), _mixes(told)]
    blocks += [_rates(told)] if told.rows("rate") else []
    blocks += [_budgets(told)] if told.rows("frontier") else []
    return Section("give", "What to give", tuple(blocks))


def support(told: Told) -> str:
    """Say how well the surface predicts mixes that it has not seen, or that these runs do not support one."""
    model = told.model
    p_value = "" if model.number("p_value") is None else f", p = {p_text(model.number('p_value'))}"
    mixes = f"{int(model.needed('mixes'))} mixes{p_value}"
    if not told.supported:
        return (
            f"These runs do not support a surface: no model is shown to predict a left-out mix better than the mean of "
            f"the others does ({mixes}). What follows is the most likely reading of these runs, not a result."
        )
    mean = next(row for row in told.rows("model") if row["name"] == "mean")
    return (
        f"A {model['name']} surface predicts left-out mixes with an error of {decimal(model.needed('value'), 1)} "
        f"{told.unit}; the mean of the others misses by {decimal(mean.needed('value'), 1)} ({mixes})."
    )


def dose(told: Told) -> str:
    """Name the mix with the highest expected score, what it gains over base, and what it may lose against the best."""
    best = told.one("optimum")
    unit = told.unit
    size = best.number("size")
    items = "" if size is None else f" at {size:,.0f} items"
    value = f"{decimal(best.needed('value'), 1)}{_percent(best)}{_interval(best, told.level)}"
    base = told.rows("base")
    over = ""
    if base:
        gain = best.needed("value") - base[0].needed("value")
        over = f", {decimal(abs(gain), 1)} {unit} {'above' if gain >= 0 else 'below'} the base model's"
    verb = "Give" if told.supported else "The highest expected score is that of"
    most = f"at most {decimal(best.needed('most_regret'), 1)}"
    return (
        f"{verb} {told.mix(best)}{items}: the expected {told.what} is {value}{over}. It is expected to fall "
        f"{decimal(best.needed('regret'), 1)} {unit} short of the best mix there is, {most} (with {told.level} % "
        f"certainty)."
    )


def region(told: Told) -> str:
    """Say which mixes cannot be told from the best."""
    part = told.one("region")
    share = part.needed("value")
    ranges = [
        f"{told.title(row['name'])} {decimal(100 * row.needed('low'), 0)} to {decimal(100 * row.needed('high'), 0)} %"
        for row in told.rows("share")
    ]
    if share > 0.995:
        return "No mix can be told from the best: any dose may be the best one."
    if share < 0.005:
        return f"Hardly any other mix may be as good: {', '.join(ranges)}."
    return f"{decimal(100 * share, 0)} % of all mixes cannot be told from the best, with {', '.join(ranges)}."


def floors(told: Told) -> str:
    """Say which mix is the best of those that keep base's score on other suites."""
    rows = told.rows("constrained")
    if not rows:
        return ""
    suites = " and ".join(rows[0]["name"].split(","))
    if rows[0].number("value") is None:
        return f"No mix is sure to score at least as well as base on {suites}."
    chance = decimal(100 * rows[0].needed("chance"), 0)
    value = f"{decimal(rows[0].needed('value'), 1)}{_percent(rows[0])}{_interval(rows[0], told.level)}"
    return (
        f"Of the mixes that score at least as well as base on {suites} (with {chance} % certainty), the best is "
        f"{told.mix(rows[0])}: {value}."
    )


def rates(told: Told) -> str:
    """Say how many items of each other component do the work of one item of the first."""
    first = told.components[0]
    found = [row for row in told.rows("rate") if row["of"] == first and row["name"] != "doses that score the same"]
    if not found:
        return ""
    return f"At equal shares, {'; '.join(_rate(told, row) for row in found)}."


def _rate(told: Told, row: Row) -> str:
    value, low, high = (row.number(key) for key in ("value", "low", "high"))
    of, into, where = told.title(row["of"]), told.title(row["into"]), row["name"]
    if where.startswith("instead of ") and (third := where.removeprefix("instead of ")) in told.components:
        where = f"instead of {told.title(third)}"
    if value is None:
        return f"no number of {into} items is seen to do the work of one {of} item"
    bounds = f"{told.level} % interval {decimal(low, 1)} to {decimal(high, 1)}"
    if low is None or high is None:
        open_set = next((part for part in row["note"].split("; ") if part.startswith(("unbounded", "no dose"))), "")
        bounds = f"the interval is {open_set or 'not bounded'}"
    if value < 0:
        return f"{into} items do not do the work of {of} ones, {where}: one helps and the other hurts ({bounds})"
    return f"{decimal(value, 1)} {into} items do the work of one {of} item, {where} ({bounds})"


def price(told: Told) -> str:
    """Say what a point costs: the cheapest mix that is expected to gain one, beside the best that was trained."""
    rows = told.rows("cheapest")
    if not rows:
        return ""
    present = told.one("present")
    paid = f"{present['name']}, the best mix that was trained, costs {_money(present)}"
    if rows[0].number("cost") is None:
        cheaper = _as_good(told, present)
        return f"{paid}; no mix is expected to score 1 {told.unit.removesuffix('s')} more{cheaper}."
    low, high = rows[0].needed("low"), rows[0].needed("high")
    return (
        f"{paid}; the cheapest mix that is expected to score 1 {told.unit.removesuffix('s')} more costs "
        f"{_money(rows[0])}: {told.mix(rows[0])}, gaining "
        f"{decimal(rows[0].needed('value'), 1)} ({told.level} % interval {decimal(low, 1, True)} to "
        f"{decimal(high, 1, True)})."
    )


def _money(row: Row) -> str:
    return f"{decimal(row.needed('cost'), 0)} {row['currency']}".rstrip()


def _as_good(told: Told, present: Row) -> str:
    """Name the cheapest mix of the frontier that is expected to do as well for less."""
    less = [
        row
        for row in told.rows("frontier")
        if row.needed("cost") < present.needed("cost") and row.needed("value") >= present.needed("value")
    ]
    if not less:
        return ""
    return f", and one as good costs {_money(less[0])} ({told.mix(less[0])})"


def change_of_mind(told: Told) -> str:
    """Say which trainings would change the decision, or that none is expected to."""
    advice = told.rows("advice")
    if not advice:
        return ""
    if advice[0]["name"] == "stop":
        return (
            f"What would change our mind: no further training is expected to; together the best ones would raise the "
            f"chosen mix by {decimal(advice[0].needed('value'), 2)} {told.unit}."
        )
    ways = []
    for row in told.rows("next"):
        seeds = int(row.needed("seeds"))
        why = f"{decimal(100 * row.needed('chance'), 0)} %"
        if "interior" in row["note"].split("; "):
            why = f"{why}; it tells whether the surface fits"
        ways.append(f"{told.mix(row)} ({seeds} seed{'s' if seeds > 1 else ''}, {why})")
    return f"What would change our mind, with the chance that another mix comes out best: training {'; '.join(ways)}."


def to_paste(inputs: Inputs, told: Told) -> str:
    """Return the next mixes as a study has them, under names that it does not have; nothing where there are none."""
    rows = told.rows("next")
    free = (f"next-{number}" for number in range(1, 1000) if f"next-{number}" not in inputs.spec.mixes)
    lines = []
    for row, name in zip(rows, free, strict=False):
        weights = lowest_terms({part: round(share, 4) for part, share in mix_of(row).items() if share >= 0.00005})
        shares = ", ".join(f"{part}: {weight:g}" for part, weight in weights.items())
        size = row.number("size")
        lines.append(f"  {name}: {{shares: {{{shares}}}, size: {'smallest' if size is None else f'{size:.0f}'}}}")
    return "\n".join(["mixes:", *lines]) + "\n" if lines else ""


def _percent(row: Row) -> str:
    return " %" if row["unit"] == "%" else ""


def _interval(row: Row, level: str) -> str:
    low, high = row.number("low"), row.number("high")
    return "" if low is None or high is None else f" ({level} % interval {decimal(low, 1)} to {decimal(high, 1)})"


def _models(told: Told) -> Table:
    rows = told.rows("model")
    lines = [
        (
            Cell(row["name"], note="chosen" if row["chosen"] == "1" else ""),
            number_cell(row.number("value"), 2),
            number_cell(None if row.number("coverage") is None else 100 * row.needed("coverage"), 0),
            number_cell(row.number("gain"), 2, sign=True),
            number_cell(row.number("gain_low"), 2, sign=True),
            number_cell(row.number("log_density"), 1),
            Cell("chosen" if row["chosen"] == "1" else ""),
        )
        for row in rows
    ]
    columns = (
        Column("model", heading=True), Column("error on left-out mixes", number=True),
        Column("inside the interval, %", number=True), Column("gain on the mean", number=True),
        Column("at least", number=True), Column("log density", number=True), Column("chosen"),
    )  # fmt: skip
    noted = dict.fromkeys(part for row in (*rows, *told.rows("check")) for part in row["note"].split("; ") if part)
    said = sentence("; ".join(noted)) + "." if noted else ""
    return table(
        "surface-models",
        "How well each model predicts a mix that it has not seen",
        f"{sentence(told.what)}, in {told.unit}, each mix left out in turn; n = {int(rows[0].needed('mixes'))} mixes, "
        f"{int(rows[0].needed('n')):,} questions. {said}",
        columns,
        lines,
        layout.table("surface"),
    )


def _mixes(told: Told) -> Table:
    """Return the best mix, a few that cannot be told from it, and those that were trained, beside their prediction."""
    components = told.components
    columns = [Column("mix", heading=True), *(Column(f"{told.title(name)}, %", number=True) for name in components)]
    columns += [Column("score", number=True), Column("predicted from the others", number=True)]
    left_out = {row["name"]: row for row in told.rows("left out")}
    lines = []
    named = [("best", told.one("optimum")), *((f"as good, {row['name']}", row) for row in told.rows("as good"))]
    for name, row in [*named, *((row["name"], row) for row in told.rows("run"))]:
        shares = [number_cell(100 * share, 0) for share in mix_of(row).values()]
        own = left_out.get(row["name"]) if row["row"] == "run" else None
        lines.append([Cell(name), *shares, estimate(row, 1), estimate(own, 1)])
    return table(
        "surface-mixes",
        "The best mix, mixes as good, and those that were trained",
        f"{sentence(told.axis)} with {told.level} % intervals; trained mixes have their measured score, and beside it "
        "what the surface of all others predicts.",
        columns,
        lines,
        layout.table("surface"),
    )


def _rates(told: Told) -> Table:
    lines = [
        (Cell(told.title(row["into"])), Cell(told.title(row["of"])), Cell(row["name"]), estimate(row, 2))
        for row in told.rows("rate")
    ]
    columns = (Column("items of", heading=True), Column("for one item of"), Column("how"), Column("rate", number=True))
    return table(
        "surface-rates",
        "Exchange rates",
        f"How many items of one component do the work of one item of another, at equal shares, with {told.level} % "
        "intervals (Fieller). An interval without bounds means that these runs rule out no number, or only some.",
        columns,
        lines,
        layout.table("surface"),
    )


def _budgets(told: Told) -> Table:
    lines: list[Sequence[Cell]] = [
        (number_cell(row.number("cost"), 0), Cell(told.mix(row)), number_cell(row.number("size"), 0),
         estimate(row, 1))
        for row in told.rows("frontier")
    ]  # fmt: skip
    columns = (Column("cost", number=True), Column("mix"), Column("items", number=True), Column("score", number=True))
    return table(
        "surface-budgets",
        "Budget and expected score",
        "The mixes that no cheaper one is expected to reach, by the prices of the study.",
        columns,
        lines,
        layout.table("surface"),
    )
