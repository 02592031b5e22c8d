"""What everything that a study asks models for would cost, before anything is asked: texts, ratings, verdicts.

python -m posologie.judging.plan_study --entries JSON [--not-counted ARTIFACT…]

The entries name one artifact each, with what the function that estimates it takes: {"made": …, "kind": …, "spec": …,
"table": …, "prompts": {name: file}, "running": …, "work": …}. `kind` is a key of `_ESTIMATES`. `table` maps names to
files for translation_quality, and sources to shards for the verdicts on a suite, which also have "suite", "seed" and
"predictions". One line per artifact is printed as soon as it is counted, then the sum. A total in money is only printed
where every artifact of an endpoint has prices.
"""

import argparse
import json
from argparse import Namespace
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from posologie.generation.plan import ESTIMATES, Estimate
from posologie.judging import plan as judging_plan
from posologie.running.commands import run
from posologie.screening import rating_plan

_ESTIMATES: Mapping[str, Callable[[Namespace], Estimate]] = {
    **{kind: estimate for kind, (estimate, _) in ESTIMATES.items()},
    "quality": rating_plan.estimated,
    "calibration": judging_plan.estimate_ratings,
    "judgements": judging_plan.estimate_suite,
}
_ROW = "{:<44} {:>12} {:>12} {:>16} {:>16} {:>18} {:>14}"
_HEAD = ("artifact", "requests", "answered", "prompt tokens", "new tokens", "tokens at most", "money")


def main(argv: list[str]) -> None:
    """Print the estimate of each artifact and their sum."""
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
    estimates = []
    for entry in options.entries:
        estimate = estimated(entry)
        estimates.append((estimate, _backend_kind(entry["spec"]) != "openai_endpoint"))
        print(_row(entry["made"], estimate, "local" if estimates[-1][1] else "no price"), flush=True)
    print(_row("all", *_sum(estimates)))
    for basis in sorted({estimate.basis for estimate, _ in estimates}):
        print(f"Estimated {basis}.")
    print("Nothing was asked. Repairs and retries come on top.")


def estimated(entry: Mapping[str, Any]) -> Estimate:
    """Return the estimate of one artifact."""
    return _ESTIMATES[entry["kind"]](_options(entry))


def _backend_kind(spec: Mapping[str, Any]) -> str:
    """Return the kind of backend in a spec, its own or its maker's."""
    makers = (spec[name] for name in ("generator", "translator", "judge") if isinstance(spec.get(name), dict))
    return str(next(makers, spec)["backend"]["kind"])


def _options(entry: Mapping[str, Any]) -> Namespace:
    """Return an entry as the options of what estimates it."""
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


def _sum(estimates: list[tuple[Estimate, bool]]) -> tuple[Estimate, str]:
    """Return the sum of the estimates, and what stands where no sum of money is known."""
    paid = [estimate.money for estimate, local in estimates if not local]
    money = sum(price for price in paid if price is not None) if paid and None not in paid else None
    whole = Estimate(
        requests=sum(estimate.requests for estimate, _ in estimates),
        answered=sum(estimate.answered for estimate, _ in estimates),
        prompt_tokens=sum(estimate.prompt_tokens for estimate, _ in estimates),
        generated_tokens=sum(estimate.generated_tokens for estimate, _ in estimates),
        most_tokens=sum(estimate.most_tokens for estimate, _ in estimates),
        money=money,
        basis="",
    )
    return whole, "no price" if paid else "local"


def _row(name: str, estimate: Estimate, without: str) -> str:
    money = without if estimate.money is None else f"{estimate.money:,.2f}"
    counts = (
        estimate.requests,
        estimate.answered,
        estimate.prompt_tokens,
        estimate.generated_tokens,
        estimate.most_tokens,
    )
    return _ROW.format(name, *(f"{count:,}" for count in counts), money)


if __name__ == "__main__":
    run(main)
