"""Make one mix: its training set, the validation set that all mixes share, and what they hold."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from posologie.mixes.contents import Ingredient, contents, held_by_provenance, ingredients_of
from posologie.mixes.sampling import Draw, Pool, draw, read_pool, read_rows, repeated, sainte_lague, seeded_order
from posologie.mixes.spec import MixSpec, Validation
from posologie.records.files import write_json, write_parquet
from posologie.records.items import item_schema
from posologie.running.commands import claim_devices, named_path, parser, run
from posologie.running.errors import InputError
from posologie.screening.comparison import compare
from posologie.screening.embeddings import Vectors, opened
from posologie.screening.population import TWINS, Population
from posologie.screening.spec import Comparing


@dataclass(frozen=True)
class Repetition:
    """Which validation items repeat what a mix trains on.

    Attributes:
        rows: one truth value for each row of the validation table.
        kinds: number of such items by the closest way in which they repeat it: a kind of match, or `group`.
    """

    rows: np.ndarray
    kinds: dict[str, int]


def seen_in_training(
    train: pa.Table, validation: pa.Table, comparing: Comparing, vectors: Vectors | None = None
) -> Repetition:
    """Return which validation items ask what a training item asks, or share a case or a group with one.

    Groups are compared inside a source, where they are defined.

    Args:
        train: the training items of a mix.
        validation: its validation items.
        comparing: what makes two items alike.
        vectors: the sentence encoder that `comparing` names.
    """
    table = pa.concat_tables([validation, train])
    held = validation.num_rows
    if not held or not train.num_rows:
        return Repetition(np.zeros(held, dtype=bool), {})
    rank = np.empty(table.num_rows, dtype=np.int64)
    rank[np.lexsort((np.array(table["id"].to_pylist(), dtype=str), np.arange(table.num_rows) >= held))] = np.arange(
        table.num_rows
    )
    whole = Population(table, held, 0, 0, rank, [("validation",)] * held)
    kind_of: dict[int, str] = {}
    for match in compare(whole, comparing, scope=(), vectors=vectors).matches:
        kind = match.kind if match.kind in TWINS else "group"
        if match.kind != "group" and (match.other not in kind_of or _closer(kind, kind_of[match.other])):
            kind_of[match.other] = kind
    groups = set(zip(train["source"].to_pylist(), train["group"].to_pylist(), strict=True))
    for row, group in enumerate(zip(validation["source"].to_pylist(), validation["group"].to_pylist(), strict=True)):
        if group in groups:
            kind_of.setdefault(row, "group")
    rows = np.zeros(held, dtype=bool)
    rows[list(kind_of)] = True
    return Repetition(rows, dict(sorted(Counter(kind_of.values()).items())))


def _closer(kind: str, other: str) -> bool:
    order: list[str] = [*TWINS, "group"]
    return order.index(kind) < order.index(other)


log = logging.getLogger("posologie.mixes")


def train_draws(spec: MixSpec, pools: Mapping[str, Pool]) -> tuple[list[Draw], dict[str, Any]]:
    """Draw the training items, and report how far each ingredient was met.

    Raises:
        InputError: if an ingredient names no source, a source is drawn from twice, or an ingredient holds too little.
    """
    draws: list[Draw] = []
    ingredients: dict[str, Any] = {}
    for ingredient in ingredients_of(spec, pools):
        try:
            drawn = [_drawn(pools[source], ingredient, spec) for source, quota in ingredient.quotas.items() if quota]
        except InputError as error:
            raise InputError(f"mix {spec.name}: {error}") from error
        draws += drawn
        if not ingredient.requested:
            log.warning("mix %s: '%s' gets no item: its share is too small for the size", spec.name, ingredient.name)
        taken = {draw.source: len(draw.rows) for draw in drawn}
        ingredients[ingredient.name] = {"asked": ingredient.requested, "held": ingredient.held, "taken": taken}
        if ingredient.epochs > 1:
            ingredients[ingredient.name]["epochs"] = ingredient.epochs
            log.info("mix %s: %d different items of '%s' are repeated %d times each", spec.name, sum(taken.values()),
                     ingredient.name, ingredient.epochs)  # fmt: skip
    redistributed = [
        {"source": draw.source, "stratum": stratum, **facts}
        for draw in draws
        for stratum, facts in draw.strata.items()
        if facts["asked"] != facts["taken"]
    ]
    if redistributed:
        log.warning("mix %s: %d strata differ from the request; see composition.json", spec.name, len(redistributed))
    strata = {draw.source: draw.strata for draw in draws} if spec.mix.strata else {}
    of_provenance = held_by_provenance(spec, pools)
    facts = {"parts": ingredients, "strata": strata, "redistributed": redistributed, "smallest_over": of_provenance}
    return draws, facts


def _drawn(pool: Pool, ingredient: Ingredient, spec: MixSpec) -> Draw:
    drawn = draw(pool, ingredient.distinct(pool.source), spec.seed, spec.mix)
    if ingredient.epochs == 1:
        return drawn
    ids = read_rows(drawn.path, drawn.rows, ["id"])["id"].to_pylist()
    return repeated(drawn, ingredient.quotas[pool.source], ids, spec.seed)


def validation_draws(validation: Validation, pools: Sequence[Pool]) -> list[Draw]:
    """Draw the common validation set: sources in proportion to what they hold.

    Raises:
        InputError: if the sources together hold less than its size.
    """
    held = {pool.source: len(pool.ids) for pool in pools if pool.ids}
    size = sum(held.values()) if validation.size is None else validation.size
    if size > sum(held.values()):
        raise InputError(
            f"validation: {size} items requested, {sum(held.values())} of tasks {'+'.join(validation.tasks)} held by "
            f"{', '.join(f'{name} ({number})' for name, number in held.items()) or 'no source'}"
        )
    quotas = sainte_lague(held, size)
    return [draw(pool, quotas[pool.source], validation.seed) for pool in pools if quotas.get(pool.source)]


def assembled(draws: Sequence[Draw], seed: int) -> pa.Table:
    """Return the drawn items in the order of a seeded hash of their ids, which is not the order of sampling.

    Each copy of a repeated item gets a position of its own, by its number.
    """
    draws = sorted(draws, key=lambda draw: draw.source)
    table = pa.concat_tables([item_schema().empty_table(), *(read_rows(draw.path, draw.rows) for draw in draws)])
    ids = table["id"].to_pylist()
    if len(set(ids)) < len(ids):
        raise InputError("two sources hold an item with the same id; expected ids that are hashes of source and key")
    if any(draw.repeats is not None for draw in draws):
        times = np.concatenate(
            [np.ones(len(draw.rows), int) if draw.repeats is None else draw.repeats for draw in draws]
        )
        rows = np.repeat(np.arange(len(ids)), times)
        copies = np.arange(len(rows)) - np.repeat(np.cumsum(times) - times, times)
        table = table.take(pa.array(rows))
        ids = [ids[row] if not copy else f"{ids[row]}\x1f{copy}" for row, copy in zip(rows, copies, strict=True)]
    return table.take(pa.array(seeded_order(ids, seed, "order")))


def _each_once(table: pa.Table) -> pa.Table:
    """Return the items of a table without repetitions, each at its first position."""
    _, first = np.unique(np.array(table["id"].to_pylist(), dtype=str), return_index=True)
    return table if len(first) == table.num_rows else table.take(pa.array(np.sort(first)))


def unseen(
    train: pa.Table, validation: pa.Table, spec: MixSpec, vectors: Vectors | None = None
) -> tuple[pa.Table, dict[str, Any]]:
    """Return the validation items that have no twin and no group in the training set, and what was found.

    Raises:
        InputError: if there are others, and the study refuses them.
    """
    repetition = seen_in_training(train, validation, spec.comparing, vectors)
    count = int(repetition.rows.sum())
    mode = spec.validation.seen
    facts = {"mode": mode, "drawn": validation.num_rows, "seen": count, "by": repetition.kinds}
    if count and mode == "refuse":
        first = validation["id"].filter(pa.array(repetition.rows)).to_pylist()[0]
        raise InputError(
            f"mix {spec.name}: it trains on a twin or the group of {count} of {validation.num_rows} validation items, "
            f"such as {first}; set validation.seen: leave_out, or screen the sources"
        )
    if count:
        log.warning("mix %s: %d validation items have a twin or their group in training", spec.name, count)
    return (validation.filter(pa.array(~repetition.rows)) if mode == "leave_out" else validation), facts


def main(argv: list[str]) -> None:
    """Make one mix."""
    arguments = parser("posologie.mixes", __doc__ or "")
    arguments.add_argument("--train", nargs="+", type=named_path, required=True, metavar="SOURCE=FILE")
    arguments.add_argument("--validation", nargs="*", type=named_path, default=[], metavar="SOURCE=FILE")
    for output in ("train", "validation"):
        arguments.add_argument(f"--out-{output}", required=True)
    arguments.add_argument("--composition", required=True)
    arguments.add_argument("--encoder", metavar="MANIFEST", help="manifest of a sentence encoder from the hub")
    options = arguments.parse_args(argv)
    claim_devices(options.devices)
    spec = MixSpec.from_json(options.spec)
    for source, path in [*options.train, *options.validation]:
        if source not in spec.provenance_of:
            raise InputError(f"{path}: source {source} has no component in the spec")

    pools = {source: read_pool(source, path, spec.mix.tasks, spec.mix) for source, path in options.train}
    draws, facts = train_draws(spec, pools)
    components = spec.validation.provenances
    common = [
        read_pool(source, path, spec.validation.tasks)
        for source, path in sorted(options.validation)
        if components is None or spec.provenance_of[source] in components
    ]
    train = assembled(draws, spec.seed)
    validation = assembled(validation_draws(spec.validation, common), spec.validation.seed)
    facts["also_in_validation"] = len(set(train["id"].to_pylist()) & set(validation["id"].to_pylist()))
    if facts["also_in_validation"]:
        log.warning("mix %s: %d items are in the validation set too", spec.name, facts["also_in_validation"])
    vectors = opened(spec.comparing.encoder, spec.encoder_version, options.encoder)
    validation, facts["seen_in_training"] = unseen(_each_once(train), validation, spec, vectors)
    if not validation.num_rows:
        log.warning("mix %s: the validation set is empty", spec.name)
    write_parquet(options.out_train, train)
    write_parquet(options.out_validation, validation)
    write_json(
        options.composition,
        {
            "mix": spec.name,
            "seed": spec.seed,
            **facts,
            "train": contents(train),
            "validation": contents(validation),
        },
    )
    log.info("mix %s: %d training and %d validation items", spec.name, train.num_rows, validation.num_rows)


if __name__ == "__main__":
    run(main)
