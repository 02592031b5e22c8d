"""The table of translation quality: BLEU, chrF and, where it was computed, COMET, with paired bootstrap intervals.

python -m posologie.generation.translation_quality_table --spec QualityTableSpec --sentences TRANSLATOR=F.parquet…
    [--comet TRANSLATOR=F.parquet…] [--published FILE.yaml] --table OUT.csv

One row per translator, test set and metric. The bootstrap (Koehn 2004) draws the same documents, or segments where
documents are not known, for all translators; `paired_difference` is against the best other translator of the set, and
its two-sided p-value twice the share of replicates on the other side of zero. Corpus scores are computed from sums over
segments, so that a resample costs an addition; they equal sacreBLEU's. Systems of a published study that is
compared are rows of their own.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from sacrebleu.metrics import BLEU, CHRF

from posologie.generation.translation_quality_spec import QualityTableSpec, TranslationQuality, sentence_schema
from posologie.records.files import read_json, read_parquet, write_csv
from posologie.records.published import Comparison, comparison, shown
from posologie.running.commands import named_path, parser, run
from posologie.running.errors import InputError

COLUMNS = (
    "translator", "test_set", "metric", "n", "clusters", "unit", "value", "low", "high", "level", "interval", "against",
    "paired_difference", "paired_low", "paired_high", "p_value", "published", "difference", "signature", "note",
)  # fmt: skip


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


def main(argv: list[str]) -> None:
    """Write the table."""
    arguments = parser("posologie.generation.translation_quality_table", __doc__ or "")
    arguments.add_argument("--sentences", required=True, nargs="+", type=named_path, metavar="TRANSLATOR=F")
    arguments.add_argument("--comet", nargs="+", type=named_path, default=[], metavar="TRANSLATOR=F")
    arguments.add_argument("--published", type=Path)
    arguments.add_argument("--table", required=True, type=Path)
    options = arguments.parse_args(argv)
    spec = QualityTableSpec.from_json(options.spec)
    quality = spec.quality
    sentences = {name: _sentences(path) for name, path in sorted(options.sentences)}
    comet = {name: (read_parquet(path), read_json(Path(path).with_suffix(".json"))) for name, path in options.comet}
    published = comparison(options.published, spec.published)
    rows = [row for test_set in _test_sets(sentences) for row in _rows(test_set, sentences, comet, quality, published)]
    rows += [] if published is None else _published_rows(published)
    write_csv(options.table, *shown(COLUMNS, [{name: row.get(name) for name in COLUMNS} for row in rows], published))


def _sentences(path: str) -> pa.Table:
    table = read_parquet(path)
    for name in sentence_schema().names:
        if name not in table.column_names:
            raise InputError(f"{path}: column '{name}' is missing; expected translated parallel text")
    return table


def _test_sets(sentences: Mapping[str, pa.Table]) -> list[str]:
    return sorted({name for table in sentences.values() for name in table["test_set"].unique().to_pylist()})


def _rows(
    test_set: str,
    sentences: Mapping[str, pa.Table],
    comet: Mapping[str, tuple[pa.Table, dict[str, Any]]],
    quality: TranslationQuality,
    published: Comparison | None,
) -> Iterator[dict[str, Any]]:
    """Yield the rows of one test set: every metric of every translator that has translated it."""
    own = {name: _of_set(table, test_set) for name, table in sentences.items()}
    own = {name: table for name, table in own.items() if table.num_rows}
    _check_same_segments(test_set, own)
    groups = next(iter(own.values()))["group"].to_pylist()
    cluster, weights = cluster_draws(groups, quality.replicates, quality.seed)
    for metric_name in quality.metrics:
        points: dict[str, float] = {}
        draws: dict[str, NDArray[np.float64]] = {}
        signatures: dict[str, str] = {}
        notes: dict[str, str] = {}
        for name, table in own.items():
            counted = _sums(metric_name, table, comet.get(name))
            if isinstance(counted, str):
                notes[name] = counted
                continue
            metric, sums = counted
            points[name], signatures[name] = metric.score(sums.sum(axis=0)), metric.signature()
            draws[name] = resampled(metric, sums, cluster, weights)
        for name in own:
            row = {
                "translator": name,
                "test_set": test_set,
                "metric": metric_name,
                "n": len(groups),
                "clusters": weights.shape[1],
                "unit": "" if metric_name == "comet" else "%",
                "note": notes.get(name, ""),
            }
            if name in points:
                row |= _estimate(name, points, draws, quality) | {"signature": signatures[name]}
                row |= {} if published is None else _beside(published, name, test_set, metric_name, points[name])
            yield row


def _of_set(table: pa.Table, test_set: str) -> pa.Table:
    return table.filter(pa.array([name == test_set for name in table["test_set"].to_pylist()], pa.bool_()))


def _check_same_segments(test_set: str, own: Mapping[str, pa.Table]) -> None:
    """Check that all translators translated the same segments: a paired comparison has no smaller denominator."""
    (first, expected), *others = ((name, table.select(["id", "reference"])) for name, table in own.items())
    for name, segments in others:
        if not segments.equals(expected):
            raise InputError(f"{test_set}: the segments of '{name}' are not those of '{first}'; expected the same")


def _sums(
    name: str, table: pa.Table, comet: tuple[pa.Table, dict[str, Any]] | None
) -> tuple[CorpusMetric | MeanMetric, NDArray[np.float64]] | str:
    """Return a metric and what each segment adds to its sums, or why it was not computed."""
    if name != "comet":
        metric = CorpusMetric(name)
        return metric, metric.sums_of(table["translation"].to_pylist(), table["reference"].to_pylist())
    if comet is None:
        return "COMET not computed: no file of its scores was given"
    scores, facts = comet
    if not scores.num_rows:
        return f"COMET not computed: {facts['absent']}"
    of_segment = {(row["test_set"], row["id"]): row["comet"] for row in scores.to_pylist()}
    keys = zip(table["test_set"].to_pylist(), table["id"].to_pylist(), strict=True)
    values = np.array([of_segment[key] for key in keys])
    return MeanMetric(name, str(facts["signature"])), np.stack([values, np.ones_like(values)], axis=1)


def _estimate(
    name: str, points: Mapping[str, float], draws: Mapping[str, NDArray[np.float64]], quality: TranslationQuality
) -> dict[str, Any]:
    """Return value, interval, and the paired comparison with the best other translator."""
    tail = (1 - quality.level) / 2
    low, high = np.quantile(draws[name], [tail, 1 - tail])
    columns: dict[str, Any] = {"value": _shown(points[name]), "low": _shown(low), "high": _shown(high)}
    columns |= {"level": quality.level, "interval": "percentile"}
    others = [other for other in points if other != name]
    if not others:
        return columns
    against = max(others, key=lambda other: points[other])
    difference = draws[name] - draws[against]
    low, high = np.quantile(difference, [tail, 1 - tail])
    beyond = min(float((difference <= 0).mean()), float((difference >= 0).mean()))
    return columns | {
        "against": against,
        "paired_difference": _shown(points[name] - points[against]),
        "paired_low": _shown(low),
        "paired_high": _shown(high),
        "p_value": _shown(min(1.0, 2 * (beyond * quality.replicates + 1) / (quality.replicates + 1))),
    }


def _shown(value: float) -> str:
    return f"{value:.6f}".rstrip("0").rstrip(".")


def _beside(published: Comparison, name: str, test_set: str, metric: str, value: float) -> dict[str, Any]:
    """Return the published value of a translator, with the difference only where it is of the same test set."""
    published_value = published.translation(name, metric, test_set)
    if published_value is None:
        return {}
    printed, elsewhere = published_value
    if elsewhere:
        return {"published": printed, "note": f"published on another test set, {elsewhere}"}
    return {"published": printed, "difference": _shown(value - printed)}


def _published_rows(compared: Comparison) -> Iterator[dict[str, Any]]:
    for test_set, systems in compared.published.translation.items():
        for system, values in systems.items():
            for metric, value in values.items():
                yield {
                    "translator": f"published/{system}",
                    "test_set": test_set,
                    "metric": metric,
                    "unit": "" if metric == "comet" else "%",
                    "published": value,
                }


if __name__ == "__main__":
    run(main)
