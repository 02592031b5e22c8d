"""A fan of equal jobs on the test cluster: time to the last output beside the ideal schedule, and looks at the queue.

    python tests/benchmarks/slurm_fan.py [--jobs 40] [--seconds 60] [--slots 8] [--most 1.25]

Each job sleeps; `--slots` of them fit on the cluster at once, so that the ideal schedule takes jobs / slots × seconds.
The profile is the one that ships, its waiting times included: Snakemake sets the time of an output when it has seen
that the job ended. Every look at the queue is counted by a `squeue` that stands before the real one: one look asks for
all jobs, and two are at least 20 seconds apart, so that the time alone bounds their number. Needs root and Debian's
SLURM packages.
"""

import argparse
import math
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from slurm.cluster import Cluster
from studies import Project

SNAKEFILE = """
rule all:
    input: expand("made/{{number}}.txt", number=range({jobs}))

rule make:
    output: "made/{{number}}.txt"
    threads: {threads}
    resources: mem_mb=500, runtime=10
    shell: "date +%s.%N > begun.{{wildcards.number}}; sleep {seconds}; touch {{output}}"
"""

BETWEEN_LOOKS = 20.0
"""The shortest time between two looks, `slurm-init-seconds-before-status-checks` of the profile."""

FURTHER_LOOKS = 5
"""Looks beside those: at the start, and at the end."""

COUNTING = """#!/bin/sh
echo x >> "$SQUEUE_COUNT"
exec {squeue} "$@"
"""


def fan(cluster: Cluster, root: Path, jobs: int, seconds: float, slots: int) -> tuple[float, int]:
    """Run a fan; return the seconds from the start of Snakemake to the last output, and the looks at the queue."""
    Project.copy_to(root)
    threads = 32 // slots  # two nodes of 16 processors
    (root / "Snakefile").write_text(SNAKEFILE.format(jobs=jobs, seconds=seconds, threads=threads))
    (root / "bin").mkdir()
    counting = root / "bin/squeue"
    counting.write_text(COUNTING.format(squeue=shutil.which("squeue")))
    counting.chmod(0o755)
    environment = {**cluster.environment(), **Project(root).environment()}
    environment |= {"SLURM_CONF": str(cluster.configuration), "SQUEUE_COUNT": str(root / "looks")}
    environment["PATH"] = f"{root / 'bin'}:{environment['PATH']}"
    began = time.time()
    with (root / "said.log").open("w") as log:
        words = [sys.executable, "-m", "snakemake", "--profile", "slurm", "--default-resources", "slurm_partition=cpu"]
        subprocess.run(words, cwd=root, env=environment, stdout=log, stderr=subprocess.STDOUT, check=True)
    made = [path.stat().st_mtime for path in (root / "made").iterdir()]
    return max(made) - began, len((root / "looks").read_text().splitlines())


def main() -> int:
    """Print the times; the exit code is 1 if a limit is passed."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("--jobs", type=int, default=40)
    arguments.add_argument("--seconds", type=float, default=60.0)
    arguments.add_argument("--slots", type=int, default=8, choices=[1, 2, 4, 8, 16, 32])
    arguments.add_argument("--most", type=float, default=1.25, help="times the ideal schedule")
    options = arguments.parse_args()
    cluster = Cluster()
    ideal = math.ceil(options.jobs / options.slots) * options.seconds
    with cluster.running(), tempfile.TemporaryDirectory() as folder:
        taken, looks = fan(cluster, Path(folder) / "fan", options.jobs, options.seconds, options.slots)
    ratio, most_looks = taken / ideal, taken / BETWEEN_LOOKS + FURTHER_LOOKS
    print(
        f"{options.jobs} jobs of {options.seconds:.0f} s in {options.slots} slots: {taken:.0f} s,"
        f" {ratio:.2f} × {ideal:.0f} s; {looks} looks at the queue, at most {most_looks:.0f} in this time"
    )
    return 1 if ratio > options.most or looks > most_looks else 0


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main())
