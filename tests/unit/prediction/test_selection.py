"""Which items of which shards a benchmark asks, and in which order."""

import hashlib

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from prediction_made import make_item

from posologie.prediction import requests
from posologie.prediction.requests import select
from posologie.prediction.spec import Benchmark
from posologie.records.files import write_parquet
from posologie.records.items import item_schema, items_to_table
from posologie.running.errors import InputError

ITEMS = [
    *(make_item(number, meta={"origin": f"Origin-{number % 3}"}) for number in (5, 2, 9, 0, 7)),
    *(make_item(number, "mcq") for number in (4, 3)),
    *(make_item(number, "oeq") for number in (8, 6)),
    make_item(11, split="validation"),
    make_item(12, split="train"),
]


@pytest.fixture
def chosen(tmp_path, monkeypatch):
    """Return a function that selects from two shards, in batches of two rows."""
    monkeypatch.setattr(requests, "_BATCH", 2)
    shards = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    write_parquet(shards[0], items_to_table(ITEMS[:5]))
    write_parquet(shards[1], items_to_table(ITEMS[5:]))

    def select_items(seed=3, shards=shards, **benchmark):
        by_source = {"other": [], "demo": shards}
        return select("b", Benchmark(**{"source": "demo", **benchmark}), by_source, seed, tmp_path / "scratch.arrow")

    select_items.shards = shards
    return select_items


def numbers(items):
    return [int(item.id, 16) for item in items.items(0, len(items))]


def test_items_come_in_the_order_of_their_ids_wherever_they_lie(chosen):
    chosen_items = chosen()
    assert numbers(chosen_items) == [0, 2, 3, 4, 5, 7, 9]
    by_number = {int(item.id, 16): item for item in ITEMS}
    assert chosen_items.items(1, 5) == [by_number[number] for number in (2, 3, 4, 5)]
    assert chosen_items.items(6, 7) == [by_number[9]]
    assert chosen_items.items(3, 3) == []
    assert [chosen_items.items(place, place + 1)[0] for place in range(7)] == chosen_items.items(0, 7)


@pytest.mark.parametrize(
    ("benchmark", "expected"),
    [
        ({"tasks": ("mcq",)}, [3, 4]),
        ({"tasks": ("oeq", "mcq")}, [3, 4, 6, 8]),
        ({"split": "validation"}, [11]),
        ({"origins": ("Origin-2", "Origin-0")}, [0, 2, 5, 9]),
        ({"origins": ("Origin-1",), "tasks": ("mcqu", "oeq")}, [7]),
    ],
)
def test_split_tasks_and_origins_select(chosen, benchmark, expected):
    assert numbers(chosen(**benchmark)) == expected


def test_a_limit_keeps_the_smallest_seeded_hashes_of_ids(chosen):
    def ranked(seed):
        ids = [item.id for item in ITEMS if item.split == "test" and item.task != "oeq"]
        return sorted(
            ids, key=lambda digest: hashlib.blake2b(f"{seed}\x1flimit\x1f{digest}".encode(), digest_size=16).digest()
        )

    for seed in (3, 4):
        for limit in (1, 4, 8):
            assert numbers(chosen(seed, limit=limit)) == sorted(int(digest, 16) for digest in ranked(seed)[:limit])
    assert ranked(3)[:3] != ranked(4)[:3]


def test_an_open_question_makes_one_prompt_and_a_choice_one_for_each_variant(chosen):
    chosen_items = chosen(tasks=("mcqu", "mcq", "oeq"))
    assert (len(chosen_items), chosen_items.open_questions) == (9, 2)
    assert [chosen_items.prompts(permutations) for permutations in (0, 1, 4)] == [9, 16, 37]
    limited = chosen(tasks=("mcqu", "mcq", "oeq"), limit=3)
    assert limited.open_questions == sum(item.task == "oeq" for item in limited.items(0, 3))
    assert chosen().open_questions == 0


def test_what_selects_nothing_is_refused_with_what_was_looked_for(chosen):
    with pytest.raises(InputError, match=r"^benchmark 'b': no items of source 'none' given \(--items\)$"):
        chosen(source="none")
    with pytest.raises(InputError, match=r"no item of source 'demo' has split validation, task mcq or oeq$"):
        chosen(split="validation", tasks=("mcq", "oeq"))
    with pytest.raises(InputError, match=r"has split test, task mcqu or mcq, origins Nowhere, Else$"):
        chosen(origins=("Nowhere", "Else"))
    with pytest.raises(InputError, match=r"no item of source 'other'"):
        chosen(source="other")


@pytest.mark.parametrize("first", [0, 2, 3, 5])
def test_an_id_that_occurs_twice_is_refused_by_name(chosen, first):
    write_parquet(chosen.shards[0], items_to_table([*ITEMS[:5], ITEMS[first]] if first < 5 else ITEMS[:6]))
    with pytest.raises(InputError, match=f"benchmark 'b': item '{ITEMS[first].id}' occurs twice"):
        chosen()


def test_a_shard_that_is_none_is_refused_by_name(chosen):
    path = chosen.shards[1]
    pq.write_table(items_to_table(ITEMS[5:]).drop_columns(["group"]), path)
    with pytest.raises(InputError, match=r"b\.parquet: column 'group' is missing; expected a table of items"):
        chosen()
    path.write_bytes(b"no parquet")
    with pytest.raises(InputError, match=r"b\.parquet: not a whole Parquet file \(Parquet magic bytes not found"):
        chosen()
    path.unlink()
    with pytest.raises(InputError, match=r"b\.parquet: no such file"):
        chosen()


def test_a_shard_that_was_altered_after_it_was_made_is_refused(chosen, monkeypatch):
    monkeypatch.setattr(requests, "check_seal", lambda path: (_ for _ in ()).throw(InputError(f"{path}: altered")))
    with pytest.raises(InputError, match=r"a\.parquet: altered"):
        chosen()


def test_no_more_rows_than_a_batch_are_kept_together(chosen):
    selection = chosen()
    assert selection.ends[-1] == 7
    assert {first - second for first, second in zip(selection.ends, [0, *selection.ends], strict=False)} <= {0, 1, 2}


def test_columns_in_another_order_or_of_another_width_are_read_all_the_same(chosen):
    table = items_to_table(ITEMS[5:])
    columns = {"gold": table["gold"].cast(pa.list_(pa.int64())), "extra": pa.array(range(len(table)))}
    columns |= {name: table[name] for name in reversed(item_schema().names) if name != "gold"}
    pq.write_table(pa.table(columns), chosen.shards[1])
    assert numbers(chosen()) == [0, 2, 3, 4, 5, 7, 9]
