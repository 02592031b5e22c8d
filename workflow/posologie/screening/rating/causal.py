"""Rating training items with a local causal model (see `posologie.screening.rating.command`)."""

from posologie.backends.causal import open_backend
from posologie.running.commands import run
from posologie.screening.rating.command import rate_command


def main(argv: list[str]) -> None:
    """Rate the training items of one source."""
    rate_command(argv, "posologie.screening.rating.causal", open_backend)


if __name__ == "__main__":
    run(main)
