"""Choose among models of the surface by predicting each mix from the others, and say where none predicts."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import t as student

from posologie.running.errors import InputError
from posologie.surface.fit import FORMS, LINEAR, MEAN, PROCESS, Fitted, LeftOut, fit, mixes_of, prepared
from posologie.surface.forms import Form, scheffe_terms
from posologie.surface.noise import LackOfFit, NoiseTest, averaged, lack_of_fit, noise_test
from posologie.surface.runs import Array, Runs

_LEVEL = 0.95
_PERMUTED_UP_TO = 100  # mixes
_PERMUTATIONS = 999
_PRIOR_DRAWS = 64
_SEED = 1935
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
        log_density_se: standard error of the difference of this sum from the chosen model's; models within one are
            not distinguished.
        gain: how much smaller absolute errors are than those of the mean (Hodges and Lehmann's estimate).
        gain_low: lower end of its one-sided 95 % interval, by signed ranks; None for the mean, and below five mixes.
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
    """The model chosen, those it was chosen from, and notes on the choice.

    Attributes:
        supported: whether any model predicts left-out mixes better than their mean.
        p_value: of that, by permutation; None if mixes are many and signed ranks are used.
    """

    surface: Fitted
    candidates: tuple[Candidate, ...]
    supported: bool
    p_value: float | None
    lack_of_fit: LackOfFit
    noise: NoiseTest
    notes: tuple[str, ...]

    @property
    def chosen(self) -> Candidate:
        """The candidate of the surface."""
        return next(candidate for candidate in self.candidates if candidate.fitted is self.surface)


def choose(runs: Runs, forms: Sequence[Form] = FORMS, *, draws: int | None = None) -> Choice:
    """Fit all models and choose by the log density of left-out mixes.

    The log density counts errors and their uncertainty alike (Vehtari, Gelman and Gabry 2017). Of the models within
    one standard error of the highest, the last in `forms` is taken: all are shrunk, so that a rich one loses little
    where a simple one is right, and a simple one errs where it is not and is too sure of it. The runs support a
    surface where left-out mixes are predicted better than when scores are dealt out to mixes at random
    (`permutation_test`); with more than 100 mixes, where the absolute errors of the chosen model are smaller than the
    mean's by Wilcoxon's signed ranks at 95 %.

    Raises:
        InputError: as `fit`, and for fewer than three different mixes.
    """
    if len(mixes_of(runs)) < 3:
        raise InputError(f"surface: {len(mixes_of(runs))} different mixes; expected three or more")
    noise = noise_test(runs)
    fits = [fit(runs, form, draws=draws, relative_noise=noise.relative) for form in dict.fromkeys((MEAN, *forms))]
    left_out = [fitted.left_out() for fitted in fits]
    densities = np.array([prediction.log_density for prediction in left_out])
    best = _richest_of_the_best(densities)
    errors = np.array([_errors(runs, prediction) for prediction in left_out])
    candidates = []
    for place, (fitted, prediction) in enumerate(zip(fits, left_out, strict=True)):
        away = densities[place] - densities[best]
        gain, low = (0.0, None) if place == 0 else signed_ranks(np.abs(errors[0]) - np.abs(errors[place]))
        quantile = float(student.ppf((1 + _LEVEL) / 2, fitted.df) * np.sqrt(1 - 2 / fitted.df))
        inside = np.abs(runs.score - prediction.mean) <= quantile * prediction.sd
        candidates.append(
            Candidate(
                fitted=fitted,
                left_out=prediction,
                rmse=float(np.sqrt(np.mean(errors[place] ** 2))),
                coverage=float(np.mean(inside)),
                log_density=float(densities[place].sum()),
                log_density_se=float(np.sqrt(len(away)) * np.std(away, ddof=1)),
                gain=gain,
                gain_low=low,
            )
        )
    chosen = candidates[best]
    mixes = averaged(runs)
    p_value = permutation_test(mixes) if len(mixes) <= _PERMUTED_UP_TO else None
    better = p_value <= 1 - _LEVEL if p_value is not None else chosen.gain_low is not None and chosen.gain_low > 0
    supported = best != 0 and better
    fit_test = lack_of_fit(runs, chosen.fitted.form)
    if noise.method == "none":
        noise = noise_test(runs, chosen.left_out)
    tested = "" if p_value is None or best == 0 else f", p = {p_value:.3f}"
    words = f"n = {len(mixes)} mixes{tested}"
    notes = [] if supported else [f"{UNSUPPORTED} ({words})"]
    notes += [*chosen.fitted.notes, fit_test.note, noise.note]
    rank = int(np.linalg.matrix_rank(scheffe_terms(mixes.shares, 3), tol=1e-6))
    if chosen.fitted.form.process and rank == len(mixes):
        notes.append(
            f"a special cubic goes through all {rank} mixes exactly: what the surface says between them is checked by "
            "left-out mixes alone; train mixes inside the simplex"
        )
    return Choice(
        chosen.fitted,
        tuple(candidates),
        supported,
        p_value=p_value,
        lack_of_fit=fit_test,
        noise=noise,
        notes=tuple(notes),
    )


def _richest_of_the_best(densities: Array) -> int:
    """Return the last of the models whose [model, mix] log densities are within one standard error of the highest."""
    highest = densities[int(densities.sum(axis=1).argmax())]
    behind = highest - densities
    errors = np.sqrt(densities.shape[1]) * behind.std(axis=1, ddof=1)
    return int(np.flatnonzero(behind.sum(axis=1) <= errors)[-1])


def permutation_test(mixes: Runs, forms: Sequence[Form] = (LINEAR, PROCESS)) -> float:
    """Return how rarely scores that are dealt out to mixes at random are predicted as well as the measured ones.

    The statistic is the smallest, over forms, sum of squared leave-one-out errors. Parameters are averaged over one
    set of draws from their prior, weighted by the likelihood of the scores as dealt, so that nothing is fixed by the
    measured order; the choice of the form is part of the statistic. Exact where errors are exchangeable between mixes
    (Fisher 1935; Pitman 1937): equal noise and numbers of adapters, one covariance between all pairs.

    Args:
        mixes: one run for each mix.
    """
    rng = np.random.default_rng(_SEED)
    orders = np.array([rng.permutation(len(mixes)) for _ in range(_PERMUTATIONS)])
    smallest = np.full(_PERMUTATIONS + 1, np.inf)
    for form in forms:
        if not form.degree:
            continue
        process = prepared(mixes, form)[0]
        dealt = np.column_stack([process.score, process.score[orders].T])
        thetas = process.from_prior(_PRIOR_DRAWS)
        heights, errors = [], []
        for total, fixed in zip(*process.stacked(thetas), strict=True):
            inverse = np.linalg.inv(total + _rounding(total) * np.eye(len(total)))
            solved = inverse @ fixed
            information = fixed.T @ solved
            precision = inverse - solved @ np.linalg.solve(information, solved.T)
            turned = precision @ dealt  # leave-one-out errors are (P y)ᵢ / Pᵢᵢ, for every order at once
            constant = np.linalg.slogdet(total)[1] + np.linalg.slogdet(information)[1]
            heights.append(-0.5 * (constant + (dealt * turned).sum(axis=0)))
            errors.append(turned / np.maximum(np.diag(precision), 1e-12)[:, None])
        weights = np.array(heights) + process.log_seeds(thetas)[:, None]
        weights = np.exp(weights - weights.max(axis=0))
        weights /= weights.sum(axis=0)
        squares = (np.einsum("dp,dnp->np", weights, np.array(errors)) ** 2).sum(axis=0)
        smallest = np.minimum(smallest, squares)
    return float(np.mean(smallest <= smallest[0] * (1 + 1e-9)))


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
        # In how many of the 2ⁿ patterns of signs the ranks of positive differences have each sum.
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


def _rounding(matrix: Array) -> float:
    """Return what keeps a covariance invertible where one of its parts outweighs the rest."""
    return float(len(matrix) * np.finfo(float).eps * np.trace(matrix))
