"""What each part of a mix gives: how many items of which source, known before any item is drawn."""

from collections.abc import Mapping
from dataclasses import dataclass

from posologie.errors import InputError
from posologie.items import PROVENANCES, Provenance
from posologie.mixes.quotas import sainte_lague
from posologie.mixes.sampling import Pool
from posologie.mixes.spec import Mix, MixSpec


@dataclass(frozen=True)
class Part:
    """A key of `shares` or `counts`: how many items it gives, what its sources hold, and what each of them gives."""

    name: str
    asked: int
    held: dict[str, int]
    quotas: dict[str, int]


def sources_of(part: str, provenance_of: Mapping[str, Provenance]) -> list[str]:
    """Return the sources that a key of `shares` or `counts` stands for."""
    if part in PROVENANCES:
        return sorted(source for source, provenance in provenance_of.items() if provenance == part)
    return [part] if part in provenance_of else []


def part_counts(mix: Mix, smallest: int) -> dict[str, int]:
    """Return how many items each key of `shares` or `counts` gives."""
    if mix.counts is not None:
        return dict(sorted(mix.counts.items()))
    if mix.shares is None or mix.size is None:
        raise InputError("mix: neither counts nor shares with a size")
    return sainte_lague(mix.shares, smallest if mix.size == "smallest" else mix.size)


def held_by_provenance(spec: MixSpec, pools: Mapping[str, Pool]) -> dict[str, int]:
    """Return how many items of the mix's tasks the sources of each provenance hold."""
    return {
        provenance: sum(len(pools[source].ids) for source in pools if spec.provenance_of[source] == provenance)
        for provenance in sorted({spec.provenance_of[source] for source in pools})
    }


def parts_of(spec: MixSpec, pools: Mapping[str, Pool]) -> list[Part]:
    """Return the parts of a mix, in the order of their names.

    Raises:
        InputError: if a part names no source, a source is drawn from twice, or a part holds too little.
    """
    of_provenance = held_by_provenance(spec, pools)
    smallest = min(of_provenance, key=lambda provenance: of_provenance[provenance])
    if spec.mix.size == "smallest" and not of_provenance[smallest]:
        raise InputError(
            f"mix {spec.name}: size smallest is 0: no training items of task {'+'.join(spec.mix.tasks)} are {smallest}"
        )
    parts: list[Part] = []
    for name, count in part_counts(spec.mix, of_provenance[smallest]).items():
        sources = [source for source in sources_of(name, spec.provenance_of) if source in pools]
        if not sources:
            raise InputError(f"mix {spec.name}: no training shard of '{name}'; given are {', '.join(sorted(pools))}")
        drawn = {source for part in parts for source, quota in part.quotas.items() if quota}
        if twice := drawn & set(sources):
            raise InputError(f"mix {spec.name}: source {min(twice)} is drawn from twice: by itself and in a provenance")
        held = {source: len(pools[source].ids) for source in sources}
        if count > sum(held.values()):
            raise InputError(
                f"mix {spec.name}: {count} items of '{name}' asked for, {sum(held.values())} of tasks "
                f"{'+'.join(spec.mix.tasks)} held by {', '.join(f'{name} ({held[name]})' for name in held)}"
            )
        quotas = sainte_lague({source: number for source, number in held.items() if number}, count)
        parts.append(Part(name, count, held, quotas))
    return parts
