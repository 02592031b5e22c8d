"""What the translation of parallel text would ask and cost.

python -m posologie.generation.translation_quality.plan --spec QualitySpec --pairs TEST_SET=PAIRS.parquet…
    [--prompt FILE] --work DIR [--running JSON] [--plan OUT.json]
"""

from argparse import Namespace
from pathlib import Path

from posologie.generation.plan import Plan, add_plan_arguments, as_long_as_the_text, plan_of, show
from posologie.generation.translation_quality.command import parallel_rows, prompt_of, request_for
from posologie.generation.translation_quality.spec import QualitySpec
from posologie.running.commands import named_path, parser, run


def main(argv: list[str]) -> None:
    """Print the plan."""
    arguments = parser("posologie.generation.translation_quality.plan", __doc__ or "")
    add_plan_arguments(arguments)
    arguments.add_argument("--pairs", required=True, nargs="+", type=named_path, metavar="TEST_SET=PAIRS")
    arguments.add_argument("--prompt", type=Path)
    options = arguments.parse_args(argv)
    show(planned(options), options)


def planned(options: Namespace) -> Plan:
    """Return the plan: `options` are those of `main`. A translation is taken to be as long as its source."""
    translator = QualitySpec.from_json(options.spec).translator
    prompt = prompt_of(translator, options)
    rows = parallel_rows(dict(options.pairs), translator)
    requests = (request_for(row["source"], translator, prompt) for row in rows)
    return plan_of(requests, translator.backend, options, as_long_as_the_text(prompt))


if __name__ == "__main__":
    run(main)
