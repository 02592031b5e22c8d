"""Prompts in the item browser: letter by letter what was sent, or a word that they are not."""

import dataclasses
import shutil

import pytest
from prediction_made import make_item, make_tiny

from posologie.models.chats import Chats
from posologie.models.load import load_tokenizer
from posologie.records.prompting import Lines, Prompting, chat
from posologie.report.sent import Sent, filled
from posologie.report.spec import BrowserSpec, PromptForm
from posologie.running.errors import InputError
from posologie.statistics.spec import EvaluatedModel

MODELS = (EvaluatedModel(name="tiny/base", kind="base", backbone="tiny"),)
PROMPTING = Prompting(sources={"english": Lines(choices_line="Options:", context_line="\n\nContext: {context}")})
ORDERS = [[0, 1, 2, 3], [3, 1, 0, 2]]


def spec_of(*forms):
    return BrowserSpec(models=MODELS, suites=("exam",), prompting=PROMPTING, forms=forms)


def record(item):
    return {name: getattr(item, name) for name in item.__slots__}


def text_of(sent, kept, item, order):
    turns = sent.frames[kept] if isinstance(kept, int) else kept[0]
    return filled(turns, item, order) if isinstance(kept, int) else turns


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    return make_tiny(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def chats(manifest):
    return Chats(load_tokenizer(manifest.parent))


@pytest.fixture(scope="module")
def sent(manifest):
    return Sent(spec_of(PromptForm(models=("tiny/base",), backbone="tiny@none")), {"tiny@none": manifest})


def tokens_of(chats, items):
    return [[[len(chats.ids(chats.prompt(chat(item, order, PROMPTING)))) for order in ORDERS] for item in items]]


def test_a_few_frames_give_back_every_prompt_of_every_order(sent, chats):
    items = [make_item(number) for number in range(9)]
    items += [make_item(20, context="Une toux."), make_item(21, source="english", context="A cough.")]
    rendered = sent.prompts([record(item) for item in items], [ORDERS] * len(items), tokens_of(chats, items))
    for item, [prompts] in zip(items, rendered, strict=True):
        for order, kept in zip(ORDERS, prompts, strict=True):
            assert isinstance(kept, int)
            expected = chats.shown(chats.prompt(chat(item, order, PROMPTING)))
            assert text_of(sent, kept, item, order) == [["", expected]]
    assert len(sent.frames) == 3


def test_a_prompt_that_its_frame_does_not_give_back_is_kept_as_it_is(manifest):
    trimming = Sent(spec_of(PromptForm(models=("tiny/base",), backbone="tiny@none")), {"tiny@none": manifest})
    own = trimming._chats[0]
    own.tokenizer.chat_template = own.tokenizer.chat_template.replace("['content']", "['content'] | trim")
    marked = make_item(1, question="Question 1 : un \ue010 dans le texte ?")
    ending = make_item(2, options=3, question="Question 2 : une fin ?")
    ending = dataclasses.replace(ending, options=(*ending.options[:2], "une fin  "))
    orders = [ORDERS[0], [0, 1, 2]]
    texts = [own.prompt(chat(item, order, PROMPTING)) for item, order in zip((marked, ending), orders, strict=True)]
    tokens = [[[len(own.ids(text))] for text in texts]]
    [[[framed]], [[kept]]] = trimming.prompts([record(marked), record(ending)], [[order] for order in orders], tokens)
    assert filled(trimming.frames[framed], marked, orders[0]) == [["", own.shown(texts[0])]]
    assert kept == [[["", own.shown(texts[1])]], None, False]
    assert "une fin<|im_end|>" in kept[0][0][1]


def test_a_context_that_was_shortened_is_shown_as_it_was_sent(sent, chats):
    item = make_item(3, context="Une toux depuis deux jours. " * 12)
    shorter = dataclasses.replace(item, context=("Une toux depuis deux jours. " * 4).strip())
    [[[kept]]] = sent.prompts([record(item)], [[ORDERS[0]]], [[[tokens_of(chats, [shorter])[0][0][0]]]])
    assert kept[0] == [["", chats.shown(chats.prompt(chat(shorter, ORDERS[0], PROMPTING)))]]
    assert kept[1:] == [None, True]


def test_a_prompt_of_another_length_than_the_recorded_one_says_so(sent, chats):
    item = make_item(4)
    [[[count, _]]] = tokens_of(chats, [item])
    [[[kept]]] = sent.prompts([record(item)], [[ORDERS[0]]], [[[count + 5]]])
    assert kept[1:] == [count, False]


def test_of_a_served_model_the_turns_are_shown(manifest):
    prompting = Prompting(system="Réponds.")
    spec = spec_of(PromptForm(models=("tiny/base",))).model_copy(update={"prompting": prompting})
    served, item = Sent(spec, {}), make_item(5)
    [[[kept]]] = served.prompts([record(item)], [[ORDERS[1]]], [[[17]]])
    assert text_of(served, kept, item, ORDERS[1]) == [
        [turn["role"], turn["content"]] for turn in chat(item, ORDERS[1], prompting)
    ]


def test_another_tokenizer_than_the_manifests_is_refused_and_weights_are_not_read(manifest, tmp_path):
    folder = shutil.copytree(manifest.parent, tmp_path / "tiny@none")
    spec = spec_of(PromptForm(models=("tiny/base",), backbone="tiny@none"))
    with pytest.raises(InputError, match=r"--backbones: expected the manifest of tiny@none"):
        Sent(spec, {})
    next(folder.glob("*.safetensors")).unlink()
    Sent(spec, {"tiny@none": folder / "manifest.json"})
    (folder / "tokenizer.json").write_text("{}")
    with pytest.raises(InputError, match=r"tokenizer\.json: not the file that .*manifest\.json lists"):
        Sent(spec, {"tiny@none": folder / "manifest.json"})
