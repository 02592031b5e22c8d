"""The surface on RegMix's published runs, beside linear regression and LightGBM as RegMix uses them.

    python tests/benchmarks/surface_regmix.py --data ../shared/data/regmix [--draws 20] [--losses pile_cc …]
    python tests/benchmarks/surface_regmix.py --data ../shared/data/regmix --proxy

512 runs of a 1M-parameter model over 17 domains are there to fit, 256 to test (Liu et al. 2024, arXiv 2407.01492). The
surface is fitted to 20, 40, 80, 160 and 512 of them, drawn at random `--draws` times, and predicts the 256: root mean
squared error, Spearman's rank correlation, coverage of 95 % intervals for a run, and regret, which is the loss of the
test run predicted best minus the lowest. LightGBM has RegMix's settings, and stops early on the test runs themselves as
in its notebook, which is to its advantage; it is skipped where it is not installed (`pip install --target`). With
`--smaller-leaves` it may split leaves of fewer than 20 runs, its default.

`--proxy` predicts runs of the 60M-parameter model from 5 to 40 of them, alone and with 200 runs of the small
model, and its runs of the same mixes, as a proxy.

Figures are means over draws and losses, ± the Monte Carlo standard error over draws. Seed 1.
"""

import argparse
import importlib.util
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

from posologie.records.files import read_csv
from posologie.surface.choice import choose
from posologie.surface.fidelity import with_proxy
from posologie.surface.fit import FORMS, Interval, fit
from posologie.surface.runs import Runs

SIZES = (20, 40, 80, 160, 512)
LARGE = (5, 10, 20, 40)
SEED = 1


def read(folder: Path, part: str, size: str) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """Return shares that sum to 1, losses, and the names of the losses."""
    _, mixes = read_csv(folder / f"{part}_mixture_{size}.csv")
    metrics, losses = read_csv(folder / f"{part}_pile_loss_{size}.csv")
    assert [row[0] for row in mixes] == [row[0] for row in losses]
    shares = np.array([[float(cell) for cell in row[1:]] for row in mixes])
    names = [name.removeprefix("metric/the_pile_").removesuffix("_val_loss") for name in metrics[1:]]
    return shares / shares.sum(1, keepdims=True), np.array([[float(cell) for cell in row[1:]] for row in losses]), names


def runs_of(shares: np.ndarray, losses: np.ndarray) -> Runs:
    """Return runs with nothing known of their errors, the loss turned round."""
    count = len(losses)
    return Runs(
        tuple(f"run {number}" for number in range(count)), tuple(str(column) for column in range(shares.shape[1])),
        shares, sizes=None, score=-losses, items=np.zeros((count, count)), seeds=np.ones(count, dtype=np.int64),
    )  # fmt: skip


def figures(predicted: np.ndarray, losses: np.ndarray, interval: Interval | None) -> list[float]:
    """Return error, rank correlation, coverage and regret of predicted scores."""
    error = float(np.sqrt(np.mean((predicted + losses) ** 2)))
    rank = 0.0 if np.ptp(predicted) == 0 else float(spearmanr(predicted, -losses)[0])
    best = np.flatnonzero(predicted == predicted.max())
    inside = np.nan if interval is None else float(np.mean((interval.low <= -losses) & (-losses <= interval.high)))
    return [error, rank, inside, float(losses[best].mean() - losses.min())]


def surface(form_names: tuple[str, ...] | None) -> Callable[..., tuple[list[float], str]]:
    """Return a method: the chosen surface, or one form."""

    def predict(shares, losses, tested, truth):
        runs = runs_of(shares, losses)
        if form_names is None:
            fitted = choose(runs).surface
        else:
            fitted = fit(runs, next(form for form in FORMS if form.name in form_names))
        interval = fitted.interval(tested, adapters=1)
        return figures(interval.mean, truth, interval), fitted.form.name

    return predict


def linear(shares, losses, tested, truth):
    """Ordinary least squares with an intercept, of least norm where shares outnumber runs."""
    design = np.column_stack([np.ones(len(shares)), shares])
    solution = np.linalg.lstsq(design, losses, rcond=None)[0]
    return figures(-(np.column_stack([np.ones(len(tested)), tested]) @ solution), truth, None), ""


def boosted(**more: int) -> Callable[..., tuple[list[float], str]]:
    """Return LightGBM with RegMix's settings."""

    def predict(shares, losses, tested, truth):
        import lightgbm

        warnings.simplefilter("ignore", FutureWarning)  # `eval_set` is named otherwise from 4.7 on
        model = lightgbm.LGBMRegressor(
            objective="regression",
            n_estimators=1000,
            learning_rate=1e-2,
            random_state=42,
            verbosity=-1,
            n_jobs=1,
            **more,
        )
        model.fit(
            shares, losses, eval_set=[(tested, truth)], eval_metric="l2",
            callbacks=[lightgbm.early_stopping(stopping_rounds=3, verbose=False)],
        )  # fmt: skip
        return figures(-model.predict(tested), truth, None), ""

    return predict


def report(label: str, values: list[list[float]], names: list[str], seconds: float) -> None:
    """Print means and Monte Carlo errors of [draw] figures."""
    table = np.array(values)
    error = table.std(0, ddof=1) / np.sqrt(len(table)) if len(table) > 1 else np.zeros(table.shape[1])
    cells = "  ".join(f"{mean:7.3f} ±{spread:5.3f}" for mean, spread in zip(table.mean(0), error, strict=True))
    chosen = ", ".join(f"{name} {names.count(name)}" for name in dict.fromkeys(names) if name)
    print(f"{label:34} {cells}  {seconds:6.1f} s  {chosen}", flush=True)


def main() -> None:
    """Print the figures."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--data", type=Path, required=True)
    arguments.add_argument("--draws", type=int, default=20)
    arguments.add_argument("--losses", nargs="*", help="validation losses (default: all 13 and their mean)")
    arguments.add_argument("--sizes", type=int, nargs="*", default=SIZES)
    arguments.add_argument("--smaller-leaves", action="store_true")
    arguments.add_argument("--forms", action="store_true", help="each form by itself, too")
    arguments.add_argument("--proxy", action="store_true")
    options = arguments.parse_args()
    shares, losses, names = read(options.data, "train", "1m")
    tested, truth, _ = read(options.data, "test", "1m")
    losses, truth = (np.column_stack([table, table.mean(1)]) for table in (losses, truth))
    names = [*names, "mean"]
    columns = [names.index(name) for name in options.losses or names]
    if options.proxy:
        proxies(options, shares, losses, columns)
        return
    methods = {"surface": surface(None), "linear regression": linear}
    if options.forms:
        methods |= {form.name: surface((form.name,)) for form in FORMS}
    if importlib.util.find_spec("lightgbm") is None:
        print("LightGBM is not installed: left out (pip install --target FOLDER lightgbm; PYTHONPATH=FOLDER)")
    else:
        methods["LightGBM"] = boosted()
        if options.smaller_leaves:
            methods["LightGBM, leaves of 3"] = boosted(min_child_samples=3)
    print(f"losses: {', '.join(names[loss] for loss in columns)}")
    print(f"{'runs, method':34} {'RMSE':>14}  {'rank corr.':>14}  {'coverage':>14}  {'regret':>14}")
    for size in options.sizes:
        draws = options.draws if size < len(shares) else 1
        picks = [np.random.default_rng([SEED, size, draw]).permutation(len(shares))[:size] for draw in range(draws)]
        for label, method in methods.items():
            values, kinds, began = [], [], time.process_time()
            for pick in picks:
                predictions = [method(shares[pick], losses[pick, loss], tested, truth[:, loss]) for loss in columns]
                values.append(list(np.mean([value for value, _ in predictions], axis=0)))
                kinds += [kind for _, kind in predictions]
            report(f"{size}, {label}", values, kinds, (time.process_time() - began) / len(kinds))


def proxies(options: argparse.Namespace, shares: np.ndarray, losses: np.ndarray, columns: list[int]) -> None:
    """Print how runs of the large model are predicted from few of them, with small runs as a proxy."""
    mixes, large, _ = read(options.data, "test", "60m")
    _, small, _ = read(options.data, "test", "1m")
    large, small = (np.column_stack([table, table.mean(1)]) for table in (large, small))
    print(f"{'large runs, method':34} {'RMSE':>14}  {'rank corr.':>14}  {'coverage':>14}  {'regret':>14}")
    for size in [size for size in options.sizes if size in LARGE] or LARGE:
        rows: dict[str, list[list[float]]] = {"alone": [], "with the proxy": [], "weight, correlation low and high": []}
        for draw in range(options.draws):
            pick = np.random.default_rng([SEED, size, draw]).permutation(len(mixes))
            known, asked = pick[:size], pick[size:]
            parts: dict[str, list[list[float]]] = {name: [] for name in rows}
            for loss in columns:
                runs = runs_of(mixes[known], large[known, loss])
                both = runs_of(
                    np.concatenate([shares[:200], mixes[known]]),
                    np.concatenate([losses[:200, loss], small[known, loss]]),
                )
                result = with_proxy(runs, both)
                for name, fitted in (("alone", result.plain.surface), ("with the proxy", result.surface)):
                    interval = fitted.interval(mixes[asked], adapters=1)
                    parts[name].append(figures(interval.mean, large[asked, loss], interval))
                correlation = result.agreement
                parts["weight, correlation low and high"].append(
                    [result.weight, correlation.correlation or 0, correlation.low or 0, correlation.high or 0]
                )
            for name in rows:
                rows[name].append(list(np.mean(parts[name], axis=0)))
        for name, values in rows.items():
            report(f"{size}, {name}", values, [], 0.0)


if __name__ == "__main__":
    main()
