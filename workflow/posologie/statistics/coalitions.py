"""Cooperative games over components, and the same mixes as a mixture design: linear maps of the coalitions' values.

The game: a coalition is a set of components, its value is the score of the model that was trained on their equal
blend, and the empty coalition is base. At a fixed budget a component that joins *replaces* data of the others, and the
values sum to ALL − base, so that the effect of any fine-tuning at all is shared out with them. The mixture design
beside it looks at the trained models alone.
"""

import itertools
import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Coalition = frozenset[str]


def coalitions(players: Sequence[str]) -> list[Coalition]:
    """Return all subsets of the players, the empty one first, by size and then in the order of the players."""
    sizes = range(len(players) + 1)
    return [frozenset(chosen) for size in sizes for chosen in itertools.combinations(players, size)]


def name_of(coalition: Coalition, players: Sequence[str]) -> str:
    """Return the players of a coalition in their order, joined by `+`."""
    return "+".join(player for player in players if player in coalition)


def interaction_index(term: Coalition, players: Sequence[str]) -> NDArray[np.float64]:
    """Return [coalition], the weights with which coalition values make up the Shapley interaction index of a set.

    I(T) = Σ_{S ⊆ N∖T} (n − |S| − |T|)! |S|! / (n − |T| + 1)! · Σ_{L ⊆ T} (−1)^{|T| − |L|} v(S ∪ L)
    (Grabisch and Roubens 1999, equation 5); for a single player it is the Shapley value (Shapley 1953).
    """
    everyone = coalitions(players)
    place = {coalition: index for index, coalition in enumerate(everyone)}
    count, size = len(players), len(term)
    weights = np.zeros(len(everyone))
    for outside in coalitions([player for player in players if player not in term]):
        orders = math.factorial(count - len(outside) - size) * math.factorial(len(outside))
        share = orders / math.factorial(count - size + 1)
        for inside in coalitions(sorted(term)):
            weights[place[outside | inside]] += share * (-1) ** (size - len(inside))
    return weights


def scheffe_matrix(blends: Sequence[Mapping[str, float]], players: Sequence[str]) -> NDArray[np.float64]:
    """Return [term, blend], which turns the values of the blends into the coefficients of Scheffé's polynomial.

    η(x) = Σ_S β_S Π_{i ∈ S} x_i over all non-empty sets S of components: for three components the special cubic, on the
    seven points of the simplex-centroid design (Scheffé 1963). Terms come in the order of `coalitions`.

    Raises:
        numpy.linalg.LinAlgError: if the blends do not determine the coefficients.
    """
    terms = coalitions(players)[1:]
    design = [[math.prod(blend.get(player, 0.0) for player in term) for term in terms] for blend in blends]
    return np.linalg.inv(np.array(design))
