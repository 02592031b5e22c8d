"""What a test does where a program that it needs is absent: it fails, unless a variable says that this is meant."""

import os
from typing import NoReturn

import pytest

VARIABLE = "POSOLOGIE_MAY_SKIP"
STAGES = ("slurm", "browser", "axe")
"""What the variable may name, with blanks between: tests that need SLURM, Chromium, or axe-core."""


def absent(stage: str, why: str) -> NoReturn:
    """Fail, or skip where the variable names the stage."""
    if stage not in STAGES:
        raise ValueError(f"'{stage}': expected one of {STAGES}")
    if stage in os.environ.get(VARIABLE, "").split():
        pytest.skip(f"{why} ({VARIABLE} names {stage})")
    pytest.fail(f"{why}; {VARIABLE}={stage} skips these tests", pytrace=False)
