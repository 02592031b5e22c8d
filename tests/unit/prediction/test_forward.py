"""Trees of texts, and forward passes over them and over padded rows, against texts computed alone."""

import pytest
import torch
from architectures import alone, windowed_model

from posologie.prediction.forward import Forest, Padded, Prefix, bins, common_prefix, grow, packs, prefix_of, tree_size

TEXTS = [
    (5, 6, 7, 8, 9, 10, 11),
    (5, 6, 7, 8, 20, 21),
    (5, 6, 7, 30, 31, 32, 33, 34, 35, 36),
    (5, 6, 7, 8, 9, 10, 11),  # the first again
    (5, 6, 7, 8),  # the beginning of others
    (5, 40, 41),
]


def all_alone(model, texts):
    return torch.stack([alone(model, text) for text in texts])


def close(first, other):
    assert first.shape == other.shape
    assert torch.allclose(first, other, atol=2e-5, rtol=1e-4), (first - other).abs().max()


class TestTrees:
    def test_a_tree_holds_each_common_beginning_once(self):
        row = grow(TEXTS, range(len(TEXTS)))
        assert len(row.tokens) == tree_size(TEXTS) == 7 + 2 + 7 + 0 + 0 + 2
        for path, number in zip(row.paths, row.prompts, strict=True):
            assert tuple(row.tokens[path]) == TEXTS[number]
            assert list(row.depths[path]) == list(range(len(path)))
            for depth, column in enumerate(path):
                assert list(row.sees[column].nonzero()[0]) == sorted(path[: depth + 1])

    def test_the_common_prefix_leaves_a_token_of_each_text(self):
        assert common_prefix(TEXTS) == 1
        assert common_prefix([(1, 2, 3), (1, 2, 3, 4)]) == 2
        assert common_prefix([(1, 2), (3,)]) == 0

    def test_bins_hold_everything_once_and_overflow_only_for_what_is_too_large(self):
        sizes = [5, 90, 40, 30, 30, 20, 150, 1]
        filled = bins(sizes, 100)
        assert sorted(number for row in filled for number in row) == list(range(len(sizes)))
        assert all(sum(sizes[number] for number in row) <= 100 or len(row) == 1 for row in filled)
        assert len(filled) == 4


class TestForwardPasses:
    @pytest.mark.parametrize("prefix", [0, 1, 3])
    def test_packed_texts_are_computed_as_if_alone(self, tiny, prefix):
        texts = TEXTS if prefix < 2 else TEXTS[:5]
        model = tiny.network
        forest = Forest(model, prefix_of(model, texts[0][:prefix]))
        rest = [text[prefix:] for text in texts]
        rows = [grow(rest, [0, 2, 4]), grow(rest, [1]), grow(rest, [3, *range(5, len(texts))])]
        logits = forest.plant(rows)
        order = [number for row in rows for number in row.prompts]
        close(logits, all_alone(model, [texts[number] for number in order]))

    def test_packed_texts_grow_branch_and_end_as_if_alone(self, tiny):
        model = tiny.network
        forest = Forest(model, prefix_of(model, (5,)))
        rest = [text[1:] for text in TEXTS]
        rows = [grow(rest, [0, 2]), grow(rest, [1, 3]), grow(rest, [4, 5])]
        forest.plant(rows)
        texts = [TEXTS[number] for row in rows for number in row.prompts]
        # one text with three children, one with none, rows that grow unequally
        parents, tokens = [0, 0, 0, 2, 5], [50, 51, 52, 53, 54]
        grown = [(*texts[parent], token) for parent, token in zip(parents, tokens, strict=True)]
        close(forest.extend(parents, tokens), all_alone(model, grown))
        # a row without texts is dropped on the way
        parents, tokens = [3, 4, 4], [60, 61, 62]
        again = [(*grown[parent], token) for parent, token in zip(parents, tokens, strict=True)]
        close(forest.extend(parents, tokens), all_alone(model, again))
        close(forest.extend([1], [63]), all_alone(model, [(*again[1], 63)]))

    def test_packed_texts_become_padded_rows(self, tiny):
        model = tiny.network
        forest = Forest(model, prefix_of(model, (5,)))
        rest = [text[1:] for text in TEXTS]
        rows = [grow(rest, [0, 2, 5]), grow(rest, [1])]
        forest.plant(rows)
        texts = [TEXTS[number] for row in rows for number in row.prompts]
        padded = forest.padded()
        close(padded.extend(range(4), [70, 71, 72, 73]), all_alone(model, [(*t, 70 + n) for n, t in enumerate(texts)]))

    def test_padded_texts_are_computed_as_if_alone(self, tiny):
        padded, logits = Padded.plant(tiny.network, TEXTS)
        close(logits, all_alone(tiny.network, TEXTS))
        parents, tokens = [2, 0, 0, 5], [50, 51, 52, 53]
        grown = [(*TEXTS[parent], token) for parent, token in zip(parents, tokens, strict=True)]
        close(padded.extend(parents, tokens), all_alone(tiny.network, grown))

    def test_padded_rows_are_joined_and_dropped(self, tiny):
        model = tiny.network
        long, _ = Padded.plant(model, TEXTS[2:3])
        short, _ = Padded.plant(model, TEXTS[4:6])
        short.join(long)
        texts = [*TEXTS[4:6], TEXTS[2]]
        close(short.extend(range(3), [50, 51, 52]), all_alone(model, [(*t, 50 + n) for n, t in enumerate(texts)]))
        short.select([1, 0])
        assert short.cache.get_seq_length() == len(TEXTS[4]) + 1
        close(short.extend(range(2), [60, 61]), all_alone(model, [(*texts[1], 51, 60), (*texts[0], 50, 61)]))
        grown, _ = Padded.plant(model, TEXTS[:1])
        short.join(grown)
        close(short.extend([2], [7]), all_alone(model, [(*TEXTS[0], 7)]))

    def test_architectures_that_look_back_over_a_window_are_not_packed(self, tiny):
        assert packs(tiny.network)
        assert not packs(windowed_model(len(tiny.tokenizer)))


def test_a_forest_with_no_shared_prefix_is_planted(tiny):
    forest = Forest(tiny.network, Prefix((), ()))
    close(forest.plant([grow([(9,)], [0])]), all_alone(tiny.network, [(9,)]))
