"""Where each artifact of a study lies below `results/{study}/` (specified in results/README.md).

Rules that gather hundreds of files hand over the root and the names instead of every path.
"""

from pathlib import PurePosixPath


def downloaded(hub: str, revision: str) -> str:
    """Return the folder of something from the hub below its root: the same for the same thing in every study."""
    return f"{hub.replace('/', '--')}@{revision.replace('/', '--')}"


def shard(source: str, split: str) -> str:
    """Return the path of a shard."""
    return f"shards/{source}/{split}.parquet"


def screened(source: str, split: str) -> str:
    """Return the path of a screened shard."""
    return f"screened/{source}/{split}.parquet"


def mix(name: str, seed: int, part: str) -> str:
    """Return the path of a part of a mix: train, validation (Parquet) or composition (JSON)."""
    return f"mixes/{name}/seed-{seed}/{part}.{'json' if part == 'composition' else 'parquet'}"


def leakage(mix: str, seed: int, suite: str) -> str:
    """Return the path of the audit of a mix against a suite."""
    return f"leakage/{mix}/seed-{seed}/{suite}.parquet"


def adapter(model: str, file: str) -> str:
    """Return the path of a file of an adapter; the model is `{backbone}/{mix}/seed-{seed}`."""
    return f"adapters/{model}/{file}"


def predictions(model: str, suite: str) -> str:
    """Return the path of a model's predictions on a suite."""
    return f"predictions/{model}/{suite}.parquet"


def predictions_run(model: str, suite: str) -> str:
    """Return the path of the run record beside a predictions file."""
    return f"predictions/{model}/{suite}.run.json"


def scores(model: str, suite: str) -> str:
    """Return the path of a model's scores on a suite."""
    return f"scores/{model}/{suite}.parquet"


def scores_neural(model: str, suite: str) -> str:
    """Return the path of a model's neural scores on a suite."""
    return f"scores_neural/{model}/{suite}.parquet"


def judgements(judge: str, model: str, suite: str) -> str:
    """Return the path of a judge's verdicts on a model's answers to a suite."""
    return f"judgements/{judge}/{model}/{suite}.parquet"


def calibration(judge: str, ratings: str) -> str:
    """Return the path of a judge's verdicts on a set of human ratings."""
    return f"judgements/{judge}/calibration/{ratings}.parquet"


def human(ratings: str) -> str:
    """Return the path of a set of human ratings."""
    return f"human/{ratings}.parquet"


def human_scores(ratings: str) -> str:
    """Return the path of the metrics of the answers of a set of human ratings."""
    return f"human_scores/{ratings}.parquet"


def quality(judge: str, source: str) -> str:
    """Return the path of a judge's ratings of a source's training items."""
    return f"quality/{judge}/{source}.parquet"


def table(name: str) -> str:
    """Return the path of a table as CSV."""
    return f"tables/{name}.csv"


def look(page: str) -> str:
    """Return the path of a page about the data: `index`, or that of a source."""
    return f"look/{page}.html"


def beside(path: str, suffix: str) -> str:
    """Return the path with its suffix replaced."""
    return str(PurePosixPath(path).with_suffix("")) + suffix
