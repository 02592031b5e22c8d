"""One set of human ratings beside everything else that rated the same answers, and statistics over parts of them.

The frame that all agreement statistics work on: one row per rated answer, `human` (mean over the raters who rated it),
people's own ratings, and for each metric and judge its score and, where it gives one, its label. A statistic is taken
over all answers, over those of each generator, and within generators.
"""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from posologie.records import layout
from posologie.records.files import read_parquet
from posologie.running.errors import InputError
from posologie.statistics.correlations import Statistic
from posologie.statistics.draws import Clusters, bootstrap_counts, make_clusters
from posologie.statistics.judged import PANEL, is_too_silent, majority
from posologie.statistics.scored import listed
from posologie.statistics.spec import AgreementSpec


@dataclass(frozen=True)
class Rater:
    """A metric or judge.

    Attributes:
        name: of a metric; `judge:{name}` for a judge's verdicts; `judge_probability:{name}` for the probability of "1".
        kind: metric | judge | probability.
        score: [answer]; a judge's reply without a verdict counts as 0.
        label: [answer], 0 or 1; None for a metric and a probability.
        excluded: [answer], whether the answer is left out, because the judge was trained on its question.
        silent: [answer], whether the reply held no verdict.
        triples: rated answers that occur in the judge's training files with question and reference.
    """

    name: str
    kind: str
    score: NDArray[np.float64]
    label: NDArray[np.float64] | None
    excluded: NDArray[np.bool_]
    silent: NDArray[np.bool_]
    triples: int = 0

    def silent_in(self, inside: NDArray[np.bool_]) -> int | None:
        """Return how many replies to some answers held no verdict; None for a metric, which gives none."""
        return None if self.kind == "metric" else int(self.silent[inside].sum())

    def too_silent_in(self, inside: NDArray[np.bool_]) -> bool:
        """Say whether there are too few verdicts on some answers for a score; a probability needs no verdict."""
        return self.kind == "judge" and is_too_silent(int(self.silent[inside].sum()), int(inside.sum()))


@dataclass(frozen=True)
class RatedSet:
    """A set of rated answers, ordered by answer id.

    Attributes:
        answer, group, generator: [answer]; answers of one group (question or case) are one cluster.
        people: rater → [answer], NaN where that person gave no rating.
        human: [answer], mean rating.
        right: [answer], 1 where the mean rating reaches the threshold; None for ordinal ratings without one.
        words: [answer], length of the answer.
        weight: [answer], how many answers of its model each stands for, with mean 1.
    """

    name: str
    answer: NDArray[np.str_]
    group: NDArray[np.str_]
    generator: NDArray[np.str_]
    people: dict[str, NDArray[np.float64]]
    human: NDArray[np.float64]
    right: NDArray[np.float64] | None
    words: NDArray[np.float64]
    weight: NDArray[np.float64]
    raters: tuple[Rater, ...]

    @property
    def clusters(self) -> Clusters:
        """Return the clusters of the answers, all in one stratum."""
        return make_clusters(np.full(len(self.answer), self.name), self.group)

    def draws(self, replicates: int, seed: int) -> NDArray[np.float64]:
        """Return [draw, answer], how often each answer occurs in each cluster draw, times its weight."""
        return self.clusters_drawn(replicates, seed) * self.weight

    def clusters_drawn(self, replicates: int, seed: int) -> NDArray[np.float64]:
        """Return [draw, answer], how often each answer occurs in each cluster draw."""
        clusters = self.clusters
        drawn: NDArray[np.float64] = bootstrap_counts(clusters, replicates, seed)[:, clusters.of_item].astype(float)
        return drawn

    def estimates(
        self,
        statistic: Statistic,
        first: NDArray[np.float64],
        second: NDArray[np.float64],
        included: NDArray[np.bool_],
        draws: NDArray[np.float64],
    ) -> dict[str, "Estimated"]:
        """Return a statistic of two ratings of these answers in every scope: see `estimate`."""
        return estimate(
            statistic, first, second, included=included, generator=self.generator, draws=draws, weight=self.weight
        )


def read_rated(root: str | os.PathLike[str], name: str, spec: AgreementSpec) -> RatedSet:
    """Read a set of human ratings, the metrics of its answers and the judges' verdicts on them.

    Raises:
        InputError: listing the rated answers that lack a score or a verdict.
    """
    file = Path(root) / layout.human(name)
    table = read_parquet(file)
    columns = ("answer", "group", "generator", "weight", "rater", "rating")
    _expect(table, columns, file)
    rows = table.select(list(columns)).to_pylist()
    answers = sorted({row["answer"] for row in rows})
    place = {answer: number for number, answer in enumerate(answers)}
    of_answer = {row["answer"]: row for row in rows}
    people: dict[str, NDArray[np.float64]] = {}
    for row in rows:
        ratings = people.setdefault(row["rater"], np.full(len(answers), np.nan))
        if not np.isnan(ratings[place[row["answer"]]]):
            raise InputError(f"{file}: rater '{row['rater']}' rated answer {row['answer']} twice; expected once")
        ratings[place[row["answer"]]] = row["rating"]
    ratings = np.stack([people[rater] for rater in sorted(people)])
    human = np.nanmean(ratings, axis=0)
    metrics = _metrics(Path(root) / layout.human_scores(name), place)
    if "words" not in metrics:
        raise InputError(
            f"{layout.human_scores(name)}: metric 'words' is missing; expected the scores of rated answers"
        )
    none = np.zeros(len(answers), dtype=bool)
    weight = np.array([of_answer[answer]["weight"] for answer in answers], dtype=float)
    raters = [
        Rater(metric, "metric", values, None, none, none)
        for metric, values in sorted(metrics.items())
        if metric not in ("words", "reference_words")
    ]
    for judge in spec.judges:
        raters += _judge(Path(root) / layout.calibration(judge, name), judge, place)
    if spec.panel:
        raters += _panel([rater for rater in raters if rater.name in {f"judge:{judge}" for judge in spec.panel}])
    return RatedSet(
        name=name,
        answer=np.array(answers),
        group=np.array([of_answer[answer]["group"] for answer in answers]),
        generator=np.array([of_answer[answer]["generator"] for answer in answers]),
        people={rater: people[rater] for rater in sorted(people)},
        human=human,
        right=_right(ratings, human, spec.thresholds.get(name)),
        words=metrics["words"],
        weight=weight / weight.mean() if np.ptp(weight) > 0 else np.ones(len(answers)),
        raters=tuple(raters),
    )


def _right(
    ratings: NDArray[np.float64], human: NDArray[np.float64], threshold: float | None
) -> NDArray[np.float64] | None:
    if threshold is None:
        if not np.isin(ratings[~np.isnan(ratings)], (0.0, 1.0)).all():
            return None
        threshold = 0.5
    return (human >= threshold).astype(float)


def _metrics(file: Path, place: Mapping[str, int]) -> dict[str, NDArray[np.float64]]:
    table = read_parquet(file)
    _expect(table, ("answer", "metric", "value"), file)
    by_metric: dict[str, NDArray[np.float64]] = {}
    for row in table.select(["answer", "metric", "value"]).to_pylist():
        if row["answer"] in place and not row["metric"].startswith(("bleu:", "chrf:")):
            by_metric.setdefault(row["metric"], np.full(len(place), np.nan))[place[row["answer"]]] = row["value"]
    for metric, values in by_metric.items():
        if np.isnan(values).any():
            missing = [answer for answer, number in place.items() if np.isnan(values[number])]
            raise InputError(f"{file}: no {metric} of {listed(missing)}; expected one per answer")
    return by_metric


def _judge(file: Path, judge: str, place: Mapping[str, int]) -> list[Rater]:
    table = read_parquet(file)
    _expect(table, ("answer", "excluded", "triple_seen", "outcome", "label", "probability"), file)
    rows = {row["answer"]: row for row in table.to_pylist()}
    if missing := [answer for answer in place if answer not in rows]:
        raise InputError(f"{file}: no verdict on {listed(missing)}; expected one per answer")
    ordered = [rows[answer] for answer in place]
    label = np.array([float(row["label"] == 1) for row in ordered])
    excluded = np.array([row["excluded"] for row in ordered])
    silent = np.array([row["outcome"] != "label" for row in ordered])
    triples = sum(row["triple_seen"] for row in ordered)
    raters = [Rater(f"judge:{judge}", "judge", label, label=label, excluded=excluded, silent=silent, triples=triples)]
    probabilities = [row["probability"] for row in ordered]
    if None not in probabilities:
        score = np.array(probabilities, dtype=float)
        raters.append(
            Rater(
                f"judge_probability:{judge}",
                "probability",
                score,
                label=None,
                excluded=excluded,
                silent=silent,
                triples=triples,
            )
        )
    return raters


def _panel(members: Sequence[Rater]) -> list[Rater]:
    """Return the majority of a panel's judges, and the share of them as its probability."""
    joint = majority(np.stack([member.score for member in members]), np.stack([member.silent for member in members]))
    excluded: NDArray[np.bool_] = np.any([member.excluded for member in members], axis=0)
    triples = max(member.triples for member in members)
    return [
        Rater(
            f"judge:{PANEL}",
            "judge",
            joint.label,
            label=joint.label,
            excluded=excluded,
            silent=joint.silent,
            triples=triples,
        ),
        Rater(
            f"judge_probability:{PANEL}",
            "probability",
            joint.share,
            label=None,
            excluded=excluded,
            silent=joint.silent,
            triples=triples,
        ),
    ]


def _expect(table: pa.Table, columns: tuple[str, ...], file: Path) -> None:
    if missing := [name for name in columns if name not in table.column_names]:
        raise InputError(f"{file}: column '{missing[0]}' is missing; found {', '.join(table.column_names)}")


POOLED, WITHIN = "pooled", "within"


@dataclass(frozen=True)
class Estimated:
    """A statistic's value on the answers, and in each draw of clusters; NaN where it is undefined."""

    point: float
    draws: NDArray[np.float64]


def scopes_of(generator: NDArray[np.str_], included: NDArray[np.bool_]) -> dict[str, NDArray[np.bool_]]:
    """Return which answers each scope holds: `pooled`, and each generator where there are several."""
    names = [str(name) for name in np.unique(generator[included]) if name]
    single = {name: included & (generator == name) for name in names} if len(names) > 1 else {}
    return {POOLED: included, **single}


def inside_scope(generator: NDArray[np.str_], included: NDArray[np.bool_], scope: str) -> NDArray[np.bool_]:
    """Return [answer], which answers a value of a scope rests on; `within` rests on all of them."""
    return included if scope == WITHIN else scopes_of(generator, included)[scope]


def estimate(
    statistic: Statistic,
    first: NDArray[np.float64],
    second: NDArray[np.float64],
    included: NDArray[np.bool_],
    generator: NDArray[np.str_],
    draws: NDArray[np.float64],
    weight: NDArray[np.float64],
) -> dict[str, Estimated]:
    """Return a statistic of two ratings in every scope.

    `within` is the mean of the generators' values, weighted by their numbers of answers, over the generators in which
    the statistic is defined: agreement on the answers of one and the same model, which a rater that only tells models
    apart does not have.

    Args:
        first, second: [answer].
        included: [answer], the answers that count.
        draws: [draw, answer], how often each answer occurs in each draw, times its weight.
        weight: [answer].
    """
    by_scope = {}
    for scope, inside in scopes_of(generator, included).items():
        pair = first[inside], second[inside]
        point = statistic(*pair, weight[None, inside])
        by_scope[scope] = Estimated(float(point[0]), statistic(*pair, draws[:, inside]))
    by_generator = [
        (scope, by_scope[scope]) for scope in by_scope if scope != POOLED and not np.isnan(by_scope[scope].point)
    ]
    if by_generator:
        counts = np.array([weight[included & (generator == scope)].sum() for scope, _ in by_generator])
        shares = counts / counts.sum()
        point_within = float(shares @ np.array([estimated.point for _, estimated in by_generator]))
        by_scope[WITHIN] = Estimated(
            point_within, shares @ np.stack([estimated.draws for _, estimated in by_generator])
        )
    return by_scope


def effective_clusters(group: NDArray[Any], weight: NDArray[np.float64]) -> float:
    """Return the number of equal clusters that groups with these weights are worth (Kish 1965); 0 without weight.

    Args:
        group, weight: [answer].
    """
    _, code = np.unique(group, return_inverse=True)
    sizes = np.bincount(code, weight)
    squares = float((sizes**2).sum())
    return float(sizes.sum()) ** 2 / squares if squares else 0.0
