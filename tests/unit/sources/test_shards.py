import json
import os
import subprocess
import sys

import pytest

from posologie.records.items import stable_id
from posologie.running.errors import InputError
from posologie.sources import records, shards

FILE = "Train/mcqu/mcqu_train.json"


def hub(question="Quel organe ?", options=("Le foie", "La rate"), answer="A", context="", kind="mcqu", origin="essai"):
    lines = [f"({letter}) {option}" for letter, option in zip("ABCDEFG", options, strict=False)]
    instruction = question if kind == "oeq" else "\n".join([question, "Choix de réponses :", *lines])
    return {"instruction": instruction, "context": context, "answer": answer, "type": kind, "origin": origin}


def test_kept_and_rejected_are_what_was_read_and_rejects_point_to_file_and_row(read):
    shard = read("hub_records", {FILE: [hub(), hub(answer="F"), hub(kind="autre"), hub("Deux ?"), 7, hub(answer="")]})
    assert [item.question for item in shard.items] == ["Quel organe ?", "Deux ?"]
    assert shard.reasons == {
        "gold outside the options": 1,
        "unknown type": 1,
        "not a record of this form": 1,
        "unlabelled": 1,
    }
    assert [reject["row"] for reject in shard.rejects] == [2, 3, 5, 6]
    assert all(reject["file"].endswith(FILE) for reject in shard.rejects)
    assert json.loads(shard.rejects[0]["record"]) == hub(answer="F")
    assert shard.rejects[1]["detail"] == "'autre'; expected mcqu, mcq or oeq"


def test_items_of_equal_content_keep_one_id_with_a_counted_suffix_and_one_group(read):
    shard = read("hub_records", {FILE: [hub(), hub("Deux ?"), hub(), hub()]})
    first, other, second, third = shard.items
    assert (second.id, third.id) == (f"{first.id}-2", f"{first.id}-3")
    assert first.group == second.group == third.group == first.id != other.group
    assert shard.report["repeated_ids"] == {"same content": 2}


def test_an_id_depends_on_the_source_and_the_content_and_not_on_the_row(read):
    forward = read("hub_records", {FILE: [hub(), hub("Deux ?")]}).items
    other = read("hub_records", {FILE: [hub("Deux ?"), hub(origin="ailleurs")]}).items
    assert [item.id for item in forward] == [item.id for item in reversed(other)]
    assert read("hub_records", {FILE: [hub()]}, source="autre").items[0].id != forward[0].id


def test_items_on_one_context_share_a_group_across_sources_splits_and_files(read):
    case = "Un homme de 58 ans."
    shard = read(
        "hub_records", {FILE: [hub(context=case), hub("Deux ?", context=f"<p>{case}</p>\u00a0"), hub("Trois ?")]}
    )
    assert shard.items[0].group == shard.items[1].group == stable_id("context", case)
    assert shard.items[2].group == shard.items[2].id
    assert shard.report["groups"] == {"groups": 2, "items_in_shared_groups": 2, "largest": 2}
    other = read("hub_records", {FILE: [hub("Quatre ?", context=case)]}, split="test", source="autre")
    assert other.items[0].group == shard.items[0].group


def test_the_original_of_a_repaired_field_is_kept_and_of_no_other(read):
    record = hub("Laquelle\u00a0?", context="Un cas.\n")
    (item,) = read("hub_records", {FILE: [record]}).items
    assert item.question == "Laquelle ?"
    assert item.meta == {"origin": "essai", "original": {"question": record["instruction"]}}


def test_the_shard_is_the_same_whatever_the_processes_and_the_hash_seed(read, monkeypatch, tmp_path):
    monkeypatch.setattr(records, "BATCH", 16)
    monkeypatch.setattr(shards, "_WORTH_PROCESSES", 0)
    published = [hub(f"Question {number % 70} ?", answer="AZ"[number % 7 == 0]) for number in range(120)]
    first, second = (read("hub_records", {FILE: published}, processes=processes).folder for processes in (1, 2))
    for name in ("items.parquet", "rejects.parquet", "report.json"):
        assert (first / name).read_bytes() == (second / name).read_bytes()
    spec = {"source": "essai", "provenance": "native", "split": "train", "patterns": [], "reject_limit": 1}
    again = tmp_path / "again"
    outputs = [f"--items={again}/items.parquet", f"--rejects={again}/rejects.parquet", f"--report={again}/report.json"]
    command = [sys.executable, "-m", "posologie.sources.hub_records", "--spec", json.dumps(spec), *outputs]
    inputs = ["--inputs", str(tmp_path / "published" / FILE)]
    subprocess.run([*command, *inputs], env={**os.environ, "PYTHONHASHSEED": "7"}, check=True)
    for name in ("items.parquet", "rejects.parquet", "report.json"):
        assert (first / name).read_bytes() == (again / name).read_bytes()


def test_row_groups_have_one_size_whatever_the_parts(tmp_path, monkeypatch):
    import pyarrow.parquet

    from posologie.records.items import item_schema

    monkeypatch.setattr(shards, "_ROW_GROUP", 100)
    row = {field.name: [] if field.name in ("options", "gold") else "x" for field in item_schema()}
    with shards._Writer(tmp_path / "items.parquet") as writer:
        for count in (30, 250, 1, 0, 40):
            writer.write(pyarrow.Table.from_pylist([row] * count, schema=item_schema()))
    file = pyarrow.parquet.ParquetFile(tmp_path / "items.parquet")
    sizes = [file.metadata.row_group(index).num_rows for index in range(file.metadata.num_row_groups)]
    assert sizes == [100, 100, 100, 21]


def test_an_empty_split_gives_an_empty_shard(read):
    shard = read("hub_records", {FILE: []})
    assert shard.items == []
    assert shard.report["read"] == 0


def test_a_broken_file_leaves_no_shard(read, tmp_path):
    with pytest.raises(InputError, match="ends after record 1"):
        read("hub_records", {FILE: "[" + json.dumps(hub())})
    assert list((tmp_path / "out-1").iterdir()) == []


def test_an_unknown_option_is_named(read):
    with pytest.raises(InputError, match=r"sources\.essai\.options\.colonne: unknown key"):
        read("hub_records", {FILE: [hub()]}, options={"colonne": 1})


def test_a_manifest_gives_the_files_that_fit_and_checks_them(tmp_path):
    (tmp_path / "Test/oeq").mkdir(parents=True)
    file = tmp_path / "Test/oeq/oeq_test.json"
    file.write_text("[]")
    checksum = "4f53cda18c2baa0c0354bb5f9a3ecbe5ed12ab4d8e11ba873c2f11161202b945"
    manifest = tmp_path / "manifest.json"
    manifest.write_text(json.dumps({"files": {"Test/oeq/oeq_test.json": checksum, "README.md": "0"}}))
    assert shards.input_files([manifest], ["Test/*/*_test.json"]) == {"Test/oeq/oeq_test.json": file}
    with pytest.raises(InputError, match=r"no file fits Train/\*; it lists README.md, Test/oeq/oeq_test.json"):
        shards.input_files([manifest], ["Train/*"])
    file.write_text("[1]")
    with pytest.raises(InputError, match="not the file whose checksum"):
        shards.input_files([manifest], ["Test/*/*"])
    file.unlink()
    with pytest.raises(InputError, match="missing, though"):
        shards.input_files([manifest], ["Test/*/*"])
