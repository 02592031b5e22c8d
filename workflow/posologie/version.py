"""The version of the installed package, as its metadata state it: `pyproject.toml` is the one place that sets it."""

import importlib.metadata

try:
    __version__ = importlib.metadata.version("posologie")
except importlib.metadata.PackageNotFoundError:  # found on a path, not installed
    __version__ = "unknown"
