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
import time
from pathlib import Path

import numpy as np
import torch
import transformers
from training_sides import QWEN3_4B, SIDES, part_of, run_side, synchronize, updates_of

from posologie.models.load import load_tokenizer
from posologie.records.items import read_items
from posologie.records.prompting import Prompting
from posologie.training.examples import tokenise

RATIOS = (
    ("DoRA, dropout on input", "trainer, stock DoRA"),
    ("DoRA, dropout on adapter", "trainer, stock DoRA"),
    ("DoRA, dropout on adapter", "trainer, stock LoRA"),
    ("LoRA", "trainer, stock LoRA"),
    ("DoRA, dropout on adapter, loss on answer", "DoRA, dropout on adapter"),
)


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
        """Return what one update took and its loss, as `training_sides.Turn.pause` reports them."""
        print(file=self.process.stdin, flush=True)
        answer = self.process.stdout.readline()
        if not answer:
            raise SystemExit(f"a side ended with {self.process.wait()}")
        return json.loads(answer)

    def close(self):
        self.process.kill()
        self.process.wait()


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


def main():
    torch.set_num_threads(options.threads)
    tokenizer = load_tokenizer(Path(options.tokenizer or options.model))
    examples = tokenise(read_items(options.items), tokenizer, Prompting(), 2048)
    count = 2 if options.memory else options.rounds + 2  # one to warm up, and one at the end, which nobody waits for
    full = [
        update for update in updates_of(options, examples) if len(update) == options.micro_batch * options.accumulation
    ]
    if len(full) < count:
        raise SystemExit(f"{options.items}: {len(examples)} items; expected enough for {count} updates")
    examples = part_of(examples, np.concatenate(full[:count]))
    if options.only:
        run_side(options, options.only, examples)
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
                ratios = [ours / other for ours, other in zip(peaks[mine], peaks[theirs], strict=True)]
                result["ratios"][f"{mine} / {theirs}"] = {"memory": interval(ratios)}
    else:
        seconds, losses = speed(sides)
        timed = updates_of(options, examples)[1 : 1 + len(seconds[sides[0]])]
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
