"""What everything that a study asks models for would cost, before anything is asked: texts, ratings, verdicts.

python -m posologie.judging.plan_study --entries JSON [--not-counted ARTIFACT…]

The entries name one artifact each, with what the function that plans it takes:
{"made": …, "kind": …, "spec": …, "table": …, "prompts": {name: file}, "running": …, "work": …}. `kind` is a key of
`_PLANS`. `table` maps names to files for translation_quality, and sources to shards for the verdicts on a suite, which
also have "suite", "seed" and "predictions". One line per artifact is printed as soon as it is counted, then the sum. A
total in money is only printed where every artifact of an endpoint has prices.
"""

import argparse
import json
from argparse import Namespace
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from posologie.generation.plan import PLANS, Plan
from posologie.judging import plan as judging_plan
from posologie.running.commands import run
from posologie.screening import rating_plan

_PLANS: Mapping[str, Callable[[Namespace], Plan]] = {
    **{kind: planned for kind, (planned, _) in PLANS.items()},
    "quality": rating_plan.planned,
    "calibration": judging_plan.planned_ratings,
    "judgements": judging_plan.planned_suite,
}
_ROW = "{:<44} {:>12} {:>12} {:>16} {:>16} {:>18} {:>14}"
_HEAD = ("artifact", "requests", "answered", "prompt tokens", "new tokens", "tokens at most", "money")


def main(argv: list[str]) -> None:
    """Print the plan of each artifact and their sum."""
    arguments = argparse.ArgumentParser(prog="python -m posologie.judging.plan_study", description=__doc__)
    arguments.add_argument("--entries", required=True, type=json.loads, metavar="JSON")
    arguments.add_argument("--not-counted", nargs="*", default=[], metavar="ARTIFACT")
    options = arguments.parse_args(argv)
    if options.not_counted:
        print(f"Not counted, because its items are still to be made: {', '.join(options.not_counted)}.")
    if not options.entries:
        print("There is nothing to count: this study asks no model to write, translate, rate or judge items at hand.")
        return
    print(_ROW.format(*_HEAD))
    plans = []
    for entry in options.entries:
        plan = planned(entry)
        plans.append((plan, _backend_kind(entry["spec"]) != "openai_endpoint"))
        print(_row(entry["made"], plan, "local" if plans[-1][1] else "no price"), flush=True)
    print(_row("all", *_sum(plans)))
    for basis in sorted({plan.basis for plan, _ in plans}):
        print(f"Estimated {basis}.")
    print("Nothing was asked. Repairs and retries come on top.")


def planned(entry: Mapping[str, Any]) -> Plan:
    """Return the plan of one artifact."""
    return _PLANS[entry["kind"]](_options(entry))


def _backend_kind(spec: Mapping[str, Any]) -> str:
    """Return the kind of backend in a spec, its own or its maker's."""
    makers = (spec[name] for name in ("generator", "translator", "judge") if isinstance(spec.get(name), dict))
    return str(next(makers, spec)["backend"]["kind"])


def _options(entry: Mapping[str, Any]) -> Namespace:
    """Return an entry as the options of what plans it."""
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
        items=table if entry["kind"] == "judgements" else Path(table) if isinstance(table, str) else None,
        human=table,
        **{name: entry.get(name) for name in ("suite", "seed", "predictions")},
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
