"""Rating training items with an engine that the job starts (see `posologie.screening.rating.command`)."""

from posologie.backends.engine import open_backend
from posologie.running.commands import run
from posologie.screening.rating.command import rate_command


def main(argv: list[str]) -> None:
    """Rate the training items of one source."""
    rate_command(argv, "posologie.screening.rating.engine", open_backend)


if __name__ == "__main__":
    run(main)
