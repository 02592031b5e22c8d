"""What a synthesis would ask and cost.

python -m posologie.generation.synthesis.plan --spec SynthesisSpec --documents DOCUMENTS.parquet --prompts TASK=FILE…
    --work DIR [--running JSON] [--plan OUT.json]
"""

from argparse import Namespace
from pathlib import Path

from posologie.backends.prompts import read_prompt
from posologie.generation.plan import Plan, add_plan_arguments, plan_of, show
from posologie.generation.spec import SynthesisSpec
from posologie.generation.synthesis.requests import asks, check_prompts
from posologie.records.tables import read_documents
from posologie.running.commands import named_path, parser, run


def main(argv: list[str]) -> None:
    """Print the plan."""
    arguments = parser("posologie.generation.synthesis.plan", __doc__ or "")
    add_plan_arguments(arguments)
    arguments.add_argument("--documents", required=True, type=Path)
    arguments.add_argument("--prompts", required=True, nargs="+", type=named_path, metavar="TASK=FILE")
    options = arguments.parse_args(argv)
    show(planned(options), options)


def planned(options: Namespace) -> Plan:
    """Return the plan: `options` are those of `main`."""
    generator = SynthesisSpec.from_json(options.spec).generator
    prompts = {task: read_prompt(path) for task, path in options.prompts}
    check_prompts(generator, prompts)
    table = read_documents(options.documents)
    documents = (row for batch in table.to_batches(max_chunksize=1000) for row in batch.to_pylist())
    requests = (ask.request for document in documents for ask in asks([document], generator, prompts))
    longest = int(generator.decoding.max_new_tokens * 1e6)  # nothing is known of a reply's length but its limit
    return plan_of(requests, generator.backend, options, lambda request: longest)


if __name__ == "__main__":
    run(main)
