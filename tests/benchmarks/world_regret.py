"""What a few trainings are worth in the world whose best mix is known, beside what a group would do without a surface.

    PYTHONPATH=tests python tests/benchmarks/world_regret.py [--repetitions 100]
    PYTHONPATH=tests python tests/benchmarks/world_regret.py --grid FOLDER/grid.npz [--repetitions 100]

Without `--grid`, the learner is a memoriser: it answers a fact with the key that most of its training items give,
guesses where it has seen none, and slips now and then. It learns from the same items, drawn by the same rule, as the
model of `config/world.yaml`, and a training takes a millisecond, so that the truth (the mean over 200 draws of every
mix of a lattice of 1/12) and hundreds of studies are cheap. With `--grid`, the learner is the model itself: the truth
is the mean over the seeds of each mix in the file of `world_grid.py`, and a study's run is one of these seeds.

Each repetition spends 7, 10 or 15 trainings, one seed each. `surface` is `posologie.surface.choice.choose` on a design
of the equal mix, the mixes halfway to each corner, the corners, and then the mixes farthest from those before; where it
finds no support, the best tested mix is given. `+ prescribed` spends the last third of the trainings where `prescribe`
says. Beside it: the best of random mixes, of the same design, of the equal mix alone, of the mixes of some components
in equal shares (as many as can be paid), and RegMix's regressions on the same runs (arXiv 2407.01492), LightGBM where
it is installed. Figures are means ± twice the Monte-Carlo error, in points:

- regret: the best true score of the lattice minus that of the mix that a method would give next;
- error: root mean squared error of predicted scores on the mixes that were not trained;
- rank: Spearman's correlation of the same; cover: share of these mixes whose score lies in its 95 % interval.
"""

import argparse
import importlib.util
import itertools
import time
import warnings
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from posologie.mixes.sampling import seeded_order
from posologie.sources.world_recipe import read_recipe
from posologie.surface.choice import choose
from posologie.surface.fidelity import with_proxy
from posologie.surface.fit import PROCESS, QUADRATIC, fit
from posologie.surface.next_runs import offers_of, prescribe
from posologie.surface.optimum import candidates_of, region_of
from posologie.surface.rates import trade
from posologie.surface.runs import Runs
from posologie.surface.simplex import whole_simplex
from worlds import COMPONENTS, ROOT

SIZE, SLIP, BUDGETS, TRUTH = 300, 0.13, (7, 10, 15), 200
WIDTH = len(COMPONENTS)


def lattice(steps):
    """Return [point, component], all mixes whose shares are multiples of 1/steps."""
    cuts = itertools.combinations(range(steps + WIDTH - 1), WIDTH - 1)
    bounds = [(-1, *cut, steps + WIDTH - 1) for cut in cuts]
    return np.array([[high - low - 1 for low, high in itertools.pairwise(bound)] for bound in bounds]) / steps


class Memoriser:
    """The world learnt by heart.

    Attributes:
        points: [point, component].
        truth: [point], expected score, in points.
    """

    def __init__(self):
        self.recipe = read_recipe(ROOT / "resources/world/recipe.yaml")
        self.points = lattice(12)
        self.facts, self.options = self.recipe.facts, len(self.recipe.options)
        self.pools = []
        for part in COMPONENTS:
            numbers, wordings = self.recipe.parts[part].numbers(), len(self.recipe.parts[part].wordings)
            facts = np.repeat(numbers, wordings)
            keys = np.repeat([self.recipe.taught_key(part, fact) for fact in numbers], wordings)
            ids = [f"{part}/{number}" for number in range(len(facts))]
            self.pools.append((ids, facts, keys))
        self.right = np.array([self.recipe.key(fact) for fact in range(self.facts)])
        self.truth = 100 * np.mean([self.trained(self.points, seed).mean(1) for seed in range(TRUTH)], axis=0)

    def trained(self, points, seed):
        """Return [point, fact], whether a model trained on each mix with this seed knows each fact."""
        numbers = np.random.default_rng([11, seed])
        slips, guesses = numbers.random(self.facts) < SLIP, numbers.integers(0, self.options, self.facts)
        ties = numbers.random((self.facts, self.options))
        votes = np.zeros((len(points), self.facts, self.options))
        counts = np.rint(points * SIZE).astype(int)
        for column, (ids, facts, keys) in enumerate(self.pools):
            order = seeded_order(ids, seed, "sample")
            for point, count in enumerate(counts[:, column]):
                np.add.at(votes[point], (facts[order[:count]], keys[order[:count]]), 1.0)
        answers = np.where((votes.sum(2) == 0) | slips, guesses, (votes + 0.5 * ties).argmax(2))
        return answers == self.right

    def run(self, point, seed):
        """Return [fact], the item scores of one training."""
        return self.trained(self.points[[point]], seed)[0].astype(float)

    def proxies(self, seed):
        """Return [point, fact], the scores of averaged answers of the single-component models of a seed (MixMin)."""
        return None


class Grid:
    """The trained grid: the same questions, answered by the model of the world."""

    def __init__(self, file):
        grid = np.load(file)
        self.seeds = sorted(set(grid["seed"].tolist()))
        points = np.unique(np.round(grid["shares"], 6), axis=0)
        self.points = points
        groups = grid["key"]
        self.values = {}
        self.merged = {}
        for share, seed, right, merged in zip(grid["shares"], grid["seed"], grid["right"], grid["merged"], strict=True):
            place = int(np.abs(points - share).max(1).argmin())
            for kept, values in ((self.values, right), (self.merged, merged)):
                kept[place, int(seed)] = np.bincount(groups, values) / np.bincount(groups)
        self.truth = np.array(
            [100 * np.mean([self.values[place, seed] for seed in self.seeds]) for place in range(len(points))]
        )

    def run(self, point, seed):
        """Return [fact], the item scores of one training."""
        return self.values[point, self.seeds[seed % len(self.seeds)]]

    def proxies(self, seed):
        """Return [point, fact], the item scores of merged models of a seed."""
        own = self.seeds[seed % len(self.seeds)]
        return np.array([self.merged[place, own] for place in range(len(self.points))])


def runs_of(points, scores, *, items):
    """Return runs from [run, fact] scores, in points; with the covariance of items, or as scores on these items."""
    count, facts = scores.shape
    covariance = 1e4 * np.cov(scores) / facts if items else np.zeros((count, count))
    return Runs(
        tuple(f"run {number}" for number in range(count)), COMPONENTS, points, sizes=None, score=100 * scores.mean(1),
        items=np.atleast_2d(covariance), seeds=np.ones(count, dtype=np.int64),
    )  # fmt: skip


def spread(points, count, numbers):
    """Return places of a design: the equal mix, those halfway to each corner, the corners, then those farthest away."""
    middle = np.full(WIDTH, 1 / WIDTH)
    starts = [middle, *(middle + (corner - middle) / 2 for corner in numbers.permutation(np.eye(WIDTH)))]
    chosen = [near(points, point) for point in [*starts, *numbers.permutation(np.eye(WIDTH))]]
    while len(chosen) < count:
        distance = np.linalg.norm(points[:, None] - points[chosen], axis=2).min(1)
        chosen.append(int(numbers.choice(np.flatnonzero(distance > distance.max() - 1e-9))))
    return chosen[:count]


def standard(points):
    """Return places of the mixes of some components in equal shares, or the nearest: singles, all, pairs, triples."""
    chosen = []
    for size in (1, WIDTH, *range(2, WIDTH)):
        for some in itertools.combinations(range(WIDTH), size):
            mix = np.zeros(WIDTH)
            mix[list(some)] = 1 / size
            chosen.append(int(np.linalg.norm(points - mix, axis=1).argmin()))
    return list(dict.fromkeys(chosen))


def near(points, shares):
    """Return the place of the nearest mix of the lattice."""
    return int(np.linalg.norm(points - shares, axis=1).argmin())


def predictions(world, runs):
    """Return what each method predicts for every mix of the lattice, with an interval where it has one."""
    choice = choose(runs)
    intervals = {"surface": choice.surface.interval(world.points)}
    intervals |= {f"{form.name} alone": fit(runs, form).interval(world.points) for form in (QUADRATIC, PROCESS)}
    design = np.column_stack([np.ones(len(runs)), runs.shares])
    solution = np.linalg.lstsq(design, runs.score, rcond=None)[0]
    intervals["RegMix, linear"] = (np.column_stack([np.ones(len(world.points)), world.points]) @ solution, None, None)
    if importlib.util.find_spec("lightgbm") is not None:
        import lightgbm

        warnings.simplefilter("ignore")
        model = lightgbm.LGBMRegressor(
            n_estimators=200, learning_rate=0.05, min_child_samples=2, random_state=42, verbosity=-1, n_jobs=1
        )
        model.fit(runs.shares, runs.score)
        intervals["RegMix, LightGBM"] = (model.predict(world.points), None, None)
    return intervals, choice


def prescribed(world, places, scores, seed, budget):
    """Return the design and scores after trainings that `prescribe` chooses, four at most at a time."""
    places = list(places)
    while len(places) < budget:
        runs = runs_of(world.points[places], np.array(scores), items=False)
        surface = choose(runs).surface
        bounds = whole_simplex(WIDTH)
        region = region_of(surface, candidates_of(surface, bounds, runs.shares))
        offers = offers_of(bounds, runs.shares)
        proposals = prescribe(surface, region, offers, tested=runs.shares, most=min(4, budget - len(places))).proposals
        if not proposals:
            break
        for proposal in proposals:
            place = near(world.points, proposal.shares)
            places.append(place)
            scores.append(world.run(place, seed + len(places)))
    return places, scores


def study(world, budget, repetition, *, follow):
    """Return method → (regret, error, rank, coverage) of one repetition, and whether the surface had support."""
    numbers = np.random.default_rng([7, budget, repetition])
    seed = 10_000 * (repetition + 1)
    best = world.truth.max()
    regrets = {}

    def record(name, place, mean=None, low=None, high=None, trained=()):
        rest = np.setdiff1d(np.arange(len(world.points)), trained)
        error = rank = cover = np.nan
        if mean is not None:
            error = np.sqrt(np.mean((mean - world.truth)[rest] ** 2))
            rank = spearmanr(mean[rest], world.truth[rest])[0] if np.ptp(mean[rest]) > 0 else 0.0
        if low is not None:
            cover = 100 * np.mean((low <= world.truth)[rest] & (world.truth <= high)[rest])
        regrets[name] = [best - world.truth[place], error, rank, cover]

    places = spread(world.points, budget, numbers)
    scores = np.array([world.run(place, seed + number) for number, place in enumerate(places)])
    runs = runs_of(world.points[places], scores, items=False)
    predicted, choice = predictions(world, runs)
    tested = places[int(runs.score.argmax())]
    for name, (mean, low, high) in predicted.items():
        dose = tested if name == "surface" and not choice.supported else int(np.argmax(mean))
        record(name, dose, mean, low, high, places)
    drawn = choose(runs_of(world.points[places], scores, items=True))
    wide = drawn.surface.interval(world.points)
    record("surface, items drawn", int(np.argmax(wide.mean)) if drawn.supported else tested, *wide, places)
    record("best of the design", tested)
    if follow:
        first = max(5, budget - budget // 3)
        more, _ = prescribed(world, places[:first], list(scores[:first]), seed, budget)
        final = np.array([world.run(place, seed + number) for number, place in enumerate(more)])
        last = choose(runs_of(world.points[more], final, items=False))
        ends = last.surface.interval(world.points)
        dose = int(np.argmax(ends.mean)) if last.supported else more[int(final.mean(1).argmax())]
        record("surface + prescribed", dose, *ends, more)
    cheap = world.proxies(seed)
    if cheap is not None:
        together = with_proxy(runs, runs_of(world.points, cheap, items=False))
        both = together.surface.interval(world.points)
        supported = together.plain.supported or together.weight
        record("surface + merged proxies", int(np.argmax(both.mean)) if supported else tested, *both, places)
        record("best merged proxy", int(cheap.mean(1).argmax()), 100 * cheap.mean(1), None, None, places)
    picked = numbers.choice(len(world.points), budget, replace=False)
    record(
        "best of random mixes", picked[int(np.argmax([world.run(p, seed + n).mean() for n, p in enumerate(picked)]))]
    )
    usual = standard(world.points)[:budget]
    record("best of equal shares", usual[int(np.argmax([world.run(p, seed + n).mean() for n, p in enumerate(usual)]))])
    record("equal mix", near(world.points, np.full(WIDTH, 1 / WIDTH)))
    return regrets, choice.supported


def rates(studies, noise=1.0, runs=12):
    """Print how often the interval of a rate holds k, where k wrong-keyed items do the work of a right one."""
    print(f"\nexchange rate: k wrong-keyed items do the work of one right one; {runs} trainings, noise {noise} points")
    right, wrong, nothing = "right", "wrong", "nothing"
    for k in (1.5, 3.0, 6.0):
        hits, bounded, values = [], [], []
        for number in range(studies):
            numbers = np.random.default_rng([13, int(10 * k), number])
            shares = numbers.dirichlet(np.ones(3), runs)
            shares[:3] = np.eye(3)
            score = 70 - 45 * np.exp(-1.5 * (shares[:, 0] + shares[:, 1] / k)) + noise * numbers.standard_normal(runs)
            runs_given = Runs(
                tuple(map(str, range(runs))),
                (right, wrong, nothing),
                shares,
                sizes=None,
                score=score,
                items=np.zeros((runs, runs)),
                seeds=np.ones(runs, dtype=np.int64),
            )
            rate = trade(choose(runs_given).surface, np.full(3, 100.0), right, wrong, nothing, sized=False)
            hits.append(rate.covers(k))
            bounded.append(rate.case == "bounded")
            values.append(rate.value)
        share = np.mean(hits)
        error = 200 * np.sqrt(max(share * (1 - share), 0.25 / studies) / studies)
        print(f"k = {k}: covered {100 * share:.1f} ±{error:.1f} %, bounded {100 * np.mean(bounded):.0f} %, "
              f"median {np.median(values):.2f}, {studies} studies", flush=True)  # fmt: skip


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--grid", type=Path)
    arguments.add_argument("--repetitions", type=int, default=100)
    arguments.add_argument("--budgets", type=int, nargs="*", default=BUDGETS)
    arguments.add_argument("--follow", action="store_true", help="spend the last third where `prescribe` says (slow)")
    arguments.add_argument("--rates", type=int, default=0, metavar="STUDIES", help="coverage of exchange rates as well")
    options = arguments.parse_args()
    world = Memoriser() if options.grid is None else Grid(options.grid)
    order = np.argsort(-world.truth)
    print(f"{len(world.points)} mixes of {', '.join(COMPONENTS)}; best {world.truth[order[0]]:.1f} at "
          f"{np.round(world.points[order[0]], 3).tolist()}, corners "
          f"{[round(float(world.truth[near(world.points, row)]), 1) for row in np.eye(WIDTH)]}, "
          f"equal {world.truth[near(world.points, np.full(WIDTH, 1 / WIDTH))]:.1f}")  # fmt: skip
    for budget in options.budgets:
        began, rows, supported = time.process_time(), [], []
        for repetition in range(options.repetitions):
            regrets, support = study(world, budget, repetition, follow=options.follow)
            rows.append(regrets)
            supported.append(support)
        print(f"\n{budget} trainings, {options.repetitions} repetitions, support in {100 * np.mean(supported):.0f} %, "
              f"{(time.process_time() - began) / options.repetitions:.1f} s each")  # fmt: skip
        print(f"{'':26} {'regret':>13} {'error':>13} {'rank':>14} {'cover':>13}")
        for name in rows[0]:
            table = np.array([row[name] for row in rows])
            error = 2 * table.std(0, ddof=1) / np.sqrt(len(table))
            cells = [f"{m:6.2f} ±{e:5.2f}" if m == m else " " * 13 for m, e in zip(table.mean(0), error, strict=True)]
            print(f"{name:26} {'  '.join(cells)}", flush=True)
    if options.rates:
        rates(options.rates)


if __name__ == "__main__":
    main()
