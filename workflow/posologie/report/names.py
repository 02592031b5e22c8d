"""What models, metrics, decodings and aggregates are called: one name, place and colour each, everywhere."""

from collections.abc import Iterable, Sequence

from posologie.records.components import Colour, Shown, in_order
from posologie.scoring.metrics import BOTH, METRICS
from posologie.statistics.spec import EvaluatedModel

INK, MUTED, GRID, PAPER = "#1c1f23", "#565d66", "#e3e5e8", "#fefefe"
COLOURS: dict[Colour, str] = {
    "blue": "#0072b2",
    "vermillion": "#d55e00",
    "green": "#009e73",
    "purple": "#cc79a7",
    "sky": "#56b4e9",
    "orange": "#e69f00",
    "brown": "#554400",
    "indigo": "#3300cc",
    "wine": "#993366",
    "violet": "#9966ff",
    "sand": "#bbbb99",
    "black": INK,
}
"""The palette of components. The first six are of Okabe and Ito (2008); the others were chosen so that, with normal
sight and with each common form of colour blindness (Machado, Oliveira and Fernandes 2009), no two of the twelve are
closer than the closest two of those six."""

HATCHES = ("", "////", "....", "xxxx")
"""Textures of bars: every sixth component gets the next one, so that no bar is identified by its colour alone."""

MIX_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", INK)
DASHES = ("solid", "dashed", "dotted", "dashdot")


def label(model: EvaluatedModel, models: Sequence[EvaluatedModel]) -> str:
    """Return the short name of a model: its mix, with backbone or seed only where the study has several of them."""
    if model.kind == "published":
        return model.name.removeprefix("published/")
    parts = [model.mix or "base"]
    if model.seed is not None and len({other.seed for other in models if other.seed is not None}) > 1:
        parts.append(f"seed {model.seed}")
    if len({other.backbone for other in models if other.backbone is not None}) > 1:
        parts.append(f"({model.backbone})")
    return " ".join(parts)


def ordered(models: Sequence[EvaluatedModel], mixes: Sequence[str]) -> list[EvaluatedModel]:
    """Return the models backbone by backbone: base, then the mixes in the study's order, then published models."""
    place = {name: number for number, name in enumerate(mixes)}
    backbones = list(dict.fromkeys(model.backbone for model in models if model.kind != "published"))

    def key(model: EvaluatedModel) -> tuple[int, int, int]:
        if model.kind == "published":
            return (len(backbones), 0, 0)
        backbone = backbones.index(model.backbone)
        return (backbone, -1 if model.mix is None else place.get(model.mix, len(place)), model.seed or 0)

    return sorted(models, key=key)


def hatch(position: int) -> str:
    """Return the texture of the component at a position."""
    return HATCHES[position // 6 % len(HATCHES)]


def line_style(position: int) -> tuple[str, str]:
    """Return colour and dash of the mix at a position: no two among the first 28 share both."""
    return MIX_COLOURS[position % len(MIX_COLOURS)], DASHES[position // len(MIX_COLOURS) % len(DASHES)]


DECODINGS = {
    "greedy": "greedy decoding",
    "constrained": "constrained decoding",
    "probabilities": "label probabilities",
    "judged": "judged",
}
AGGREGATES = {
    "item_weighted": "every item counts the same",
    "mean_of_benchmarks": "every benchmark counts the same",
    "mean_of_tasks": "single- and multiple-answer questions count the same",
}


def metric_name(metric: str) -> str:
    """Return what a metric is called; one of a judge has the judge's name behind a colon."""
    kind, _, judge = metric.partition(":")
    name = METRICS[kind].title if kind in METRICS else kind.replace("_", " ")
    return f"{name} {judge}" if judge else name


def rater_name(rater: str) -> str:
    """Return what a rater of answers is called: a judge by its name, a metric by its title, a person as given."""
    kind, _, judge = rater.partition(":")
    if kind == "judge":
        return judge
    if kind == "judge_probability":
        return f"{judge}, probability"
    return METRICS[rater].title if rater in METRICS else rater


def measure_name(metric: str, decoding: str) -> str:
    """Return what a metric under one decoding is called, without a decoding that goes without saying."""
    entry = METRICS.get(metric.partition(":")[0])
    if decoding in ("judged", "probabilities") or (decoding == "greedy" and (entry is None or entry.decodings != BOTH)):
        return metric_name(metric)
    return f"{metric_name(metric)}, {DECODINGS.get(decoding, decoding)}"


def component_title(name: str, components: Iterable[Shown]) -> str:
    """Return what the page calls a component, or several joined by `+`."""
    titles = {component.name: component.title for component in components}
    return " + ".join(titles.get(term, term) for term in name.split("+")) if "+" in name else titles.get(name, name)


def scope_title(kind: str, scope: str, components: Iterable[Shown]) -> str:
    """Return the title of a scope: all items, the items of a component, or a benchmark."""
    if kind == "provenance":
        return f"{component_title(scope, components)} items"
    return "all items" if kind == "all" else scope


def scopes(pairs: Iterable[tuple[str, str]], components: Iterable[Shown]) -> list[tuple[str, str]]:
    """Return kind and scope of all items, then of each component where there are several, in the study's order."""
    names = in_order(
        {scope for kind, scope in pairs if kind == "provenance"},
        (component.name for component in components),
    )
    return [("all", "all"), *(("provenance", name) for name in names if len(names) > 1)]


def sentence(text: str) -> str:
    """Return a text that begins a sentence: its first letter as a capital, the others as they are."""
    return text[:1].upper() + text[1:]


def unit_name(unit: str) -> str:
    """Return what a difference in a unit is counted in."""
    return "points" if unit == "%" else unit


def listed(names: Iterable[str], most: int = 6) -> str:
    """Return names with commas, the last ones counted where there are many."""
    every = list(names)
    return (
        ", ".join(every) if len(every) <= most else f"{', '.join(every[: most - 1])} and {len(every) - most + 1} more"
    )


def joined(names: Iterable[str]) -> str:
    """Return names in words: `A`, `A and B`, `A, B and C`."""
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: `1 job`, `1,200 jobs`, `7 mixes`."""
    plural = "" if number == 1 else "es" if noun.endswith("x") else "s"
    return f"{number:,} {noun}{plural}"
