"""Compare the memory that `training.footprint` foresees with what trainings take on the CPU.

    python tests/benchmarks/training_footprint.py

Each training runs two updates in processes of its own; of several, the one that takes most counts. The backbone in 4
bits needs bitsandbytes and is left out without it. Memory is the growth of the resident set over the process before
the model (Linux's VmHWM), with an allocator that gives large blocks back, as a GPU's caching allocator reuses them.
"""

import argparse
import importlib.util
import os
import re
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
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


@dataclass(frozen=True)
class Case:
    """A training to measure: `processes` share the backbone, where there are several."""

    config: str
    recipe: dict
    micro_batch: int
    longest: int
    sizes: dict = field(default_factory=dict)
    processes: int = 1


DORA = {"method": "dora", "precision": "float32"}
LORA = {"method": "lora", "precision": "float32"}
DEEP = {"num_hidden_layers": 24}
FOUR = {"quantization": "4bit"}
CASES = {
    "Qwen3, DoRA, dropout on the input": Case("Qwen3Config", DORA, 4, 1024),
    "Qwen3, all weights": Case("Qwen3Config", {"method": "full", "precision": "float32"}, 4, 1024),
    "Llama, LoRA, without checkpointing": Case("LlamaConfig", {**LORA, "gradient_checkpointing": False}, 2, 768),
    "Qwen3 of 24 layers, DoRA": Case("Qwen3Config", DORA, 1, 256, DEEP),
    "Qwen3 of 24 layers, DoRA, shared by 2 processes": Case("Qwen3Config", DORA, 1, 256, DEEP, 2),
    "Qwen3 of 24 layers, DoRA, shared by 4 processes": Case("Qwen3Config", DORA, 1, 256, DEEP, 4),
    "Qwen3 of 24 layers, LoRA, 4 bits": Case("Qwen3Config", {**LORA, **FOUR}, 1, 256, DEEP),
    "Qwen3 of 24 layers, DoRA, 4 bits": Case("Qwen3Config", {**DORA, **FOUR}, 1, 256, DEEP),
    "Qwen3, DoRA, 4 bits": Case("Qwen3Config", {**DORA, **FOUR}, 4, 1024),
}


def spec_of(recipe):
    from posologie.records.prompting import Prompting
    from posologie.training.spec import Recipe, TrainingSpec

    return TrainingSpec(backbone="b", mix="m", seed=1, recipe=Recipe(**recipe), prompting=Prompting())


def resident(name):
    return int(re.search(rf"{name}:\s+(\d+)", Path("/proc/self/status").read_text())[1]) * 1024


def measure(folder, case):
    """Train here, and return the bytes that the backbone with its adapter took, and those of an update's peak."""
    import torch
    import transformers

    from posologie.models.load import load_model
    from posologie.training.footprint import one_update
    from posologie.training.processes import Group
    from posologie.training.student import make_student
    from posologie.training.update import make_optimizer

    torch.set_num_threads(1)
    spec = spec_of(case.recipe)
    tiny = transformers.Qwen3Config(**{**SIZES, "hidden_size": 64, "num_hidden_layers": 1, "vocab_size": 100})
    with tempfile.TemporaryDirectory() as warm:  # so that libraries are loaded before the count begins
        transformers.AutoModelForCausalLM.from_config(tiny).save_pretrained(warm)
        group = Group(patience_minutes=10)  # only now: in a group, transformers lets the first process alone write
        load_model(Path(warm), precision="float32", device="cpu")
        device = torch.device("cpu")
        student = make_student(Path(warm), spec, device, processes=case.processes)
        one_update(student, make_optimizer(student.weights, spec.recipe, device), spec, 1, 16, device)
    before = resident("VmRSS")
    student = make_student(Path(folder), spec, device, processes=case.processes)
    if case.processes == 1:
        for parameter in student.model.parameters():
            if parameter.is_floating_point():  # else packed, and no longer in the file
                parameter.data = parameter.data.clone()  # a mapped file stays resident while one tensor lies in it
    weights = resident("VmRSS") - before
    Path("/proc/self/clear_refs").write_text("5")
    optimizer = make_optimizer(student.weights, spec.recipe, device)
    for _ in range(2):
        one_update(student, optimizer, spec, case.micro_batch, case.longest, device)
    peak = resident("VmHWM") - before
    group.leave()
    return weights, peak


def measured(folder, name):
    """Train in processes of their own, and return the bytes that the largest one took, as `measure` does."""
    case = CASES[name]
    words = [sys.executable, __file__, "--measure", folder, name]
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "0"}
    if case.processes > 1:
        from posologie.training.launcher import open_store

        _store, meeting = open_store("127.0.0.1")
        environment |= {"WORLD_SIZE": str(case.processes), "POSOLOGIE_MEETING": meeting}
    ranks = [{**environment, "RANK": str(rank)} for rank in range(case.processes)]
    children = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=rank) for rank in ranks]
    outputs = [child.communicate()[0] for child in children]
    if any(child.returncode for child in children):
        raise SystemExit(f"{name}: the training failed")
    return [max(sizes) for sizes in zip(*(map(int, output.split()[-2:]) for output in outputs), strict=True)]


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--only", metavar="TEXT", default="", help="trainings whose name holds this text")
    arguments.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    options = arguments.parse_args()
    if options.measure is not None:
        folder, name = options.measure
        print(*measure(folder, CASES[name]))
        return
    import transformers

    from posologie.training.footprint import footprint

    print("| training | weights | foreseen | peak | foreseen | difference |")
    print("|---|---|---|---|---|---|")
    for name, case in CASES.items():
        quantized = "quantization" in case.recipe
        if options.only not in name or (quantized and importlib.util.find_spec("bitsandbytes") is None):
            continue
        with tempfile.TemporaryDirectory() as folder:
            settings = getattr(transformers, case.config)(**{**SIZES, **case.sizes})
            transformers.AutoModelForCausalLM.from_config(settings).save_pretrained(folder)
            spec = spec_of(case.recipe)
            foreseen = footprint(Path(folder), spec, case.micro_batch, case.longest, processes=case.processes)
            weights, peak = measured(folder, name)
        figures = [f"{size / 1e6:.0f} MB" for size in (weights, foreseen.weights, peak, foreseen.peak)]
        print(f"| {name} | {' | '.join(figures)} | {100 * (foreseen.peak / peak - 1):+.1f} % |", flush=True)


if __name__ == "__main__":
    main()
