"""The loop is the published recipe: the losses of transformers' Trainer with stock peft layers."""

import pytest
import torch
import transformers
from adapted_models import adapted
from training_made import some_items

from posologie.models.load import load_model, load_tokenizer
from posologie.records.prompting import Prompting
from posologie.training.batches import updates_of_epoch
from posologie.training.examples import tokenise
from posologie.training.processes import Group
from posologie.training.spec import Recipe, TrainingSpec
from posologie.training.student import make_student

pytestmark = pytest.mark.slow


def trainer_history(folder, examples, recipe, seed, start):
    """Return loss, learning rate and gradient norm of each update of transformers' Trainer from the same weights."""
    order = [
        int(index)
        for epoch in range(recipe.epochs)
        for update in updates_of_epoch(
            examples.ids,
            examples.lengths,
            effective_batch=recipe.effective_batch,
            seed=seed,
            epoch=epoch,
            group_by_length=recipe.group_by_length,
        )
        for index in update
    ]
    rows = []
    for index in order:
        tokens = torch.from_numpy(examples.tokens[examples.starts[index] : examples.starts[index + 1]].astype("int64"))
        labels = tokens.clone()
        if recipe.loss_on == "answer":
            labels[: examples.answers[index]] = -100
            labels[examples.answer_ends[index] :] = -100
        rows.append({"input_ids": tokens, "labels": labels})

    def collate(features):
        def padded(values, fill):
            return torch.nn.utils.rnn.pad_sequence(values, batch_first=True, padding_value=fill)

        tokens = [feature["input_ids"] for feature in features]
        return {
            "input_ids": padded(tokens, 0),
            "attention_mask": padded([torch.ones_like(row) for row in tokens], 0),
            "labels": padded([feature["labels"] for feature in features], -100),
        }

    model = load_model(folder, precision="float32", device="cpu")
    if recipe.method != "full":
        model = adapted(model, recipe)
    missing = model.load_state_dict(start, strict=False).unexpected_keys
    assert not missing
    arguments = transformers.TrainingArguments(
        output_dir="/nowhere",
        per_device_train_batch_size=2,
        gradient_accumulation_steps=recipe.effective_batch // 2,
        num_train_epochs=1,
        learning_rate=recipe.learning_rate,
        lr_scheduler_type=recipe.schedule,
        warmup_steps=recipe.warmup_ratio,
        max_grad_norm=recipe.max_grad_norm,
        weight_decay=recipe.weight_decay,
        gradient_checkpointing=recipe.gradient_checkpointing,
        gradient_checkpointing_kwargs={"use_reentrant": False},
        train_sampling_strategy="sequential",
        save_strategy="no",
        report_to="none",
        logging_steps=1,
        disable_tqdm=True,
        use_cpu=True,
    )
    trainer = transformers.Trainer(model=model, args=arguments, train_dataset=rows, data_collator=collate)
    trainer.remove_callback(transformers.PrinterCallback)
    trainer.train()
    entries = [entry for entry in trainer.state.log_history if "loss" in entry]
    return [(entry["loss"], entry["learning_rate"], entry["grad_norm"]) for entry in entries]


@pytest.mark.parametrize(
    "changes",
    [
        {"method": "dora", "gradient_checkpointing": True},
        {"method": "dora", "loss_on": "answer", "max_grad_norm": 0.01},
        {"method": "rslora", "weight_decay": 0.1, "schedule": "linear"},
        {"method": "dora", "weight_decay": 0.5},
        {"method": "full", "weight_decay": 0.5},
        {"method": "pissa", "alpha": 8},
    ],
)
def test_losses_rates_and_gradient_norms_are_the_trainers(backbone, job, changes):
    compare(backbone, job, changes, some_items(8))


def test_the_last_update_of_an_epoch_is_the_trainers_too_when_it_holds_fewer_examples(backbone, job):
    compare(backbone, job, {"method": "dora", "epochs": 1, "warmup_ratio": 0.0}, some_items(11))


def compare(backbone, job, changes, items):
    """Compare every update with the Trainer's."""
    recipe = Recipe.model_validate(
        {
            "precision": "float32",
            "rank": 4,
            "effective_batch": 4,
            "epochs": 2,
            "dropout": 0.0,
            "learning_rate": 1e-2,
            "warmup_ratio": 0.3,
            "gradient_checkpointing": False,
            **changes,
        }
    )
    ours = job(recipe=recipe.model_dump(), items=items).run(micro_batch=3).history()
    spec = TrainingSpec(backbone="tiny", mix="NAT", seed=42, recipe=recipe, prompting=Prompting())
    start = {
        name: weight.detach().clone()
        for name, weight in make_student(backbone.parent, spec, Group().device).weights.items()
    }
    examples = tokenise(items, load_tokenizer(backbone.parent), Prompting(), 2048)
    theirs = trainer_history(backbone.parent, examples, recipe, 42, start)
    assert len(ours) == len(theirs) == recipe.epochs * -(-len(items) // recipe.effective_batch)
    for update, (loss, rate, norm) in zip(ours, theirs, strict=True):
        assert update["loss"] == pytest.approx(loss, rel=2e-5)
        assert update["learning_rate"] == pytest.approx(rate, rel=1e-9)
        assert update["gradient_norm"] == pytest.approx(norm, rel=2e-4)
    assert ours[-1]["loss"] != pytest.approx(ours[0]["loss"], rel=1e-3)
