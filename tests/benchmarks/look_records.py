"""A look at generated records in the hub's form: seconds and peak memory, beside the limits that it keeps.

    python tests/benchmarks/look_records.py [--folder FOLDER] [--fraction 1] [--seconds 60] [--memory 2e9]

The records come from `hub_records_generator.py` (571,436 of them at fraction 1) and become shards as in
`sources_shards.py`; what is measured is the command behind the rule alone, with one process and no backbone. The clock
and the processor time are both printed: on a machine that others use, the clock is not the program's own. Memory is the
largest resident size of the command, sampled 10 times a second. Exits with 1 if a limit is broken.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from hub_records_generator import SIZES, generate
from sources_shards import peak_memory, processor_seconds, time_shards

from posologie.config.job_specs import look_spec
from posologie.config.study import Study
from posologie.records.files import read_json

STUDY = {
    "study": "generated",
    "sources": {
        source: {
            "provenance": source,
            "hub": f"generated/{source}",
            "splits": [split for name, split in SIZES if name == source],
        }
        for source in ("native", "translated", "synthetic")
    },
    "screening": {"mode": "remove", "against": ["mcqa"]},
    "mixes": {
        "NAT": {"shares": {"native": 1}, "size": 33493},
        "TRAD": {"shares": {"translated": 1}, "size": 33493},
        "SYN": {"shares": {"synthetic": 1}, "size": 33493},
        "ALL": {"shares": {"native": 1, "translated": 1, "synthetic": 1}, "size": 33493},
    },
    "backbones": {"none": {"hub": "generated/none"}},
    "suites": {
        "mcqa": {
            "benchmarks": {source: {"source": source, "tasks": ["mcqu", "mcq"]} for source in ("native", "translated")}
        }
    },
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="where records and shards are kept; a temporary folder if left out")
    parser.add_argument("--fraction", type=float, default=1.0)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--memory", type=float, default=2e9)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        data, root = folder / f"fraction-{arguments.fraction:g}", folder / f"results-{arguments.fraction:g}"
        if not (data / "planted.parquet").is_file():
            generate(data, arguments.fraction)
        if not (root / "shards").is_dir():
            time_shards(data, root / "shards")
        facts = root / "look" / "facts.json"
        spec = look_spec(Study.model_validate(STUDY)).canonical_json()
        command = [
            sys.executable,
            "-m",
            "posologie.look",
            "--spec",
            spec,
            "--results",
            str(root),
            "--facts",
            str(facts),
        ]
        before = processor_seconds()
        seconds, memory = peak_memory(subprocess.Popen(command))
        work = processor_seconds() - before
        splits = [split for source in read_json(facts)["sources"].values() for split in source["splits"].values()]
        read, items = sum(split["read"] for split in splits), sum(split["items"] for split in splits)
        print(
            f"{read:,} records, {items:,} items: {seconds:.1f} s on the clock, {work:.1f} s of processor time, "
            f"{memory / 1e9:.2f} GB, load {os.getloadavg()[0]:.1f}"
        )
    broken = seconds > arguments.seconds or memory > arguments.memory
    print(f"limits {arguments.seconds:g} s and {arguments.memory / 1e9:g} GB: {'BROKEN' if broken else 'kept'}")
    sys.exit(broken)


if __name__ == "__main__":
    main()
