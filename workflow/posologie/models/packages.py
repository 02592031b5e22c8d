"""Installed Python packages that hold a model: their version is part of what is made from them."""

import importlib.metadata
from functools import cache

from posologie.running.errors import InputError


@cache
def installed_version(package: str) -> str | None:
    """Return the version of the distribution that brings an importable package; None where it is not installed."""
    try:
        return importlib.metadata.version(package)  # most distributions bear the name of their package
    except importlib.metadata.PackageNotFoundError:
        for distribution in importlib.metadata.packages_distributions().get(package.partition(".")[0], ()):
            return importlib.metadata.version(distribution)
    return None


def check_version(key: str, package: str | None, planned: str | None) -> None:
    """Check that the package installed here is the one that the job was planned with.

    Args:
        key: of the study file, for the message.
        planned: None where nothing was planned, or where the package was missing then.

    Raises:
        InputError: if another version is installed.
    """
    if package is None or planned is None:
        return
    found = installed_version(package)
    if found != planned:
        raise InputError(
            f"{key} = '{package}': version {planned} was planned, {found or 'none'} is installed here; "
            f"run Snakemake again, or install version {planned}"
        )
