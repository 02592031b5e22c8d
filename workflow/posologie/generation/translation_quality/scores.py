"""Corpus scores from sums over segments, so that a resample costs an addition; equal to sacreBLEU's corpus scores."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sacrebleu.metrics import BLEU, CHRF


class CorpusMetric:
    """BLEU or chrF: what each segment adds to the sums, and the score of sums."""

    def __init__(self, name: str) -> None:
        """Take `bleu` or `chrf`, both as sacreBLEU has them by default."""
        self.name = name
        self.metric = BLEU() if name == "bleu" else CHRF()

    def sums_of(self, translations: Sequence[str], references: Sequence[str]) -> NDArray[np.float64]:
        """Return what each segment adds: (segments, counts)."""
        # sacreBLEU's own paired test takes these two functions apart in the same way; they have no public name.
        counts = self.metric._extract_corpus_statistics(list(translations), [list(references)])
        return np.array(counts, dtype=np.float64)

    def score(self, sums: NDArray[np.float64]) -> float:
        """Return the corpus score (0 to 100) of summed counts."""
        return float(self.metric._compute_score_from_stats(sums.tolist()).score)

    def signature(self) -> str:
        """Return sacreBLEU's signature; known once a corpus was scored."""
        return str(self.metric.get_signature())


class MeanMetric:
    """A metric whose corpus score is the mean over segments, such as COMET."""

    def __init__(self, name: str, signature: str) -> None:
        """Take its name and how it was computed."""
        self.name, self._signature = name, signature

    def score(self, sums: NDArray[np.float64]) -> float:
        """Return the mean of (sum of scores, number of segments)."""
        return float(sums[0] / sums[1])

    def signature(self) -> str:
        """Return how the metric was computed."""
        return self._signature


def cluster_draws(groups: Sequence[str], replicates: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return bootstrap draws of clusters, the same for every translator.

    Returns:
        the cluster of each segment, and how often each replicate holds each cluster: (replicates, clusters).
    """
    _, cluster = np.unique(np.asarray(groups), return_inverse=True)
    count = int(cluster.max()) + 1
    drawn = np.random.default_rng(seed).integers(count, size=(replicates, count))
    weights = np.zeros((replicates, count), dtype=np.int64)
    for replicate in range(replicates):
        weights[replicate] = np.bincount(drawn[replicate], minlength=count)
    return cluster, weights


def resampled(
    metric: CorpusMetric | MeanMetric,
    sums: NDArray[np.float64],
    cluster: NDArray[np.int64],
    weights: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Return the score of each bootstrap replicate."""
    of_cluster = np.zeros((weights.shape[1], sums.shape[1]))
    np.add.at(of_cluster, cluster, sums)
    return np.array([metric.score(replicate) for replicate in weights @ of_cluster])
