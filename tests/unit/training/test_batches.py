"""Which tokens a micro-batch holds and which of them count in the loss, by hand."""

import math
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from posologie.training.batches import _moved, assemble, hidden_states, micro_batches_in_step, target_counts
from posologie.training.examples import Examples

CPU = torch.device("cpu")
# Three examples of 5, 4 and 6 tokens. Their answers are the tokens 3 to 4, 2 alone, and 2 to 4 (what follows is white
# space behind the end of turn), each counted from the start of its example.
EXAMPLES = Examples(
    ids=("a", "b", "c"),
    tokens=np.array([10, 11, 12, 13, 14, 20, 21, 22, 23, 30, 31, 32, 33, 34, 35], dtype=np.int32),
    starts=np.array([0, 5, 9, 15], dtype=np.int64),
    answers=np.array([3, 2, 2], dtype=np.int64),
    answer_ends=np.array([5, 3, 5], dtype=np.int64),
    context_cut=(),
    rejected=(),
)


def test_examples_lie_one_behind_the_other_and_each_counts_its_positions_from_0():
    batch = assemble(EXAMPLES, [2, 0], loss_on="answer", device=CPU)
    assert batch.ids == ("c", "a")
    assert batch.tokens.tolist() == [[30, 31, 32, 33, 34, 35, 10, 11, 12, 13, 14]]
    assert batch.positions.tolist() == [[0, 1, 2, 3, 4, 5, 0, 1, 2, 3, 4]]
    assert (batch.bounds, batch.cumulative.tolist(), batch.longest) == ([0, 6, 11], [0, 6, 11], 6)
    assert (batch.tokens.dtype, batch.cumulative.dtype) == (torch.int64, torch.int32)


def test_only_the_tokens_of_the_answers_are_targets():
    batch = assemble(EXAMPLES, np.array([2, 0, 1]), loss_on="answer", device=CPU)
    assert batch.targets.tolist() == [32, 33, 34, 13, 14, 22]
    assert batch.rows.tolist() == [1, 2, 3, 8, 9, 12]
    assert batch.in_answer.tolist() == [True] * 6
    assert target_counts(EXAMPLES, "answer").tolist() == [2, 1, 3]


def test_all_tokens_but_the_first_of_each_example_are_targets_and_those_of_answers_are_marked():
    batch = assemble(EXAMPLES, [2, 0, 1], loss_on="all", device=CPU)
    assert batch.targets.tolist() == [31, 32, 33, 34, 35, 11, 12, 13, 14, 21, 22, 23]
    assert batch.rows.tolist() == [0, 1, 2, 3, 4, 6, 7, 8, 9, 11, 12, 13]
    marked = [False, True, True, True, False, False, False, True, True, False, True, False]
    assert batch.in_answer.tolist() == marked
    assert target_counts(EXAMPLES, "all").tolist() == [4, 3, 5]


@pytest.mark.parametrize("loss_on", ["answer", "all"])
def test_the_count_of_targets_is_that_of_the_batches(loss_on):
    counts = [len(assemble(EXAMPLES, [number], loss_on=loss_on, device=CPU).targets) for number in range(3)]
    assert counts == target_counts(EXAMPLES, loss_on).tolist()


@pytest.mark.parametrize(("loss_on", "counts"), [("answer", [3, 2]), ("all", [5, 4])])
def test_a_batch_counts_the_targets_of_each_example(loss_on, counts):
    assert assemble(EXAMPLES, [2, 0], loss_on=loss_on, device=CPU).counts == counts


def test_log_probabilities_under_the_backbone_go_with_their_examples():
    assert assemble(EXAMPLES, [2, 0], loss_on="answer", device=CPU).reference is None
    known = replace(EXAMPLES, reference=np.array([-1.5, -2.5, -3.5], dtype=np.float32))
    for chosen in ([2, 0], np.array([2, 0]), range(2, -1, -2)):
        assert assemble(known, chosen, loss_on="answer", device=CPU).reference.tolist() == [-3.5, -1.5]


def test_every_tensor_of_a_batch_lies_on_the_device():
    known = replace(EXAMPLES, reference=np.zeros(3, dtype=np.float32))
    batch = assemble(known, [0], loss_on="all", device=torch.device("meta"))
    tensors = [value for value in vars(batch).values() if isinstance(value, torch.Tensor)]
    assert len(tensors) == 7
    assert {tensor.device.type for tensor in tensors} == {"meta"}


def test_a_gpu_copies_from_pinned_memory_without_a_wait():
    calls = []

    class Host:
        def pin_memory(self):
            calls.append("pinned")
            return self

        def to(self, device, non_blocking=False):
            calls.append((device, non_blocking))
            return "moved"

    gpu, cpu = SimpleNamespace(type="cuda"), SimpleNamespace(type="cpu")
    assert _moved(Host(), gpu) == _moved(Host(), cpu) == "moved"
    assert calls == ["pinned", (gpu, True), (cpu, False)]


def test_a_decoder_is_told_tokens_positions_and_bounds_and_keeps_no_cache():
    received = {}

    def decoder(**arguments):
        received.update(arguments)
        return type("Output", (), {"last_hidden_state": torch.arange(12.0).reshape(1, 4, 3)})

    batch = assemble(EXAMPLES, [1], loss_on="all", device=CPU)
    assert hidden_states(decoder, batch).tolist() == torch.arange(12.0).reshape(4, 3).tolist()
    assert received == {
        "input_ids": batch.tokens,
        "position_ids": batch.positions,
        "use_cache": False,
        "bounds": batch.bounds,
        "cu_seq_lens_q": batch.cumulative,
        "max_length_q": 4,
    }


@pytest.mark.parametrize("processes", [1, 2, 3, 4])
@pytest.mark.parametrize("count", [0, 1, 5, 8])
def test_processes_in_step_have_equally_many_micro_batches_and_each_example_once(processes, count):
    lengths = np.array([9, 7, 5, 2, 8, 3, 6, 4])
    shares = [
        micro_batches_in_step(np.arange(count), lengths, size=2, process=process, processes=processes)
        for process in range(processes)
    ]
    assert {len(own) + len(fillers) for own, fillers in shares} == {math.ceil(math.ceil(count / processes) / 2)}
    assert sorted(index for own, _ in shares for part in own for index in part) == list(range(count))
    shortest = [int(np.argmin(lengths[:count]))] if count else []
    assert all(filler.tolist() == shortest for _, fillers in shares for filler in fillers)
