"""Items become examples whose answer is always whole."""

import random
from dataclasses import replace

import numpy as np
import pytest
import torch
from training_made import an_item, some_items

from posologie.models.load import load_tokenizer
from posologie.records.prompting import Prompting
from posologie.running.errors import InputError
from posologie.training import examples as examples_module
from posologie.training.batches import assemble, target_counts
from posologie.training.examples import tokenise


@pytest.fixture(scope="module")
def tokenizer(backbone):
    return load_tokenizer(backbone.parent)


def parts(examples, index, tokenizer):
    """Return prompt, answer with its end of turn, and what follows, as text."""
    tokens = examples.tokens[examples.starts[index] : examples.starts[index + 1]]
    first, last = examples.answers[index], examples.answer_ends[index]
    return tuple(tokenizer.decode(piece) for piece in (tokens[:first], tokens[first:last], tokens[last:]))


def test_an_example_is_the_chat_that_prediction_shows_with_the_answer_behind_it(tokenizer):
    item = an_item(1, "mcq")
    examples = tokenise([item], tokenizer, Prompting(), 2048)
    prompt, answer, rest = parts(examples, 0, tokenizer)
    turns = [
        {
            "role": "user",
            "content": f"{item.question}\nChoix de réponses :\n"
            + "\n".join(f"({label}) {option}" for label, option in zip("ABCD", item.options, strict=True)),
        }
    ]
    assert prompt == tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
    assert answer == "A,C<|im_end|>"
    assert rest == "\n"


def test_the_prompt_is_tokenised_as_it_is_for_prediction(tokenizer):
    for item in some_items(20):
        examples = tokenise([item], tokenizer, Prompting(), 2048)
        prompt = parts(examples, 0, tokenizer)[0]
        alone = tokenizer(prompt, add_special_tokens=False)["input_ids"]
        assert examples.tokens[: examples.answers[0]].tolist() == alone


def test_the_order_of_rows_changes_nothing(tokenizer):
    items = some_items(30)
    shuffled = random.Random(3).sample(items, len(items))
    examples, of_shuffled = (tokenise(rows, tokenizer, Prompting(), 2048) for rows in (items, shuffled))
    assert examples.ids == of_shuffled.ids == tuple(sorted(item.id for item in items))
    assert np.array_equal(examples.tokens, of_shuffled.tokens)
    assert np.array_equal(examples.starts, of_shuffled.starts)


def test_two_items_with_one_id_are_refused(tokenizer):
    with pytest.raises(InputError, match="occurs twice"):
        tokenise([an_item(1), an_item(1)], tokenizer, Prompting(), 2048)


def test_a_long_context_is_cut_as_little_as_needed_and_the_answer_stays_whole(tokenizer):
    words = [f"mot{n}" for n in range(400)]
    item = an_item(3, "mcq", context=" ".join(words))
    whole = tokenise([item], tokenizer, Prompting(), 100_000)
    assert whole.context_cut == ()
    cut = tokenise([item], tokenizer, Prompting(), 300)
    assert cut.context_cut == (item.id,)
    assert cut.rejected == ()
    assert cut.lengths[0] <= 300
    prompt, answer, _ = parts(cut, 0, tokenizer)
    assert answer == parts(whole, 0, tokenizer)[1] == "A,C<|im_end|>"
    assert item.question in prompt
    kept = prompt.split("Contexte : ")[1].split("\n")[0].split(" ")
    assert kept == words[: len(kept)]
    longer = replace(item, context=" ".join(words[: len(kept) + 1]))
    assert tokenise([longer], tokenizer, Prompting(), 100_000).lengths[0] > 300


@pytest.mark.parametrize("context", ["", "un contexte court"])
def test_what_does_not_fit_without_its_context_is_rejected_and_named(tokenizer, context):
    long, short = an_item(1, words=300, context=context), an_item(2)
    examples = tokenise([long, short], tokenizer, Prompting(), 200)
    assert examples.rejected == (long.id,)
    assert examples.ids == (short.id,)


def test_a_template_that_hides_the_answer_is_refused(tokenizer):
    class Other:
        def apply_chat_template(self, turns, tokenize, add_generation_prompt=False):
            return "prompt" if add_generation_prompt else "something else"

    with pytest.raises(InputError, match="chat template"):
        tokenise([an_item(1)], Other(), Prompting(), 100)


def test_stored_examples_are_mapped_from_disk_and_equal(tokenizer, tmp_path):
    assert examples_module.load(tmp_path / "none") is None
    made = tokenise(some_items(5), tokenizer, Prompting(), 2048)
    examples_module.save(made, tmp_path / "tokens")
    loaded = examples_module.load(tmp_path / "tokens")
    assert isinstance(loaded.tokens, np.memmap)
    assert loaded.ids == made.ids
    for name in ("tokens", "starts", "answers", "answer_ends"):
        assert np.array_equal(getattr(loaded, name), getattr(made, name))


@pytest.mark.parametrize("file", ["examples.json", "tokens.npy"])
def test_half_written_examples_are_made_again(tokenizer, tmp_path, file):
    examples_module.save(tokenise(some_items(5), tokenizer, Prompting(), 2048), tmp_path / "tokens")
    (tmp_path / "tokens" / file).unlink()
    assert examples_module.load(tmp_path / "tokens") is None


@pytest.mark.parametrize("loss_on", ["all", "answer"])
def test_targets_are_the_next_tokens_of_the_same_example(tokenizer, loss_on):
    examples = tokenise(some_items(6), tokenizer, Prompting(), 2048)
    chosen = [4, 0, 3]
    batch = assemble(examples, chosen, loss_on=loss_on, device=torch.device("cpu"))
    tokens = batch.tokens[0]
    assert torch.equal(tokens[batch.rows + 1], batch.targets)
    assert len(batch.targets) == int(target_counts(examples, loss_on)[chosen].sum())
    last_rows = {end - 1 for end in batch.bounds[1:]}
    assert not last_rows & set(batch.rows.tolist())
    answers = [parts(examples, index, tokenizer)[1] for index in chosen]
    assert tokenizer.decode(batch.targets[batch.in_answer]) == "".join(answers)
    if loss_on == "answer":
        assert bool(batch.in_answer.all())
    positions = batch.positions[0].tolist()
    assert positions == [
        n for start, end in zip(batch.bounds, batch.bounds[1:], strict=False) for n in range(end - start)
    ]
