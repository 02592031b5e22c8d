"""The learning rates are those of transformers' schedulers."""

import pytest
import torch
import transformers

from posologie.training.spec import Recipe
from posologie.training.update import learning_rate


@pytest.mark.parametrize("name", ["cosine", "linear", "constant"])
@pytest.mark.parametrize(("total", "warmup"), [(1750, 0.05), (7, 0.05), (1, 0.05), (20, 0.0), (10, 0.9)])
def test_every_update_has_the_rate_that_the_trainer_would_use(name, total, warmup):
    recipe = Recipe(schedule=name, warmup_ratio=warmup, learning_rate=1e-4)
    arguments = transformers.TrainingArguments(output_dir="/nowhere", warmup_steps=warmup, use_cpu=True)
    optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))], lr=1e-4)
    kind = "constant_with_warmup" if name == "constant" else name
    scheduler = transformers.get_scheduler(
        kind, optimizer, num_warmup_steps=arguments.get_warmup_steps(total), num_training_steps=total
    )
    for step in range(total):
        assert learning_rate(step, total, recipe) == pytest.approx(
            optimizer.param_groups[0]["lr"], rel=1e-12, abs=1e-20
        )
        optimizer.step()
        scheduler.step()
