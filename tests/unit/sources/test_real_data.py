"""Readers on the public files themselves, where they are at hand."""

import pytest

pytestmark = pytest.mark.real_data


def published(folder, *names):
    return {name: (folder / name).read_bytes() for name in names}


@pytest.mark.parametrize(
    ("name", "split", "tasks", "spaces", "not_nfc"),
    [
        ("train.json", "train", {"mcqu": 595, "mcq": 1576}, 1698, 181),
        ("dev.json", "validation", {"mcqu": 164, "mcq": 148}, 146, 0),
        ("test.json", "test", {"mcqu": 321, "mcq": 301}, 267, 0),
    ],
)
def test_frenchmedmcqa_is_kept_whole(read, real_data, name, split, tasks, spaces, not_nfc):
    shard = read("frenchmedmcqa", published(real_data / "frenchmedmcqa", name), split=split)
    assert shard.report["tasks"] == tasks
    assert shard.reasons == {}
    assert shard.repaired.get("no-break and typographic spaces") == spaces
    assert shard.repaired.get("not NFC", 0) == not_nfc
    assert sum(len(item.gold) == 5 for item in shard.items) == {"train": 34, "validation": 2, "test": 7}[split]


def test_mediqal_keeps_up_to_a_dozen_questions_on_one_case(read, real_data):
    shard = read("mediqal", published(real_data / "mediqal", "mediqal_oeq_sample.jsonl"), split="test")
    assert (shard.report["tasks"], shard.report["groups"]["largest"]) == ({"oeq": 1041}, 12)


def test_casimedicos_loses_its_literal_nan_options(read, real_data):
    files = published(real_data / "casimedicos", "reconstructed_fr_mcqu.jsonl")
    shards = [read("casimedicos", files, split=split) for split in ("train", "validation", "test")]
    assert [shard.reasons for shard in shards] == [{"no letters in the question": 1}, {}, {}]
    assert sum(shard.repaired["'nan' options dropped"] for shard in shards) == 297
    assert sum(shard.report["kept"] for shard in shards) == 547


def test_mmlu_pubmedqa_morfitt_and_wmt_are_read(read, collect, real_data):
    mmlu = read("mmlu", published(real_data / "mmlu_en", "anatomy_test.csv", "medical_genetics_test.csv"), split="test")
    assert (mmlu.report["kept"], mmlu.reasons) == (235, {})
    files = published(real_data / "pubmedqa", "ori_pqal.json", "test_ground_truth.json")
    assert [read("pubmedqa", files, split=split).report["kept"] for split in ("train", "test")] == [500, 500]
    morfitt = collect("morfitt", published(real_data / "morfitt", "train.tsv", "dev.tsv", "test.tsv"))
    assert (morfitt.report["read"], morfitt.reasons) == (3624, {"damaged characters": 2})
    names = [f"medline{year}_en2fr.{language}" for year in (19, 20) for language in ("en", "fr")]
    assert collect("wmt_biomedical", published(real_data / "wmt_biomed", *names)).report["kept"] == 1267
