"""The version of the installed package, as its metadata state it: `pyproject.toml` is the one place that sets it."""

import importlib.metadata
import json
import subprocess

from posologie.shipped import project

try:
    __version__ = importlib.metadata.version("posologie")
except importlib.metadata.PackageNotFoundError:  # found on a path, not installed
    __version__ = "unknown"


def commit() -> str | None:
    """Return the beginning of the commit that the code is from, with `+` behind it where files were changed since.

    None where neither git nor the installed package's metadata know it.
    """
    try:
        origin = json.loads(importlib.metadata.distribution("posologie").read_text("direct_url.json") or "{}")
    except (importlib.metadata.PackageNotFoundError, ValueError):
        origin = {}
    if known := origin.get("vcs_info", {}).get("commit_id"):
        return str(known)[:12]
    if not (project() / ".git").exists():
        return None
    git = ["git", "-C", str(project())]
    try:
        head = subprocess.run([*git, "rev-parse", "--short=12", "HEAD"], capture_output=True, text=True, check=True)
        changed = subprocess.run([*git, "status", "--porcelain", "-uno"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return head.stdout.strip() + ("+" if changed.stdout.strip() else "")
