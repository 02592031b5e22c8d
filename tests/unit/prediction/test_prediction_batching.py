"""What a model answers does not depend on what else is computed with it."""

import dataclasses

import pytest
import torch
import transformers

from conftest import make_item
from posologie.errors import InputError
from posologie.prediction import local
from posologie.prediction.forest import bins, common_prefix, grow, tree_size
from posologie.prediction.forward import Forest, Padded, Prefix, packs, prefix_of
from posologie.prediction.local import LocalModel
from posologie.prediction.model import load
from posologie.prediction.requests import requests_for
from posologie.prediction.spec import Benchmark, PredictionSpec, Suite
from posologie.prompting import Prompting

TEXTS = [
    (5, 6, 7, 8, 9, 10, 11),
    (5, 6, 7, 8, 20, 21),
    (5, 6, 7, 30, 31, 32, 33, 34, 35, 36),
    (5, 6, 7, 8, 9, 10, 11),  # the first again
    (5, 6, 7, 8),  # the beginning of others
    (5, 40, 41),
]


def alone(model, tokens):
    """Return the logits behind one text, computed by itself without any cache."""
    with torch.no_grad():
        return model(input_ids=torch.tensor([tokens])).logits[0, -1].float()


def all_alone(model, texts):
    return torch.stack([alone(model, text) for text in texts])


def close(one, other):
    assert one.shape == other.shape
    assert torch.allclose(one, other, atol=2e-5, rtol=1e-4), (one - other).abs().max()


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
        assert sorted(number for one in filled for number in one) == list(range(len(sizes)))
        assert all(sum(sizes[number] for number in one) <= 100 or len(one) == 1 for one in filled)
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


def windowed_model(vocabulary):
    torch.manual_seed(1)
    settings = transformers.MistralConfig(
        vocab_size=vocabulary,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        sliding_window=16,
        bos_token_id=None,
        eos_token_id=2,
    )
    return transformers.MistralForCausalLM(settings).eval()


def layers_of_both_kinds(vocabulary):
    """Layers that look back over a window and layers that look at everything, in turns, as Gemma."""
    torch.manual_seed(1)
    settings = transformers.Gemma2Config(
        vocab_size=vocabulary,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=8,
        sliding_window=16,
        bos_token_id=None,
        eos_token_id=2,
        pad_token_id=0,
    )
    return transformers.Gemma2ForCausalLM(settings).eval()


def absolute_positions(vocabulary):
    torch.manual_seed(1)
    settings = transformers.GPT2Config(vocab_size=vocabulary, n_embd=32, n_layer=2, n_head=4)
    return transformers.GPT2LMHeadModel(settings).eval()


def biases_in_place_of_positions(vocabulary):
    """ALiBi, as Bloom: a position is read from the mask."""
    torch.manual_seed(1)
    settings = transformers.BloomConfig(vocab_size=vocabulary, hidden_size=32, n_layer=2, n_head=4)
    return transformers.BloomForCausalLM(settings).eval()


SUITE = Suite(benchmarks={"all": Benchmark(source="demo")}, permutations=2, max_new_tokens=12)
SPEC = PredictionSpec(
    model="tiny/base", suites={"s": SUITE}, prompting=Prompting(), precision="float32", seed=1, threads=1
)
ITEMS = [
    *(make_item(number, options=2 + number % 5, words=4 + 5 * (number % 4)) for number in range(8)),
    *(make_item(number, task="mcq", options=3 + number % 4, words=3 + 7 * (number % 3)) for number in range(8, 14)),
    *(make_item(number, task="oeq", words=2 + 6 * (number % 4)) for number in range(14, 21)),
]
REQUESTS = requests_for(ITEMS, "s", "all", SUITE, SPEC, 0)


def answered(model, requests=REQUESTS, chunk_tokens=700, done=frozenset()):
    model = LocalModel(model, SPEC.prompting, chunk_tokens)
    answers = {answer.place: answer for answers in model.answers(requests, done) for answer in answers}
    return model, answers


def equal_but_for_noise(one, other):
    assert one.keys() == other.keys()
    for place, answer in one.items():
        exact, noisy = dataclasses.asdict(answer), dataclasses.asdict(other[place])
        for name in ("label_probabilities", "label_mass"):
            left, right = exact.pop(name), noisy.pop(name)
            assert (left is None) == (right is None)
            if left is not None:
                assert left == pytest.approx(right, abs=1e-5)
        assert exact == noisy


def greedy_alone(model, prompt, new_tokens, look_on=None):
    """Return the greedy tokens of one prompt, each step computed from the beginning."""
    tokens = list(prompt)
    while True:
        token = int(alone(model.network, tokens).argmax())
        tokens.append(token)
        made = tokens[len(prompt) :]
        more = len(made) < new_tokens or (look_on is not None and len(made) == new_tokens and look_on(made))
        if token in model.end_tokens or not more:
            return made


@pytest.fixture(scope="module")
def together(tiny):
    return answered(tiny)


class TestAnswers:
    def test_greedy_texts_are_those_of_decoding_one_by_one(self, tiny, together):
        asked, answers = together
        assert sorted(answers) == list(range(len(REQUESTS)))
        for request in REQUESTS:
            prompt = asked._prompt(request)
            look_on = asked._question(request).look_on if request.item.options else None
            made = greedy_alone(tiny, prompt, request.new_tokens, look_on)
            answer = answers[request.place]
            ended = made[-1] in tiny.end_tokens
            assert answer.greedy_text == tiny.tokenizer.decode(made[:-1] if ended else made)
            assert answer.generated_tokens == len(made)
            assert answer.finish == ("stop" if ended else "length")
            assert answer.prompt_tokens == len(prompt)

    def test_answers_end_at_any_end_token_and_others_take_their_place(self, tiny):
        asked = LocalModel(tiny, SPEC.prompting, 700)
        made = [greedy_alone(tiny, asked._prompt(request), 12) for request in REQUESTS]
        ends = tuple(sorted({tokens[2 + number % 6] for number, tokens in enumerate(made)})[::3])
        model = dataclasses.replace(tiny, end_tokens=ends)
        asked, answers = answered(model, chunk_tokens=40)
        lengths = set()
        for request in REQUESTS:
            look_on = asked._question(request).look_on if request.item.options else None
            made = greedy_alone(model, asked._prompt(request), request.new_tokens, look_on)
            answer = answers[request.place]
            assert (answer.generated_tokens, answer.finish == "stop") == (len(made), made[-1] in ends)
            assert answer.greedy_text == tiny.tokenizer.decode(made[:-1] if made[-1] in ends else made)
            if request.item.task == "oeq":
                lengths.add(len(made))
        assert len(lengths) > 2

    def test_label_probabilities_are_those_of_the_prompt_alone(self, tiny, together):
        asked, answers = together
        for request in REQUESTS:
            if not request.item.options:
                continue
            shares = alone(tiny.network, asked._prompt(request)).softmax(-1)
            automaton = asked._question(request).automaton
            expected = [0.0] * len(request.order)
            for move in automaton.moves(automaton.start):
                expected[move.symbol] += float(shares[automaton.tokens[move.slot]])
            answer = answers[request.place]
            assert answer.label_mass == pytest.approx(sum(expected), abs=1e-6)
            assert answer.label_probabilities == pytest.approx([e / sum(expected) for e in expected], abs=1e-5)
            assert sum(answer.label_probabilities) == pytest.approx(1)
            if request.item.task == "mcqu":
                assert answer.constrained_labels == (max(range(len(expected)), key=expected.__getitem__),)

    @pytest.mark.parametrize("chunk_tokens", [1, 150, 100_000])
    def test_the_size_of_a_chunk_changes_no_answer(self, tiny, together, chunk_tokens):
        equal_but_for_noise(together[1], answered(tiny, chunk_tokens=chunk_tokens)[1])

    def test_the_order_of_the_requests_changes_no_answer(self, tiny, together):
        equal_but_for_noise(together[1], answered(tiny, REQUESTS[::-1])[1])

    def test_a_request_by_itself_is_answered_as_among_others(self, tiny, together):
        for request in (REQUESTS[0], REQUESTS[30], REQUESTS[-1]):
            equal_but_for_noise({request.place: together[1][request.place]}, answered(tiny, [request])[1])

    def test_padding_instead_of_packing_changes_no_answer(self, tiny, together, monkeypatch):
        monkeypatch.setattr(local, "packs", lambda network: False)
        asked, answers = answered(tiny)
        assert asked.facts()["prompts_packed"] is False
        equal_but_for_noise(together[1], answers)

    @pytest.mark.parametrize(
        "make", [windowed_model, layers_of_both_kinds, absolute_positions, biases_in_place_of_positions]
    )
    def test_other_architectures_are_answered_as_alone(self, tiny, make):
        model = dataclasses.replace(tiny, network=make(len(tiny.tokenizer)))
        asked, answers = answered(model, REQUESTS[:4] + REQUESTS[-3:])
        for request in REQUESTS[:4] + REQUESTS[-3:]:
            prompt = asked._prompt(request)
            look_on = asked._question(request).look_on if request.item.options else None
            made = greedy_alone(model, prompt, request.new_tokens, look_on)
            answer = answers[request.place]
            assert answer.generated_tokens == len(made)
            ended = made[-1] in model.end_tokens
            assert answer.greedy_text == tiny.tokenizer.decode(made[:-1] if ended else made)
            if request.item.options:
                shares = alone(model.network, prompt).softmax(-1)
                expected = [0.0] * len(request.order)
                automaton = asked._question(request).automaton
                for move in automaton.moves(automaton.start):
                    expected[move.symbol] += float(shares[automaton.tokens[move.slot]])
                assert answer.label_mass == pytest.approx(sum(expected), rel=1e-3)
                assert answer.label_probabilities == pytest.approx([e / sum(expected) for e in expected], abs=1e-4)

    def test_a_model_with_recurrent_layers_is_refused(self, tiny):
        settings = transformers.Lfm2Config(
            vocab_size=len(tiny.tokenizer),
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            layer_types=["conv", "full_attention"],
        )
        model = dataclasses.replace(tiny, network=transformers.Lfm2ForCausalLM(settings).eval())
        with pytest.raises(InputError, match="model of type 'lfm2': layers of kind 'conv'"):
            answered(model)

    def test_what_is_done_is_not_answered_again(self, tiny, together):
        done = frozenset([0, 1, 2, 20, 40, len(REQUESTS) - 1])
        _, answers = answered(tiny, done=done)
        equal_but_for_noise({p: a for p, a in together[1].items() if p not in done}, answers)

    def test_variants_share_what_they_have_in_common(self, together):
        asked, answers = together
        assert asked.computed_tokens < 0.7 * sum(answer.prompt_tokens for answer in answers.values())


class TestBfloat16:
    def test_flips_are_counted_against_prompts_computed_alone(self, tiny, tiny_manifest):
        model = load(tiny_manifest, "bfloat16")
        asked, answers = answered(model)
        assert asked.facts()["recomputed_alone"]["prompts"] == local.AUDITED_A_WINDOW
        assert asked.facts()["recomputed_alone"]["likeliest_label_flipped"] <= 2
        assert answered(tiny)[0].facts()["recomputed_alone"]["prompts"] == 0
        for answer in answers.values():
            # scores are float32: labels that differ do not tie
            assert answer.label_probabilities is None or len(set(answer.label_probabilities)) > 1

    def test_a_flip_is_seen(self, tiny_manifest, monkeypatch):
        plant = Padded.plant.__func__
        monkeypatch.setattr(
            Padded, "plant", classmethod(lambda cls, *given: (lambda t, logits: (t, -logits))(*plant(cls, *given)))
        )
        monkeypatch.setattr(local, "packs", lambda network: True)
        asked, _ = answered(load(tiny_manifest, "bfloat16"))
        assert asked.facts()["recomputed_alone"]["likeliest_label_flipped"] > 10


def test_a_label_spelt_as_blank_and_letter_has_the_probability_of_both_ways(tiny, monkeypatch):
    monkeypatch.setattr(local, "_blank_first", lambda *_: True)
    asked, answers = answered(tiny, REQUESTS[:9])
    blank, *letters = (tiny.tokenizer.convert_tokens_to_ids(piece) for piece in ("Ġ", *"ABCDEF"))
    for request in REQUESTS[:9]:
        prompt = asked._prompt(request)
        first, second = (alone(tiny.network, text).softmax(-1) for text in (prompt, (*prompt, blank)))
        expected = []
        for label in range(len(request.order)):
            glued = tiny.tokenizer.convert_tokens_to_ids(f"Ġ{'ABCDEF'[label]}")
            direct = first[letters[label]] + (first[glued] if glued is not None else 0)
            expected.append(float(direct + first[blank] * second[letters[label]]))
        answer = answers[request.place]
        assert answer.label_mass == pytest.approx(sum(expected), abs=1e-6)
        assert answer.label_probabilities == pytest.approx([one / sum(expected) for one in expected], abs=1e-5)


class TestMemory:
    def fail_beyond(self, monkeypatch, limit, error):
        """Let every prefill of more than `limit` prompt tokens run out of memory."""
        plant = Forest.plant

        def planted(forest, rows):
            if sum(len(row.tokens) for row in rows) > limit:
                raise error
            return plant(forest, rows)

        monkeypatch.setattr(Forest, "plant", planted)

    @pytest.mark.parametrize(
        "error",
        [
            torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"),
            RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 1 bytes."),
            MemoryError(),
        ],
    )
    def test_running_out_halves_the_chunk_and_changes_no_answer(self, tiny, monkeypatch, caplog, error):
        _, expected = answered(tiny)
        self.fail_beyond(monkeypatch, 200, error)
        asked, answers = answered(tiny, chunk_tokens=1000)
        equal_but_for_noise(expected, answers)
        assert asked.facts()["chunk_halvings"] >= 2
        assert asked.facts()["chunk_tokens"] == 1000
        assert "out of memory" in caplog.text

    def test_a_prompt_that_never_fits_is_named(self, tiny, monkeypatch):
        self.fail_beyond(monkeypatch, 24, MemoryError())
        for task in ("mcqu", "oeq"):
            items = [make_item(number, task=task, words=40) for number in (98, 99)]
            requests = requests_for(items, "s", "all", SUITE, SPEC, 0)
            with pytest.raises(InputError, match=r"item '0+6[23]': \d+ prompt tokens do not fit"):
                answered(tiny, requests)

    def test_another_error_is_not_taken_for_it(self, tiny, monkeypatch):
        self.fail_beyond(monkeypatch, 24, RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
        with pytest.raises(RuntimeError, match="shapes"):
            answered(tiny, REQUESTS[:1])


def test_a_forest_with_no_shared_prefix_is_planted(tiny):
    forest = Forest(tiny.network, Prefix((), ()))
    close(forest.plant([grow([(9,)], [0])]), all_alone(tiny.network, [(9,)]))
