import pytest
from backends_made import ask, question

from posologie.backends.cache import Cache
from posologie.backends.interface import Request
from posologie.backends.seq2seq import Seq2seqBackend
from posologie.backends.spec import Decoding, Running, Seq2seq

TEXTS = ["Quel est le diagnostic ?", "Femme de 40 ans. Elle tousse.\n\nElle a de la fièvre.", "Oui", "  Une grippe. "]


def translator(manifest, running=None, **spec):
    return Seq2seqBackend(
        Seq2seq(**{"backbone": "m", "threads": 1, "beams": 2, **spec}), Running(**running or {}), manifest
    )


def test_a_text_is_translated_sentence_by_sentence_between_its_white_space(tiny_translator, tmp_path):
    whole, first, second, third = ask(
        translator(tiny_translator),
        tmp_path,
        [
            question(TEXTS[1]),
            *(question(text) for text in ("Femme de 40 ans.", "Elle tousse.", "Elle a de la fièvre.")),
        ],
    )
    assert whole.text == f"{first.text} {second.text}\n\n{third.text}"
    assert whole.prompt_tokens == first.prompt_tokens + second.prompt_tokens + third.prompt_tokens


def test_a_sentence_beyond_the_window_is_split(tiny_translator, tmp_path):
    long = "la fièvre, la toux, " * 30
    (reply,) = ask(translator(tiny_translator, window=40), tmp_path, [question(long)])
    assert reply.prompt_tokens > 128 > 40, "more tokens than the model has positions"


def test_the_size_of_batches_changes_no_text(tiny_translator, tmp_path):
    requests = [question(text) for text in TEXTS]
    together = ask(translator(tiny_translator), tmp_path / "together", requests)
    alone = ask(translator(tiny_translator, {"batch_tokens": 16}), tmp_path / "alone", requests)
    assert together == alone


def test_a_retry_searches_with_more_beams(tiny_translator, tmp_path, monkeypatch):
    backend = translator(tiny_translator, beams=1, retry_beams=3)
    backend._load()
    beams = []
    generate = backend._model.generate
    monkeypatch.setattr(
        backend._model, "generate", lambda **options: beams.append(options["num_beams"]) or generate(**options)
    )
    requests = [Request((("user", "Oui"),), Decoding(), attempt=attempt) for attempt in (0, 1)]
    ask(backend, tmp_path, requests)
    assert sorted(beams) == [1, 3]


def test_what_is_complete_is_not_translated_again(tiny_translator, tmp_path, monkeypatch):
    requests = [question(text) for text in TEXTS]
    first = ask(translator(tiny_translator), tmp_path, requests)
    monkeypatch.setattr(Seq2seqBackend, "_load", lambda self: pytest.fail("loaded"))
    assert ask(translator(tiny_translator), tmp_path, requests) == first


@pytest.mark.slow
def test_a_killed_run_keeps_what_was_done_and_ends_with_the_same_texts(tiny_translator, tmp_path, monkeypatch):
    requests = [question(f"{text} Il a {number} ans.") for number in range(5) for text in TEXTS]
    small = {"batch_tokens": 500}
    whole = ask(translator(tiny_translator, small), tmp_path / "whole", requests)
    translated, most = [], 4
    translate = Seq2seqBackend._translate_batch

    def dying(self, batch):
        if len(translated) == most:
            raise KeyboardInterrupt
        translated.append(batch)
        translate(self, batch)

    monkeypatch.setattr(Seq2seqBackend, "_translate_batch", dying)
    with pytest.raises(KeyboardInterrupt):
        ask(translator(tiny_translator, small), tmp_path / "killed", requests)
    with Cache(tmp_path / "killed/responses.sqlite") as cache:
        stored = cache.observed().replies
    assert 0 < stored < len(requests)
    before, most = len(translated), 1000
    translated.clear()
    assert ask(translator(tiny_translator, small), tmp_path / "killed", requests) == whole
    after = len(translated)
    translated.clear()
    ask(translator(tiny_translator, small), tmp_path / "other", requests)
    assert after < len(translated) <= before + after, "batches of which every reply was stored are not made again"


def test_the_search_is_part_of_the_identity(tiny_translator):
    assert translator(tiny_translator, beams=2).identity() != translator(tiny_translator, beams=3).identity()
    assert translator(tiny_translator, threads=2).identity() == translator(tiny_translator).identity()
