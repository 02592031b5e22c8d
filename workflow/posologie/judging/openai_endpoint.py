"""Judging with an OpenAI-compatible endpoint (see `posologie.judging.command`)."""

from posologie.backends.openai_endpoint import open_backend
from posologie.judging.command import judge_command
from posologie.running.commands import run


def main(argv: list[str]) -> None:
    """Judge a model's answers, or the answers that people rated."""
    judge_command(argv, "posologie.judging.openai_endpoint", open_backend)


if __name__ == "__main__":
    run(main)
