"""Which numbers are compared: the primary metric and those of families, or every metric of which more is better."""

from posologie.statistics.scored import Measure
from posologie.statistics.spec import Measured, Statistics

_MORE_IS_BETTER = {
    "em", "hamming", "hamming_options", "bleu", "chrf", "rouge1", "rouge2", "rougeL", "meteor", "bertscore",
}  # fmt: skip


def measures_named(settings: Statistics) -> set[Measure]:
    """Return the measures that are tested on some suite: the primary ones and those of families."""
    families = (family.measured for family in settings.families.values())
    return {Measure(one.metric, one.decoding) for one in (settings.primary_choice, settings.primary_text, *families)}


def tested(primary: Measured, suite: str, settings: Statistics, there: set[Measure]) -> list[tuple[Measure, list[str]]]:
    """Return what is tested on a suite: measures that there are, each with its sets of variants."""
    wanted = [primary, *(family.measured for family in settings.families.values() if suite in family.suites)]
    found: dict[Measure, list[str]] = {}
    for one in wanted:
        measure = Measure(one.metric, one.decoding)
        if measure in there and one.variants not in found.setdefault(measure, []):
            found[measure].append(one.variants)
    return list(found.items())


def more_is_better(measure: Measure) -> bool:
    """Say whether a larger value of a measure is a better one."""
    return measure.metric in _MORE_IS_BETTER or measure.metric.startswith("judge:")


_LESS_IS_BETTER = {"brier", "invalid", "ambiguous", "calibration_error", "cut_at_length"}


def direction(measure: Measure) -> int:
    """Return 1 where a larger value is better, −1 where a smaller one is, 0 where neither is."""
    less = measure.metric in _LESS_IS_BETTER or measure.metric.startswith("judge_unparsable:")
    return 1 if more_is_better(measure) else -1 if less else 0
