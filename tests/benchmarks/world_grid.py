"""The truth of the world: every mix of a simplex lattice, trained with several seeds, and its merged proxies.

    PYTHONPATH=tests python tests/benchmarks/world_grid.py FOLDER [--steps 5] [--size 300] [--seeds 1 2 3]

Trains the mixes of `config/world.yaml`'s components whose shares are multiples of 1/steps, by the functions that the
jobs call, without Snakemake. A run that is started again goes on where it stopped; one with the `--seeds` that are done
gathers them. It ends with the best mixes and the rank correlation of trained with merged models and with averaged
probabilities, over mixes of two and more components. `FOLDER/grid.npz` holds

    shares       [run, component]
    seed         [run]
    right        [run, test]: whether an answer is right
    merged       [run, test]: the same of the single-component models of that seed, merged in the mix's shares
    averaged     [run, test]: the same where their label probabilities are averaged (MixMin)
    seconds      [run]: of training
    key          [test]: number of the fact that a test asks
"""

import argparse
import itertools
import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch

from posologie.statistics.proxies import agreement_rows
from worlds import COMPONENTS, World


def lattice(components, steps):
    """Return all compositions of `steps` into parts, the corners first, then what lies inside."""
    cuts = itertools.combinations(range(steps + components - 1), components - 1)
    bounds = [(-1, *one, steps + components - 1) for one in cuts]
    points = [tuple(high - low - 1 for low, high in itertools.pairwise(one)) for one in bounds]
    return sorted(points, key=lambda point: (max(point) != steps, -min(point), point))


def merged(world, corners, shares):
    """Return W₀ + Σ αₖ (Wₖ − W₀), by name."""
    return {
        name: start + sum(share * (corner[name] - start) for share, corner in zip(shares, corners, strict=True))
        for name, start in world.initial.items()
    }


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--steps", type=int, default=5)
    arguments.add_argument("--size", type=int, default=300)
    arguments.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    options = arguments.parse_args()
    world = World(options.folder / "world")
    points = lattice(len(COMPONENTS), options.steps)
    runs = options.folder / "runs"
    runs.mkdir(parents=True, exist_ok=True)
    for seed in options.seeds:
        corners, answered = [], []
        for number, point in enumerate(points):
            shares = np.array(point) / options.steps
            file = runs / f"{seed}-{'-'.join(map(str, point))}.npz"
            corner = runs / f"{seed}-{'-'.join(map(str, point))}.pt"
            if not file.is_file():
                weights, seconds = world.trained(shares, options.size, seed)
                right, probabilities = world.answers(weights)
                if number < len(COMPONENTS):
                    torch.save(weights, corner)
                found = {"shares": shares, "seed": seed, "right": right, "seconds": seconds}
                found["probabilities"] = probabilities if number < len(COMPONENTS) else np.zeros(0)
                if number >= len(COMPONENTS):
                    found["merged"], found["averaged"] = proxies(world, corners, answered, shares)
                else:
                    found["merged"] = found["averaged"] = right
                np.savez_compressed(file, **found)
                print(f"{seed} {point} right {right.mean():.3f} merged {found['merged'].mean():.3f} "
                      f"averaged {found['averaged'].mean():.3f} {seconds:.1f} s", flush=True)  # fmt: skip
            if number < len(COMPONENTS):
                corners.append(torch.load(corner, weights_only=True))
                answered.append(np.load(file)["probabilities"])
                # lattice() puts the corners in the order of their shares, not of the components
                if number == len(COMPONENTS) - 1:
                    place = [int(np.argmax(one)) for one in points[: len(COMPONENTS)]]
                    corners = [corners[place.index(index)] for index in range(len(COMPONENTS))]
                    answered = [answered[place.index(index)] for index in range(len(COMPONENTS))]
    every = [np.load(runs / f"{s}-{'-'.join(map(str, p))}.npz") for s in options.seeds for p in points]
    names = [item.meta["fact"] for item in world.tests]
    columns = ("shares", "seed", "right", "merged", "averaged", "seconds")
    grid = {name: np.stack([one[name] for one in every]) for name in columns}
    np.savez_compressed(options.folder / "grid.npz", **grid, key=np.unique(names, return_inverse=True)[1])
    show(grid)


def show(grid):
    """Print the best mixes, and how well proxies rank the mixes that are no single components."""
    shares, seeds = grid["shares"], np.unique(grid["seed"])
    points = np.unique(np.round(shares, 6), axis=0)
    rows = [np.abs(shares - point).max(1) < 1e-6 for point in points]
    means = {name: np.array([100 * grid[name][row].mean() for row in rows]) for name in ("right", "merged", "averaged")}
    noise = (
        np.sqrt(np.mean([np.var(100 * grid["right"][row].mean(1), ddof=1) for row in rows])) if len(seeds) > 1 else 0
    )
    print(f"{len(points)} mixes, seeds {seeds.tolist()}, standard deviation of a run {noise:.1f} points")
    for place in np.argsort(-means["right"])[:5]:
        print(f"  {means['right'][place]:.1f}  {dict(zip(COMPONENTS, points[place].tolist(), strict=True))}")
    print("  corners", {name: round(float(means["right"][points[:, place].argmax()]), 1)
                        for place, name in enumerate(COMPONENTS)})  # fmt: skip
    inside = points.max(1) < 1 - 1e-9
    for name in ("merged", "averaged"):
        pair = np.column_stack([means[name], means["right"]])[inside]
        rank = next(agreement_rows(pair, 0.95))
        print(f"{name}: Spearman {rank['value']:.2f} [{rank['low']:.2f}, {rank['high']:.2f}], {rank['n']} mixes")


def proxies(world, corners, answered, shares):
    """Return [test] twice: right answers of the merged model, and of the averaged probabilities."""
    right, _ = world.answers(merged(world, corners, shares))
    averaged = np.tensordot(shares, np.stack(answered), 1).argmax(1)
    return right, averaged == np.array([item.gold[0] for item in world.tests])


if __name__ == "__main__":
    main()
