import csv
import json
import shutil
from pathlib import Path

import pytest

from posologie.errors import InputError
from posologie.files import write_json
from posologie.items import Provenance, read_items
from posologie.mixes.composition import main
from posologie.mixes.published import Printed, PublishedComposition, Sum, contradictions, ours, read_published

PUBLISHED = Path(__file__).parents[3] / "resources/published/composition.yaml"


def shard_report(source: str, provenance: Provenance, split: str, read: int, tasks: dict[str, int], **facts):
    kept = sum(tasks.values())
    return {
        "source": source, "provenance": provenance, "split": split, "read": read, "kept": kept, "tasks": tasks,
        "rejected": {"total": read - kept, "by_reason": {"no gold label": read - kept} if read > kept else {}},
        "repaired": {"markup": 2}, "origins": {"Here": kept}, "options": {"5": kept}, **facts,
    }  # fmt: skip


@pytest.fixture
def gather(tmp_path, make_mix):
    """Run the command over two mixes and two shards; gives the rows."""

    def run(*further):
        root = tmp_path / "results"
        for name, mix in {"NAT": {"counts": {"nat": 30}}, "ALL": {"counts": {"nat": 10, "syn": 20}}}.items():
            shutil.copytree(make_mix(mix, name=name, seed=1), root / "mixes" / name / "seed-1", dirs_exist_ok=True)
        write_json(root / "shards/nat/train.json", shard_report("nat", "native", "train", 63, {"mcqu": 30, "mcq": 30}))
        write_json(root / "shards/nat/test.json", shard_report("nat", "native", "test", 5, {"oeq": 5}))
        spec = {"mixes": {"NAT": [1], "ALL": [1]}, "shards": {"nat": ["train", "test"]}}
        table = tmp_path / "composition.csv"
        main(["--spec", json.dumps(spec), "--results", str(root), "--table", str(table), *further])
        with table.open() as file:
            return list(csv.DictReader(file))

    return run


def picked(rows, *columns, **wanted):
    """The named columns of the rows that have the wanted values."""
    found = [row for row in rows if wanted.items() <= row.items()]
    return [tuple(row[column] for column in columns) for row in found]


def test_every_mix_is_counted_whole_and_by_provenance(gather):
    rows = gather()
    counts = {"subject": "mix", "name": "ALL", "part": "train", "by": "items"}
    assert picked(rows, "provenance", "count", "share", **counts) == [
        ("all", "30", "100"),
        ("native", "10", "33.333333"),
        ("synthetic", "20", "66.666667"),
    ]
    whole = {"subject": "mix", "name": "NAT", "part": "train", "provenance": "all"}
    labels = picked(rows, "value", "count", "share", by="gold_mcqu", **whole)
    assert {label for label, *_ in labels} <= set("ABCD")
    assert sum(float(share) for *_, share in labels) == pytest.approx(100, abs=1e-4)
    lengths = [value for (value,) in picked(rows, "value", by="characters", **whole)]
    assert lengths == ["total", "mean", "min", "5%", "25%", "50%", "75%", "95%", "max"]


def test_every_shard_states_what_was_read_kept_rejected_and_repaired(gather):
    rows = gather()
    assert picked(rows, "by", "value", "count", subject="source", name="nat", part="train")[:4] == [
        ("records", "read", "63"),
        ("items", "all", "60"),
        ("rejected", "no gold label", "3"),
        ("repaired", "markup", "2"),
    ]


def test_ours_stands_beside_the_published_number_with_the_difference(gather):
    rows = gather("--published", str(PUBLISHED))
    columns = ("count", "published", "difference", "note")
    assert picked(rows, *columns, subject="published", name="native_train") == [("60", "57563", "-57503", "63 read")]
    assert picked(rows, *columns, subject="published", name="native") == [("65", "77247", "-77182", "68 read")]
    assert picked(rows, *columns, subject="published", name="one_answer") == [("30", "454713", "-454683", "")]
    assert picked(rows, *columns, subject="published", name="translated_test") == [
        ("", "13293", "", "no shard of this study")
    ]


def test_the_published_numbers_that_contradict_each_other_are_named(gather):
    rows = gather("--published", str(PUBLISHED))
    assert picked(rows, "count", "published", "difference", subject="contradiction") == [
        ("417674", "416401", "1273"),
        ("27922", "27931", "-9"),
        ("570154", "571436", "-1282"),
        ("571427", "571436", "-9"),
        ("577577", "571436", "6141"),
        ("416401", "417674", "-1273"),
    ]


def test_numbers_that_agree_are_no_contradiction():
    published = PublishedComposition(
        source="x",
        printed={
            "a": Printed(records=2, split="train"),
            "b": Printed(records=3, split="test"),
            "c": Printed(records=5),
        },
        sums={"by split": Sum(parts=("a", "b"), total="c")},
    )
    assert list(contradictions(published)) == []


def test_an_origin_is_found_in_any_case():
    reports = [shard_report("nat", "native", "train", 3, {"mcqu": 3}, origins={"mediqal": 2, "other": 1})]
    assert ours(Printed(records=9, provenance="native", origin="MediQAl"), reports) == (2, None)
    assert ours(Printed(records=9, provenance="native", origin="FrBMedQA"), reports) is None


def test_a_sum_of_unknown_numbers_is_refused(tmp_path):
    path = tmp_path / "published.yaml"
    path.write_text("source: x\nprinted: {a: {records: 1}}\nsums: {s: {parts: [a], total: b}}\n")
    with pytest.raises(InputError, match=r"published.yaml: sums.s = 'b': expected one of a"):
        read_published(path)
    path.write_text("source: x\nprinted: {a: {records: -1}}\n")
    with pytest.raises(InputError, match=r"published.yaml: printed.a.records = -1"):
        read_published(path)


def test_lengths_in_tokens_are_those_of_the_chats_that_are_trained_on(gather, monkeypatch, tmp_path):
    class Words:
        """A tokenizer of words, with a template of two tokens a turn."""

        def apply_chat_template(self, turns, tokenize):
            assert tokenize is False
            return " ".join(f"<{turn['role']}> {turn['content']} <end>" for turn in turns)

        def __call__(self, texts, add_special_tokens):
            assert add_special_tokens is False
            return {"input_ids": [text.split() for text in texts]}

    monkeypatch.setattr("posologie.mixes.composition.checked_folder", lambda manifest: manifest)
    monkeypatch.setattr("posologie.mixes.composition.load_tokenizer", lambda folder: Words())
    rows = gather("--tokenizer", "folder")
    expected = {}
    for item in read_items(tmp_path / "results/mixes/NAT/seed-1/train.parquet"):
        shown = [
            "Choix de réponses :",
            *(f"({label}) {text}" for label, text in zip("ABCD", item.options, strict=True)),
        ]
        expected[item.id] = len(" ".join([item.question, *shown]).split()) + len(["A,C"]) + 2 * len(["<turn>", "<end>"])
    [(total,)] = picked(rows, "count", subject="mix", name="NAT", provenance="all", by="tokens", value="total")
    [(longest,)] = picked(rows, "count", subject="mix", name="NAT", provenance="native", by="tokens", value="max")
    assert (int(total), int(longest)) == (sum(expected.values()), max(expected.values()))
