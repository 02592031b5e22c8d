"""Coverage of what rests on judges: corrected shares and differences, and the judge chosen from several.

    python tests/benchmarks/statistics_judged.py [--studies N] [--seed 1]

Every line is one setting and the share of simulated studies whose 95 % interval holds the truth, with its Monte-Carlo
standard error. Seeds are fixed. 2,000 studies a setting take about ten minutes on one core.
"""

import argparse
from collections.abc import Iterator

import numpy as np

from posologie.statistics.draws import bootstrap_counts, make_clusters
from posologie.statistics.judge_choice import choice_of
from posologie.statistics.prediction_powered import Answers, Corrected, corrected, rogan_gladen


def main() -> None:
    """Print every line."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--studies", type=int, default=400, help="simulated studies a setting")
    arguments.add_argument("--seed", type=int, default=1, help="of all random numbers")
    options = arguments.parse_args()
    studies, seed = options.studies, options.seed
    print(f"corrected shares and differences, {studies} studies each")
    print(f"{'N':>6}{'rated':>7}{'p':>6}{'accuracy':>10}{'cluster':>9}{'drawn':>10}{'share':>8}{'difference':>12}"
          f"{'check':>8}{'± se':>7}{'width':>8}{'people':>8}")  # fmt: skip
    for setting in settings():
        print(line(studies, seed, *setting), flush=True)
    print(f"\nthe chosen judge, {studies} studies each of n answers in pairs")
    for answers, noises in ((100, [0.7] * 5), (100, [0.4, 0.6, 0.8, 1, 1.2]), (100, [0.5, 0.5, 0.9, 1.1, 1.1]),
                            (40, [0.7] * 5), (400, [0.7] * 5)):  # fmt: skip
        chosen, plain = chosen_judge(studies, seed, answers, noises)
        error = (chosen * (1 - chosen) / studies) ** 0.5
        print(f"n = {answers}, noise of the judges {noises}: {chosen:.3f} ± {error:.3f}; percentile {plain:.3f}",
              flush=True)  # fmt: skip


def settings() -> Iterator[tuple[int, int, float, float, int, str]]:
    """Yield answers, rated answers, share, accuracy of the judge, answers a cluster and kind of draw."""
    for rated, answers in ((40, 400), (40, 40), (200, 400), (200, 2000), (2000, 4000)):
        for share in (0.02, 0.4, 0.95):
            for accuracy in (0.7, 0.95):
                yield answers, rated, share, accuracy, 1, "alike"
    for rated, answers in ((40, 400), (200, 2000)):
        for share in (0.02, 0.4, 0.95):
            yield answers, rated, share, 0.9, 4, "alike"
            yield answers, rated, share, 0.9, 1, "by judge"


def line(studies: int, seed: int, answers: int, rated: int, share: float, accuracy: float, per: int, drawn: str) -> str:
    """Return the line of one setting."""
    numbers = np.random.default_rng([seed, answers, rated, int(100 * share), int(100 * accuracy), per, len(drawn)])
    held = np.zeros(3)
    widths, alone, checks = [], [], 0
    for _ in range(studies):
        base = np.full(answers, share) if per == 1 else np.repeat(
            numbers.beta(2 * share, 2 * (1 - share), answers // per), per
        )  # fmt: skip
        pair = [study(numbers, base, rated, accuracy, per, drawn) for _ in range(2)]
        first, second = (corrected(answers_of, answers // per) for answers_of in pair)
        low, high = first.share_interval(0.95)
        held[0] += low <= share <= high
        widths.append(high - low)
        alone.append(width(corrected(pair[0], answers // per, 0.0)))
        low, high = first.minus(second).interval(0.95)
        held[1] += low <= 0 <= high
        labels = Answers(pair[0].cluster, np.round(pair[0].judge), pair[0].human, pair[0].weight)
        if (check := rogan_gladen(labels, answers // per, 0.95)) is not None:
            checks += 1
            held[2] += check[1] <= share <= check[2]
    covered = held / [studies, studies, max(checks, 1)]
    error = (0.95 * 0.05 / studies) ** 0.5
    return (f"{answers:>6}{rated:>7}{share:>6}{accuracy:>10}{per:>9}{drawn:>10}{covered[0]:>8.3f}{covered[1]:>12.3f}"
            f"{covered[2]:>8.3f}{error:>7.3f}{100 * np.mean(widths):>8.1f}{100 * np.mean(alone):>8.1f}")  # fmt: skip


def width(covered: Corrected) -> float:
    """Return the width of a share's interval."""
    low, high = covered.share_interval(0.95)
    return high - low


def study(numbers: np.random.Generator, base: np.ndarray, rated: int, accuracy: float, per: int, drawn: str) -> Answers:
    """Return one model's answers: some rated, drawn alike or more often where the judge is unsure."""
    count = len(base)
    right = (numbers.random(count) < base).astype(float)
    unsure = numbers.random(count) < 0.2
    wrong = numbers.random(count) < np.where(unsure & (drawn == "by judge"), 0.4, 1 - accuracy)
    judge = np.where(wrong, 1 - right, right)
    if drawn == "by judge":
        judge = np.where(unsure, 0.4 + 0.2 * judge, 0.02 + 0.96 * judge)
    known, weight = np.zeros(count, dtype=bool), np.ones(count)
    if drawn == "alike":
        known[numbers.choice(count, rated, replace=False)] = True
    else:
        for stratum, part in ((unsure, rated // 2), (~unsure, rated - rated // 2)):
            inside = np.flatnonzero(stratum)
            part = min(part, len(inside))
            known[numbers.choice(inside, part, replace=False)] = True
            weight[inside] = len(inside) / part
    return Answers(np.arange(count) // per, judge, np.where(known, right, np.nan), weight)


def chosen_judge(studies: int, seed: int, answers: int, noises: list[float]) -> tuple[float, float]:
    """Return how often the chosen judge's interval holds its correlation, and how often the percentile one does."""

    def drawn(numbers: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
        quality = 0.5 * numbers.standard_normal(count // 2).repeat(2) + 0.75**0.5 * numbers.standard_normal(count)
        people = (quality[:, None] + 0.5 * numbers.standard_normal((count, 2)) > 0).mean(axis=1)
        scores = [(quality + noise * numbers.standard_normal(count) > 0).astype(float) for noise in noises]
        return people, np.stack(scores)

    people, scores = drawn(np.random.default_rng(1), 1_000_000)
    truth = [np.corrcoef(people, score)[0, 1] for score in scores]
    numbers = np.random.default_rng([seed, 2])
    clusters = make_clusters(np.full(answers, "s"), (np.arange(answers) // 2).astype(str))
    held = plain = 0
    for number in range(studies):
        people, scores = drawn(numbers, answers)
        draws = bootstrap_counts(clusters, 600, number)[:, clusters.of_item].astype(float)
        choice = choice_of(people, scores, draws, np.ones(answers), answers / 2, 0.95)
        if choice.interval is None:
            continue
        best = int(np.argmax(choice.points))
        held += choice.interval[0] <= truth[best] <= choice.interval[1]
        low, high = np.quantile(choice.drawn[best], (0.025, 0.975))
        plain += low <= truth[best] <= high
    return held / studies, plain / studies


if __name__ == "__main__":
    main()
