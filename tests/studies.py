"""A copy of the project in which a test may run Snakemake and edit what it likes."""

import os
import re
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from forks import forked

REPOSITORY = Path(__file__).resolve().parents[1]
COPIED = ("Snakefile", "config", "envs", "profiles", "resources", "slurm", "workflow", "results/README.md")


@dataclass(frozen=True)
class Job:
    """One job of a dry run: its rule, what its wildcards stand for, why it would run, and what it makes."""

    rule: str
    wildcards: str
    reason: str
    outputs: tuple[str, ...] = ()


class Project:
    """A working copy with its own results, run by the Python that runs the tests."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.first_run = ""

    def clone(self, root: Path) -> "Project":
        """Copy everything, results and Snakemake's records included, with the times of all files."""
        shutil.copytree(self.root, root, symlinks=True)
        return Project(root)

    @classmethod
    def copy_to(cls, root: Path) -> "Project":
        """Copy the parts of the project that a run reads."""
        for name in COPIED:
            source, target = REPOSITORY / name, root / name
            target.parent.mkdir(parents=True, exist_ok=True)
            if source.is_symlink():
                target.symlink_to(os.readlink(source))
            elif source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
            elif source.exists():
                shutil.copy2(source, target)
        return cls(root)

    def environment(self) -> dict[str, str]:
        """Return the environment in which the copy's package comes before the installed one."""
        secrets = {name: value for name, value in os.environ.items() if not name.startswith(("SLURM", "HF_TOKEN"))}
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        return {
            **secrets,
            "PATH": path,
            "PYTHONPATH": str(self.root / "workflow"),
            "HF_HUB_OFFLINE": "1",
            "XDG_CACHE_HOME": str(self.root / ".cache"),
        }

    def snakemake(self, *arguments: str, fails: bool = False, timeout: float = 600) -> str:
        """Run Snakemake and return its output; a failure is an error of the test unless it is expected.

        Snakemake and its jobs are forks of a process that has imported their packages.
        """
        status, output = forked("run", ["snakemake", *arguments], self.root, self.environment(), timeout)
        assert (status != 0) == fails, output[-8000:]
        return output

    def planned(self, *arguments: str) -> list[Job]:
        """Return the jobs that a dry run would run."""
        return jobs_of(self.dry("-n", "--cores", "2", *arguments))

    def dry(self, *arguments: str) -> str:
        """Make a dry run, as a fork of a process that has imported Snakemake, and return its output."""
        status, output = forked("dry", ["snakemake", *arguments], self.root, self.environment())
        assert status == 0, output[-8000:]
        return output


def jobs_of(output: str) -> list[Job]:
    """Read the jobs out of a dry run's text."""
    jobs = []
    for block in re.split(r"\n(?=(?:local)?rule \S+:\n)", output)[1:]:
        rule = re.match(r"(?:local)?rule (\S+):", block)
        assert rule is not None
        fields = dict(re.findall(r"^    (\w+): (.*)$", block.split("\n\n")[0], flags=re.MULTILINE))
        outputs = tuple(filter(None, fields.get("output", "").split(", ")))
        jobs.append(Job(rule[1], fields.get("wildcards", ""), fields.get("reason", ""), outputs))
    return jobs
