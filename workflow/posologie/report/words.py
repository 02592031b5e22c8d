"""What metrics, decodings and aggregates are called on the page."""

from collections.abc import Iterable

from posologie.records.components import Shown, in_order
from posologie.scoring.metrics import BOTH, METRICS

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
    titles = {one.name: one.title for one in components}
    return " + ".join(titles.get(part, part) for part in name.split("+")) if "+" in name else titles.get(name, name)


def scope_title(kind: str, scope: str, components: Iterable[Shown]) -> str:
    """Return the title of a scope: all items, the items of a component, or a benchmark."""
    if kind == "provenance":
        return f"{component_title(scope, components)} items"
    return "all items" if kind == "all" else scope


def scopes(found: Iterable[tuple[str, str]], components: Iterable[Shown]) -> list[tuple[str, str]]:
    """Return kind and scope of all items, then of each component where there are several, in the study's order."""
    names = in_order({scope for kind, scope in found if kind == "provenance"}, (one.name for one in components))
    return [("all", "all"), *(("provenance", name) for name in names if len(names) > 1)]


def sentence(text: str) -> str:
    """Return a text that begins a sentence: its first letter as a capital, the others as they are."""
    return text[:1].upper() + text[1:]


def unit_name(unit: str) -> str:
    """Return what a difference in a unit is counted in."""
    return "points" if unit == "%" else unit


def listed(names: Iterable[str], most: int = 6) -> str:
    """Return names with commas, the last ones counted where there are many."""
    found = list(names)
    return (
        ", ".join(found) if len(found) <= most else f"{', '.join(found[: most - 1])} and {len(found) - most + 1} more"
    )


def joined(names: Iterable[str]) -> str:
    """Return names in words: `A`, `A and B`, `A, B and C`."""
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last


def counted(number: int, noun: str) -> str:
    """Return a number with its noun: `1 job`, `1,200 jobs`, `7 mixes`."""
    plural = "" if number == 1 else "es" if noun.endswith("x") else "s"
    return f"{number:,} {noun}{plural}"
