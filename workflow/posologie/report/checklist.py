"""The checklist for a paper: what a reader will ask of a study, filled from its tables and run records."""

from dataclasses import dataclass
from typing import Any

from posologie.report.inputs import Inputs
from posologie.report.names import counted, joined, listed

BY_HAND = "to add by hand"


@dataclass(frozen=True)
class Point:
    """One line of the checklist: a topic, what the study says of it, and what an author still has to see to."""

    topic: str
    said: str
    open: str = ""


def checklist(inputs: Inputs) -> tuple[Point, ...]:
    """Return what a reader of a paper will ask, and what the study says of it."""
    suites = [(suite, sizes) for suite in inputs.spec.suites if (sizes := sizes_of(inputs, suite)) is not None]
    few = [suite for suite, sizes in suites if sizes[1] < inputs.spec.statistics.minimum_clusters]
    seeds = sorted({model.seed for model in inputs.models if model.mix and model.seed is not None})
    registered = inputs.registration
    return (
        Point("Items", listed([f"{suite}: {sizes[0]:,}" for suite, sizes in suites], 12) or "none"),
        Point(
            "Clusters",
            listed([f"{suite}: {sizes[1]:,}" for suite, sizes in suites], 12) or "none",
            f"fewer than {inputs.spec.statistics.minimum_clusters} clusters in {joined(few)}" if few else "",
        ),
        Point(
            "Seeds",
            f"training: {listed([str(seed) for seed in seeds], 12) or 'none'}; draws: {inputs.spec.statistics.seed}",
            "one seed: verdicts are about these adapters, not the recipe" if len(seeds) == 1 else "",
        ),
        _contamination(inputs),
        _prompts(inputs),
        _decoding(inputs),
        Point("Registration", f"{registered.date}, SHA-256 {registered.checksum}" if registered else "none"),
        Point("Versions", versions(inputs) or "not recorded"),
        _licences(inputs),
    )


def _contamination(inputs: Inputs) -> Point:
    modes = {row["mode"] for row in inputs.rows("screening")}
    screened = (
        "not screened" if not modes else "matches left out" if modes == {"remove"} else "matches reported, left in"
    )
    rows = inputs.rows("leakage", statistic="score", items="leaked")
    if not rows:
        return Point(
            "Contamination",
            f"{screened}; mixes not audited against the suites",
            "audit the mixes" if inputs.spec.mixes else "",
        )
    worst: dict[str, int] = {}
    for row in rows:
        worst[row["suite"]] = max(worst.get(row["suite"], 0), int(row.number("n") or 0))
    counts = listed([f"{suite} {count:,}" for suite, count in worst.items()], 12)
    return Point("Contamination", f"{screened}; tested items with a twin in a mix, at most: {counts}")


def _prompts(inputs: Inputs) -> Point:
    prompts = shared(inputs, "prediction", "prompting")
    templates = {
        str(record.facts.get("chat_template_sha256"))[:12]
        for record in inputs.runs
        if record.facts.get("chat_template_sha256")
    }
    if not prompts:
        return Point("Prompts", "not recorded", BY_HAND)
    first = prompts[0]
    parts = [f"system turn: {first['system']}" if first.get("system") else "no system turn"]
    parts += [f"options as “{first['option_line']}” below “{first['choices_line']}”"] if "option_line" in first else []
    parts += [f"chat template {listed(sorted(templates))}"] if templates else []
    differs = "prompts differ between runs" if len(prompts) > 1 else ""
    return Point("Prompts", "; ".join(parts) + "; the prompt of every item is in the item browser", differs)


def _decoding(inputs: Inputs) -> Point:
    suites: dict[str, Any] = {}
    for settings in shared(inputs, "prediction", "suites"):
        suites |= settings
    parts = [
        f"{name}: {suite['protocol']} protocol, {counted(suite['permutations'], 'permutation')}, at most "
        f"{suite['max_new_tokens']:,} new tokens"
        for name, suite in suites.items()
        if {"protocol", "permutations", "max_new_tokens"} <= suite.keys()
    ]
    thinking = any(chat.get("thinking") for chat in shared(inputs, "prediction", "chat"))
    manner = f"greedy, {'with' if thinking else 'without'} thoughts"
    return Point("Decoding", "; ".join([manner, *parts]), "" if parts else BY_HAND)


def _licences(inputs: Inputs) -> Point:
    """Return the licenses that the study file states, and the sources and backbones without one."""
    stated = inputs.spec.licenses
    tables = [row for name in ("screening", "composition") for row in inputs.rows(name)]
    used = [row["source"] for row in tables if row["source"]]
    used += [row["name"] for row in tables if row.cells.get("by") == "source"]
    used += [model.backbone for model in inputs.models if model.backbone]
    missing = [name for name in dict.fromkeys(used) if name not in stated]
    licenses = "; ".join(f"{name}: {license}" for name, license in stated.items())
    return Point(
        "Licences", licenses or "none stated under licenses", f"missing: {listed(missing, 12)}" if missing else ""
    )


def shared(inputs: Inputs, stage: str, key: str) -> list[Any]:
    """Return the different values that the specs of a stage have under a key."""
    values: list[Any] = []
    for record in inputs.runs:
        value = record.facts.get("spec", {}).get(key)
        if record.facts.get("stage") == stage and value is not None and value not in values:
            values.append(value)
    return values


def sizes_of(inputs: Inputs, suite: str) -> tuple[int, int] | None:
    """Return how many items and clusters a suite has."""
    rows = [row for name in ("mcqa", "oeq") for row in inputs.rows(name, suite=suite, scope_kind="all", task="all")]
    counts = [(int(row.needed("n")), int(row.needed("clusters"))) for row in rows]
    return max(counts, default=None)


def versions(inputs: Inputs) -> str:
    """Return the libraries that models ran on, with their versions; empty where none is recorded."""
    versions_of: dict[str, set[str]] = {}
    for record in inputs.runs:
        for name, version in record.facts.get("libraries", {}).items():
            if name in ("torch", "transformers", "peft"):
                versions_of.setdefault(name, set()).add(str(version))
    return (
        joined([f"{name} {' and '.join(sorted(versions))}" for name, versions in versions_of.items()])
        if versions_of
        else ""
    )
