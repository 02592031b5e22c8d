"""What a model answers does not depend on what else is computed with it."""

import dataclasses

import pytest
import torch
import transformers
from architectures import (
    absolute_positions,
    alone,
    biases_in_place_of_positions,
    layers_of_both_kinds,
    windowed_model,
)
from prediction_made import make_item

from posologie.prediction import local
from posologie.prediction.forward import Forest, Padded
from posologie.prediction.local import LocalModel
from posologie.prediction.model import load
from posologie.prediction.requests import requests_for
from posologie.prediction.spec import Benchmark, PredictionSpec, Suite
from posologie.records.prompting import Prompting
from posologie.running.errors import InputError

SUITE = Suite(benchmarks={"all": Benchmark(source="demo")}, permutations=2, max_new_tokens=12)
SPEC = PredictionSpec(model="tiny/base", suites={"s": SUITE}, prompting=Prompting(), precision="float32", seed=1)
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


def equal_but_for_noise(first, other):
    assert first.keys() == other.keys()
    for place, answer in first.items():
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
            prompt = asked.prompts.tokens(request)
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
        made = [greedy_alone(tiny, asked.prompts.tokens(request), 12) for request in REQUESTS]
        ends = tuple(sorted({tokens[2 + number % 6] for number, tokens in enumerate(made)})[::3])
        model = dataclasses.replace(tiny, end_tokens=ends)
        asked, answers = answered(model, chunk_tokens=40)
        lengths = set()
        for request in REQUESTS:
            look_on = asked._question(request).look_on if request.item.options else None
            made = greedy_alone(model, asked.prompts.tokens(request), request.new_tokens, look_on)
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
            shares = alone(tiny.network, asked.prompts.tokens(request)).softmax(-1)
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
            prompt = asked.prompts.tokens(request)
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
            Padded,
            "plant",
            classmethod(lambda cls, *arguments: (lambda t, logits: (t, -logits))(*plant(cls, *arguments))),
        )
        monkeypatch.setattr(local, "packs", lambda network: True)
        asked, _ = answered(load(tiny_manifest, "bfloat16"))
        assert asked.facts()["recomputed_alone"]["likeliest_label_flipped"] > 10


def test_a_label_spelt_as_blank_and_letter_has_the_probability_of_both_ways(tiny, monkeypatch):
    monkeypatch.setattr(local, "blank_first", lambda *_: True)
    asked, answers = answered(tiny, REQUESTS[:9])
    blank, *letters = (tiny.tokenizer.convert_tokens_to_ids(piece) for piece in ("Ġ", *"ABCDEF"))
    for request in REQUESTS[:9]:
        prompt = asked.prompts.tokens(request)
        first, second = (alone(tiny.network, text).softmax(-1) for text in (prompt, (*prompt, blank)))
        expected = []
        for label in range(len(request.order)):
            glued = tiny.tokenizer.convert_tokens_to_ids(f"Ġ{'ABCDEF'[label]}")
            direct = first[letters[label]] + (first[glued] if glued is not None else 0)
            expected.append(float(direct + first[blank] * second[letters[label]]))
        answer = answers[request.place]
        assert answer.label_mass == pytest.approx(sum(expected), abs=1e-6)
        assert answer.label_probabilities == pytest.approx([mass / sum(expected) for mass in expected], abs=1e-5)


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
