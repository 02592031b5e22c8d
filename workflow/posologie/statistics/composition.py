"""The table of what every mix and every source holds, beside the numbers of a published study where there is one."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from posologie.mixes.contents import QUANTILES, lengths
from posologie.models.store import checked_folder
from posologie.records import layout
from posologie.records.components import in_order
from posologie.records.files import read_json
from posologie.records.items import read_item_table, table_to_items
from posologie.records.prompting import Prompting, assistant_turn, chat, option_order
from posologie.records.published import Comparison, comparison, contradictions, shown
from posologie.running.commands import run
from posologie.statistics.spec import CompositionSpec
from posologie.statistics.tables import Latex, table_arguments, write_table

log = logging.getLogger("posologie.statistics")

COLUMNS = (
    *("subject", "mix", "seed", "source", "part", "provenance", "by", "name"),
    *("items", "share", "characters", "length", "published", "difference", "note"),
)
"""One fact a row. `subject` is `mix`, `source`, `published` (a printed number, ours in `items`) or `contradiction` (two
printed numbers, one in `items`, the other in `published`); `part` is train, validation or test; `by` says what is
counted (all, groups, source, origin, task, options, gold_mcqu, gold_mcq, redistributed; of a source read, kept,
rejected, repaired …) or measured (characters, tokens: then the number stands in `length`), and `name` one of it;
`share` is in percent of the part, of a source's records that were read, or of the labels; `difference` is `items` −
`published`."""

LATEX = Latex(
    "Training items of each mix by component.",
    index=("mix", "seed"),
    where={"subject": ("mix",), "part": ("train",), "by": ("all",)},
    across=("provenance",),
    show=("items",),
)


def row(**facts: Any) -> dict[str, Any]:
    """Return a row of the table; what is not given is empty."""
    return {column: facts.get(column) for column in COLUMNS}


def mix_rows(mix: str, seed: int, facts: Mapping[str, Any], components: Sequence[str] = ()) -> Iterator[dict[str, Any]]:
    """Yield what one mix holds, from its composition.json, component by component in the order given."""
    for part in ("train", "validation"):
        whole = facts[part]["items"]
        by_component = facts[part]["by_provenance"]
        for provenance in ("all", *in_order(by_component, components)):
            held = facts[part] if provenance == "all" else by_component[provenance]
            common = {"subject": "mix", "mix": mix, "seed": seed, "part": part, "provenance": provenance}
            items, characters = held["items"], held["characters"]["total"]
            yield row(**common, by="all", name="all", items=items, share=_percent(items, whole), characters=characters)
            yield row(**common, by="groups", name="all", items=held["groups"])
            for by in ("source", "origin", "task", "options"):
                for name, count in sorted(held[by].items()):
                    yield row(**common, by=by, name=name, items=count, share=_percent(count, whole))
            for task, labels in sorted(held["gold_labels"].items()):
                for label, count in labels.items():
                    share = _percent(count, sum(labels.values()))
                    yield row(**common, by=f"gold_{task}", name=label, items=count, share=share)
            yield from _length_rows(common, "characters", held["characters"])
    common = {"subject": "mix", "mix": mix, "seed": seed, "part": "train", "by": "redistributed"}
    for stratum in facts["redistributed"]:
        note = f"{stratum['held']} held, {stratum['asked']} requested"
        yield row(**common, source=stratum["source"], name=stratum["stratum"], items=stratum["taken"], note=note)


def repetition_rows(mix: str, seed: int, facts: Mapping[str, Any], spec: CompositionSpec) -> Iterator[dict[str, Any]]:
    """Yield how often a training sees the items of each component, and how much of its stock the mix takes.

    An item stands in a mix once unless the mix repeats it (`epochs`), and is seen so often in each epoch of the
    training; a mix that asks for more items than a component holds, and repeats none, is refused when it is drawn.
    """
    if spec.epochs is None:
        return
    by_component = facts["train"]["by_provenance"]
    for component in in_order(by_component, spec.components):
        items, held = by_component[component]["items"], facts.get("smallest_over", {}).get(component)
        different = by_component[component].get("different_items", items)
        times_seen = items * spec.epochs / different if different else spec.epochs
        yield row(
            **{"subject": "mix", "mix": mix, "seed": seed, "part": "train", "provenance": component},
            **{"by": "repetition", "name": "all", "items": items * spec.epochs, "length": times_seen},
            share=None if held is None else _percent(different, held),
            note="" if held is None else f"{different} of {held} held, each seen {times_seen:.4g} times",
        )


def _percent(count: int, total: int) -> float | None:
    return 100 * count / total if total else None


def _length_rows(
    common: Mapping[str, Any], by: str, facts: Mapping[str, Any], note: str = ""
) -> Iterator[dict[str, Any]]:
    quantiles = {name: facts["quantiles"].get(name) for name in QUANTILES}
    for name, length in {"total": facts["total"], "mean": facts["mean"], **quantiles}.items():
        yield row(**common, by=by, name=name, length=length, note=note)


def source_rows(report: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield what one shard holds, from its report; shares are of the records that were read."""
    common = {"subject": "source", "source": report["source"]}
    common |= {"part": report["split"], "provenance": report["provenance"]}
    read = report["read"]
    yield row(**common, by="read", name="all", items=read)
    yield row(**common, by="kept", name="all", items=report["kept"], share=_percent(report["kept"], read))
    counted = {"rejected": report["rejected"]["by_reason"], "repaired": report["repaired"]}
    counted |= {"origin": report["origins"], "task": report["tasks"], "options": report["options"]}
    for by, counts in counted.items():
        for name, count in sorted(counts.items()):
            yield row(**common, by=by, name=name, items=count, share=_percent(count, read))


def published_rows(compared: Comparison, reports: list[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield each printed number beside ours, then the printed numbers that contradict each other."""
    records = compared.published.records
    for name, printed in records.printed.items():
        counts = compared.records(printed, reports)
        accepted, read = (None, None) if counts is None else counts
        yield row(
            **{"subject": "published", "part": printed.split or "all", "provenance": printed.component or "all"},
            **{"by": printed.counted(), "name": name, "items": accepted, "published": printed.records},
            difference=None if accepted is None else accepted - printed.records,
            note="no shard of this study" if accepted is None else "" if read in (None, accepted) else f"{read} read",
        )
    for contradiction in contradictions(records):
        yield row(
            **{"subject": "contradiction", "name": contradiction.name, "items": contradiction.first},
            **{
                "published": contradiction.second,
                "difference": contradiction.first - contradiction.second,
                "note": contradiction.words,
            },
        )


def token_rows(spec: CompositionSpec, root: Path, manifest: str) -> Iterator[dict[str, Any]]:
    """Yield the lengths of every mix in tokens of the chats that are trained on, the chat template's included."""
    from posologie.models.load import load_tokenizer

    tokenizer = load_tokenizer(checked_folder(manifest))
    known: dict[str, int] = {}
    for name, seeds in spec.mixes.items():
        for seed in seeds:
            items = read_item_table(root / layout.mix(name, seed, "train"))
            unknown = [item for item in items["id"].to_pylist() if item not in known]
            fresh = items.filter(pc.is_in(items["id"], value_set=pa.array(unknown, pa.string())))
            known |= _token_counts(fresh, tokenizer, spec.prompting)
            counts = np.array([known[item] for item in items["id"].to_pylist()], dtype=np.int64)
            provenances = np.array(items["provenance"].to_pylist(), dtype=object)
            for provenance in ("all", *in_order(set(provenances), spec.components)):
                inside = counts if provenance == "all" else counts[provenances == provenance]
                common = {"subject": "mix", "mix": name, "seed": seed, "part": "train", "provenance": provenance}
                yield from _length_rows(common, "tokens", lengths(inside), f"tokens of {spec.backbone}")


def _token_counts(table: pa.Table, tokenizer: Any, prompting: Prompting) -> dict[str, int]:
    counts: dict[str, int] = {}
    for batch in table.to_batches(max_chunksize=2048):
        items = list(table_to_items(pa.Table.from_batches([batch])))
        chats = []
        for item in items:
            order = option_order(item.id, len(item.options), "original", 0)
            answer = {"role": "assistant", "content": assistant_turn(item, order, prompting)}
            chats.append(tokenizer.apply_chat_template([*chat(item, order, prompting), answer], tokenize=False))
        encoded = tokenizer(chats, add_special_tokens=False)["input_ids"]
        counts |= {item.id: len(tokens) for item, tokens in zip(items, encoded, strict=True)}
    return counts


def main(argv: list[str]) -> None:
    """Write the table."""
    arguments = table_arguments("posologie.statistics.composition", __doc__ or "")
    arguments.add_argument("--published", help="file of the published study that is compared")
    arguments.add_argument("--backbone", help="manifest of the backbone whose tokens are counted")
    options = arguments.parse_args(argv)
    spec = CompositionSpec.from_json(options.spec)
    root = Path(options.results)
    table: list[dict[str, Any]] = []
    for name, seeds in spec.mixes.items():
        for seed in seeds:
            facts = read_json(root / layout.mix(name, seed, "composition"))
            table += mix_rows(name, seed, facts, spec.components)
            table += repetition_rows(name, seed, facts, spec)
    if options.backbone is not None:
        table += token_rows(spec, root, options.backbone)
    reports = [
        read_json(root / layout.beside(layout.shard(source, split), ".json"))
        for source, splits in spec.shards.items()
        for split in splits
    ]
    for report in reports:
        table += source_rows(report)
    compared = comparison(options.published, spec.published)
    if compared is not None:
        mixed = [report for report in reports if report["source"] not in spec.unmixed]
        table += published_rows(compared, mixed)
    write_table(options.table, *shown(COLUMNS, table, compared), LATEX)
    log.info("%d mixes, %d shards, %d rows", len(spec.mixes), len(reports), len(table))


if __name__ == "__main__":
    run(main)
