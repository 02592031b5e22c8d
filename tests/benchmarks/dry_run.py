"""How long a dry run takes, beside the same rules and jobs without the project's helpers.

    python tests/benchmarks/dry_run.py --jobs 1250 [--most 1.3] [--most-megabytes 700]

The published study is planned with as many seeds as make that many jobs. The bare workflow has the same rules with the
same patterns, and every job the same inputs, looked up in a table; its parameters are constants. Both are planned in
turn, `--rounds` times, in processes of their own; compared are the shortest processor times, which other work on the
machine disturbs least. Peak memory is that of the process.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import yaml

REPOSITORY = Path(__file__).resolve().parents[2]

# Snakemake as it is; at the end it writes its rules' patterns and each job's rule, wildcards and inputs.
RECORDING = """
import json, sys
from snakemake import cli, workflow
execute = workflow.Workflow.execute
def recorded(self, *arguments, **options):
    result = execute(self, *arguments, **options)
    rules = {}
    for rule in self.rules:
        rules[rule.name] = {
            "output": [str(f) for f in rule.output],
            "log": [str(f) for f in rule.log],
            "local": rule.name in self._localrules,
            "jobs": [],
        }
    for job in self.dag.jobs:
        rules[job.rule.name]["jobs"].append([dict(job.wildcards_dict), [str(f) for f in job.input]])
    with open("rules.json", "w") as file:
        json.dump({"rules": rules}, file)
    return result
workflow.Workflow.execute = recorded
sys.argv[0] = "snakemake"
cli.main()
"""

BARE = """
import json

with open("rules.json") as file:
    PLAN = json.load(file)

INPUTS = {
    name: {tuple(sorted(wildcards.items())): inputs for wildcards, inputs in rule["jobs"]}
    for name, rule in PLAN["rules"].items()
}


def inputs_of(name):
    table = INPUTS[name]
    return lambda wildcards: table[tuple(sorted(wildcards.items()))]


def growing(amount):
    return lambda wildcards, attempt: amount * attempt


rule all:
    input: [path for _, inputs in PLAN["rules"]["all"]["jobs"] for path in inputs]
"""

RULE = """
rule {name}:
    localrule: {local}
    input: inputs_of({name!r})
    output: {output}
    params: spec={spec!r}
    threads: 2
    resources: mem_mb=growing(4000), runtime=growing(30), nodes=1
    conda: "envs/posologie.yaml"
    log: {log}
    shell: "python -m command --spec {{params.spec:q}} {{input:q}} {{output:q}} 2> {{log}}"
"""


def main() -> int:
    """Print both times and the memory; the exit code is 1 if a limit is passed."""
    arguments = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    arguments.add_argument("--jobs", type=int, default=1250)
    arguments.add_argument("--rounds", type=int, default=2)
    arguments.add_argument("--most", type=float, default=1.3, help="times the bare workflow")
    arguments.add_argument("--most-megabytes", type=float, default=700.0)
    options = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        whole, bare = Path(folder) / "whole", Path(folder) / "bare"
        whole.mkdir(), bare.mkdir()
        for name in ("Snakefile", "workflow", "resources", "envs"):
            (whole / name).symlink_to(REPOSITORY / name)
        for name in ("resources", "envs"):
            (bare / name).symlink_to(REPOSITORY / name)
        write_study(whole, options.jobs)
        run(whole, "-c", RECORDING)
        (whole / "rules.json").rename(bare / "rules.json")
        count = write_bare(bare)
        best = {"whole": float("inf"), "bare": float("inf")}
        walls, peaks = dict(best), dict.fromkeys(best, 0.0)
        for _ in range(options.rounds):
            for name, place in (("whole", whole), ("bare", bare)):
                seconds, wall, megabytes = run(place, "-m", "snakemake")
                best[name], walls[name] = min(best[name], seconds), min(walls[name], wall)
                peaks[name] = max(peaks[name], megabytes)
    ratio = best["whole"] / best["bare"]
    print(
        f"{count} jobs: {best['whole']:.1f} s of processor time ({walls['whole']:.1f} s by the clock),"
        f" {best['bare']:.1f} s bare ({walls['bare']:.1f} s): {ratio:.2f} times;"
        f" {peaks['whole']:.0f} MB, {peaks['bare']:.0f} MB bare"
    )
    return 1 if ratio > options.most or peaks["whole"] > options.most_megabytes else 0


def write_study(folder: Path, jobs: int) -> None:
    """Write the published study with enough seeds: 56 jobs a seed, and about 30 whatever the seeds."""
    seeds = list(range(42, 42 + max(1, round((jobs - 30) / 56))))
    study = {"extends": str(REPOSITORY / "config/config.yaml"), "study": "many", "training": {"seeds": seeds}}
    (folder / "config").mkdir()
    (folder / "config/config.yaml").write_text(yaml.safe_dump(study))


def write_bare(folder: Path) -> int:
    """Write the workflow without helpers from what Snakemake recorded, and return how many jobs there are."""
    rules = json.loads((folder / "rules.json").read_text())["rules"]
    text, count = BARE, 0
    for name, rule in rules.items():
        if not rule["jobs"] or name == "all":
            continue
        count += len(rule["jobs"])
        text += RULE.format(
            name=name,
            local=rule["local"],
            output=", ".join(map(repr, rule["output"])),
            spec="x" * 600,
            log=", ".join(map(repr, rule["log"])) or repr(f"logs/{name}.log"),
        )
    (folder / "Snakefile").write_text(text)
    return count


def run(folder: Path, *how: str) -> tuple[float, float, float]:
    """Plan once; return processor seconds, seconds by the clock, and the peak in megabytes."""
    began = time.monotonic()
    with (folder / "said.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, *how, "-n", "--cores", "8", "--quiet", "rules", "--nolock"],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY / "workflow")},
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit((folder / "said.log").read_text()[-3000:])
    return usage.ru_utime + usage.ru_stime, time.monotonic() - began, usage.ru_maxrss / 1024


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.exit(main())
