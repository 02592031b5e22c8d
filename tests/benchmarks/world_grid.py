"""The truth of the world: every mix of a simplex lattice, trained with several seeds, and its merged proxies.

    PYTHONPATH=tests python tests/benchmarks/world_grid.py FOLDER [--steps 5] [--size 300] [--seeds 1 2 3]
    PYTHONPATH=tests python tests/benchmarks/world_grid.py FOLDER --config config/demo.yaml --steps 6 \
        --seeds 11 12 13 14 --truth resources/world/truth.yaml

Trains the mixes of a world's components whose shares are multiples of 1/steps, by the functions that the jobs call,
without Snakemake. A run that is started again goes on where it stopped; one with the `--seeds` that are done
gathers them. It ends with the best mixes and the rank correlation of trained with merged models and with averaged
probabilities, over mixes of two and more components. `FOLDER/grid.npz` holds

    shares       [run, component]
    seed         [run]
    right        [run, test]: whether an answer is right
    merged       [run, test]: the same of the single-component models of that seed, merged in the mix's shares
    averaged     [run, test]: the same where their label probabilities are averaged (MixMin)
    seconds      [run]: of training
    key          [test]: number of the fact that a test asks

With `--truth`, no proxies are made, and the mean score of each mix is written for `posologie findings`, together with
what it was measured of. Its seeds are not those of the study, so that the two are independent.
"""

import argparse
import itertools
import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import torch
import yaml

from posologie.cli.findings import measured_of
from posologie.records.files import write_text
from posologie.statistics.proxies import agreement_rows
from worlds import COMPONENTS, ROOT, World


def lattice(components, steps):
    """Return all compositions of `steps` into parts, the corners first, then what lies inside."""
    cuts = itertools.combinations(range(steps + components - 1), components - 1)
    bounds = [(-1, *cut, steps + components - 1) for cut in cuts]
    points = [tuple(high - low - 1 for low, high in itertools.pairwise(bound)) for bound in bounds]
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
    arguments.add_argument("--config", type=Path, default=ROOT / "config/world.yaml")
    arguments.add_argument("--truth", type=Path)
    options = arguments.parse_args()
    world = World(options.folder / "world", options.config)
    points = lattice(len(world.components), options.steps)
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
                if number < len(world.components):
                    torch.save(weights, corner)
                result = {"shares": shares, "seed": seed, "right": right, "seconds": seconds}
                result["probabilities"] = probabilities if number < len(world.components) else np.zeros(0)
                if number >= len(world.components) and options.truth is None:
                    result["merged"], result["averaged"] = proxies(world, corners, answered, shares)
                else:
                    result["merged"] = result["averaged"] = right
                np.savez_compressed(file, **result)
                print(f"{seed} {point} right {right.mean():.3f} merged {result['merged'].mean():.3f} "
                      f"averaged {result['averaged'].mean():.3f} {seconds:.1f} s", flush=True)  # fmt: skip
            if number < len(world.components):
                corners.append(torch.load(corner, weights_only=True))
                answered.append(np.load(file)["probabilities"])
                # lattice() puts the corners in the order of their shares, not of the components
                if number == len(world.components) - 1:
                    place = [int(np.argmax(point)) for point in points[: len(world.components)]]
                    corners = [corners[place.index(index)] for index in range(len(world.components))]
                    answered = [answered[place.index(index)] for index in range(len(world.components))]
    every = [np.load(runs / f"{s}-{'-'.join(map(str, p))}.npz") for s in options.seeds for p in points]
    names = [item.meta["fact"] for item in world.tests]
    columns = ("shares", "seed", "right", "merged", "averaged", "seconds")
    grid = {name: np.stack([result[name] for result in every]) for name in columns}
    np.savez_compressed(options.folder / "grid.npz", **grid, key=np.unique(names, return_inverse=True)[1])
    show(grid, world.components, proxies=options.truth is None)
    if options.truth is not None:
        write_truth(options.truth, grid, world, options.size)


def write_truth(file, grid, world, size):
    """Write the mean score of each mix over its seeds, in points, with its standard error."""
    points, place = np.unique(np.round(grid["shares"], 6), axis=0, return_inverse=True)
    scores = [100 * grid["right"][place.ravel() == number].mean(1) for number in range(len(points))]
    spread = np.sqrt(np.mean([of_mix.var(ddof=1) for of_mix in scores]))  # that of a run, the same for all mixes
    mixes = [
        {
            "shares": dict(zip(world.components, (round(float(share), 4) for share in point), strict=True)),
            "score": round(float(of_mix.mean()), 2),
            "standard_error": round(float(spread / np.sqrt(len(of_mix))), 2),
            "trainings": len(of_mix),
        }
        for point, of_mix in zip(points, scores, strict=True)
    ]
    head = "# True scores of mixes, in points. Made by tests/benchmarks/world_grid.py --truth; not to be edited.\n"
    made = {"size": size, "mixes": mixes, "measured_of": measured_of(world.study)}
    write_text(file, head + yaml.safe_dump(made, sort_keys=False, width=120, default_flow_style=None))


def show(grid, components=COMPONENTS, *, proxies=True):
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
        print(f"  {means['right'][place]:.1f}  {dict(zip(components, points[place].tolist(), strict=True))}")
    print("  corners", {name: round(float(means["right"][points[:, place].argmax()]), 1)
                        for place, name in enumerate(components)})  # fmt: skip
    inside = points.max(1) < 1 - 1e-9
    for name in ("merged", "averaged") if proxies else ():
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
