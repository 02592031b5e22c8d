"""Parallel text translated with a local translation model (see `posologie.generation.translation_quality.command`)."""

from posologie.backends.seq2seq import open_backend
from posologie.generation.translation_quality.command import quality_command
from posologie.running.commands import run


def main(argv: list[str]) -> None:
    """Translate parallel text."""
    quality_command(argv, "posologie.generation.translation_quality.seq2seq", open_backend)


if __name__ == "__main__":
    run(main)
