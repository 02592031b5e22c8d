"""Simulated studies on the grid of items × adapters, whose truth is known exactly; many studies at a time.

An answer is right if a latent normal number falls below a threshold. The number is the sum of what the case, the item,
the item under one mix, and chance contribute; the threshold is that of the adapter's true score. The true scores of the
adapters of one mix are beta-distributed around the mix's, with the standard deviation that is asked for, so that they
stay between 0 and 1.
"""

from dataclasses import dataclass

import numpy as np
from scipy.special import ndtri

from posologie.statistics.crossed import Crossed, Moments, covariance_of, crossed
from posologie.statistics.entries import Entry

CASE, ITEM, MIX = 0.3, 0.2, 0.15
"""Parts of the latent variance: of cases, of items in them, and of items under one mix; the rest is chance."""


@dataclass(frozen=True)
class Design:
    """A simulated study.

    Attributes:
        items, cluster: number of items, and how many share a case.
        scores: true score of base, then of each mix.
        seeds: adapters of each mix.
        seed_sd: standard deviation of adapters' true scores within a mix.
    """

    items: int
    cluster: int
    scores: tuple[float, ...]
    seeds: int
    seed_sd: float = 0.0

    @property
    def entries(self) -> list[Entry]:
        """Base and the mixes, as arms."""
        arms = [Entry("q/base", "base", "q", "", "", (0,))]
        for mix in range(len(self.scores) - 1):
            members = tuple(1 + mix * self.seeds + seed for seed in range(self.seeds))
            arms.append(Entry(f"q/{mix}", "mix", "q", str(mix), "all", members))
        return arms


def simulate(design: Design, studies: int, numbers: np.random.Generator) -> tuple[Crossed, np.ndarray]:
    """Return the crossed model of many studies, and [study, arm] what it speaks of: recipes, or adapters with one seed.

    Items are a single stratum.
    """
    mixes = len(design.scores) - 1
    true = np.repeat(np.array(design.scores[1:])[None], studies, axis=0)[:, :, None]
    true = np.repeat(true, design.seeds, axis=2)
    if design.seed_sd:
        spread = true * (1 - true) / design.seed_sd**2 - 1
        true = numbers.beta(true * spread, (1 - true) * spread)
    thresholds = np.concatenate(
        [np.full((studies, 1), design.scores[0]), true.reshape(studies, mixes * design.seeds)], axis=1
    )
    thresholds = ndtri(np.clip(thresholds, 1e-9, 1 - 1e-9)).astype(np.float32)
    point, covariance = [], []
    batch = max(1, int(4e6 / design.items / thresholds.shape[1]))
    for start in range(0, studies, batch):
        of_batch = _moments(design, thresholds[start : start + batch], numbers)
        point.append(of_batch.point)
        covariance.append(of_batch.covariance)
    moments = Moments(np.concatenate(point), np.concatenate(covariance), of_batch.df)
    arms = design.entries
    model = crossed(moments, arms, arms, sparse_items=design.items)
    recipes = np.repeat(np.array(design.scores)[None], studies, axis=0)
    if not model.seeds:
        recipes[:, 1:] = true.mean(axis=2)
    return model, recipes


def _moments(design: Design, thresholds: np.ndarray, numbers: np.random.Generator) -> Moments:
    studies, models = thresholds.shape
    cases = design.items // design.cluster

    def normal(*shape: int) -> np.ndarray:
        return numbers.standard_normal((studies, *shape), dtype=np.float32)

    shared = np.sqrt(CASE) * np.repeat(normal(cases), design.cluster, axis=1) + np.sqrt(ITEM) * normal(design.items)
    mixes = len(design.scores) - 1
    own = np.concatenate([np.zeros(1, int), 1 + np.repeat(np.arange(mixes), design.seeds)])
    latent = np.sqrt(MIX) * normal(design.items, mixes + 1)[:, :, own]
    latent += np.sqrt(1 - CASE - ITEM - MIX) * normal(design.items, models)
    latent += shared[:, :, None]
    right = latent < thresholds[:, None, :]
    of_case = right.reshape(studies, cases, design.cluster, models).sum(axis=2).astype(float)
    point = of_case.mean(axis=1) / design.cluster
    influence = of_case / design.items - point[:, None, :] / cases
    covariance, df = covariance_of(influence, np.full(cases, 1 / cases), [slice(0, cases)])
    return Moments(point, covariance, df)


def study_of(model: Crossed, number: int) -> Crossed:
    """Return the model of one of many simulated studies."""
    seeds = {
        name: variance._replace(between=variance.between[number], noise=variance.noise[number])
        for name, variance in model.seeds.items()
    }
    return Crossed(
        model.entries,
        model.point[number],
        model.items[number],
        df_items=model.df_items,
        share=model.share,
        seeds=seeds,
        floor=model.floor[number],
        bounded=model.bounded,
    )
