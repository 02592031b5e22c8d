"""The table of what mixes and sources hold, beside the published numbers."""

import csv
import json
from pathlib import Path

import pytest

from posologie.mixes.contents import contents
from posologie.records import layout
from posologie.records.files import write_json, write_parquet
from posologie.records.items import Item, items_to_table, stable_id
from posologie.statistics.composition import main, repetition_rows
from posologie.statistics.spec import CompositionSpec

PUBLISHED = Path(__file__).parents[3] / "resources/published/medinjection-fr.yaml"


def made(source: str, provenance: str, count: int) -> list[Item]:
    """Return choice items, mcqu and mcq in turn."""
    return [
        Item(
            id=stable_id(source, str(number)),
            source=source,
            provenance=provenance,
            split="train",
            task=("mcqu", "mcq")[number % 2],
            question=f"Question {number} ?",
            context="",
            options=tuple(f"option {letter}" for letter in "abcd"),
            gold=(number % 4,) if number % 2 == 0 else (0, 2),
            answer="",
            group=stable_id(source, str(number)),
            meta={"origin": source},
        )
        for number in range(count)
    ]


MIXES = {"NAT": made("nat", "native", 30), "ALL": made("nat", "native", 10) + made("syn", "synthetic", 20)}


def shard_report(read: int, split: str, tasks: dict[str, int]) -> dict:
    kept = sum(tasks.values())
    return {
        "source": "nat", "provenance": "native", "split": split, "read": read, "kept": kept, "tasks": tasks,
        "rejected": {"total": read - kept, "by_reason": {"no gold label": read - kept} if read > kept else {}},
        "repaired": {"markup": 2}, "origins": {"Here": kept}, "options": {"5": kept},
    }  # fmt: skip


@pytest.fixture
def gather(tmp_path):
    """Run the command over two mixes and two shards; gives the rows."""

    def run(*further, unmixed=()):
        for name, items in MIXES.items():
            table = items_to_table(items)
            write_parquet(tmp_path / layout.mix(name, 1, "train"), table)
            facts = {"train": contents(table), "validation": contents(table.slice(0, 0)), "redistributed": []}
            if name == "ALL":
                facts["redistributed"] = [{"source": "syn", "stratum": "mcq", "held": 9, "asked": 12, "taken": 9}]
            write_json(tmp_path / layout.mix(name, 1, "composition"), facts)
        write_json(tmp_path / "shards/nat/train.json", shard_report(63, "train", {"mcqu": 30, "mcq": 30}))
        write_json(tmp_path / "shards/nat/test.json", shard_report(5, "test", {"oeq": 5}))
        spec = {"mixes": {"NAT": [1], "ALL": [1]}, "shards": {"nat": ["train", "test"]}, "backbone": "words"}
        spec["unmixed"] = unmixed
        out = tmp_path / layout.table("composition")
        main(["--spec", json.dumps(spec), "--results", str(tmp_path), "--table", str(out), *further])
        with out.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    return run


def picked(rows, *columns, **cells):
    """Return the named columns of the rows that have these cells."""
    matching = [row for row in rows if cells.items() <= row.items()]
    return [tuple(row[column] for column in columns) for row in matching]


def test_every_mix_is_counted_whole_and_by_provenance(gather):
    rows = gather()
    assert picked(rows, "provenance", "items", "share", subject="mix", mix="ALL", part="train", by="all") == [
        ("all", "30", "100"),
        ("native", "10", "33.333333"),
        ("synthetic", "20", "66.666667"),
    ]
    whole = {"subject": "mix", "mix": "ALL", "part": "train", "provenance": "all"}
    assert picked(rows, "name", "items", by="source", **whole) == [("nat", "10"), ("syn", "20")]
    assert picked(rows, "name", "items", by="task", **whole) == [("mcq", "15"), ("mcqu", "15")]
    assert picked(rows, "name", "items", by="options", **whole) == [("4", "30")]
    labels = picked(rows, "name", "items", "share", by="gold_mcqu", **whole)
    assert [(label, items) for label, items, _ in labels] == [("A", "8"), ("B", "0"), ("C", "7")]
    assert sum(float(share) for *_, share in labels) == pytest.approx(100, abs=1e-4)
    lengths = [name for (name,) in picked(rows, "name", by="characters", **whole)]
    assert lengths == ["total", "mean", "min", "5%", "25%", "50%", "75%", "95%", "max"]
    [(characters,)] = picked(rows, "characters", by="all", **whole)
    [(total,)] = picked(rows, "length", by="characters", name="total", **whole)
    assert characters == total == str(30 * 4 * len("option a") + sum(len(item.question) for item in MIXES["ALL"]))
    assert picked(rows, "source", "name", "items", "note", mix="ALL", by="redistributed") == [
        ("syn", "mcq", "9", "9 held, 12 requested")
    ]


def test_every_shard_states_what_was_read_kept_rejected_and_repaired(gather):
    rows = gather()
    assert picked(rows, "by", "name", "items", "share", subject="source", source="nat", part="train")[:4] == [
        ("read", "all", "63", ""),
        ("kept", "all", "60", "95.238095"),
        ("rejected", "no gold label", "3", "4.761905"),
        ("repaired", "markup", "2", "3.174603"),
    ]


def test_ours_stands_beside_the_published_number_with_the_difference(gather):
    rows = gather("--published", str(PUBLISHED))
    columns = ("items", "published", "difference", "note")
    assert picked(rows, *columns, subject="published", name="native_train") == [("60", "57563", "-57503", "63 read")]
    assert picked(rows, *columns, subject="published", name="native") == [("65", "77247", "-77182", "68 read")]
    assert picked(rows, *columns, subject="published", name="one_answer") == [("30", "454713", "-454683", "")]
    assert picked(rows, *columns, subject="published", name="translated_test") == [
        ("", "13293", "", "no shard of this study")
    ]


def test_raw_material_for_translation_is_shown_but_not_compared_with_published_numbers(gather):
    rows = gather("--published", str(PUBLISHED), unmixed=["nat"])
    assert picked(rows, "items", subject="source", by="kept", part="train") == [("60",)]
    assert picked(rows, "items", subject="published", name="native_train") == [("",)]


def test_the_published_numbers_that_contradict_each_other_are_named(gather):
    rows = gather("--published", str(PUBLISHED))
    assert picked(rows, "items", "published", "difference", subject="contradiction") == [
        ("417674", "416401", "1273"),
        ("27922", "27931", "-9"),
        ("570154", "571436", "-1282"),
        ("571427", "571436", "-9"),
        ("577577", "571436", "6141"),
        ("416401", "417674", "-1273"),
    ]


def test_lengths_in_tokens_are_those_of_the_chats_that_are_trained_on(gather, monkeypatch):
    class Words:
        """A tokenizer of words, with a template of two tokens a turn."""

        def apply_chat_template(self, turns, tokenize):
            assert tokenize is False
            return " ".join(f"<{turn['role']}> {turn['content']} <end>" for turn in turns)

        def __call__(self, texts, add_special_tokens):
            assert add_special_tokens is False
            return {"input_ids": [text.split() for text in texts]}

    monkeypatch.setattr("posologie.statistics.composition.checked_folder", lambda manifest: manifest)
    monkeypatch.setattr("posologie.models.load.load_tokenizer", lambda folder: Words())
    rows = gather("--backbone", "folder")
    expected = []
    for item in MIXES["NAT"]:
        lines = [
            "Choix de réponses :",
            *(f"({label}) {text}" for label, text in zip("ABCD", item.options, strict=True)),
        ]
        expected.append(len(" ".join([item.question, *lines]).split()) + len(["A,C"]) + 2 * len(["<turn>", "<end>"]))
    tokens = {"subject": "mix", "mix": "NAT", "by": "tokens"}
    assert picked(rows, "length", "note", name="total", provenance="all", **tokens) == [
        (str(sum(expected)), "tokens of words")
    ]
    assert picked(rows, "length", name="max", provenance="native", **tokens) == [(str(max(expected)),)]


def test_repetition_says_how_often_items_are_seen_and_how_much_of_what_is_held_is_drawn():
    spec = CompositionSpec(mixes={"M": (1,)}, components=("exam", "book"), epochs=10)
    held = {"train": {"by_provenance": {"book": {"items": 30}, "exam": {"items": 20}}}}
    rows = list(repetition_rows("M", 1, held | {"smallest_over": {"book": 300, "exam": 20}}, spec))
    assert [(row["provenance"], row["items"], row["length"], row["share"]) for row in rows] == [
        ("exam", 200, 10, 100.0), ("book", 300, 10, 10.0)
    ]  # fmt: skip
    held["train"]["by_provenance"]["exam"]["different_items"] = 8
    (exam, _) = repetition_rows("M", 1, held | {"smallest_over": {"book": 300, "exam": 20}}, spec)
    assert (exam["items"], exam["length"], exam["share"]) == (200, 25, 40.0), "the mix repeats its items"
    assert rows[0]["note"] == "20 of 20 held, each seen 10 times"
    assert [row["share"] for row in repetition_rows("M", 1, held, spec)] == [None, None], "an older composition.json"
    assert not list(repetition_rows("M", 1, held, CompositionSpec(mixes={"M": (1,)})))
