"""Which numbers are compared: the primary metric and those of families, or every metric of which more is better."""

from posologie.scoring.metrics import metric
from posologie.statistics.scored import Measure, is_sum
from posologie.statistics.spec import Measured, Statistics


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


def direction(measure: Measure) -> int:
    """Return 1 where a larger value is better, −1 where a smaller one is, 0 where neither is."""
    return 0 if is_sum(measure.metric) else metric(measure.metric).direction


def more_is_better(measure: Measure) -> bool:
    """Say whether a larger value of a measure is a better one."""
    return direction(measure) == 1
