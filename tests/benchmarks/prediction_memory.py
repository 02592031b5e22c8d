"""Memory of a prediction job against the number of items: what is held is a window, not the suite.

    python tests/benchmarks/prediction_memory.py [--items 10000 100000] [--out FILE.json]

Each size runs in a process of its own: the items are selected, read, put as requests with one permutation, answered by
something that costs nothing (the model's own memory is bounded by the chunk and the same for every size), saved and
written. Reported is the peak of anonymous memory while items stream, beyond what the process held before, and the
seconds of processor time for each item, which a real model's time comes on top of.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path


def anonymous_bytes():
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    raise SystemExit("RssAnon is not in /proc/self/status; expected Linux")


def write_shard(path, count):
    """Write `count` items of about a kilobyte, in pieces, so that the shard is never held as a whole."""
    import pyarrow.parquet as pq

    from posologie.records.items import Item, item_schema, items_to_table, stable_id

    with pq.ParquetWriter(path, item_schema(), compression="zstd") as out:
        for start in range(0, count, 4096):
            items = [
                Item(
                    id=(name := stable_id("memory", str(number))),
                    source="demo",
                    provenance="native",
                    split="test",
                    task="mcqu",
                    question=f"Question {number} : " + " ".join(str((number * 7919 + k) % 9973) for k in range(120)),
                    context="",
                    options=tuple(f"réponse {number % 97} {k}" for k in range(5)),
                    gold=(number % 5,),
                    answer="",
                    group=name,
                )
                for number in range(start, min(start + 4096, count))
            ]
            out.write_table(items_to_table(items))


class Instant:
    """Answers at once, with answers of the usual size."""

    def facts(self):
        return {}

    def answers(self, requests, done):
        from posologie.prediction.requests import Answer

        for start in range(0, len(requests), 64):
            yield [
                Answer(
                    request.place,
                    "B",
                    300,
                    generated_tokens=2,
                    finish="stop",
                    constrained_labels=(1,),
                    label_probabilities=(0.1, 0.6, 0.1, 0.1, 0.1),
                    label_mass=0.9,
                )
                for request in requests[start : start + 64]
                if request.place not in done
            ]


def one_size(count):
    """Stream `count` items and print the peak of memory beyond the start, in bytes."""
    from posologie.prediction import job
    from posologie.prediction.spec import PredictionSpec

    suites = {"s": {"benchmarks": {"all": {"source": "demo"}}, "permutations": 1}}
    spec = PredictionSpec.model_validate({"model": "m", "suites": suites, "prompting": {}, "seed": 1})
    with tempfile.TemporaryDirectory(prefix="posologie-memory-") as temporary:
        folder = Path(temporary)
        write_shard(folder / "shard.parquet", count)
        options = argparse.Namespace(
            items=[("demo", str(folder / "shard.parquet"))],
            predictions=[("s", str(folder / "s.parquet"))],
            run=[("s", str(folder / "s.run.json"))],
            work=folder / "work",
        )
        before, peak, ended = anonymous_bytes(), [0], threading.Event()

        def watch():
            while not ended.wait(0.01):
                peak[0] = max(peak[0], anonymous_bytes())

        watcher = threading.Thread(target=watch)
        watcher.start()
        clock = time.process_time()
        job.predict(spec, options, {}, Instant)
        seconds = time.process_time() - clock
        ended.set()
        watcher.join()
        rows = json.loads((folder / "s.run.json").read_text())["rows"]
    facts = {"items": count, "rows": rows, "peak_beyond_start_bytes": peak[0] - before, "cpu_seconds": seconds}
    print(json.dumps({**facts, "maximum_resident_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--items", type=int, nargs="+", default=[10_000, 100_000])
    arguments.add_argument("--out", type=Path)
    arguments.add_argument("--one-size", type=int, help=argparse.SUPPRESS)
    options = arguments.parse_args()
    if options.one_size:
        one_size(options.one_size)
        return
    peaks = []
    for count in options.items:
        call = [sys.executable, __file__, "--one-size", str(count)]
        peaks.append(json.loads(subprocess.run(call, check=True, stdout=subprocess.PIPE, text=True).stdout))
        print(json.dumps(peaks[-1]))
    grown = peaks[-1]["peak_beyond_start_bytes"] - peaks[0]["peak_beyond_start_bytes"]
    report = {"sizes": peaks, "bytes for each further item": grown / (peaks[-1]["items"] - peaks[0]["items"])}
    print(json.dumps(report, indent=1))
    if options.out:
        options.out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
