"""What everything that a study generates and translates would ask and cost, before anything is asked.

python -m posologie.generation.plan_study --entries JSON

The entries name one artifact each, with what its `plan` command takes:
{"made": …, "kind": "generated" | "translated" | "translation_quality", "spec": …, "table": …, "prompts": {name: file},
 "running": …, "work": …}; `table` maps names to files for translation_quality. One line per artifact is printed as soon
as it is counted, then the sum. A total in money is only printed where every artifact of an endpoint has prices.
"""

import argparse
import json
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from posologie.generation.plan import PLANS, Plan
from posologie.running.commands import run

_ROW = "{:<44} {:>12} {:>12} {:>16} {:>16} {:>18} {:>14}"
_HEAD = ("artifact", "requests", "answered", "prompt tokens", "new tokens", "tokens at most", "money")


def main(argv: list[str]) -> None:
    """Print the plan of each artifact and their sum."""
    arguments = argparse.ArgumentParser(prog="python -m posologie.generation.plan_study", description=__doc__)
    arguments.add_argument("--entries", required=True, type=json.loads, metavar="JSON")
    options = arguments.parse_args(argv)
    if not options.entries:
        print("This study generates and translates nothing.")
        return
    print(_ROW.format(*_HEAD))
    plans = []
    for entry in options.entries:
        planned, _ = PLANS[entry["kind"]]
        plan = planned(_options(entry))
        local = entry["spec"]["translator" if "translator" in entry["spec"] else "generator"]["backend"]["kind"]
        plans.append((plan, local != "openai_endpoint"))
        print(_row(entry["made"], plan, "local" if plans[-1][1] else "no price"), flush=True)
    print(_row("all", *_sum(plans)))
    for basis in sorted({plan.basis for plan, _ in plans}):
        print(f"Estimated {basis}.")
    print("Nothing was asked. Repairs and retries come on top.")


def _options(entry: Mapping[str, Any]) -> Namespace:
    """Return an entry as the options of its plan command."""
    prompts = [(name, path) for name, path in entry["prompts"].items()]
    prompt = prompts[0][1] if prompts else None
    table = entry["table"]
    pairs = [(name, path) for name, path in table.items()] if isinstance(table, dict) else []
    return Namespace(
        spec=json.dumps(entry["spec"]),
        running=json.dumps(entry["running"]),
        work=Path(entry["work"]),
        documents=table,
        source=table,
        pairs=pairs,
        prompts=prompts,
        prompt=Path(prompt) if prompt is not None else None,
    )


def _sum(plans: list[tuple[Plan, bool]]) -> tuple[Plan, str]:
    """Return the sum of the plans, and what stands where no sum of money is known."""
    paid = [plan.money for plan, local in plans if not local]
    money = sum(price for price in paid if price is not None) if paid and None not in paid else None
    whole = Plan(
        requests=sum(plan.requests for plan, _ in plans),
        answered=sum(plan.answered for plan, _ in plans),
        prompt_tokens=sum(plan.prompt_tokens for plan, _ in plans),
        generated_tokens=sum(plan.generated_tokens for plan, _ in plans),
        most_tokens=sum(plan.most_tokens for plan, _ in plans),
        money=money,
        basis="",
    )
    return whole, "no price" if paid else "local"


def _row(name: str, plan: Plan, without: str) -> str:
    money = without if plan.money is None else f"{plan.money:,.2f}"
    counts = (plan.requests, plan.answered, plan.prompt_tokens, plan.generated_tokens, plan.most_tokens)
    return _ROW.format(name, *(f"{count:,}" for count in counts), money)


if __name__ == "__main__":
    run(main)
