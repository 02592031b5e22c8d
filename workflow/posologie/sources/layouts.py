"""Where each published form keeps the files of a split by default.

No reader imports this module, so an edit re-makes only the shards whose files or patterns change.
"""

import importlib
import importlib.util
import os
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from posologie.records.items import Split
from posologie.records.specs import Spec, first_problem
from posologie.running.errors import InputError
from posologie.sources.spec import Collection, Source, chosen, files_below

Patterns = dict[Split, tuple[str, ...]]

_HUB_NAMES: dict[Split, tuple[str, tuple[str, ...]]] = {
    "train": ("Train", ("train", "training")),
    "validation": ("Validation", ("val", "validation")),
    "test": ("Test", ("test",)),
}
_MEDICAL_SUBJECTS = (
    "anatomy",
    "clinical_knowledge",
    "college_biology",
    "college_medicine",
    "medical_genetics",
    "professional_medicine",
)
"""The subjects of MMLU that its users call medical."""


def _hub(split: Split) -> tuple[str, ...]:
    folder, suffixes = _HUB_NAMES[split]
    files = [f"{folder}/*/*_{suffix}.{kind}" for suffix in suffixes for kind in ("json", "jsonl", "parquet")]
    return (*files, f"data/{split}-*.parquet")


def _mmlu(folder: str) -> tuple[str, ...]:
    return tuple(f"**/{subject}_{folder}.csv" for subject in _MEDICAL_SUBJECTS)


LAYOUTS: dict[str, Patterns] = {
    "hub_records": {"train": _hub("train"), "validation": _hub("validation"), "test": _hub("test")},
    "frenchmedmcqa": {"train": ("train.json",), "validation": ("dev.json",), "test": ("test.json",)},
    "mediqal": {
        "train": ("mcq?/train.json",),
        "validation": ("mcq?/validation.json",),
        "test": ("mcq?/test.json", "oeq/test.json"),
    },
    "frbmedqa": {},
    "instruction_pairs": {"train": ("data/train-*.parquet",), "validation": ("data/eval-*.parquet",)},
    "medqa": {"train": ("**/train.jsonl",), "validation": ("**/dev.jsonl",), "test": ("**/test.jsonl",)},
    "medmcqa": {"train": ("train.json",), "validation": ("dev.json",), "test": ("test.json",)},
    "pubmedqa": {
        "train": ("ori_pqal.json", "test_ground_truth.json"),
        "test": ("ori_pqal.json", "test_ground_truth.json"),
    },
    "mmlu": {"train": _mmlu("dev"), "validation": _mmlu("val"), "test": _mmlu("test")},
    "medxpertqa": {"validation": ("Text/dev.jsonl",), "test": ("Text/test.jsonl",)},
    "casimedicos": {
        "train": ("data/fr/fr_train_casimedicos.jsonl",),
        "validation": ("data/fr/fr_dev_casimedicos.jsonl",),
        "test": ("data/fr/fr_test_casimedicos.jsonl",),
    },
    "columns": {},
    "lm_eval": {},
    "world": {"train": ("recipe.yaml",), "validation": ("recipe.yaml",), "test": ("recipe.yaml",)},
}
"""Reader → split → patterns of the published files below the data set's folder; none where names differ from copy to
copy, so that `files` has to say."""


COLLECTIONS: dict[str, tuple[str, ...]] = {
    "deft2021": ("**/*.txt",),
    "diamed": ("splits/*.json",),
    "morfitt": ("*.tsv",),
    "wmt_biomedical": ("*.en", "*.fr"),
    "document_columns": (),
    "parallel_columns": (),
}
"""Reader of documents or parallel text → patterns of its published files; none where `files` has to say."""

PARALLEL = ("wmt_biomedical", "parallel_columns")
"""Readers of parallel text; the others of `COLLECTIONS` read documents."""


def patterns(source: Source, split: Split) -> tuple[str, ...]:
    """Return the patterns of a source's files of one split: as configured, or else as the form has them.

    Raises:
        InputError: if neither says where they are.
    """
    if source.files is not None:
        if split not in source.files:
            raise InputError(f"files: no patterns for the split '{split}', which is listed in splits")
        return source.files[split]
    known = LAYOUTS.get(source.reader)
    if not known:
        raise InputError(f"reader = '{source.reader}': has no files by default; set `files` for each split")
    if split not in known:
        raise InputError(f"splits: the form '{source.reader}' has no {split} files; expected {', '.join(known)}")
    return known[split]


def check_options(reader: str, options: Mapping[str, Any]) -> None:
    """Check the options of a reader before any job; a reader without `Options` takes none.

    Raises:
        InputError: naming the first option that does not fit.
    """
    model = getattr(importlib.import_module(f"posologie.sources.{reader}"), "Options", Spec)
    try:
        model.model_validate(dict(options))
    except ValidationError as error:
        raise InputError(f"options.{first_problem(error)}") from error


def local_files(source: Source, split: Split) -> list[str]:
    """Return the files of a local source's split, sorted.

    Raises:
        InputError: if there is none.
    """
    names = _files_of(source.path or ".", patterns(source, split), f" (split {split})")
    return [f"{source.path}/{name}" for name in names]


def _files_of(folder: str, patterns: Sequence[str], of: str = "") -> list[str]:
    """Return the files below a folder that fit one of the patterns.

    Raises:
        InputError: if there is no such folder, or none fits.
    """
    if not os.path.isdir(folder):
        raise InputError(f"path = '{folder}': no such folder{of}")
    names = chosen(files_below(folder), patterns)
    if not names:
        most = 3
        more = f" or {len(patterns) - most} other patterns" if len(patterns) > most else ""
        raise InputError(f"path = '{folder}': no file fits {' or '.join(patterns[:most])}{more}{of}")
    return names


def collection_patterns(collection: Collection) -> tuple[str, ...]:
    """Return the patterns of a collection's files: as configured, or else as the form has them.

    Raises:
        InputError: if neither says where they are.
    """
    if collection.files is not None:
        return collection.files
    if collection.reader not in COLLECTIONS:
        raise InputError(f"reader = '{collection.reader}': unknown; expected {', '.join(COLLECTIONS)}")
    if not COLLECTIONS[collection.reader]:
        raise InputError(f"reader = '{collection.reader}': has no files by default; set `files`")
    return COLLECTIONS[collection.reader]


def collection_files(collection: Collection) -> list[str]:
    """Return the files of a local collection, sorted.

    Raises:
        InputError: if there is none.
    """
    return [f"{collection.path}/{name}" for name in _files_of(collection.path or ".", collection_patterns(collection))]
