"""How far a long job is: one small file that `posologie status --watch` reads, and sparse log lines."""

import json
import logging
import os
import time
from pathlib import Path

from posologie.running.whole_files import whole_file


class Progress:
    """Writes `progress.json` at most every two seconds and a log line at most every thirty."""

    def __init__(self, folder: str | os.PathLike[str], artifact: str, total: int, unit: str) -> None:
        """Begin at 0 of `total` units (`unit` is the plural noun shown: steps, prompts, requests)."""
        self.path = Path(folder) / "progress.json"
        self.artifact, self.total, self.unit = artifact, total, unit
        self.done = self.first = 0
        self.started = time.time()
        self._written = self._logged = 0.0
        self._log = logging.getLogger("posologie.progress")

    def resume_at(self, done: int) -> None:
        """Say that `done` units were finished by an earlier run, so that the rate counts only this one's."""
        self.done = self.first = done

    def advance(self, count: int = 1) -> None:
        """Count units as done."""
        self.done += count
        now = time.time()
        last = self.done >= self.total
        if last or now - self._written >= 2:
            self._written = now
            self._write(now)
        if last or now - self._logged >= 30:
            self._logged = now
            rate = (self.done - self.first) / max(now - self.started, 1e-9)
            self._log.info("%s: %d of %d %s, %.2f a second", self.artifact, self.done, self.total, self.unit, rate)

    def _write(self, now: float) -> None:
        facts = {
            "artifact": self.artifact,
            "done": self.done,
            "first": self.first,
            "total": self.total,
            "unit": self.unit,
            "started": self.started,
            "updated": now,
            "pid": os.getpid(),
            "host": os.environ.get("SLURMD_NODENAME") or os.uname().nodename,
            "slurm_job": os.environ.get("SLURM_JOB_ID"),
        }
        with whole_file(self.path) as partial:
            partial.write_text(json.dumps(facts), encoding="utf-8")
