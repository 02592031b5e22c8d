import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import posologie.sources
from posologie.running.code_digest import modules_behind
from posologie.running.errors import InputError
from posologie.sources.layouts import (
    COLLECTIONS,
    LAYOUTS,
    check_options,
    collection_patterns,
    local_files,
    patterns,
)
from posologie.sources.spec import Collection, Source, chosen, files_below, matches

READERS = sorted(LAYOUTS | COLLECTIONS)


@pytest.mark.parametrize(
    ("path", "pattern", "fits"),
    [
        ("Train/mcq/mcq_train.json", "Train/*/*_train.json", True),
        ("Train/mcq/more/mcq_train.json", "Train/*/*_train.json", False),
        ("x/Train/mcq/mcq_train.json", "Train/*/*_train.json", False),
        ("mcq_train.json", "**/mcq_train.json", True),
        ("a/b/mcq_train.json", "**/mcq_train.json", True),
        ("data/train-00000-of-00002.parquet", "data/train-*.parquet", True),
        ("train.json", "dev.json", False),
    ],
)
def test_a_star_stays_within_a_folder_and_two_span_any_number(path, pattern, fits):
    assert matches(path, pattern) is fits


def test_files_of_a_folder_are_listed_without_hidden_ones(tmp_path):
    for name in ("a/b.json", "c.json", ".cache/d.json", "a/.e.json"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("")
    assert files_below(tmp_path) == ["a/b.json", "c.json"]
    assert chosen(files_below(tmp_path), ["*.json", "**/b.json"]) == ["a/b.json", "c.json"]


@pytest.mark.parametrize("split", ["train", "validation", "test"])
def test_both_ways_in_which_the_hub_names_its_files_are_known(split):
    folder = {"train": "Train", "validation": "Validation", "test": "Test"}[split]
    suffixes = {"train": ("train", "training"), "validation": ("val",), "test": ("test",)}[split]
    published = [f"{folder}/{task}/{task}_{suffix}.json" for task in ("mcq", "mcqu", "oeq") for suffix in suffixes]
    published.append(f"data/{split}-00000-of-00002.parquet")
    others = ["README.md", f"{folder}/mcq/notes.txt"]
    source = Source(provenance="native", hub="MedInjection-FR/Native")
    assert chosen([*published, *others], patterns(source, split)) == sorted(published)


def test_local_files_are_found_or_their_absence_is_named(tmp_path):
    (tmp_path / "dev.json").write_text("[]")
    source = Source(provenance="native", reader="frenchmedmcqa", path=str(tmp_path))
    assert local_files(source, "validation") == [f"{tmp_path}/dev.json"]
    with pytest.raises(InputError, match=r"no file fits train\.json \(split train\)"):
        local_files(source, "train")


def test_a_form_without_fixed_names_asks_for_files():
    source = Source(provenance="native", reader="columns", path="somewhere", files={"train": ("*.csv",)})
    assert patterns(source, "train") == ("*.csv",)
    with pytest.raises(InputError, match="no patterns for the split 'test'"):
        patterns(source, "test")
    with pytest.raises(InputError, match="set `files` for each split"):
        patterns(Source(provenance="native", reader="columns", path="somewhere"), "train")
    with pytest.raises(InputError, match="has no validation files; expected train, test"):
        patterns(Source(provenance="native", reader="pubmedqa", path="somewhere"), "validation")
    with pytest.raises(InputError, match="reader = 'autre': unknown"):
        collection_patterns(Collection(reader="autre", path="somewhere"))


@pytest.mark.parametrize("reader", READERS)
def test_every_listed_reader_is_a_module_with_a_command(reader):
    assert callable(importlib.import_module(f"posologie.sources.{reader}").main)


def test_every_module_with_a_command_is_listed():
    folder = Path(posologie.sources.__file__).parent
    commands = {path.stem for path in folder.glob("*.py") if "run(main)" in path.read_text(encoding="utf-8")}
    assert commands - {"fetch", "made"} == set(READERS)


@pytest.mark.parametrize("reader", READERS)
def test_a_reader_depends_on_no_other_reader_and_not_on_the_table_of_layouts(reader):
    behind = modules_behind(f"posologie.sources.{reader}")
    assert not behind & {f"posologie.sources.{other}" for other in [*READERS, "layouts", "fetch"] if other != reader}
    assert not any(module.startswith("posologie.config") for module in behind)


def test_what_the_configuration_reads_imports_nothing_heavy():
    code = (
        "import contextlib, sys; from posologie.sources.layouts import *\n"
        "for reader in LAYOUTS | COLLECTIONS:\n"
        "    with contextlib.suppress(InputError): check_options(reader, {'x': 1})\n"
        "print([m for m in ('pyarrow', 'numpy', 'pandas', 'openpyxl') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_options_of_a_reader_are_checked_before_any_job():
    check_options("columns", {"question": "q", "answer": "a"})
    check_options("frenchmedmcqa", {})
    with pytest.raises(InputError, match=r"options\.anwser: unknown key|options\.answer: missing"):
        check_options("columns", {"question": "q", "anwser": "a"})
    with pytest.raises(InputError, match=r"options\.task: unknown key"):
        check_options("frenchmedmcqa", {"task": "oeq"})
    with pytest.raises(InputError, match=r"options\.cop_from = 2"):
        check_options("medmcqa", {"cop_from": 2})
