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


def least_repeated(
    blends: Mapping[str, Blend], sizes: Mapping[str, str], epochs: Mapping[str, Mapping[str, int]]
) -> dict[str, Blend]:
    """Return the mixes that shares and size tell apart: of several with the same, those that repeat items least.

    What depends on shares alone would take the others for the same mix with another seed.

    Args:
        epochs: of the mixes that repeat items, how often those of each part stand there.
    """
    keys = {
        mix: (tuple(sorted((name, round(share, 9)) for name, share in blend.items() if share)), sizes.get(mix, ""))
        for mix, blend in blends.items()
    }
    fewest: dict[object, int] = {}
    for mix, key in keys.items():
        fewest[key] = min(fewest.get(key, _repetition(epochs, mix)), _repetition(epochs, mix))
    return {mix: blend for mix, blend in blends.items() if _repetition(epochs, mix) == fewest[keys[mix]]}


def _repetition(epochs: Mapping[str, Mapping[str, int]], mix: str) -> int:
    return sum(count - 1 for count in epochs.get(mix, {}).values())


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
