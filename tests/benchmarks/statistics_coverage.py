"""Coverage of intervals, size and power of tests, over simulated studies whose truth is known.

    python tests/benchmarks/statistics_coverage.py [--studies 1000] [--seed 1] [--part coverage families sizes power]

Every cell of items 40, 200, 2,000 × items in a case 1, 4 × true score .02, .4, .95 × seeds 1, 2, 3, 5 × standard
deviation of seeds 0, 1.4, 4.2 points, with base and seven mixes (simulated_grids.py). Left out is 4.2 points around
2 %: two of three adapters would score 0. With one seed the truth is that of the adapters; else that of the recipes.
Cells in which a quantity is held in fewer than 93.5 % of the studies are simulated again, four times as often and with
other random numbers, and only the second figure counts. Printed is, for each quantity and number of items, how many
cells lie inside 93–97 %, above and below, each by more than twice the Monte-Carlo standard error, and every cell below
93.5 %. Then the size of tests and families, the best set, non-inferiority at the margin, few mixes, and power against
the analysis of variance with Satterthwaite's degrees of freedom.
"""

import argparse
import itertools
import json
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import stdtr

sys.path.insert(0, str(Path(__file__).parents[1]))
from posologie.statistics.attribution import coalitions, interaction_index
from posologie.statistics.best import corrected_for_choice
from posologie.statistics.crossed import NOTHING, Crossed, Estimated, p_value, share_interval, t_interval
from posologie.statistics.intervals import wilson
from posologie.statistics.simultaneous import compare_with_best, differences, family
from posologie.statistics.spec import Statistics
from posologie.statistics.verdicts import judge_in_one_cell
from simulated_grids import Design, simulate, study_of

KEYS = ("items", "cluster", "true", "seeds", "seed_sd")
SETTINGS = Statistics(replicates=500)
PLAYERS = ("native", "translated", "synthetic")
QUANTITIES = ("score", "difference from base", "difference of mixes", "Shapley value", "corrected best")
DOUBTFUL = 0.935
"""Coverage below which a cell is simulated again."""
DRAWS = 20
"""Sets of draws that the simulated studies of a cell share, in blocks: they are kept, which takes half the time."""
FAMILY_DRAWS = 100
"""The same for the sizes of families, where one set of draws counts more."""
ITEMS, CLUSTERS, SCORES, SEEDS, SEED_SDS = (40, 200, 2000), (1, 4), (0.02, 0.4, 0.95), (1, 2, 3, 5), (0.0, 0.014, 0.042)


def twice_error(share: float, count: int) -> float:
    """Return twice the Monte-Carlo standard error of a share."""
    return 2 * float(np.sqrt(max(share * (1 - share), 0.25 / count) / count))


def held(low: np.ndarray, truth: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Say which intervals hold the truth."""
    return (low <= truth + 1e-12) & (truth <= high + 1e-12)


def covers_share(estimated: Estimated, truth: np.ndarray, design: Design) -> np.ndarray:
    """Say which intervals of shares hold the truth, as `score_interval` makes them."""
    clusters = design.items // design.cluster
    with np.errstate(invalid="ignore", divide="ignore"):
        low, high = share_interval(
            estimated, SETTINGS.level, design.items if clusters < SETTINGS.minimum_clusters else 0
        )
    for study in np.flatnonzero((estimated.variance <= NOTHING) | (estimated.value <= 0) | (estimated.value >= 1)):
        low[study], high[study] = wilson(float(estimated.value[study]), clusters, SETTINGS.level)
    return held(low, truth, high)


def covers(estimated: Estimated, truth: np.ndarray) -> np.ndarray:
    """Say which of Student's intervals hold the truth; where nothing varies there is none, which is no error."""
    return held(*_around(t_interval(estimated, SETTINGS.level), truth)) | (estimated.variance <= NOTHING)


def _around(interval: tuple[np.ndarray, np.ndarray], truth: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return interval[0], truth, interval[1]


def coverage(design: Design, studies: int, numbers: np.random.Generator, corrected: int) -> dict[str, float]:
    """Return the coverage of each quantity in one cell, and how often tests of equal mixes reject."""
    model, truth = simulate(design, studies, numbers)
    arms = len(design.scores)
    plain = replace(model, floor=np.zeros_like(model.floor))  # single scores have no floor
    pair = differences([(1, 0), (1, 2)], arms)
    shapley = interaction_index(frozenset({PLAYERS[0]}), PLAYERS)
    order = [0, *range(1, arms)]
    assert len(coalitions(PLAYERS)) == arms
    covered = {"score": covers_share(plain.of(np.eye(arms)[1]), truth[:, 1], design).mean()}
    covered["difference from base"] = covers(model.of(pair[0]), truth @ pair[0]).mean()
    covered["difference of mixes"] = covers(model.of(pair[1]), truth @ pair[1]).mean()
    covered["Shapley value"] = covers(model.of(shapley[order]), truth @ shapley[order]).mean()
    gains = differences([(mix, 0) for mix in range(1, arms)], arms)
    right, errors = [], [(0.0, 0.0)]
    for study in range(min(corrected, studies)):
        simulated = study_of(model, study)
        if float(simulated.items[1:, 1:].trace()) <= NOTHING:
            continue
        settings = Statistics(replicates=500, seed=DRAWS * study // corrected)
        best = corrected_for_choice(simulated, gains, settings)
        chosen = int(np.argmax(gains @ simulated.point))
        aim = float((gains @ truth[study])[chosen])
        right.append(best.low is None or best.low - 1e-12 <= aim <= best.high + 1e-12)
        errors.append((best.value - aim, float(gains[chosen] @ simulated.point) - aim))
    covered["corrected best"] = float(np.mean(right)) if right else float("nan")
    covered["bias corrected"], covered["bias of the best"] = np.mean(errors[1:] or [(0.0, 0.0)], axis=0)
    return {name: float(value) for name, value in covered.items()}


def all_coverages(
    studies: int, seed: int, sizes: Sequence[int], clusters: Sequence[int] = CLUSTERS, scores: Sequence[float] = SCORES
) -> Iterator[dict[str, Any]]:
    """Yield a row for each cell and quantity: the share of studies that hold the truth, and their number."""
    for number, cell in enumerate(itertools.product(ITEMS, CLUSTERS, SCORES, SEEDS, SEED_SDS)):
        items, cluster, score, seeds, sd = cell
        if (score, sd) == (0.02, 0.042) or items not in sizes or cluster not in clusters or score not in scores:
            continue
        design = Design(items, cluster, (score,) * 8, seeds, sd)
        named = dict(zip(KEYS, cell, strict=True))
        few = studies // 3
        first = coverage(design, studies, np.random.default_rng([seed, number]), few)
        plain = [name for name in QUANTITIES[:-1] if first[name] < DOUBTFUL]
        best = first[QUANTITIES[-1]] < DOUBTFUL
        again = {}
        if plain or best:
            numbers = np.random.default_rng([seed, number, 2])
            again = coverage(design, 4 * studies, numbers, 4 * few if best else 0)
        for name in QUANTITIES:
            twice = again and first[name] < DOUBTFUL
            count = (few if name == QUANTITIES[-1] else studies) * (4 if twice else 1)
            row = named | {"quantity": name, "held": again[name] if twice else first[name], "studies": count}
            if name == QUANTITIES[-1]:
                row |= {"bias": first["bias of the best"], "bias corrected": first["bias corrected"]}
            yield row


def place_of(row: dict[str, Any]) -> str:
    """Say whether a cell lies inside 93–97 %, or outside by more than twice the Monte-Carlo standard error."""
    error = twice_error(0.95, row["studies"])
    return "below" if row["held"] < 0.93 - error else "above" if row["held"] > 0.97 + error else "inside"


def families(design: Design, studies: int, numbers: np.random.Generator, margin: float = 0.02) -> dict[str, float]:
    """Return how often a family of equal mixes rejects, a set lacks the true best, and a margin is passed wrongly.

    All mixes are as good as base but in non-inferiority, where each is worse by the margin; the best set is asked with
    the last mix the best by half a margin.
    """
    arms = len(design.scores)
    gains = differences([(mix, 0) for mix in range(1, arms)], arms)
    pairs = list(itertools.combinations(range(arms - 1), 2))
    every = differences([(1 + left, 1 + other) for left, other in pairs], arms)
    scores = np.array(design.scores)
    worse, better = scores.copy(), scores.copy()
    worse[1:] -= margin
    better[-1] += margin / 2
    counts: dict[str, list[bool]] = defaultdict(list)
    model, _ = simulate(design, studies, numbers)
    below, _ = simulate(
        Design(design.items, design.cluster, tuple(worse), design.seeds, design.seed_sd), studies, numbers
    )
    above, truth = simulate(
        Design(design.items, design.cluster, tuple(better), design.seeds, design.seed_sd), studies, numbers
    )
    clusters = design.items // design.cluster
    for study in range(studies):
        simulated = study_of(model, study)
        settings = Statistics(replicates=500, seed=DRAWS * study // studies)  # one set of draws would be luck
        counts["family of gains"].append(judge_in_one_cell(simulated, gains, clusters, settings, None, 1).settled.any())
        counts["family of all pairs"].append(
            judge_in_one_cell(simulated, every, clusters, settings, None, 1).settled.any()
        )
        judged = judge_in_one_cell(study_of(below, study), gains, clusters, settings, margin, 1)
        counts["non-inferior"].append(bool((judged.p_noninferior < 0.05).any()))
        counts["equivalent"].append(bool(judged.equivalent.any()))
        family_tests = family(study_of(above, study), every, settings.replicates, study)
        best = compare_with_best(above.point[study, 1:], pairs, family_tests, SETTINGS.level)
        counts["best left out"].append(not best.in_set[int(np.argmax(truth[study, 1:]))])
        counts["size of set"].append(best.in_set.sum())
    return {name: float(np.mean(values)) for name, values in counts.items()}


def family_sizes(design: Design, studies: int, numbers: np.random.Generator) -> tuple[float, float]:
    """Return how often some gain over base, and some pair of mixes, is settled although all mixes are equal."""
    arms = len(design.scores)
    gains = differences([(mix, 0) for mix in range(1, arms)], arms)
    every = differences(list(itertools.combinations(range(1, arms), 2)), arms)
    model, _ = simulate(design, studies, numbers)
    settled = np.zeros((studies, 2), dtype=bool)
    for study in range(studies):
        simulated, seed = study_of(model, study), FAMILY_DRAWS * study // studies
        settled[study] = [family(simulated, linear, 1000, seed).p_values().min() < 0.05 for linear in (gains, every)]
    return float(settled[:, 0].mean()), float(settled[:, 1].mean())


def variance_analysis(model: Crossed, linear: np.ndarray) -> np.ndarray:
    """Return [study], p of the crossed analysis of variance: no floor, Satterthwaite's degrees of freedom (1946)."""
    estimated = model.of(linear)
    (seeds,) = model.seeds.values()
    share = float((linear**2 * model.share).sum())
    items = np.einsum("...ij,i,j->...", model.items, linear, linear)
    fixed = np.maximum(items - share * seeds.noise, 0)
    variance = fixed + share * seeds.between
    df = variance**2 / (fixed**2 / model.df_items + (share * seeds.between) ** 2 / seeds.df)
    p: np.ndarray = 2 * stdtr(df, -np.abs(estimated.value) / np.sqrt(variance))
    return p


def power(mixes: int, seeds: int, items: int, gain: float, sd: float, against_base: bool, studies: int,
          numbers: np.random.Generator) -> dict[str, float]:  # fmt: skip
    """Return how often one difference is found with these seeds, with one, and by the analysis of variance."""
    scores = (0.4, 0.4 + gain, *(0.4,) * (mixes - 1))
    pair = differences([(1, 0) if against_base else (1, 2)], mixes + 1)[0]
    model, _ = simulate(Design(items, 1, scores, seeds, sd), studies, numbers)
    single, _ = simulate(Design(items, 1, scores, 1, sd), studies, numbers)
    rejected = {"ours": (p_value(model.of(pair)) < 0.05).mean(), "one seed": (p_value(single.of(pair)) < 0.05).mean()}
    if model.seeds:
        rejected["variance analysis"] = (variance_analysis(model, pair) < 0.05).mean()
    return {name: float(value) for name, value in rejected.items()}


def main() -> None:
    """Print everything."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--studies", type=int, default=1000, help="in each cell; a third for the corrected best")
    arguments.add_argument("--seed", type=int, default=1, help="of all random numbers")
    arguments.add_argument("--part", nargs="+", default=["coverage", "families", "power"], help="what is simulated")
    arguments.add_argument("--items", type=int, nargs="+", default=ITEMS, help="of the cells whose coverage is wanted")
    arguments.add_argument("--clusters", type=int, nargs="+", default=CLUSTERS, help="of these cells, items in a case")
    arguments.add_argument("--scores", type=float, nargs="+", default=SCORES, help="of these cells, true scores")
    arguments.add_argument("--json", type=Path, help="file to which the coverages are added, one a line")
    options = arguments.parse_args()
    start = time.perf_counter()
    if "coverage" in options.part:
        rows = []
        for row in all_coverages(options.studies, options.seed, options.items, options.clusters, options.scores):
            rows.append(row)
            if options.json:
                with options.json.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(row) + "\n")
        print_coverages(rows)
        print(f"{time.perf_counter() - start:.0f} s", flush=True)
    if "families" in options.part:
        print_families(max(100, options.studies // 2), options.seed)
        print(f"{time.perf_counter() - start:.0f} s", flush=True)
    if "sizes" in options.part:
        print_sizes(options.studies, options.seed, options.scores)
        print(f"{time.perf_counter() - start:.0f} s", flush=True)
    if "power" in options.part:
        print_powers(4 * options.studies, options.seed)
        print(f"{time.perf_counter() - start:.0f} s")


def print_coverages(rows: list[dict[str, Any]]) -> None:
    """Print how many cells lie where, and the doubtful ones."""
    for name in QUANTITIES:
        mine = [row for row in rows if row["quantity"] == name and not np.isnan(row["held"])]
        values = 100 * np.array([row["held"] for row in mine])
        print(f"\n{name}: {len(mine)} cells, mean {values.mean():.1f}, from {values.min():.1f} to {values.max():.1f}")
        for items in ITEMS:
            for edge in (False, True):
                group = [row for row in mine if row["items"] == items and (row["true"] != 0.4) == edge]
                places = Counter(place_of(row) for row in group)
                counts = ", ".join(f"{places[place]} {place}" for place in ("below", "inside", "above"))
                print(f"   {items} items, {'2 or 95' if edge else '40'} %: {counts}")
        for row in sorted(mine, key=lambda row: row["held"]):
            if row["held"] < DOUBTFUL:
                error = 100 * twice_error(row["held"], row["studies"])
                print("   ", {key: row[key] for key in KEYS}, f"{100 * row['held']:.1f} ± {error:.1f}")


def print_families(studies: int, seed: int) -> None:
    """Print sizes of families, and what the best set leaves out."""
    print(f"\nfamilies of seven mixes, {studies} studies, in %")
    for number, (items, seeds, sd) in enumerate(itertools.product((200, 2000), SEEDS, SEED_SDS)):
        if seeds == 1 and sd:
            continue
        rates = families(Design(items, 4, (0.4,) * 8, seeds, sd), studies, np.random.default_rng([seed, 2, number]))
        text = ", ".join(f"{name} {100 * value:.1f}" for name, value in rates.items() if name != "size of set")
        print(f"n {items}, seeds {seeds}, sd {100 * sd:.1f}: {text}; set of {rates['size of set']:.1f}", flush=True)


def print_sizes(studies: int, seed: int, scores: Sequence[float]) -> None:
    """Print the sizes of the two families of seven mixes in cases of four."""
    print(f"\nfamilies of seven equal mixes, {studies} studies, in %: some gain over base, some pair of mixes settled")
    for score in scores:
        rows = []
        for number, (items, seeds, sd) in enumerate(itertools.product((200, 2000), SEEDS, SEED_SDS)):
            if (seeds == 1 and sd) or (score, sd) == (0.02, 0.042):
                continue
            design = Design(items, 4, (score,) * 8, seeds, sd)
            rows.append(family_sizes(design, studies, np.random.default_rng([seed, number])))
            gain, pair = rows[-1]
            where = f"true {100 * score:.0f}, n {items}, seeds {seeds}, sd {100 * sd:.1f}"
            print(f"{where}: {100 * gain:.1f}, {100 * pair:.1f}", flush=True)
        print(f"true {100 * score:.0f}: mean {np.round(100 * np.mean(rows, axis=0), 2)}")


def print_powers(studies: int, seed: int) -> None:
    """Print size and power of one difference with few mixes."""
    print(f"\nsize and power of one difference, 1,000 items, true score 40 %, {studies} studies, in %")
    for number, (mixes, base, seeds, sd, gain) in enumerate(
        itertools.product((1, 2, 7), (True, False), SEEDS, SEED_SDS, (0.0, 0.05))
    ):
        if (not base and mixes < 2) or (seeds == 1 and sd) or (gain and sd):
            continue
        rates = power(
            mixes,
            seeds,
            1000,
            gain=gain,
            sd=sd,
            against_base=base,
            studies=studies,
            numbers=np.random.default_rng([seed, 3, number]),
        )
        if sd and "variance analysis" not in rates:
            continue  # too few seeds: the tests are about the adapters, which do differ
        text = ", ".join(f"{name} {100 * value:.1f}" for name, value in rates.items())
        what = "against base" if base else "of two mixes"
        print(f"{mixes} mixes, {what}, seeds {seeds}, sd {100 * sd:.1f}, gain {100 * gain:.0f}: {text}", flush=True)


if __name__ == "__main__":
    main()
