"""Shards from hub-form Parquet: time as a multiple of reading and writing the same Parquet, and peak memory.

    python tests/benchmarks/sources_shards.py [--folder FOLDER] [--fractions 0.25 0.5 1] [--rounds 3] [--limit 4]

The records come from `hub_records_generator.py`. In each round the floor (pyarrow reads each file whole and writes it
again) and the shards of the same files (`posologie.sources.hub_records`, one command a file, as the rules run it) are
timed one after the other, so that a busy machine slows both. Both may use two processors. Memory is the largest sum
over a command and its processes, sampled 10 times a second. Exits with 1 if a limit is broken.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil
from hub_records_generator import SIZES, generate

from posologie.language.languages import described_languages, language_digest

MEMORY_LIMIT = 3e9
PHRASES = {code: digest for code in described_languages() if (digest := language_digest(code)) is not None}
FLOOR = """
import sys, pyarrow as pa, pyarrow.parquet as pq
pa.set_cpu_count(2)
pq.write_table(pq.read_table(sys.argv[1]), sys.argv[2], compression=sys.argv[3])
"""


def peak_memory(process: subprocess.Popen) -> tuple[float, int]:
    """Return the seconds that a process took, and the peak of its and its children's memory in bytes (RSS, summed)."""
    started, peak, done = time.perf_counter(), 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        watched = psutil.Process(process.pid)
        while not done.wait(0.1):
            total = 0
            try:
                for part in (watched, *watched.children(recursive=True)):
                    total += part.memory_info().rss
            except psutil.Error:
                continue
            peak = max(peak, total)

    watcher = threading.Thread(target=watch)
    watcher.start()
    code = process.wait()
    seconds = time.perf_counter() - started
    done.set()
    watcher.join()
    if code:
        raise SystemExit(f"exit status {code}: {process.args}")
    return seconds, peak


def processor_seconds() -> float:
    """Return the processor time of all commands so far, which a busy machine stretches less than the clock."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def files_of(folder: Path) -> list[tuple[str, str, Path]]:
    return [(source, split, folder / source / "data" / f"{split}-00000-of-00001.parquet") for source, split in SIZES]


def time_floor(folder: Path, out: Path, compression: str) -> float:
    """Return the seconds to read and write every file, in a process of its own for each, as shards have."""
    seconds = 0.0
    for source, split, path in files_of(folder):
        target = out / f"floor-{source}-{split}.parquet"
        command = [sys.executable, "-c", FLOOR, str(path), str(target), compression]
        seconds += peak_memory(subprocess.Popen(command))[0]
    return seconds


def time_shards(folder: Path, out: Path) -> tuple[float, int, int]:
    """Return seconds, peak memory in bytes, and records read."""
    seconds, memory, read = 0.0, 0, 0
    for source, split, path in files_of(folder):
        spec = {"source": source, "provenance": source, "split": split, "patterns": [], "phrases": PHRASES}
        stem = out / source / split
        command = [sys.executable, "-m", "posologie.sources.hub_records", "--spec", json.dumps(spec)]
        command += ["--inputs", str(path), "--items", f"{stem}.parquet", "--rejects", f"{stem}.rejects.parquet"]
        command += ["--report", f"{stem}.json", "--processes", "2"]
        took, peak = peak_memory(subprocess.Popen(command))
        seconds, memory = seconds + took, max(memory, peak)
        report = json.loads(Path(f"{stem}.json").read_text())
        assert report["read"] == report["kept"] + report["rejected"]["total"]
        read += report["read"]
    return seconds, memory, read


def measure(fraction: float, folder: Path, rounds: int, compression: str) -> tuple[float, int, float]:
    """Print the rounds of one size; return the median ratio, the peak memory and the median seconds of the shards."""
    data = folder / f"fraction-{fraction:g}"
    if not (data / "planted.parquet").is_file():
        generate(data, fraction)
    ratios, times, peaks, read = [], [], [], 0
    for _ in range(rounds):
        with tempfile.TemporaryDirectory(dir=folder) as out:
            before = processor_seconds()
            floor = time_floor(data, Path(out), compression)
            between = processor_seconds()
            seconds, memory, read = time_shards(data, Path(out))
            work = (processor_seconds() - between) / (between - before)
        ratios.append(seconds / floor)
        times.append(seconds)
        peaks.append(memory)
        print(
            f"  floor {floor:6.2f} s   shards {seconds:6.2f} s   ratio {ratios[-1]:.2f} (of processor time {work:.2f})"
            f"   {memory / 1e9:.2f} GB   load {os.getloadavg()[0]:.1f}",
            flush=True,
        )
    print(
        f"{read:,} records: ratio {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f} in {rounds}"
        f" rounds), shards {statistics.median(times):.1f} s, peak {max(peaks) / 1e9:.2f} GB,"
        f" {statistics.median(times) / read * 1e6:.1f} µs a record",
        flush=True,
    )
    return statistics.median(ratios), max(peaks), statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="where generated records are kept; a temporary folder if left out")
    parser.add_argument("--fractions", type=float, nargs="+", default=[0.25, 0.5, 1.0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--limit", type=float, default=4.0)
    parser.add_argument("--compression", default="snappy", help="of the floor; the shards are always zstd")
    arguments = parser.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:2])
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        results = [measure(part, folder, arguments.rounds, arguments.compression) for part in arguments.fractions]
    if len(results) > 1:
        growth = (results[-1][2] / results[0][2]) / (arguments.fractions[-1] / arguments.fractions[0])
        print(f"growth from the smallest to the largest size, linear being 1: {growth:.2f}")
    ratio, memory, _ = results[-1]
    broken = ratio > arguments.limit or memory > MEMORY_LIMIT
    print(f"limits at the largest size: ratio {arguments.limit}, 3 GB: {'BROKEN' if broken else 'kept'}")
    sys.exit(broken)


if __name__ == "__main__":
    main()
