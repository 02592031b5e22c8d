"""What judging a model's answers would ask and cost.

python -m posologie.judging.plan --spec JudgingSpec --prompt FILE --predictions F --items SOURCE=SHARD… --work DIR
    [--running JSON] [--plan OUT.json]
"""

from pathlib import Path

from posologie.backends.prompts import read_prompt
from posologie.generation.plan import add_plan_arguments, plan_of, show
from posologie.judging.answers import open_answers
from posologie.judging.command import judge_request
from posologie.judging.spec import JudgingSpec, OutsideVerdicts
from posologie.running.commands import named_path, parser, run
from posologie.running.errors import InputError


def main(argv: list[str]) -> None:
    """Print the plan."""
    arguments = parser("posologie.judging.plan", __doc__ or "")
    add_plan_arguments(arguments)
    arguments.add_argument("--prompt", required=True, type=Path)
    arguments.add_argument("--predictions", required=True, type=Path)
    arguments.add_argument("--items", required=True, nargs="+", type=named_path, metavar="SOURCE=SHARD")
    options = arguments.parse_args(argv)
    judge, prompt = JudgingSpec.from_json(options.spec).judge, read_prompt(options.prompt)
    if isinstance(judge.backend, OutsideVerdicts):
        raise InputError("judge.backend.kind = 'outside': nothing is asked; expected a model")
    requests = (judge_request(row, judge, prompt) for row in open_answers(options.predictions, dict(options.items)))
    longest = int(judge.decoding.max_new_tokens * 1e6)  # a verdict is short, but a reasoning judge may use its limit
    show(plan_of(requests, judge.backend, options, lambda request: longest), options)


if __name__ == "__main__":
    run(main)
