"""Several judges as one: a panel, whose verdict is that of the majority.

Judges of several families have errors of their own, and their majority is nearer to people than most of them alone
(Verga et al. 2024, "Replacing judges with juries", arXiv 2404.18796).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PANEL = "panel"
"""Name of the panel among the judges."""


@dataclass(frozen=True)
class Majority:
    """What a panel says of each answer.

    Attributes:
        label: [answer], 1 where more than half of the verdicts are "equivalent", else 0.
        share: [answer], share of "equivalent" among the verdicts; 0 without any.
        silent: [answer], whether no judge of the panel gave a verdict.
    """

    label: NDArray[np.float64]
    share: NDArray[np.float64]
    silent: NDArray[np.bool_]


def majority(labels: NDArray[np.float64], silent: NDArray[np.bool_]) -> Majority:
    """Return the verdicts of a panel; a judge without a verdict has no vote.

    Args:
        labels, silent: [judge, answer].
    """
    votes = (~silent).sum(axis=0)
    share = np.divide((labels * ~silent).sum(axis=0), votes, out=np.zeros(labels.shape[1]), where=votes > 0)
    return Majority((share > 0.5).astype(float), share, votes == 0)
