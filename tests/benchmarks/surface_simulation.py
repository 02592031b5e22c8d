"""The surface where the truth is known: coverage, choice of the model, and regret of the prescribed mix.

    python tests/benchmarks/surface_simulation.py [--truths 600] [--null]

Truths over three components are linear, quadratic, or peaked inside the simplex; their expected scores have a standard
deviation of 1 over the simplex. Runs are at 7 (simplex centroid), 10, 15 or 21 (lattices) mixes, with the noise of
seeds, once known from repeated seeds and once not, and with item errors of known covariance, shared between mixes. For
each number of runs: coverage of 95 % intervals of expected scores and of new runs over a lattice of 66 mixes, error
of the chosen model and of each by itself, regret of its best mix, of the best tested mix and of a linear surface's,
and how often the runs are said to support a surface. `--null` makes all mixes equal: how often a surface is claimed.

Figures are means over truths, ± their Monte Carlo standard error. Seed 1.
"""

import argparse
from collections.abc import Callable

import numpy as np

from posologie.surface.choice import choose
from posologie.surface.runs import Runs

SEED = 1
SIZES = (7, 10, 15, 21)
KINDS = ("linear", "quadratic", "peaked")


def lattice(steps: int) -> np.ndarray:
    """Return the simplex lattice {3, steps}."""
    return np.array([[i, j, steps - i - j] for i in range(steps + 1) for j in range(steps + 1 - i)]) / steps


GRID = lattice(10)


def design(count: int) -> np.ndarray:
    """Return the mixes of a design."""
    if count == 7:
        return np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0.5, 0.5, 0], [0.5, 0, 0.5], [0, 0.5, 0.5], [1 / 3] * 3])
    return lattice({10: 3, 15: 4, 21: 5}[count])


def truth_of(kind: str, rng: np.random.Generator) -> Callable[[np.ndarray], np.ndarray]:
    """Return expected scores as a function of shares, with mean 0 and standard deviation 1 over the grid."""
    linear, blends = rng.normal(size=3), rng.normal(size=3) * 3
    centre, width, height = rng.dirichlet([2, 2, 2]), rng.uniform(0.2, 0.4), rng.uniform(2, 4)

    def raw(shares: np.ndarray) -> np.ndarray:
        value = shares @ linear
        if kind == "quadratic":
            value = value + np.stack([shares[:, i] * shares[:, j] for i, j in ((0, 1), (0, 2), (1, 2))], 1) @ blends
        if kind == "peaked":
            value = value + height * np.exp(-((shares - centre) ** 2).sum(1) / (2 * width**2))
        return value

    level, spread = raw(GRID).mean(), raw(GRID).std()
    return lambda shares: (raw(shares) - level) / spread


def simulated(
    count: int, kind: str, rng: np.random.Generator, *, null: bool = False
) -> tuple[Runs, Callable[[np.ndarray], np.ndarray], float]:
    """Return runs, the truth, and the variance of seeds."""
    truth = truth_of(kind, rng)
    mixes = design(count)
    seed_variance, adapters = rng.choice([0.15, 0.3, 0.5]) ** 2, int(rng.choice([1, 2]))
    items = 0.4**2 * np.ones((count, count)) + rng.choice([0.1, 0.2]) ** 2 * np.eye(count)
    expected = np.zeros(count) if null else truth(mixes)
    score = expected + rng.multivariate_normal(np.zeros(count), items)
    score = score + rng.normal(size=count) * np.sqrt(seed_variance / adapters)
    known = adapters > 1
    df = count * (adapters - 1)
    runs = Runs(
        tuple(f"mix {number}" for number in range(count)),
        ("a", "b", "c"),
        mixes,
        sizes=None,
        score=score,
        items=items,
        seeds=np.full(count, adapters),
        seed_variance=seed_variance * rng.chisquare(df) / df if known else None,
        seed_df=df if known else 0.0,
    )
    return runs, truth, seed_variance


def measured(runs: Runs, truth: Callable[[np.ndarray], np.ndarray], seed_variance: float, rng) -> dict[str, float]:
    """Return the figures of one set of runs."""
    choice = choose(runs)
    expected = truth(GRID)
    interval = choice.surface.interval(GRID)
    new = choice.surface.interval(GRID, adapters=1)
    drawn = expected + rng.normal(size=len(GRID)) * np.sqrt(seed_variance)
    facts = {
        "coverage": np.mean((interval.low <= expected) & (expected <= interval.high)),
        "coverage, new run": np.mean((new.low <= drawn) & (drawn <= new.high)),
        "width": np.mean(interval.high - interval.low),
        "regret, tested": expected.max() - truth(runs.shares[[int(runs.score.argmax())]])[0],
        "supported": float(choice.supported),
    }
    surfaces = {"chosen": choice.surface} | {
        candidate.fitted.form.name: candidate.fitted for candidate in choice.candidates
    }
    for name, surface in surfaces.items():
        mean = surface.interval(GRID).mean
        facts[f"error, {name}"] = np.std(mean - expected)
        facts[f"regret, {name}"] = expected.max() - expected[int(mean.argmax())]
    for tried in choice.candidates:
        facts[f"chosen {tried.fitted.form.name}"] = float(tried is choice.chosen)
    return {name: float(value) for name, value in facts.items()}


def main() -> None:
    """Print the figures."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--truths", type=int, default=600)
    arguments.add_argument("--sizes", type=int, nargs="*", default=SIZES)
    arguments.add_argument("--null", action="store_true")
    options = arguments.parse_args()
    for count in options.sizes:
        rows: dict[str, list[dict[str, float]]] = {}
        for number in range(options.truths):
            rng = np.random.default_rng([SEED, count, number])
            kind = KINDS[number % len(KINDS)]
            runs, truth, seed_variance = simulated(count, kind, rng, null=options.null)
            if options.null:
                facts = {"claimed": float(choose(runs).supported)}
            else:
                facts = measured(runs, truth, seed_variance, rng)
            for name in (kind, "all"):
                rows.setdefault(name, []).append(facts)
        for name in (*KINDS, "all"):
            print(f"\n{count} runs, {name} truths, n = {len(rows[name])}")
            for figure in rows[name][0]:
                values = np.array([row[figure] for row in rows[name]])
                print(
                    f"  {figure:28} {values.mean():7.3f} ±{values.std(ddof=1) / np.sqrt(len(values)):6.3f}", flush=True
                )


if __name__ == "__main__":
    main()
