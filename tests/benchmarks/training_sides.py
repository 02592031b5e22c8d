"""The sides of `training_speed.py`: each is a process that trains on the same updates, one at a time."""

import json
import os
import sys
import tempfile
import time

import numpy as np
import torch
import transformers

from posologie.records.prompting import Prompting
from posologie.records.runs import peak_memory
from posologie.training.batches import updates_of_epoch
from posologie.training.examples import Examples
from posologie.training.loop import Hooks, train
from posologie.training.processes import Group
from posologie.training.spec import Recipe, TrainingSpec
from posologie.training.student import PACKED, student_of

SIDES = (
    "trainer, stock DoRA",
    "trainer, stock LoRA",
    "DoRA, dropout on input",
    "DoRA, dropout on adapter",
    "LoRA",
    "DoRA, dropout on adapter, loss on answer",
)
QWEN3_4B = {
    "hidden_size": 2560,
    "intermediate_size": 9728,
    "num_hidden_layers": 36,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "vocab_size": 151936,
    "max_position_embeddings": 262144,
    "rope_parameters": {"rope_type": "default", "rope_theta": 5000000},
    "tie_word_embeddings": True,
}


class Turn:
    """The process of one side: waits at the end of each update until it is called again."""

    def __init__(self):
        self.answers = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)  # what libraries print is no answer
        self.losses = []
        self.started = None

    def report(self, loss):
        self.losses.append(float(loss))

    def pause(self):
        """Report seconds by the clock and of the processors, and the losses so far; wait for the next call."""
        synchronize()
        if self.started is not None:
            clock, processor = time.perf_counter() - self.started[0], time.process_time() - self.started[1]
            if torch.cuda.is_available():
                torch.cuda.empty_cache()  # the other sides need the memory
            print(json.dumps({"times": [clock, processor], "losses": self.losses}), file=self.answers, flush=True)
        else:
            print(json.dumps({"losses": []}), file=self.answers, flush=True)  # the model is loaded
        if not sys.stdin.readline():
            os._exit(0)
        self.started = time.perf_counter(), time.process_time()


def synchronize():
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def model_for(options, attention):
    """Return a fresh backbone: read from the folder, or a 4B Qwen3 with random weights."""
    if options.qwen3_4b:
        torch.manual_seed(0)
        configuration = transformers.Qwen3Config(**QWEN3_4B)
        with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
            return transformers.AutoModelForCausalLM.from_config(
                configuration, dtype=torch.bfloat16, attn_implementation=attention
            )
    return transformers.AutoModelForCausalLM.from_pretrained(
        options.model, dtype=getattr(torch, options.precision), attn_implementation=attention
    ).to(Group().device)


def recipe_for(options, side):
    return Recipe(
        method="lora" if "LoRA" in side else "dora",
        dropout_on="adapter" if "adapter" in side else "input",
        loss_on="answer" if "answer" in side else "all",
        epochs=1,
        effective_batch=options.micro_batch * options.accumulation,
        precision=options.precision,
        gradient_checkpointing=not options.no_checkpointing,
        warmup_ratio=0.0,
        schedule="constant",
    )


def updates_of(options, examples):
    """Return the example indices of each update, as this package's loop takes them in its first epoch."""
    size = options.micro_batch * options.accumulation
    return updates_of_epoch(examples.ids, examples.lengths, effective_batch=size, seed=0, epoch=0, group_by_length=True)


def ours(options, side, examples, pause, report):
    """Train with this package's loop."""
    spec = TrainingSpec(
        backbone="benchmark",
        mix="NAT",
        seed=0,
        recipe=recipe_for(options, side),
        prompting=Prompting(),
    )
    student = student_of(model_for(options, PACKED), spec, Group().device)
    pause()

    def updated(update):
        report(update.loss)
        pause()

    train(
        student,
        examples,
        part_of(examples, []),
        spec.recipe,
        seed=0,
        micro_batch=options.micro_batch,
        group=Group(),
        start=None,
        hooks=Hooks(save=lambda checkpoint: None, seconds_between=1e9, updated=updated),
    )


def part_of(examples, chosen):
    """Return the examples at some indices."""
    chosen = sorted(int(index) for index in chosen)
    pieces = [examples.tokens[examples.starts[i] : examples.starts[i + 1]] for i in chosen]
    return Examples(
        ids=tuple(examples.ids[i] for i in chosen),
        tokens=np.concatenate(pieces) if pieces else examples.tokens[:0],
        starts=np.cumsum([0, *(len(piece) for piece in pieces)]),
        answers=examples.answers[chosen],
        answer_ends=examples.answer_ends[chosen],
        context_cut=(),
        rejected=(),
    )


def stock(options, side, examples, pause, report):
    """Train with transformers' Trainer and peft's layers, as the published script does."""
    import peft

    recipe = recipe_for(options, side)
    order = [int(index) for update in updates_of(options, examples) for index in update]
    rows = [
        {"input_ids": torch.from_numpy(examples.tokens[examples.starts[i] : examples.starts[i + 1]].astype("int64"))}
        for i in order
    ]

    def collate(features):
        pad = torch.nn.utils.rnn.pad_sequence
        tokens = [feature["input_ids"] for feature in features]
        ones = [torch.ones_like(row) for row in tokens]
        return {
            "input_ids": pad(tokens, batch_first=True),
            "attention_mask": pad(ones, batch_first=True),
            "labels": pad(tokens, batch_first=True, padding_value=-100),
        }

    class Pause(transformers.TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            pause()

        def on_log(self, args, state, control, logs=None, **kwargs):
            if "loss" in logs:
                report(logs["loss"])

    config = peft.LoraConfig(
        task_type="CAUSAL_LM",
        r=recipe.rank,
        lora_alpha=recipe.alpha,
        lora_dropout=recipe.dropout,
        target_modules=sorted(recipe.target_modules),
        use_dora=recipe.method == "dora",
    )
    torch.manual_seed(0)
    model = peft.get_peft_model(model_for(options, "sdpa"), config)
    arguments = transformers.TrainingArguments(
        output_dir=tempfile.gettempdir(),  # nothing is saved
        per_device_train_batch_size=options.micro_batch,
        gradient_accumulation_steps=options.accumulation,
        num_train_epochs=1,
        learning_rate=recipe.learning_rate,
        lr_scheduler_type="constant",
        bf16=options.precision == "bfloat16",
        gradient_checkpointing=recipe.gradient_checkpointing,
        gradient_checkpointing_kwargs={"use_reentrant": False},
        train_sampling_strategy="sequential",
        save_strategy="no",
        report_to="none",
        logging_steps=1,
        disable_tqdm=True,
        use_cpu=not torch.cuda.is_available(),
    )
    trainer = transformers.Trainer(
        model=model, args=arguments, train_dataset=rows, data_collator=collate, callbacks=[Pause()]
    )
    trainer.remove_callback(transformers.PrinterCallback)
    pause()
    trainer.train()


def run_side(options, side, examples):
    """Be the process of one side."""
    work = stock if side.startswith("trainer") else ours
    if options.memory:
        work(options, side, examples, lambda: None, lambda loss: None)
        peak = peak_memory()
        print(json.dumps({"peak": peak["gpu"] or peak["process"]}))
    else:
        turn = Turn()
        sys.stdin.readline()
        work(options, side, examples, turn.pause, turn.report)
