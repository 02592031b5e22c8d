"""Screen all training items against tested ones and each other: seconds, memory, recall and precision.

    python tests/benchmarks/screening_training_items.py FOLDER [--scale 0.25] [--second-language]

FOLDER holds the shards of `screening_corpus.py`, which is run if it is empty. The floor is reading and writing the same
shards with pyarrow. Memory is the largest sum over a command and its processes, sampled 10 times a second.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path

import pyarrow.parquet as pq
from sources_shards import peak_memory, processor_seconds

ORDER = ("native", "translated", "synthetic")
TESTED = ("native", "translated")


def measured(command: list[str]) -> tuple[float, float, float]:
    """Run a command; return its seconds, its processor seconds and its peak memory in GB."""
    before = processor_seconds()
    seconds, peak = peak_memory(subprocess.Popen(command))
    return seconds, processor_seconds() - before, peak / 1e9


def floor(folder: Path) -> float:
    """Return the seconds to read and write the training shards and read the tested ones with pyarrow."""
    started = time.perf_counter()
    for source in TESTED:
        pq.read_table(folder / source / "test.parquet")
    for source in ORDER:
        pq.write_table(pq.read_table(folder / source / "train.parquet"), folder / "floor.parquet", compression="zstd")
    (folder / "floor.parquet").unlink()
    return time.perf_counter() - started


def screen(folder: Path, source: str, processes: int) -> tuple[float, float, float]:
    """Screen the training shard of one source against the sources before it and all tested items."""
    spec = {
        "source": source,
        "split": "train",
        "screening": {"mode": "remove"},
        "suites": {"all": [{"source": name, "tasks": ["mcqu", "mcq"]} for name in TESTED]},
    }
    return measured(
        [
            *(sys.executable, "-m", "posologie.screening", "--spec", json.dumps(spec)),
            *("--items", str(folder / source / "train.parquet")),
            *("--earlier", *(f"{name}={folder / name / 'train.parquet'}" for name in ORDER[: ORDER.index(source)])),
            *("--tests", *(f"{name}={folder / name / 'test.parquet'}" for name in TESTED)),
            *("--screened", str(folder / f"screened-{source}.parquet"), "--report", str(folder / f"{source}.json")),
            *("--matches", str(folder / f"matches-{source}.parquet"), "--processes", str(processes)),
        ]
    )


def judged(folder: Path) -> dict[str, float]:
    """Return recall and precision over the planted pairs, of one language (`near`) and of two (`across`).

    A pair that was found counts as right if it was planted, or if both items repeat the same one.
    """
    planted = json.loads((folder / "planted.json").read_text())
    model = dict(planted["near"] + planted["across"])
    by_kind: dict[str, set[frozenset[str]]] = defaultdict(set)
    for source in ORDER:
        for row in pq.read_table(folder / f"matches-{source}.parquet", columns=["item", "matched", "kind"]).to_pylist():
            by_kind[row["kind"]].add(frozenset((row["item"], row["matched"])))
    counts: dict[str, float] = {"mistakable": len(planted["mistakable"])}
    for name, kinds in {"near": ("exact", "near"), "across": ("cross_lingual",)}.items():
        pairs = set().union(*(by_kind[kind] for kind in kinds))
        right = sum(len({model.get(name, name) for name in pair}) == 1 for pair in pairs)
        caught = sum(frozenset(pair) in pairs for pair in planted[name])
        counts |= {f"{name}_planted": len(planted[name]), f"{name}_found": len(pairs)}
        counts |= {
            f"{name}_recall": caught / max(len(planted[name]), 1),
            f"{name}_precision": right / max(len(pairs), 1),
        }
        counts[f"{name}_mistaken"] = sum(frozenset(pair) in pairs for pair in planted["mistakable"])
    return counts


def main() -> None:
    """Print each source as it is done, then all results as JSON."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--scale", type=float, default=1.0)
    arguments.add_argument("--processes", type=int, default=2)
    arguments.add_argument("--second-language", action="store_true", help="as in screening_corpus.py")
    arguments_given = arguments.parse_args()
    if not (arguments_given.folder / "planted.json").exists():
        corpus = Path(__file__).with_name("screening_corpus.py")
        options = ["--second-language"] if arguments_given.second_language else []
        subprocess.run(
            [sys.executable, corpus, arguments_given.folder, "--scale", str(arguments_given.scale), *options],
            check=True,
        )
    runs = {}
    for source in ORDER:
        runs[source] = screen(arguments_given.folder, source, arguments_given.processes)
        shown = "{:.1f} s, {:.1f} s of processor time, {:.2f} GB".format(*runs[source])
        print(f"{source}: {shown}", file=sys.stderr, flush=True)
    seconds = sum(run[0] for run in runs.values())
    least = floor(arguments_given.folder)  # last: a child's peak memory begins at its parent's
    print(
        json.dumps(
            {
                "training_items": sum(
                    pq.read_metadata(arguments_given.folder / name / "train.parquet").num_rows for name in ORDER
                ),
                "tested_items": sum(
                    pq.read_metadata(arguments_given.folder / name / "test.parquet").num_rows for name in TESTED
                ),
                "seconds": round(seconds, 1),
                "processor_seconds": round(sum(run[1] for run in runs.values()), 1),
                "seconds_by_source": {source: round(run[0], 1) for source, run in runs.items()},
                "peak_GB": round(max(run[2] for run in runs.values()), 2),
                "floor_seconds": round(least, 2),
                "ratio_to_floor": round(seconds / least, 1),
                "load": os.getloadavg()[0],
                "benchmark_peak_GB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6, 2),
                **judged(arguments_given.folder),
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
