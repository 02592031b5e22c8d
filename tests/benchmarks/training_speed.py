"""Training against transformers' Trainer with stock peft layers: same data, same updates, sides taking turns.

    python tests/benchmarks/training_speed.py --model FOLDER --items FILE.parquet [--rounds 8] [--out FILE.json]
    python tests/benchmarks/training_speed.py --qwen3-4b --items FILE.parquet --tokenizer FOLDER      (a GPU)

Every side trains on the same updates of the same examples with the published settings: DoRA or LoRA, r 16, dropout
0.05, seven projections, AdamW, gradient checkpointing, micro-batches of 12. Each side is a process of its own, as a
training is (threads of one process would share OpenMP's allowance of threads, and wait longer for each other). In each
round every side makes one update while the others wait, in an order that changes from round to round, so that a busy
machine slows all sides alike. A ratio is the geometric mean of the rounds' ratios of times, by the clock and of the
processors (less disturbed on a busy machine; on a CPU only), with the 95 % t interval of its logarithm. `--memory` runs
each side by itself for two updates, `--rounds` times, and reports the peaks and their ratios. On a CPU freed memory
then goes back to the system at once (a fixed MALLOC_MMAP_THRESHOLD_): the peak is that of what is in use, not of what
glibc's heap keeps, which differs from run to run by more than the sides do.
"""

import argparse
import json
import math
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch
import transformers

from posologie.items import read_items
from posologie.models.load import load_tokenizer
from posologie.prompting import Prompting
from posologie.training.attention import PACKED
from posologie.training.examples import Examples, tokenise
from posologie.training.loop import Hooks, train
from posologie.training.order import updates_of_epoch
from posologie.training.processes import Group
from posologie.training.spec import Recipe, TrainingSpec
from posologie.training.student import student_of

SIDES = (
    "trainer, stock DoRA",
    "trainer, stock LoRA",
    "DoRA, dropout on input",
    "DoRA, dropout on adapter",
    "LoRA",
    "DoRA, dropout on adapter, loss on answer",
)
RATIOS = (
    ("DoRA, dropout on input", "trainer, stock DoRA"),
    ("DoRA, dropout on adapter", "trainer, stock DoRA"),
    ("DoRA, dropout on adapter", "trainer, stock LoRA"),
    ("LoRA", "trainer, stock LoRA"),
    ("DoRA, dropout on adapter, loss on answer", "DoRA, dropout on adapter"),
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


class Side:
    """One side in a process of its own, as a training job is; it makes one update when it is called."""

    def __init__(self, name):
        self.process = subprocess.Popen(
            [sys.executable, __file__, *sys.argv[1:], "--only", name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def take(self):
        """Return what one update took and its loss, as `Turn.pause` reports them."""
        print(file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit(f"a side ended with {self.process.wait()}")
        return json.loads(answer)

    def close(self):
        self.process.kill()
        self.process.wait()


class Turn:
    """The process of one side: waits at the end of each update until it is called again."""

    def __init__(self):
        self.answers = os.fdopen(os.dup(1), "w")
        os.dup2(2, 1)  # what libraries print is no answer
        self.losses = []
        self.started = None

    def report(self, side, loss):
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


def model_for(attention):
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


def recipe_for(side):
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


def updates_of(examples):
    """Return the example indices of each update, as this package's loop takes them in its first epoch."""
    size = options.micro_batch * options.accumulation
    return updates_of_epoch(examples.ids, examples.lengths, effective_batch=size, seed=0, epoch=0, group_by_length=True)


def ours(side, examples, pause, report):
    """Train with this package's loop."""
    spec = TrainingSpec(
        backbone="benchmark", mix="NAT", seed=0, recipe=recipe_for(side), prompting=Prompting(), threads=options.threads
    )
    student = student_of(model_for(PACKED), spec, Group().device)
    pause()

    def updated(update):
        report(side, update.loss)
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


def stock(side, examples, pause, report):
    """Train with transformers' Trainer and peft's layers, as the published script does."""
    import peft

    recipe = recipe_for(side)
    order = [int(index) for update in updates_of(examples) for index in update]
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
                report(side, logs["loss"])

    config = peft.LoraConfig(
        task_type="CAUSAL_LM",
        r=recipe.rank,
        lora_alpha=recipe.alpha,
        lora_dropout=recipe.dropout,
        target_modules=sorted(recipe.target_modules),
        use_dora=recipe.method == "dora",
    )
    torch.manual_seed(0)
    model = peft.get_peft_model(model_for("sdpa"), config)
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


def interval(ratios):
    """Return geometric mean and 95 % interval of positive ratios."""
    from scipy.stats import t

    logs = [math.log(ratio) for ratio in ratios]
    mean = statistics.fmean(logs)
    half = t.ppf(0.975, len(logs) - 1) * statistics.stdev(logs) / math.sqrt(len(logs)) if len(logs) > 1 else 0.0
    return [round(math.exp(value), 3) for value in (mean, mean - half, mean + half)]


def speed(sides):
    """Return for each side the seconds of each update (by the clock, of the processors), and its losses."""
    times, losses = {side: [] for side in sides}, {}
    processes = {side: Side(side) for side in sides}
    try:
        for side in sides:
            processes[side].take()  # loads the model
        shuffle = random.Random(0)
        deadline = time.perf_counter() + options.seconds
        for number in range(options.rounds + 1):
            for side in shuffle.sample(sides, len(sides)):
                answer = processes[side].take()
                losses[side] = answer["losses"]
                if number:  # the first update warms up
                    times[side].append(answer["times"])
            print(f"round {number}", file=sys.stderr, flush=True)
            if time.perf_counter() > deadline:
                break
    finally:
        for process in processes.values():
            process.close()
    return times, losses


def peak_memory(side):
    """Return the peak memory of two updates of one side in a process of its own, in bytes."""
    command = [sys.executable, __file__, *sys.argv[1:], "--only", side]
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": str(1 << 16)}
    answer = subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
    return json.loads(answer.splitlines()[-1])["peak"]


def run_side(side, examples):
    """Be the process of one side."""
    from posologie.runs import peak_memory as peak_of_process

    work = stock if side.startswith("trainer") else ours
    if options.memory:
        work(side, examples, lambda: None, lambda name, loss: None)
        found = peak_of_process()
        print(json.dumps({"peak": found["gpu"] or found["process"]}))
    else:
        turn = Turn()
        sys.stdin.readline()
        work(side, examples, turn.pause, turn.report)


def main():
    torch.set_num_threads(options.threads)
    tokenizer = load_tokenizer(Path(options.tokenizer or options.model))
    examples = tokenise(read_items(options.items), tokenizer, Prompting(), 2048)
    count = 2 if options.memory else options.rounds + 2  # one to warm up, and one at the end, which nobody waits for
    full = [update for update in updates_of(examples) if len(update) == options.micro_batch * options.accumulation]
    if len(full) < count:
        raise SystemExit(f"{options.items}: {len(examples)} items; expected enough for {count} updates")
    examples = part_of(examples, np.concatenate(full[:count]))
    if options.only:
        run_side(options.only, examples)
        return
    sides = [side for side in SIDES if not options.sides or side in options.sides]
    result = {"settings": vars(options), "sides": {}, "ratios": {}}
    if options.memory:
        shuffle = random.Random(0)
        peaks = {side: [] for side in sides}
        for number in range(options.rounds):
            for side in shuffle.sample(sides, len(sides)):
                peaks[side].append(peak_memory(side))
            print(f"round {number}", file=sys.stderr, flush=True)
        result["peak_bytes"] = peaks
        for mine, theirs in RATIOS:
            if mine in sides and theirs in sides:
                ratios = [one / other for one, other in zip(peaks[mine], peaks[theirs], strict=True)]
                result["ratios"][f"{mine} / {theirs}"] = {"memory": interval(ratios)}
    else:
        seconds, losses = speed(sides)
        timed = updates_of(examples)[1 : 1 + len(seconds[sides[0]])]
        tokens = statistics.fmean(int(examples.lengths[update].sum()) for update in timed)
        result["tokens_per_update"] = tokens
        for side in sides:
            by_clock, by_processor = zip(*seconds[side], strict=True)
            result["sides"][side] = {
                "tokens_per_second": round(tokens / statistics.fmean(by_clock), 2),
                "seconds": [round(value, 3) for value in by_clock],
                "processor_seconds": [round(value, 3) for value in by_processor],
                "losses": [round(float(value), 4) for value in losses[side]],
            }
        for fast, slow in RATIOS:
            if fast in sides and slow in sides:
                for kind, place in (("clock", 0), ("processor", 1)):
                    pairs = [
                        (theirs[place], mine[place]) for theirs, mine in zip(seconds[slow], seconds[fast], strict=True)
                    ]
                    ratios = interval([theirs / mine for theirs, mine in pairs])
                    result["ratios"].setdefault(f"{fast} / {slow}", {})[kind] = ratios
        if torch.cuda.is_available():
            result["matrix_product_fraction"] = {
                side: round(matrix_product_fraction(result["sides"][side]["tokens_per_second"]), 3) for side in sides
            }
    text = json.dumps(result, indent=1)
    print(text)
    if options.out:
        Path(options.out).write_text(text + "\n", encoding="utf-8")


def matrix_product_fraction(tokens_per_second):
    """Return the share of the measured bfloat16 matrix-product peak that one base forward, recomputation and dx reach.

    Per token 2 operations per weight and product: forward, recomputation (with checkpointing) and the input's gradient;
    adapters, attention and norms count as overhead. The peak is that of an 8192 x 8192 product on this GPU.
    """
    side = 8192
    a = torch.randn(side, side, device="cuda", dtype=torch.bfloat16)
    for _ in range(3):
        a @ a
    synchronize()
    started = time.perf_counter()
    for _ in range(10):
        a @ a
    synchronize()
    peak = 10 * 2 * side**3 / (time.perf_counter() - started)
    with torch.device("meta"):
        model = transformers.AutoModelForCausalLM.from_config(transformers.Qwen3Config(**QWEN3_4B))
    layers = sum(p.numel() for name, p in model.named_parameters() if "layers" in name)
    head = QWEN3_4B["vocab_size"] * QWEN3_4B["hidden_size"]
    products = 2 if options.no_checkpointing else 3
    return tokens_per_second * 2 * (products * layers + 2 * head) / peak


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--model", help="folder of the backbone")
    arguments.add_argument("--qwen3-4b", action="store_true", help="a 4B Qwen3 with random weights instead")
    arguments.add_argument("--tokenizer", help="folder of a tokenizer, with --qwen3-4b")
    arguments.add_argument("--items", required=True)
    arguments.add_argument("--rounds", type=int, default=8)
    arguments.add_argument("--seconds", type=float, default=math.inf, help="begin no round after this time")
    arguments.add_argument("--micro-batch", type=int, default=12)
    arguments.add_argument("--accumulation", type=int, default=1)
    arguments.add_argument("--precision", default="float32")
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--no-checkpointing", action="store_true")
    arguments.add_argument("--sides", nargs="*")
    arguments.add_argument("--memory", action="store_true")
    arguments.add_argument("--only", help=argparse.SUPPRESS)
    arguments.add_argument("--out")
    options = arguments.parse_args()
    main()
