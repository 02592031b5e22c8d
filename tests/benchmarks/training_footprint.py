"""Compare the memory that `training.footprint` foresees with what trainings take on the CPU.

    python tests/benchmarks/training_footprint.py

Each training runs two updates in a process of its own. Memory is the growth of the resident set over the process before
the model (Linux's VmHWM), with an allocator that gives large blocks back, as a GPU's caching allocator reuses them.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

SIZES = {
    "vocab_size": 8000,
    "hidden_size": 512,
    "intermediate_size": 1536,
    "num_hidden_layers": 8,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "head_dim": 64,
}
CASES = {
    "Qwen3, DoRA, dropout on the input": ("Qwen3Config", {"method": "dora", "precision": "float32"}, 4, 1024),
    "Qwen3, all weights": ("Qwen3Config", {"method": "full", "precision": "float32"}, 4, 1024),
    "Llama, LoRA, without checkpointing": (
        "LlamaConfig",
        {"method": "lora", "precision": "float32", "gradient_checkpointing": False},
        2,
        768,
    ),
}


def spec_of(recipe):
    from posologie.records.prompting import Prompting
    from posologie.training.spec import Recipe, TrainingSpec

    return TrainingSpec(backbone="b", mix="m", seed=1, recipe=Recipe(**recipe), prompting=Prompting())


def resident(name):
    return int(re.search(rf"{name}:\s+(\d+)", Path("/proc/self/status").read_text())[1]) * 1024


def measure(folder, recipe, micro_batch, longest):
    """Train here, and return the bytes that it took at its peak."""
    import torch
    import transformers

    from posologie.models.load import load_model
    from posologie.training.footprint import one_update
    from posologie.training.student import make_student
    from posologie.training.update import make_optimizer

    torch.set_num_threads(1)
    spec = spec_of(recipe)
    tiny = transformers.Qwen3Config(**{**SIZES, "hidden_size": 32, "num_hidden_layers": 1, "vocab_size": 100})
    with tempfile.TemporaryDirectory() as warm:  # so that libraries are loaded before the count begins
        transformers.AutoModelForCausalLM.from_config(tiny).save_pretrained(warm)
        load_model(Path(warm), precision="float32", device="cpu")
        device = torch.device("cpu")
        student = make_student(Path(warm), spec, device)
        one_update(student, make_optimizer(student.weights, spec.recipe, device), spec, 1, 16, device)
    before = resident("VmRSS")
    student = make_student(Path(folder), spec, device)
    Path("/proc/self/clear_refs").write_text("5")
    optimizer = make_optimizer(student.weights, spec.recipe, device)
    for _ in range(2):
        one_update(student, optimizer, spec, micro_batch, longest, device)
    return resident("VmHWM") - before


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--measure", help=argparse.SUPPRESS)
    given = arguments.parse_args()
    if given.measure is not None:
        print(measure(*json.loads(given.measure)))
        return
    import transformers

    from posologie.training.footprint import footprint

    print("| training | foreseen | measured | difference |")
    print("|---|---|---|---|")
    for name, (config, recipe, micro_batch, longest) in CASES.items():
        with tempfile.TemporaryDirectory() as folder:
            settings = getattr(transformers, config)(**SIZES)
            transformers.AutoModelForCausalLM.from_config(settings).save_pretrained(folder)
            foreseen = footprint(Path(folder), spec_of(recipe), micro_batch, longest).peak
            words = [sys.executable, __file__, "--measure", json.dumps([folder, recipe, micro_batch, longest])]
            allocator = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "0"}
            done = subprocess.run(words, check=True, capture_output=True, text=True, env={**os.environ, **allocator})
            measured = int(done.stdout.split()[-1])
        difference = 100 * (foreseen / measured - 1)
        print(f"| {name} | {foreseen / 1e6:.0f} MB | {measured / 1e6:.0f} MB | {difference:+.1f} % |", flush=True)


if __name__ == "__main__":
    main()
