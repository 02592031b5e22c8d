"""Which examples make up an update depends on seed, epoch and ids alone."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers.trainer_pt_utils import get_length_grouped_indices

from posologie.training.batches import micro_batches, updates_of_epoch

sets = st.integers(1, 60).flatmap(
    lambda count: st.tuples(
        st.lists(st.integers(0, 10**6), min_size=count, max_size=count, unique=True),
        st.lists(st.integers(1, 50), min_size=count, max_size=count),
    )
)


def order(numbers, lengths, **changes):
    settings = {"effective_batch": 4, "seed": 1, "epoch": 0, "group_by_length": True, **changes}
    return updates_of_epoch([f"item-{n}" for n in numbers], np.array(lengths), **settings)


@given(sets, st.integers(1, 9), st.booleans())
def test_an_epoch_shows_every_example_once(examples, batch, grouped):
    numbers, lengths = examples
    updates = order(numbers, lengths, effective_batch=batch, group_by_length=grouped)
    assert sorted(np.concatenate(updates).tolist()) == list(range(len(numbers)))
    assert all(len(update) == batch for update in updates[:-1])
    assert 1 <= len(updates[-1]) <= batch


@given(sets, st.randoms(use_true_random=False), st.booleans())
def test_the_order_of_rows_changes_no_update(examples, random, grouped):
    pairs = list(zip(*examples, strict=True))
    shuffled = random.sample(pairs, len(pairs))
    updates, of_shuffled = (
        [
            sorted(rows[index][0] for index in update)
            for update in order(*zip(*rows, strict=True), group_by_length=grouped)
        ]
        for rows in (pairs, shuffled)
    )
    if len({length for _, length in pairs}) == len(pairs) or not grouped:
        assert updates == of_shuffled


def test_equal_lengths_do_not_make_the_order_depend_on_rows():
    numbers = list(range(40))
    updates = [sorted(update) for update in order(numbers, [7] * 40)]
    back = order(numbers[::-1], [7] * 40)
    assert updates == [sorted(39 - index for index in update) for update in back]


def test_seed_and_epoch_each_give_another_order():
    numbers, lengths = list(range(100)), [7] * 100
    orders = {
        tuple(np.concatenate(order(numbers, lengths, seed=seed, epoch=epoch)).tolist())
        for seed in (1, 2)
        for epoch in (0, 1)
    }
    assert len(orders) == 4


def test_grouping_puts_the_longest_first_and_like_lengths_together():
    lengths = [(n * 37) % 101 + 1 for n in range(400)]
    updates = order(range(400), lengths, effective_batch=8)
    assert lengths[updates[0][0]] == max(lengths)
    spread = np.mean([np.ptp([lengths[index] for index in update]) for update in updates[1:]])
    loose = np.mean(
        [
            np.ptp([lengths[i] for i in update])
            for update in order(range(400), lengths, effective_batch=8, group_by_length=False)
        ]
    )
    assert spread < loose / 4


@given(sets, st.integers(1, 7), st.integers(1, 5))
def test_processes_and_micro_batches_share_out_an_update_exactly(examples, size, processes):
    lengths = np.array(examples[1])
    update = np.arange(len(lengths))
    parts = [micro_batches(update, lengths, size=size, process=p, processes=processes) for p in range(processes)]
    assert sorted(index for part in parts for batch in part for index in batch.tolist()) == update.tolist()
    assert all(1 <= len(batch) <= size for part in parts for batch in part)
    counts = [sum(len(batch) for batch in part) for part in parts]
    assert max(counts) - min(counts) <= 1


@pytest.mark.parametrize("batch", [1, 3, 8])
@pytest.mark.parametrize("count", [1, 7, 31, 32, 36, 100, 203, 1650])
def test_grouping_is_the_trainers_but_for_the_shuffle(count, batch, monkeypatch):
    lengths = [(n * 37) % 1999 + 1 for n in range(count)]
    shuffled = np.concatenate(order(range(count), lengths, effective_batch=batch, group_by_length=False))
    monkeypatch.setattr(torch, "randperm", lambda size, generator: torch.from_numpy(shuffled))
    grouped = np.concatenate(order(range(count), lengths, effective_batch=batch))
    assert grouped.tolist() == get_length_grouped_indices(lengths, batch)


def test_the_shuffle_is_the_same_in_every_version():
    # Another hash would give every seed another training.
    assert np.concatenate(order(range(8), [7] * 8, group_by_length=False)).tolist() == [5, 4, 1, 3, 2, 0, 6, 7]


def test_an_update_is_dealt_out_by_falling_length():
    lengths = np.array([3, 9, 5, 9, 1, 7, 2])
    update = np.array([6, 5, 4, 3, 2, 1])
    first, second = (micro_batches(update, lengths, size=2, process=process, processes=2) for process in range(2))
    assert [batch.tolist() for batch in first] == [[1, 5], [6]]
    assert [batch.tolist() for batch in second] == [[3, 2], [4]]
