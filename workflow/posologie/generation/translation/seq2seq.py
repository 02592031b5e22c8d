"""Translation with a local translation model (see `posologie.generation.translation.command`)."""

from posologie.backends.seq2seq import open_backend
from posologie.generation.translation.command import translation_command
from posologie.running.commands import run


def main(argv: list[str]) -> None:
    """Translate items."""
    translation_command(argv, "posologie.generation.translation.seq2seq", open_backend)


if __name__ == "__main__":
    run(main)
