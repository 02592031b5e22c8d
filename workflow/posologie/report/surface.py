"""What to give: the dose, mixes that are as good as far as can be seen, exchange rates, prices, what to train next."""

from collections.abc import Sequence
from dataclasses import dataclass

from posologie.mixes.spec import lowest_terms
from posologie.records import layout
from posologie.report.blocks import Block, Cell, Column, Figure, Prose, Section, Source, Table
from posologie.report.inputs import Inputs
from posologie.report.names import measure_name, sentence, unit_name
from posologie.report.tables import Row, decimal, estimate, number_cell, p_text, table
from posologie.surface.answer import NEVER, mix_text, rate_clause, region_sentence

OBJECTIVE = "objective"


@dataclass(frozen=True)
class SurfaceTable:
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
        return ", ".join([mix_text(shares), *(f"no {name}" for name, share in shares.items() if share < NEVER)])

    def rows(self, kind: str) -> list[Row]:
        """Return the rows of a kind."""
        return [row for row in self.every if row["row"] == kind]

    def only_row(self, kind: str) -> Row:
        """Return the only row of a kind."""
        return self.rows(kind)[0]

    @property
    def components(self) -> list[str]:
        """Names of the components, in the order of the study."""
        return list(mix_of(self.only_row("optimum")))

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
        return unit_name(self.only_row("optimum")["unit"]) or "units"

    @property
    def what(self) -> str:
        """What is measured, in words."""
        row = self.only_row("optimum")
        return "the weighted objective" if self.suite == OBJECTIVE else measure_name(row["metric"], row["decoding"])

    @property
    def axis(self) -> str:
        """Title of an axis of scores."""
        unit = self.only_row("optimum")["unit"]
        return f"{self.what} ({unit})" if unit else self.what

    @property
    def level(self) -> str:
        """Level of the intervals in percent."""
        return decimal(100 * self.only_row("optimum").needed("level"), 0)


def surface_table(inputs: Inputs) -> SurfaceTable | None:
    """Return the surface that the page opens with; None without one."""
    rows = inputs.rows("surface")
    suites = [name for name in (OBJECTIVE, *inputs.spec.suites) if any(row["suite"] == name for row in rows)]
    every = [row for row in rows if suites and row["suite"] == suites[0]]
    best = [row for row in every if row["row"] == "optimum"]
    if not best:
        return None
    same = ("backbone", "metric", "decoding", "variants", "aggregate")
    titles = tuple((component.name, component.title) for component in inputs.spec.components)
    return SurfaceTable(suites[0], tuple(row for row in every if all(row[key] == best[0][key] for key in same)), titles)


def mix_of(row: Row) -> dict[str, float]:
    """Return the share of each component in a row's mix."""
    pairs = (part.split("=") for part in row["shares"].split(";"))
    return {name: float(share) for name, share in pairs}


def section(inputs: Inputs, figure: Figure | None) -> Section | None:
    """Return the section on the dose; None without a table of surfaces."""
    fitted = surface_table(inputs)
    if fitted is None:
        return None
    sentences = (dose(fitted), region(fitted), floors(fitted), rates(fitted), price(fitted), change_of_mind(fitted))
    notes = "; ".join(dict.fromkeys(part for part in fitted.only_row("optimum")["note"].split("; ") if part))
    blocks: list[Block] = [Prose((support(fitted),), "lead", notes)]
    blocks += [figure] if figure else []
    blocks.append(Prose(tuple(text for text in sentences if text)))
    blocks += (
        [Source("The next mixes, to paste into the study", pasted)] if (pasted := to_paste(inputs, fitted)) else []
    )
    blocks += [_models(fitted), _mixes(fitted)]
    blocks += [_rates(fitted)] if fitted.rows("rate") else []
    blocks += [_budgets(fitted)] if fitted.rows("frontier") else []
    return Section("give", "What to give", tuple(blocks))


def support(fitted: SurfaceTable) -> str:
    """Say how well the surface predicts mixes that it has not seen, or that these runs do not support one."""
    model = fitted.model
    p_value = "" if model.number("p_value") is None else f", p = {p_text(model.number('p_value'))}"
    count = f"{int(model.needed('mixes'))} mixes"
    mixes = f"{count}{p_value}"
    if not fitted.supported:
        why = f"no model is shown to predict a left-out mix better than the mean of the others does ({mixes})"
        if model["name"] == "mean":  # the p-value is that of the best other model, and does not contradict this
            why = f"the mean of the others predicts a left-out mix as well as any model does ({count})"
        return (
            f"These runs do not support a surface: {why}. What follows is the most likely reading of these runs, not "
            "a result."
        )
    mean = next(row for row in fitted.rows("model") if row["name"] == "mean")
    return (
        f"A {model['name']} surface predicts left-out mixes with an error of {decimal(model.needed('value'), 1)} "
        f"{fitted.unit}; the mean of the others has an error of {decimal(mean.needed('value'), 1)} ({mixes})."
    )


def dose(fitted: SurfaceTable) -> str:
    """Name the mix with the highest expected score, what it gains over base, and what it may lose against the best."""
    best = fitted.only_row("optimum")
    unit = fitted.unit
    size = best.number("size")
    items = "" if size is None else f" at {size:,.0f} items"
    value = f"{decimal(best.needed('value'), 1)}{_percent(best)}{_interval(best, fitted.level)}"
    base = fitted.rows("base")
    over = ""
    if base:
        gain = best.needed("value") - base[0].needed("value")
        apart = decimal(abs(gain), 1)
        over = f", {apart} {unit} {'above' if gain >= 0 else 'below'} the base model's"
        over = ", the same as the base model's to the precision shown" if apart == "0.0" else over
    verb = "Give" if fitted.supported else "The highest expected score is that of"
    most = f"at most {decimal(best.needed('most_regret'), 1)}"
    return (
        f"{verb} {fitted.mix(best)}{items}: the expected {fitted.what} is {value}{over}. It is expected to fall "
        f"{decimal(best.needed('regret'), 1)} {unit} short of the best possible mix, {most} (with {fitted.level} % "
        f"certainty)."
    )


def dose_in_short(fitted: SurfaceTable) -> str:
    """Name the best dose, what it is expected to score, and the region of mixes that may be as good, in a sentence."""
    best, base = fitted.only_row("optimum"), fitted.rows("base")
    size = best.number("size")
    items = "" if size is None else f" at {size:,.0f} items"
    value = f"{decimal(best.needed('value'), 1)}{_percent(best)}{_interval(best, fitted.level)}"
    over = ""
    if base:
        gain = best.needed("value") - base[0].needed("value")
        over = f", {decimal(abs(gain), 1)} {fitted.unit} {'above' if gain >= 0 else 'below'} the base model"
    share = fitted.only_row("region").needed("value")
    where = "; hardly any other mix may be as good"
    if share > 0.995:
        where = "; but no mix can be distinguished from it"
    elif share >= 0.005:
        where = f"; mixes with {', '.join(_ranges(fitted))} may be as good"
    return f"Give {fitted.mix(best)}{items}: the expected {fitted.what} is {value}{over}{where}."


def _ranges(fitted: SurfaceTable) -> list[str]:
    """Return the share that each component may have in a mix as good as the best."""
    return [
        f"{fitted.title(row['name'])} {decimal(100 * row.needed('low'), 0)} to {decimal(100 * row.needed('high'), 0)} %"
        for row in fitted.rows("share")
    ]


def region(fitted: SurfaceTable) -> str:
    """Say which mixes cannot be distinguished from the best."""
    ranges = {fitted.title(row["name"]): (row.needed("low"), row.needed("high")) for row in fitted.rows("share")}
    return region_sentence(fitted.only_row("region").needed("value"), ranges)


def floors(fitted: SurfaceTable) -> str:
    """Say which mix is the best of those that keep base's score on other suites."""
    rows = fitted.rows("constrained")
    if not rows:
        return ""
    suites = " and ".join(rows[0]["name"].split(","))
    if rows[0].number("value") is None:
        return f"No mix is certain to score at least as well as base on {suites}."
    chance = decimal(100 * rows[0].needed("chance"), 0)
    value = f"{decimal(rows[0].needed('value'), 1)}{_percent(rows[0])}{_interval(rows[0], fitted.level)}"
    return (
        f"Among the mixes that score at least as well as base on {suites} (with {chance} % certainty), the best is "
        f"{fitted.mix(rows[0])}: {value}."
    )


def rates(fitted: SurfaceTable) -> str:
    """Say how many items of each other component do the work of one item of the first."""
    first = fitted.components[0]
    exchange_rates = [
        row for row in fitted.rows("rate") if row["of"] == first and row["name"] != "doses that score the same"
    ]
    if not exchange_rates:
        return ""
    return f"At equal shares, {'; '.join(_rate(fitted, row) for row in exchange_rates)}."


def _rate(fitted: SurfaceTable, row: Row) -> str:
    value, low, high = (row.number(key) for key in ("value", "low", "high"))
    of, into, where = fitted.title(row["of"]), fitted.title(row["into"]), row["name"]
    if where.startswith("instead of ") and (third := where.removeprefix("instead of ")) in fitted.components:
        where = f"instead of {fitted.title(third)}"
    bounds = f"{fitted.level} % interval {decimal(low, 1)} to {decimal(high, 1)}"
    if low is None or high is None:
        open_set = next((part for part in row["note"].split("; ") if part.startswith(("unbounded", "no dose"))), "")
        bounds = f"the interval is {open_set or 'not bounded'}"
    return rate_clause(of, into, value, decimal(value, 1), bounds, where)


def price(fitted: SurfaceTable) -> str:
    """Say what a point costs: the cheapest mix that is expected to gain one, beside the best that was trained."""
    rows = fitted.rows("cheapest")
    if not rows:
        return ""
    present = fitted.only_row("present")
    paid = f"{present['name']}, the best mix that was trained, costs {_money(present)}"
    if rows[0].number("cost") is None:
        cheaper = _as_good(fitted, present)
        return f"{paid}; no mix is expected to score 1 {fitted.unit.removesuffix('s')} more{cheaper}."
    low, high = rows[0].needed("low"), rows[0].needed("high")
    return (
        f"{paid}; the cheapest mix that is expected to score 1 {fitted.unit.removesuffix('s')} more costs "
        f"{_money(rows[0])}: {fitted.mix(rows[0])}, gaining "
        f"{decimal(rows[0].needed('value'), 1)} ({fitted.level} % interval {decimal(low, 1, True)} to "
        f"{decimal(high, 1, True)})."
    )


def _money(row: Row) -> str:
    return f"{decimal(row.needed('cost'), 0)} {row['currency']}".rstrip()


def _as_good(fitted: SurfaceTable, present: Row) -> str:
    """Name the cheapest mix of the frontier that is expected to do as well for less."""
    less = [
        row
        for row in fitted.rows("frontier")
        if row.needed("cost") < present.needed("cost") and row.needed("value") >= present.needed("value")
    ]
    if not less:
        return ""
    return f", and one as good costs {_money(less[0])} ({fitted.mix(less[0])})"


def change_of_mind(fitted: SurfaceTable) -> str:
    """Say which trainings would change the decision, or that none is expected to."""
    advice = fitted.rows("advice")
    if not advice:
        return ""
    if advice[0]["name"] == "stop":
        return (
            f"What would change our mind: no further training is expected to; together the best ones would raise the "
            f"chosen mix by {decimal(advice[0].needed('value'), 2)} {fitted.unit}."
        )
    ways = []
    for row in fitted.rows("next"):
        seeds = int(row.needed("seeds"))
        why = f"{decimal(100 * row.needed('chance'), 0)} %"
        if "interior" in row["note"].split("; "):
            why = f"{why}; it shows whether the surface fits"
        ways.append(f"{fitted.mix(row)} ({seeds} seed{'s' if seeds > 1 else ''}, {why})")
    if not ways:
        return ""
    return f"What would change our mind, with the chance that another mix comes out best: training {'; '.join(ways)}."


def to_paste(inputs: Inputs, fitted: SurfaceTable) -> str:
    """Return the next mixes as a study has them, under names that it does not have; nothing where there are none."""
    rows = fitted.rows("next")
    free = (f"next-{number}" for number in range(1, 1000) if f"next-{number}" not in inputs.spec.mixes)
    lines = []
    for row, name in zip(rows, free, strict=False):
        weights = lowest_terms({name: round(share, 4) for name, share in mix_of(row).items() if share >= 0.00005})
        shares = ", ".join(f"{name}: {weight:g}" for name, weight in weights.items())
        size = row.number("size")
        lines.append(f"  {name}: {{shares: {{{shares}}}, size: {'smallest' if size is None else f'{size:.0f}'}}}")
    return "\n".join(["mixes:", *lines]) + "\n" if lines else ""


def _percent(row: Row) -> str:
    return " %" if row["unit"] == "%" else ""


def _interval(row: Row, level: str) -> str:
    low, high = row.number("low"), row.number("high")
    return "" if low is None or high is None else f" ({level} % interval {decimal(low, 1)} to {decimal(high, 1)})"


def _models(fitted: SurfaceTable) -> Table:
    rows = fitted.rows("model")
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
        Column("inside the interval, %", number=True), Column("gain over the mean", number=True),
        Column("at least", number=True), Column("log density", number=True), Column("chosen"),
    )  # fmt: skip
    noted = dict.fromkeys(part for row in (*rows, *fitted.rows("check")) for part in row["note"].split("; ") if part)
    notes = sentence("; ".join(noted)) + "." if noted else ""
    return table(
        "surface-models",
        "How well each model predicts a mix that it has not seen",
        f"{sentence(fitted.what)}, in {fitted.unit}, each mix left out in turn; "
        f"n = {int(rows[0].needed('mixes'))} mixes, "
        f"{int(rows[0].needed('n')):,} questions. {notes}",
        columns,
        lines,
        layout.table("surface"),
    )


def _mixes(fitted: SurfaceTable) -> Table:
    """Return the best mix, a few that cannot be distinguished from it, and trained ones beside their prediction."""
    components = fitted.components
    columns = [Column("mix", heading=True), *(Column(f"{fitted.title(name)}, %", number=True) for name in components)]
    columns += [Column("score", number=True), Column("predicted from the others", number=True)]
    left_out = {row["name"]: row for row in fitted.rows("left out")}
    lines = []
    named = [
        ("best", fitted.only_row("optimum")),
        *((f"as good, {row['name']}", row) for row in fitted.rows("as good")),
    ]
    for name, row in [*named, *((row["name"], row) for row in fitted.rows("run"))]:
        shares = [number_cell(100 * share, 0) for share in mix_of(row).values()]
        own = left_out.get(row["name"]) if row["row"] == "run" else None
        lines.append([Cell(name), *shares, estimate(row, 1), estimate(own, 1)])
    caption = (
        f"{sentence(fitted.axis)} with {fitted.level} % intervals; trained mixes have their measured score, and beside "
        "it the prediction of the surface fitted to all others."
    )
    title = "The best mix, mixes as good, and those that were trained"
    return table("surface-mixes", title, caption, columns, lines, layout.table("surface"))


def _rates(fitted: SurfaceTable) -> Table:
    lines = [
        (Cell(fitted.title(row["into"])), Cell(fitted.title(row["of"])), Cell(row["name"]), estimate(row, 2))
        for row in fitted.rows("rate")
    ]
    columns = (Column("items of", heading=True), Column("for one item of"), Column("how"), Column("rate", number=True))
    caption = (
        f"How many items of one component do the work of one item of another, at equal shares, with {fitted.level} % "
        "intervals (Fieller). An unbounded interval means that these runs rule out no number, or only some."
    )
    return table("surface-rates", "Exchange rates", caption, columns, lines, layout.table("surface"))


def _budgets(fitted: SurfaceTable) -> Table:
    lines: list[Sequence[Cell]] = [
        (number_cell(row.number("cost"), 0), Cell(fitted.mix(row)), number_cell(row.number("size"), 0),
         estimate(row, 1))
        for row in fitted.rows("frontier")
    ]  # fmt: skip
    columns = (Column("cost", number=True), Column("mix"), Column("items", number=True), Column("score", number=True))
    caption = "The mixes that no cheaper one is expected to reach, by the prices of the study."
    return table("surface-budgets", "Budget and expected score", caption, columns, lines, layout.table("surface"))
