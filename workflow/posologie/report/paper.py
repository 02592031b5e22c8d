"""What a paper says of a study: a methods text, a table of results, a checklist, and the citations that they need.

Everything is written from the tables, the run records and the spec of the report. A method is cited only where a table
or a run shows that it was used.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from posologie.report import composition
from posologie.report.checklist import Point, checklist, shared, sizes_of, versions
from posologie.report.effects import Comparison
from posologie.report.inputs import Inputs
from posologie.report.names import counted, joined, listed, measure_name, unit_name
from posologie.report.tables import decimal, interval, p_text
from posologie.running.installed import __version__
from posologie.scoring.metrics import METRICS

CITED = re.compile(r"\[((?:@[a-z0-9]+)(?:; @[a-z0-9]+)*)\]")
"""A citation in a text: `[@key; @key]`."""
_ADAPTERS = {"dora": ("DoRA", "liu2024dora"), "lora": ("LoRA", "hu2021"), "rslora": ("rsLoRA", "kalajdzievski2023")}


@dataclass(frozen=True)
class Paper:
    """What a paper says of a study.

    Attributes:
        paragraphs: of the methods text, with citations as `[@key; @key]`.
        heads, rows: the table of results.
    """

    study: str
    paragraphs: tuple[str, ...]
    heads: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str
    checklist: tuple[Point, ...]

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of the citations, in the order in which the text has them."""
        cited = (key for text in self.paragraphs for match in CITED.finditer(text) for key in match[1].split("; "))
        return tuple(dict.fromkeys(key.removeprefix("@") for key in cited))


def paper_of(inputs: Inputs, comparisons: Sequence[Comparison]) -> Paper:
    """Return what a paper says of a study.

    Args:
        comparisons: every arm against base (`posologie.report.effects.comparisons`).
    """
    texts = (
        _data(inputs),
        _training(inputs),
        _evaluation(inputs),
        _analysis(inputs),
        _people(inputs),
        _program(inputs),
    )
    heads, rows, caption = _results(inputs, comparisons)
    return Paper(inputs.spec.study, tuple(text for text in texts if text), heads, rows, caption, checklist(inputs))


def _sentences(*texts: str) -> str:
    return " ".join(text for text in texts if text)


def _data(inputs: Inputs) -> str:
    mixes = composition.mixes(inputs)
    if not mixes:
        return ""
    components = joined([component.title for component in composition.components_of(inputs, mixes)])
    sizes = [mix.items for mix in mixes]
    size = f"{min(sizes):,}" if min(sizes) == max(sizes) else f"{min(sizes):,} to {max(sizes):,}"
    names = list(dict.fromkeys(row["mix"] for row in inputs.rows("composition") if row["mix"]))
    compared = (
        f"We compared {counted(len(names), 'mixture') if len(names) > 1 else 'one mixture'} ({listed(names, 12)}) of "
        f"{size} training items from {components}. Items were apportioned to components and their sources by the "
        "method of Webster and Sainte-Laguë [@balinski1982] and drawn by a seeded hash of their identifiers."
    )
    return _sentences(compared, _screened(inputs))


def _screened(inputs: Inputs) -> str:
    rows = inputs.rows("screening", split="train")
    if not rows:
        return ""
    left_out = {row["mode"] for row in rows} == {"remove"}
    ways = [
        "equal texts and near-equal ones, by the Jaccard similarity of their character n-grams "
        "[@broder1997; @shrivastava2014]"
    ]
    methods = {kind for row in rows for kind in ("containment", "embedding", "cross_lingual") if row.number(kind)}
    if "containment" in methods:
        ways.append("quotations of tested questions, by shared word n-grams [@brown2020]")
    if "cross_lingual" in methods:
        ways.append("the same question in another language, by character n-grams")
    if "embedding" in methods:
        ways.append("the same meaning, by a sentence encoder [@reimers2019]")
    whole = {row["source"]: int(row.needed("items")) for row in rows}
    against = sum(int(row.needed("matched")) for row in rows if row["against"] == "suite")
    matched = (
        "None matched a tested item."
        if not against
        else (
            f"{against:,} {'match' if against == 1 else 'matches'} with tested items "
            f"{'was' if against == 1 else 'were'} {'left out' if left_out else 'reported and left in'}."
        )
    )
    return (
        f"Before the draw, {sum(whole.values()):,} training items were compared with each other and with the tested "
        f"items: {joined(ways)}. {matched}"
    )


def _training(inputs: Inputs) -> str:
    recipes = shared(inputs, "training", "recipe")
    if not recipes:
        return ""
    backbones = joined(
        list(dict.fromkeys(str(model.backbone) for model in inputs.models if model.mix and model.backbone))
    )
    seeds = sorted({model.seed for model in inputs.models if model.mix and model.seed is not None})
    repeats = f"with {counted(len(seeds), 'training seed')} ({listed([str(seed) for seed in seeds], 8)})"
    if len(recipes) > 1 or "method" not in recipes[0]:
        return f"Each mixture was trained on {backbones} {repeats}; the recipe of each run is in its run record."
    recipe = recipes[0]
    name, key = _ADAPTERS.get(recipe["method"], ("", ""))
    how = f"{name} adapters [@{key}] of rank {recipe['rank']}" if name else "All weights"
    scale = f" (α = {recipe['alpha']:g}, dropout {recipe['dropout']:g})" if name else ""
    learnt = "all tokens, prompt included" if recipe["loss_on"] == "all" else "the tokens of the answer"
    return (
        f"{how}{scale} were trained on {backbones} {repeats}: {recipe['epochs']} epochs of AdamW [@loshchilov2019] at "
        f"a learning rate of {recipe['learning_rate']:g} ({recipe['schedule']} schedule, warm-up over "
        f"{100 * recipe['warmup_ratio']:g} % of the updates, weight decay {recipe['weight_decay']:g}, gradients "
        f"clipped at {recipe['max_grad_norm']:g}), {recipe['effective_batch']} examples per update, at most "
        f"{recipe['max_length']:,} tokens per example, {recipe['precision']}; the loss was taken on {learnt}."
    )


def _evaluation(inputs: Inputs) -> str:
    if not inputs.spec.suites:
        return ""
    statistics = inputs.spec.statistics
    measures = []
    for name, measured in (("mcqa", statistics.primary_choice), ("oeq", statistics.primary_text)):
        if inputs.measured(inputs.rows(name), measured):
            questions = "choice questions" if name == "mcqa" else "open questions"
            measures.append(f"{measure_name(measured.metric, measured.decoding)} ({questions})")
    used = {row["metric"] for name in ("mcqa", "oeq") for row in inputs.rows(name)}
    others = [
        f"{metric.in_text} [@{metric.cited}]" for name, metric in METRICS.items() if metric.in_text and name in used
    ]
    orders = any(row["variants"] == "permuted" for row in inputs.rows("mcqa"))
    return _sentences(
        f"Models were evaluated on {joined([_suite(inputs, suite) for suite in inputs.spec.suites])}.",
        _answering(inputs)
        + (
            " Answers to choice questions were also taken under constraint to the option labels."
            if inputs.has("mcqa")
            else ""
        ),
        "Choice questions were repeated with permuted options." if orders else "",
        f"The primary measure is {joined(measures)}." if len(measures) == 1 else "",
        f"The primary measures are {joined(measures)}." if len(measures) > 1 else "",
        f"We also report {joined(others)}." if others else "",
    )


def _answering(inputs: Inputs) -> str:
    """Return how answers were decoded: greedily, unless a server has another temperature or answers come from files."""
    outside, warm = [], {}
    for record in inputs.runs:
        spec = record.facts.get("spec", {})
        if record.facts.get("stage") != "prediction":
            continue
        if "form" in spec:
            outside.append(inputs.name(record.model))
        elif spec.get("temperature"):
            warm[inputs.name(record.model)] = spec["temperature"]
    exceptions = joined([f"{name} at a temperature of {heat:g}" for name, heat in warm.items()]) if warm else ""
    return _sentences(
        "Every model was asked the same questions, in its own chat template, and answered greedily"
        + (f", but for {exceptions}." if exceptions else "."),
        f"The answers of {joined(list(dict.fromkeys(outside)))} come from files, which do not say how they were made."
        if outside
        else "",
    )


def _suite(inputs: Inputs, suite: str) -> str:
    sizes = sizes_of(inputs, suite)
    return suite if sizes is None else f"{suite} ({counted(sizes[0], 'item')} in {counted(sizes[1], 'cluster')})"


def _analysis(inputs: Inputs) -> str:
    statistics = inputs.spec.statistics
    rows = [row for name in ("mcqa", "oeq", "contrasts", "position") for row in inputs.rows(name)]
    kinds = {row["interval"] for row in rows}
    level = f"{100 * statistics.level:g} %"
    tests = inputs.rows("contrasts")
    corrections = {row["correction"] for row in tests}
    attributed = {row["method"] for row in inputs.rows("attribution")}
    return _sentences(
        "Means and differences come from a crossed model of mixtures, items within clusters and training seeds "
        f"[@searle1992] with approximate degrees of freedom [@satterthwaite1946]; intervals are at {level}."
        if rows else "",
        "Shares have Wilson's interval with the design effect [@wilson1927; @korn1998]." if "wilson" in kinds else "",
        f"What the model does not cover has bootstrap intervals from {statistics.replicates:,} draws of clusters "
        "[@efron1993]." if kinds & {"percentile", "shifted"} else "",
        "The p-values and simultaneous intervals are corrected by the distribution of the largest statistic of a "
        "family [@hothorn2008]." if "max-T" in corrections else "",
        "Families over several suites have Holm's correction [@holm1979]." if "holm" in corrections else "",
        "Where every cluster is one item, we also report McNemar's exact test [@mcnemar1947]."
        if any(row["p_mcnemar"] for row in tests) else "",
        f"Equivalence within {statistics.margin:g} points is tested by two one-sided tests [@schuirmann1987]."
        if statistics.margin is not None and tests else "",
        f"We state the smallest difference found with power {statistics.power:g} [@card2020]."
        if any(row["detectable"] for row in tests) else "",
        "The mixtures that cannot be distinguished from the best are a set of multiple comparisons with the best "
        "[@hsu1984]; the chosen one's gain is corrected for the choice [@efron1973]." if inputs.rows("best") else "",
        "What a component adds is its Shapley value [@shapley1953; @grabisch1999]."
        if any(method.startswith("shapley") for method in attributed) else "",
        "The score as a function of the shares is a response surface, the best-predicting of polynomials of mixtures "
        "[@scheffe1958] and Gaussian processes [@rasmussen2006], with a confidence region of its optimum "
        "[@peterson2002]."
        if inputs.rows("surface", row="region") else "",
    )  # fmt: skip


def _people(inputs: Inputs) -> str:
    judges = sorted(
        {row["metric"].partition(":")[2] for row in inputs.rows("oeq") if row["metric"].startswith("judge:")}
    )
    statistics = {row["statistic"] for row in inputs.rows("agreement")}
    coefficients = [
        text
        for name, text in (("spearman", "Spearman's ρ [@spearman1904]"), ("kappa", "Cohen's κ [@cohen1960]"))
        if name in statistics
    ]
    if inputs.rows("raters"):
        coefficients.append("Krippendorff's α [@krippendorff2019]")
    named = [judge for judge in judges if judge != "panel"]
    return _sentences(
        f"Open answers were judged by {joined(named)}." if named else "",
        "The panel is the majority of its judges [@verga2024]." if "panel" in judges else "",
        f"Judges and people are compared by {joined(coefficients)}." if coefficients else "",
        "Judged scores are corrected by the human ratings with prediction-powered inference [@angelopoulos2023]."
        if inputs.rows("corrected") else "",
    )  # fmt: skip


def _program(inputs: Inputs) -> str:
    libraries = f" on {known}" if (known := versions(inputs)) else ""
    fixed = inputs.registration
    own = sorted({str(record.facts.get("libraries", {}).get("posologie", __version__)) for record in inputs.runs})
    return _sentences(
        f"The study was run with posologie {joined(own or [__version__])} [@posologie]{libraries}.",
        f"Contrasts, margin and primary measures were registered on {fixed.date}, before the first training (SHA-256 "
        f"{fixed.checksum})." if fixed is not None else "",
    )  # fmt: skip


def _results(
    inputs: Inputs, comparisons: Sequence[Comparison]
) -> tuple[tuple[str, ...], tuple[tuple[str, ...], ...], str]:
    """Return the table of results: for each suite and model the primary measure, and the difference from base."""
    heads = ("suite", "model", "score", "difference from base", "p, corrected", "verdict")
    rows = []
    for comparison in comparisons:
        measured = comparison.measured
        tables = [
            row
            for name in ("mcqa", "oeq")
            for row in inputs.rows(name, suite=comparison.suite, scope_kind="all", task="all")
        ]
        scores = {row["model"]: row for row in inputs.measured(tables, measured)}
        effects = {(effect.backbone, effect.arm): effect for effect in comparison.on("all", "all")}
        for arm in inputs.arms:
            row, effect = scores.get(arm.model), effects.get((arm.backbone, arm.arm))
            if row is None:
                continue
            score = f"{decimal(row.number('value'), 1)} {interval(row.number('low'), row.number('high'), 1)}".strip()
            cells = ("–", "–", "–")
            if effect is not None:
                between = effect.simultaneous or (effect.low, effect.high)
                difference = f"{decimal(effect.value, 1, sign=True)} {interval(*between, 1, sign=True)}".strip()
                cells = (difference, p_text(effect.p_adjusted), effect.verdict)
            rows.append((comparison.suite, arm.name, score, *cells))
    level = f"{100 * inputs.spec.statistics.level:g} %"
    measures = "; ".join(
        [
            f"{comparison.suite}: {measure_name(comparison.measured.metric, comparison.measured.decoding)}, "
            f"{unit_name(comparison.effects[0].unit)}"
            for comparison in comparisons
        ]
    ) if comparisons else ""  # fmt: skip
    warning = " Demonstration: n too small for any verdict." if inputs.spec.demonstration else ""
    return (
        heads,
        tuple(rows),
        f"Scores with {level} intervals, differences with simultaneous ones ({measures}).{warning}",
    )
