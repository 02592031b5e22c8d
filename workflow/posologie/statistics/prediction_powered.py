"""Shares as people would judge them, from a judge's verdicts on all answers and people's ratings of some.

Prediction-powered inference (Angelopoulos et al. 2023, Science 382; with power tuning, "PPI++": Angelopoulos, Duchi and
Zrnic 2023, arXiv 2311.01453) in its form for one sample in which the rated answers are drawn with known chances (Zrnic
and Candès 2024, arXiv 2403.03208): the judge's mean over all answers, plus the weighted mean of what people say beyond
the judge on the rated ones,

    θ(λ) = Σᵢ λ fᵢ / N + Σᵢ wᵢ (yᵢ − λ fᵢ) / Σᵢ wᵢ.

It is unbiased whatever the judge is worth; a better judge makes the interval shorter. λ is what makes it shortest; 0 is
people alone, and PPI++'s own λ, which stands before the judge's mean over the answers that are not rated, is
λ (N − n) / N and at most 1. In sampling theory this is the difference estimator with a ratio of weights
(Särndal, Swensson and Wretman 1992, sections 6.3 and 7.4), and its variance that of the linearised sums of clusters.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

Values = NDArray[np.float64]
FEWEST = 10
"""Rated clusters below which there is no interval."""
_PSEUDO = 1.5
"""Squared errors that are added to those seen, because a judge may have errors that none of a few ratings shows."""


@dataclass(frozen=True)
class Answers:
    """One model's answers to a suite.

    Attributes:
        cluster: [answer], from 0.
        judge: [answer], what the judge says, 0 to 1.
        human: [answer], what people say, 0 to 1; NaN where nobody rated.
        weight: [answer], how many answers a rated one stands for; only the proportions count.
    """

    cluster: NDArray[np.int64]
    judge: Values
    human: Values
    weight: Values

    @property
    def rated(self) -> NDArray[np.bool_]:
        """[answer], whether people rated it."""
        rated: NDArray[np.bool_] = ~np.isnan(self.human)
        return rated


@dataclass(frozen=True)
class Corrected:
    """A corrected share, or a difference of two.

    Attributes:
        value: the estimate.
        errors: [cluster], what each cluster adds to the error of the estimate.
        hidden: the variance that the ratings are too few to show.
        rated: number of rated clusters.
        tuning: λ; NaN for a difference.
        design: the part of the variance that the rating of every answer would take away.
    """

    value: float
    errors: Values
    hidden: float
    rated: int
    tuning: float
    design: float

    @property
    def variance(self) -> float:
        """Return the variance of the estimate, with the correction for few clusters."""
        return float(self.errors @ self.errors) * self.rated / (self.rated - 1) + self.hidden

    def quantile(self, level: float) -> float:
        """Return Student's quantile of an interval; the rated clusters give its degrees of freedom."""
        return float(stdtrit(self.rated - 1, (1 + level) / 2))

    def interval(self, level: float) -> tuple[float, float]:
        """Return the interval of a difference: symmetric, Student's."""
        half = self.quantile(level) * float(np.sqrt(self.variance))
        return self.value - half, self.value + half

    def share_interval(self, level: float) -> tuple[float, float]:
        """Return the interval of a share: Wilson's (1927), with as many answers as would have this variance.

        Near 0 and 1 a symmetric interval misses too often on one side.
        """
        few = 1 / (self.rated + 2)
        inside = float(np.clip(self.value, few, 1 - few))
        number = inside * (1 - inside) / self.variance
        share, z = min(max(self.value, 0.0), 1.0), self.quantile(level)
        centre = (share + z * z / (2 * number)) / (1 + z * z / number)
        half = z * np.sqrt(share * (1 - share) / number + z * z / (4 * number**2)) / (1 + z * z / number)
        return max(0.0, float(centre - half)), min(1.0, float(centre + half))

    def p_value(self) -> float:
        """Return the two-sided p-value of a difference of 0."""
        return float(2 * stdtr(self.rated - 1, -abs(self.value) / np.sqrt(self.variance)))

    def minus(self, other: "Corrected") -> "Corrected":
        """Return the difference of two shares on the same clusters."""
        return Corrected(
            self.value - other.value,
            self.errors - other.errors,
            self.hidden + other.hidden,
            min(self.rated, other.rated),
            float("nan"),
            self.design + other.design,
        )


def corrected(answers: Answers, clusters: int, tuning: float | None = None) -> Corrected:
    """Return the share of answers that people would find right.

    Args:
        clusters: number of clusters, over which several models' estimates are paired.
        tuning: λ; what makes the variance smallest if left out.

    Raises:
        ValueError: with fewer than two rated clusters.
    """
    rated = answers.rated
    count = len(np.unique(answers.cluster[rated]))
    if count < 2:
        raise ValueError(f"{count} rated clusters; at least 2 are needed")
    weight = np.where(rated, answers.weight, 0.0)
    weight = weight / weight.sum()
    human = np.where(rated, answers.human, 0.0)
    mean_human, mean_judge = float(weight @ human), float(weight @ answers.judge)
    everywhere = float(answers.judge.mean())
    of_people = weight * (human - mean_human)
    of_judge = (answers.judge - everywhere) / len(rated) - weight * (answers.judge - mean_judge)
    alone, moved = (np.bincount(answers.cluster, values, clusters) for values in (of_people, of_judge))
    if tuning is None:
        spread = float(moved @ moved)
        most = len(rated) / max(len(rated) - int(rated.sum()), 1)
        tuning = float(np.clip(-(alone @ moved) / spread, 0, most)) if spread > 0 else 0.0
    beyond = of_people - tuning * weight * (answers.judge - mean_judge)
    return Corrected(
        mean_human + tuning * (everywhere - mean_judge),
        alone + tuning * moved,
        _PSEUDO * float(weight @ weight) ** 2,  # of so many ratings of equal weight as these are worth
        count,
        tuning,
        float(beyond @ beyond) * (1 - int(rated.sum()) / len(rated)),
    )


def mean_of(estimates: Sequence[Corrected]) -> Corrected:
    """Return the mean of several models' shares on the same clusters, taking the models as they are."""
    count = len(estimates)
    return Corrected(
        sum(estimate.value for estimate in estimates) / count,
        np.sum([estimate.errors for estimate in estimates], axis=0) / count,
        sum(estimate.hidden for estimate in estimates) / count**2,
        min(estimate.rated for estimate in estimates),
        sum(estimate.tuning for estimate in estimates) / count,
        sum(estimate.design for estimate in estimates) / count**2,
    )


def further_ratings(estimate: Corrected, rated: int, answers: int) -> int:
    """Return how many more ratings bring the interval to within a tenth of its width if every answer were rated.

    The ratings' part of the variance falls as 1 / n − 1 / N; what is left when all answers are rated is that the
    questions themselves are a sample.
    """
    if estimate.design <= 0 or rated >= answers:
        return 0
    remaining = max(estimate.variance - estimate.design, 0.0)
    falls = (1 / rated - 1 / answers) / estimate.design
    needed = 1 / (1 / answers + (1.1**2 - 1) * remaining * falls)
    return max(0, int(np.ceil(min(needed, answers))) - rated)


def rogan_gladen(answers: Answers, clusters: int, level: float) -> tuple[float, float, float] | None:
    """Return the share by Rogan and Gladen (1978) with its interval; None if the judge distinguishes nothing.

    The judge's share over all answers, put right by its sensitivity and specificity on the rated ones. It rests on a
    judge whose errors are the same on all answers, which the rated ones are drawn to show, so that it checks the
    corrected share; the interval is by the delta method on sums over clusters (Lang and Reiczigel 2014).

    Args:
        answers: with verdicts of 0 and 1, and ratings between them.
    """
    rated = answers.rated
    weight = np.where(rated, answers.weight, 0.0)
    weight = weight / weight.sum()
    human = np.where(rated, answers.human, 0.0)
    right, wrong = float(weight @ human), float(weight @ (rated - human))
    if right <= 0 or wrong <= 0:
        return None
    sensitivity = float(weight @ (human * answers.judge)) / right
    false_alarm = float(weight @ ((rated - human) * answers.judge)) / wrong
    power = sensitivity - false_alarm
    if power <= 0.05:
        return None
    share = float(answers.judge.mean())
    value = (share - false_alarm) / power
    influences = (
        (answers.judge - share) / len(rated)
        - value * weight * human * (answers.judge - sensitivity) / right
        - (1 - value) * weight * (rated - human) * (answers.judge - false_alarm) / wrong
    ) / power
    errors = np.bincount(answers.cluster, influences, clusters)
    count = len(np.unique(answers.cluster[rated]))
    half = float(stdtrit(count - 1, (1 + level) / 2)) * float(np.sqrt(errors @ errors * count / (count - 1)))
    return value, value - half, value + half
