"""Judging with an engine that the job starts (see `posologie.judging.command`)."""

from posologie.backends.engine import open_backend
from posologie.judging.command import judge_command, judge_suites_command
from posologie.running.commands import run


def main(argv: list[str]) -> None:
    """Judge a model's answers to some suites, or the answers that people rated."""
    if "--answers" in argv:
        judge_suites_command(argv, "posologie.judging.engine", open_backend)
        return
    judge_command(argv, "posologie.judging.engine", open_backend)


if __name__ == "__main__":
    run(main)
