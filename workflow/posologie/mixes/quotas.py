"""How many items each component, source and stratum gives: Sainte-Laguë, which is house-monotone.

A larger house never takes a seat from anyone, so a larger dose contains the smaller one. The remainder rule, where
shares do not divide a size (33,493 has no half): seats are awarded one at a time to the highest weight divided by
(2 × seats held + 1); between equals the name that comes first in alphabetical order wins.
"""

import heapq
import math
from collections.abc import Mapping
from fractions import Fraction


def sainte_lague(
    weights: Mapping[str, int | float], seats: int, held: Mapping[str, int] | None = None
) -> dict[str, int]:
    """Apportion seats to names by the method of Webster and Sainte-Laguë, in exact arithmetic.

    With integer weights that sum to at least `seats`, no name gets more seats than its weight. Seats awarded under caps
    are house-monotone too, since the caps only take names out of an unchanged order.

    Args:
        weights: weight of each name, above zero (a float counts as the decimal number that it prints as).
        seats: number of seats to award.
        held: the most that each name can get; no limit if left out.

    Returns:
        The seats of each name. They sum to less than `seats` only where all names are at their limit.

    Source: the method of Webster in Balinski and Young, *Fair Representation* (1982), who show that divisor methods
    are house-monotone.
    """
    exact = {name: Fraction(str(weights[name])) for name in sorted(weights)}
    limit = {name: seats if held is None else min(seats, held[name]) for name in exact}
    if not exact or seats <= 0:
        return dict.fromkeys(exact, 0)
    # All awards with (2 × award + 1) / weight below this bound come before any other, and are at most `seats`.
    bound = max(Fraction(0), 2 * (seats - len(exact)) / sum(exact.values(), Fraction(0)))
    given = {name: min(limit[name], max(0, math.ceil((bound * exact[name] - 1) / 2))) for name in exact}
    queue = [((2 * given[name] + 1) / exact[name], name) for name in exact if given[name] < limit[name]]
    heapq.heapify(queue)
    for _ in range(seats - sum(given.values())):
        if not queue:
            break
        _, name = queue[0]
        given[name] += 1
        if given[name] < limit[name]:
            heapq.heapreplace(queue, ((2 * given[name] + 1) / exact[name], name))
        else:
            heapq.heappop(queue)
    return given
