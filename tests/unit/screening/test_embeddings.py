"""Tested questions in another language, found by a sentence encoder: a tiny one whose vectors are known."""

import json
import re

import numpy as np
import pytest
import tokenizers
import torch
import transformers
from screening_made import PARALLEL, item

from posologie.mixes.__main__ import seen_in_training
from posologie.models.encoders import SentenceVectors
from posologie.records.files import read_parquet, write_parquet
from posologie.records.items import items_to_table
from posologie.running.errors import InputError
from posologie.screening import leakage
from posologie.screening.embeddings import opened
from posologie.screening.spec import Comparing, SentenceEncoder


def words(text):
    return re.findall(r"\w+", text.lower())


def make_encoder(folder, concepts):
    """Write a BERT without layers: a word's vector is that of the one concept that it belongs to."""
    vocabulary = {"[PAD]": 0, "[UNK]": 1}
    for word in sorted({word for own in concepts for word in own}):
        vocabulary[word] = len(vocabulary)
    tokenizer = tokenizers.Tokenizer(tokenizers.models.WordLevel(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = tokenizers.normalizers.Lowercase()
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.Whitespace()
    fast = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]", model_max_length=64
    )
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    model = transformers.BertModel(
        transformers.BertConfig(
            vocab_size=len(vocabulary), hidden_size=64, num_hidden_layers=0, num_attention_heads=1, intermediate_size=8
        )
    )
    directions = torch.nn.functional.normalize(torch.randn(len(concepts), 64), dim=1)
    weights = model.embeddings.word_embeddings.weight.data.normal_(std=1e-4)
    for number, own in enumerate(concepts):
        for word in own:
            if sum(word in other for other in concepts) == 1:
                weights[vocabulary[word]] = 8 * directions[number]
    for other in (model.embeddings.position_embeddings, model.embeddings.token_type_embeddings):
        other.weight.data.zero_()
    model.save_pretrained(folder)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """An encoder that knows the words of the parallel questions in both languages."""
    folder = tmp_path_factory.mktemp("encoder")
    concepts = []
    for question, options, gold, french, french_options, french_gold in PARALLEL:
        concepts.append({*words(question), *words(french)})
        order = [french_gold, *(place for place in range(len(options)) if place != french_gold)]
        own = [gold, *(place for place in range(len(options)) if place != gold)]
        for vector, other in zip(own, order, strict=True):
            concepts.append({*words(options[vector]), *words(french_options[other])})
    make_encoder(folder, concepts)
    return folder


ENGLISH = [
    item(f"t{number}", question, options=options, gold=(gold,), source="bench", split="test")
    for number, (question, options, gold, *_) in enumerate(PARALLEL)
]
FRENCH = [
    item(str(number), question, options=options, gold=(gold,))
    for number, (*_, question, options, gold) in enumerate(PARALLEL)
]
STRANGER = item(
    "x", "Quel antibiotique donne une coloration orangée des larmes et des urines pendant le traitement ?",
    options=("Rifampicine", "Linézolide", "Doxycycline", "Ciprofloxacine"),
)  # fmt: skip


def test_a_translation_is_found_by_its_meaning_and_only_where_an_encoder_is_named(screen, folder):
    encoder = {"folder": str(folder)}
    result = screen([*FRENCH, STRANGER], tests=ENGLISH, across_languages="off", encoder=encoder)
    assert sorted(result.pairs("item", "matched", "kind", "same_answer")) == sorted(
        (item.id, other.id, "embedding", True) for item, other in zip(FRENCH, ENGLISH, strict=True)
    )
    assert result.items == [STRANGER]
    assert screen(FRENCH, tests=ENGLISH, folder="b", across_languages="off").matches == []
    strict = {**encoder, "similarity": 1.0}
    assert screen(FRENCH, tests=ENGLISH, folder="c", across_languages="off", encoder=strict).matches == []


def test_options_and_answer_verify_what_is_near(screen, folder):
    question, options = PARALLEL[0][3], PARALLEL[0][4]
    other_options = item("a", question, options=PARALLEL[2][4])
    other_answer = item("b", question, options=options, gold=(2,))
    settings = {"across_languages": "off", "encoder": {"folder": str(folder), "similarity": 0.3}}
    result = screen([other_options, other_answer], tests=ENGLISH[:1], **settings)
    assert result.pairs("item", "kind", "same_answer") == [(other_answer.id, "embedding", False)]


def test_audits_and_validation_sets_are_compared_by_it_too(folder, tmp_path):
    write_parquet(tmp_path / "train.parquet", items_to_table(FRENCH))
    write_parquet(tmp_path / "bench.parquet", items_to_table(ENGLISH))
    comparing = {"across_languages": "off", "encoder": {"folder": str(folder)}}
    spec = {"mix": "ALL", "suite": "mcqa", "tested": [{"source": "bench", "tasks": ["mcqu"]}], **comparing}
    leakage.main(
        [
            *("--spec", json.dumps(spec), "--mix", str(tmp_path / "train.parquet")),
            *("--tests", f"bench={tmp_path / 'bench.parquet'}", "--leakage", str(tmp_path / "leakage.parquet")),
        ]
    )
    assert read_parquet(tmp_path / "leakage.parquet")["kind"].to_pylist() == ["embedding"] * 3
    settings = Comparing.model_validate(comparing)
    table = seen_in_training(
        items_to_table(FRENCH[:2]), items_to_table(ENGLISH), settings, opened(settings.encoder, None, None)
    )
    assert (table.rows.tolist(), table.kinds) == ([True, True, False], {"embedding": 2})
    with pytest.raises(InputError, match="no encoder is given"):
        seen_in_training(items_to_table(FRENCH), items_to_table(ENGLISH), settings)


def test_an_encoder_that_is_absent_or_another_is_refused_in_one_line(tmp_path):
    with pytest.raises(InputError, match=r"encoder\.package = 'no_such_encoder': not installed"):
        opened(SentenceEncoder(package="no_such_encoder"), None, None)
    with pytest.raises(InputError, match=r"has no config\.json with model\.safetensors"):
        opened(SentenceEncoder(folder=str(tmp_path)), None, None)
    with pytest.raises(InputError, match="expected the manifest of the encoder from the hub"):
        opened(SentenceEncoder(hub="owner/name"), None, None)
    with pytest.raises(InputError, match=r"screening\.encoder\.package = 'yaml': version 0\.0 was planned"):
        opened(SentenceEncoder(package="yaml"), "0.0", None)


@pytest.mark.parametrize("chunk_tokens", [1, 10_000])
def test_a_vector_is_the_mean_of_its_tokens_whatever_stands_beside_it(folder, chunk_tokens):
    vectors = SentenceVectors(folder, "mean", chunk_tokens=chunk_tokens)
    texts = ["bile duodenum", "calcium", "bile"]
    together = vectors(texts)
    assert np.linalg.norm(together, axis=1) == pytest.approx(1, abs=1e-5)
    assert together == pytest.approx(np.concatenate([vectors([text]) for text in texts]), abs=1e-5)
    first = SentenceVectors(folder, "first", chunk_tokens=chunk_tokens)(["bile calcium", "bile"])
    assert first[0] == pytest.approx(first[1], abs=1e-5)
    prefixed = SentenceVectors(folder, "first", "calcium ")(["bile", "calcium"])
    assert prefixed[0] == pytest.approx(prefixed[1], abs=1e-5)
