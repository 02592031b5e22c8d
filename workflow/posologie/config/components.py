"""The components of a study: which there are, which sources they have, what mixes hold of them, and how many items."""

from collections.abc import Iterable
from pathlib import Path

from posologie.config.study import Study
from posologie.mixes.spec import lowest_terms
from posologie.records import layout
from posologie.records.components import DEFAULT, Component, completed
from posologie.records.items import Task


def trained_sources(study: Study) -> list[str]:
    """Return the sources that have a train split, in the order of the configuration."""
    return [
        name
        for name, source in study.sources.items()
        if source.mixed and not source.compared and "train" in source.splits
    ]


def components(study: Study) -> dict[str, Component]:
    """Return the components of the study with title and colour, in the order of declaration.

    A study that declares none has those of native, translated and synthetic that its sources name.
    """
    used = {source.provenance for source in study.sources.values()}
    return completed(study.components or {name: one for name, one in DEFAULT.items() if name in used})


def sources_of_component(study: Study, component: str) -> list[str]:
    """Return the sources that mixes draw a component from, in the order of the configuration."""
    return [name for name in trained_sources(study) if study.sources[name].provenance == component]


def validation_components(study: Study) -> tuple[str, ...]:
    """Return the components of the validation set: those named, or those of kind native, or all where none is."""
    if study.validation.provenances is not None:
        return study.validation.provenances
    declared = study.components or DEFAULT
    return tuple(name for name, one in declared.items() if one.kind == "native") or tuple(declared)


def blend(study: Study, mix: str) -> dict[str, float]:
    """Return the share of each component in a mix, as configured, in the order of the components; they sum to 1."""
    described = study.mixes[mix]
    parts = lowest_terms(described.shares or described.counts or {})
    known = components(study)
    found: dict[str, float] = {}
    for part, amount in parts.items():
        component = part if part in known else study.sources[part].provenance
        found[component] = found.get(component, 0) + amount / sum(parts.values())
    return {name: found[name] for name in known if name in found}


def held_by_source(study: Study, source: str, root: Path) -> dict[str, int] | None:
    """Return the training items of a source by task, after screening if that is done; None if nothing is read yet.

    Args:
        root: the folder of the study's results.
    """
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    for file in (root / layout.screened(source, "train"), root / layout.shard(source, "train")):
        if file.is_file():
            counted = pc.value_counts(pq.read_table(file, columns=["task"])["task"]).to_pylist()
            return {entry["values"]: entry["counts"] for entry in counted}
    return None


def held_items(study: Study, root: Path, tasks: Iterable[Task] = ("mcqu", "mcq")) -> dict[str, int | None]:
    """Return how many training items of some tasks each component holds; None where a source is not read yet.

    Args:
        root: the folder of the study's results.
    """
    found: dict[str, int | None] = {}
    for component in components(study):
        held = [held_by_source(study, source, root) for source in sources_of_component(study, component)]
        known = [sum(one.get(task, 0) for task in tasks) for one in held if one is not None]
        found[component] = sum(known) if len(known) == len(held) else None
    return found
