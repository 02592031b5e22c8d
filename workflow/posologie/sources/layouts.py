"""Where each published form keeps the files of a split, by default; read with the configuration, by no reader."""

from posologie.errors import InputError
from posologie.items import Split
from posologie.sources.patterns import chosen, files_below
from posologie.sources.spec import Source

_HUB_FOLDERS = {"train": ("Train", ("train", "training")), "validation": ("Validation", ("val", "validation"))}


def _hub(split: Split) -> tuple[str, ...]:
    folder, suffixes = _HUB_FOLDERS.get(split, ("Test", ("test",)))
    return tuple(f"{folder}/*/*_{suffix}.{kind}" for suffix in suffixes for kind in ("json", "jsonl", "parquet"))


LAYOUTS: dict[str, dict[Split, tuple[str, ...]]] = {
    "hub_records": {"train": _hub("train"), "validation": _hub("validation"), "test": _hub("test")},
    "frenchmedmcqa": {"train": ("train.json",), "validation": ("dev.json",), "test": ("test.json",)},
}
"""Reader → split → patterns of the published files below the data set's folder."""


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
    if known is None:
        raise InputError(f"reader = '{source.reader}': has no files by default; give `files` for each split")
    if split not in known:
        raise InputError(f"splits: the form '{source.reader}' has no {split} files; expected {', '.join(known)}")
    return known[split]


def local_files(source: Source, split: Split) -> list[str]:
    """Return the files of a local source's split, sorted.

    Raises:
        InputError: if there is none.
    """
    wanted = patterns(source, split)
    found = chosen(files_below(source.path or "."), wanted)
    if not found:
        raise InputError(f"path = '{source.path}': no file fits {' or '.join(wanted)} (split {split})")
    return [f"{source.path}/{name}" for name in found]
