"""Synthesis with a local causal model (see `posologie.generation.synthesis.command`)."""

from posologie.backends.causal import open_backend
from posologie.generation.synthesis.command import synthesis_command
from posologie.running.commands import run


def main(argv: list[str]) -> None:
    """Make items from documents."""
    synthesis_command(argv, "posologie.generation.synthesis.causal", open_backend)


if __name__ == "__main__":
    run(main)
