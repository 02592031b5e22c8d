"""The label automaton emits every valid answer and nothing else, whatever the tokenizer."""

import itertools

import numpy as np
import pytest
import sentencepiece
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import ByT5Tokenizer, LlamaTokenizer, PreTrainedTokenizerFast
from transformers.convert_slow_tokenizer import SentencePieceExtractor

from posologie.prediction.automaton import (
    END,
    GO_ON,
    LabelAutomaton,
    Move,
    PublishedAutomaton,
    State,
    Vocabulary,
    best_move,
    read_published,
    token_bytes,
)
from posologie.prediction.parsing import read
from posologie.records.items import LABELS
from posologie.running.errors import InputError

TEXTS = [
    "Quels signes traduiraient un pneumothorax compressif ?",
    "Choix de réponses :\n(A) Détresse respiratoire\n(B) Fébricule",
    "Réponse : A, C et D",
    "A B C D E F G H I J K L M N O P Q R S T U V W X Y Z",
    "A,B,C,D,E ; VITAMINE BAC ADN ARN IRM",
] * 3
END_TOKEN = "</s>"


def fast(tokenizer):
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END_TOKEN, unk_token="<unk>")


def byte_level():
    """Byte-level BPE, as GPT-2, Llama 3, Qwen and SmolLM."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<unk>", END_TOKEN],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    return fast(tokenizer)


def sentence_piece():
    """Unigram over text with blanks as ▁, as T5 and Gemma."""
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="first")
    alphabet = [*LABELS, ",", ";", "e", "t"]
    trainer = trainers.UnigramTrainer(
        vocab_size=150,
        special_tokens=["<unk>", END_TOKEN],
        unk_token="<unk>",
        initial_alphabet=alphabet,
        show_progress=False,
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    return fast(tokenizer)


def byte_fallback():
    """BPE over text with blanks as ▁ and single bytes as <0x…>, as Llama 2 and Mistral; most letters only as bytes."""
    pieces = [
        "<unk>",
        "<s>",
        END_TOKEN,
        *(f"<0x{byte:02X}>" for byte in range(256)),
        "▁",
        "▁B",
        "B",
        "▁et",
        ",",
        "e",
        "t",
    ]
    vocabulary = {piece: index for index, piece in enumerate(pieces)}
    model = models.BPE(vocabulary, [("▁", "B")], unk_token="<unk>", byte_fallback=True)
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()])
    return fast(tokenizer)


def word_piece():
    """WordPiece, as BERT: a word's first piece stands behind a blank, further pieces begin with ##."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    alphabet = [*LABELS, ",", ";"]
    trainer = trainers.WordPieceTrainer(
        vocab_size=250, special_tokens=["<unk>", END_TOKEN], initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(TEXTS, trainer)
    return fast(tokenizer)


def bytes_alone():
    """A token for each byte, as ByT5; not a fast tokenizer."""
    return ByT5Tokenizer()


FAMILIES = {maker.__name__: maker() for maker in (byte_level, sentence_piece, byte_fallback, word_piece, bytes_alone)}
SEPARATORS = [",", ", ", ";", " et ", " "]


def vocabulary(family, separator=",", blank_first=False):
    tokenizer = FAMILIES[family]
    return Vocabulary(token_bytes(tokenizer), separator, [tokenizer.eos_token_id], blank_first)


@pytest.fixture(scope="module")
def vocabularies():
    """Every family with every separator that it can write (WordPiece has no blank of its own)."""
    return {
        (family, separator): vocabulary(family, separator)
        for family, separator in itertools.product(FAMILIES, SEPARATORS)
    }


def written(family, tokens):
    return FAMILIES[family].decode(tokens, skip_special_tokens=True, clean_up_tokenization_spaces=False)


def reading(family, tokens, options, separator):
    return read(written(family, tokens), [f"texte {label}" for label in range(options)], separator)


CASES = {
    "family": st.sampled_from(sorted(FAMILIES)),
    "separator": st.sampled_from(SEPARATORS),
    "options": st.integers(2, 26),
    "several": st.booleans(),
}


@settings(max_examples=200, deadline=None)
@given(data=st.data(), **CASES)
def test_every_text_it_emits_is_read_as_the_set_it_stands_for(vocabularies, data, family, separator, options, several):
    automaton = LabelAutomaton(vocabularies[family, separator], options, several)
    state, tokens = automaton.start, []
    for _ in range(200):
        moves = automaton.moves(state)
        assert moves, "a text that cannot be completed"
        move = data.draw(st.sampled_from(moves))
        if move.symbol == END:
            break
        tokens.append(automaton.tokens[move.slot])
        state = move.state
    assert move.symbol == END
    assert state.labels
    assert several or len(state.labels) == 1
    answer = reading(family, tokens, options, separator)
    assert (answer.outcome, answer.labels) == ("labels", state.labels), written(family, tokens)


@settings(max_examples=200, deadline=None)
@given(data=st.data(), **CASES)
def test_every_valid_set_can_be_emitted_in_any_order(vocabularies, data, family, separator, options, several):
    automaton = LabelAutomaton(vocabularies[family, separator], options, several)
    size = data.draw(st.integers(1, options)) if several else 1
    labels = data.draw(st.permutations(range(options)))[:size]
    state, tokens = automaton.start, []
    for label in labels:
        for _ in range(10):
            naming = [move for move in automaton.moves(state) if move.state.taken == state.taken | 1 << label]
            if naming:
                break
            state, tokens = step(automaton, state, tokens, GO_ON)
        state, tokens = naming[0].state, [*tokens, automaton.tokens[naming[0].slot]]
    assert any(move.symbol == END for move in automaton.moves(state))
    assert state.labels == tuple(sorted(labels))
    assert reading(family, tokens, options, separator).labels == tuple(sorted(labels))


def step(automaton, state, tokens, symbol):
    move = next(move for move in automaton.moves(state) if move.symbol == symbol and move.state.taken == state.taken)
    return move.state, [*tokens, automaton.tokens[move.slot]]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("options", [2, 3, 4])
def test_it_emits_all_sets_and_only_once_each_label(family, options):
    automaton = LabelAutomaton(vocabulary(family), options, several=True)
    waiting, visited, complete = [(automaton.start, ())], {automaton.start}, set()
    while waiting:
        state, named = waiting.pop()
        for move in automaton.moves(state):
            if move.symbol == END:
                complete.add(state.labels)
            elif move.state not in visited:
                assert move.state.taken & state.taken == state.taken
                visited.add(move.state)
                waiting.append((move.state, named))
    sets = {labels for size in range(1, options + 1) for labels in itertools.combinations(range(options), size)}
    assert complete == sets


def test_a_single_answer_is_one_label_and_the_end():
    automaton = LabelAutomaton(vocabulary("byte_level"), 5, several=False)
    assert {move.symbol for move in automaton.moves(automaton.start)} == set(range(5))
    state = automaton.moves(automaton.start)[0].state
    assert automaton.complete(state)
    assert [move.symbol for move in automaton.moves(state)] == [END]


def test_an_answer_ends_with_any_of_the_end_tokens_and_is_never_empty():
    tokenizer = FAMILIES["byte_level"]
    ends = [tokenizer.eos_token_id, 0]
    automaton = LabelAutomaton(Vocabulary(token_bytes(tokenizer), ",", ends), 3, several=True)
    assert END not in {move.symbol for move in automaton.moves(automaton.start)}
    state = automaton.moves(automaton.start)[0].state
    end_tokens = {automaton.tokens[move.slot] for move in automaton.moves(state) if move.symbol == END}
    assert end_tokens == set(ends)


def test_labels_beyond_the_options_are_not_allowed():
    automaton = LabelAutomaton(vocabulary("byte_level"), 3, several=True)
    texts = {written("byte_level", [automaton.tokens[move.slot]]) for move in automaton.moves(automaton.start)}
    assert {text.strip() for text in texts} == {"A", "B", "C"}
    assert " A" in texts


def test_a_label_with_two_spellings_counts_once_and_with_both():
    moves = (Move(0, 0, State(1, 2)), Move(1, 0, State(1, 2)), Move(2, 1, State(2, 2)))
    scores = np.log(np.array([0.3, 0.25, 0.45]))
    assert best_move(moves, scores).slot == 0
    assert best_move(moves, np.log(np.array([0.3, 0.1, 0.6]))).slot == 2


def test_equal_scores_choose_the_first_label():
    moves = tuple(Move(slot, slot, State(1 << slot, 2)) for slot in range(3))
    assert best_move(moves, np.zeros(3)).symbol == 0


def test_a_blank_by_itself_comes_only_where_the_tokenizer_spells_so():
    apart = LabelAutomaton(vocabulary("byte_fallback", blank_first=True), 3, several=False)
    together = LabelAutomaton(vocabulary("byte_fallback"), 3, several=False)
    assert GO_ON in {move.symbol for move in apart.moves(apart.start)}
    assert GO_ON not in {move.symbol for move in together.moves(together.start)}


@pytest.mark.parametrize("separator", ["", " ET ", "A", "et"])
def test_a_separator_that_could_be_a_label_is_refused(separator):
    with pytest.raises(InputError, match="label_separator"):
        vocabulary("byte_level", separator)


def test_a_tokenizer_that_cannot_spell_a_label_is_refused():
    tokens = [b"A", b"B", b",", None]
    with pytest.raises(InputError, match="label 'C'"):
        LabelAutomaton(Vocabulary(tokens, ",", [3]), 3, several=True)
    with pytest.raises(InputError, match="no end token"):
        Vocabulary(tokens, ",", [])


def test_a_token_that_holds_separator_and_label_is_used():
    tokens = [b"A", b"B", b",", b",B", b" B", b"AB", None]
    automaton = LabelAutomaton(Vocabulary(tokens, ",", [6]), 2, several=True)
    state = automaton.moves(automaton.start)[0].state
    behind = {
        tokens[automaton.tokens[move.slot]]: move.state.labels for move in automaton.moves(state) if move.symbol != END
    }
    assert behind == {b",": (0,), b",B": (0, 1)}


@pytest.fixture(scope="module")
def trained_by_sentencepiece(tmp_path_factory):
    """A tokenizer that SentencePiece itself has trained, with byte fallback, as Llama 2 and Mistral."""
    model = tmp_path_factory.mktemp("tokenizer") / "tokenizer.model"
    with model.open("wb") as file:
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(TEXTS), model_writer=file, vocab_size=420, model_type="bpe", byte_fallback=True,
            character_coverage=1.0, hard_vocab_limit=False, minloglevel=2,
        )  # fmt: skip
    made = SentencePieceExtractor(str(model)).extract(None)
    return LlamaTokenizer(vocab=made["vocab"], merges=made["merges"]), model


def test_byte_pieces_of_letters_that_have_a_piece_are_never_written_and_no_spelling(trained_by_sentencepiece):
    tokenizer, model = trained_by_sentencepiece
    own = sentencepiece.SentencePieceProcessor(model_file=str(model))
    asked = [*TEXTS, *LABELS, *(f"(x{label})" for label in LABELS), ",".join(LABELS), ", ".join(LABELS), "é Ω"]
    for encoded in (own.encode(asked, out_type=str), map(tokenizer.tokenize, asked)):
        used = {piece for pieces in encoded for piece in pieces if piece.startswith("<0x")}
        assert used <= {"<0xCE>", "<0xA9>", "<0x0A>"}, "of all this, only Ω and line breaks have no piece"
        assert {"<0xCE>", "<0xA9>"} <= used
    written = token_bytes(tokenizer)
    byte_of_a, omega = tokenizer.convert_tokens_to_ids(["<0x41>", "<0xCE>"])
    assert (written[byte_of_a], written[omega]) == (None, b"\xce")
    spelled = Vocabulary(written, ",", [tokenizer.eos_token_id])
    automaton = LabelAutomaton(spelled, 5, several=True)
    pieces = tokenizer.convert_ids_to_tokens(list(automaton.tokens))
    assert not any(piece.startswith("<0x") for piece in pieces)
    assert {"A", "▁A", "E", "▁E", ","} <= set(pieces)


def test_no_choice_depends_on_the_byte_piece_of_a_letter_that_has_another(trained_by_sentencepiece):
    tokenizer, _ = trained_by_sentencepiece
    automaton = LabelAutomaton(Vocabulary(token_bytes(tokenizer), ",", [tokenizer.eos_token_id]), 5, several=False)
    logits = np.random.default_rng(1).normal(size=(200, len(tokenizer)))
    raised = logits.copy()
    raised[:, tokenizer.convert_tokens_to_ids([f"<0x{ord(label):02X}>" for label in LABELS[:5]])] += 50.0
    moves = automaton.moves(automaton.start)
    for before, after in zip(logits, raised, strict=True):
        chosen = [best_move(moves, scores[list(automaton.tokens)]) for scores in (before, after)]
        assert chosen[0] == chosen[1]


@pytest.mark.parametrize("family", FAMILIES)
def test_tokens_write_what_decoding_them_writes(family):
    tokenizer = FAMILIES[family]
    tokens = token_bytes(tokenizer)
    for text in ("xA,C", "x A, C", "xB et D"):
        ids = [token for token in tokenizer.encode(text, add_special_tokens=False) if token != tokenizer.eos_token_id]
        if tokenizer.unk_token_id in ids:
            continue
        # behind the first token, which a decoder may strip of its blank
        whole = b"".join(tokens[token] for token in ids[1:])
        assert tokenizer.decode(ids, clean_up_tokenization_spaces=False).encode().endswith(whole)
        assert whole.count(b"A") + whole.count(b"B") == 1
    assert all(tokens[token] is None for token in tokenizer.all_special_ids)


class TestPublishedProtocol:
    def automaton(self, most=1, options=4, family="byte_level"):
        return PublishedAutomaton(FAMILIES[family], ",", options, most)

    def test_a_separator_or_the_end_can_be_the_whole_answer(self):
        automaton = self.automaton()
        allowed = {automaton.tokens[move.slot] for move in automaton.moves(automaton.start)}
        tokenizer = FAMILIES["byte_level"]
        assert allowed == {tokenizer.eos_token_id, *tokenizer.convert_tokens_to_ids(["A", "B", "C", "D", ","])}
        assert all(automaton.complete(move.state) or move.symbol == END for move in automaton.moves(automaton.start))

    def test_labels_may_repeat_until_the_tokens_run_out(self):
        automaton = self.automaton(most=3)
        state = automaton.start
        for _ in range(3):
            assert not automaton.complete(state)
            state = automaton.moves(state)[1].state
        assert automaton.complete(state)
        assert state.labels == (1,)

    def test_only_the_last_piece_of_a_label_is_used(self):
        tokenizer = FAMILIES["byte_fallback"]
        automaton = self.automaton(family="byte_fallback")
        assert tokenizer.convert_ids_to_tokens(automaton.tokens[1]) == "B"
        assert tokenizer.convert_ids_to_tokens(automaton.tokens[2]) == "<0x43>"

    @pytest.mark.parametrize(
        ("text", "labels"),
        [
            ("A", (0,)),
            ("A,C", (0, 2)),
            ("BAC", (0, 1, 2)),
            ("D", (3,)),
            ("A et C", None),
            ("**A**", None),
            ("Réponse : A", None),
            ("", None),
            (",", None),
            ("E", None),
        ],
    )
    def test_texts_are_read_as_the_authors_read_them(self, text, labels):
        reading = read_published(text, ("w", "x", "y", "z"))
        assert (reading.labels if reading.outcome == "labels" else None) == labels
