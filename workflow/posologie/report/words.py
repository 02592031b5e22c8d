"""What metrics, decodings and aggregates are called on the page."""

from collections.abc import Iterable

from posologie.items import PROVENANCES
from posologie.scoring.metrics import METRICS

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


PUBLISHED = {
    "aggregated_em": "aggregated EM",
    "aggregated_em_permuted": "aggregated EM, options permuted",
    "mcq_mcqu": "MCQ+MCQU",
    "judge": "judge score",
}


def published_name(aggregate: str) -> str:
    """Return what the publication calls an aggregate."""
    return PUBLISHED.get(aggregate, aggregate.replace("_", " "))


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
    if decoding in ("judged", "probabilities") or (decoding == "greedy" and not metric.startswith(("em", "hamming"))):
        return metric_name(metric)
    return f"{metric_name(metric)}, {DECODINGS.get(decoding, decoding)}"


def scope_title(kind: str, scope: str) -> str:
    """Return the title of a scope: all items, the items of a provenance, or a benchmark."""
    return "all items" if kind == "all" else f"{scope} items" if kind == "provenance" else scope


def scopes(found: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return kind and scope of all items, then of each provenance where there are several."""
    here = set(found)
    provenances = [("provenance", name) for name in PROVENANCES if ("provenance", name) in here]
    return [("all", "all"), *(provenances if len(provenances) > 1 else [])]


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
