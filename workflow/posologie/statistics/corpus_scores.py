"""Corpus BLEU and chrF from sums of sentence counts, for many resamples at once.

The counts are sacreBLEU's own, kept per item in the scores (`bleu:…`, `chrf:…`); these two functions are what sacreBLEU
does with their sums, over arrays. Tests hold them equal to sacreBLEU's corpus scores.
"""

import numpy as np
from numpy.typing import NDArray

BLEU_COUNTS = ("answer", "reference", *(f"{part}_{order}" for order in range(1, 5) for part in ("match", "total")))
CHRF_COUNTS = tuple(f"{part}_{order}" for order in range(1, 7) for part in ("answer", "reference", "match"))


def corpus_bleu(sums: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return corpus BLEU between 0 and 1 (Papineni et al. 2002) with sacreBLEU's exponential smoothing.

    Args:
        sums: [..., 10], sums of `BLEU_COUNTS` in that order.
    """
    answer, reference = sums[..., 0], sums[..., 1]
    matches, totals = sums[..., 2::2], sums[..., 3::2]
    zero = (matches == 0) & (totals > 0)
    smoothing = 2.0 ** np.cumsum(zero, axis=-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        precision = np.where(zero, 1 / (smoothing * totals), matches / totals)
        logs = np.log(precision).mean(axis=-1)
        brevity = np.where(answer < reference, np.exp(1 - reference / answer), 1.0)
    whole = (totals > 0).all(axis=-1) & (matches > 0).any(axis=-1)
    return np.where(whole, np.nan_to_num(brevity) * np.exp(np.where(whole, logs, 0.0)), 0.0)


def corpus_chrf(sums: NDArray[np.float64], beta: float = 2.0) -> NDArray[np.float64]:
    """Return corpus chrF between 0 and 1 (Popović 2015) with sacreBLEU's effective order.

    Args:
        sums: [..., 18], sums of `CHRF_COUNTS` in that order.
    """
    answer, reference, match = sums[..., 0::3], sums[..., 1::3], sums[..., 2::3]
    used = (answer > 0) & (reference > 0)
    orders = np.maximum(used.sum(axis=-1), 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        precision = np.where(used, match / answer, 0.0).sum(axis=-1) / orders
        recall = np.where(used, match / reference, 0.0).sum(axis=-1) / orders
        score = (1 + beta**2) * precision * recall / (beta**2 * precision + recall)
    whole: NDArray[np.float64] = np.nan_to_num(score)
    return whole
