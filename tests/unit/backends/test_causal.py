import hashlib
import shutil
from collections import Counter

import pytest
import torch
from backends_made import ask, endpoint, question
from endpoint_server import EndpointServer
from models_made import GreedyModel

from posologie.backends.cache import Cache
from posologie.backends.causal import CausalBackend, GumbelSampling, LabelRecorder, label_tokens
from posologie.backends.interface import Failure, Reply, Request
from posologie.backends.spec import Causal, Decoding, Running
from posologie.running.errors import InputError

QUESTIONS = [
    "Quel est le diagnostic ?",
    "Femme de 40 ans, fièvre.",
    "Une",
    "Quelle est la bactérie en cause dans cette infection urinaire de la femme jeune ? " * 3,
    "1 ou 0 ?",
    "Quel traitement ?",
    "Réponds par 1.",
]


def causal(manifest, **running):
    return CausalBackend(Causal(backbone="tiny", precision="float32", threads=1), Running(**running), manifest)


def labelled(text, **decoding):
    return Request((("user", text),), Decoding(**{"max_new_tokens": 6, **decoding}), ("0", "1"))


@pytest.fixture(scope="module")
def plain(tiny_model):
    return GreedyModel(tiny_model)


def test_batched_replies_are_those_of_one_chat_at_a_time(tiny_model, plain, tmp_path):
    replies = ask(causal(tiny_model), tmp_path, [labelled(text) for text in QUESTIONS])
    for text, reply in zip(QUESTIONS, replies, strict=True):
        messages = [{"role": "user", "content": text}]
        tokens, steps, ended = plain.answer(messages, 6)
        assert reply.text == plain.tokenizer.decode(tokens, skip_special_tokens=True)
        assert reply.finish == ("stop" if ended else "length")
        assert reply.prompt_tokens == len(plain.prompt(messages))
        assert reply.generated_tokens == len(tokens) + ended
        mass = [sum(float(steps[0][token].exp()) for token in plain.spelling(label)) for label in ("0", "1")]
        first = reply.label_steps[0]
        assert first.mass == pytest.approx(sum(mass), abs=1e-6)
        assert first.probabilities == pytest.approx([label_mass / sum(mass) for label_mass in mass], abs=1e-5)


@pytest.mark.parametrize("batch_tokens", [16, 300, 5000])
def test_the_size_of_batches_changes_no_text(tiny_model, tmp_path, batch_tokens):
    requests = [question(text) for text in QUESTIONS]
    whole = ask(causal(tiny_model), tmp_path / "whole", requests)
    other = ask(causal(tiny_model, batch_tokens=batch_tokens), tmp_path / "other", requests)
    assert [reply.text for reply in other] == [reply.text for reply in whole]


def test_a_killed_run_goes_on_with_the_batches_that_are_missing(tiny_model, tmp_path, monkeypatch):
    requests = [labelled(f"{text} {number}") for number in range(4) for text in QUESTIONS]
    whole = ask(causal(tiny_model, batch_tokens=200), tmp_path / "whole", requests)
    batches = []
    generate, put = CausalBackend._generate, Cache.put

    def dying(self, entries):
        if len(batches) == 4:
            raise KeyboardInterrupt
        put(self, entries)

    def counting(self, batch):
        batches.append(len(batch))
        return generate(self, batch)

    monkeypatch.setattr(CausalBackend, "_generate", counting)
    monkeypatch.setattr(Cache, "put", dying)
    with pytest.raises(KeyboardInterrupt):
        ask(causal(tiny_model, batch_tokens=200), tmp_path / "killed", requests)
    monkeypatch.setattr(Cache, "put", put)
    first = list(batches)
    resumed = ask(causal(tiny_model, batch_tokens=200), tmp_path / "killed", requests)
    assert resumed == whole
    assert sum(batches) == len(requests) + first[-1], "only the batch that was not stored was made again"


def test_prompts_that_differ_in_their_seed_share_a_batch(tiny_model, tmp_path, monkeypatch):
    batches = []
    generate = CausalBackend._generate

    def counting(self, batch):
        batches.append(len(batch))
        return generate(self, batch)

    monkeypatch.setattr(CausalBackend, "_generate", counting)
    ask(causal(tiny_model), tmp_path, [question(f"q{seed}", temperature=1.0, seed=seed) for seed in range(9)])
    assert batches == [9]


def test_a_run_that_is_complete_loads_no_model(tiny_model, tmp_path):
    requests = [question(text) for text in QUESTIONS]
    first = ask(causal(tiny_model), tmp_path, requests)
    moved = shutil.copytree(tiny_model.parent, tmp_path / "moved") / "manifest.json"
    (moved.parent / "model.safetensors").unlink()
    assert ask(causal(moved), tmp_path, requests) == first


def test_other_weights_are_another_key(tiny_model, tmp_path):
    moved = shutil.copytree(tiny_model.parent, tmp_path / "moved") / "manifest.json"
    moved.write_text(moved.read_text().replace('"model.safetensors": "', '"model.safetensors": "0'))
    assert causal(moved).identity() != causal(tiny_model).identity()


def test_a_prompt_beyond_the_positions_fails_alone(tiny_model, tmp_path):
    long = "bactérie " * 3000
    outcomes = ask(causal(tiny_model), tmp_path, [question("court"), question(long)])
    assert isinstance(outcomes[0], Reply)
    assert isinstance(outcomes[1], Failure)
    assert "4096 positions" in outcomes[1].error


def test_a_draw_depends_on_its_request_alone(tiny_model, tmp_path):
    requests = [question(text, temperature=1.0, seed=seed) for text in QUESTIONS for seed in (1, 2)]
    together = ask(causal(tiny_model), tmp_path / "together", requests)
    backward = ask(causal(tiny_model, batch_tokens=100), tmp_path / "backward", requests[::-1])[::-1]
    assert [reply.text for reply in together] == [reply.text for reply in backward]
    assert len({reply.text for reply in together}) > len(QUESTIONS), "another seed draws another text"


def test_gumbel_sampling_draws_from_the_softmax():
    logits = torch.tensor([2.0, 1.0, 0.0, -1.0])
    keys = [hashlib.sha256(str(number).encode()).digest() for number in range(6000)]
    draws = GumbelSampling(keys, Decoding(temperature=0.5))(torch.zeros(0), logits.repeat(len(keys), 1))
    counts = Counter(draws.argmax(-1).tolist())
    for token, probability in enumerate(torch.softmax(logits / 0.5, -1).tolist()):
        spread = (probability * (1 - probability) / len(keys)) ** 0.5
        assert abs(counts[token] / len(keys) - probability) < 4 * spread + 1e-4
    cut = GumbelSampling(keys, Decoding(temperature=1.0, top_p=0.6))(torch.zeros(0), logits.repeat(len(keys), 1))
    assert set(cut.argmax(-1).tolist()) == {0}


def test_a_label_of_several_tokens_is_an_error(plain):
    assert label_tokens(plain.tokenizer, ("0", "1")) == [plain.spelling("0"), plain.spelling("1")]
    with pytest.raises(InputError, match="'équivalent'"):
        label_tokens(plain.tokenizer, ("équivalent",))


class Letters:
    """A tokenizer whose tokens are characters."""

    def decode(self, tokens, skip_special_tokens):
        return "".join(map(chr, tokens))


@pytest.mark.parametrize(
    ("written", "answer", "thoughts", "steps"),
    [
        ("<think>0 or 1</think>\n1", "1", "0 or 1", [(0, 1)]),
        ("## Thinking\n\n0?\n\n## Final Response\n\nIt is 1.", "It is 1.", "0?", [(0, 0), (6, 1)]),
        ("<think>0 or", "", "0 or", []),
        ("1", "1", "", [(0, 1)]),
        ("<think>\n\n</think>\n\n1", "1", "", [(0, 1)]),
        ("<think>0?</think>\n1\n<think>or 0", "1", "0?", [(0, 1)]),
        ("1 <think>or 0", "1", "or 0", [(0, 1)]),
        ("<think>0</think><|begin_of_solution|>\n1<|end_of_solution|>", "1", "0", [(0, 1)]),
    ],
)
def test_a_judge_that_thinks_is_read_after_its_thought(tiny_model, written, answer, thoughts, steps):
    backend = causal(tiny_model)
    backend._tokenizer, backend._ends = Letters(), (0,)
    recorder = LabelRecorder([[ord("0")], [ord("1")]])
    for character in written:
        scores = torch.full((1, 128), -30.0)
        scores[0, ord(character)] = 0.0
        recorder(torch.zeros(1, 1), scores)
    reply = backend._reply([*map(ord, written), 0], 5, 0, recorder)
    assert (reply.text, reply.thoughts) == (answer, thoughts)
    assert reply.thought_tokens == len(written) - len(answer)
    judged = [step for step in reply.label_steps if step.mass > 0.5]
    assert [step.offset for step in judged] == [offset for offset, label in steps if label]
    assert [round(step.probabilities[1]) for step in judged] == [1] * len(judged)


def test_an_endpoint_in_front_of_the_same_model_gives_the_same_replies(tiny_model, plain, tmp_path):
    requests = [labelled(text) for text in QUESTIONS]
    local = ask(causal(tiny_model), tmp_path / "local", requests)
    with EndpointServer(plain.serve) as server:
        remote = ask(endpoint(server), tmp_path / "remote", requests)
    for here, theirs in zip(local, remote, strict=True):
        assert (theirs.text, theirs.finish, theirs.prompt_tokens) == (here.text, here.finish, here.prompt_tokens)
        known = {step.offset: step for step in here.label_steps}
        for step in theirs.label_steps:
            assert step.offset in known
