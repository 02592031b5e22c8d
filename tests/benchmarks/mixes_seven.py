"""Draw the seven mixes of the published study from full-size shards: seconds and memory of all seven together.

    python tests/benchmarks/mixes_seven.py FOLDER [--scale 0.25]

FOLDER holds the shards of `screening_corpus.py`, which is run if it is empty. Each mix is a process of its own, one
after the other, as the rule runs it. The floor is reading the shards that each mix draws from and writing as many rows
as it has, with pyarrow.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

SOURCES = ("native", "synthetic", "translated")
MIXES = {
    "NAT": ("native",),
    "TRAD": ("translated",),
    "SYN": ("synthetic",),
    "NAT-TRAD": ("native", "translated"),
    "NAT-SYN": ("native", "synthetic"),
    "TRAD-SYN": ("translated", "synthetic"),
    "ALL": SOURCES,
}


def draw(name: str, folder: Path, size: int, strata: list[str], out: Path) -> tuple[float, float]:
    """Draw one mix; return processor seconds and peak memory in GB."""
    spec = {
        "name": name,
        "mix": {"shares": dict.fromkeys(MIXES[name], 1), "size": size, "strata": strata},
        "seed": 42,
        "provenance_of": {source: source for source in SOURCES},
        "validation": {},
    }
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "posologie.mixes", "--spec", json.dumps(spec)),
            *("--train", *(f"{source}={folder / source / 'train.parquet'}" for source in MIXES[name])),
            *("--out-train", str(out / name / "train.parquet")),
            *("--out-validation", str(out / name / "validation.parquet")),
            *("--composition", str(out / name / "composition.json")),
        ],
        env={**os.environ, "POSOLOGIE_LOG": "ERROR"},
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"mix {name} failed")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1e6


def floor(folder: Path, size: int, out: Path) -> float:
    """Return the seconds to read every mix's shards and write as many rows with pyarrow."""
    started = time.perf_counter()
    for sources in MIXES.values():
        tables = [pq.read_table(folder / source / "train.parquet") for source in sources]
        rows = pa.concat_tables([table.slice(0, size // len(sources)) for table in tables])
        pq.write_table(rows, out / "floor.parquet", compression="zstd")
    return time.perf_counter() - started


def main() -> None:
    """Print one line of JSON."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("folder", type=Path)
    arguments.add_argument("--scale", type=float, default=1.0)
    arguments.add_argument("--strata", nargs="*", default=[])
    options = arguments.parse_args()
    if not (options.folder / "planted.json").exists():
        corpus = Path(__file__).with_name("screening_corpus.py")
        subprocess.run([sys.executable, corpus, options.folder, "--scale", str(options.scale)], check=True)
    size = int(33_493 * options.scale)
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        out = Path(folder)
        started = time.perf_counter()
        used = {name: draw(name, options.folder, size, options.strata, out) for name in MIXES}
        seconds = time.perf_counter() - started
        least = floor(options.folder, size, out)  # last: a child's peak memory begins at its parent's
        drawn = {name: pq.read_metadata(out / name / "train.parquet").num_rows for name in MIXES}
    print(
        json.dumps(
            {
                "items_of_each_mix": sorted(set(drawn.values())),
                "from_items": sum(
                    pq.read_metadata(options.folder / name / "train.parquet").num_rows for name in SOURCES
                ),
                "seconds": round(seconds, 2),
                "processor_seconds": round(sum(run[0] for run in used.values()), 2),
                "processor_seconds_by_mix": {name: round(run[0], 2) for name, run in used.items()},
                "peak_GB": round(max(run[1] for run in used.values()), 2),
                "floor_seconds": round(least, 2),
                "ratio_to_floor": round(seconds / least, 2),
                "load": os.getloadavg()[0],
            },
            indent=1,
        )
    )


if __name__ == "__main__":
    main()
