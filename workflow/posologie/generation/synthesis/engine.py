"""Synthesis with an engine that the job starts (see `posologie.generation.synthesis.command`)."""

from posologie.backends.engine import open_backend
from posologie.generation.synthesis.command import synthesis_command
from posologie.running.commands import run


def main(argv: list[str]) -> None:
    """Make items from documents."""
    synthesis_command(argv, "posologie.generation.synthesis.engine", open_backend)


if __name__ == "__main__":
    run(main)
