"""List the batches that a work folder has under way at an endpoint, and cancel them on request.

    python -m posologie.generation.batches --work work/STUDY/translation/NAME [--cancel] [--key-variable NAME]

What a cancelled batch has answered is kept: start Snakemake again to collect it, and to ask for the rest.
"""

import argparse
import os
from pathlib import Path

import openai

from posologie.backends.openai_batch import batches_in, client_of
from posologie.backends.spec import Running
from posologie.running.commands import run
from posologie.running.errors import InputError


def main(argv: list[str]) -> None:
    """Print one line for each batch."""
    arguments = argparse.ArgumentParser(prog="python -m posologie.generation.batches", description=__doc__)
    arguments.add_argument("--work", required=True, type=Path, help="folder of the response cache")
    arguments.add_argument("--cancel", action="store_true", help="cancel them")
    arguments.add_argument("--key-variable", default="OPENAI_API_KEY", help="environment variable that holds the key")
    options = arguments.parse_args(argv)
    batches = batches_in(options.work / "batches")
    for batch in batches:
        client = client_of(batch.url, os.environ.get(options.key_variable) or "none", Running(attempts=2))
        if batch.id is None:
            print(f"{batch.name}  {len(batch.requests)} requests  not known to be ordered")
            continue
        try:
            state = client.batches.cancel(batch.id) if options.cancel else client.batches.retrieve(batch.id)
        except openai.APIError as error:
            raise InputError(f"{batch.url}: batch {batch.id}: {' '.join(str(error).split())[:200]}") from error
        print(f"{batch.id}  {len(batch.requests)} requests  {state.status}")
    if not batches:
        print("No batch is under way.")


if __name__ == "__main__":
    run(main)
