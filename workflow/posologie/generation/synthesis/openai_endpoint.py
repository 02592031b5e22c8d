"""Synthesis with an OpenAI-compatible endpoint (see `posologie.generation.synthesis.command`)."""

from posologie.backends.openai_endpoint import open_backend
from posologie.generation.synthesis.command import synthesis_command
from posologie.running.commands import run


def main(argv: list[str]) -> None:
    """Make items from documents."""
    synthesis_command(argv, "posologie.generation.synthesis.openai_endpoint", open_backend)


if __name__ == "__main__":
    run(main)
