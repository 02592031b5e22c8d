import json
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from mixes_made import PROVENANCE_OF, made_items

from posologie.mixes.sampling import characters
from posologie.records.files import read_json, read_parquet, write_parquet
from posologie.records.items import items_to_table, read_items, stable_id
from posologie.running.errors import InputError


def ids(folder, source=None):
    return [item.id for item in read_items(folder / "train.parquet") if source in (None, item.source)]


def test_equal_shares_of_an_odd_size_give_the_remainder_to_the_first_name(make_mix):
    composition = read_json(make_mix({"shares": {"native": 1, "synthetic": 1}, "size": 47}) / "composition.json")
    assert composition["train"]["provenance"] == {"native": 24, "synthetic": 23}


def test_smallest_is_the_eligible_size_of_the_smallest_provenance(make_mix, shards):
    shards.add("nat2", made_items("nat2", "native", 5))
    composition = read_json(make_mix({"shares": {"translated": 1}, "size": "smallest"}) / "composition.json")
    assert composition["train"]["items"] == 47
    assert composition["smallest_over"] == {"native": 65, "synthetic": 47, "translated": 200}


def test_smallest_counts_only_items_of_the_tasks_of_the_mix(make_mix):
    with pytest.raises(InputError, match="mix m: size smallest is 0: no training items of task mcqu are synthetic"):
        make_mix({"shares": {"translated": 1}, "size": "smallest", "tasks": ["mcqu"]})


def test_a_provenance_is_shared_by_its_sources_in_proportion_to_what_they_hold(make_mix, shards):
    shards.add("nat2", made_items("nat2", "native", 30))
    composition = read_json(make_mix({"counts": {"native": 45}}) / "composition.json")
    assert composition["train"]["source"] == {"nat": 30, "nat2": 15}


def test_a_share_that_is_too_small_for_one_item_is_warned_of(make_mix, caplog):
    make_mix({"shares": {"native": 1000, "synthetic": 1}, "size": 10})
    assert "mix m: 'synthetic' gets no item: its share is too small" in caplog.text


@pytest.mark.parametrize(
    ("mix", "key"),
    [
        ({"counts": {"native": True}}, "counts.native = True"),
        ({"counts": {"native": "7"}}, "counts.native = '7'"),
        ({"shares": {"native": "1"}, "size": 7}, "shares.native = '1'"),
        ({"shares": {"native": True}, "size": 7}, "shares.native = True"),
        ({"shares": {"native": 1}, "size": True}, "size"),
    ],
)
def test_a_truth_value_or_a_text_is_no_number_of_items(make_mix, mix, key):
    with pytest.raises(InputError, match=key):
        make_mix(mix)


@pytest.mark.parametrize("strata", [[], ["task"], ["task", "subject"], ["source", "length"]])
def test_a_smaller_dose_of_a_source_is_contained_in_a_larger_one_across_mixes(make_mix, strata):
    doses = [{"trad": 7}, {"translated": 20, "native": 11}, {"translated": 21, "synthetic": 40}, {"trad": 150}]
    drawn = [
        set(ids(make_mix({"counts": counts, "strata": strata}, name=f"m{n}"), "trad")) for n, counts in enumerate(doses)
    ]
    assert [len(part) for part in drawn] == [7, 20, 21, 150]
    assert all(smaller < larger for smaller, larger in pairwise(drawn))


def test_another_seed_draws_other_items_in_another_order(make_mix):
    first, other = (ids(make_mix({"counts": {"trad": 100}}, seed=seed)) for seed in (1, 2))
    assert set(first) != set(other)
    whole = [ids(make_mix({"counts": {"trad": 200}}, seed=seed)) for seed in (1, 2)]
    assert whole[0] != whole[1]
    assert set(whole[0]) == set(whole[1])


def test_rows_come_neither_in_the_order_of_the_file_nor_of_sampling(make_mix, shards):
    small = ids(make_mix({"counts": {"trad": 50}}, name="small"))
    large = ids(make_mix({"counts": {"trad": 200}}, name="large"))
    assert large[:50] != small
    assert large != [item.id for item in read_items(shards["trad"])]


def test_shuffled_rows_and_another_hash_seed_give_the_same_bytes(make_mix, shards, tmp_path):
    mix = {"shares": {"native": 1, "translated": 2}, "size": 60, "strata": ["task"]}
    validation = {"val": tmp_path / "val.parquet"}
    write_parquet(validation["val"], items_to_table(made_items("val", "native", 20, split="validation")))
    first = make_mix(mix, validation=validation, validation_spec={"size": 7})
    for path in [*shards.values(), *validation.values()]:
        table = read_parquet(path)
        order = np.random.default_rng(3).permutation(table.num_rows)
        pq.write_table(table.take(pa.array(order)), path, row_group_size=11)
    spec = {"name": "m", "mix": mix, "seed": 42, "provenance_of": PROVENANCE_OF, "validation": {"size": 7}}
    again = tmp_path / "again"
    subprocess.run(
        [
            *(sys.executable, "-m", "posologie.mixes", "--spec", json.dumps(spec)),
            *("--train", *(f"{source}={shards[source]}" for source in reversed(shards))),
            *("--validation", f"val={validation['val']}"),
            *("--out-train", again / "train.parquet", "--out-validation", again / "validation.parquet"),
            *("--composition", again / "composition.json"),
        ],
        check=True,
        env={"PYTHONHASHSEED": "77", "PATH": "/usr/bin:/bin"},
    )
    for name in ("train.parquet", "validation.parquet", "composition.json"):
        assert (first / name).read_bytes() == (again / name).read_bytes(), name


def test_the_validation_set_is_the_same_for_every_mix_and_seed(make_mix, tmp_path):
    validation = {"val": tmp_path / "val.parquet", "trad": tmp_path / "trad-val.parquet"}
    write_parquet(validation["val"], items_to_table(made_items("val", "native", 20, split="validation")))
    write_parquet(validation["trad"], items_to_table(made_items("trad", "translated", 20, split="validation")))
    whole = {"provenances": ["native"], "size": 9, "seen": "keep"}
    first = make_mix({"counts": {"native": 10}}, name="a", seed=1, validation=validation, validation_spec=whole)
    other = make_mix({"counts": {"synthetic": 10}}, name="b", seed=2, validation=validation, validation_spec=whole)
    assert (first / "validation.parquet").read_bytes() == (other / "validation.parquet").read_bytes()
    assert {item.provenance for item in read_items(first / "validation.parquet")} == {"native"}


def test_what_the_data_cannot_meet_is_one_line_that_says_what_is_held(make_mix):
    with pytest.raises(
        InputError, match=r"mix m: 61 items of 'native' requested, 60 of tasks mcqu\+mcq held by nat \(60\)"
    ):
        make_mix({"counts": {"native": 61}})
    with pytest.raises(InputError, match=r"stratum mcqu: 101 items requested, 100 held"):
        make_mix({"counts": {"trad": 150}, "strata": ["task"], "stratum_shares": {"mcqu": 101, "mcq": 49}})
    with pytest.raises(InputError, match=r"source trad: 150 items requested; held in .*: mcqu 100"):
        make_mix(
            {"counts": {"trad": 150}, "strata": ["task"], "stratum_shares": {"mcqu": 1}, "shortfall": "redistribute"}
        )


def test_a_redistribution_that_the_mix_allows_is_recorded(make_mix):
    mix = {"counts": {"trad": 150}, "strata": ["task"], "stratum_shares": {"mcqu": 4, "mcq": 1}}
    composition = read_json(make_mix(mix | {"shortfall": "redistribute"}) / "composition.json")
    assert composition["train"]["task"] == {"mcqu": 100, "mcq": 50}
    assert composition["redistributed"] == [
        {"source": "trad", "stratum": "mcq", "held": 100, "asked": 30, "taken": 50},
        {"source": "trad", "stratum": "mcqu", "held": 100, "asked": 120, "taken": 100},
    ]


def test_a_source_is_not_drawn_from_twice(make_mix):
    with pytest.raises(InputError, match="source nat is drawn from twice"):
        make_mix({"counts": {"native": 5, "nat": 5}})


def test_an_id_held_twice_is_refused(make_mix, shards):
    items = made_items("nat", "native", 10)
    shards.add("nat", [*items, items[3]])
    with pytest.raises(InputError, match=f"two items with the id {items[3].id}"):
        make_mix({"counts": {"nat": 5}})


def test_items_that_are_in_training_and_validation_are_counted(make_mix, shards):
    folder = make_mix({"counts": {"nat": 20}}, validation={"nat": shards["nat"]})
    assert read_json(folder / "composition.json")["also_in_validation"] == 20
    assert len(read_items(folder / "validation.parquet")) == 40


def test_characters_are_counted_over_all_chunks_of_a_table():
    items = made_items("nat", "native", 7, tasks=("oeq", "mcq"))
    chunked = pa.concat_tables([items_to_table(items[:3]), items_to_table(items[3:])])
    expected = [len(item.question) + len(item.context) + sum(map(len, item.options)) for item in items]
    assert characters(chunked).tolist() == expected
    assert characters(chunked.slice(2, 4)).tolist() == expected[2:6]


def test_the_composition_counts_what_the_mix_holds(make_mix):
    folder = make_mix({"counts": {"nat": 60, "syn": 7}})
    facts = read_json(folder / "composition.json")["train"]
    items = read_items(folder / "train.parquet")
    assert facts["items"] == 67
    assert facts["task"] == {"mcqu": 30, "mcq": 37}
    assert facts["options"] == {"4": 67}
    assert facts["gold_labels"]["mcq"] == {"A": 37, "B": 0, "C": 37}
    assert facts["by_provenance"]["native"]["gold_labels"]["mcqu"] == {"A": 15, "B": 0, "C": 15}
    expected = sum(len(item.question + item.context + "".join(item.options) + item.answer) for item in items)
    assert facts["characters"]["total"] == expected
    assert facts["by_provenance"]["synthetic"]["origin"].keys() <= {"syn-0", "syn-1", "syn-2"}


def twin_of(model, source, **changes):
    """An item of another source that asks what an item asks, in slightly other words."""
    return replace(
        model, id=stable_id(source, model.id), source=source, split="validation", group=stable_id(source, model.id),
        question=model.question + " Justifiez.", **changes,
    )  # fmt: skip


@pytest.fixture
def seen_shards(shards):
    """A training shard of clear questions, and a validation shard with a twin and a group of one of them."""
    stems = ("la goutte aiguë du genou", "une embolie pulmonaire à haut risque", "l'asthme aigu grave de l'enfant")
    options = ("Colchicine", "Héparine", "Salbutamol", "Paracétamol")
    train = [
        replace(item, question=f"Quel est le traitement de première intention de {stem} ?", options=options,
                gold=(number,), task="mcqu", group=f"case-{number}")
        for number, (stem, item) in enumerate(zip(stems, made_items("val", "native", 3), strict=True))
    ]  # fmt: skip
    shards.clear()
    shards.add("val", train)
    fresh = replace(made_items("val", "native", 9, split="validation")[7], question="Que vaut la kaliémie normale ?")
    grouped = replace(fresh, id=stable_id("g"), question="Quelle durée de traitement ?", group="case-1")
    twin = twin_of(train[0], "val")
    folder = shards["val"].parent / "validation"
    write_parquet(folder / "val.parquet", items_to_table([fresh, grouped, twin]))
    return {"val": folder / "val.parquet"}, fresh, grouped, twin


def test_a_validation_item_whose_twin_or_group_is_in_training_is_left_out_and_counted(make_mix, seen_shards):
    validation, fresh, grouped, twin = seen_shards
    out = make_mix({"counts": {"val": 3}}, validation=validation)
    assert [item.id for item in read_items(out / "validation.parquet")] == [fresh.id]
    expected = {"mode": "leave_out", "drawn": 3, "seen": 2, "by": {"group": 1, "near": 1}}
    assert read_json(out / "composition.json")["seen_in_training"] == expected
    keeping = make_mix({"counts": {"val": 3}}, validation=validation, validation_spec={"seen": "keep"}, folder="kept")
    assert {item.id for item in read_items(keeping / "validation.parquet")} == {fresh.id, grouped.id, twin.id}
    assert read_json(keeping / "composition.json")["seen_in_training"] == expected | {"mode": "keep"}


def test_a_study_may_refuse_seen_validation_items(make_mix, seen_shards):
    with pytest.raises(
        InputError, match=r"mix m: it trains on a twin or the group of 2 of 3 validation items, such as"
    ):
        make_mix({"counts": {"val": 3}}, validation=seen_shards[0], validation_spec={"seen": "refuse"})


def test_a_repeated_component_gives_fewer_items_more_often(make_mix):
    once = ids(make_mix({"counts": {"native": 50, "translated": 10}}, name="once"))
    out = make_mix({"counts": {"native": 50, "translated": 10}, "epochs": {"native": 3}}, name="thrice")
    thrice, composition = ids(out), read_json(out / "composition.json")
    counts = Counter(thrice)
    assert len(thrice) == len(once) == 60
    assert sorted(counts.values()) == [1] * 10 + [2] + [3] * 16
    assert set(thrice) < set(once), "the items of a smaller dose"
    assert sum(first == other for first, other in pairwise(thrice)) < 10, "copies lie apart"
    assert composition["parts"]["native"]["epochs"] == 3
    assert composition["train"]["by_provenance"]["native"]["different_items"] == 17
    assert "different_items" not in composition["train"]["by_provenance"]["translated"]


def test_a_mix_may_hold_more_rows_than_items_only_where_it_says_so(make_mix):
    with pytest.raises(
        InputError, match=r"61 items of 'native' requested, 60 .*or repeat items with epochs: {native: 2}"
    ):
        make_mix({"counts": {"native": 61}})
    assert len(ids(make_mix({"counts": {"native": 61}, "epochs": {"native": 2}}))) == 61
    with pytest.raises(InputError, match="121 items of 'native' requested 2 times each"):
        make_mix({"counts": {"native": 121}, "epochs": {"native": 2}})


def test_a_validation_item_seen_three_times_is_one_item(make_mix, seen_shards):
    out = make_mix({"counts": {"val": 9}, "epochs": {"val": 3}}, validation=seen_shards[0])
    expected = {"mode": "leave_out", "drawn": 3, "seen": 2, "by": {"group": 1, "near": 1}}
    assert read_json(out / "composition.json")["seen_in_training"] == expected
