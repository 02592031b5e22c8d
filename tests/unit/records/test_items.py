import pytest

from posologie.records.files import write_parquet
from posologie.records.items import Item, item_schema, items_to_table, read_items, stable_id
from posologie.running.errors import InputError

ITEM = Item(
    id="a" * 20,
    source="native",
    provenance="native",
    split="train",
    task="mcqu",
    question="Quel os ?",
    context="",
    options=("fémur", "tibia"),
    gold=(1,),
    answer="",
    group="a" * 20,
    meta={"origin": "é"},
)


def changed(**values):
    return Item(**{name: getattr(ITEM, name) for name in ITEM.__slots__} | values)


def test_items_survive_their_table(tmp_path):
    write_parquet(tmp_path / "items.parquet", items_to_table([ITEM]))
    assert read_items(tmp_path / "items.parquet") == [ITEM]


def test_a_table_without_a_column_is_refused_by_name(tmp_path):
    path = tmp_path / "items.parquet"
    write_parquet(path, items_to_table([ITEM]).drop_columns(["gold"]))
    with pytest.raises(InputError, match=r"items\.parquet: column 'gold' is missing"):
        read_items(path)


def test_the_schema_has_the_fields_of_the_record():
    assert item_schema().names == list(Item.__slots__)


def test_ids_depend_on_the_border_between_their_parts():
    assert stable_id("ab", "c") != stable_id("a", "bc")


def test_ids_are_the_same_on_every_machine():
    assert stable_id("native", "42") == "d9790ba3d29f8d9870c0"


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({}, None),
        ({"question": "  "}, "empty question"),
        ({"options": ("seul",), "gold": (0,)}, "fewer than two options"),
        ({"options": (*"abcdefghijklmnopqrstuvwxyz", "27")}, "more than 26 options"),
        ({"gold": ()}, "no gold label"),
        ({"gold": (2,)}, "gold outside the options"),
        ({"gold": (0, 1)}, "several gold labels on a single-answer question"),
        ({"task": "mcq", "gold": (1, 0)}, "gold labels repeated or out of order"),
        ({"task": "mcq", "gold": (0, 1)}, None),
        ({"task": "oeq", "options": (), "gold": (), "answer": " "}, "empty answer"),
        ({"task": "oeq", "answer": "x"}, "options on an open question"),
        ({"task": "oeq", "options": (), "gold": (), "answer": "x"}, None),
    ],
)
def test_an_item_says_what_is_wrong_with_it(change, problem):
    assert changed(**change).problem() == problem
