"""What a mix may draw: strata, their shares, the seeded order, and the rows that are read back."""

import dataclasses

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from mixes_made import made_items

from posologie.mixes import sampling
from posologie.mixes.sampling import draw, read_pool, read_rows, seeded_order, seeded_rank
from posologie.mixes.spec import Mix
from posologie.records.files import write_parquet
from posologie.records.items import items_to_table
from posologie.running.errors import InputError

KNOWN = [3, 4, 2, 0, 5, 1]
"""The order of `item 0` … `item 5` under seed 42: another one would change every mix."""


@pytest.fixture
def shard(tmp_path):
    """Write items and return their file."""

    def write(items, name="a.parquet", **options):
        path = tmp_path / name
        if options:
            pq.write_table(items_to_table(items), path, **options)
        else:
            write_parquet(path, items_to_table(items))
        return path

    return write


def mix(**fields):
    return Mix.model_validate({"shares": {"native": 1}, "size": 4, **fields})


def of_length(number, characters, meta, task="mcqu"):
    """Return an item whose question, context and options have this many characters together."""
    (item,) = made_items(f"s{number}", "native", 1, tasks=(task,))
    return dataclasses.replace(
        item, source="s", question="q" * (characters - 4), options=("a", "b", "c", "d"), meta=meta
    )


ITEMS = [
    of_length(0, 9, {"origin": "exam", "subject": "foie"}),
    of_length(1, 10, {"origin": "exam"}),
    of_length(2, 19, {"subject": "rein"}, task="mcq"),
    of_length(3, 20, {}),
]


@pytest.mark.parametrize(
    ("strata", "expected"),
    [
        (["task"], ["mcqu", "mcqu", "mcq", "mcqu"]),
        (["source"], ["exam", "exam", "s", "s"]),
        (["subject"], ["foie", "unknown", "rein", "unknown"]),
        (["length"], ["under-10", "under-15", "under-20", "from-20"]),
        (["source", "task"], ["exam/mcqu", "exam/mcqu", "s/mcq", "s/mcqu"]),
    ],
)
def test_each_item_belongs_to_the_stratum_that_its_fields_say(shard, strata, expected):
    pool = read_pool("s", shard(ITEMS), ("mcqu", "mcq"), mix(strata=strata, length_bands=[10, 15, 20]))
    assert [pool.strata[number] for number in pool.stratum] == expected
    assert pool.held() == {name: expected.count(name) for name in expected}


def test_without_bands_any_length_is_one_stratum(shard):
    pool = read_pool("s", shard(ITEMS), ("mcqu", "mcq"), mix(strata=["length"], length_bands=[]))
    assert pool.held() == {"any": 4}


def test_a_pool_holds_the_items_of_its_tasks_alone_in_the_order_of_the_file(shard):
    pool = read_pool("s", shard(ITEMS), ("mcqu",))
    assert (pool.source, pool.rows.tolist(), pool.ids) == ("s", [0, 1, 3], [ITEMS[row].id for row in (0, 1, 3)])
    assert pool.held() == {"": 3}
    nothing = read_pool("s", shard(ITEMS), ("oeq",), mix(strata=["task"], tasks=["oeq"]))
    assert (nothing.ids, nothing.held()) == ([], {})
    assert read_pool("s", shard(ITEMS), ("oeq",)).held() == {}


def test_items_of_other_sources_and_repeated_ids_are_refused_by_name(shard):
    others = [dataclasses.replace(ITEMS[1], source="t"), dataclasses.replace(ITEMS[2], source="u")]
    with pytest.raises(InputError, match=r"a\.parquet: items of source s, t, u; expected s alone"):
        read_pool("s", shard([ITEMS[0], *others]), ("mcqu",))
    with pytest.raises(InputError, match=f"two items with the id {ITEMS[3].id}; expected different ids"):
        read_pool("s", shard([ITEMS[0], ITEMS[3], ITEMS[3]]), ("mcqu",))


def test_equal_shares_take_as_many_from_a_small_stratum_as_from_a_large_one(shard):
    path = shard(made_items("s", "native", 12, tasks=("mcqu", "mcqu", "mcq")))
    strata = mix(strata=["task"])
    as_held = draw(read_pool("s", path, ("mcqu", "mcq"), strata), 6, 1, strata)
    assert {name: part["taken"] for name, part in as_held.strata.items()} == {"mcq": 2, "mcqu": 4}
    equal = mix(strata=["task"], stratum_shares="equal")
    drawn = draw(read_pool("s", path, ("mcqu", "mcq"), equal), 6, 1, equal)
    assert drawn.strata == {"mcq": {"held": 4, "asked": 3, "taken": 3}, "mcqu": {"held": 8, "asked": 3, "taken": 3}}
    spec = mix(strata=["task"], stratum_shares={"mcqu": 1, "oeq": 1}, shortfall="redistribute")
    drawn = draw(read_pool("s", path, ("mcqu", "mcq"), spec), 6, 1, spec)
    assert drawn.strata == {"mcqu": {"held": 8, "asked": 3, "taken": 6}, "oeq": {"held": 0, "asked": 3, "taken": 0}}
    assert len(drawn.rows) == 6, "strata that have no share give nothing"


def test_too_few_items_are_told_with_what_is_held(shard):
    path = shard(made_items("s", "native", 4, tasks=("mcqu", "mcq")))
    with pytest.raises(InputError, match=r"source s: 5 items requested; held in .*a\.parquet: all 4$"):
        draw(read_pool("s", path, ("mcqu", "mcq")), 5, 1)
    strata = mix(strata=["task"])
    with pytest.raises(InputError, match=r"a\.parquet: mcq 2, mcqu 2$"):
        draw(read_pool("s", path, ("mcqu", "mcq"), strata), 5, 1, strata)


def test_a_draw_is_the_first_in_the_seeded_order_and_what_it_always_was():
    ids = [f"item {number}" for number in range(6)]
    assert seeded_order(ids, 42, "sample").tolist() == KNOWN
    assert seeded_order(ids, 43, "sample").tolist() != KNOWN
    assert seeded_order(ids, 42, "shuffle").tolist() != KNOWN
    assert seeded_rank(ids, 42, "sample").dtype == np.uint64


def test_equal_ranks_are_put_in_the_order_of_the_ids(monkeypatch):
    monkeypatch.setattr(sampling, "seeded_rank", lambda ids, seed, purpose: np.array([5, 3, 5, 3], np.uint64))
    assert seeded_order(["d", "c", "a", "b"], 1, "sample").tolist() == [3, 1, 2, 0]


def test_rows_are_read_back_across_row_groups(shard):
    items = made_items("s", "native", 11)
    path = shard(items, row_group_size=4)
    assert pq.ParquetFile(path).num_row_groups == 3
    rows = np.array([0, 3, 4, 10])
    assert read_rows(path, rows)["id"].to_pylist() == [items[row].id for row in rows]
    assert read_rows(path, np.array([], np.int64)).num_rows == 0
    wide = items_to_table(items).append_column("further", pa.array(range(11)))
    pq.write_table(wide, path)
    assert read_rows(path, rows).column_names == items_to_table(items).column_names
