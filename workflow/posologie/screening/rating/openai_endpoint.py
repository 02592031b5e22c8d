"""Rating training items with an OpenAI-compatible endpoint (see `posologie.screening.rating.command`)."""

from posologie.backends.openai_endpoint import open_backend
from posologie.running.commands import run
from posologie.screening.rating.command import rate_command


def main(argv: list[str]) -> None:
    """Rate the training items of one source."""
    rate_command(argv, "posologie.screening.rating.openai_endpoint", open_backend)


if __name__ == "__main__":
    run(main)
