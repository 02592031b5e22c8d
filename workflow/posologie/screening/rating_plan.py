"""What rating the training items of a source would ask and cost.

python -m posologie.screening.rating_plan --spec RatingSpec --prompt FILE --items SHARD --work DIR
    [--running JSON] [--plan OUT.json]
"""

from argparse import Namespace
from pathlib import Path

from posologie.backends.prompts import read_prompt
from posologie.generation.plan import Estimate, add_estimate_arguments, estimate_of, show
from posologie.running.commands import parser, run
from posologie.screening.rating import rated_items, requests
from posologie.screening.spec import RatingSpec


def main(argv: list[str]) -> None:
    """Print the estimate."""
    arguments = parser("posologie.screening.rating_plan", __doc__ or "")
    add_estimate_arguments(arguments)
    arguments.add_argument("--prompt", required=True, type=Path)
    arguments.add_argument("--items", required=True, type=Path, metavar="SHARD")
    options = arguments.parse_args(argv)
    show(estimated(options), options)


def estimated(options: Namespace) -> Estimate:
    """Return the estimate: `options` are those of `main`."""
    spec, prompt = RatingSpec.from_json(options.spec), read_prompt(options.prompt)
    all_requests = (request for _, request in requests(rated_items(options.items, spec), spec.rating, prompt))
    longest = spec.rating.decoding.max_new_tokens * 4
    return estimate_of(all_requests, spec.backend, options, lambda request: longest)


if __name__ == "__main__":
    run(main)
