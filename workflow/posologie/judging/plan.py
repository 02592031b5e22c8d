"""What judging would ask and cost.

python -m posologie.judging.plan --spec JudgingSpec --prompt FILE --predictions F --items SOURCE=SHARD… --work DIR
    [--running JSON] [--plan OUT.json]

The command counts what one judge would be asked about one model's answers. `estimate_suite` and `estimate_ratings`
count for `posologie.judging.plan_study` what a judge would be asked in a whole study, before its models have answered.
"""

import tempfile
from argparse import Namespace
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from math import ceil
from pathlib import Path
from typing import Any

from posologie.backends.interface import Request
from posologie.backends.prompts import read_prompt
from posologie.backends.spec import Running
from posologie.generation.plan import Estimate, add_estimate_arguments, estimate_of, show
from posologie.judging.answers import open_answers
from posologie.judging.command import judge_request
from posologie.judging.human import read_ratings
from posologie.judging.spec import CalibrationSpec, Judge, JudgingSpec, OutsideVerdicts
from posologie.prediction.requests import select
from posologie.prediction.spec import Suite
from posologie.records.files import read_parquet
from posologie.running.commands import named_path, parser, run
from posologie.running.errors import InputError


def main(argv: list[str]) -> None:
    """Print the estimate."""
    arguments = parser("posologie.judging.plan", __doc__ or "")
    add_estimate_arguments(arguments)
    arguments.add_argument("--prompt", required=True, type=Path)
    arguments.add_argument("--predictions", required=True, type=Path)
    arguments.add_argument("--items", required=True, nargs="+", type=named_path, metavar="SOURCE=SHARD")
    options = arguments.parse_args(argv)
    judge = JudgingSpec.from_json(options.spec).judge
    show(_estimate(open_answers(options.predictions, dict(options.items)), judge, options), options)


def estimate_suite(options: Namespace) -> Estimate:
    """Return what a judge would be asked about the answers of some models to the open questions of a suite.

    Answers of models that have none yet, or none to these questions, count as long as the reference answer; at most,
    they are as long as the suite allows.

    Args:
        options: `spec`, `prompt`, `work` and `running` of the command; `suite` and `seed` of the questions; `items`,
            source → shards; `predictions`, a path for each model, whether the file exists or not.
    """
    judge, suite = JudgingSpec.from_json(options.spec).judge, Suite.model_validate(options.suite)
    questions = list(_questions(suite, options.items, options.seed))
    rows, unknown = [], 0
    for path in map(Path, options.predictions):
        answers = _answers(path) if path.is_file() else {}
        if answers.keys() == {(row["benchmark"], row["item"]) for row in questions}:
            rows += [row | {"candidate": answers[row["benchmark"], row["item"]]} for row in questions]
        else:
            rows += [row | {"candidate": row["reference"]} for row in questions]
            unknown += len(questions)
    estimate = _estimate(rows, judge, options)
    if not unknown:
        return estimate
    longest = ceil(suite.max_new_tokens * Running.from_json(options.running).characters_per_token)
    basis = f"{estimate.basis}; for answers that no model has given yet, as long as the reference answers"
    return replace(estimate, most_tokens=estimate.most_tokens + unknown * longest, basis=basis)


def estimate_ratings(options: Namespace) -> Estimate:
    """Return what a judge would be asked about a set of answers that people rated.

    Args:
        options: `spec`, `prompt`, `work` and `running` of the command; `human`, the file of the ratings.
    """
    answers = {row["answer"]: row for row in read_ratings(options.human).to_pylist()}
    return _estimate(list(answers.values()), CalibrationSpec.from_json(options.spec).judge, options)


def _estimate(rows: Sequence[Mapping[str, str]], judge: Judge, options: Namespace) -> Estimate:
    """Return the estimate for the verdicts on some answers."""
    if isinstance(judge.backend, OutsideVerdicts):
        raise InputError("judge.backend.kind = 'outside': there is nothing to ask; expected a model")
    prompt = read_prompt(options.prompt)
    longest = int(judge.decoding.max_new_tokens * 1e6)  # a verdict is short, but a reasoning judge may use its limit

    def reply_characters(request: Request) -> int:
        return longest

    return estimate_of((judge_request(row, judge, prompt) for row in rows), judge.backend, options, reply_characters)


def _questions(suite: Suite, shards: Mapping[str, Sequence[str]], seed: int) -> Iterator[dict[str, Any]]:
    """Yield the open questions of a suite with their reference answers."""
    files = {source: [Path(path) for path in paths] for source, paths in shards.items()}
    with tempfile.TemporaryDirectory() as folder:
        for name, benchmark in suite.benchmarks.items():
            if "oeq" not in benchmark.tasks:
                continue
            selection = select(name, benchmark, files, seed, Path(folder) / "items.arrow")
            for item in selection.items(0, len(selection)):
                if item.task == "oeq":
                    texts = {"question": item.question, "context": item.context, "reference": item.answer}
                    yield {"benchmark": name, "item": item.id, **texts}


def _answers(predictions: Path) -> dict[tuple[str, str], str]:
    """Return the answers to open questions in a predictions file by benchmark and item."""
    rows = read_parquet(predictions).select(["benchmark", "item", "task", "greedy_text"]).to_pylist()
    return {(row["benchmark"], row["item"]): row["greedy_text"] for row in rows if row["task"] == "oeq"}


if __name__ == "__main__":
    run(main)
