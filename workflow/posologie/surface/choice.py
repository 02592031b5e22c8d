"""Choose among models of the surface by predicting each mix from the others, and say where none predicts."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from posologie.surface.fit import FORMS, MEAN, Fitted, Form, LeftOut, fit
from posologie.surface.noise import LackOfFit, NoiseTest, lack_of_fit, noise_test
from posologie.surface.process import Array
from posologie.surface.runs import Runs

_LEVEL = 0.95
_FEWEST = 5  # mixes: with fewer, no order of signed ranks is rarer than 5 %
UNSUPPORTED = "these runs do not support a surface: no model predicts a left-out mix better than the mean of the others"


@dataclass(frozen=True)
class Candidate:
    """One model, and how it predicts mixes that it was not fitted to.

    Attributes:
        fitted: the surface.
        left_out: its predictions.
        rmse: of left-out mixes.
        coverage: share of left-out mixes within their 95 % interval.
        log_density: sum over left-out mixes.
        log_density_se: standard error of the difference of this sum from the chosen model's.
        gain: how much smaller absolute errors are than those of the mean (Hodges and Lehmann's estimate).
        gain_low: lower end of its one-sided 95 % interval, by signed ranks; None for the mean.
    """

    fitted: Fitted
    left_out: LeftOut
    rmse: float
    coverage: float
    log_density: float
    log_density_se: float
    gain: float
    gain_low: float | None


@dataclass(frozen=True)
class Choice:
    """The model chosen, those it was chosen from, and what has to be said beside it."""

    surface: Fitted
    candidates: tuple[Candidate, ...]
    supported: bool
    lack_of_fit: LackOfFit
    noise: NoiseTest
    notes: tuple[str, ...]

    @property
    def chosen(self) -> Candidate:
        """The candidate of the surface."""
        return next(one for one in self.candidates if one.fitted is self.surface)


def choose(runs: Runs, forms: Sequence[Form] = FORMS, *, draws: int | None = None) -> Choice:
    """Fit all models and choose the one with the highest log density of left-out mixes.

    The log density counts errors and their uncertainty alike (Vehtari, Gelman and Gabry 2017). The runs support a
    surface where the absolute errors of the chosen model are smaller than the mean's, by Wilcoxon's signed ranks over
    mixes at 95 %.

    Raises:
        InputError: as `fit`.
    """
    noise = noise_test(runs)
    fits = [fit(runs, form, draws=draws, relative_noise=noise.relative) for form in dict.fromkeys((MEAN, *forms))]
    left_out = [one.left_out() for one in fits]
    densities = np.array([one.log_density for one in left_out])
    best = int(densities.sum(axis=1).argmax())
    errors = np.array([_errors(runs, one) for one in left_out])
    candidates = []
    for place, (fitted, one) in enumerate(zip(fits, left_out, strict=True)):
        away = densities[place] - densities[best]
        gain, low = (0.0, None) if place == 0 else signed_ranks(np.abs(errors[0]) - np.abs(errors[place]))
        quantile = float(student.ppf((1 + _LEVEL) / 2, fitted.df) * np.sqrt(1 - 2 / fitted.df))
        inside = np.abs(runs.score - one.mean) <= quantile * one.sd
        candidates.append(
            Candidate(
                fitted, one, float(np.sqrt(np.mean(errors[place] ** 2))), float(np.mean(inside)),
                float(densities[place].sum()), float(np.sqrt(len(away)) * np.std(away, ddof=1)), gain, low,
            )
        )  # fmt: skip
    chosen = candidates[best]
    supported = best != 0 and chosen.gain_low is not None and chosen.gain_low > 0
    fit_test = lack_of_fit(runs, chosen.fitted.form)
    if noise.method == "none":
        noise = noise_test(runs, chosen.left_out)
    notes = [] if supported else [UNSUPPORTED + f" (n = {len(errors[0])} mixes)"]
    notes += [*chosen.fitted.notes, fit_test.note, noise.note]
    return Choice(chosen.fitted, tuple(candidates), supported, fit_test, noise, tuple(notes))


def _errors(runs: Runs, left_out: LeftOut) -> Array:
    """Return [mix], the mean error of each mix's runs."""
    return np.array([np.mean((runs.score - left_out.mean)[list(group)]) for group in left_out.groups])


def signed_ranks(differences: Array) -> tuple[float, float | None]:
    """Return Hodges and Lehmann's (1963) estimate of a centre, and the lower end of a one-sided 95 % interval.

    The interval inverts Wilcoxon's signed-rank test, exactly up to 50 differences; None below five.
    """
    count = len(differences)
    rows, columns = np.triu_indices(count)
    averages = np.sort((differences[rows] + differences[columns]) / 2)
    centre = float(np.median(averages))
    if count < _FEWEST:
        return centre, None
    if count <= 50:
        ways = np.zeros(count * (count + 1) // 2 + 1)
        ways[0] = 1.0
        for rank in range(1, count + 1):
            ways[rank:] = ways[rank:] + ways[:-rank]
        below = np.cumsum(ways) / 2.0**count
        skipped = int(np.sum(below <= 1 - _LEVEL)) - 1
    else:
        mean, variance = count * (count + 1) / 4, count * (count + 1) * (2 * count + 1) / 24
        skipped = int(np.floor(mean - 1.6449 * np.sqrt(variance)))
    return centre, float(averages[max(skipped, 0)])
