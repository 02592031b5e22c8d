"""Whether predictions are all there, once each, on the items that the suite names."""

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from posologie.errors import InputError
from posologie.items import Item
from posologie.prediction.spec import Benchmark, Suite
from posologie.prompting import variants
from posologie.scoring.labels import label_sets, original_sets

_SHOWN = 5


def check_complete(predictions: pa.Table, items: Mapping[str, Mapping[str, Item]], suite: Suite, file: str) -> None:
    """Check that every item of every benchmark was answered in every variant, once, with the gold of the shard.

    Args:
        items: the items of each source, by id.

    Raises:
        InputError: listing the ids that are missing, repeated, unknown, or whose gold differs.
    """
    found: dict[str, dict[str, list[str]]] = {}
    rows = zip(*(predictions[name].to_pylist() for name in ("benchmark", "item", "variant")), strict=True)
    for benchmark, item, variant in rows:
        if variant in (seen := found.setdefault(benchmark, {}).setdefault(item, [])):
            raise InputError(f"{file}: {benchmark}, item {item}: two predictions of variant '{variant}'; expected one")
        seen.append(variant)
    if unknown := sorted(found.keys() - suite.benchmarks.keys()):
        raise InputError(f"{file}: benchmark '{unknown[0]}': expected one of {', '.join(sorted(suite.benchmarks))}")
    for name, benchmark in suite.benchmarks.items():
        if benchmark.source not in items:
            raise InputError(f"--items: source '{benchmark.source}' of benchmark '{name}' is missing")
        _check_benchmark(name, benchmark, found.get(name, {}), items[benchmark.source], suite.permutations, file)
    _check_gold(predictions, items, suite, file)


def _check_benchmark(
    name: str,
    benchmark: Benchmark,
    found: Mapping[str, list[str]],
    items: Mapping[str, Item],
    permutations: int,
    file: str,
) -> None:
    expected = {
        item.id
        for item in items.values()
        if item.split == benchmark.split
        and item.task in benchmark.tasks
        and (benchmark.origins is None or item.meta.get("origin") in benchmark.origins)
    }
    if strange := sorted(found.keys() - expected):
        raise InputError(f"{file}: {name}: {_listed(strange)} not of this benchmark; expected items of its source")
    missing = sorted(expected - found.keys())
    if benchmark.limit is None and missing:
        raise InputError(f"{file}: {name}: no prediction for {_listed(missing)}; expected {len(expected)} items")
    if benchmark.limit is not None and len(found) != min(benchmark.limit, len(expected)):
        wanted = min(benchmark.limit, len(expected))
        raise InputError(f"{file}: {name}: predictions for {len(found)} items; expected {wanted}")
    for item, seen in found.items():
        wanted_variants = {"original"} if items[item].task == "oeq" else set(variants(permutations))
        if lacking := sorted(wanted_variants - set(seen)):
            raise InputError(f"{file}: {name}, item {item}: no prediction of variant {', '.join(lacking)}")


def _check_gold(predictions: pa.Table, items: Mapping[str, Mapping[str, Item]], suite: Suite, file: str) -> None:
    choice = pc.not_equal(predictions["task"], "oeq")
    table = predictions.filter(choice)
    if not len(table):
        return
    said = original_sets(table["gold"], table["option_order"])
    source_of = {name: benchmark.source for name, benchmark in suite.benchmarks.items()}
    keys = zip(table["benchmark"].to_pylist(), table["item"].to_pylist(), strict=True)
    gold = [items[source_of[benchmark]][item].gold for benchmark, item in keys]
    wrong = np.flatnonzero(said != label_sets(pa.array(gold, type=pa.list_(pa.int32()))))
    if len(wrong):
        ids = sorted({table["item"][int(row)].as_py() for row in wrong})
        raise InputError(f"{file}: gold of {_listed(ids)} differs from the shard's; predict again on the present shard")


def _listed(ids: list[str]) -> str:
    more = f" and {len(ids) - _SHOWN} more" if len(ids) > _SHOWN else ""
    return f"item{'s' if len(ids) > 1 else ''} {', '.join(ids[:_SHOWN])}{more}"
