"""Predict with an engine that the job starts (see `posologie.prediction.openai_endpoint`).

python -m posologie.prediction.engine --spec JSON --backbone MANIFEST --items SOURCE=SHARD… --predictions SUITE=OUT…
--run SUITE=OUT… --work DIR [--running JSON]
"""

from posologie.backends.engine import open_backend
from posologie.prediction.openai_endpoint import served_command
from posologie.running.commands import run


def main(argv: list[str]) -> None:
    """Answer suites with a model that an engine serves for the time of this job."""
    served_command(argv, "posologie.prediction.engine", open_backend)


if __name__ == "__main__":
    run(main)
