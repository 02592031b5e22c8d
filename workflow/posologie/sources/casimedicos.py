"""Reader of CasiMedicos: Spanish residency exams with explanations, also in English, French and Italian.

Two forms: casimedicos-exp as published (`full_question`, `options` by number, `correct_option` from 1), and cases
rebuilt from token files (`clinical_case`, `question`, `options` as a list, `correct` from 1, `split` in the record).
Exams with four options have an empty fifth one, which some copies spell `nan`.
"""

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from posologie.records.items import Split
from posologie.records.specs import Spec
from posologie.running.commands import run
from posologie.sources import shards
from posologie.sources.cleaning import Elsewhere, Rejected
from posologie.sources.drafts import Draft, first_field, native_key
from posologie.sources.options import in_order_of_labels
from posologie.sources.shards import Drafting, Place
from posologie.sources.spec import ShardSpec

_SPLITS: dict[Any, Split] = {"train": "train", "dev": "validation", "validation": "validation", "test": "test"}


def draft(record: Any, place: Place, split: Split) -> Draft:
    """Make a draft of one CasiMedicos record."""
    if "split" in record:
        if record["split"] not in _SPLITS:
            raise Rejected("unknown split", f"{record['split']!a:.60}; expected train, dev or test")
        if _SPLITS[record["split"]] != split:
            raise Elsewhere
    labels, options = None, record["options"]
    if isinstance(options, dict):
        labels, options = in_order_of_labels(options)
    return Draft(
        question=first_field(record, "question", "full_question"),
        context=record.get("clinical_case"),
        answer=first_field(record, "correct", "correct_option"),
        task="mcqu",
        options=options,
        labels=labels,
        answer_form="index1",
        native_key=native_key(record.get("id")),
        meta={
            "origin": "CasiMedicos",
            "subject": first_field(record, "subject", "type", required=False),
            "explanation": first_field(record, "explanation", "full_answer", required=False),
        },
    )


def reader(spec: ShardSpec, files: Mapping[str, Path]) -> Drafting:
    """Return the reader of one split; the form has no options."""
    shards.options_of(spec, Spec)
    return partial(draft, split=spec.split)


def main(argv: list[str]) -> None:
    """Write a shard from CasiMedicos files."""
    shards.main(argv, "posologie.sources.casimedicos", reader)


if __name__ == "__main__":
    run(main)
