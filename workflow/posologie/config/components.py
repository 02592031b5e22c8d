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
    return completed(study.components or {name: component for name, component in DEFAULT.items() if name in used})


def sources_of_component(study: Study, component: str) -> list[str]:
    """Return the sources that mixes draw a component from, in the order of the configuration."""
    return [name for name in trained_sources(study) if study.sources[name].provenance == component]


def validation_components(study: Study) -> tuple[str, ...]:
    """Return the components of the validation set: those named, or those of kind native, or all where none is."""
    if study.validation.provenances is not None:
        return study.validation.provenances
    declared = study.components or DEFAULT
    return tuple(name for name, component in declared.items() if component.kind == "native") or tuple(declared)


def blend(study: Study, mix: str) -> dict[str, float]:
    """Return the share of each component in a mix, as configured, in the order of the components; they sum to 1."""
    described = study.mixes[mix]
    amounts = lowest_terms(described.shares or described.counts or {})
    known = components(study)
    shares: dict[str, float] = {}
    for ingredient, amount in amounts.items():
        component = ingredient if ingredient in known else study.sources[ingredient].provenance
        shares[component] = shares.get(component, 0) + amount / sum(amounts.values())
    return {name: shares[name] for name in known if name in shares}


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
    items: dict[str, int | None] = {}
    for component in components(study):
        held = [held_by_source(study, source, root) for source in sources_of_component(study, component)]
        known = [sum(counts.get(task, 0) for task in tasks) for counts in held if counts is not None]
        items[component] = sum(known) if len(known) == len(held) else None
    return items


def repeated_mixes(study: Study) -> dict[str, dict[str, int]]:
    """Return how often items stand in each mix that repeats some, by component or source."""
    repeats = {
        mix: {ingredient: count for ingredient, count in described.epochs.items() if count > 1}
        for mix, described in study.mixes.items()
    }
    return {mix: epochs for mix, epochs in repeats.items() if epochs}


def trainings_text(study: Study) -> str:
    """Say what the number of trainings is made of."""
    further = sum(map(len, study.training.further_seeds.values()))
    parts = ((len(study.mixes), "mix", "mixes"), (len(study.training.seeds), "seed", "seeds"))
    text = " × ".join(f"{count} {singular if count == 1 else several}" for count, singular, several in parts)
    text += f" + {further} with further seeds" if further else ""
    return text if len(study.backbones) == 1 else f"({text}) × {len(study.backbones)} backbones"
