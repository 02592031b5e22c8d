"""What stands below each figure: its title, what it shows, and why some of its points have no interval."""

from collections.abc import Iterable

from posologie.report.attribution import SHAPLEY, terms
from posologie.report.effects import comparisons, short_note
from posologie.report.inputs import Inputs
from posologie.report.scores import drawn_choices, drawn_texts
from posologie.report.surface import surface_table
from posologie.report.tables import Row

CAPTIONS = {
    "answer": (
        "What each mix holds and what it changes",
        "Difference from the base model with its interval, the highest first. Filled points are settled with all "
        "comparisons taken together; hollow ones are not.",
    ),
    "transfer": (
        "Gains on items of two components",
        "Gain on items of one component less the gain on another's, with intervals; filled points are settled.",
    ),
    "screening": (
        "Matches before the mixes were drawn",
        "Items of each source that match another item, in % with intervals.",
    ),
    "leakage": (
        "What the leaked items do to the gains",
        "Gain of each mix over base on all items (filled) and without those that the mix trained on (hollow).",
    ),
    "effects": (
        "What each mix changes",
        "Difference of each mix from the base model with its interval, on all items and on those of each component. "
        "Filled points: better, worse or equivalent with all comparisons taken together; hollow: not settled.",
    ),
    "attribution": ("What each component adds", "Shapley values and interactions with their intervals."),
    "dose_response": ("Dose and response", "Value by dose with intervals, a panel for each sweep."),
    "surface": (
        "Score and dose",
        "Expected score over the mixes, with the mixes that cannot be distinguished from the best; along each "
        "component's share the others keep their proportions. Bands: intervals, point by point.",
    ),
    "mcqa": ("Choice questions", "Exact match of every model with its interval, under both ways of decoding."),
    "oeq": ("Open questions", "What judges and text metrics say of every model's answers, with intervals."),
    "position": ("Permuted options", "Exact match in the original order of options and under permutation."),
    "published": (
        "The published study beside this one",
        "Printed values as crosses; ours as points with their intervals.",
    ),
    "agreement": ("Agreement with people", "Judges, metrics and people against the mean human rating, with intervals."),
    "calibration": (
        "Calibration of the judges",
        "Each rated answer: the judge's probability, or its verdict, against the mean human rating; points are spread "
        "a little so that none hides another.",
    ),
    "generator": ("Judges by generator", "What each judge gives a generator's answers beyond what people give them."),
    "composition": ("Composition of the mixes", "Training items of every mix by component."),
    "compute": ("Hours", "Hours of training and prediction for every model."),
    "training": ("Training curves", "Loss at every update, and validation loss after every epoch."),
}


def caption_of(inputs: Inputs, name: str) -> tuple[str, str]:
    """Return title and caption of a figure, with the reasons why points of it have no interval."""
    title, caption = CAPTIONS[name]
    if name == "answer" and (fitted := surface_table(inputs)) is not None and fitted.supported:
        title, caption = (
            "The best dose and its region",
            "Points: share of each component in the mix with the highest expected score. Bars: the shares that mixes "
            "have which cannot be distinguished from it.",
        )
    reasons = _without_interval(inputs, name)
    return title, f"{caption} Points without an interval: {'; '.join(reasons)}." if reasons else caption


def _without_interval(inputs: Inputs, name: str) -> list[str]:
    """Return the notes of the drawn values that have no interval, each once."""
    if name in ("answer", "effects"):
        drawn = [effect for one in comparisons(inputs)[:1] for effect in one.effects]
        drawn = [effect for effect in drawn if name == "effects" or effect.scope_kind == "all"]
        return _notes((effect.low, short_note(effect.note)) for effect in drawn)
    rows: list[Row] = []
    if name == "mcqa":
        rows = drawn_choices(inputs)
    elif name == "oeq":
        rows = drawn_texts(inputs)
    elif name == "attribution":
        suites = inputs.suites_of("attribution")[:1]
        rows = [row for suite in suites for method in SHAPLEY for row in terms(inputs, suite, method, "all")]
    return _notes((row.number("low"), row["note"]) for row in rows if row.number("value") is not None)


def _notes(found: Iterable[tuple[float | None, str]]) -> list[str]:
    notes = dict.fromkeys(note or "no value differs from the others" for low, note in found if low is None)
    return list(dict.fromkeys(part for note in notes for part in note.split("; ") if part))
