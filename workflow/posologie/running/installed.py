"""What is installed: the version, and the files that ship: rules, prompts, languages, profiles, examples."""

import importlib.metadata
import os
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]


def project() -> Path:
    """Return the folder that holds `Snakefile`, `workflow/`, `resources/`, `config/`, `profiles/` and `envs/`.

    It is the checkout that the package is imported from; an installed wheel carries a copy.
    """
    checkout = _PACKAGE.parents[1]
    return checkout if checkout.joinpath("workflow", "Snakefile").is_file() else _PACKAGE.joinpath("project")


def shipped(path: str) -> str:
    """Return a path of a study file; where nothing is there, that of the file that ships under the same name."""
    own = project().joinpath(path)
    return path if os.path.isabs(path) or os.path.exists(path) or not own.exists() else os.path.relpath(own)


try:
    __version__ = importlib.metadata.version("posologie")
except importlib.metadata.PackageNotFoundError:  # found on a path, not installed
    __version__ = "unknown"
