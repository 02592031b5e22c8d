"""A private SLURM cluster on one machine, for the tests: `python tests/slurm/cluster.py start|status|stop`.

Two CPU nodes and two GPU nodes with four stand-in GPUs each, as plain background processes of Debian's SLURM: no
systemd, own ports, everything below one folder; `slurm.conf.json` says what its settings are for. It must run as root,
because slurmd does, and because the link at /etc/slurm/slurm.conf is what the inner `srun` of Snakemake's SLURM plugin
reads (the plugin drops SLURM_CONF): one cluster on a machine at a time.

Only processes that were started here are ever signalled: each is recorded with its pid and start time, and a pid whose
start time differs belongs to someone else.
"""

import argparse
import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch")
CPU_NODES, GPU_NODES = ("cpu1", "cpu2"), ("gpu1", "gpu2")
GPUS = 4
LINKED = Path("/etc/slurm")
FILES = ("slurm.conf", "gres.conf", "cgroup.conf")
SEARCHED = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"


def missing() -> str:
    """Return why there can be no cluster on this machine, or an empty text."""
    absent = [name for name in PROGRAMS if shutil.which(name, path=SEARCHED) is None]
    if absent:
        return f"no SLURM here ({', '.join(absent)}); Debian: apt-get install munge slurmctld slurmd slurm-client"
    if os.geteuid() != 0:
        return "the test cluster needs root: slurmd starts jobs as their users"
    for name in FILES:
        path = LINKED / name
        if path.exists() and not path.is_symlink():
            return f"{path} belongs to a real cluster, and stays as it is"
    return ""


def start_time(pid: int) -> str:
    """Return when a process started, in ticks since the boot; an empty text if there is none or it is a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] == "Z" else fields[19]


@dataclass(frozen=True)
class Cluster:
    """A cluster below `root`, which holds its configuration, state, logs and pids."""

    root: Path = field(default_factory=lambda: Path(tempfile.gettempdir()) / "posologie-slurm")
    port: int = 16917

    @property
    def configuration(self) -> Path:
        """The file that SLURM_CONF names."""
        return self.root / "etc/slurm.conf"

    @property
    def pids(self) -> Path:
        """The folder of the records of started daemons."""
        return self.root / "pids"

    def environment(self) -> dict[str, str]:
        """Return the environment in which SLURM's commands speak to this cluster."""
        return {**os.environ, "PATH": SEARCHED, "SLURM_CONF": str(self.configuration)}

    def ask(self, *command: str, timeout: float = 30) -> str:
        """Run one of SLURM's commands and return what it says."""
        done = subprocess.run(command, env=self.environment(), capture_output=True, text=True, timeout=timeout)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
        return done.stdout

    def start(self) -> None:
        """Start what does not run yet, and wait until all nodes are idle."""
        if why := missing():
            raise SystemExit(why)
        for folder in ("etc", "run", "pids", "log", "devices", "state/controller"):
            (self.root / folder).mkdir(parents=True, exist_ok=True, mode=0o755)
        with self._locked():
            self._configure()
            run, log = self.root / "run", self.root / "log"
            self._launch(
                "munged",
                *("munged", "--foreground", "--force", f"--key-file={self.root}/etc/munge.key"),
                *(f"--socket={run}/munge.sock", f"--pid-file={run}/munged.pid", f"--log-file={log}/munged.log"),
                f"--seed-file={self.root}/state/munge.seed",
            )
            _until(15, "munged answers", lambda: self.ask("munge", "-n", f"--socket={run}/munge.sock"))
            self._launch("slurmctld", "slurmctld", "-D", "-i")
            _until(30, "slurmctld answers", lambda: "is UP" in self.ask("scontrol", "ping"))
            for node in (*CPU_NODES, *GPU_NODES):
                self.start_node(node)
            _until(60, "all nodes are idle", self._all_idle)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Start the cluster if it does not run, and stop it afterwards if it did not run before."""
        ran = self.alive("slurmctld")
        self.start()
        try:
            yield
        finally:
            if not ran:
                self.stop()

    def start_node(self, node: str) -> None:
        """Start one node, and put it back into service."""
        (self.root / f"state/{node}").mkdir(exist_ok=True)
        self._launch(node, "slurmd", "-D", "-N", node)

    def kill_node(self, node: str) -> None:
        """Let a node vanish as in a power cut: its daemon and all processes of its jobs are killed."""
        spool = f"{self.root}/state/{node}"
        self._signal(node, signal.SIGKILL)
        for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
            if _variable(pid, "SLURMD_NODENAME") == node or _is_step_daemon(pid, node, spool):
                _kill(pid, signal.SIGKILL)

    def stop(self, wipe: bool = False) -> None:
        """End the jobs, then the daemons that were started here; with `wipe`, remove the folder as well."""
        if not self.pids.is_dir():
            return
        with self._locked():
            self._end_jobs()
            for name in (*CPU_NODES, *GPU_NODES, "slurmctld", "munged"):
                self._signal(name, signal.SIGKILL if wipe else signal.SIGTERM)
            for name in (*CPU_NODES, *GPU_NODES, "slurmctld", "munged"):
                _until(20, f"{name} ends", lambda name=name: not self.alive(name))
                (self.pids / name).unlink(missing_ok=True)
            for name in FILES:
                link = LINKED / name
                if link.is_symlink() and os.readlink(link) == str(self.root / "etc" / name):
                    link.unlink()
        if wipe:
            shutil.rmtree(self.root)

    def status(self) -> dict[str, str]:
        """Return each daemon's state (`up` or `down`), and each node's as SLURM sees it."""
        daemons = {name: "up" if self.alive(name) else "down" for name in ("munged", "slurmctld")}
        states = dict.fromkeys((*CPU_NODES, *GPU_NODES), "unknown")
        if daemons["slurmctld"] == "up":
            states |= dict(line.split() for line in self.ask("sinfo", "-h", "-N", "-o", "%N %t").splitlines())
        return daemons | {
            node: f"{'up' if self.alive(node) else 'down'}, {state}" for node, state in sorted(states.items())
        }

    def alive(self, name: str) -> bool:
        """Whether a recorded daemon is still the process that was started."""
        record = self.pids / name
        if not record.is_file():
            return False
        pid, started = record.read_text().split()
        return bool(started) and start_time(int(pid)) == started

    def pause(self, name: str) -> None:
        """Stop a daemon from answering (SIGSTOP), until `resume`."""
        self._signal(name, signal.SIGSTOP)

    def resume(self, name: str) -> None:
        """Let a paused daemon go on."""
        self._signal(name, signal.SIGCONT)

    def jobs(self, *, ended: bool = False) -> list[dict[str, str]]:
        """Return the jobs that SLURM knows: `id`, `state`, `node`, `rule` (from the comment), `folder`, `run`."""
        keys = ("id", "state", "node", "rule", "folder", "run")
        chosen = ["--states=all"] if ended else []
        listing = self.ask("squeue", "-h", *chosen, "-o", "%A|%T|%N|%k|%Z|%j")
        jobs = [dict(zip(keys, line.split("|"), strict=True)) for line in listing.splitlines()]
        for job in jobs:
            job["rule"] = job["rule"].removeprefix("rule_")
        return jobs

    def _all_idle(self) -> bool:
        states = dict(line.split() for line in self.ask("sinfo", "-h", "-N", "-o", "%N %t").splitlines())
        for node, state in states.items():
            if state.startswith(("down", "drain", "drng")):
                self.ask("scontrol", "update", f"nodename={node}", "state=resume")
        return len(states) == 4 and all(state.rstrip("*") in ("idle", "mix", "alloc") for state in states.values())

    def _end_jobs(self) -> None:
        if not self.alive("slurmctld"):
            return
        self.resume("slurmctld")
        try:
            if running := [job["id"] for job in self.jobs()]:
                self.ask("scancel", *running)
                _until(15, "the jobs end", lambda: not self.jobs())
        except (RuntimeError, TimeoutError, subprocess.TimeoutExpired) as error:
            print(f"jobs may be left: {error}", file=sys.stderr)

    def _launch(self, name: str, *command: str) -> None:
        if self.alive(name):
            return
        with open(self.root / f"log/{name}.out", "ab") as log:
            process = subprocess.Popen(
                command,
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        (self.pids / name).write_text(f"{process.pid} {start_time(process.pid)}\n")

    def _signal(self, name: str, number: int) -> None:
        if self.alive(name):
            _kill(int((self.pids / name).read_text().split()[0]), number)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        with open(self.root / "lock", "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _configure(self) -> None:
        etc = self.root / "etc"
        key = etc / "munge.key"
        if not key.exists():
            key.write_bytes(os.urandom(1024))
            key.chmod(0o400)
        (etc / "slurm.conf").write_text(self._slurm_conf())
        (etc / "gres.conf").write_text(
            "AutoDetect=off\n"
            + "".join(
                f"NodeName={node} Name=gpu Type=h100 File={device}\n"
                for node in GPU_NODES
                for device in self._devices()
            )
        )
        (etc / "cgroup.conf").write_text("CgroupPlugin=autodetect\nCgroupAutomount=no\n")
        LINKED.mkdir(exist_ok=True)
        for name in FILES:
            link = LINKED / name
            if link.is_symlink() and os.readlink(link) != str(etc / name):
                if Path(os.readlink(link)).exists():
                    raise SystemExit(f"{link} leads to {os.readlink(link)}: stop that cluster first")
                link.unlink()
            if not link.is_symlink():
                link.symlink_to(etc / name)

    def _devices(self) -> list[str]:
        """Return character devices that stand for GPUs; without one, CUDA_VISIBLE_DEVICES stays unset."""
        spare = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random")
        devices = []
        for number in range(GPUS):
            device = self.root / f"devices/nvidia{number}"
            if not device.is_char_device():
                try:
                    os.mknod(device, 0o600 | 0o020000, os.makedev(1, 3))  # the numbers of /dev/null: harmless
                except OSError:
                    devices.append(spare[number])
                    continue
            devices.append(str(device))
        return devices

    def _slurm_conf(self) -> str:
        host = os.uname().nodename.split(".")[0]
        facts = json.loads((Path(__file__).with_name("slurm.conf.json")).read_text(encoding="utf-8"))
        lines = [f"{name}={value}" for section in facts["settings"] for name, value in section["values"].items()]
        lines += [
            f"SlurmctldHost={host}(127.0.0.1)",
            f"SlurmctldPort={self.port}",
            # a requeued job starts only when its credential has expired: two minutes by default
            f"AuthInfo=socket={self.root}/run/munge.sock,cred_expire=10",
            f"StateSaveLocation={self.root}/state/controller",
            f"SlurmdSpoolDir={self.root}/state/%n",
            f"SlurmctldPidFile={self.root}/run/slurmctld.pid",
            f"SlurmdPidFile={self.root}/run/%n.pid",
            f"SlurmctldLogFile={self.root}/log/slurmctld.log",
            f"SlurmdLogFile={self.root}/log/%n.log",
        ]
        for number, node in enumerate((*CPU_NODES, *GPU_NODES)):
            gpus = f" Gres=gpu:h100:{GPUS}" if node in GPU_NODES else ""
            lines.append(
                f"NodeName={node} NodeHostname={host} NodeAddr=127.0.0.1 Port={self.port + 10 + number}"
                f" CPUs=16 RealMemory=200000{gpus} State=UNKNOWN"
            )
        return "\n".join([*lines, *facts["partitions"], ""])


def _variable(pid: int, name: str) -> str:
    """Return a variable of a process's environment."""
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return ""
    start = f"{name}=".encode()
    return next((entry[len(start) :].decode() for entry in environment if entry.startswith(start)), "")


def _is_step_daemon(pid: int, node: str, spool: str) -> bool:
    """Whether a process is the daemon of a job step on a node: it has the node's spool folder open or as its own."""
    try:
        name = Path(f"/proc/{pid}/comm").read_text().strip()
        if name != "slurmstepd":
            return False
        opened = [os.readlink(entry) for entry in Path(f"/proc/{pid}/fd").iterdir()]
    except OSError:
        return False
    return any(path.startswith(f"{spool}/") or path.endswith(f"/{node}.log") for path in opened)


def _kill(pid: int, number: int) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return


def _until(seconds: float, what: str, holds: Callable[[], object]) -> None:
    """Wait until something holds."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if holds():
                return
            problem = ""
        except (RuntimeError, subprocess.TimeoutExpired) as error:
            problem = f" ({error})"
        if time.monotonic() > deadline:
            raise TimeoutError(f"after {seconds:.0f} s it is still not true that {what}{problem}")
        time.sleep(0.1)


def main() -> int:
    """Start, show or stop the cluster."""
    arguments = argparse.ArgumentParser(description="a private SLURM cluster for the tests")
    arguments.add_argument("what", choices=["start", "status", "stop"])
    arguments.add_argument("--wipe", action="store_true", help="with stop: kill the daemons and remove their folder")
    options = arguments.parse_args()
    cluster = Cluster()
    if options.what == "start":
        cluster.start()
    elif options.what == "stop":
        cluster.stop(options.wipe)
        return 0
    for name, state in cluster.status().items():
        print(f"{name:10} {state}")
    if options.what == "start":
        print(f"export SLURM_CONF={cluster.configuration}")
    return 0 if cluster.alive("slurmctld") else 1


if __name__ == "__main__":
    sys.exit(main())
