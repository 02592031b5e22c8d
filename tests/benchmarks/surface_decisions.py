"""What decisions from a surface are worth, over simulated studies whose truth is known.

    python tests/benchmarks/surface_decisions.py [region rates sweeps sequential stop] [--studies 400] [--noises …]

- region: how often the region of the optimum holds the best mix, the bound holds the regret of the chosen mix, and the
  interval holds its score; the bias of that score with and without the correction; expected against true regret.
- rates: how often Fieller's set and the distance between two sweeps cover the true exchange rate.
- sequential: regret of the chosen mix after trainings chosen by `prescribe`, at random, or to fill the space.
- stop: trainings spent, regret left and how often too much is left, where `prescribe` says stop.

Truths are Scheffé quadratics of three components, and ones with a bump that no quadratic has. ± is twice the
Monte-Carlo standard error. Seeds are fixed.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "surface"))
from gaussian import CENTROID, COMPONENTS, least_squares, runs_of, terms

from posologie.surface.candidates import lattice
from posologie.surface.next_runs import Prices, offers_of, prescribe
from posologie.surface.optimum import candidates_of, region_of
from posologie.surface.rates import curves_of, effects_at, horizontal_rate
from posologie.surface.simplex import whole_simplex

GRID = lattice(whole_simplex(3), 1400)[0]  # every fiftieth
SPREAD = np.concatenate([CENTROID, [[2 / 3, 1 / 6, 1 / 6], [1 / 6, 2 / 3, 1 / 6], [1 / 6, 1 / 6, 2 / 3]]])
DESIGNS = {
    "7 mixes, 10 runs": np.concatenate([CENTROID, CENTROID[[0, 1, 2]]]),
    "10 mixes, 15 runs": np.concatenate([SPREAD, SPREAD[[0, 1, 2, 6, 7]]]),
    "10 mixes, 40 runs": np.repeat(SPREAD, 4, axis=0),
}
TRUTHS = {
    "inside": np.array([40.0, 39.5, 39, 6, 7, 5]),
    "edge": np.array([40.0, 39, 33, 8, 1, 1]),
    "corner": np.array([42.0, 38, 36, 1, 0, 2]),
    "ridge": np.array([40.0, 40, 36, 0.2, 4, 4]),
    "flat": np.array([40.0, 40, 40, 0, 0, 0.1]),
}


def share(hits: list[bool]) -> str:
    """Return a share in percent with twice its Monte-Carlo error."""
    part = float(np.mean(hits))
    return f"{100 * part:5.1f} ±{200 * np.sqrt(max(part * (1 - part), 0.25 / len(hits)) / len(hits)):.1f}"


def mean(values: list[float]) -> str:
    """Return a mean with twice its Monte-Carlo error."""
    return f"{np.mean(values):6.3f} ±{2 * np.std(values, ddof=1) / np.sqrt(len(values)):.3f}"


def region(studies: int) -> None:
    """Print how the region, the bound of the regret and the corrected score hold."""
    print("\nregion; noise of a run 0.7 points; in %: best mix inside, regret below its bound, interval of the score;")
    print(
        "in points: bias before and after correction, expected regret, true regret; share of the simplex in the region"
    )
    for number, (name, truth) in enumerate(TRUTHS.items()):
        values = terms(GRID) @ truth
        best = GRID[int(np.argmax(values))]
        for design_number, (design_name, design) in enumerate(DESIGNS.items()):
            for known in (True, False):
                numbers = np.random.default_rng([1, number, design_number, known])
                inside, bounded, held, naive, corrected, expected, true, part = ([] for _ in range(8))
                for _ in range(studies):
                    score = terms(design) @ truth + numbers.normal(0, 0.7, len(design))
                    fitted = least_squares(COMPONENTS, design, score, variance=0.49 if known else None)
                    several = np.concatenate([best[None], design])
                    candidates = candidates_of(fitted, whole_simplex(3), several, lattice_points=66, even_points=64)
                    region_found = region_of(fitted, candidates, draws=500)
                    place = int(np.flatnonzero((np.abs(candidates.shares - best) < 1e-6).all(axis=1))[0])
                    of_chosen = float((terms(candidates.shares[region_found.chosen][None]) @ truth)[0])
                    inside.append(bool(region_found.inside[place]))
                    bounded.append(values.max() - of_chosen <= region_found.most_regret + 1e-6)
                    held.append(region_found.expected.low <= of_chosen <= region_found.expected.high)
                    naive.append(region_found.mean[region_found.chosen] - of_chosen)
                    corrected.append(region_found.expected.value - of_chosen)
                    expected.append(region_found.regret)
                    true.append(max(0.0, values.max() - of_chosen))
                    part.append(region_found.share)
                print(
                    f"{name:7s} {design_name}, variance {'known' if known else 'not'}: {share(inside)} {share(bounded)}"
                    f" {share(held)} | {mean(naive)} {mean(corrected)} | {mean(expected)} {mean(true)} |"
                    f" {np.mean(part):.2f}",
                    flush=True,
                )


def of_counts(counts: list[list[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Return shares and sizes."""
    whole = np.asarray(counts, float)
    return whole / whole.sum(axis=1, keepdims=True), whole.sum(axis=1)


def linear(shares: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Return thousands of items of each component, which the score is linear in."""
    return shares * (sizes / 1000)[:, None]


def rates(studies: int) -> None:
    """Print how often Fieller's set holds the true rate."""
    print("\nrates of a surface: items of translated that do the work of one native; in %: covered, bounded")
    shares, sizes = of_counts([[n, t, s] for n in (0, 2000) for t in (0, 2000) for s in (500, 2000)])
    for number, rate in enumerate((0.5, 1.0, 3.0, 10.0, 50.0)):
        for noise in (0.2, 0.8, 3.0):
            for known in (True, False):
                numbers = np.random.default_rng([2, number, int(10 * noise), known])
                true = np.array([2.0, 2.0 / rate, 0.4])
                covered, bounded = [], []
                for _ in range(5 * studies):
                    score = linear(shares, sizes) @ true + numbers.normal(0, noise, len(shares))
                    variance = noise**2 if known else None
                    surface = least_squares(COMPONENTS, shares, score, sizes, variance, terms=linear)
                    exchange = effects_at(surface, np.full(3, 1000.0)).rate("native", "translated")
                    covered.append(exchange.covers(rate))
                    bounded.append(exchange.case == "bounded")
                print(f"rate {rate:4.1f}, noise {noise}, variance {'known' if known else 'not'}: {share(covered)}"
                      f" {share(bounded)}", flush=True)  # fmt: skip


def sweeps(studies: int) -> None:
    """Print how often the distance between two dose–response curves holds the true rate."""
    print("\nrates of two sweeps with a common base, three seeds a mix; in %: covered, bounded")
    doses = {"translated": (1000, 2000, 4000), "synthetic": (1000, 4000, 8000)}
    counts = [[1000, 0, 0], *([1000, t, 0] for t in doses["translated"]), *([1000, 0, s] for s in doses["synthetic"])]
    shares, sizes = of_counts(counts)
    for number, rate in enumerate((0.5, 2.0, 4.0)):
        for noise in (0.1, 0.5, 2.0):
            numbers = np.random.default_rng([3, number, int(10 * noise)])
            grown = np.where(shares[:, 2] > 0, shares[:, 2] / rate, shares[:, 1]) * sizes
            covered, bounded = [], []
            true = 30 + 1.5 * grown / 1000
            items = 0.3**2 * noise * np.eye(len(true)) + 4.0
            # the curves are linear where the surface is, so that interpolation has no error of its own
            for error in numbers.multivariate_normal(np.zeros(len(true)), items, 5 * studies):
                runs = runs_of(
                    shares,
                    true + error + numbers.normal(0, noise / np.sqrt(3), len(true)),
                    sizes=sizes,
                    items=items,
                    seeds=np.full(len(true), 3),
                    seed_variance=noise**2 * numbers.chisquare(14) / 14,
                    seed_df=14.0,
                )
                curves = {curve.component: curve for curve in curves_of(runs)}
                exchange = horizontal_rate(runs, curves["translated"], curves["synthetic"], 1000.0)
                covered.append(exchange.covers(rate))
                bounded.append(bool(exchange.ranges) and np.isfinite(exchange.high))
            print(f"rate {rate}, noise {noise}: {share(covered)} {share(bounded)}", flush=True)


class World:
    """A truth with noise of seeds, drawn anew for each study."""

    def __init__(self, numbers: np.random.Generator, noise: float, *, bump: bool) -> None:
        self.coefficients = np.concatenate([40 + numbers.normal(0, 1.5, 3), numbers.normal(6, 5, 3)])
        self.bump = numbers.dirichlet(np.ones(3)) if bump else None
        self.noise = noise
        self.best = float(self.score(GRID).max())

    def score(self, shares: np.ndarray) -> np.ndarray:
        """Return true scores."""
        bump = 0.0 if self.bump is None else 1.5 * np.exp(-(((shares - self.bump) / 0.2) ** 2).sum(axis=1) / 2)
        return terms(shares) @ self.coefficients + bump

    def run(self, shares: np.ndarray, numbers: np.random.Generator) -> np.ndarray:
        """Return measured scores."""
        return self.score(shares) + numbers.normal(0, self.noise, len(shares))

    def regret(self, design: np.ndarray, score: np.ndarray) -> float:
        """Return how much worse the mix is that a surface of these runs chooses than the best."""
        surface = least_squares(COMPONENTS, design, score, variance=self.noise**2)
        chosen = GRID[int(np.argmax(surface.moments(GRID).mean))]
        return self.best - float(self.score(chosen[None])[0])


def asked(design: np.ndarray, score: np.ndarray, noise: float, training: float, most: int = 2):
    """Return what `prescribe` says of some runs."""
    surface = least_squares(COMPONENTS, design, score, variance=noise**2)
    candidates = candidates_of(surface, whole_simplex(3), design, lattice_points=231, even_points=8)
    offers = offers_of(whole_simplex(3), design, 66)
    prices = Prices(np.zeros(len(offers)), training=training)
    return prescribe(
        surface, region_of(surface, candidates, draws=100), offers, tested=design, prices=prices, most=most
    )


def farthest(design: np.ndarray, count: int) -> np.ndarray:
    """Return mixes of the lattice of twentieths that are farthest from all before them."""
    grid = lattice(whole_simplex(3), 231)[0]
    for _ in range(count):
        away = np.linalg.norm(grid[:, None] - design, axis=2).min(axis=1)
        design = np.concatenate([design, grid[int(np.argmax(away))][None]])
    return design[-count:]


def sequential(studies: int, noises: tuple[float, ...] = (1.0, 2.5)) -> None:
    """Print the regret after eight more trainings of each way to choose them."""
    print("\nsequential: seven mixes, then eight trainings in fours; regret of the chosen mix in points")
    for bump in (False, True):
        for noise in noises:
            regrets: dict[str, list[float]] = {}
            for study in range(studies):
                world = World(np.random.default_rng([4, study, bump]), noise, bump=bump)
                numbers = np.random.default_rng([5, study])
                start = world.run(CENTROID, numbers)
                tested = CENTROID[int(np.argmax(start))]
                regrets.setdefault("best tested", []).append(world.best - float(world.score(tested[None])[0]))
                regrets.setdefault("seven mixes", []).append(world.regret(CENTROID, start))
                for name in ("prescribe", "random", "space-filling"):
                    own = np.random.default_rng([6, study])
                    design, score = CENTROID, start
                    for _ in range(2):
                        if name == "prescribe":
                            proposals = asked(design, score, noise, 0.0, 4).proposals
                            shares = np.array([proposal.shares for proposal in proposals])
                            if not len(shares):  # nothing is expected to change the choice
                                break
                        elif name == "random":
                            shares = own.dirichlet(np.ones(3), 4)
                        else:
                            shares = farthest(design, 4)
                        score = np.append(score, world.run(shares, own))
                        design = np.concatenate([design, shares])
                    regrets.setdefault(name, []).append(world.regret(design, score))
            what = "a bump" if bump else "quadratic"
            text = ", ".join(f"{name} {mean(values)}" for name, values in regrets.items())
            paired = [
                f"less {name} {mean(list(np.subtract(regrets['prescribe'], regrets[name])))}"
                for name in ("random", "space-filling")
            ]
            print(f"{what}, noise {noise}: {text}; prescribe {', '.join(paired)}", flush=True)


def stop(studies: int, most: int = 24) -> None:
    """Print what is left where `prescribe` says stop."""
    print(f"\nstop: a training has to bring 0.1 points; at most {most} more trainings, in twos")
    print("trainings spent; never stopped in %; regret at once, at the stop, after all; expected at the stop;")
    print("regret + 0.1 a training at once, at the stop, after all; true regret at the stop above 0.5 points in %")
    for bump in (False, True):
        for noise in (0.5, 1.0, 2.5):
            spent, once, left, full, expected = ([] for _ in range(5))
            wrong, never = [], []
            for study in range(studies):
                world = World(np.random.default_rng([7, study, bump]), noise, bump=bump)
                numbers = np.random.default_rng([8, study])
                design, score = CENTROID, world.run(CENTROID, numbers)
                once.append(world.regret(design, score))
                for _ in range(most // 2):
                    advice = asked(design, score, noise, 0.1, 2)
                    if advice.stop:
                        break
                    shares = np.array([proposal.shares for proposal in advice.proposals])
                    score = np.append(score, world.run(shares, numbers))
                    design = np.concatenate([design, shares])
                never.append(not advice.stop)
                spent.append(float(len(design) - len(CENTROID)))
                left.append(world.regret(design, score))
                expected.append(advice.regret)
                wrong.append(left[-1] > 0.5)
                if (more := most - int(spent[-1])) > 0:
                    rest = farthest(design, more)
                    score = np.append(score, world.run(rest, numbers))
                    design = np.concatenate([design, rest])
                full.append(world.regret(design, score))
            what = "a bump" if bump else "quadratic"
            net = [mean(once), mean(list(np.add(left, 0.1 * np.array(spent)))), mean(list(np.add(full, 0.1 * most)))]
            print(f"{what}, noise {noise}: {mean(spent)}; {share(never)}; {mean(once)} {mean(left)} {mean(full)};"
                  f" {mean(expected)}; {' '.join(net)}; {share(wrong)}", flush=True)  # fmt: skip


PARTS = {"region": region, "rates": rates, "sweeps": sweeps, "sequential": sequential, "stop": stop}


def main() -> None:
    """Print the parts that are asked for."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("parts", nargs="*", choices=[*PARTS, []], default=[], metavar="PART", help="all if left out")
    arguments.add_argument("--studies", type=int, default=400)
    arguments.add_argument("--noises", type=float, nargs="+", help="noise of a run in sequential, in points")
    options = arguments.parse_args()
    for name in options.parts or PARTS:
        start = time.perf_counter()
        PARTS[name](options.studies, **({"noises": options.noises} if options.noises and name == "sequential" else {}))
        print(f"{name}: {time.perf_counter() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
