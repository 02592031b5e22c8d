"""What mixes can tell of their components: by all coalitions, or by a linear surface through mixes of one size."""

from collections import Counter
from collections.abc import Mapping, Sequence

MOST_EXACT = 6
"""Components up to which all their coalitions are looked for: 6 have 63."""
_EQUAL = 1.01
_ROUNDING = 1e-9

Blend = Mapping[str, float]


def components_of(blends: Mapping[str, Blend], declared: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the components that some blend holds: in the order declared, or else in that in which they are named."""
    used = dict.fromkeys(name for blend in blends.values() for name, share in blend.items() if share > 0)
    return tuple([name for name in declared if name in used] + [name for name in used if name not in declared])


def equal_blend(blend: Blend) -> frozenset[str] | None:
    """Return the components of a blend in equal shares; None if they are not."""
    shares = [share for share in blend.values() if share > 0]
    if not shares or max(shares) > _EQUAL * min(shares):
        return None
    return frozenset(name for name, share in blend.items() if share > 0)


def has_all_coalitions(blends: Mapping[str, Blend]) -> bool:
    """Say whether every coalition of two to six components is a mix in equal shares."""
    everyone = components_of(blends)
    found = {coalition for blend in blends.values() if (coalition := equal_blend(blend)) is not None}
    return 1 < len(everyone) <= MOST_EXACT and len(found) == 2 ** len(everyone) - 1


def linear_design(blends: Mapping[str, Blend], sizes: Mapping[str, str]) -> list[str]:
    """Return the mixes of one size through which a linear surface in the shares can be fitted, and seen not to fit.

    There have to be more different blends than components, and they have to tell all components apart. Of several sizes
    it is the one with most mixes, the larger between equals. Mixes of several sizes are not joined, because their
    differences hold what more data does.

    Returns:
        Their names in the order given; none where no size has such mixes.
    """
    everyone = components_of(blends)
    counted = Counter(sizes.get(mix, "") for mix in blends)
    for size in sorted(counted, key=lambda size: (-counted[size], -int(size) if size.isdigit() else 0)):
        mixes = [mix for mix in blends if sizes.get(mix, "") == size]
        rows = [_shares(blends[mix], everyone) for mix in mixes]
        different = {tuple(round(share, 6) for share in row) for row in rows}
        if len(everyone) > 1 and len(different) > len(everyone) and _rank(rows) == len(everyone):
            return mixes
    return []


def _shares(blend: Blend, everyone: Sequence[str]) -> list[float]:
    whole = sum(blend.values())
    return [blend.get(name, 0.0) / whole for name in everyone]


def _rank(rows: Sequence[Sequence[float]]) -> int:
    """Return the rank of a small matrix, without numpy: this runs whenever the workflow is read."""
    left = [list(row) for row in rows]
    rank = 0
    for column in range(len(rows[0])):
        pivot = max(range(rank, len(left)), key=lambda row: abs(left[row][column]), default=None)
        if pivot is None or abs(left[pivot][column]) < _ROUNDING:
            continue
        left[rank], left[pivot] = left[pivot], left[rank]
        for row in range(rank + 1, len(left)):
            factor = left[row][column] / left[rank][column]
            left[row] = [one - factor * other for one, other in zip(left[row], left[rank], strict=True)]
        rank += 1
    return rank
