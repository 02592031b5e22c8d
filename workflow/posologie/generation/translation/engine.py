"""Translation with an engine that the job starts (see `posologie.generation.translation.command`)."""

from posologie.backends.engine import open_backend
from posologie.generation.translation.command import translation_command
from posologie.running.commands import run


def main(argv: list[str]) -> None:
    """Translate items."""
    translation_command(argv, "posologie.generation.translation.engine", open_backend)


if __name__ == "__main__":
    run(main)
