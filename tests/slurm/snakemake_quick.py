"""Snakemake with a second between two looks at the jobs, for the tests: `python snakemake_quick.py ARGUMENTS`.

The SLURM plugin looks after 20 seconds, and ten seconds later after each look that found nothing; no option turns that
off. Everything else, and the jobs themselves, are plain Snakemake.
"""

import asyncio
import sys

from snakemake.cli import main
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor


async def one_second(executor: RemoteExecutor) -> None:
    """Wait before the next look."""
    await asyncio.sleep(1)


RemoteExecutor.sleep = one_second
sys.argv[0] = "snakemake"
main()
