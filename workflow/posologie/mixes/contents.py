"""What a mix holds, as written, and as planned before anything is sampled."""

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from posologie.mixes.sampling import Pool, characters, sainte_lague
from posologie.mixes.spec import Mix, MixSpec
from posologie.records.items import LABELS
from posologie.running.errors import InputError

QUANTILES = {"min": 0, "5%": 0.05, "25%": 0.25, "50%": 0.5, "75%": 0.75, "95%": 0.95, "max": 1}


def contents(table: pa.Table) -> dict[str, Any]:
    """Return what a table of items holds, with the same for each of its components under `by_provenance`.

    Counts are by value: provenance (which names the component), source, origin (from the record, where it names one),
    task, number of options. Gold labels are counted by task, since an item with several right answers has several.
    Lengths are in characters of question, context, options and reference answer. A repeated item
    counts each time; `different_items` then says how many there are.
    """
    facts = _contents(table)
    facts["by_provenance"] = {
        provenance: _contents(table.filter(pc.equal(table["provenance"], provenance)))
        for provenance in sorted(facts["provenance"])
    }
    return facts


def _contents(table: pa.Table) -> dict[str, Any]:
    choices = table.filter(pc.greater(pc.list_value_length(table["options"]), 0))
    different = len(pc.unique(table["id"]))
    return {
        "items": table.num_rows,
        **({"different_items": different} if different < table.num_rows else {}),
        "groups": len(pc.unique(table["group"])),
        "provenance": _counts(table["provenance"]),
        "source": _counts(table["source"]),
        "origin": _origins(table["meta"]),
        "task": _counts(table["task"]),
        "options": _counts(pc.list_value_length(choices["options"])),
        "gold_labels": _gold_labels(choices),
        "characters": lengths(characters(table) + pc.utf8_length(table["answer"]).to_numpy()),
    }


def _counts(column: pa.ChunkedArray) -> dict[str, int]:
    return {str(entry["values"]): entry["counts"] for entry in pc.value_counts(column).to_pylist()}


def _origins(meta: pa.ChunkedArray) -> dict[str, int]:
    return dict(Counter(str(json.loads(text).get("origin") or "unknown") for text in meta.to_pylist()))


def _gold_labels(choices: pa.Table) -> dict[str, dict[str, int]]:
    balance = {}
    for task in sorted(pc.unique(choices["task"]).to_pylist()):
        gold = pc.list_flatten(choices.filter(pc.equal(choices["task"], task))["gold"]).to_numpy()
        counts = np.bincount(gold, minlength=1)
        balance[task] = {LABELS[index]: int(count) for index, count in enumerate(counts)}
    return balance


def lengths(values: np.ndarray) -> dict[str, Any]:
    """Return total, mean and quantiles of lengths (none for no items)."""
    if not len(values):
        return {"total": 0, "mean": None, "quantiles": {}}
    quantiles = np.quantile(values, list(QUANTILES.values()), method="inverted_cdf")
    return {
        "total": int(values.sum()),
        "mean": round(float(values.mean()), 3),
        "quantiles": {name: int(value) for name, value in zip(QUANTILES, quantiles, strict=True)},
    }


@dataclass(frozen=True)
class Ingredient:
    """A component or source as a mix names it, a key of its `shares` or `counts`, and what its sources hold and give.

    Attributes:
        requested, quotas: rows of the training set; a repeated item counts each time.
        epochs: how often each item occurs in the training set; some one time fewer if that does not divide a quota.
    """

    name: str
    requested: int
    held: dict[str, int]
    quotas: dict[str, int]
    epochs: int = 1

    def distinct(self, source: str) -> int:
        """Return how many different items a source gives."""
        return -(-self.quotas[source] // self.epochs)


def sources_of(ingredient: str, provenance_of: Mapping[str, str]) -> list[str]:
    """Return the sources that a key of `shares` or `counts` stands for: those of a component, or a single source."""
    of_component = sorted(source for source, component in provenance_of.items() if component == ingredient)
    return of_component or ([ingredient] if ingredient in provenance_of else [])


def ingredient_counts(mix: Mix, smallest: int, provenance_of: Mapping[str, str]) -> dict[str, int]:
    """Return how many items each key of `shares` or `counts` gives, in the order of their first sources' names.

    That order decides between equals, so that what a component is called changes no draw.
    """
    first = {
        ingredient: min(sources_of(ingredient, provenance_of), default=ingredient)
        for ingredient in (mix.counts or mix.shares or {})
    }
    ingredients = sorted(first, key=lambda ingredient: (first[ingredient], ingredient))
    if mix.counts is not None:
        return {ingredient: mix.counts[ingredient] for ingredient in ingredients}
    if mix.shares is None or mix.size is None:
        raise InputError("mix: neither counts nor shares with a size")
    # Numbers with leading zeros sort as the ingredients do.
    places = {ingredient: f"{number:09d}" for number, ingredient in enumerate(ingredients)}
    shares = {places[ingredient]: share for ingredient, share in mix.shares.items()}
    seats = sainte_lague(shares, smallest if mix.size == "smallest" else mix.size)
    return {ingredient: seats[places[ingredient]] for ingredient in ingredients}


def held_by_provenance(spec: MixSpec, pools: Mapping[str, Pool]) -> dict[str, int]:
    """Return how many items of the mix's tasks the sources of each component hold."""
    return {
        provenance: sum(len(pools[source].ids) for source in pools if spec.provenance_of[source] == provenance)
        for provenance in sorted({spec.provenance_of[source] for source in pools})
    }


def ingredients_of(spec: MixSpec, pools: Mapping[str, Pool]) -> list[Ingredient]:
    """Return the ingredients of a mix, in the order of their first sources' names.

    Raises:
        InputError: if an ingredient names no source, a source is drawn from twice, or an ingredient holds too little.
    """
    of_provenance = held_by_provenance(spec, pools)
    smallest = min(of_provenance, key=lambda provenance: of_provenance[provenance])
    if spec.mix.size == "smallest" and not of_provenance[smallest]:
        raise InputError(
            f"mix {spec.name}: size smallest is 0: no training items of task {'+'.join(spec.mix.tasks)} are {smallest}"
        )
    ingredients: list[Ingredient] = []
    for name, count in ingredient_counts(spec.mix, of_provenance[smallest], spec.provenance_of).items():
        sources = [source for source in sources_of(name, spec.provenance_of) if source in pools]
        if not sources:
            raise InputError(f"mix {spec.name}: no training shard of '{name}'; available: {', '.join(sorted(pools))}")
        drawn = {source for ingredient in ingredients for source, quota in ingredient.quotas.items() if quota}
        if twice := drawn & set(sources):
            raise InputError(f"mix {spec.name}: source {min(twice)} is drawn from twice: on its own and in a component")
        held = {source: len(pools[source].ids) for source in sources}
        epochs = spec.mix.epochs.get(name, 1)
        if count > epochs * sum(held.values()):
            times = "" if epochs == 1 else f" {epochs} times each"
            raise InputError(
                f"mix {spec.name}: {count} items of '{name}' requested{times}, {sum(held.values())} of tasks "
                f"{'+'.join(spec.mix.tasks)} held by {', '.join(f'{name} ({held[name]})' for name in held)}; lower the "
                f"share or the size, or repeat items with epochs: {{{name}: {-(-count // max(1, sum(held.values())))}}}"
            )
        quotas = sainte_lague({source: epochs * number for source, number in held.items() if number}, count)
        ingredients.append(Ingredient(name, count, held, quotas, epochs))
    return ingredients
