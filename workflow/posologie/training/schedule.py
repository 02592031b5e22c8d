"""The learning rate of each update: warm-up, then a decay, as transformers' schedulers define them."""

import math

from posologie.training.spec import Recipe


def learning_rate(step: int, total: int, recipe: Recipe) -> float:
    """Return the learning rate of an update.

    Args:
        step: updates done before this one, from 0. As in transformers, the first update of a warm-up has rate 0.
        total: updates of the whole training.
    """
    warmup = math.ceil(total * recipe.warmup_ratio)
    if step < warmup:
        return recipe.learning_rate * step / max(1, warmup)
    progress = (step - warmup) / max(1, total - warmup)
    if recipe.schedule == "cosine":
        return recipe.learning_rate * max(0.0, 0.5 * (1.0 + math.cos(math.pi * progress)))
    if recipe.schedule == "linear":
        return recipe.learning_rate * max(0.0, 1.0 - progress)
    return recipe.learning_rate
