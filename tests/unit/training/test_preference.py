"""Direct preference optimisation: losses and gradients are those of its definition, with stock peft layers."""

import json
import os
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch
from adapted_models import adapted
from training_made import a_pair, pairs, some_items

from posologie.models.load import load_model, load_tokenizer
from posologie.records.files import write_parquet
from posologie.records.items import items_to_table
from posologie.records.prompting import Prompting
from posologie.running.errors import InputError
from posologie.training import examples as examples_module
from posologie.training.batches import updates_of_epoch
from posologie.training.examples import tokenise
from posologie.training.processes import Group
from posologie.training.spec import Recipe, TrainingSpec
from posologie.training.student import make_student
from posologie.training.update import learning_rate


def log_probability(model, tokens, answer, end):
    """Return the log probability of an answer with its end of turn, as TRL's documentation defines it."""
    logits = model(input_ids=tokens[None]).logits[0, :-1]
    each = logits.log_softmax(-1).gather(1, tokens[1:, None])[:, 0]
    return each[answer - 1 : end - 1].sum()


def reference_run(folder, examples, recipe, start):
    """Return loss and gradient norm of each update of a plain loop over single answers, and the final losses."""
    model = load_model(folder, precision="float32", device="cpu")
    backbone = load_model(folder, precision="float32", device="cpu").requires_grad_(False)
    model = model.requires_grad_(True) if recipe.method == "full" else adapted(model, recipe)
    assert not model.load_state_dict(start, strict=False).unexpected_keys
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, weight_decay=0.0)
    count = len(examples.item_ids)
    updates = updates_of_epoch(
        examples.item_ids,
        examples.item_lengths,
        effective_batch=recipe.effective_batch,
        seed=42,
        epoch=0,
        group_by_length=recipe.group_by_length,
    )

    def margin(item):
        gains = []
        for place in (2 * item, 2 * item + 1):
            tokens = torch.from_numpy(
                examples.tokens[examples.starts[place] : examples.starts[place + 1]].astype("int64")
            )
            ends = int(examples.answers[place]), int(examples.answer_ends[place])
            gains.append(log_probability(model, tokens, *ends) - log_probability(backbone, tokens, *ends))
        return gains[0] - gains[1]

    rows = []
    for step, update in enumerate(updates):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, len(updates), recipe)
        margins = torch.stack([margin(int(item)) for item in update])
        loss = (1 + (-recipe.dpo_beta * margins).exp()).log().mean()
        optimizer.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(trained, recipe.max_grad_norm)
        optimizer.step()
        rows.append((float(loss), float(norm)))
    assert count == sum(map(len, updates))
    return rows


def recipe_of(**changes):
    return Recipe.model_validate(
        {
            "objective": "dpo",
            "precision": "float32",
            "rank": 4,
            "effective_batch": 3,
            "epochs": 1,
            "dropout": 0.0,
            "learning_rate": 1e-2,
            "warmup_ratio": 0.0,
            "gradient_checkpointing": False,
            **changes,
        }
    )


@pytest.mark.parametrize(
    "changes",
    [{"method": "dora", "dpo_beta": 0.5, "gradient_checkpointing": True}, {"method": "pissa"}, {"method": "full"}],
)
def test_losses_and_gradient_norms_are_those_of_the_definition(backbone, job, changes):
    recipe = recipe_of(**changes)
    items = pairs(8)
    ours = job(recipe=recipe.model_dump(), items=items, validation=pairs(3, 700)).run(micro_batch=5).history()
    spec = TrainingSpec(backbone="tiny", mix="NAT", seed=42, recipe=recipe, prompting=Prompting())
    student = make_student(backbone.parent, spec, Group().device)
    start = {name: weight.detach().clone() for name, weight in student.weights.items()}
    examples = tokenise(items, load_tokenizer(backbone.parent), Prompting(), 2048, pairs=True)
    theirs = reference_run(backbone.parent, examples, recipe, start)
    assert len(ours) == len(theirs) == 3
    assert ours[0]["loss"] == pytest.approx(np.log(2), rel=1e-6)  # the first update tells no answers apart yet
    for update, (loss, norm) in zip(ours, theirs, strict=True):
        assert update["loss"] == pytest.approx(loss, rel=2e-5)
        assert update["gradient_norm"] == pytest.approx(norm, rel=1e-3)
        assert update["examples"] in (2, 3)
    assert abs(ours[-1]["loss"] - ours[0]["loss"]) > 1e-3


def test_a_training_prefers_the_chosen_answers_and_records_it(job):
    done = job(recipe=recipe_of(epochs=4, keep="best").model_dump(), items=pairs(8), validation=pairs(8)).run()
    history = done.history()
    assert history[-1]["validation_preferred"] == 1.0
    assert history[-1]["validation_loss"] < 0.65  # log 2 before the training
    assert history[-1]["validation_answer_loss"] > 0
    assert history[0]["validation_preferred"] is None
    facts = done.facts()
    assert facts["items"]["train"]["used"] == 8
    assert facts["validation_preferred"] == 1.0
    assert facts["spec"]["recipe"]["objective"] == "dpo"


def test_neither_micro_batch_nor_a_kill_changes_a_training(job):
    recipe = recipe_of(method="pissa", epochs=2, dropout=0.1).model_dump()
    settings = {"items": pairs(7), "validation": pairs(3, 700)}
    whole = job("whole", recipe, **settings).run(micro_batch=4)
    other = job("other", recipe, **settings).run(micro_batch=1)
    for row, other_row in zip(whole.history(), other.history(), strict=True):
        assert row["loss"] == pytest.approx(other_row["loss"], rel=1e-5)
    killed = job("killed", recipe, **settings)

    def prepare():
        step, calls = torch.optim.AdamW.step, []

        def fourth(*args):
            calls.append(1)
            if len(calls) == 4:
                os.kill(os.getpid(), signal.SIGKILL)
            return step(*args)

        torch.optim.AdamW.step = fourth

    assert killed.outcome(killed.fork(prepare, checkpoint_seconds=0.0, micro_batch=4)) == -signal.SIGKILL
    killed.run(micro_batch=4)
    assert killed.facts()["updates_of_earlier_attempts"] == 3
    assert killed.artifacts() == whole.artifacts()


def test_a_question_without_a_rejected_answer_is_refused(job):
    with pytest.raises(InputError, match=r"item '.*': task mcqu; .*objective = 'dpo' expects the task preference"):
        job(recipe=recipe_of().model_dump(), items=some_items(1)).run()


def test_answers_of_a_pair_stand_behind_the_same_prompt_with_the_same_context(backbone):
    tokenizer = load_tokenizer(backbone.parent)
    item = a_pair(1, context="contexte " * 60)
    item = replace(item, options=(item.options[0], item.options[1] * 8))
    examples = tokenise([item], tokenizer, Prompting(), 256, pairs=True)
    assert examples.context_cut == (item.id,)
    assert examples.ids == (item.id, f"{item.id} (rejected)")
    assert examples.item_ids == (item.id,)
    assert examples.lengths.max() <= 256
    chosen, rejected = (
        examples.tokens[examples.starts[n] : examples.starts[n + 1]][: examples.answers[n]] for n in (0, 1)
    )
    assert np.array_equal(chosen, rejected)
    assert examples.item_lengths.tolist() == [examples.lengths.sum()]
    assert examples.of_items(np.array([0])).tolist() == [0, 1]
    plain = tokenise([item], tokenizer, Prompting(), 2048)  # without the objective, the chosen answer is learnt
    assert tokenizer.decode(plain.tokens[plain.answers[0] : plain.answer_ends[0]]).startswith(item.options[0])


def test_pairs_are_read_again_as_they_were_saved(backbone, tmp_path):
    examples = tokenise(pairs(3), load_tokenizer(backbone.parent), Prompting(), 2048, pairs=True)
    examples_module.save(examples, tmp_path)
    again = examples_module.load(tmp_path)
    assert (again.pairs, again.ids) == (True, examples.ids)
    assert np.array_equal(again.tokens, examples.tokens)


def test_a_pair_is_an_item_of_a_table(tmp_path):
    write_parquet(tmp_path / "items.parquet", items_to_table(pairs(1)))
    assert a_pair(1).problem() is None
    assert replace(a_pair(1), options=("a",)).problem() == "no pair of answers, the chosen one first"
    assert replace(a_pair(1), options=("a", " ")).problem() == "empty answer"
    assert replace(a_pair(1), options=("a", "a")).problem() == "both answers are the same"


def test_recipes_without_the_objective_keep_their_spec():
    plain = json.loads(Recipe().canonical_json())
    assert "objective" not in plain
    assert "dpo_beta" not in plain
    assert json.loads(recipe_of().canonical_json())["objective"] == "dpo"
    with pytest.raises(ValueError, match="objective dpo"):
        Recipe(dpo_beta=0.2)
    with pytest.raises(ValueError, match="quantization none"):
        Recipe(method="pissa", quantization="4bit")
