"""Gather what every mix and every source holds into one table, beside the published numbers."""

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from posologie import layout
from posologie.commands import parser, run
from posologie.files import read_json, write_csv
from posologie.items import read_item_table, table_to_items
from posologie.mixes.contents import QUANTILES, lengths
from posologie.mixes.published import PublishedComposition, contradictions, ours, read_published
from posologie.mixes.spec import CompositionSpec
from posologie.models.load import load_tokenizer
from posologie.models.store import checked_folder
from posologie.prompting import Prompting, assistant_turn, chat, option_order

log = logging.getLogger("posologie.mixes")

COLUMNS = (
    *("subject", "name", "seed", "part", "provenance", "by", "value"),
    *("count", "share", "published", "difference", "note"),
)
"""One fact a row. `subject` is `mix`, `source`, `published` (a printed number, ours in `count`) or `contradiction` (two
printed numbers); `name` the mix, source or printed number; `part` train, validation or test; `by` what is counted
(items, source, origin, task, options, gold_mcqu, gold_mcq, characters, tokens, rejected, repaired …) and `value` one of
it; `count` items, labels or lengths; `share` in percent of the items or labels of the part and provenance; `difference`
is `count` − `published`."""


def row(**facts: Any) -> dict[str, Any]:
    """Return a row of the table; what is not given is empty."""
    return {column: facts.get(column) for column in COLUMNS}


def mix_rows(name: str, seed: int, facts: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield what one mix holds, from its composition.json."""
    for part in ("train", "validation"):
        for provenance, held in {"all": facts[part], **facts[part]["by_provenance"]}.items():
            common = {"subject": "mix", "name": name, "seed": seed, "part": part, "provenance": provenance}
            items = held["items"]
            yield row(**common, by="items", value="all", count=items, share=_percent(items, facts[part]["items"]))
            yield row(**common, by="groups", value="all", count=held["groups"])
            for by in ("source", "origin", "task", "options"):
                for value, count in sorted(held[by].items()):
                    yield row(**common, by=by, value=value, count=count, share=_percent(count, items))
            for task, labels in sorted(held["gold_labels"].items()):
                for label, count in labels.items():
                    share = _percent(count, sum(labels.values()))
                    yield row(**common, by=f"gold_{task}", value=label, count=count, share=share)
            yield from _length_rows(common, "characters", held["characters"])
    common = {"subject": "mix", "name": name, "seed": seed, "part": "train", "by": "redistributed"}
    for one in facts["redistributed"]:
        note = f"{one['held']} held, {one['asked']} asked for"
        yield row(**common, value=f"{one['source']}: {one['stratum']}", count=one["taken"], note=note)


def _percent(count: int, total: int) -> float | None:
    return 100 * count / total if total else None


def _length_rows(common: Mapping[str, Any], by: str, facts: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    yield row(**common, by=by, value="total", count=facts["total"])
    yield row(**common, by=by, value="mean", count=facts["mean"])
    for value in QUANTILES:
        yield row(**common, by=by, value=value, count=facts["quantiles"].get(value))


def source_rows(report: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield what one shard holds, from its report."""
    common = {
        **{"subject": "source", "name": report["source"]},
        **{"part": report["split"], "provenance": report["provenance"]},
    }
    kept, read = report["kept"], report["read"]
    yield row(**common, by="records", value="read", count=read)
    of_read = {"note": "share of what was read"}
    yield row(**common, by="items", value="all", count=kept, share=_percent(kept, read), **of_read)
    for by, counts in (("rejected", report["rejected"]["by_reason"]), ("repaired", report["repaired"])):
        for value, count in sorted(counts.items()):
            yield row(**common, by=by, value=value, count=count, share=_percent(count, read), **of_read)
    for by, key in (("origin", "origins"), ("task", "tasks"), ("options", "options")):
        for value, count in sorted(report[key].items()):
            yield row(**common, by=by, value=value, count=count, share=_percent(count, kept))


def published_rows(published: PublishedComposition, reports: list[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    """Yield each printed number beside ours, then the printed numbers that contradict each other."""
    for name, one in published.printed.items():
        found = ours(one, reports)
        kept, read = (None, None) if found is None else found
        yield row(
            **{"subject": "published", "name": name, "part": one.split or "all", "provenance": one.provenance or "all"},
            **{"by": "records", "value": one.counted(), "count": kept, "published": one.records},
            difference=None if kept is None else kept - one.records,
            note="no shard of this study" if kept is None else "" if read in (None, kept) else f"{read} read",
        )
    for found_one in contradictions(published):
        yield row(
            **{"subject": "contradiction", "name": found_one.name, "count": found_one.one},
            **{"published": found_one.other, "difference": found_one.one - found_one.other, "note": found_one.words},
        )


def token_rows(spec: CompositionSpec, root: Path, manifest: str) -> Iterator[dict[str, Any]]:
    """Yield the lengths of every mix in tokens of the chats that are trained on, the chat template's included."""
    tokenizer = load_tokenizer(checked_folder(manifest))
    known: dict[str, int] = {}
    for name, seeds in spec.mixes.items():
        for seed in seeds:
            items = read_item_table(root / layout.mix(name, seed, "train"))
            wanted = [item for item in items["id"].to_pylist() if item not in known]
            fresh = items.filter(pc.is_in(items["id"], value_set=pa.array(wanted, pa.string())))
            known |= _token_counts(fresh, tokenizer, spec.prompting)
            counts = np.array([known[item] for item in items["id"].to_pylist()], dtype=np.int64)
            provenances = np.array(items["provenance"].to_pylist(), dtype=object)
            for provenance in ("all", *sorted(set(provenances))):
                inside = counts if provenance == "all" else counts[provenances == provenance]
                common = {"subject": "mix", "name": name, "seed": seed, "part": "train", "provenance": provenance}
                yield from _length_rows(common, "tokens", lengths(inside))


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
    arguments = parser("posologie.mixes.composition", __doc__ or "")
    arguments.add_argument("--results", required=True, help="the study's folder, results/{study}")
    arguments.add_argument("--table", required=True, help="the CSV to write")
    arguments.add_argument("--published", help="the published numbers, resources/published/composition.yaml")
    arguments.add_argument("--tokenizer", help="manifest of a backbone, for lengths in tokens")
    given = arguments.parse_args(argv)
    spec = CompositionSpec.from_json(given.spec)
    root = Path(given.results)
    table: list[dict[str, Any]] = []
    for name, seeds in spec.mixes.items():
        for seed in seeds:
            table += mix_rows(name, seed, read_json(root / layout.mix(name, seed, "composition")))
    if given.tokenizer is not None:
        table += token_rows(spec, root, given.tokenizer)
    reports = [
        read_json(root / layout.beside(layout.shard(source, split), ".json"))
        for source, splits in spec.shards.items()
        for split in splits
    ]
    for report in reports:
        table += source_rows(report)
    if given.published is not None:
        table += published_rows(read_published(given.published), reports)
    write_csv(given.table, COLUMNS, table)
    log.info("%d mixes, %d shards, %d rows", len(spec.mixes), len(reports), len(table))


if __name__ == "__main__":
    run(main)
